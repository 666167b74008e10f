package latchward

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// MaxRegistry bounds the entries of the registry of permissions.
const MaxRegistry = 10_000

// Permissions returns the registry: what Latchward and the program declare, and what was added by hand, in the order
// of names. It needs permissions.read.
func (s *Service) Permissions(ctx context.Context) ([]*Permission, error) {
	if _, err := holder(ctx, PermissionPermissionsRead); err != nil {
		return nil, err
	}
	saved, err := s.store.Permissions(ctx)
	if err != nil {
		return nil, err
	}
	list := slices.Clone(s.declared)
	for _, permission := range saved {
		if s.declares(permission.Name) == nil {
			list = append(list, permission)
		}
	}
	slices.SortFunc(list, func(a, b *Permission) int { return cmp.Compare(a.Name, b.Name) })
	return list, nil
}

func (s *Service) declares(name string) *Permission {
	for _, permission := range s.declared {
		if permission.Name == name {
			return permission
		}
	}
	return nil
}

// SavePermission adds an entry to the registry or explains one anew. It needs permissions.create or permissions.update.
func (s *Service) SavePermission(ctx context.Context, n Permission) (saved *Permission, err error) {
	defer s.noteDenial(ctx, PermissionPermissionsUpdate, 0, n.Name, &err)
	p, err := actor(ctx)
	if err != nil {
		return nil, err
	}
	if err := n.Validate(); err != nil {
		return nil, err
	}
	if s.declares(n.Name) != nil {
		return nil, &Error{Code: CodeConflict, Field: "name", Message: "The permission " + n.Name + " is declared by the program"}
	}
	if err := s.checkRegistry(ctx); err != nil {
		return nil, err
	}
	now := s.timestamp()
	saved = &Permission{}
	err = s.tx(ctx, func(tx Tx) error {
		*saved = Permission{Name: n.Name, Title: n.Title, Description: n.Description, CreatedAt: now, UpdatedAt: now}
		old, err := savedPermission(tx, n.Name)
		if err != nil {
			return err
		}
		return s.savePermission(tx, p, saved, old, now)
	})
	if err != nil {
		return nil, err
	}
	return saved, nil
}

func (s *Service) savePermission(tx Tx, p Principal, saved, old *Permission, now time.Time) error {
	action, needed := ActionPermissionCreate, PermissionPermissionsCreate
	var before map[string]any
	if old != nil {
		action, needed = ActionPermissionUpdate, PermissionPermissionsUpdate
		saved.CreatedAt, before = old.CreatedAt, permissionFacts(old)
	}
	if !p.May(needed) {
		return lacks(needed)
	}
	if err := tx.SavePermission(saved); err != nil {
		return err
	}
	return s.auditChange(tx, p, action, target{kind: "permission", name: saved.Name}, before, permissionFacts(saved), now)
}

// savedPermission returns an entry that was added by hand, or nil.
func savedPermission(tx Tx, name string) (*Permission, error) {
	saved, err := tx.Permission(name)
	if ErrorCode(err) == CodeNotFound {
		return nil, nil
	}
	return saved, err
}

func (s *Service) checkRegistry(ctx context.Context) error {
	saved, err := s.store.Permissions(ctx)
	if err == nil && len(saved) >= MaxRegistry {
		err = Errorf(CodeConflict, "The registry holds at most %d permissions; delete some", MaxRegistry)
	}
	return err
}

// DeletePermission removes an entry from the registry, and the permission from every role and token that names it: a
// list that becomes empty stays an empty list, which grants nothing. It needs permissions.delete.
func (s *Service) DeletePermission(ctx context.Context, name string) (err error) {
	defer s.noteDenial(ctx, PermissionPermissionsDelete, 0, name, &err)
	p, err := holder(ctx, PermissionPermissionsDelete)
	if err != nil {
		return err
	}
	if s.declares(name) != nil {
		return &Error{Code: CodeConflict, Message: "The permission " + name + " is declared by the program"}
	}
	now := s.timestamp()
	return s.tx(ctx, func(tx Tx) error {
		old, err := savedPermission(tx, name)
		if err != nil {
			return err
		}
		if old == nil {
			return &Error{Code: CodeNotFound, Message: "Permission not found"}
		}
		if err := tx.DeletePermission(name); err != nil {
			return err
		}
		target := target{kind: "permission", name: name}
		return s.auditChange(tx, p, ActionPermissionDelete, target, permissionFacts(old), nil, now)
	})
}

func permissionFacts(p *Permission) map[string]any {
	return map[string]any{"name": p.Name, "title": p.Title, "description": p.Description}
}

// builtInPermissions are the permissions over Latchward itself.
func builtInPermissions() []*Permission {
	list := []*Permission{
		{Name: PermissionVerify, Title: "Ask for verdicts", Description: "A service token may ask whether others may make a request."},
		{Name: PermissionTokensCreate, Title: "Create tokens for others"},
		{Name: PermissionTokensRead, Title: "See everybody's tokens"},
		{Name: PermissionTokensUpdate, Title: "Change everybody's tokens"},
		{Name: PermissionTokensRotate, Title: "Rotate everybody's tokens"},
		{Name: PermissionTokensRevoke, Title: "Revoke everybody's tokens"},
		{Name: PermissionTokensDelete, Title: "Delete everybody's tokens"},
		{Name: PermissionTokensImport, Title: "Import tokens whose secrets were made elsewhere"},
		{Name: PermissionPoliciesRead, Title: "See the lifecycle policies"},
		{Name: PermissionPoliciesUpdate, Title: "Make, change, delete and apply lifecycle policies"},
		{Name: PermissionKeysRead, Title: "See the server keys"},
		{Name: PermissionKeysRotate, Title: "Rotate the server key"},
		{Name: PermissionKeysDrop, Title: "Drop a server key, with every token made under it"},
		{Name: PermissionAuditRead, Title: "Read the audit log"},
		{Name: PermissionAuditExport, Title: "Export the audit log"},
	}
	for _, resource := range []string{"users", "groups", "roles", "permissions", "licenses"} {
		list = append(list,
			&Permission{Name: resource + ".create", Title: "Add " + resource},
			&Permission{Name: resource + ".read", Title: "See all " + resource},
			&Permission{Name: resource + ".update", Title: "Change " + resource},
			&Permission{Name: resource + ".delete", Title: "Remove " + resource},
		)
	}
	for _, permission := range list {
		permission.BuiltIn = true
	}
	return list
}

// declarePermissions fills the registry with what Latchward and the program declare.
func (s *Service) declarePermissions() error {
	s.declared = builtInPermissions()
	for _, permission := range s.options.Permissions {
		if err := permission.Validate(); err != nil {
			return err
		}
		if s.declares(permission.Name) != nil {
			return Errorf(CodeInvalid, "the permission %s is declared twice", permission.Name)
		}
		permission.BuiltIn = true
		s.declared = append(s.declared, &permission)
	}
	return nil
}
