package latchtest

import (
	"fmt"

	"github.com/latchward/latchward"
)

// calledBy gives a user what a directory calls them.
func calledBy(userName, id string) func(u *latchward.User) {
	return func(u *latchward.User) { u.Directory = latchward.DirectoryEntry{UserName: userName, ID: id} }
}

func usersByUserName(t *trial) {
	t.user()
	ada := t.user(calledBy("Ada@Example.com", ""))
	t.user(calledBy("ada", ""))
	gone := t.user(removed, calledBy("ada@example.com", ""))
	for _, name := range []string{"Ada@Example.com", "ada@example.com", "ADA@EXAMPLE.COM"} {
		t.same("users called "+name, t.users(latchward.UserFilter{UserName: name}), []*latchward.User{ada})
	}
	t.same("users called so, with removed ones",
		t.users(latchward.UserFilter{UserName: "ada@example.com", IncludeRemoved: true}), []*latchward.User{ada, gone})
	for _, name := range []string{"ada@example", "%", "Ada@Example.com "} {
		t.same("users called "+name, t.users(latchward.UserFilter{UserName: name}), []*latchward.User(nil))
	}
	t.same("users called so behind them", t.users(latchward.UserFilter{UserName: "ada@example.com", After: ada.ID}),
		[]*latchward.User(nil))
}

func usersByDirectoryID(t *trial) {
	t.user()
	first, second := t.user(calledBy("a", "00u1")), t.user(calledBy("b", "00u1"))
	t.user(calledBy("c", "00U1"))
	t.user(removed, calledBy("", "00u1"))
	t.same("users known as 00u1", t.users(latchward.UserFilter{DirectoryID: "00u1"}), []*latchward.User{first, second})
	t.same("users known as %", t.users(latchward.UserFilter{DirectoryID: "%"}), []*latchward.User(nil))
	t.same("users known as 00u1 and called b", t.users(latchward.UserFilter{DirectoryID: "00u1", UserName: "B"}),
		[]*latchward.User{second})
}

func usersSkipped(t *trial) {
	var all []*latchward.User
	for i := range 5 {
		all = append(all, t.user(func(u *latchward.User) { u.Name = fmt.Sprintf("user %d", 9-i) }))
		t.user(removed)
	}
	for skip := range 7 {
		from := min(skip, len(all))
		want := append([]*latchward.User(nil), all[from:min(from+2, len(all))]...)
		t.same(fmt.Sprintf("users but the first %d", skip), t.users(latchward.UserFilter{Skip: skip, Limit: 2}), want)
	}
	t.same("users behind the first but one more", t.users(latchward.UserFilter{After: all[0].ID, Skip: 1}), all[2:])
}

func usersCounted(t *trial) {
	h := t.holder()
	t.user(removed)
	t.user(calledBy("ada", "1"), func(u *latchward.User) { u.Active = false })
	for _, c := range []struct {
		f    latchward.UserFilter
		want int64
	}{
		{latchward.UserFilter{}, 2}, {latchward.UserFilter{IncludeRemoved: true}, 3},
		{latchward.UserFilter{After: 1000, Skip: 5, Limit: 1}, 2}, {latchward.UserFilter{UserName: "ADA"}, 1},
		{latchward.UserFilter{DirectoryID: "1"}, 1}, {latchward.UserFilter{Query: "nobody"}, 0},
		{latchward.UserFilter{Group: h.group.ID}, 1},
	} {
		got, err := t.store.CountUsers(t.ctx, c.f)
		t.must(err)
		t.same(fmt.Sprintf("CountUsers(%+v)", c.f), got, c.want)
	}
}

// memberWorld saves two groups, with members besides tokens and others who have neither.
func memberWorld(t *trial) (group latchward.GroupID, members []latchward.UserID) {
	a, b := t.group().ID, t.group().ID
	t.holder()
	in := func(ids ...latchward.GroupID) latchward.UserID {
		return t.user(func(u *latchward.User) { u.Groups = ids }).ID
	}
	first := in(a)
	in(b)
	return a, []latchward.UserID{first, in(b, a), t.user(func(u *latchward.User) {
		u.Groups, u.Active = []latchward.GroupID{a}, false
	}).ID}
}

func membersByID(t *trial) {
	group, want := memberWorld(t)
	got, err := t.store.Members(t.ctx, group)
	t.must(err)
	t.same("Members", got, want)
	got, err = t.store.Members(t.ctx, group+1000)
	t.must(err)
	t.same("Members of an unknown group", len(got), 0)
}

func txMembersByID(t *trial) {
	group, want := memberWorld(t)
	t.tx(func(tx latchward.Tx) error {
		u := latchward.User{Name: "new", Groups: []latchward.GroupID{group}, CreatedAt: epoch(), UpdatedAt: epoch()}
		if err := tx.SaveUser(&u); err != nil {
			return err
		}
		got, err := tx.Members(group)
		t.same("Tx.Members", got, append(want, u.ID))
		return err
	})
}

func saveUserRefusesUserName(t *trial) {
	t.user(calledBy("Ada@Example.com", ""))
	other := t.user()
	other.Directory.UserName = "ADA@example.COM"
	t.userConflict("a changed user", *other, "user_name")
	t.userConflict("a new user", latchward.User{Directory: other.Directory, Active: true}, "user_name")
}

func saveUserTakesUserName(t *trial) {
	gone := t.user(removed, calledBy("ada", ""))
	u := t.user(calledBy("ADA", ""))
	t.saveUser(*gone) // the tombstone can still be saved
	t.same("who has a removed user's user name", t.storedUser(u.ID), u)
	t.saveUser(*u) // what is its own is no conflict
}
