package latchward

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"sync"
	"time"
)

// Bounds of a rotation.
const (
	MaxGrace            = 90 * 24 * time.Hour
	DefaultFirstUse     = 7 * 24 * time.Hour // grace of a rotation that ends at first use and names none
	MaxRequestKeyLength = 255                // bytes
)

// Rotation says how a token's secret is replaced. The zero value refuses the old one from now on.
type Rotation struct {
	Grace time.Duration // for how long the old secret goes on verifying, in whole seconds, 0 to MaxGrace
	// AtFirstUse ends the old secret when the new one is first accepted, and at the end of Grace in any case; a Grace of
	// 0 then means DefaultFirstUse.
	AtFirstUse bool
	// RequestKey makes a repetition safe: the same actor rotating the token with the same key again replaces the new
	// secret, which may never have arrived, and changes nothing else. "" = every call is a rotation of its own.
	RequestKey string
}

func (r *Rotation) validate() error {
	switch {
	case r.Grace < 0 || r.Grace > MaxGrace || r.Grace%time.Second != 0:
		return Invalid("grace_seconds", "must be a whole number of seconds from 0 to %d, which is 90 days", MaxGrace/time.Second)
	case r.AtFirstUse && r.Grace == 0:
		r.Grace = DefaultFirstUse
	}
	return validateRequestKey(r.RequestKey)
}

func validateRequestKey(key string) error {
	if len(key) > MaxRequestKeyLength {
		return Invalid("Idempotency-Key", "must have at most %d bytes", MaxRequestKeyLength)
	}
	for i := range len(key) {
		if key[i] < ' ' || key[i] > '~' {
			return Invalid("Idempotency-Key", "must be printable ASCII")
		}
	}
	return nil
}

// issueKey is how a token remembers under which request key its current secret was issued to whom; "" = none. Only a
// digest is kept: what callers choose as a key is their business.
func issueKey(p Principal, requestKey string) string {
	if requestKey == "" {
		return ""
	}
	digest := sha256.Sum256([]byte(p.String() + "\x00" + requestKey))
	return hex.EncodeToString(digest[:])
}

// ReusePolicy says what happens when a secret is used that was rotated out and whose grace is over: whoever uses it may
// have stolen it.
type ReusePolicy string

// The policies.
const (
	ReuseAlert   ReusePolicy = "alert"   // leave an audit entry; the default
	ReuseDisable ReusePolicy = "disable" // and disable the token
	ReuseRevoke  ReusePolicy = "revoke"  // and revoke it, with all its secrets
)

func (r ReusePolicy) valid() bool {
	return r == "" || r == ReuseAlert || r == ReuseDisable || r == ReuseRevoke
}

// RotateToken gives the token a new secret; name, grants, expiry, id, budgets and statistics stay (S5-02, B-04). The old
// one is refused from now on, unless r gives it grace; one that still had grace from an earlier rotation ends now, so
// that there are never more than two. Errors: conflict, when another rotation came between or the token is revoked.
func (s *Service) RotateToken(ctx context.Context, id TokenID, r Rotation) (issued IssuedToken, err error) {
	defer s.noteDenial(ctx, PermissionTokensRotate, int64(id), "", &err)
	p, err := tokenActor(ctx, PermissionTokensRotate)
	if err != nil {
		return IssuedToken{}, err
	}
	if err := r.validate(); err != nil {
		return IssuedToken{}, err
	}
	seen, err := s.store.Token(ctx, id)
	if err != nil {
		return IssuedToken{}, noSuch(err, "Token")
	}
	var secret Secret
	now := s.timestamp()
	t, err := s.change(ctx, p, PermissionTokensRotate, id, now, func(tx Tx, t *Token) (string, error) {
		if err := authorizeSecret(tx, p, t); err != nil {
			return "", err
		}
		if err := authorizeWithin(tx, p, t); err != nil {
			return "", err
		}
		repeated := r.RequestKey != "" && t.issueKey(p, r.RequestKey)
		if !repeated && t.Secret.KeyID != seen.Secret.KeyID {
			return "", &Error{Code: CodeConflict, Message: "The token has just been rotated by somebody else"}
		}
		secret, err = s.rotate(tx, p, t, r, repeated, now)
		if repeated {
			return unaudited, err
		}
		return ActionTokenRotate, err
	})
	if err != nil {
		return IssuedToken{}, err
	}
	return IssuedToken{Token: t, Secret: secret, Warnings: warnings(t, now)}, nil
}

// issueKey reports whether the current secret was issued to p under this request key.
func (t *Token) issueKey(p Principal, requestKey string) bool {
	return t.IssueKey == issueKey(p, requestKey)
}

// rotate replaces the current secret of t. A repetition ends only that one, which may never have arrived.
func (s *Service) rotate(tx Tx, p Principal, t *Token, r Rotation, repeated bool, now time.Time) (Secret, error) {
	old, retiring := t.Secret, t.Retiring
	secret, err := s.newSecret(t)
	if err != nil {
		return secret, err
	}
	if repeated {
		return secret, tx.RetireSecret(t.ID, RetiringSecret{Credential: old, EndsAt: now})
	}
	if retiring.EndsAt.After(now) {
		if err := tx.RetireSecret(t.ID, RetiringSecret{Credential: retiring.Credential, EndsAt: now}); err != nil {
			return secret, err
		}
	}
	t.Retiring = RetiringSecret{Credential: old, EndsAt: now.Add(r.Grace), AtFirstUse: r.AtFirstUse}
	t.IssueKey, t.RotatedAt = issueKey(p, r.RequestKey), now
	if err := enactRotation(tx, t, now); err != nil {
		return secret, err
	}
	return secret, tx.RetireSecret(t.ID, t.Retiring)
}

// RetiresAt returns until when the secret before the current one goes on verifying; the zero time when it does not.
func (t *Token) RetiresAt(now time.Time) time.Time {
	if t.Retiring.EndsAt.After(now) {
		return t.Retiring.EndsAt
	}
	return time.Time{}
}

// endRetiring ends the secret before the current one, because the current one has been accepted for the first time. It
// returns when no verification will accept the old one any more. A failure leaves it its grace; the next use tries again.
func (s *Service) endRetiring(ctx context.Context, id TokenID, used KeyID) {
	now := s.timestamp()
	system := Principal{Type: PrincipalSystem, Name: "first use of the new secret", Administrator: true}
	err := s.tx(context.WithoutCancel(ctx), func(tx Tx) error {
		t, err := tx.Token(id)
		if err != nil || t.Secret.KeyID != used || !t.Retiring.AtFirstUse || !t.Retiring.EndsAt.After(now) {
			return err
		}
		before := auditFacts(t)
		t.Retiring.EndsAt, t.Retiring.AtFirstUse = now, false
		if err := tx.RetireSecret(id, t.Retiring); err != nil {
			return err
		}
		if err := tx.SaveToken(t); err != nil {
			return err
		}
		return s.audit(tx, system, ActionTokenRetire, t, before, now)
	})
	if err != nil && ErrorCode(err) != CodeNotFound {
		s.log.Error("A rotated-out secret could not be ended at the first use of its successor; it will be tried again.",
			"token_id", int64(id), "error", err)
	}
}

// reuseInterval is how long reuses of one token's old secrets are counted before they are told of again.
const reuseInterval = 10 * time.Minute

// reuses counts uses of rotated-out secrets, so that a device that was forgotten does not fill the audit log (bar 57).
type reuses struct {
	mu    sync.Mutex
	known map[TokenID]*reuse
}

type reuse struct {
	told, punished time.Time
	count          int64 // not told yet
}

const maxReuses = 10_000 // tokens counted at once; beyond, all counts are let go

// note counts a use; tell says that it is time to tell of count of them, and punish that it is time to punish.
func (r *reuses) note(id TokenID, now time.Time, fatal bool) (count int64, tell, punish bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known == nil || len(r.known) >= maxReuses {
		r.known = map[TokenID]*reuse{}
	}
	known := r.known[id]
	if known == nil {
		known = &reuse{}
		r.known[id] = known
	}
	due := func(last time.Time) bool { return last.IsZero() || now.Sub(last) >= reuseInterval }
	known.count++
	if punish = fatal && due(known.punished); punish {
		known.punished = now
	}
	if tell = punish || due(known.told); tell {
		count, known.told, known.count = known.count, now, 0
	}
	return count, tell, punish
}

// reused deals with the use of a secret whose grace is over. Unless it is fatal, the token lives: a forgotten device is
// more likely than a thief, and stopping everybody else is an outage (bar 57).
func (s *Service) reused(ctx context.Context, id TokenID, from Origin, at time.Time, fatal bool) {
	count, tell, punish := s.reuses.note(id, at, fatal)
	if !tell {
		return
	}
	if err := s.dealWithReuse(context.WithoutCancel(ctx), id, from, count, punish); err != nil && ErrorCode(err) != CodeNotFound {
		s.log.Error("The use of a rotated-out secret could not be dealt with.", "token_id", int64(id), "error", err)
	}
}

func (s *Service) dealWithReuse(ctx context.Context, id TokenID, from Origin, count int64, punish bool) error {
	policies, err := s.policies(ctx)
	if err != nil {
		return err
	}
	now := s.timestamp()
	system := Principal{
		Type: PrincipalSystem, Name: "reuse of a rotated-out secret", Administrator: true, Origin: from,
	}
	return s.tx(ctx, func(tx Tx) error {
		t, err := tx.Token(id)
		if err != nil || t.Revoked() {
			return err
		}
		rules, err := policies.of(tx, t)
		if err != nil {
			return err
		}
		policy := orDefault(t.Reuse, ReuseAlert)
		harsher(&policy, rules.Reuse)
		after := map[string]any{"uses": count, "policy": string(policy), "punished": punish && policy != ReuseAlert}
		about := target{"token", int64(id), t.Name}
		if err := s.auditChange(tx, system, ActionTokenReuse, about, nil, after, now); err != nil || !punish {
			return err
		}
		return s.punish(tx, system, t, policy, now)
	})
}

func (s *Service) punish(tx Tx, system Principal, t *Token, policy ReusePolicy, now time.Time) error {
	switch policy {
	case ReuseRevoke:
		return s.revoke(tx, system, t, Revocation{RevokeKeyCompromise, "a rotated-out secret was used"}, now)
	case ReuseDisable:
		return s.deactivate(tx, system, t, InactiveReuse, now)
	}
	return nil
}

// deactivate disables t, unless it is disabled already.
func (s *Service) deactivate(tx Tx, p Principal, t *Token, reason InactiveReason, now time.Time) error {
	if !t.Active {
		return nil
	}
	before := auditFacts(t)
	t.Active, t.InactiveReason, t.UpdatedAt = false, reason, now
	if err := tx.SaveToken(t); err != nil {
		return err
	}
	return s.audit(tx, p, ActionTokenDisable, t, before, now)
}
