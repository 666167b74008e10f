package latchward

import (
	"context"
	"time"
)

// heldReason is noted on a token that whoever held its secret revoked.
const heldReason = "revoked by a holder of its secret"

// HeldToken returns what the holder of a secret may know of its token. The zero HeldToken goes with a verdict that
// refuses: the secret must verify from where it came, whatever the token may call and however much of its limits is
// left. Asking takes nothing, is no use of the token and is not recorded.
func (s *Service) HeldToken(ctx context.Context, p Presented) (HeldToken, Verdict, error) {
	f, v, err := s.hold(ctx, p)
	if f == nil {
		return HeldToken{}, v, err
	}
	t, err := s.store.Token(ctx, f.id)
	if ErrorCode(err) == CodeNotFound { // since it was judged
		v.Reason = ReasonNotFound
		return HeldToken{}, v, nil
	}
	if err != nil {
		return HeldToken{}, v, err
	}
	if used := time.Unix(0, f.usedAt.Load()).UTC().Truncate(time.Millisecond); used.After(t.IdleSince()) {
		t.LastUsedAt = used // which is not in the store yet
	}
	held := heldOf(t, f, s.prefix, v.At)
	held.Rights = v.Rights.effective()
	peeked := v
	if err := s.take(ctx, f, &VerifyRequest{DryRun: true}, &peeked); err != nil {
		return HeldToken{}, v, err
	}
	held.Limits = []LimitStatus{peeked.Limit}
	return held, v, nil
}

// HeldUsage returns what the token of a secret did in the last days, 1 to MaxUsageDays, under the conditions of
// [Service.HeldToken].
func (s *Service) HeldUsage(ctx context.Context, p Presented, days int) (TokenUsage, Verdict, error) {
	if err := validateDays(days); err != nil {
		return TokenUsage{}, Verdict{}, err
	}
	f, v, err := s.hold(ctx, p)
	if f == nil {
		return TokenUsage{}, v, err
	}
	if err := s.FlushUsage(ctx); err != nil {
		return TokenUsage{}, v, err
	}
	usage, err := s.tokenUsage(ctx, f.id, days)
	return usage, v, err
}

// hold returns the facts about a secret that verifies from where it came, and the verdict; nil facts go with one that
// refuses, or with an error.
func (s *Service) hold(ctx context.Context, p Presented) (*facts, Verdict, error) {
	return s.holdUnder(ctx, p, s.options.ReuseAnywhere)
}

// holdUnder is hold where the use of a secret after its end is fatal, or is not.
func (s *Service) holdUnder(ctx context.Context, p Presented, fatal bool) (*facts, Verdict, error) {
	v := Verdict{At: s.now()}
	r := VerifyRequest{Secret: p.Secret, Address: p.Origin.Address}
	f, owner, err := s.prove(ctx, &r, &v)
	if err == nil && v.Reason == ReasonRotated {
		s.reused(ctx, f.id, p.Origin, v.At, fatal)
	}
	if err == nil && v.Reason == ReasonAllowed {
		v.Rights, err = s.cache.directory.rightsOfToken(ctx, f, owner)
	}
	if err != nil || v.Reason != ReasonAllowed {
		return nil, v, err
	}
	return f, v, nil
}

// RevokeHeld ends for good the token of which a secret is presented, whatever state the token is in and wherever the
// secret comes from: a credential that somebody found and reports must die. The secret before the current one counts as
// long as it verifies; later, its use is dealt with as reuse, and the token lives. The next request with any secret of
// the token is refused. A derived token ends alone.
//
// Nothing tells whether there was such a token: whatever is presented, the answer is nil, after one look-up and one
// write; the error is of code unavailable when the store does not answer.
func (s *Service) RevokeHeld(ctx context.Context, p Presented) error {
	if s.isDerived(p.Secret) {
		return s.revokeHeldDerived(ctx, p)
	}
	presented, err := s.recogniseSecret(ctx, p.Secret, p.Origin.Address)
	if err != nil {
		return err
	}
	known, err := s.store.TokenFacts(ctx, presented.KeyID) // what is unknown is looked up as the zero key id
	if err != nil && ErrorCode(err) != CodeNotFound {
		return err
	}
	now := s.timestamp()
	switch {
	case err != nil || presented.KeyID.IsZero() || !known.Digest.Equal(presented.Digest) || known.Token.Revoked():
		return s.store.Ping(ctx)
	case !known.EndsAt.IsZero() && !now.Before(known.EndsAt):
		s.reused(ctx, known.Token.ID, p.Origin, now, s.options.ReuseAnywhere)
		return s.store.Ping(ctx)
	}
	return s.revokeHeld(ctx, known.Token, p.Origin, now)
}

// revokeHeldDerived is RevokeHeld for what looks like a derived token.
func (s *Service) revokeHeldDerived(ctx context.Context, p Presented) error {
	now := s.timestamp()
	c, err := s.readDerived(ctx, p.Secret, now)
	if err != nil || !now.Before(c.ExpiresAt) {
		if err != nil && ErrorCode(err) != CodeUnauthenticated {
			return err
		}
		return s.store.Ping(ctx)
	}
	if err = s.revokeDerived(ctx, c, p.Origin, now); ErrorCode(err) == CodeNotFound { // the API token is deleted
		return nil
	}
	return err
}

func (s *Service) revokeHeld(ctx context.Context, held *Token, from Origin, now time.Time) error {
	p := Principal{Type: PrincipalToken, ID: int64(held.ID), Name: held.Name, Origin: from}
	revoked := false
	err := s.tx(ctx, func(tx Tx) error {
		revoked = false
		t, err := tx.Token(held.ID)
		if err != nil || t.Revoked() {
			return err
		}
		revoked = true
		return s.revoke(tx, p, t, Revocation{RevokeKeyCompromise, heldReason}, now)
	})
	if ErrorCode(err) == CodeNotFound { // deleted meanwhile
		return nil
	}
	if err == nil && revoked {
		s.counters.revoked.Add(1)
	}
	return err
}
