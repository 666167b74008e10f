package latchward

import (
	"context"
	"time"
)

// Groups returns the groups that match. It needs groups.read.
func (s *Service) Groups(ctx context.Context, f GroupFilter) ([]*Group, error) {
	_, err := provisioner(ctx, PermissionGroupsRead)
	if err != nil {
		return nil, err
	}
	if f.Limit, err = pageLimit(f.Limit); err != nil {
		return nil, err
	}
	return s.store.Groups(ctx, f)
}

// Group returns one group. Members may see theirs; everybody else needs groups.read.
func (s *Service) Group(ctx context.Context, id GroupID) (*Group, error) {
	p, err := tokenActor(ctx, PermissionGroupsRead)
	if err != nil {
		return nil, err
	}
	if !p.owns(Owner{Type: OwnerGroup, ID: int64(id)}) && !p.May(PermissionGroupsRead) {
		return nil, noSuch(&Error{Code: CodeNotFound}, "Group")
	}
	group, err := s.store.Group(ctx, id)
	if err == nil && group.Removed() {
		err = &Error{Code: CodeNotFound}
	}
	if err != nil {
		return nil, noSuch(err, "Group")
	}
	return group, nil
}

// CreateGroup adds a group. It needs groups.create, and what its roles grant; members need what [Service.AddMember]
// needs. Errors: invalid, conflict for a name that is taken, forbidden.
func (s *Service) CreateGroup(ctx context.Context, n NewGroup) (created *Group, err error) {
	defer s.noteDenial(ctx, PermissionGroupsCreate, 0, n.Name, &err)
	p, err := provisioner(ctx, PermissionGroupsCreate)
	if err != nil {
		return nil, err
	}
	now := s.timestamp()
	group := Group{
		Name: n.Name, Title: n.Title, Description: n.Description, DirectoryID: n.DirectoryID, Active: true, CreatedAt: now, UpdatedAt: now,
	}
	created = &Group{}
	err = s.tx(ctx, func(tx Tx) error {
		*created = group
		roles, err := resolveRoles(tx, n.Roles)
		if err != nil {
			return err
		}
		created.Roles = roles
		if err := created.Validate(); err != nil {
			return err
		}
		if err := authorizeGiving(tx, p, held{roles: roles}); err != nil {
			return err
		}
		if err := tx.SaveGroup(created); err != nil {
			return err
		}
		if err := s.auditGroup(tx, p, ActionGroupCreate, created, nil, now); err != nil {
			return err
		}
		return s.changeMembers(tx, p, created, memberChange{join: n.Members}, now)
	})
	if err != nil {
		return nil, err
	}
	return created, nil
}

// UpdateGroup changes what u names, for all its members, from the next request on. It needs groups.update, and what
// roles that are new to it grant; who becomes or stops being a member, what [Service.AddMember] needs. It is one change:
// all of it happens or nothing does. Disabling a group disables the tokens that it owns; enabling brings them back.
func (s *Service) UpdateGroup(ctx context.Context, id GroupID, u GroupUpdate) (*Group, error) {
	return s.changeGroup(ctx, PermissionGroupsUpdate, id, func(tx Tx, p Principal, g *Group, now time.Time) (string, error) {
		if err := checkGroupRevision(tx, u.Revisions, g); err != nil {
			return "", err
		}
		if err := s.changeMembers(tx, p, g, u.memberChange(), now); err != nil || u.onlyMembers() {
			return "", err
		}
		had := held{roles: g.Roles}
		set(&g.Name, u.Name)
		set(&g.Title, u.Title)
		set(&g.Description, u.Description)
		set(&g.DirectoryID, u.DirectoryID)
		if u.Roles != nil {
			roles, err := resolveRoles(tx, *u.Roles)
			if err != nil {
				return "", err
			}
			g.Roles = roles
		}
		action := ActionGroupUpdate
		given := held{roles: g.Roles}.without(had)
		if u.Active != nil && *u.Active != g.Active {
			g.Active, action = *u.Active, ActionGroupDisable
			if g.Active {
				action, given = ActionGroupEnable, held{roles: g.Roles}
			}
		}
		if err := g.Validate(); err != nil {
			return "", err
		}
		return action, authorizeGiving(tx, p, given)
	})
}

// RemoveGroup revokes the tokens that the group owns and takes it from all its members. It needs groups.delete.
func (s *Service) RemoveGroup(ctx context.Context, id GroupID) error {
	_, err := s.changeGroup(ctx, PermissionGroupsDelete, id, func(tx Tx, p Principal, g *Group, now time.Time) (string, error) {
		if err := s.revokeAllOf(tx, p, Owner{Type: OwnerGroup, ID: int64(id)}, now); err != nil {
			return "", err
		}
		g.Active, g.RemovedAt, g.Roles = false, now, nil
		return ActionGroupRemove, nil
	})
	return err
}

// revokeAllOf revokes every token of an owner who goes.
func (s *Service) revokeAllOf(tx Tx, p Principal, owner Owner, now time.Time) error {
	tokens, err := tx.TokensOf(owner)
	if err != nil {
		return err
	}
	for _, t := range tokens {
		if err := s.revoke(tx, p, t, Revocation{RevokeAffiliationChanged, "owner removed"}, now); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) changeGroup(
	ctx context.Context, permission string, id GroupID,
	edit func(tx Tx, p Principal, g *Group, now time.Time) (string, error),
) (changed *Group, err error) {
	defer s.noteDenial(ctx, permission, int64(id), "", &err)
	p, err := provisioner(ctx, permission)
	if err != nil {
		return nil, err
	}
	now := s.timestamp()
	err = s.tx(ctx, func(tx Tx) error {
		g, err := tx.Group(id)
		if err == nil && g.Removed() {
			err = &Error{Code: CodeNotFound}
		}
		if err != nil {
			return noSuch(err, "Group")
		}
		before := groupFacts(g)
		action, err := edit(tx, p, g, now)
		if err != nil {
			return err
		}
		changed = g
		if action == "" { // nothing of its own
			return nil
		}
		g.UpdatedAt = now
		if err := tx.SaveGroup(g); err != nil {
			return err
		}
		return s.auditGroup(tx, p, action, g, before, now)
	})
	if err != nil {
		return nil, err
	}
	return changed, nil
}

func (s *Service) auditGroup(tx Tx, p Principal, action string, g *Group, before map[string]any, now time.Time) error {
	return s.auditChange(tx, p, action, target{"group", int64(g.ID), g.Name}, before, groupFacts(g), now)
}

func groupFacts(g *Group) map[string]any {
	return map[string]any{
		"name": g.Name, "title": g.Title, "description": g.Description, "roles": g.Roles, "active": g.Active,
		"directory_id": g.DirectoryID, "removed": g.Removed(),
	}
}
