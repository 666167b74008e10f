package latchward

import "context"

// CountUsers returns how many users match, whatever f.After, f.Skip and f.Limit say. It needs users.read.
func (s *Service) CountUsers(ctx context.Context, f UserFilter) (int64, error) {
	if _, err := provisioner(ctx, PermissionUsersRead); err != nil {
		return 0, err
	}
	return s.store.CountUsers(ctx, f)
}

// User returns one user. Everybody may see themselves; everybody else needs users.read.
func (s *Service) User(ctx context.Context, id UserID) (*User, error) {
	p, err := tokenActor(ctx, PermissionUsersRead)
	if err != nil {
		return nil, err
	}
	if !p.May(PermissionUsersRead) && (p.Type != PrincipalUser || p.ID != int64(id)) {
		return nil, noSuchUser()
	}
	u, err := s.store.User(ctx, id)
	if ErrorCode(err) == CodeNotFound {
		return nil, noSuchUser()
	}
	return u, err
}

// UserByEmail returns the user with that e-mail. It needs users.read.
func (s *Service) UserByEmail(ctx context.Context, email string) (*User, error) {
	if _, err := provisioner(ctx, PermissionUsersRead); err != nil {
		return nil, err
	}
	u, err := s.store.UserByEmail(ctx, email)
	if ErrorCode(err) == CodeNotFound {
		return nil, noSuchUser()
	}
	return u, err
}

// UserByExternalID returns the user with that external id; removed users have another one. It needs users.read.
func (s *Service) UserByExternalID(ctx context.Context, externalID string) (*User, error) {
	if _, err := provisioner(ctx, PermissionUsersRead); err != nil {
		return nil, err
	}
	u, err := s.store.UserByExternalID(ctx, externalID)
	if ErrorCode(err) == CodeNotFound {
		return nil, noSuchUser()
	}
	return u, err
}

// Users returns the users that match. It needs users.read.
func (s *Service) Users(ctx context.Context, f UserFilter) ([]*User, error) {
	_, err := provisioner(ctx, PermissionUsersRead)
	if err != nil {
		return nil, err
	}
	if f.Limit, err = pageLimit(f.Limit); err != nil {
		return nil, err
	}
	if f.Skip < 0 {
		return nil, Invalid("skip", "must not be below 0")
	}
	return s.store.Users(ctx, f)
}
