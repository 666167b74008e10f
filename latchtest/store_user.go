package latchtest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/latchward/latchward"
)

const (
	userCopy     = "User returns a copy of the user; removed users are returned too."
	byExternalID = "UserByExternalID returns the user with that external id."
	byEmail      = "UserByEmail returns the user with that e-mail, whatever its case; removed users have none."
	usersMatch   = "Users returns the users that match, ordered by id, at most f.Limit of them."
	usersQuery   = "part of the name, e-mail or external id; ASCII letters match in either case"
	txUser       = "User returns a copy of the user."
	txByExternal = "UserByExternalID returns a copy of the user with that external id."
	savesUser    = "SaveUser inserts the user when its ID is 0, setting the ID, and else replaces it."
	userTaken    = "An external id, e-mail or user name that another user has is an Error of code conflict that names the field."
	userNamed    = "a directory calls them exactly this; ASCII letters match in either case"
	userKnownAs  = "a directory knows them by exactly this"
	usersSkip    = "leave out so many of those that match, from the first"
	usersCount   = "CountUsers returns how many users match, whatever f.After, f.Skip and f.Limit say."
	membersAre   = "Members returns the ids of the users who have the group, in their order."
	uniqueName   = "unique without regard to case while the user is not removed"
	namesOwner   = "The commit must name the owner as changed."
	uniqueEmail  = "unique without regard to case while the user is not removed"
)

func userPromises() []storePromise {
	return []storePromise{
		{"User/KeepsEveryField", userCopy, userKeepsFields},
		{"User/ReturnsRemovedUsers", userCopy, userRemoved},
		{"User/ReturnsACopy", userCopy, userIsACopy},
		{"User/UnknownIsNotFound", notFound, userOfNothing},
		{"UserByExternalID/FindsTheUser", byExternalID, externalIDFinds},
		{"UserByExternalID/FindsRemovedUsers", byExternalID, externalIDFindsRemoved},
		{"UserByExternalID/UnknownIsNotFound", notFound, externalIDOfNothing},
		{"UserByEmail/FindsTheUserInAnyCase", byEmail, emailFinds},
		{"UserByEmail/RemovedUsersHaveNone", byEmail, emailOfRemoved},
		{"UserByEmail/UnknownIsNotFound", notFound, emailOfNothing},
		{"Users/ReturnsWholeUsersByID", usersMatch, usersWhole},
		{"Users/ByQuery", usersQuery, usersByQuery},
		{"Users/LeavesRemovedUsersOut", usersMatch, usersRemoved},
		{"Users/PagesGiveEachUserOnce", usersMatch, usersPages},
		{"Users/ByUserNameInAnyCase", userNamed, usersByUserName},
		{"Users/ByDirectoryID", userKnownAs, usersByDirectoryID},
		{"Users/Skips", usersSkip, usersSkipped},
		{"CountUsers/CountsWhatMatches", usersCount, usersCounted},
		{"Members/ReturnsUsersByID", membersAre, membersByID},
		{"Tx.Members/ReturnsUsersByID", membersAre, txMembersByID},
		{"Tx.User/ReturnsACopy", txUser, txUserIsACopy},
		{"Tx.User/UnknownIsNotFound", notFound, txUserOfNothing},
		{"Tx.UserByExternalID/ReturnsACopy", txByExternal, txExternalIDIsACopy},
		{"Tx.UserByExternalID/UnknownIsNotFound", notFound, txExternalIDOfNothing},
	}
}

// wholeUser sets every field of a user.
func wholeUser(u *latchward.User) {
	u.ExternalID, u.Email, u.Name = "auth0|ada", "Ada@Example.com", "Ada Lovelace"
	u.Roles = []latchward.RoleID{latchward.RoleAdministrator, latchward.RoleAuditor}
	u.Directory = latchward.DirectoryEntry{UserName: "Ada@Example", ID: "00u1", GivenName: "Ada", FamilyName: "Lovelace 🐝"}
	u.CreatedAt, u.UpdatedAt = epoch().Add(time.Millisecond), epoch().Add(2*time.Millisecond)
}

func removed(u *latchward.User) {
	u.Name, u.Email, u.Active, u.RemovedAt = "", "", false, epoch()
}

func userKeepsFields(t *trial) {
	h := t.holder()
	whole := t.user(wholeUser, h.giveUser)
	t.same("a user with every field", t.storedUser(whole.ID), whole)
	bare := t.user(func(u *latchward.User) { u.Active = false })
	t.same("a user with few fields", t.storedUser(bare.ID), bare)
	for i, text := range awkward() {
		u := t.user(func(u *latchward.User) {
			u.Name, u.ExternalID, u.Email = text, text, fmt.Sprintf("%d%s@example.com", i, text)
		})
		t.same("a user with awkward texts", t.storedUser(u.ID), u)
	}
}

func userRemoved(t *trial) {
	u := t.user(removed, func(u *latchward.User) { u.RemovedAt = epoch().Add(time.Millisecond) })
	t.same("a removed user", t.storedUser(u.ID), u)
}

func userIsACopy(t *trial) {
	u := t.user(wholeUser)
	t.storedUser(u.ID).Name = "scribble"
	t.same("User after its answer was scribbled on", t.storedUser(u.ID), u)
}

func userOfNothing(t *trial) {
	u := t.user()
	for _, id := range []latchward.UserID{u.ID + 1000, 0, -1} {
		_, err := t.store.User(t.ctx, id)
		t.code("User of an unknown id", err, latchward.CodeNotFound)
	}
}

func externalIDFinds(t *trial) {
	t.user()
	u := t.user(func(u *latchward.User) { u.ExternalID = "ada" })
	t.user(func(u *latchward.User) { u.ExternalID = "Ada" })
	got, err := t.store.UserByExternalID(t.ctx, "ada")
	t.must(err)
	t.same("UserByExternalID", got, u)
}

func externalIDFindsRemoved(t *trial) {
	u := t.user(removed, func(u *latchward.User) { u.ExternalID = "removed:0123" })
	got, err := t.store.UserByExternalID(t.ctx, "removed:0123")
	t.must(err)
	t.same("UserByExternalID of a removed user", got, u)
}

func externalIDOfNothing(t *trial) {
	t.user()
	for _, text := range []string{"ada", "", "%"} {
		_, err := t.store.UserByExternalID(t.ctx, text)
		t.code(fmt.Sprintf("UserByExternalID(%q)", text), err, latchward.CodeNotFound)
	}
}

func emailFinds(t *trial) {
	t.user()
	u := t.user(func(u *latchward.User) { u.Email = "Ada@Example.com" })
	t.user(func(u *latchward.User) { u.Email = "bob@example.com" })
	for _, email := range []string{"Ada@Example.com", "ada@example.com", "ADA@EXAMPLE.COM"} {
		got, err := t.store.UserByEmail(t.ctx, email)
		t.must(err)
		t.same("UserByEmail "+email, got, u)
	}
}

func emailOfRemoved(t *trial) {
	gone := t.user(func(u *latchward.User) { u.Email, u.RemovedAt = "ada@example.com", epoch() })
	_, err := t.store.UserByEmail(t.ctx, "ada@example.com")
	t.code("UserByEmail of a removed user", err, latchward.CodeNotFound)
	u := t.user(func(u *latchward.User) { u.Email = "ADA@example.com" }) // the e-mail is free again
	got, err := t.store.UserByEmail(t.ctx, "ada@example.com")
	t.must(err)
	t.same("UserByEmail of who has a removed user's e-mail", got, u)
	t.saveUser(*gone) // the tombstone can still be saved
}

func emailOfNothing(t *trial) {
	t.user()
	for _, email := range []string{"ada@example.com", "", "%"} {
		_, err := t.store.UserByEmail(t.ctx, email)
		t.code(fmt.Sprintf("UserByEmail(%q)", email), err, latchward.CodeNotFound)
	}
}

func (t *trial) users(f latchward.UserFilter) []*latchward.User {
	t.Helper()
	if f.Limit == 0 {
		f.Limit = latchward.MaxPage
	}
	users, err := t.store.Users(t.ctx, f)
	t.must(err)
	return users
}

func usersWhole(t *trial) {
	want := []*latchward.User{t.user(wholeUser), t.user()}
	t.same("Users", t.users(latchward.UserFilter{}), want)
	for _, u := range t.users(latchward.UserFilter{}) {
		u.Name = "scribble"
	}
	t.same("Users after its answer was scribbled on", t.users(latchward.UserFilter{}), want)
}

func usersByQuery(t *trial) {
	t.user(func(u *latchward.User) { u.Name = "Ada Lovelace" })
	t.user(func(u *latchward.User) { u.Name, u.Email = "1", "LOVE@example.com" })
	t.user(func(u *latchward.User) { u.Name, u.ExternalID = "2", "x|love" })
	t.user(func(u *latchward.User) { u.Name = "100%" })
	t.user(func(u *latchward.User) { u.Name = `back\slash_` })
	for query, want := range map[string][]string{
		"love": {"1", "2", "Ada Lovelace"}, "LOVE": {"1", "2", "Ada Lovelace"}, "a lo": {"Ada Lovelace"},
		"%": {"100%"}, "_": {`back\slash_`}, `\`: {`back\slash_`}, "nobody": nil,
	} {
		var names []string
		for _, u := range t.users(latchward.UserFilter{Query: query}) {
			names = append(names, u.Name)
		}
		slices.Sort(names)
		t.same("users that match "+query, names, want)
	}
}

func usersRemoved(t *trial) {
	gone := t.user(removed)
	u := t.user(func(u *latchward.User) { u.Active = false })
	t.same("Users", t.users(latchward.UserFilter{}), []*latchward.User{u})
	t.same("Users with removed ones", t.users(latchward.UserFilter{IncludeRemoved: true}), []*latchward.User{gone, u})
}

func usersPages(t *trial) {
	var want []*latchward.User
	for i := range 7 {
		u := t.user(func(u *latchward.User) { u.Name = strings.Repeat("x", 7-i) })
		if i%3 == 1 {
			removed(u)
			t.saveUser(*u)
			continue
		}
		want = append(want, u)
	}
	for limit := 1; limit <= 3; limit++ {
		var got []*latchward.User
		f := latchward.UserFilter{Limit: limit}
		for range len(want) + 1 {
			page := t.users(f)
			if len(page) == 0 {
				break
			}
			if len(page) > limit {
				t.Errorf("Users returned %d users, want at most %d", len(page), limit)
			}
			got = append(got, page...)
			f.After = page[len(page)-1].ID
		}
		t.same(fmt.Sprintf("pages of %d", limit), got, want)
	}
}

func txUserIsACopy(t *trial) {
	u := t.user(wholeUser)
	t.tx(func(tx latchward.Tx) error {
		return t.copiesOf(u, func() (*latchward.User, error) { return tx.User(u.ID) })
	})
}

func txExternalIDIsACopy(t *trial) {
	u := t.user(wholeUser)
	t.user(func(u *latchward.User) { u.ExternalID = "bob" })
	t.tx(func(tx latchward.Tx) error {
		return t.copiesOf(u, func() (*latchward.User, error) { return tx.UserByExternalID(u.ExternalID) })
	})
	t.same("User after a copy was scribbled on", t.storedUser(u.ID), u)
}

// copiesOf checks that read returns u each time, whatever was done to what it returned before.
func (t *trial) copiesOf(u *latchward.User, read func() (*latchward.User, error)) error {
	t.Helper()
	for range 2 {
		got, err := read()
		if err != nil {
			return err
		}
		t.same("the user in a transaction", got, u)
		if got != nil {
			got.Name = "scribble"
		}
	}
	return nil
}

func txUserOfNothing(t *trial) {
	u := t.user()
	t.tx(func(tx latchward.Tx) error {
		_, err := tx.User(u.ID + 1000)
		t.code("Tx.User of an unknown id", err, latchward.CodeNotFound)
		return nil
	})
}

func txExternalIDOfNothing(t *trial) {
	t.user()
	t.tx(func(tx latchward.Tx) error {
		for _, text := range []string{"ada", ""} {
			_, err := tx.UserByExternalID(text)
			t.code(fmt.Sprintf("Tx.UserByExternalID(%q)", text), err, latchward.CodeNotFound)
		}
		return nil
	})
}

func saveUserPromises() []storePromise {
	return []storePromise{
		{"Tx.SaveUser/SetsIDs", savesUser, saveUserSetsIDs},
		{"Tx.SaveUser/ReplacesEveryField", savesUser, saveUserReplaces},
		{"Tx.SaveUser/UnknownIsNotFound", notFound, saveUserOfNothing},
		{"Tx.SaveUser/RefusesAnExternalIDInUse", userTaken, saveUserRefusesExternalID},
		{"Tx.SaveUser/RefusesAnEmailInUseInAnyCase", userTaken, saveUserRefusesEmail},
		{"Tx.SaveUser/RefusesAUserNameInUseInAnyCase", userTaken, saveUserRefusesUserName},
		{"Tx.SaveUser/RemovedUsersLeaveTheirUserName", uniqueName, saveUserTakesUserName},
		{"Tx.SaveUser/ManyMayHaveNone", uniqueEmail, saveUserWithNone},
		{"Tx.SaveUser/NamesTheOwner", namesOwner, saveUserNames},
	}
}

func saveUserSetsIDs(t *trial) {
	first, second := t.user(), t.user()
	if first.ID == second.ID || first.ID < 1 || second.ID < 1 {
		t.Errorf("SaveUser set the ids %d and %d, want two different ones above 0", first.ID, second.ID)
	}
}

func saveUserReplaces(t *trial) {
	u, other := t.user(), t.user()
	wholeUser(u)
	h := t.holder()
	h.giveUser(u)
	t.saveUser(*u)
	t.same("a user after every field was set", t.storedUser(u.ID), u)
	t.saveUser(*u) // what is its own is no conflict
	bare := latchward.User{ID: u.ID, CreatedAt: epoch(), UpdatedAt: epoch(), RemovedAt: epoch().Add(time.Hour)}
	t.saveUser(bare)
	t.same("a user after every field was cleared", t.storedUser(u.ID), &bare)
	t.same("another user", t.storedUser(other.ID), other)
}

func saveUserOfNothing(t *trial) {
	u := t.user()
	_, err := t.store.Tx(t.ctx, func(tx latchward.Tx) error {
		unknown := *u
		unknown.ID += 1000
		return tx.SaveUser(&unknown)
	})
	t.code("SaveUser with an unknown id", err, latchward.CodeNotFound)
}

// userConflict saves a user in a transaction that must be refused for one field.
func (t *trial) userConflict(what string, u latchward.User, field string) {
	t.Helper()
	u.CreatedAt, u.UpdatedAt = epoch(), epoch()
	_, err := t.store.Tx(t.ctx, func(tx latchward.Tx) error {
		saved := u
		return tx.SaveUser(&saved)
	})
	t.code(what, err, latchward.CodeConflict)
	if got := latchward.ErrorField(err); got != field {
		t.Errorf("%s: error %v names the field %q, want %q", what, err, got, field)
	}
}

func saveUserRefusesExternalID(t *trial) {
	t.user(func(u *latchward.User) { u.ExternalID = "ada" })
	other := t.user()
	other.ExternalID = "ada"
	t.userConflict("a changed user", *other, "external_id")
	t.userConflict("a new user", latchward.User{ExternalID: "ada", Active: true}, "external_id")
	t.user(removed, func(u *latchward.User) { u.ExternalID = "gone" })
	t.userConflict("the external id of a removed user", latchward.User{ExternalID: "gone", Active: true}, "external_id")
}

func saveUserRefusesEmail(t *trial) {
	t.user(func(u *latchward.User) { u.Email = "Ada@Example.com" })
	other := t.user()
	other.Email = "ADA@example.COM"
	t.userConflict("a changed user", *other, "email")
	t.userConflict("a new user", latchward.User{Email: "ada@example.com", Active: true}, "email")
}

func saveUserWithNone(t *trial) {
	for range 2 {
		t.user(func(u *latchward.User) { u.Email, u.ExternalID = "", "" })
	}
	if users := t.users(latchward.UserFilter{}); len(users) != 2 {
		t.Errorf("Users returned %d users, want 2", len(users))
	}
}

func saveUserNames(t *trial) {
	var u latchward.User
	commit := t.tx(func(tx latchward.Tx) error {
		u = latchward.User{Name: "Ada", Active: true, CreatedAt: epoch(), UpdatedAt: epoch()}
		return tx.SaveUser(&u)
	})
	t.names("SaveUser of a new user", commit, latchward.ChangeOwner, ownerOf(&u).String())
	commit = t.tx(func(tx latchward.Tx) error { saved := u; return tx.SaveUser(&saved) })
	t.names("SaveUser", commit, latchward.ChangeOwner, ownerOf(&u).String())
}
