package sqlite

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/latchward/latchward"
)

const (
	insertToken = `INSERT INTO api_tokens (name, token, description, user_id, group_id, active, rate_limit,
			allowed_endpoints, expires_at, created_at, updated_at, kind, key_id, token_prefix,
			inactive_reason, allowed_networks, permissions, not_before, idle_timeout_days, tags, metadata,
			enabled_at, revoked_at, revoke_reason, unbound, retiring, issue_key, reuse,
			imported, rotated_at, rotation_due_at, rotation_required, created_by, revoke_note, last_used_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	updateToken = `UPDATE api_tokens SET name = ?, token = ?, description = ?, user_id = ?, group_id = ?, active = ?,
			rate_limit = ?, allowed_endpoints = ?, expires_at = ?, created_at = ?, updated_at = ?, kind = ?,
			key_id = ?, token_prefix = ?, inactive_reason = ?, allowed_networks = ?, permissions = ?,
			not_before = ?, idle_timeout_days = ?, tags = ?, metadata = ?,
			enabled_at = ?, revoked_at = ?, revoke_reason = ?, unbound = ?, retiring = ?,
			issue_key = ?, reuse = ?, imported = ?, rotated_at = ?, rotation_due_at = ?, rotation_required = ?, created_by = ?,
			revoke_note = ?
		WHERE id = ? AND deleted_at IS NULL`
	keyIDsOfToken = `SELECT key_id FROM api_tokens WHERE id = ?1 AND deleted_at IS NULL
		UNION SELECT key_id FROM api_token_secrets WHERE token_id = ?1`
	keyIDTaken = `SELECT EXISTS (SELECT 1 FROM api_tokens WHERE key_id = ?1 AND id <> ?2)
		OR EXISTS (SELECT 1 FROM api_token_secrets s WHERE s.key_id = ?1
			AND NOT EXISTS (SELECT 1 FROM api_tokens t WHERE t.id = ?2 AND t.key_id = ?1))`
	retireSecret = `INSERT INTO api_token_secrets (key_id, token_id, digest, ends_at) VALUES (?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET digest = excluded.digest, ends_at = excluded.ends_at`
	keyIDElsewhere = `SELECT EXISTS (SELECT 1 FROM api_tokens WHERE key_id = ?1 AND id <> ?2)
		OR EXISTS (SELECT 1 FROM api_token_secrets WHERE key_id = ?1 AND token_id <> ?2)`
	rememberSubject = `INSERT INTO usage_subject (token_id, name, user_id, group_id)
		SELECT id, name, user_id, group_id FROM api_tokens WHERE id = ? AND deleted_at IS NULL`
	// What is left of a deleted token is what its raw usage hangs on until that is gone too.
	hideToken = `UPDATE api_tokens SET deleted_at = ?, name = '', token = 'deleted ' || id, key_id = NULL,
			token_prefix = '', description = NULL, metadata = NULL, tags = NULL
		WHERE id = ?`
)

// Token implements [latchward.Tx].
func (tx *transaction) Token(id latchward.TokenID) (*latchward.Token, error) {
	return oneToken(tx.ctx, tx, tokenByID, id)
}

// TokensOf implements [latchward.Tx].
func (tx *transaction) TokensOf(owner latchward.Owner) ([]*latchward.Token, error) {
	switch owner.Type {
	case latchward.OwnerUser:
		return collect(tx.ctx, tx, scanToken, tokensOfUser, owner.ID)
	case latchward.OwnerGroup:
		return collect(tx.ctx, tx, scanToken, tokensOfGroup, owner.ID)
	}
	return nil, nil
}

// SaveToken implements [latchward.Tx].
func (tx *transaction) SaveToken(t *latchward.Token) error {
	taken, err := one(tx.ctx, tx, scalar[bool], keyIDTaken, t.Secret.KeyID.String(), t.ID)
	if err != nil {
		return err
	}
	if taken {
		return conflict("", "Another secret has this key id: make a new one.")
	}
	holds := &held{t.Roles, t.Groups, t.Licenses}
	if err := tx.checkOwner(t.Owner); err != nil {
		return err
	}
	if err := tx.checkHeld(holds); err != nil {
		return err
	}
	args, err := tokenArgs(t)
	if err != nil {
		return err
	}
	if err := tx.putToken(t, args); err != nil {
		return err
	}
	return tx.saveHeld("token", int64(t.ID), holds)
}

// checkOwner returns an Error of code invalid for an owner who does not exist.
func (tx *transaction) checkOwner(owner latchward.Owner) error {
	text, ok := map[latchward.OwnerType]string{
		latchward.OwnerUser:  `SELECT EXISTS (SELECT 1 FROM users WHERE id = ?)`,
		latchward.OwnerGroup: `SELECT EXISTS (SELECT 1 FROM groups WHERE id = ?)`,
	}[owner.Type]
	if !ok {
		return latchward.Invalid("owner", "must be a user or a group")
	}
	exists, err := one(tx.ctx, tx, scalar[bool], text, owner.ID)
	if err == nil && !exists {
		return latchward.Invalid("owner", "There is no such %s.", owner.Type)
	}
	return err
}

// putToken inserts or updates the row of a token.
func (tx *transaction) putToken(t *latchward.Token, args []any) error {
	if t.ID == 0 {
		return tx.insertToken(t, args)
	}
	if err := tx.changeKeyIDs(t.ID, t.Secret.KeyID); err != nil {
		return err
	}
	n, err := tx.count(updateToken, append(args, t.ID)...)
	if err == nil && n == 0 {
		return notFound("token")
	}
	return err
}

func (tx *transaction) insertToken(t *latchward.Token, args []any) error {
	result, err := tx.execResult(insertToken, append(args, millisOrNull(t.LastUsedAt))...)
	if err != nil {
		return err
	}
	id, err := result.LastInsertId()
	if err != nil {
		return err
	}
	t.ID = latchward.TokenID(id)
	tx.change(latchward.ChangeToken, t.Secret.KeyID.String())
	return nil
}

// tokenArgs returns the arguments that insertToken and updateToken have in common.
func tokenArgs(t *latchward.Token) ([]any, error) {
	endpoints, err1 := listOrNull(t.AllowedEndpoints)
	networks, err2 := listOrNull(t.AllowedNetworks)
	permissions, err3 := listOrNull(t.Permissions)
	tags, err4 := listOrNull(t.Tags)
	metadata, err5 := objectOrNull(t.Metadata)
	retiring, err6 := retiringOrNull(t.Retiring)
	if err := errors.Join(err1, err2, err3, err4, err5, err6); err != nil {
		return nil, &latchward.Error{Code: latchward.CodeInvalid, Message: "The token cannot be written as JSON.", Err: err}
	}
	var userID, groupID any = t.Owner.ID, nil
	if t.Owner.Type == latchward.OwnerGroup {
		userID, groupID = nil, t.Owner.ID
	}
	return []any{
		t.Name, t.Secret.Digest.String(), textOrNull(t.Description), userID, groupID, t.Active, t.RateLimit, endpoints,
		millisOrNull(t.ExpiresAt), t.CreatedAt.UnixMilli(), t.UpdatedAt.UnixMilli(), string(t.Kind),
		t.Secret.KeyID.String(), t.Prefix, textOrNull(string(t.InactiveReason)), networks, permissions,
		millisOrNull(t.NotBefore), t.IdleTimeoutDays, tags, metadata,
		millisOrNull(t.EnabledAt), millisOrNull(t.RevokedAt), textOrNull(string(t.RevokeReason)), t.Unbound,
		retiring, textOrNull(t.IssueKey), textOrNull(string(t.Reuse)), textOrNull(t.Imported),
		millisOrNull(t.RotatedAt),
		millisOrNull(t.RotationDueAt), t.RotationRequired, textOrNull(t.CreatedBy), textOrNull(t.RevokeNote),
	}, nil
}

// retiringText is how the secret before the current one is kept with its token.
type retiringText struct {
	KeyID      string `json:"key_id"`
	Digest     string `json:"digest"`
	EndsAt     int64  `json:"ends_at"`
	AtFirstUse bool   `json:"at_first_use,omitempty"`
}

func retiringOrNull(s latchward.RetiringSecret) (any, error) {
	if s == (latchward.RetiringSecret{}) {
		return nil, nil
	}
	text, err := json.Marshal(retiringText{s.KeyID.String(), s.Digest.String(), s.EndsAt.UnixMilli(), s.AtFirstUse})
	return string(text), err
}

// parseRetiring reads what retiringOrNull kept.
func parseRetiring(text string) (latchward.RetiringSecret, error) {
	var kept retiringText
	if err := json.Unmarshal([]byte(text), &kept); err != nil {
		return latchward.RetiringSecret{}, err
	}
	keyID, err1 := latchward.ParseKeyID(kept.KeyID)
	digest, err2 := latchward.ParseDigest(kept.Digest)
	return latchward.RetiringSecret{
		Credential: latchward.Credential{KeyID: keyID, Digest: digest}, EndsAt: time.UnixMilli(kept.EndsAt).UTC(),
		AtFirstUse: kept.AtFirstUse,
	}, errors.Join(err1, err2)
}

// TokenByIssueKey implements [latchward.Tx].
func (tx *transaction) TokenByIssueKey(key string) (*latchward.Token, error) {
	return oneToken(tx.ctx, tx, tokenByIssueKey, key)
}

// changeKeyIDs notes as changed every key id that leads to the token, and more.
func (tx *transaction) changeKeyIDs(id latchward.TokenID, more ...latchward.KeyID) error {
	keys, err := collect(tx.ctx, tx, scalar[string], keyIDsOfToken, id)
	if err != nil {
		return err
	}
	for _, key := range more {
		keys = append(keys, key.String())
	}
	tx.change(latchward.ChangeToken, keys...)
	return nil
}

// RetireSecret implements [latchward.Tx].
func (tx *transaction) RetireSecret(id latchward.TokenID, secret latchward.RetiringSecret) error {
	if _, err := tx.Token(id); err != nil {
		return err
	}
	elsewhere, err := one(tx.ctx, tx, scalar[bool], keyIDElsewhere, secret.KeyID.String(), id)
	if err != nil {
		return err
	}
	if elsewhere {
		return conflict("", "A secret of another token has this key id.")
	}
	tx.change(latchward.ChangeToken, secret.KeyID.String())
	return tx.exec(retireSecret, secret.KeyID.String(), id, secret.Digest.String(), secret.EndsAt.UnixMilli())
}

// DeleteToken implements [latchward.Tx]. The row goes later, behind the last of its raw usage; see ForgetUsage.
func (tx *transaction) DeleteToken(id latchward.TokenID) error {
	if err := tx.changeKeyIDs(id); err != nil {
		return err
	}
	n, err := tx.count(rememberSubject, id)
	if err == nil && n == 0 {
		return notFound("token")
	}
	if err != nil {
		return err
	}
	if err := tx.exec(`DELETE FROM api_token_secrets WHERE token_id = ?`, id); err != nil {
		return err
	}
	if err := tx.exec(`DELETE FROM foreign_secrets WHERE token_id = ?`, id); err != nil {
		return err
	}
	if err := tx.exec(dropHeld, "token", id); err != nil {
		return err
	}
	return tx.exec(hideToken, tx.store.now().UnixMilli(), id)
}

// SaveKeyFingerprint implements [latchward.Tx].
func (tx *transaction) SaveKeyFingerprint(version int, fingerprint string) error {
	if fingerprint == "" {
		return tx.exec(`DELETE FROM server_keys WHERE version = ?`, version)
	}
	return tx.exec(`INSERT INTO server_keys (version, fingerprint) VALUES (?, ?)
		ON CONFLICT DO UPDATE SET fingerprint = excluded.fingerprint`, version, fingerprint)
}
