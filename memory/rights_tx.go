package memory

import (
	"slices"
	"strconv"

	"github.com/latchward/latchward"
)

// decimal returns an id as changes name it.
func decimal[ID ~int64](id ID) string { return strconv.FormatInt(int64(id), 10) }

func nameTaken(what string) error {
	return &latchward.Error{Code: latchward.CodeConflict, Field: "name", Message: "another " + what + " has this name"}
}

// checkHeld returns an Error of code invalid for what does not exist, or is a removed group.
func (r *rights) checkHeld(
	roles []latchward.RoleID, groups []latchward.GroupID, licenses []latchward.LicenseID,
) error {
	for _, id := range roles {
		if r.roles[id] == nil {
			return latchward.Invalid("roles", "there is no role %d", id)
		}
	}
	for _, id := range groups {
		if g := r.groups[id]; g == nil || g.Removed() {
			return latchward.Invalid("groups", "there is no group %d", id)
		}
	}
	for _, id := range licenses {
		if r.licenses[id] == nil {
			return latchward.Invalid("licenses", "there is no license %d", id)
		}
	}
	return nil
}

// Role implements [latchward.Tx].
func (tx *transaction) Role(id latchward.RoleID) (*latchward.Role, error) {
	return copyRole(tx.store.rights.roles[id])
}

// RoleByName implements [latchward.Tx].
func (tx *transaction) RoleByName(name string) (*latchward.Role, error) {
	return copyRole(tx.store.rights.roleNamed(name))
}

// SaveRole implements [latchward.Tx].
func (tx *transaction) SaveRole(r *latchward.Role) error {
	all := &tx.store.rights
	if r.ID != 0 && all.roles[r.ID] == nil {
		return notFound("role")
	}
	if other := all.roleNamed(r.Name); other != nil && other.ID != r.ID {
		return nameTaken("role")
	}
	if r.ID == 0 {
		all.lastRole++
		r.ID = all.lastRole
	}
	kept, err := copyRole(r)
	put(tx, all.roles, r.ID, kept)
	tx.changed(latchward.ChangeRole, decimal(r.ID))
	return err
}

// DeleteRole implements [latchward.Tx].
func (tx *transaction) DeleteRole(id latchward.RoleID) error {
	s := tx.store
	if s.rights.roles[id] == nil {
		return notFound("role")
	}
	drop(tx, s.rights.roles, id)
	tx.editUsers(func(u *latchward.User) bool { return take(&u.Roles, id) })
	tx.editTokens(func(t *latchward.Token) bool { return take(&t.Roles, id) })
	for _, g := range s.rights.groups {
		if c, _ := copyGroup(g); take(&c.Roles, id) {
			put(tx, s.rights.groups, c.ID, c)
		}
	}
	tx.changed(latchward.ChangeRole, decimal(id))
	return nil
}

// take takes id from ids and reports whether it was there.
func take[ID ~int64](ids *[]ID, id ID) bool {
	i := slices.Index(*ids, id)
	if i >= 0 {
		*ids = slices.Delete(*ids, i, i+1)
	}
	return i >= 0
}

// editUsers puts edited copies in the place of the users that edit says it has changed.
func (tx *transaction) editUsers(edit func(u *latchward.User) bool) {
	for _, u := range tx.store.users {
		if c, _ := copyUser(u); edit(c) {
			put(tx, tx.store.users, c.ID, c)
		}
	}
}

// editTokens does the same to tokens and returns the records of those that were changed.
func (tx *transaction) editTokens(edit func(t *latchward.Token) bool) (edited []*record) {
	for _, r := range tx.store.tokens {
		if c := r.token.Clone(); edit(c) {
			after := &record{token: c, retired: r.retired}
			put(tx, tx.store.tokens, c.ID, after)
			edited = append(edited, after)
		}
	}
	return edited
}

// Group implements [latchward.Tx].
func (tx *transaction) Group(id latchward.GroupID) (*latchward.Group, error) {
	return copyGroup(tx.store.rights.groups[id])
}

// GroupByName implements [latchward.Tx].
func (tx *transaction) GroupByName(name string) (*latchward.Group, error) {
	return copyGroup(tx.store.rights.groupNamed(name))
}

// SaveGroup implements [latchward.Tx].
func (tx *transaction) SaveGroup(g *latchward.Group) error {
	all := &tx.store.rights
	if g.ID != 0 && all.groups[g.ID] == nil {
		return notFound("group")
	}
	if other := all.groupNamed(g.Name); other != nil && other.ID != g.ID && !g.Removed() {
		return nameTaken("group")
	}
	if err := all.checkHeld(g.Roles, nil, nil); err != nil {
		return err
	}
	if g.ID == 0 {
		all.lastGroup++
		g.ID = all.lastGroup
	}
	kept, err := copyGroup(g)
	put(tx, all.groups, g.ID, kept)
	if g.Removed() {
		tx.editUsers(func(u *latchward.User) bool { return take(&u.Groups, g.ID) })
		tx.editTokens(func(t *latchward.Token) bool { return take(&t.Groups, g.ID) })
	}
	tx.changed(latchward.ChangeGroup, decimal(g.ID))
	tx.changed(latchward.ChangeOwner, latchward.Owner{Type: latchward.OwnerGroup, ID: int64(g.ID)}.String())
	return err
}

// License implements [latchward.Tx].
func (tx *transaction) License(id latchward.LicenseID) (*latchward.License, error) {
	return copyLicense(tx.store.rights.licenses[id])
}

// LicenseByName implements [latchward.Tx].
func (tx *transaction) LicenseByName(name string) (*latchward.License, error) {
	return copyLicense(tx.store.rights.licenseNamed(name))
}

// Seats implements [latchward.Tx].
func (tx *transaction) Seats(id latchward.LicenseID) (int64, error) { return tx.store.seats()[id], nil }

// SaveLicense implements [latchward.Tx].
func (tx *transaction) SaveLicense(l *latchward.License) error {
	all := &tx.store.rights
	if l.ID != 0 && all.licenses[l.ID] == nil {
		return notFound("license")
	}
	if other := all.licenseNamed(l.Name); other != nil && other.ID != l.ID {
		return nameTaken("license")
	}
	if l.ID == 0 {
		all.lastLicense++
		l.ID = all.lastLicense
	}
	kept, err := copyLicense(l)
	put(tx, all.licenses, l.ID, kept)
	tx.changed(latchward.ChangeLicense, decimal(l.ID))
	return err
}

// DeleteLicense implements [latchward.Tx].
func (tx *transaction) DeleteLicense(id latchward.LicenseID) error {
	if tx.store.rights.licenses[id] == nil {
		return notFound("license")
	}
	drop(tx, tx.store.rights.licenses, id)
	tx.editUsers(func(u *latchward.User) bool { return take(&u.Licenses, id) })
	tx.editTokens(func(t *latchward.Token) bool { return take(&t.Licenses, id) })
	tx.changed(latchward.ChangeLicense, decimal(id))
	return nil
}

// Permission implements [latchward.Tx].
func (tx *transaction) Permission(name string) (*latchward.Permission, error) {
	p := tx.store.rights.permissions[name]
	if p == nil {
		return nil, notFound("permission")
	}
	c := *p
	return &c, nil
}

// SavePermission implements [latchward.Tx].
func (tx *transaction) SavePermission(p *latchward.Permission) error {
	kept := *p
	put(tx, tx.store.rights.permissions, p.Name, &kept)
	return nil
}

// DeletePermission implements [latchward.Tx].
func (tx *transaction) DeletePermission(name string) error {
	all := &tx.store.rights
	if all.permissions[name] == nil {
		return notFound("permission")
	}
	drop(tx, all.permissions, name)
	for _, r := range all.roles {
		if c, _ := copyRole(r); takePermission(&c.Permissions, name) {
			put(tx, all.roles, c.ID, c)
			tx.changed(latchward.ChangeRole, decimal(c.ID))
		}
	}
	edited := tx.editTokens(func(t *latchward.Token) bool { return takePermission(&t.Permissions, name) })
	if len(edited) > 0 {
		tx.changedToken(edited...)
	}
	return nil
}

// takePermission takes every mention of a permission from a list and reports whether there was any. What is left is a
// list, also when it is empty: nil would mean the owner's rights.
func takePermission(list *[]string, name string) bool {
	before := len(*list)
	*list = slices.DeleteFunc(*list, func(p string) bool { return p == name })
	return len(*list) < before
}
