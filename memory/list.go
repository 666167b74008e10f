package memory

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/latchward/latchward"
)

// Tokens implements [latchward.Store].
func (s *Store) Tokens(_ context.Context, f latchward.TokenFilter) ([]*latchward.Token, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.list(f), nil
}

// Tokens implements [latchward.Tx].
func (tx *transaction) Tokens(f latchward.TokenFilter) ([]*latchward.Token, error) {
	return tx.store.list(f), nil
}

func (s *Store) list(f latchward.TokenFilter) []*latchward.Token {
	found := s.matching(&f)
	slices.SortFunc(found, func(a, b *latchward.Token) int {
		return order(&f, latchward.CursorOf(a, f.Sort), latchward.CursorOf(b, f.Sort))
	})
	if f.After != nil {
		found = slices.DeleteFunc(found, func(t *latchward.Token) bool {
			return order(&f, latchward.CursorOf(t, f.Sort), *f.After) <= 0
		})
	}
	found = first(f.Limit, found)
	for i, t := range found {
		found[i] = s.copyToken(t)
	}
	return found
}

// order tells which of two places comes first in f's order. The descending order is the ascending one backwards, in
// its ties too.
func order(f *latchward.TokenFilter, a, b latchward.TokenCursor) int {
	ascending := cmp.Or(a.Time.Compare(b.Time), strings.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	if f.Desc {
		return -ascending
	}
	return ascending
}

// CountTokens implements [latchward.Store].
func (s *Store) CountTokens(_ context.Context, f latchward.TokenFilter) (int64, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return int64(len(s.matching(&f))), nil
}

// matching returns the kept tokens that match, in no order.
func (s *Store) matching(f *latchward.TokenFilter) []*latchward.Token {
	var found []*latchward.Token
	for _, r := range s.tokens {
		if matches(f, r.token) && (f.ServerKey == 0 || r.depends(f.ServerKey, f.Now)) {
			found = append(found, r.token)
		}
	}
	return found
}

// depends reports whether the token needs the server key of a version, see [latchward.TokenFilter].
func (r *record) depends(version int, now time.Time) bool {
	return !r.token.Revoked() && (r.token.Secret.KeyID.Version() == version ||
		slices.ContainsFunc(r.retired, func(s latchward.RetiringSecret) bool {
			return s.KeyID.Version() == version && s.EndsAt.After(now)
		}))
}

func matches(f *latchward.TokenFilter, t *latchward.Token) bool {
	switch {
	case f.Owners != nil && !slices.ContainsFunc(f.Owners, t.Owner.Is):
		return false
	case !has(t.Roles, f.Role) || !has(t.Groups, f.Group) || !has(t.Licenses, f.License):
		return false
	case f.Kind != "" && t.Kind != f.Kind:
		return false
	case f.Status != "" && t.Status(f.Now) != f.Status:
		return false
	case f.Tag != "" && !slices.Contains(t.Tags, f.Tag):
		return false
	case !f.UnusedSince.IsZero() && !t.IdleSince().Before(f.UnusedSince):
		return false
	case !f.ExpiresBefore.IsZero() && (t.ExpiresAt.IsZero() || !t.ExpiresAt.Before(f.ExpiresBefore)):
		return false
	case f.NeverUsed && !t.LastUsedAt.IsZero():
		return false
	case !before(t.IdleAt(), f.IdleBefore) || !before(t.RotationDueAt, f.RotationDue) || !before(t.CreatedAt, f.CreatedBefore):
		return false
	case f.CreatedBy != "" && t.CreatedBy != f.CreatedBy || f.RevokeReason != "" && t.RevokeReason != f.RevokeReason:
		return false
	}
	return contains(f.Query, t.Name, t.Description, t.Prefix)
}

// before reports whether there is a moment and it lies before the wanted one; the zero time wants none.
func before(at, wanted time.Time) bool { return wanted.IsZero() || !at.IsZero() && at.Before(wanted) }

// IdleTokens implements [latchward.Store].
func (s *Store) IdleTokens(_ context.Context, now time.Time, limit int) ([]latchward.TokenID, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var found []latchward.TokenID
	for id, r := range s.tokens {
		if r.token.Active && !r.token.Revoked() && r.token.Idle(now) {
			found = append(found, id)
		}
	}
	return first(limit, found), nil
}
