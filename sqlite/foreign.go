package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"github.com/latchward/latchward"
)

const (
	foreignForms   = `SELECT form FROM foreign_forms ORDER BY form`
	foreignSecrets = `SELECT key_id, token_id, lookup_prefix, sealed, became FROM foreign_secrets
		WHERE became IS NULL AND lookup_prefix IN (%) ORDER BY key_id LIMIT ?`
	countForeignSecrets = `SELECT count(*) FROM foreign_secrets WHERE became IS NULL AND lookup_prefix = ?`
	tokenOfSecret       = `SELECT id FROM api_tokens WHERE key_id = ?1
		UNION ALL SELECT token_id FROM api_token_secrets WHERE key_id = ?1
		UNION ALL SELECT token_id FROM foreign_secrets WHERE key_id = ?1 LIMIT 1`
	saveForeignForm   = `INSERT INTO foreign_forms (form) VALUES (?) ON CONFLICT DO NOTHING`
	saveForeignSecret = `INSERT INTO foreign_secrets (key_id, token_id, lookup_prefix, sealed, became)
		VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET token_id = excluded.token_id,
			lookup_prefix = excluded.lookup_prefix, sealed = excluded.sealed, became = excluded.became`
)

// ForeignForms implements [latchward.ForeignStore].
func (s *Store) ForeignForms(ctx context.Context) ([]string, error) {
	forms, err := collect(ctx, s.reads, scalar[string], foreignForms)
	return forms, s.translate(err)
}

// ForeignSecrets implements [latchward.ForeignStore].
func (s *Store) ForeignSecrets(
	ctx context.Context, lookupPrefixes []string, limit int,
) ([]latchward.ForeignSecret, error) {
	if len(lookupPrefixes) == 0 {
		return nil, nil
	}
	var args []any
	for _, prefix := range lookupPrefixes {
		args = append(args, prefix)
	}
	text := strings.Replace(foreignSecrets, "%", "?"+strings.Repeat(", ?", len(args)-1), 1)
	found, err := collect(ctx, s.reads, scanForeignSecret, text, append(args, limit)...)
	return found, s.translate(err)
}

func scanForeignSecret(rows *sql.Rows) (secret latchward.ForeignSecret, err error) {
	err = rows.Scan(parsedColumn(&secret.KeyID, latchward.ParseKeyID), &secret.TokenID,
		textColumn{&secret.LookupPrefix}, textColumn{&secret.Sealed}, parsedColumn(&secret.Became, latchward.ParseKeyID))
	if err != nil {
		err = unreadable("imported secret", err)
	}
	return secret, err
}

// TokenOfSecret implements [latchward.ForeignTx].
func (tx *transaction) TokenOfSecret(ids []latchward.KeyID) (latchward.TokenID, error) {
	for _, id := range ids {
		token, err := one(tx.ctx, tx, scalar[latchward.TokenID], tokenOfSecret, id.String())
		if !errors.Is(err, sql.ErrNoRows) {
			return token, err
		}
	}
	return 0, notFound("secret")
}

// CountForeignSecrets implements [latchward.ForeignTx].
func (tx *transaction) CountForeignSecrets(lookupPrefix string) (int, error) {
	return one(tx.ctx, tx, scalar[int], countForeignSecrets, lookupPrefix)
}

// SaveForeignForm implements [latchward.ForeignTx].
func (tx *transaction) SaveForeignForm(form string) error {
	n, err := tx.count(saveForeignForm, form)
	if n > 0 {
		tx.change(latchward.ChangeForeign)
	}
	return err
}

// SaveForeignSecret implements [latchward.ForeignTx].
func (tx *transaction) SaveForeignSecret(secret latchward.ForeignSecret) error {
	exists, err := one(tx.ctx, tx, scalar[bool],
		`SELECT EXISTS (SELECT 1 FROM api_tokens WHERE id = ? AND deleted_at IS NULL)`, secret.TokenID)
	if err != nil {
		return err
	}
	if !exists {
		return notFound("token")
	}
	tx.change(latchward.ChangeForeign)
	return tx.exec(saveForeignSecret, secret.KeyID.String(), secret.TokenID, textOrNull(secret.LookupPrefix),
		textOrNull(secret.Sealed), textOrNull(secret.Became.String()))
}
