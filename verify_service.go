package latchward

import (
	"context"
	"errors"
	"time"
)

// Verify implements [Verifier]. It reads the clock once, touches the store only for a token it does not remember, and
// allocates nothing for one it does.
func (s *Service) Verify(ctx context.Context, r VerifyRequest) (v Verdict, err error) {
	v.At = s.now()
	if err = s.verify(ctx, &r, &v); err != nil {
		v.Reason = ""
		s.counters.undecided.Add(1)
		return v, err
	}
	if !r.DryRun {
		s.counters.verdict(v.Reason, v.Token.ID)
	}
	return v, nil
}

func (s *Service) verify(ctx context.Context, r *VerifyRequest, v *Verdict) error {
	if !wellFormed(r) || HoldsSecret(r.Path, s.prefix) {
		v.Reason = ReasonBadRequest
		return nil
	}
	v.Path = r.Path
	if s.isDerived(r.Secret) {
		return s.verifyDerived(ctx, r, v)
	}
	f, owner, err := s.prove(ctx, r, v)
	if v.Reason == ReasonRotated && !r.DryRun {
		s.reused(ctx, f.id, Origin{Address: r.Address}, v.At, s.options.ReuseAnywhere)
	}
	if err != nil || v.Reason != ReasonAllowed {
		return err
	}
	if v.Rights, err = s.cache.directory.rightsOfToken(ctx, f, owner); err != nil {
		return err
	}
	if v.Reason = permitRequest(f, v.Rights, r, v.At); v.Reason == ReasonAllowed {
		return s.take(ctx, f, r, v)
	}
	return nil
}

// prove judges the secret that was presented, and all that restricts its token whatever is asked for. The facts are nil
// for a secret that is not proven.
func (s *Service) prove(ctx context.Context, r *VerifyRequest, v *Verdict) (*facts, *ownerRecord, error) {
	if r.Secret.IsZero() {
		v.Reason = ReasonMissing
		return nil, nil, nil
	}
	presented, err := ParseSecret(r.Secret, s.prefix, s.keys.Load())
	if err != nil {
		return s.proveForeign(ctx, r, v, err == ErrForeign)
	}
	f, err := s.cache.get(ctx, presented.KeyID, v.At)
	if err != nil {
		return nil, nil, notFoundIsVerdict(err, v)
	}
	return s.proven(ctx, f, presented.Digest, r, v)
}

// proven is prove for a secret that was looked up.
func (s *Service) proven(
	ctx context.Context, f *facts, presented Digest, r *VerifyRequest, v *Verdict,
) (*facts, *ownerRecord, error) {
	owner, err := s.cache.ownerOf(ctx, f)
	if err != nil {
		return nil, nil, err
	}
	v.Reason = decide(f, owner, presented, r, v.At.UnixNano())
	if v.Reason == ReasonNotFound {
		return nil, nil, nil
	}
	v.Token, v.Subject = f.token(owner), f.subject(owner)
	return f, owner, nil
}

// wellFormed refuses what two readers could understand differently. Canonical input costs no allocation.
func wellFormed(r *VerifyRequest) bool {
	if r.Path != "" {
		path, err := CanonicalPath(r.Path)
		if err != nil {
			return false
		}
		r.Path = path
	}
	if r.Method != "" {
		method, err := CanonicalMethod(r.Method)
		if err != nil {
			return false
		}
		r.Method = method
	}
	return true
}

func notFoundIsVerdict(err error, v *Verdict) error {
	// Looking for the code takes as long as a fifth of a refusal, and would tell that one from others (bar 7).
	if err == errNoSuchKeyID || ErrorCode(err) == CodeNotFound {
		v.Reason = ReasonNotFound
		return nil
	}
	return err
}

// take books the request's cost, all or nothing, and is the last step: refusals before it cost nothing (S2-11).
func (s *Service) take(ctx context.Context, f *facts, r *VerifyRequest, v *Verdict) error {
	cost := r.Cost
	if cost == 0 {
		cost = 1
	}
	now := s.instant(v.At)
	var state LimitState
	if err := s.book(ctx, now, cost, f, r.DryRun, &state); err != nil {
		var known *Error
		if errors.As(err, &known) {
			return err
		}
		return &Error{Code: CodeUnavailable, Message: "The rate limiter did not answer.", Err: err}
	}
	limit := &f.terms.limits[state.Limit]
	v.Limit = LimitStatus{
		Name: limit.Name, Limit: limit.N, Window: limit.Window, Remaining: state.Remaining, Current: state.Current,
		Reset: v.At.Add(time.Duration(state.Reset - now)),
	}
	if !state.Admitted {
		v.Reason = ReasonRateLimited
		return nil
	}
	if !r.DryRun {
		now := v.At.UnixNano()
		f.used(now)
		if f.extras.firstUse(now) {
			s.endRetiring(ctx, f.id, f.keyID)
		}
	}
	return nil
}

func (s *Service) book(
	ctx context.Context, now Instant, cost int64, f *facts, dry bool, state *LimitState,
) (err error) {
	switch {
	case dry:
		*state, err = s.limiter.Peek(ctx, now, cost, []Budget{f.budget()})
	case s.local != nil:
		err = s.local.takeAt(&f.bucket, now, cost, f.budget(), state)
	default:
		*state, _, err = s.limiter.Take(ctx, now, cost, []Budget{f.budget()})
	}
	return err
}
