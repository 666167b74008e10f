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
