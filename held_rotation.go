package latchward

import (
	"context"
	"time"
)

// selfRotation bounds how often the holder of a token may rotate it: each time writes.
var selfRotation = Limit{Name: "self_rotations", N: 10, Window: time.Minute}

// RotateHeld lets the holder of a secret rotate its token, if its policies say that they may, under the conditions of
// [Service.HeldToken]; the zero IssuedToken goes with a verdict that refuses.
//
// Presented with the current secret, it rotates as [Service.RotateToken] does. Presented with the one before it, while
// that verifies, it takes the current one for lost on its way: it ends that one and makes another in its place. The
// secret that was presented keeps its end then, or gets the earlier one that r says; whoever has only an old secret
// cannot make it live longer (bar 56). A secret whose grace is over brings about what the token's policy says (bar 57).
//
// Errors: forbidden, when the policies do not let holders rotate; conflict, when another rotation came between;
// exhausted, after 10 rotations in a minute.
func (s *Service) RotateHeld(ctx context.Context, held Presented, r Rotation) (issued IssuedToken, v Verdict, err error) {
	if err := r.validate(); err != nil {
		return IssuedToken{}, Verdict{}, err
	}
	f, v, err := s.holdUnder(ctx, held, true)
	if f == nil {
		return IssuedToken{}, v, err
	}
	p := Principal{Type: PrincipalToken, ID: int64(f.id), Name: f.name, Rights: v.Rights, Origin: held.Origin}
	ctx = WithPrincipal(ctx, p)
	defer s.noteDenial(ctx, PermissionTokensRotate, int64(f.id), "", &err)
	if err := s.throttleSelfRotation(ctx, f.id); err != nil {
		return IssuedToken{}, v, err
	}
	issued, err = s.rotateHeld(ctx, p, f, r)
	return issued, v, err
}

func (s *Service) throttleSelfRotation(ctx context.Context, id TokenID) error {
	budget := []Budget{{Key: BudgetKey{Kind: BudgetToken, ID: int64(id)}, Limits: []Limit{selfRotation}}}
	state, _, err := s.creations.Take(ctx, s.instant(s.now()), 1, budget)
	if err == nil && !state.Admitted {
		err = Errorf(CodeExhausted, "A token may be rotated by its holder at most %d times a minute", selfRotation.N)
	}
	return err
}

func (s *Service) rotateHeld(ctx context.Context, p Principal, f *facts, r Rotation) (IssuedToken, error) {
	seen, err := s.store.Token(ctx, f.id)
	if err != nil {
		return IssuedToken{}, noSuch(err, "Token")
	}
	policies, err := s.policies(ctx)
	if err != nil {
		return IssuedToken{}, err
	}
	var secret Secret
	now := s.timestamp()
	load := func(tx Tx) (*Token, error) { return tx.Token(f.id) }
	t, err := s.edit(ctx, p, now, load, func(tx Tx, t *Token) (string, error) {
		if rules, err := policies.of(tx, t); err != nil || !rules.SelfRotationAllowed() {
			return "", orElse(err, errNoSelfRotation)
		}
		old, err := t.presentedIs(f.keyID, seen, now)
		repeated := r.RequestKey != "" && t.issueKey(p, r.RequestKey)
		switch {
		case err != nil && !(repeated && old):
			return "", err
		case !old:
			secret, err = s.rotate(tx, p, t, r, false, now)
			return ActionTokenRotate, err
		}
		secret, err = s.replaceLost(tx, p, t, r, now)
		if repeated {
			return unaudited, err
		}
		return ActionTokenRotate, err
	})
	if err != nil {
		return IssuedToken{}, noSuch(err, "Token")
	}
	return IssuedToken{Token: t, Secret: secret, Warnings: warnings(t, now)}, nil
}

var errNoSelfRotation error = &Error{
	Code: CodeForbidden, Message: "No policy lets holders rotate this token: ask whoever manages it",
}

func orElse(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

// presentedIs reports whether the secret with that key id is the one before the current one, rather than the current
// one. The error says that t was rotated since it was seen, or that the secret has ended.
func (t *Token) presentedIs(id KeyID, seen *Token, now time.Time) (old bool, err error) {
	old = t.Retiring.KeyID == id && t.Retiring.EndsAt.After(now)
	if t.Secret.KeyID != seen.Secret.KeyID || t.Secret.KeyID != id && !old {
		err = &Error{Code: CodeConflict, Message: "The token has just been rotated by somebody else"}
	}
	return old, err
}

// replaceLost puts another secret in the place of the current one, which never arrived, and leaves the one before it its
// end, or gives it an earlier one.
func (s *Service) replaceLost(tx Tx, p Principal, t *Token, r Rotation, now time.Time) (Secret, error) {
	secret, err := s.rotate(tx, p, t, r, true, now)
	if err != nil {
		return secret, err
	}
	if end := now.Add(r.Grace); end.Before(t.Retiring.EndsAt) {
		t.Retiring.EndsAt = end
	}
	t.Retiring.AtFirstUse = t.Retiring.AtFirstUse || r.AtFirstUse
	t.IssueKey = issueKey(p, r.RequestKey)
	return secret, tx.RetireSecret(t.ID, t.Retiring)
}
