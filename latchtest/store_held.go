package latchtest

import (
	"time"

	"github.com/latchward/latchward"
)

const (
	seatsTaken = "Seats returns how many seats of each license are taken: " +
		"by users who are not removed and by tokens that are not revoked."
	seatsUntaken = "Licenses without any are left out."
	txSeats      = "Seats returns how many seats of the license are taken."
	heldExists   = "What a record names must exist: an owner, role, group or license that does not, " +
		"or membership of a removed group, is an Error of code invalid that names the field."
	heldSets = "Roles, groups and licenses of a record are sets: they come back in the order of their ids, each once."
	roleSelf = "has this role itself"
	builtIn  = "BuiltInRoles returns the roles that exist from the start, for stores to begin with."
)

func seatPromises() []storePromise {
	return []storePromise{
		{"Seats/CountsUsersAndTokens", seatsTaken, seatsCount},
		{"Seats/LeavesRemovedAndRevokedOut", seatsTaken, seatsOfGone},
		{"Seats/LeavesLicensesWithoutAnyOut", seatsUntaken, seatsOfNobody},
		{"Tx.Seats/CountsUsersAndTokens", txSeats, txSeatsCount},
		{"Tx.Seats/SeesItsOwnWrites", txSees, txSeatsFresh},
	}
}

// sameSeats checks how many seats are taken, by both ways to ask.
func (t *trial) sameSeats(what string, want map[latchward.LicenseID]int64) {
	t.Helper()
	got, err := t.store.Seats(t.ctx)
	t.must(err)
	t.same("Seats "+what, got, want)
}

func seatsCount(t *trial) {
	h := t.holder()
	other := t.user(func(u *latchward.User) { u.Active, u.Licenses = false, []latchward.LicenseID{h.license.ID} })
	both := h.user.Licenses
	t.sameSeats("of users and tokens", map[latchward.LicenseID]int64{both[0]: 3, both[1]: 2})
	other.Licenses = both[1:]
	t.saveUser(*other)
	t.sameSeats("after one changed", map[latchward.LicenseID]int64{both[0]: 2, both[1]: 3})
}

func seatsOfGone(t *trial) {
	h := t.holder()
	both := h.user.Licenses
	h.token.RevokedAt = epoch()
	t.saveToken(*h.token)
	t.sameSeats("after a token was revoked", map[latchward.LicenseID]int64{both[0]: 1, both[1]: 1})
	h.user.RemovedAt = epoch()
	t.saveUser(*h.user)
	t.sameSeats("after a user was removed", map[latchward.LicenseID]int64{})
	h.token.RevokedAt = time.Time{}
	t.saveToken(*h.token)
	t.deleteToken(h.token.ID)
	t.sameSeats("after a token was deleted", map[latchward.LicenseID]int64{})
}

func seatsOfNobody(t *trial) {
	licenses().one(t)
	t.sameSeats("of nobody", map[latchward.LicenseID]int64{})
}

func txSeatsCount(t *trial) {
	h, unused := t.holder(), licenses().one(t)
	t.user(removed, func(u *latchward.User) { u.Licenses = h.user.Licenses })
	t.tx(func(tx latchward.Tx) error {
		for id, want := range map[latchward.LicenseID]int64{h.license.ID: 2, unused.ID: 0} {
			if got, err := tx.Seats(id); err != nil || got != want {
				t.Errorf("Tx.Seats(%d) returned %d, error %v, want %d", id, got, err, want)
			}
		}
		return nil
	})
}

func txSeatsFresh(t *trial) {
	l := licenses().one(t)
	t.tx(func(tx latchward.Tx) error {
		u := latchward.User{Name: "Ada", Licenses: []latchward.LicenseID{l.ID}, CreatedAt: epoch(), UpdatedAt: epoch()}
		if err := tx.SaveUser(&u); err != nil {
			return err
		}
		if got, err := tx.Seats(l.ID); err != nil || got != 1 {
			t.Errorf("Tx.Seats of what was just given out returned %d, error %v, want 1", got, err)
		}
		return nil
	})
}

func heldPromises() []storePromise {
	return []storePromise{
		{"Roles/BeginWithTheBuiltInOnes", builtIn, rolesBegin},
		{"Users/ByWhatTheyHave", roleSelf, usersByHeld},
		{"Tokens/ByWhatTheyHave", roleSelf, tokensByHeld},
		{"Tx.SaveUser/KeepsSets", heldSets, userKeepsSets},
		{"Tx.SaveToken/KeepsSets", heldSets, tokenKeepsSets},
		{"Tx.SaveGroup/KeepsSets", heldSets, groupKeepsSets},
		{"Tx.SaveUser/RefusesWhatDoesNotExist", heldExists, userRefusesUnknown},
		{"Tx.SaveToken/RefusesWhatDoesNotExist", heldExists, tokenRefusesUnknown},
		{"Tx.SaveGroup/RefusesWhatDoesNotExist", heldExists, groupRefusesUnknown},
	}
}

func rolesBegin(t *trial) {
	list, err := t.store.Roles(t.ctx)
	t.must(err)
	t.same("the roles of an empty store", list, latchward.BuiltInRoles())
}

func usersByHeld(t *trial) {
	h := t.holder()
	h.token.Owner = ownerOf(t.user(func(u *latchward.User) { u.Groups = h.user.Groups[:1] }))
	t.saveToken(*h.token) // what a token or a group has, its owner or member does not have
	for what, f := range map[string]latchward.UserFilter{
		"role": {Role: h.role.ID}, "group": {Group: h.group.ID}, "license": {License: h.license.ID},
		"all": {Role: h.role.ID, Group: h.group.ID, License: h.license.ID, Query: "ada"},
	} {
		t.same("users by "+what, t.users(f), []*latchward.User{h.user})
	}
	none := latchward.UserFilter{Role: latchward.RoleAdministrator, Group: h.group.ID}
	t.same("users by a role that nobody has", t.users(none), []*latchward.User(nil))
}

func tokensByHeld(t *trial) {
	h := t.holder()
	t.token(h.user, named("of who has it"))
	t.token(h.user, ownedBy(h.group), named("of the group"))
	for what, f := range map[string]latchward.TokenFilter{
		"role": {Role: h.role.ID}, "group": {Group: h.group.ID}, "license": {License: h.license.ID},
		"all": {Role: h.role.ID, Group: h.group.ID, License: h.license.ID, Kind: latchward.KindService},
	} {
		t.onlyNames("tokens by "+what, f, h.token.Name)
	}
	t.onlyNames("tokens by a role that nobody has", latchward.TokenFilter{Role: latchward.RoleAdministrator})
}

// scrambled returns ids backwards and twice.
func scrambled[ID ~int64](ids []ID) []ID {
	return append(append([]ID{ids[1]}, ids...), ids[1])
}

func userKeepsSets(t *trial) {
	h := t.holder()
	u := *h.user
	u.Roles, u.Groups, u.Licenses = scrambled(u.Roles), scrambled(u.Groups), scrambled(u.Licenses)
	t.saveUser(u)
	t.same("a user who was saved with everything twice", t.storedUser(u.ID), h.user)
}

func tokenKeepsSets(t *trial) {
	h := t.holder()
	token := *h.token
	token.Roles, token.Groups = scrambled(token.Roles), scrambled(token.Groups)
	token.Licenses = scrambled(token.Licenses)
	t.saveToken(token)
	t.same("a token that was saved with everything twice", t.stored(token.ID), h.token)
}

func groupKeepsSets(t *trial) {
	h := t.holder()
	g := *h.group
	g.Roles = scrambled(g.Roles)
	groups().save(t, &g)
	t.same("a group that was saved with everything twice", groups().stored(t, g.ID), h.group)
}

// refused checks that a transaction is refused for one field.
func (t *trial) refused(field string, f func(tx latchward.Tx) error) {
	t.Helper()
	_, err := t.store.Tx(t.ctx, f)
	t.code("saving what has unknown "+field, err, latchward.CodeInvalid)
	if got := latchward.ErrorField(err); got != field {
		t.Errorf("saving what has unknown %s: the error %v names the field %q", field, err, got)
	}
}

func userRefusesUnknown(t *trial) {
	gone := t.group(removedGroup)
	for field, edits := range map[string][]func(u *latchward.User){
		"roles": {func(u *latchward.User) { u.Roles = []latchward.RoleID{latchward.RoleAuditor, 1000} }},
		"groups": {
			func(u *latchward.User) { u.Groups = []latchward.GroupID{1000} },
			func(u *latchward.User) { u.Groups = []latchward.GroupID{gone.ID} },
		},
		"licenses": {func(u *latchward.User) { u.Licenses = []latchward.LicenseID{1000} }},
	} {
		for _, edit := range edits {
			u := t.user()
			changed := *u
			edit(&changed)
			t.refused(field, func(tx latchward.Tx) error { saved := changed; return tx.SaveUser(&saved) })
			t.same("a user whose change was refused", t.storedUser(u.ID), u)
		}
	}
}

func tokenRefusesUnknown(t *trial) {
	owner, gone := t.user(), t.group(removedGroup)
	for field, edits := range map[string][]func(token *latchward.Token){
		"roles": {func(token *latchward.Token) { token.Roles = []latchward.RoleID{1000} }},
		"groups": {
			func(token *latchward.Token) { token.Groups = []latchward.GroupID{1000} },
			func(token *latchward.Token) { token.Groups = []latchward.GroupID{gone.ID} },
		},
		"licenses": {func(token *latchward.Token) { token.Licenses = []latchward.LicenseID{1000} }},
		"owner": {
			func(token *latchward.Token) { token.Owner.ID += 1000 },
			func(token *latchward.Token) { token.Owner = latchward.Owner{Type: latchward.OwnerGroup, ID: 1000} },
			func(token *latchward.Token) { token.Owner.Type = "nobody" },
		},
	} {
		for _, edit := range edits {
			token := t.token(owner)
			changed := *token
			edit(&changed)
			t.refused(field, func(tx latchward.Tx) error { saved := changed; return tx.SaveToken(&saved) })
			t.same("a token whose change was refused", t.stored(token.ID), token)
		}
	}
}

func groupRefusesUnknown(t *trial) {
	g := t.group()
	t.refused("roles", func(tx latchward.Tx) error {
		changed := *g
		changed.Roles = []latchward.RoleID{1000}
		return tx.SaveGroup(&changed)
	})
	t.same("a group whose change was refused", groups().stored(t, g.ID), g)
}
