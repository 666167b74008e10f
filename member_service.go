package latchward

import (
	"context"
	"slices"
	"time"
)

// AddMember makes a user a member of a group. It needs what [Service.UpdateUser] needs, and whoever is a member already
// stays one.
func (s *Service) AddMember(ctx context.Context, group GroupID, user UserID) (*User, error) {
	return s.changeMember(ctx, group, user, func(ids []GroupID) []GroupID { return append(ids, group) })
}

// RemoveMember takes a user out of a group. It needs what [Service.UpdateUser] needs; who is no member stays none.
func (s *Service) RemoveMember(ctx context.Context, group GroupID, user UserID) (*User, error) {
	return s.changeMember(ctx, group, user, func(ids []GroupID) []GroupID {
		return missing(ids, []GroupID{group})
	})
}

func (s *Service) changeMember(
	ctx context.Context, id GroupID, user UserID, edit func([]GroupID) []GroupID,
) (*User, error) {
	return s.changeHeld(ctx, user, func(tx Tx, h *held) error {
		group, err := tx.Group(id)
		if err == nil && group.Removed() {
			err = &Error{Code: CodeNotFound}
		}
		if err != nil {
			return noSuch(err, "Group")
		}
		h.groups = edit(h.groups)
		return nil
	})
}

// TakeSeat gives a user a seat of a license. It needs what [Service.UpdateUser] needs, and licenses.update; whoever has
// one keeps it. An Error of code conflict says that no seat is left.
func (s *Service) TakeSeat(ctx context.Context, license LicenseID, user UserID) (*User, error) {
	return s.changeSeat(ctx, license, user, func(ids []LicenseID) []LicenseID { return append(ids, license) })
}

// FreeSeat takes a user's seat of a license. It needs what [Service.UpdateUser] needs; who has none stays without.
func (s *Service) FreeSeat(ctx context.Context, license LicenseID, user UserID) (*User, error) {
	return s.changeSeat(ctx, license, user, func(ids []LicenseID) []LicenseID {
		return missing(ids, []LicenseID{license})
	})
}

func (s *Service) changeSeat(
	ctx context.Context, id LicenseID, user UserID, edit func([]LicenseID) []LicenseID,
) (*User, error) {
	return s.changeHeld(ctx, user, func(tx Tx, h *held) error {
		if _, err := tx.License(id); err != nil {
			return noSuch(err, "License")
		}
		h.licenses = edit(h.licenses)
		return nil
	})
}

// changeHeld changes what a user has.
func (s *Service) changeHeld(ctx context.Context, id UserID, edit func(tx Tx, h *held) error) (*User, error) {
	const needed = PermissionUsersUpdate
	return s.changeUser(ctx, needed, id, func(tx Tx, p Principal, u *User, _ time.Time) (string, error) {
		before := heldByUser(u)
		h := held{groups: slices.Clone(u.Groups), licenses: slices.Clone(u.Licenses)}
		if err := edit(tx, &h); err != nil {
			return "", err
		}
		slices.Sort(h.groups)
		slices.Sort(h.licenses)
		u.Groups, u.Licenses = slices.Compact(h.groups), slices.Compact(h.licenses)
		return ActionUserUpdate, giveUser(tx, p, u, before)
	})
}

// memberChange is who becomes a member of a group and who stops being one.
type memberChange struct {
	all         *[]UserID // those who are members from then on, before join and leave; nil = those who are
	join, leave []UserID
}

func (u *GroupUpdate) memberChange() memberChange { return memberChange{u.Members, u.Join, u.Leave} }

// onlyMembers reports whether u changes nothing of the group itself.
func (u *GroupUpdate) onlyMembers() bool {
	names := u.Members != nil || len(u.Join)+len(u.Leave) > 0
	return names && u.Name == nil && u.Title == nil && u.Description == nil && u.Roles == nil && u.DirectoryID == nil &&
		u.Active == nil
}

func (c *memberChange) validate() error {
	lists := [][]UserID{c.join, c.leave}
	if c.all != nil {
		lists = append(lists, *c.all)
	}
	for _, list := range lists {
		if len(list) > MaxMemberChanges {
			return Invalid("members", "must hold at most %d entries at a time", MaxMemberChanges)
		}
	}
	return nil
}

// resolve returns who has to be changed, each once and in order: those who join and those who leave.
func (c *memberChange) resolve(tx Tx, group GroupID) (join, leave []UserID, err error) {
	if err := c.validate(); err != nil || c.all == nil && len(c.join)+len(c.leave) == 0 {
		return nil, nil, err
	}
	are, err := tx.Members(group)
	if err != nil {
		return nil, nil, err
	}
	before, after := setOf(are), setOf(are)
	if c.all != nil {
		after = setOf(*c.all)
	}
	for _, id := range c.join {
		after[id] = struct{}{}
	}
	for _, id := range c.leave {
		delete(after, id)
	}
	return outside(after, before), outside(before, after), nil
}

func setOf(ids []UserID) map[UserID]struct{} {
	set := make(map[UserID]struct{}, len(ids))
	for _, id := range ids {
		set[id] = struct{}{}
	}
	return set
}

// outside returns the ids of set that are not in other, in order.
func outside(set, other map[UserID]struct{}) []UserID {
	var ids []UserID
	for id := range set {
		if _, ok := other[id]; !ok {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// changeMembers makes users join and leave a group, each with an entry of their own in the audit log.
func (s *Service) changeMembers(tx Tx, p Principal, g *Group, c memberChange, now time.Time) error {
	join, leave, err := c.resolve(tx, g.ID)
	if err != nil || len(join)+len(leave) == 0 {
		return err
	}
	if !p.May(PermissionUsersUpdate) {
		return lacks(PermissionUsersUpdate)
	}
	if len(join) > 0 {
		if err := authorizeGiving(tx, p, held{groups: []GroupID{g.ID}}); err != nil {
			return err
		}
	}
	for _, id := range join {
		if err := s.saveMember(tx, p, id, now, func(ids []GroupID) []GroupID { return append(ids, g.ID) }); err != nil {
			return err
		}
	}
	for _, id := range leave {
		if err := s.saveMember(tx, p, id, now, func(ids []GroupID) []GroupID {
			return missing(ids, []GroupID{g.ID})
		}); err != nil {
			return err
		}
	}
	return nil
}

// saveMember changes the groups of one user.
func (s *Service) saveMember(
	tx Tx, p Principal, id UserID, now time.Time, edit func([]GroupID) []GroupID,
) error {
	user, err := tx.User(id)
	if ErrorCode(err) == CodeNotFound || err == nil && user.Removed() {
		return Invalid("members", "there is no user %d", id)
	}
	if err != nil {
		return err
	}
	if err := authorizeOver(tx, p, user, reservedPermission); err != nil {
		return err
	}
	before := userFacts(user)
	user.Groups, user.UpdatedAt = edit(slices.Clone(user.Groups)), now
	slices.Sort(user.Groups)
	if err := user.Validate(); err != nil {
		return err
	}
	if err := tx.SaveUser(user); err != nil {
		return err
	}
	return s.auditUser(tx, p, ActionUserUpdate, user, before, now)
}

// Members returns the ids of the users who are members of a group, in their order. It needs groups.read.
func (s *Service) Members(ctx context.Context, group GroupID) ([]UserID, error) {
	if _, err := provisioner(ctx, PermissionGroupsRead); err != nil {
		return nil, err
	}
	return s.store.Members(ctx, group)
}

// checkGroupRevision is checkRevision for a group, whose members callers may have seen too.
func checkGroupRevision(tx Tx, wanted []string, g *Group) error {
	if len(wanted) == 0 || slices.Contains(wanted, g.Revision()) {
		return nil
	}
	members, err := tx.Members(g.ID)
	if err != nil {
		return err
	}
	return checkRevision(wanted, g.RevisionWith(members))
}
