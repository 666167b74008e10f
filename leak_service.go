package latchward

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"
)

// leakReason is why a token is revoked whose secret was found in public.
const leakReason = "its secret was found in public"

// ReportLeaks deals with secrets that a scanner found in public, as Options.LeakAction says, and tells of each whether it
// is one of ours. The caller vouches for the scanner, whose name by goes into the audit log. The secret before the current
// one counts as long as it verifies; one that ended before is ours, and nothing is done about it. Tokens that are revoked
// already, or were dealt with when the same leak was reported before, stay as they are. All is done or, with an error,
// nothing. Errors: invalid, for more than MaxLeaks; unavailable, when the store does not answer.
func (s *Service) ReportLeaks(ctx context.Context, by string, leaks []Leak) (ours []bool, err error) {
	if len(leaks) > MaxLeaks {
		return nil, Invalid("body", "may have at most %d secrets", MaxLeaks)
	}
	ours = make([]bool, len(leaks))
	found := map[KeyID]leakedSecret{}
	for i, leak := range leaks {
		known, err := s.leakedSecret(ctx, leak)
		if ErrorCode(err) == CodeNotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		ours[i], found[known.keyID] = true, known
	}
	open, err := s.openLeaks(ctx, found)
	if err != nil || len(open) == 0 {
		return ours, err
	}
	return ours, s.dealWithLeaks(ctx, Principal{Type: PrincipalSystem, Name: by, Administrator: true}, open)
}

// leakedSecret is a secret of ours that was found.
type leakedSecret struct {
	Leak
	keyID  KeyID
	token  *Token
	endsAt time.Time // zero = it is the current one
}

func (s *Service) leakedSecret(ctx context.Context, leak Leak) (leakedSecret, error) {
	presented, err := ParseSecret(leak.Secret, s.prefix, s.keys.Load())
	if err != nil {
		return leakedSecret{}, noSuchToken(0)
	}
	known, err := s.store.TokenFacts(ctx, presented.KeyID)
	if err != nil {
		return leakedSecret{}, err
	}
	if !known.Digest.Equal(presented.Digest) {
		return leakedSecret{}, noSuchToken(0)
	}
	return leakedSecret{leak, presented.KeyID, known.Token, known.EndsAt}, nil
}

// openLeaks returns those of secrets that still verify and that were not dealt with in the same way before, ordered by
// token: what is done, and its entries, must not depend on chance.
func (s *Service) openLeaks(ctx context.Context, found map[KeyID]leakedSecret) (open []leakedSecret, err error) {
	now := s.timestamp()
	for _, leak := range found {
		if leak.token.Revoked() || !leak.endsAt.IsZero() && !now.Before(leak.endsAt) {
			continue
		}
		told, err := s.leakIsTold(ctx, leak)
		if err != nil {
			return nil, err
		}
		if !told {
			open = append(open, leak)
		}
	}
	slices.SortFunc(open, func(a, b leakedSecret) int { return cmp.Compare(a.token.ID, b.token.ID) })
	return open, nil
}

func (s *Service) leakIsTold(ctx context.Context, leak leakedSecret) (bool, error) {
	entries, err := s.store.AuditEntries(ctx, AuditFilter{
		Action: ActionTokenLeak, TargetType: "token", TargetID: int64(leak.token.ID), Limit: MaxPage,
	})
	return slices.ContainsFunc(entries, func(e *AuditEntry) bool {
		return e.After["secret"] == TokenPrefix(s.prefix, leak.keyID) && e.After["action"] == string(s.leakAction())
	}), err
}

// leakAction is what happens to tokens whose secrets leak.
func (s *Service) leakAction() LeakAction { return orDefault(s.options.LeakAction, LeakRevoke) }

// dealWithLeaks does with all tokens at once what is to be done.
func (s *Service) dealWithLeaks(ctx context.Context, scanner Principal, leaks []leakedSecret) error {
	now, revoked := s.timestamp(), int64(0)
	err := s.tx(ctx, func(tx Tx) error {
		revoked = 0
		for _, leak := range leaks {
			t, err := tx.Token(leak.token.ID)
			if ErrorCode(err) == CodeNotFound || err == nil && t.Revoked() { // meanwhile, or for its other secret
				continue
			}
			if err != nil {
				return err
			}
			if err := s.dealWithLeak(tx, scanner, t, leak, now); err != nil {
				return err
			}
			if t.Revoked() {
				revoked++
			}
		}
		return nil
	})
	if err == nil {
		s.counters.revoked.Add(revoked)
	}
	return err
}

func (s *Service) dealWithLeak(tx Tx, scanner Principal, t *Token, leak leakedSecret, now time.Time) error {
	about := target{"token", int64(t.ID), t.Name}
	if err := s.auditChange(tx, scanner, ActionTokenLeak, about, nil, s.leakFacts(leak), now); err != nil {
		return err
	}
	switch s.leakAction() {
	case LeakRevoke:
		return s.revoke(tx, scanner, t, Revocation{RevokeKeyCompromise, leakReason}, now)
	case LeakDisable:
		return s.deactivate(tx, scanner, t, InactiveLeak, now)
	}
	return nil
}

// leakFacts are what the audit log says of a leak.
func (s *Service) leakFacts(leak leakedSecret) map[string]any {
	facts := map[string]any{"secret": TokenPrefix(s.prefix, leak.keyID), "action": string(s.leakAction())}
	for name, text := range map[string]string{"address": leak.Address, "source": leak.Source} {
		if text = readable(text, MaxLeakAddress); text != "" && !HoldsSecret(text, s.prefix) {
			facts[name] = text
		}
	}
	return facts
}

// readable returns the first bytes of text, as far as they are printable.
func readable(text string, most int) string {
	text = strings.ToValidUTF8(text[:min(len(text), most)], "")
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\u2028' || r == '\u2029' {
			return -1
		}
		return r
	}, text)
}
