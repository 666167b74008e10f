package sqlite

import (
	"context"
	"database/sql"

	"github.com/latchward/latchward"
)

var (
	selectUsers = `SELECT id, external_id, email, name, active, created_at, updated_at, removed_at,
		user_name, directory_id, given_name, family_name, ` + heldBy("user", "users.id") + ` FROM users WHERE `
	userByID         = selectUsers + `id = ?`
	userByExternalID = selectUsers + `external_id = ?`
	userByEmail      = selectUsers + `email = ? AND removed_at IS NULL`
	userByUserName   = selectUsers + `user_name = ? AND removed_at IS NULL`
)

const (
	insertUser = `INSERT INTO users (external_id, email, name, active, created_at, updated_at, removed_at,
		user_name, directory_id, given_name, family_name) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	updateUser = `UPDATE users SET external_id = ?, email = ?, name = ?, active = ?, created_at = ?,
		updated_at = ?, removed_at = ?, user_name = ?, directory_id = ?, given_name = ?, family_name = ? WHERE id = ?`
	membersOfGroup = `SELECT holder_id FROM holdings
		WHERE kind = 'group' AND held_id = ? AND holder_type = 'user' ORDER BY holder_id`
)

func scanUser(rows *sql.Rows) (*latchward.User, error) {
	var u latchward.User
	err := rows.Scan(&u.ID, textColumn{&u.ExternalID}, textColumn{&u.Email}, &u.Name, &u.Active,
		timeColumn{&u.CreatedAt}, timeColumn{&u.UpdatedAt}, timeColumn{&u.RemovedAt},
		textColumn{&u.Directory.UserName}, textColumn{&u.Directory.ID}, textColumn{&u.Directory.GivenName},
		textColumn{&u.Directory.FamilyName}, heldColumn{&u.Roles, &u.Groups, &u.Licenses})
	if err != nil {
		return nil, unreadable("user", err)
	}
	return &u, nil
}

func oneUser(ctx context.Context, r runner, text string, args ...any) (*latchward.User, error) {
	return record(ctx, r, "user", scanUser, text, args...)
}

// User implements [latchward.Store].
func (s *Store) User(ctx context.Context, id latchward.UserID) (*latchward.User, error) {
	u, err := oneUser(ctx, s.reads, userByID, id)
	return u, s.translate(err)
}

// UserByExternalID implements [latchward.Store].
func (s *Store) UserByExternalID(ctx context.Context, externalID string) (*latchward.User, error) {
	u, err := oneUser(ctx, s.reads, userByExternalID, externalID)
	return u, s.translate(err)
}

// UserByEmail implements [latchward.Store].
func (s *Store) UserByEmail(ctx context.Context, email string) (*latchward.User, error) {
	u, err := oneUser(ctx, s.reads, userByEmail, email)
	return u, s.translate(err)
}

// Adoption implements [latchward.Store].
func (s *Store) Adoption(ctx context.Context) (latchward.Adoption, error) {
	count, err := one(ctx, s.reads, func(rows *sql.Rows) (count latchward.Adoption, err error) {
		return count, rows.Scan(&count.Users, &count.Adopters)
	}, `SELECT count(*), count(CASE WHEN EXISTS (SELECT 1 FROM api_tokens
		WHERE user_id = users.id AND deleted_at IS NULL AND last_used_at IS NOT NULL) THEN 1 END) FROM users WHERE active AND removed_at IS NULL`)
	return count, s.translate(err)
}

// Users implements [latchward.Store].
func (s *Store) Users(ctx context.Context, f latchward.UserFilter) ([]*latchward.User, error) {
	text, args := usersQuery(&f)
	users, err := collect(ctx, unprepared{s.readers}, scanUser, text, args...)
	return users, s.translate(err)
}

func usersQuery(f *latchward.UserFilter) (string, []any) {
	c := userConditions(f)
	return selectUsers + c.text.String() + ` ORDER BY id LIMIT ? OFFSET ?`, append(c.args, limitOf(f.Limit), f.Skip)
}

// CountUsers implements [latchward.Store].
func (s *Store) CountUsers(ctx context.Context, f latchward.UserFilter) (int64, error) {
	f.After = 0
	c := userConditions(&f)
	n, err := one(ctx, unprepared{s.readers}, scalar[int64], `SELECT count(*) FROM users WHERE `+c.text.String(), c.args...)
	return n, s.translate(err)
}

func userConditions(f *latchward.UserFilter) *conditions {
	c := &conditions{}
	c.begin("id > ?", f.After)
	if f.UserName != "" {
		c.add("user_name = ?", f.UserName)
	}
	if f.DirectoryID != "" {
		c.add("directory_id = ?", f.DirectoryID)
	}
	if !f.IncludeRemoved {
		c.add("removed_at IS NULL")
	}
	if f.Query != "" {
		c.addQuery(f.Query, "name", "email", "external_id")
	}
	c.addHoldsAll("id", "user", f.Role, f.Group, f.License)
	return c
}

// Members implements [latchward.Store].
func (s *Store) Members(ctx context.Context, group latchward.GroupID) ([]latchward.UserID, error) {
	ids, err := collect(ctx, s.reads, scalar[latchward.UserID], membersOfGroup, group)
	return ids, s.translate(err)
}

// Members implements [latchward.Tx].
func (tx *transaction) Members(group latchward.GroupID) ([]latchward.UserID, error) {
	return collect(tx.ctx, tx, scalar[latchward.UserID], membersOfGroup, group)
}

// OwnerFacts implements [latchward.Store].
func (s *Store) OwnerFacts(ctx context.Context, owner latchward.Owner) (latchward.OwnerFacts, error) {
	switch owner.Type {
	case latchward.OwnerUser:
		return s.userFacts(ctx, owner.ID)
	case latchward.OwnerGroup:
		return s.groupFacts(ctx, owner.ID)
	}
	return latchward.OwnerFacts{}, notFound("owner")
}

func (s *Store) userFacts(ctx context.Context, id int64) (latchward.OwnerFacts, error) {
	u, err := oneUser(ctx, s.reads, userByID, id)
	if err != nil {
		return latchward.OwnerFacts{}, s.translate(err)
	}
	return latchward.OwnerFacts{
		Active: u.Active && !u.Removed(), Roles: u.Roles, Groups: u.Groups, Licenses: u.Licenses,
		ExternalID: u.ExternalID, Name: u.DisplayName(),
	}, nil
}

// User implements [latchward.Tx].
func (tx *transaction) User(id latchward.UserID) (*latchward.User, error) {
	return oneUser(tx.ctx, tx, userByID, id)
}

// UserByExternalID implements [latchward.Tx].
func (tx *transaction) UserByExternalID(externalID string) (*latchward.User, error) {
	return oneUser(tx.ctx, tx, userByExternalID, externalID)
}

// SaveUser implements [latchward.Tx].
func (tx *transaction) SaveUser(u *latchward.User) error {
	if err := tx.checkTaken(u); err != nil {
		return err
	}
	holds := &held{u.Roles, u.Groups, u.Licenses}
	if err := tx.checkHeld(holds); err != nil {
		return err
	}
	args := []any{
		textOrNull(u.ExternalID), textOrNull(u.Email), u.Name, u.Active,
		u.CreatedAt.UnixMilli(), u.UpdatedAt.UnixMilli(), millisOrNull(u.RemovedAt),
		textOrNull(u.Directory.UserName), textOrNull(u.Directory.ID), textOrNull(u.Directory.GivenName),
		textOrNull(u.Directory.FamilyName),
	}
	id, err := tx.save("user", int64(u.ID), insertUser, updateUser, args)
	if err != nil {
		return err
	}
	u.ID = latchward.UserID(id)
	tx.change(latchward.ChangeOwner, latchward.Owner{Type: latchward.OwnerUser, ID: id}.String())
	return tx.saveHeld("user", id, holds)
}

// checkTaken looks for what must be unique before the constraints do: they do not say which of them was violated. No
// other transaction can come between.
func (tx *transaction) checkTaken(u *latchward.User) error {
	other, err := oneUser(tx.ctx, tx, userByExternalID, textOrNull(u.ExternalID))
	if err == nil && other.ID != u.ID {
		return conflict("external_id", "Another user has this external id.")
	}
	if err != nil && latchward.ErrorCode(err) != latchward.CodeNotFound {
		return err
	}
	if u.Removed() {
		return nil
	}
	other, err = oneUser(tx.ctx, tx, userByEmail, textOrNull(u.Email))
	if err == nil && other.ID != u.ID {
		return conflict("email", "Another user has this e-mail.")
	}
	if err != nil && latchward.ErrorCode(err) != latchward.CodeNotFound {
		return err
	}
	other, err = oneUser(tx.ctx, tx, userByUserName, textOrNull(u.Directory.UserName))
	if err == nil && other.ID != u.ID {
		return conflict("user_name", "Another user has this user name.")
	}
	if latchward.ErrorCode(err) == latchward.CodeNotFound {
		return nil
	}
	return err
}
