package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/latchward/latchward"
)

const (
	selectDerived  = `SELECT id, list, place, token_id, key_id, ends_at, revoked_at FROM derived_tokens WHERE `
	derivedOfList  = selectDerived + `list = ? ORDER BY place`
	revokedDerived = selectDerived + `revoked_at IS NOT NULL AND ends_at > ? ORDER BY id`
	derivedPlace   = `SELECT EXISTS (SELECT 1 FROM derived_tokens WHERE list = ? AND place = ? AND id <> ?)`
	saveDerived    = `INSERT OR REPLACE INTO derived_tokens (id, list, place, token_id, key_id, ends_at, revoked_at)
		VALUES (?, ?, ?, ?, ?, ?, ?)`
	pruneDerived = `DELETE FROM derived_tokens WHERE id IN (SELECT id FROM derived_tokens WHERE ends_at <= ? LIMIT ?)`
)

func scanDerived(rows *sql.Rows) (*latchward.DerivedRecord, error) {
	var d latchward.DerivedRecord
	err := rows.Scan(&d.ID, &d.Status.List, &d.Status.Index, &d.Token, parsedColumn(&d.KeyID, latchward.ParseKeyID),
		timeColumn{&d.EndsAt}, timeColumn{&d.RevokedAt})
	if err != nil {
		return nil, unreadable("derived token", err)
	}
	return &d, nil
}

// DerivedTokens implements [latchward.Store].
func (s *Store) DerivedTokens(ctx context.Context, list int64) ([]*latchward.DerivedRecord, error) {
	found, err := collect(ctx, s.reads, scanDerived, derivedOfList, list)
	return found, s.translate(err)
}

// RevokedDerivedTokens implements [latchward.Store].
func (s *Store) RevokedDerivedTokens(ctx context.Context, after time.Time) ([]*latchward.DerivedRecord, error) {
	found, err := collect(ctx, s.reads, scanDerived, revokedDerived, after.UnixMilli())
	return found, s.translate(err)
}

// PruneDerivedTokens implements [latchward.Store].
func (s *Store) PruneDerivedTokens(ctx context.Context, endedBy time.Time, limit int) (n int, err error) {
	err = s.write(ctx, func(w *work) error {
		n, err = w.count(pruneDerived, endedBy.UnixMilli(), limit)
		return err
	})
	return n, err
}

// SaveDerivedToken implements [latchward.Tx].
func (tx *transaction) SaveDerivedToken(d *latchward.DerivedRecord) error {
	taken, err := one(tx.ctx, tx, scalar[bool], derivedPlace, d.Status.List, d.Status.Index, d.ID)
	if err != nil {
		return err
	}
	if taken {
		return conflict("", "Another derived token has this place in the status list.")
	}
	if !d.RevokedAt.IsZero() {
		tx.change(latchward.ChangeDerived, d.ID)
	}
	return tx.exec(saveDerived, d.ID, d.Status.List, d.Status.Index, d.Token, d.KeyID.String(), d.EndsAt.UnixMilli(),
		millisOrNull(d.RevokedAt))
}
