package sqlite

import (
	"context"
	"database/sql"

	"github.com/latchward/latchward"
)

const (
	signingKeys = `SELECT id, sealed, created_at, active_from, retires_at, revoked_at FROM signing_keys
		ORDER BY created_at, id`
	saveSigningKey = `INSERT OR REPLACE INTO signing_keys (id, sealed, created_at, active_from, retires_at, revoked_at)
		VALUES (?, ?, ?, ?, ?, ?)`
	deleteSigningKey = `DELETE FROM signing_keys WHERE id = ?`
)

func scanSigningKey(rows *sql.Rows) (*latchward.SigningKey, error) {
	var k latchward.SigningKey
	err := rows.Scan(&k.ID, textColumn{&k.Sealed}, timeColumn{&k.CreatedAt}, timeColumn{&k.ActiveFrom},
		timeColumn{&k.RetiresAt}, timeColumn{&k.RevokedAt})
	if err != nil {
		return nil, unreadable("signing key", err)
	}
	return &k, nil
}

// SigningKeys implements [latchward.Store].
func (s *Store) SigningKeys(ctx context.Context) ([]*latchward.SigningKey, error) {
	keys, err := collect(ctx, s.reads, scanSigningKey, signingKeys)
	return keys, s.translate(err)
}

// SigningKeys implements [latchward.Tx].
func (tx *transaction) SigningKeys() ([]*latchward.SigningKey, error) {
	return collect(tx.ctx, tx, scanSigningKey, signingKeys)
}

// SaveSigningKey implements [latchward.Tx].
func (tx *transaction) SaveSigningKey(k *latchward.SigningKey) error {
	tx.change(latchward.ChangeSigning, k.ID)
	return tx.exec(saveSigningKey, k.ID, textOrNull(k.Sealed), k.CreatedAt.UnixMilli(), k.ActiveFrom.UnixMilli(),
		millisOrNull(k.RetiresAt), millisOrNull(k.RevokedAt))
}

// DeleteSigningKey implements [latchward.Tx].
func (tx *transaction) DeleteSigningKey(id string) error {
	tx.change(latchward.ChangeSigning, id)
	return tx.drop("signing key", deleteSigningKey, id)
}
