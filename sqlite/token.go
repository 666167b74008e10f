package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/latchward/latchward"
)

var (
	tokenColumns = `t.id, t.name, t.description, t.kind, t.user_id, t.group_id, t.active, t.inactive_reason, t.rate_limit,
		t.allowed_endpoints, t.allowed_networks, t.permissions, t.expires_at, t.not_before, t.idle_timeout_days,
		t.tags, t.metadata, t.key_id, t.token, t.token_prefix, t.created_at, t.updated_at, t.enabled_at,
		t.last_used_at, t.revoked_at, t.revoke_reason, t.unbound,
		t.retiring, t.issue_key, t.reuse, t.imported, t.rotated_at, t.rotation_due_at, t.rotation_required,
		t.created_by, t.revoke_note, u.name, u.email, u.external_id,
		g.name, g.title, ` + heldBy("token", "t.id")
	tokensWithOwners = `api_tokens t LEFT JOIN users u ON u.id = t.user_id LEFT JOIN groups g ON g.id = t.group_id`
	// What follows begins with a condition on t.
	selectTokens = `SELECT ` + tokenColumns + ` FROM ` + tokensWithOwners + ` WHERE t.deleted_at IS NULL AND `

	tokenByID       = selectTokens + `t.id = ?`
	tokenByKeyID    = selectTokens + `t.key_id = ?`
	tokenByIssueKey = selectTokens + `t.issue_key = ?`
	tokensOfUser    = selectTokens + `t.user_id = ? AND t.revoked_at IS NULL ORDER BY t.id`
	tokensOfGroup   = selectTokens + `t.group_id = ? AND t.revoked_at IS NULL ORDER BY t.id`
)

const (
	retiredSecret = `SELECT token_id, digest, ends_at FROM api_token_secrets WHERE key_id = ?`
)

// scanToken reads tokenColumns.
func scanToken(rows *sql.Rows) (*latchward.Token, error) {
	var t latchward.Token
	var user latchward.User
	var group latchward.Group
	var userID, groupID sql.NullInt64
	err := rows.Scan(
		&t.ID, &t.Name, textColumn{&t.Description}, &t.Kind, &userID, &groupID, &t.Active,
		textColumn{(*string)(&t.InactiveReason)}, &t.RateLimit,
		jsonColumn(&t.AllowedEndpoints), jsonColumn(&t.AllowedNetworks), jsonColumn(&t.Permissions),
		timeColumn{&t.ExpiresAt}, timeColumn{&t.NotBefore}, &t.IdleTimeoutDays,
		jsonColumn(&t.Tags), jsonColumn(&t.Metadata),
		parsedColumn(&t.Secret.KeyID, latchward.ParseKeyID), parsedColumn(&t.Secret.Digest, latchward.ParseDigest),
		&t.Prefix, timeColumn{&t.CreatedAt}, timeColumn{&t.UpdatedAt}, timeColumn{&t.EnabledAt},
		timeColumn{&t.LastUsedAt}, timeColumn{&t.RevokedAt}, textColumn{(*string)(&t.RevokeReason)}, &t.Unbound,
		parsedColumn(&t.Retiring, parseRetiring), textColumn{&t.IssueKey}, textColumn{(*string)(&t.Reuse)},
		textColumn{&t.Imported},
		timeColumn{&t.RotatedAt}, timeColumn{&t.RotationDueAt}, &t.RotationRequired,
		textColumn{&t.CreatedBy}, textColumn{&t.RevokeNote},
		textColumn{&user.Name}, textColumn{&user.Email}, textColumn{&user.ExternalID},
		textColumn{&group.Name}, textColumn{&group.Title}, heldColumn{&t.Roles, &t.Groups, &t.Licenses},
	)
	if err != nil {
		return nil, unreadable("token", err)
	}
	t.Owner = latchward.Owner{Type: latchward.OwnerUser, ID: userID.Int64, Name: user.DisplayName()}
	if groupID.Valid {
		t.Owner = latchward.Owner{Type: latchward.OwnerGroup, ID: groupID.Int64, Name: group.DisplayName()}
	}
	return &t, nil
}

// unreadable says that a record is not what this version writes. Nothing can be decided by it.
func unreadable(what string, err error) error {
	return unavailable("A stored "+what+" cannot be read: restore a backup.", err)
}

// oneToken returns the token that text finds.
func oneToken(ctx context.Context, r runner, text string, args ...any) (*latchward.Token, error) {
	t, err := one(ctx, r, scanToken, text, args...)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, notFound("token")
	}
	return t, err
}

// Token implements [latchward.Store].
func (s *Store) Token(ctx context.Context, id latchward.TokenID) (*latchward.Token, error) {
	t, err := oneToken(ctx, s.reads, tokenByID, id)
	return t, s.translate(err)
}

// TokenFacts implements [latchward.Store]. A current secret costs one read by index.
func (s *Store) TokenFacts(ctx context.Context, id latchward.KeyID) (latchward.TokenFacts, error) {
	t, err := oneToken(ctx, s.reads, tokenByKeyID, id.String())
	switch {
	case err == nil:
		return latchward.TokenFacts{Token: t, Digest: t.Secret.Digest}, nil
	case latchward.ErrorCode(err) == latchward.CodeNotFound:
		facts, err := s.retiredFacts(ctx, id)
		return facts, s.translate(err)
	}
	return latchward.TokenFacts{}, s.translate(err)
}

func (s *Store) retiredFacts(ctx context.Context, id latchward.KeyID) (latchward.TokenFacts, error) {
	var facts latchward.TokenFacts
	tokenID, err := one(ctx, s.reads, func(rows *sql.Rows) (tokenID int64, err error) {
		err = rows.Scan(&tokenID, parsedColumn(&facts.Digest, latchward.ParseDigest), timeColumn{&facts.EndsAt})
		return tokenID, err
	}, retiredSecret, id.String())
	if errors.Is(err, sql.ErrNoRows) {
		return latchward.TokenFacts{}, notFound("key id")
	}
	if err != nil {
		return latchward.TokenFacts{}, err
	}
	facts.Token, err = oneToken(ctx, s.reads, tokenByID, tokenID)
	return facts, err
}

// IdleTokens implements [latchward.Store]. It reads all tokens: what it asks moves with every use, so that keeping an
// index on it would cost more than reading them once a minute.
func (s *Store) IdleTokens(ctx context.Context, now time.Time, limit int) ([]latchward.TokenID, error) {
	ids, err := collect(ctx, s.reads, scalar[latchward.TokenID], `SELECT id FROM api_tokens
		WHERE active = 1 AND revoked_at IS NULL AND deleted_at IS NULL AND idle_at < ? LIMIT ?`, now.UnixMilli(), limit)
	return ids, s.translate(err)
}

// KeyFingerprints implements [latchward.Store].
func (s *Store) KeyFingerprints(ctx context.Context) (map[int]string, error) {
	fingerprints := map[int]string{}
	_, err := collect(ctx, s.reads, func(rows *sql.Rows) (none struct{}, err error) {
		var version int
		var fingerprint string
		err = rows.Scan(&version, &fingerprint)
		fingerprints[version] = fingerprint
		return none, err
	}, `SELECT version, fingerprint FROM server_keys`)
	return fingerprints, s.translate(err)
}

// KeyCounts implements [latchward.Store].
func (s *Store) KeyCounts(ctx context.Context) (map[int]int64, error) {
	counts := map[int]int64{}
	_, err := collect(ctx, s.reads, func(rows *sql.Rows) (none struct{}, err error) {
		var id latchward.KeyID
		var count int64
		err = rows.Scan(parsedColumn(&id, latchward.ParseKeyID), &count)
		counts[id.Version()] = count
		return none, err
	}, `SELECT min(key_id), count(*) FROM api_tokens WHERE revoked_at IS NULL AND deleted_at IS NULL
		GROUP BY substr(key_id, 1, 1)`)
	return counts, s.translate(err)
}
