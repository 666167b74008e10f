package latchward

import (
	"context"
	"time"
)

// Introspection tells what a secret is good for, apart from any request (RFC 7662). The zero Introspection says that it
// is good for nothing now.
type Introspection struct {
	Token   *Token         // nil = not active
	Rights  *Rights        // what the token may do
	Subject Subject        // on whose behalf
	KeyID   KeyID          // of the secret
	Derived *DerivedClaims // of the derived token that was shown; nil = it was a secret
	EndsAt  time.Time      // the secret is good no more from this instant on, unless something changes; zero = no such instant
}

// Active reports whether the secret is good: every request with it that its token's endpoints, networks, rights and
// limits let through is allowed.
func (i *Introspection) Active() bool { return i.Token != nil }

// Introspect tells what a secret is good for. It judges as [Service.Verify] does, but no request: so it consumes
// nothing, moves no clock and records nothing, and whoever asks has to enforce endpoints, networks and rights. Whether
// somebody may ask is up to the caller of this method: knowing the secret is what it takes here. The error is of code
// unavailable when the store did not answer, or too many foreign secrets were presented that nobody knows.
func (s *Service) Introspect(ctx context.Context, secret Secret) (Introspection, error) {
	v := Verdict{At: s.now()}
	if s.isDerived(secret) {
		return s.introspectDerived(ctx, secret, v.At)
	}
	f, owner, err := s.prove(ctx, &VerifyRequest{Secret: secret, DryRun: true}, &v)
	if err == nil && v.RetryAfter() > 0 { // it was not looked up, so nobody knows
		err = Errorf(CodeUnavailable, "Too many unknown secrets were presented; try again in a minute")
	}
	if err != nil || v.Reason != ReasonAllowed && v.Reason != ReasonAddressNotAllowed { // no address was told
		return Introspection{}, err
	}
	i := Introspection{Subject: v.Subject, KeyID: f.keyID}
	if i.Rights, err = s.cache.directory.rightsOfToken(ctx, f, owner); err != nil {
		return Introspection{}, err
	}
	t, err := s.store.Token(ctx, f.id)
	if ErrorCode(err) == CodeNotFound { // deleted since the verdict
		return Introspection{}, nil
	}
	if err != nil {
		return Introspection{}, err
	}
	t.Owner.Name = v.Token.Owner.Name
	i.Token, i.EndsAt = t, earliest(t.ExpiresAt, ended(f.extras.endsAt))
	return i, nil
}

// ended returns the instant that facts have for the end of a secret; zero = none.
func ended(nanoseconds int64) time.Time {
	if nanoseconds == 0 {
		return time.Time{}
	}
	return time.Unix(0, nanoseconds).UTC()
}

// earliest returns the first of two instants, of which the zero time is none.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// introspectDerived is Introspect for what looks like a derived token. For whom it is has no part in it: whoever asks
// has to look at the audience.
func (s *Service) introspectDerived(ctx context.Context, jwt Secret, now time.Time) (Introspection, error) {
	c, err := s.readDerived(ctx, jwt, now)
	if ErrorCode(err) == CodeUnauthenticated {
		return Introspection{}, nil
	}
	if err != nil || !now.Before(c.ExpiresAt) || s.derived.revoked(c.ID) {
		return Introspection{}, err
	}
	f, owner, err := s.parentOf(ctx, c.KeyID, now)
	if err != nil || f.standing(owner, now.UnixNano()) != ReasonAllowed {
		return Introspection{}, unlessNotFound(err)
	}
	parent, err := s.cache.directory.rightsOfToken(ctx, f, owner)
	if err != nil {
		return Introspection{}, err
	}
	t, err := s.store.Token(ctx, f.id)
	if err != nil || t.Revoked() { // since it was judged
		return Introspection{}, unlessNotFound(err)
	}
	t.Owner.Name = owner.Name
	return Introspection{
		Token: t, Rights: c.Rights(parent, now), Subject: f.subject(owner), KeyID: c.KeyID, EndsAt: c.ExpiresAt, Derived: c,
	}, nil
}

func unlessNotFound(err error) error {
	if ErrorCode(err) == CodeNotFound {
		return nil
	}
	return err
}
