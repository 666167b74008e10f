package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/latchward/latchward"
)

const (
	selectUsers = `SELECT id, external_id, email, name, administrator, active, created_at, updated_at, removed_at
		FROM users WHERE `
	userByID         = selectUsers + `id = ?`
	userByExternalID = selectUsers + `external_id = ?`
	userByEmail      = selectUsers + `email = ? AND removed_at IS NULL`

	insertUser = `INSERT INTO users (external_id, email, name, administrator, active, created_at, updated_at, removed_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?)`
	updateUser = `UPDATE users SET external_id = ?, email = ?, name = ?, administrator = ?, active = ?, created_at = ?,
		updated_at = ?, removed_at = ? WHERE id = ?`
)

func scanUser(rows *sql.Rows) (*latchward.User, error) {
	var u latchward.User
	err := rows.Scan(&u.ID, textColumn{&u.ExternalID}, textColumn{&u.Email}, &u.Name, &u.Administrator, &u.Active,
		timeColumn{&u.CreatedAt}, timeColumn{&u.UpdatedAt}, timeColumn{&u.RemovedAt})
	if err != nil {
		return nil, unreadable("user", err)
	}
	return &u, nil
}

func oneUser(ctx context.Context, r runner, text string, args ...any) (*latchward.User, error) {
	u, err := one(ctx, r, scanUser, text, args...)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, notFound("user")
	}
	return u, err
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

// Users implements [latchward.Store].
func (s *Store) Users(ctx context.Context, f latchward.UserFilter) ([]*latchward.User, error) {
	c := &conditions{}
	c.begin("id > ?", f.After)
	if !f.IncludeRemoved {
		c.add("removed_at IS NULL")
	}
	if f.Query != "" {
		c.addQuery(f.Query, "name", "email", "external_id")
	}
	text := selectUsers + c.text.String() + ` ORDER BY id LIMIT ?`
	users, err := collect(ctx, unprepared{s.readers}, scanUser, text, append(c.args, limitOf(f.Limit))...)
	return users, s.translate(err)
}

// OwnerFacts implements [latchward.Store].
func (s *Store) OwnerFacts(ctx context.Context, owner latchward.Owner) (latchward.OwnerFacts, error) {
	u, err := oneUser(ctx, s.reads, userByID, ownerID(owner))
	if err != nil {
		return latchward.OwnerFacts{}, s.translate(err)
	}
	return latchward.OwnerFacts{
		Active:        u.Active && !u.Removed(),
		Administrator: u.Administrator,
		ExternalID:    u.ExternalID,
		Name:          u.DisplayName(),
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
	args := []any{
		textOrNull(u.ExternalID), textOrNull(u.Email), u.Name, u.Administrator, u.Active,
		u.CreatedAt.UnixMilli(), u.UpdatedAt.UnixMilli(), millisOrNull(u.RemovedAt),
	}
	if u.ID == 0 {
		return tx.insertUser(u, args)
	}
	n, err := tx.count(updateUser, append(args, u.ID)...)
	if err == nil && n == 0 {
		return notFound("user")
	}
	tx.changeOwner(u.ID)
	return err
}

func (tx *transaction) insertUser(u *latchward.User, args []any) error {
	result, err := tx.execResult(insertUser, args...)
	if err != nil {
		return err
	}
	id, err := result.LastInsertId()
	u.ID = latchward.UserID(id)
	tx.changeOwner(u.ID)
	return err
}

func (tx *transaction) changeOwner(id latchward.UserID) {
	tx.change(latchward.ChangeOwner, latchward.Owner{Type: latchward.OwnerUser, ID: int64(id)}.String())
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
	if latchward.ErrorCode(err) == latchward.CodeNotFound {
		return nil
	}
	return err
}
