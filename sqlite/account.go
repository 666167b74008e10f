package sqlite

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/latchward/latchward"
)

const (
	selectAccounts = `SELECT user_id, password, totp, new_totp, totp_step, recovery_codes, devices, code_digest,
		code_ends_at, passkeys, updated_at FROM accounts WHERE `
	accountByUser     = selectAccounts + `user_id = ?`
	accountByIdentity = selectAccounts +
		`user_id = (SELECT user_id FROM account_identities WHERE issuer = ? AND subject = ?)`
	accountsAfter = selectAccounts + `user_id > ? ORDER BY user_id LIMIT ?`
	identitiesOf  = `SELECT issuer, subject FROM account_identities WHERE user_id = ? ORDER BY n`
	identityOwner = `SELECT user_id FROM account_identities WHERE issuer = ? AND subject = ?`

	saveAccount = `INSERT OR REPLACE INTO accounts (user_id, password, totp, new_totp, totp_step, recovery_codes, devices,
		code_digest, code_ends_at, passkeys, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	deleteIdentities = `DELETE FROM account_identities WHERE user_id = ?`
	insertIdentity   = `INSERT INTO account_identities (issuer, subject, user_id, n) VALUES (?, ?, ?, ?)`
)

// deviceRow and passkeyRow are how lists of an account are kept. Their times are unix milliseconds.
type deviceRow struct {
	Digest string `json:"digest"`
	EndsAt int64  `json:"ends_at"`
}

type passkeyRow struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	Credential []byte `json:"credential"`
	CreatedAt  int64  `json:"created_at"`
	UsedAt     *int64 `json:"used_at"`
}

// parseDigest reads what hex.EncodeToString wrote of 32 bytes.
func parseDigest[D ~[32]byte](text string) (d D, err error) {
	data, err := hex.DecodeString(text)
	if err == nil && len(data) != len(d) {
		err = fmt.Errorf("a digest has %d bytes", len(data))
	}
	copy(d[:], data)
	return d, err
}

func scanAccount(rows *sql.Rows) (*latchward.Account, error) {
	var a latchward.Account
	var codes []string
	var devices []deviceRow
	var passkeys []passkeyRow
	err := rows.Scan(&a.UserID, textColumn{&a.Password}, textColumn{&a.TOTP}, textColumn{&a.NewTOTP}, &a.TOTPStep,
		jsonColumn(&codes), jsonColumn(&devices),
		parsedColumn(&a.PasswordCode.Digest, parseDigest[latchward.AccountDigest]),
		timeColumn{&a.PasswordCode.EndsAt}, jsonColumn(&passkeys), timeColumn{&a.UpdatedAt})
	if err == nil {
		err = readAccountLists(&a, codes, devices, passkeys)
	}
	if err != nil {
		return nil, unreadable("account", err)
	}
	return &a, nil
}

func readAccountLists(a *latchward.Account, codes []string, devices []deviceRow, passkeys []passkeyRow) error {
	for _, code := range codes {
		digest, err := parseDigest[latchward.AccountDigest](code)
		if err != nil {
			return err
		}
		a.RecoveryCodes = append(a.RecoveryCodes, digest)
	}
	for _, d := range devices {
		digest, err := parseDigest[latchward.AccountDigest](d.Digest)
		if err != nil {
			return err
		}
		a.Devices = append(a.Devices, latchward.AccountDevice{Digest: digest, EndsAt: time.UnixMilli(d.EndsAt).UTC()})
	}
	for _, row := range passkeys {
		k := latchward.Passkey{
			ID: row.ID, Name: row.Name, Credential: row.Credential, CreatedAt: time.UnixMilli(row.CreatedAt).UTC(),
		}
		if row.UsedAt != nil {
			k.UsedAt = time.UnixMilli(*row.UsedAt).UTC()
		}
		a.Passkeys = append(a.Passkeys, k)
	}
	return nil
}

func oneAccount(ctx context.Context, r runner, text string, args ...any) (*latchward.Account, error) {
	a, err := one(ctx, r, scanAccount, text, args...)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, notFound("account")
	}
	if err != nil {
		return nil, err
	}
	a.Identities, err = collect(ctx, r, scanIdentity, identitiesOf, a.UserID)
	return a, err
}

func scanIdentity(rows *sql.Rows) (id latchward.LinkedIdentity, err error) {
	err = rows.Scan(&id.Issuer, &id.Subject)
	return id, err
}

// Account implements [latchward.Store].
func (s *Store) Account(ctx context.Context, id latchward.UserID) (*latchward.Account, error) {
	a, err := oneAccount(ctx, s.reads, accountByUser, id)
	return a, s.translate(err)
}

// AccountByIdentity implements [latchward.Store].
func (s *Store) AccountByIdentity(ctx context.Context, id latchward.LinkedIdentity) (*latchward.Account, error) {
	a, err := oneAccount(ctx, s.reads, accountByIdentity, id.Issuer, id.Subject)
	return a, s.translate(err)
}

// Accounts implements [latchward.Store].
func (s *Store) Accounts(ctx context.Context, after latchward.UserID, limit int) ([]*latchward.Account, error) {
	accounts, err := collect(ctx, s.reads, scanAccount, accountsAfter, after, limit)
	for _, a := range accounts {
		if err == nil {
			a.Identities, err = collect(ctx, s.reads, scanIdentity, identitiesOf, a.UserID)
		}
	}
	return accounts, s.translate(err)
}

// Account implements [latchward.Tx].
func (tx *transaction) Account(id latchward.UserID) (*latchward.Account, error) {
	return oneAccount(tx.ctx, tx, accountByUser, id)
}

// SaveAccount implements [latchward.Tx].
func (tx *transaction) SaveAccount(a *latchward.Account) error {
	if _, err := tx.User(a.UserID); err != nil {
		return err
	}
	for _, id := range a.Identities {
		owner, err := one(tx.ctx, tx, scalar[latchward.UserID], identityOwner, id.Issuer, id.Subject)
		if err == nil && owner != a.UserID {
			return conflict("", "Another account has this identity.")
		}
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
	}
	args, err := accountArgs(a)
	if err != nil {
		return err
	}
	if err := tx.exec(deleteIdentities, a.UserID); err != nil {
		return err
	}
	if err := tx.exec(saveAccount, args...); err != nil {
		return err
	}
	for i, id := range a.Identities {
		if err := tx.exec(insertIdentity, id.Issuer, id.Subject, a.UserID, i); err != nil {
			return err
		}
	}
	return nil
}

func accountArgs(a *latchward.Account) ([]any, error) {
	var codes []string
	for _, digest := range a.RecoveryCodes {
		codes = append(codes, hex.EncodeToString(digest[:]))
	}
	var devices []deviceRow
	for _, d := range a.Devices {
		devices = append(devices, deviceRow{hex.EncodeToString(d.Digest[:]), d.EndsAt.UnixMilli()})
	}
	var passkeys []passkeyRow
	for _, k := range a.Passkeys {
		row := passkeyRow{ID: k.ID, Name: k.Name, Credential: k.Credential, CreatedAt: k.CreatedAt.UnixMilli()}
		if !k.UsedAt.IsZero() {
			used := k.UsedAt.UnixMilli()
			row.UsedAt = &used
		}
		passkeys = append(passkeys, row)
	}
	codesText, err1 := listOrNull(codes)
	devicesText, err2 := listOrNull(devices)
	passkeysText, err3 := listOrNull(passkeys)
	var code any
	if a.PasswordCode != (latchward.PasswordCode{}) {
		code = hex.EncodeToString(a.PasswordCode.Digest[:])
	}
	return []any{
		a.UserID, textOrNull(a.Password), textOrNull(a.TOTP), textOrNull(a.NewTOTP), a.TOTPStep, codesText, devicesText,
		code, millisOrNull(a.PasswordCode.EndsAt), passkeysText, a.UpdatedAt.UnixMilli(),
	}, errors.Join(err1, err2, err3)
}
