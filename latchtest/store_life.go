package latchtest

import (
	"fmt"
	"time"

	"github.com/latchward/latchward"
)

func listByNeverUsed(t *trial) {
	owner := t.user()
	t.token(owner, named("never"))
	used := t.token(owner, named("used"))
	t.add(event(used.ID, epoch()))
	t.onlyNames("never used", latchward.TokenFilter{NeverUsed: true}, "never")
}

func listByIdleBefore(t *trial) {
	owner := t.user()
	t.token(owner, named("never"))
	t.token(owner, named("week"), idleAfter(7))
	t.token(owner, named("month"), idleAfter(30))
	used := t.token(owner, named("used"), idleAfter(7))
	t.add(event(used.ID, epoch().Add(time.Millisecond)))
	week := epoch().AddDate(0, 0, 7)
	t.onlyNames("idle by the very moment", latchward.TokenFilter{IdleBefore: week})
	t.onlyNames("idle a moment later", latchward.TokenFilter{IdleBefore: week.Add(time.Millisecond)}, "week")
	t.onlyNames("idle two moments later", latchward.TokenFilter{IdleBefore: week.Add(2 * time.Millisecond)}, "week", "used")
}

func listByRotationDue(t *trial) {
	owner := t.user()
	due := func(after time.Duration) func(*latchward.Token) {
		return func(token *latchward.Token) { token.RotationDueAt = epoch().Add(after) }
	}
	t.token(owner, named("never"))
	t.token(owner, named("before"), due(-time.Millisecond))
	t.token(owner, named("then"), due(0))
	t.onlyNames("rotation due", latchward.TokenFilter{RotationDue: epoch()}, "before")
}

func listByCreation(t *trial) {
	owner := t.user()
	by := func(who string, after time.Duration) func(*latchward.Token) {
		return func(token *latchward.Token) { token.CreatedBy, token.CreatedAt = who, epoch().Add(after) }
	}
	t.token(owner, named("nobody's"))
	t.token(owner, named("early"), by("user:1", -time.Millisecond))
	t.token(owner, named("late"), by("user:1", 0))
	t.token(owner, named("other"), by("user:11", -time.Millisecond))
	t.onlyNames("created before", latchward.TokenFilter{CreatedBefore: epoch()}, "early", "other")
	t.onlyNames("created by", latchward.TokenFilter{CreatedBy: "user:1"}, "early", "late")
}

func listByRevokeReason(t *trial) {
	owner := t.user()
	for _, reason := range latchward.RevokeReasons() {
		t.token(owner, named(string(reason)), func(token *latchward.Token) {
			token.RevokedAt, token.RevokeReason = epoch(), reason
		})
	}
	t.token(owner)
	t.onlyNames("revoked for a reason", latchward.TokenFilter{RevokeReason: latchward.RevokeSuperseded}, "superseded")
}

// tagged saves tokens with one tag, and one without.
func (t *trial) tagged(n int) (list []*latchward.Token) {
	owner := t.user()
	for i := range n {
		list = append(list, t.token(owner, named(fmt.Sprint(i)), func(token *latchward.Token) { token.Tags = []string{"x"} }))
	}
	t.token(owner)
	return list
}

func txTokensNow(t *trial) {
	want := t.tagged(2)
	t.tx(func(tx latchward.Tx) error {
		fresh := *t.draftOf(want[0])
		if err := tx.SaveToken(&fresh); err != nil {
			return err
		}
		got, err := tx.Tokens(latchward.TokenFilter{Tag: "x", Limit: latchward.MaxPage})
		t.sameTokens("Tx.Tokens after a token was saved", got, want[0], want[1], &fresh)
		return err
	})
}

// draftOf returns a token like another one that is not saved yet.
func (t *trial) draftOf(token *latchward.Token) *latchward.Token {
	c := token.Clone()
	c.ID, c.Secret = 0, t.credential()
	return c
}

func txTokensPages(t *trial) {
	want := t.tagged(5)
	t.tx(func(tx latchward.Tx) error {
		var got []*latchward.Token
		f := latchward.TokenFilter{Tag: "x", Limit: 2}
		for page := 1; page > 0 && len(got) < 10; {
			list, err := tx.Tokens(f)
			if err != nil {
				return err
			}
			if page = len(list); page > f.Limit {
				t.Errorf("Tx.Tokens returned %d tokens, want at most %d", page, f.Limit)
			}
			if got = append(got, list...); page > 0 {
				cursor := latchward.CursorOf(list[page-1], f.Sort)
				f.After = &cursor
			}
		}
		t.sameTokens("the pages of Tx.Tokens", got, want...)
		return nil
	})
}

func txTokensAreCopies(t *trial) {
	want := t.token(nil, full)
	t.tx(func(tx latchward.Tx) error {
		for range 2 {
			got, err := tx.Tokens(latchward.TokenFilter{Limit: latchward.MaxPage})
			if err != nil || len(got) != 1 {
				return fmt.Errorf("%d tokens, %w", len(got), err)
			}
			t.same("Tx.Tokens", got[0], want)
			scribble(got[0])
		}
		return nil
	})
	t.same("after a copy was scribbled on", t.stored(want.ID), want)
}
