package latchward

import (
	"context"
	"slices"
)

// HeldNames are the names of roles, groups and licenses that somebody has.
type HeldNames struct{ Roles, Groups, Licenses []string }

// Names returns what ids are called, in the order of the ids, from memory where they were read before. What is gone is
// left out. It asks nobody for permission: whoever may see a record may see what it names.
func (s *Service) Names(
	ctx context.Context, roles []RoleID, groups []GroupID, licenses []LicenseID,
) (HeldNames, error) {
	d := &s.cache.directory
	n := HeldNames{[]string{}, []string{}, []string{}}
	for _, id := range slices.Sorted(slices.Values(roles)) {
		role, err := d.roles.get(ctx, id)
		if err != nil {
			return n, err
		}
		if role.ID != 0 {
			n.Roles = append(n.Roles, asDefined(role).Name)
		}
	}
	for _, id := range slices.Sorted(slices.Values(groups)) {
		group, err := d.groups.get(ctx, id)
		if err != nil {
			return n, err
		}
		if group.ID != 0 && !group.Removed() {
			n.Groups = append(n.Groups, group.Name)
		}
	}
	for _, id := range slices.Sorted(slices.Values(licenses)) {
		license, err := d.licenses.get(ctx, id)
		if err != nil {
			return n, err
		}
		if license.ID != 0 {
			n.Licenses = append(n.Licenses, license.Name)
		}
	}
	return n, nil
}

// Named is what one name of each kind stands for; 0 where there was no name.
type Named struct {
	Role    RoleID
	Group   GroupID
	License LicenseID
}

// Find returns what names stand for, for filters; "" stands for nothing. A name that nothing has is an Error of code
// invalid with the field "role", "group" or "license".
func (s *Service) Find(ctx context.Context, role, group, license string) (found Named, err error) {
	if role == "" && group == "" && license == "" {
		return found, nil
	}
	if _, err := anyActor(ctx); err != nil {
		return found, err
	}
	err = s.tx(ctx, func(tx Tx) error {
		var err error
		if found.Role, err = findOne("role", role, tx.RoleByName, func(r *Role) RoleID { return r.ID }); err != nil {
			return err
		}
		if found.Group, err = findOne("group", group, tx.GroupByName, func(g *Group) GroupID { return g.ID }); err != nil {
			return err
		}
		found.License, err = findOne("license", license, tx.LicenseByName, func(l *License) LicenseID { return l.ID })
		return err
	})
	return found, err
}

func findOne[T any, ID ~int64](field, name string, find func(string) (*T, error), id func(*T) ID) (ID, error) {
	if name == "" {
		return 0, nil
	}
	record, err := find(name)
	if ErrorCode(err) == CodeNotFound {
		return 0, Invalid(field, "there is none with this name")
	}
	if err != nil {
		return 0, err
	}
	return id(record), nil
}
