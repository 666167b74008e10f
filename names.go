package latchward

import (
	"fmt"
	"slices"
	"time"
)

// resolve returns what names stand for, each once. An unknown name is an Error of code invalid that says which.
func resolve[ID comparable](field string, names []string, find func(name string) (ID, error)) ([]ID, error) {
	var ids []ID
	for i, name := range names {
		id, err := find(name)
		if ErrorCode(err) == CodeNotFound {
			return nil, Invalid(fmt.Sprintf("%s[%d]", field, i), "there is none with this name")
		}
		if err != nil {
			return nil, err
		}
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

func resolveRoles(tx Tx, names []string) ([]RoleID, error) {
	return resolve("roles", names, func(name string) (RoleID, error) {
		r, err := tx.RoleByName(name)
		if err != nil {
			return 0, err
		}
		return r.ID, nil
	})
}

func resolveGroups(tx Tx, names []string) ([]GroupID, error) {
	return resolve("groups", names, func(name string) (GroupID, error) {
		g, err := tx.GroupByName(name)
		if err != nil {
			return 0, err
		}
		return g.ID, nil
	})
}

func resolveLicenses(tx Tx, names []string) ([]LicenseID, error) {
	return resolve("licenses", names, func(name string) (LicenseID, error) {
		l, err := tx.LicenseByName(name)
		if err != nil {
			return 0, err
		}
		return l.ID, nil
	})
}

// names are what a caller says that a user, group or token is to have; nil leaves a list as it is.
type names struct{ roles, groups, licenses *[]string }

// resolveInto replaces the lists of h that n names.
func (n names) resolveInto(tx Tx, h *held) (err error) {
	if n.roles != nil {
		if h.roles, err = resolveRoles(tx, *n.roles); err != nil {
			return err
		}
	}
	if n.groups != nil {
		if h.groups, err = resolveGroups(tx, *n.groups); err != nil {
			return err
		}
	}
	if n.licenses != nil {
		h.licenses, err = resolveLicenses(tx, *n.licenses)
	}
	return err
}

// give gives t the roles, groups and licenses that n names.
func (n names) give(tx Tx, t *Token) error {
	h := heldByToken(t)
	if err := n.resolveInto(tx, &h); err != nil {
		return err
	}
	t.Roles, t.Groups, t.Licenses = h.roles, h.groups, h.licenses
	return nil
}

// takeSeats checks that there is a seat for every license that is new to somebody who is about to be saved.
func takeSeats(tx Tx, licenses []LicenseID) error {
	for _, id := range licenses {
		license, err := tx.License(id)
		if err != nil {
			return err
		}
		taken, err := tx.Seats(id)
		if err != nil {
			return err
		}
		if license.MaxSeats > 0 && taken >= license.MaxSeats {
			return &Error{Code: CodeConflict, Field: "licenses", Message: fmt.Sprintf(
				"All %d seats of the license %s are taken", license.MaxSeats, license.Name)}
		}
	}
	return nil
}

// target is what an audit entry is about.
type target struct {
	kind string
	id   int64
	name string
}

// auditChange leaves an entry about a change; before is nil for a creation and after for a deletion.
func (s *Service) auditChange(tx Tx, p Principal, action string, t target, before, after map[string]any, now time.Time) error {
	entry := &AuditEntry{
		At: now, Actor: p, Action: action, TargetType: t.kind, TargetID: t.id, TargetName: t.name, Before: before, After: after,
	}
	if before != nil && after != nil {
		entry.Before, entry.After = changes(before, after)
	}
	return tx.AppendAudit(entry)
}
