package sqlite

import (
	"context"
	"database/sql"

	"github.com/latchward/latchward"
)

const (
	selectRoles = `SELECT id, name, title, description, permissions, created_at, updated_at FROM roles `
	roleByID    = selectRoles + `WHERE id = ?`
	roleByName  = selectRoles + `WHERE name = ?`
	allRoles    = selectRoles + `ORDER BY id`

	roleNameTaken = `SELECT EXISTS (SELECT 1 FROM roles WHERE name = ? AND id <> ?)`
	insertRole    = `INSERT INTO roles (name, title, description, permissions, created_at, updated_at)
		VALUES (?, ?, ?, ?, ?, ?)`
	updateRole = `UPDATE roles SET name = ?, title = ?, description = ?, permissions = ?, created_at = ?, updated_at = ?
		WHERE id = ?`
)

func scanRole(rows *sql.Rows) (*latchward.Role, error) {
	var r latchward.Role
	err := rows.Scan(&r.ID, &r.Name, textColumn{&r.Title}, textColumn{&r.Description}, jsonColumn(&r.Permissions),
		timeColumn{&r.CreatedAt}, timeColumn{&r.UpdatedAt})
	if err != nil {
		return nil, unreadable("role", err)
	}
	return &r, nil
}

// Role implements [latchward.Store].
func (s *Store) Role(ctx context.Context, id latchward.RoleID) (*latchward.Role, error) {
	r, err := record(ctx, s.reads, "role", scanRole, roleByID, id)
	return r, s.translate(err)
}

// Roles implements [latchward.Store].
func (s *Store) Roles(ctx context.Context) ([]*latchward.Role, error) {
	roles, err := collect(ctx, s.reads, scanRole, allRoles)
	return roles, s.translate(err)
}

// Role implements [latchward.Tx].
func (tx *transaction) Role(id latchward.RoleID) (*latchward.Role, error) {
	return record(tx.ctx, tx, "role", scanRole, roleByID, id)
}

// RoleByName implements [latchward.Tx].
func (tx *transaction) RoleByName(name string) (*latchward.Role, error) {
	return record(tx.ctx, tx, "role", scanRole, roleByName, name)
}

// SaveRole implements [latchward.Tx].
func (tx *transaction) SaveRole(r *latchward.Role) error {
	if err := tx.checkName("role", roleNameTaken, r.Name, int64(r.ID)); err != nil {
		return err
	}
	permissions, err := listOrNull(r.Permissions)
	if err != nil {
		return err
	}
	args := []any{
		r.Name, textOrNull(r.Title), textOrNull(r.Description), permissions,
		millisOrNull(r.CreatedAt), millisOrNull(r.UpdatedAt),
	}
	id, err := tx.save("role", int64(r.ID), insertRole, updateRole, args)
	if err != nil {
		return err
	}
	r.ID = latchward.RoleID(id)
	tx.change(latchward.ChangeRole, decimal(id))
	return nil
}

// DeleteRole implements [latchward.Tx].
func (tx *transaction) DeleteRole(id latchward.RoleID) error {
	if err := tx.drop("role", `DELETE FROM roles WHERE id = ?`, id); err != nil {
		return err
	}
	tx.change(latchward.ChangeRole, decimal(id))
	return tx.exec(dropHolders, "role", id)
}
