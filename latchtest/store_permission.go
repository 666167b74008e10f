package latchtest

import (
	"fmt"
	"time"

	"github.com/latchward/latchward"
)

const (
	registry          = "Permissions returns all entries of the registry that were saved, ordered by name."
	txPermission      = "Permission returns a copy of the entry of the registry with that name."
	savesPermission   = "SavePermission inserts or replaces the entry of the registry with that name."
	deletesPermission = "DeletePermission makes the entry disappear, and the permission from every list that names it, " +
		"of roles and of tokens; a list that becomes empty must stay an empty list (X-12)."
	namesPermission = "The commit must name what had it as changed."
	txRights        = "Tx runs f and commits all that f saved, or nothing when f or the commit fails."
)

func permissionPromises() []storePromise {
	return []storePromise{
		{"Permissions/ReturnsWholeOnesByName", registry, permissionsWhole},
		{"Tx.Permission/ReturnsACopy", txPermission, txPermissionIsACopy},
		{"Tx.Permission/UnknownIsNotFound", notFound, txPermissionOfNothing},
		{"Tx.SavePermission/InsertsAndReplaces", savesPermission, permissionReplaces},
		{"Tx.DeletePermission/MakesItDisappear", deletesPermission, permissionDisappears},
		{"Tx.DeletePermission/TakesItFromRoles", deletesPermission, permissionLeavesRoles},
		{"Tx.DeletePermission/TakesItFromTokens", deletesPermission, permissionLeavesTokens},
		{"Tx.DeletePermission/NamesRoles", namesPermission, permissionNamesRoles},
		{"Tx.DeletePermission/NamesTokens", namesPermission, permissionNamesTokens},
		{"Tx.DeletePermission/UnknownIsNotFound", notFound, permissionOfNothing},
		{"Tx/KeepsNoRightsWhenFFails", txRights, txKeepsNoRights},
		{"Tx/NamesRightsWhenFFails", txNames, txNamesRights},
	}
}

func wholePermission(name string) *latchward.Permission {
	return &latchward.Permission{
		Name: name, Title: "Read 🐝", Description: "line\nbreak", BuiltIn: true,
		CreatedAt: epoch(), UpdatedAt: epoch().Add(time.Millisecond),
	}
}

func barePermission(name string) *latchward.Permission {
	return &latchward.Permission{Name: name, CreatedAt: epoch(), UpdatedAt: epoch()}
}

func (t *trial) permission(p *latchward.Permission) *latchward.Permission {
	t.Helper()
	ran := false
	t.tx(func(tx latchward.Tx) error {
		saved := *p
		ran = true
		return tx.SavePermission(&saved)
	})
	if !ran {
		t.Fatalf("Tx did not run its function")
	}
	return p
}

func (t *trial) samePermissions(what string, want ...*latchward.Permission) {
	t.Helper()
	got, err := t.store.Permissions(t.ctx)
	t.must(err)
	t.same(what, got, want)
}

func permissionsWhole(t *trial) {
	t.samePermissions("the registry of an empty store")
	b, a := t.permission(wholePermission("b.b")), t.permission(barePermission("b.a"))
	c := t.permission(wholePermission("b.b_"))
	t.samePermissions("the registry", a, b, c)
	got, err := t.store.Permissions(t.ctx)
	t.must(err)
	for _, p := range got {
		p.Title = "scribble"
	}
	t.samePermissions("the registry after an answer was scribbled on", a, b, c)
}

func txPermissionIsACopy(t *trial) {
	t.permission(barePermission("x.yy"))
	p := t.permission(wholePermission("x.y"))
	t.tx(func(tx latchward.Tx) error {
		for range 2 {
			got, err := tx.Permission("x.y")
			if err != nil {
				return err
			}
			t.same("Tx.Permission", got, p)
			if got != nil {
				got.Title = "scribble"
			}
		}
		return nil
	})
}

func txPermissionOfNothing(t *trial) {
	t.permission(wholePermission("x.y"))
	t.tx(func(tx latchward.Tx) error {
		for _, name := range []string{"", "x", "x.%", "X.Y"} {
			_, err := tx.Permission(name)
			t.code(fmt.Sprintf("Tx.Permission(%q)", name), err, latchward.CodeNotFound)
		}
		return nil
	})
}

func permissionReplaces(t *trial) {
	other := t.permission(wholePermission("a.b"))
	for _, p := range []*latchward.Permission{wholePermission("x.y"), barePermission("x.y"), wholePermission("x.y")} {
		t.permission(p)
		t.samePermissions("the registry after an entry was saved", other, p)
	}
}

func (t *trial) deletePermission(name string) latchward.Commit {
	t.Helper()
	return t.tx(func(tx latchward.Tx) error { return tx.DeletePermission(name) })
}

func permissionDisappears(t *trial) {
	t.permission(wholePermission("x.y"))
	other := t.permission(wholePermission("x.z"))
	t.deletePermission("x.y")
	t.samePermissions("the registry after a deletion", other)
}

// lists are grants before and after x.y was deleted.
func grantLists() [][2][]string {
	return [][2][]string{
		{{"a.b", "x.y", "*", "x.y", "c.d"}, {"a.b", "*", "c.d"}},
		{{"x.y"}, {}},
		{{"x.*", "*.y", "*", "x.yy", "xx.y"}, {"x.*", "*.y", "*", "x.yy", "xx.y"}},
		{{}, {}},
	}
}

func permissionLeavesRoles(t *trial) {
	t.permission(wholePermission("x.y"))
	var want []*latchward.Role
	for i, list := range grantLists() {
		r := roles().whole(t, fmt.Sprintf("r%d", i))
		r.Permissions = list[0]
		saved := *roles().save(t, r)
		saved.Permissions = list[1]
		want = append(want, &saved)
	}
	t.deletePermission("x.y")
	for _, r := range want {
		t.same("a role after a permission was deleted", roles().stored(t, r.ID), r)
	}
}

func permissionLeavesTokens(t *trial) {
	t.permission(wholePermission("x.y"))
	owner := t.user()
	var want []*latchward.Token
	for _, list := range append(grantLists(), [2][]string{nil, nil}) {
		token := t.token(owner, func(token *latchward.Token) { token.Permissions = list[0] })
		token.Permissions = list[1]
		want = append(want, token)
	}
	revoked := t.token(owner, full, func(token *latchward.Token) { token.Permissions = []string{"x.y"} })
	revoked.Permissions = []string{}
	t.deletePermission("x.y")
	for _, token := range append(want, revoked) {
		t.same("a token after a permission was deleted", t.stored(token.ID), token)
		t.same("its facts after a permission was deleted", t.facts(token.Secret.KeyID).Token, token)
	}
}

func permissionNamesRoles(t *trial) {
	t.permission(wholePermission("x.y"))
	r := roles().whole(t, "r")
	r.Permissions = []string{"x.y"}
	r = roles().save(t, r)
	t.names("DeletePermission", t.deletePermission("x.y"), latchward.ChangeRole, fmt.Sprint(r.ID))
}

func permissionNamesTokens(t *trial) {
	t.permission(wholePermission("x.y"))
	first := t.token(nil, func(token *latchward.Token) { token.Permissions = []string{"x.y"} })
	second, _ := t.rotate(first, epoch())
	t.names("DeletePermission", t.deletePermission("x.y"), latchward.ChangeToken,
		first.Secret.KeyID.String(), second.Secret.KeyID.String())
}

func permissionOfNothing(t *trial) {
	t.permission(wholePermission("x.y"))
	t.deletePermission("x.y")
	for _, name := range []string{"x.y", "x.%", ""} {
		_, err := t.store.Tx(t.ctx, func(tx latchward.Tx) error { return tx.DeletePermission(name) })
		t.code("DeletePermission of what is not in the registry", err, latchward.CodeNotFound)
	}
}

// undoneRights makes and changes one of everything that gives rights.
func undoneRights(t *trial, tx latchward.Tx, h holder) error {
	g := *h.group
	removedGroup(&g)
	l := *h.license
	l.MaxSeats = 7
	for _, err := range []error{
		tx.SaveRole(roles().whole(t, "undone")), tx.SaveGroup(groups().whole(t, "undone")),
		tx.SaveLicense(licenses().whole(t, "undone")), tx.SavePermission(wholePermission("undone.x")),
		tx.DeletePermission("a.read"), tx.SaveGroup(&g), tx.DeleteRole(h.role.ID), tx.SaveLicense(&l),
		tx.DeleteLicense(h.user.Licenses[1]),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

func txKeepsNoRights(t *trial) {
	h := t.holder()
	p := t.permission(wholePermission("a.read"))
	t.failTx(func(tx latchward.Tx) error { return undoneRights(t, tx, h) })
	t.sameHeld("after a transaction failed", h, h.user.Roles, h.user.Groups, h.user.Licenses)
	t.same("a role", roles().stored(t, h.role.ID), h.role)
	t.same("a group", groups().stored(t, h.group.ID), h.group)
	t.same("a license", licenses().stored(t, h.license.ID), h.license)
	t.samePermissions("the registry", p)
	t.tx(func(tx latchward.Tx) error {
		_, err := tx.RoleByName("undone")
		t.code("RoleByName of what was not committed", err, latchward.CodeNotFound)
		_, err = tx.GroupByName("undone")
		t.code("GroupByName of what was not committed", err, latchward.CodeNotFound)
		_, err = tx.LicenseByName("undone")
		t.code("LicenseByName of what was not committed", err, latchward.CodeNotFound)
		return nil
	})
}

func txNamesRights(t *trial) {
	h := t.holder()
	t.permission(wholePermission("a.read"))
	commit := t.failTx(func(tx latchward.Tx) error { return undoneRights(t, tx, h) })
	t.names("a transaction that failed", commit, latchward.ChangeRole, fmt.Sprint(h.role.ID))
	t.names("a transaction that failed", commit, latchward.ChangeGroup, fmt.Sprint(h.group.ID))
	t.names("a transaction that failed", commit, latchward.ChangeLicense, fmt.Sprint(h.license.ID))
	t.names("a transaction that failed", commit, latchward.ChangeOwner, groupOwner(h.group).String())
}
