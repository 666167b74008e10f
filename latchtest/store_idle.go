package latchtest

import (
	"slices"
	"time"

	"github.com/latchward/latchward"
)

// sameIdle checks which tokens are idle, in whatever order.
func (t *trial) sameIdle(what string, now time.Time, want ...*latchward.Token) {
	t.Helper()
	got, err := t.store.IdleTokens(t.ctx, now, latchward.MaxPage)
	t.must(err)
	slices.Sort(got)
	var ids []latchward.TokenID
	for _, token := range want {
		ids = append(ids, token.ID)
	}
	t.same(what, got, ids)
}

// idleAfter returns an edit that makes a token go idle after so many days.
func idleAfter(days int, edits ...func(*latchward.Token)) func(*latchward.Token) {
	return func(token *latchward.Token) {
		token.IdleTimeoutDays = days
		for _, edit := range edits {
			edit(token)
		}
	}
}

// idleStrictly checks that 30 days unused are not idle yet, and a moment more is (S3-03).
func idleStrictly(t *trial) {
	owner := t.user()
	month, week := t.token(owner, idleAfter(30)), t.token(owner, idleAfter(7))
	t.token(owner, idleAfter(0))
	for _, c := range []struct {
		at   time.Duration // past so many days
		days int
		want []*latchward.Token
	}{
		{0, 7, nil}, {time.Millisecond, 7, []*latchward.Token{week}},
		{0, 30, []*latchward.Token{week}}, {time.Millisecond, 30, []*latchward.Token{month, week}},
		{0, latchward.MaxIdleTimeoutDays, []*latchward.Token{month, week}},
	} {
		now := epoch().AddDate(0, 0, c.days).Add(c.at)
		t.sameIdle(now.String(), now, c.want...)
	}
}

// idleSinceLatest checks where the idle clock starts.
func idleSinceLatest(t *trial) {
	owner := t.user()
	enabled := t.token(owner, idleAfter(30, func(token *latchward.Token) { token.EnabledAt = epoch().Add(time.Hour) }))
	used, refused := t.token(owner, idleAfter(30)), t.token(owner, idleAfter(30))
	both := t.token(owner, idleAfter(30, func(token *latchward.Token) { token.EnabledAt = epoch().Add(time.Hour) }))
	failed := event(refused.ID, epoch().Add(time.Hour))
	failed.Reason, failed.Status = latchward.ReasonRateLimited, 429
	t.add(event(used.ID, epoch().Add(time.Hour)), event(both.ID, epoch().Add(2*time.Hour)), failed)
	due := epoch().AddDate(0, 0, 30)
	t.sameIdle("an hour after creation ran out", due.Add(time.Hour), refused)
	t.sameIdle("after an hour ran out", due.Add(time.Hour+time.Millisecond), enabled, used, refused)
	t.sameIdle("after two hours ran out", due.Add(2*time.Hour+time.Millisecond), enabled, used, refused, both)
}

func idleOnlyActive(t *trial) {
	owner := t.user()
	t.token(owner, idleAfter(30, func(token *latchward.Token) { token.Active = false }))
	t.token(owner, idleAfter(30, func(token *latchward.Token) { token.RevokedAt = epoch() }))
	gone := t.token(owner, idleAfter(30))
	t.deleteToken(gone.ID)
	expired := t.token(owner, idleAfter(30, func(token *latchward.Token) { token.ExpiresAt = epoch() }))
	t.sameIdle("after a year", epoch().AddDate(1, 0, 0), expired)
}

func idleLimit(t *trial) {
	owner := t.user()
	for range 3 {
		t.token(owner, idleAfter(30))
	}
	for limit := 1; limit <= 3; limit++ {
		ids, err := t.store.IdleTokens(t.ctx, epoch().AddDate(1, 0, 0), limit)
		t.must(err)
		slices.Sort(ids)
		if len(slices.Compact(ids)) != limit {
			t.Errorf("IdleTokens returned %v, want %d different ids", ids, limit)
		}
	}
}
