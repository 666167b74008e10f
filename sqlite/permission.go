package sqlite

import (
	"context"
	"database/sql"

	"github.com/latchward/latchward"
)

const (
	selectPermissions = `SELECT name, title, description, built_in, created_at, updated_at FROM permissions `
	allPermissions    = selectPermissions + `ORDER BY name`
	permissionByName  = selectPermissions + `WHERE name = ?`

	savePermission = `INSERT INTO permissions (name, title, description, built_in, created_at, updated_at)
		VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET title = excluded.title, description = excluded.description, built_in = excluded.built_in,
			created_at = excluded.created_at, updated_at = excluded.updated_at`
	// An empty list stays a list.
	withoutPermission = ` SET permissions = (SELECT json_group_array(value ORDER BY key) FROM json_each(permissions)
			WHERE value <> ?1)
		WHERE ?1 IN (SELECT value FROM json_each(permissions))`
	takeFromRoles = `UPDATE roles` + withoutPermission + ` RETURNING id`
	// It reads all tokens. Permissions leave the registry seldom; an index of who has which would cost every change of a
	// token.
	takeFromTokens = `UPDATE api_tokens` + withoutPermission + ` AND deleted_at IS NULL RETURNING id`
)

func scanPermission(rows *sql.Rows) (*latchward.Permission, error) {
	var p latchward.Permission
	err := rows.Scan(&p.Name, textColumn{&p.Title}, textColumn{&p.Description}, &p.BuiltIn,
		timeColumn{&p.CreatedAt}, timeColumn{&p.UpdatedAt})
	if err != nil {
		return nil, unreadable("permission", err)
	}
	return &p, nil
}

// Permissions implements [latchward.Store].
func (s *Store) Permissions(ctx context.Context) ([]*latchward.Permission, error) {
	permissions, err := collect(ctx, s.reads, scanPermission, allPermissions)
	return permissions, s.translate(err)
}

// Permission implements [latchward.Tx].
func (tx *transaction) Permission(name string) (*latchward.Permission, error) {
	return record(tx.ctx, tx, "permission", scanPermission, permissionByName, name)
}

// SavePermission implements [latchward.Tx].
func (tx *transaction) SavePermission(p *latchward.Permission) error {
	return tx.exec(savePermission, p.Name, textOrNull(p.Title), textOrNull(p.Description), p.BuiltIn,
		p.CreatedAt.UnixMilli(), p.UpdatedAt.UnixMilli())
}

// DeletePermission implements [latchward.Tx].
func (tx *transaction) DeletePermission(name string) error {
	if err := tx.drop("permission", `DELETE FROM permissions WHERE name = ?`, name); err != nil {
		return err
	}
	roles, err := collect(tx.ctx, tx, scalar[latchward.RoleID], takeFromRoles, name)
	if err != nil {
		return err
	}
	for _, id := range roles {
		tx.change(latchward.ChangeRole, decimal(id))
	}
	tokens, err := collect(tx.ctx, tx, scalar[latchward.TokenID], takeFromTokens, name)
	if err != nil {
		return err
	}
	for _, id := range tokens {
		if err := tx.changeKeyIDs(id); err != nil {
			return err
		}
	}
	return nil
}
