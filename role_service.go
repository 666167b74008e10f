package latchward

import (
	"context"
	"slices"
	"time"
)

// loadRole returns a role, with its fixed definition if it exists from the start.
func loadRole(tx Tx, id RoleID) (*Role, error) {
	role, err := tx.Role(id)
	if err != nil {
		return nil, err
	}
	return asDefined(role), nil
}

// asDefined gives a role that exists from the start what it is to hold, whatever a database says.
func asDefined(r *Role) *Role {
	if fixed := builtInRole(r.ID); fixed != nil {
		fixed.CreatedAt, fixed.UpdatedAt = r.CreatedAt, r.UpdatedAt
		return fixed
	}
	return r
}

// Roles returns all roles, those that exist from the start first. It needs roles.read.
func (s *Service) Roles(ctx context.Context) ([]*Role, error) {
	if _, err := holder(ctx, PermissionRolesRead); err != nil {
		return nil, err
	}
	roles, err := s.store.Roles(ctx)
	for i, role := range roles {
		roles[i] = asDefined(role)
	}
	return roles, err
}

// Role returns one role. It needs roles.read.
func (s *Service) Role(ctx context.Context, id RoleID) (*Role, error) {
	if _, err := holder(ctx, PermissionRolesRead); err != nil {
		return nil, err
	}
	role, err := s.store.Role(ctx, id)
	if err != nil {
		return nil, noSuch(err, "Role")
	}
	return asDefined(role), nil
}

func noSuch(err error, what string) error {
	if ErrorCode(err) == CodeNotFound {
		return &Error{Code: CodeNotFound, Message: what + " not found"}
	}
	return err
}

// CreateRole adds a role. It needs roles.create, and all that the role is to grant. Errors: invalid, conflict for a
// name that is taken, forbidden.
func (s *Service) CreateRole(ctx context.Context, n NewRole) (created *Role, err error) {
	defer s.noteDenial(ctx, PermissionRolesCreate, 0, n.Name, &err)
	p, err := holder(ctx, PermissionRolesCreate)
	if err != nil {
		return nil, err
	}
	if err := ValidateGrants("permissions", n.Permissions); err != nil { // before they are sorted: it says which
		return nil, err
	}
	now := s.timestamp()
	role := Role{
		Name: n.Name, Title: n.Title, Description: n.Description, Permissions: sortedGrants(n.Permissions),
		CreatedAt: now, UpdatedAt: now,
	}
	if err := role.Validate(); err != nil {
		return nil, err
	}
	created = &Role{}
	err = s.tx(ctx, func(tx Tx) error {
		*created = role
		if err := authorizeGiving(tx, p, held{permissions: n.Permissions}); err != nil {
			return err
		}
		if err := tx.SaveRole(created); err != nil {
			return err
		}
		return s.auditRole(tx, p, ActionRoleCreate, created, nil, now)
	})
	if err != nil {
		return nil, err
	}
	return created, nil
}

func sortedGrants(grants []string) []string {
	sorted := slices.Clone(grants)
	slices.Sort(sorted)
	return append([]string{}, slices.Compact(sorted)...)
}

// UpdateRole changes what u names, for everybody who has the role, from the next request on. It needs roles.update,
// and all that the role granted before and is to grant.
func (s *Service) UpdateRole(ctx context.Context, id RoleID, u RoleUpdate) (*Role, error) {
	return s.changeRole(ctx, PermissionRolesUpdate, id, func(tx Tx, p Principal, role *Role, now time.Time) error {
		if err := checkRevision(u.Revisions, role.Revision()); err != nil {
			return err
		}
		before := roleFacts(role)
		old := role.Permissions
		set(&role.Name, u.Name)
		set(&role.Title, u.Title)
		set(&role.Description, u.Description)
		if u.Permissions != nil {
			if err := ValidateGrants("permissions", *u.Permissions); err != nil {
				return err
			}
			if err := authorizeGiving(tx, p, held{permissions: *u.Permissions}); err != nil {
				return err
			}
			role.Permissions = sortedGrants(*u.Permissions)
		}
		role.UpdatedAt = now
		if err := role.Validate(); err != nil {
			return err
		}
		if err := authorizeGiving(tx, p, held{permissions: old}); err != nil {
			return err
		}
		if err := tx.SaveRole(role); err != nil {
			return err
		}
		return s.auditRole(tx, p, ActionRoleUpdate, role, before, now)
	})
}

// DeleteRole takes the role from everybody who has it. It needs roles.delete.
func (s *Service) DeleteRole(ctx context.Context, id RoleID) error {
	_, err := s.changeRole(ctx, PermissionRolesDelete, id, func(tx Tx, p Principal, role *Role, now time.Time) error {
		if err := tx.DeleteRole(id); err != nil {
			return err
		}
		return s.auditChange(tx, p, ActionRoleDelete, roleTarget(role), roleFacts(role), nil, now)
	})
	return err
}

func (s *Service) changeRole(
	ctx context.Context, permission string, id RoleID, edit func(tx Tx, p Principal, role *Role, now time.Time) error,
) (changed *Role, err error) {
	defer s.noteDenial(ctx, permission, int64(id), "", &err)
	p, err := holder(ctx, permission)
	if err != nil {
		return nil, err
	}
	now := s.timestamp()
	err = s.tx(ctx, func(tx Tx) error {
		role, err := tx.Role(id)
		if err != nil {
			return noSuch(err, "Role")
		}
		if role.BuiltIn() {
			return &Error{Code: CodeConflict, Message: "The role " + role.Name + " is built in; make one of your own instead"}
		}
		changed = role
		return edit(tx, p, role, now)
	})
	if err != nil {
		return nil, err
	}
	return changed, nil
}

func roleTarget(r *Role) target { return target{"role", int64(r.ID), r.Name} }

func (s *Service) auditRole(tx Tx, p Principal, action string, r *Role, before map[string]any, now time.Time) error {
	return s.auditChange(tx, p, action, roleTarget(r), before, roleFacts(r), now)
}

func roleFacts(r *Role) map[string]any {
	return map[string]any{
		"name": r.Name, "title": r.Title, "description": r.Description, "permissions": slices.Clone(r.Permissions),
	}
}
