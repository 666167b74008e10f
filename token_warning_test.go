package latchward_test

import (
	"slices"
	"testing"
	"time"

	"github.com/latchward/latchward"
)

// X-02, S3-16: warnings begin to the second: on day 25 of 30, and after five sixths of any other time.
func TestWarningsBeginOnTime(t *testing.T) {
	start := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	const hour = time.Hour
	for _, c := range []struct {
		what   string
		token  latchward.Token
		begins time.Duration
		ends   time.Duration // the last instant; 0 = it does not end
		want   latchward.TokenWarning
	}{
		{"30 days idle", latchward.Token{IdleTimeoutDays: 30}, 25 * day, 30 * day, latchward.WarnIdleSoon},
		{"6 days idle", latchward.Token{IdleTimeoutDays: 6}, 5 * day, 6 * day, latchward.WarnIdleSoon},
		{"1 day idle", latchward.Token{IdleTimeoutDays: 1}, 20 * hour, day, latchward.WarnIdleSoon},
		{
			"used", latchward.Token{IdleTimeoutDays: 30, LastUsedAt: start.Add(29 * day)},
			54 * day, 59 * day, latchward.WarnIdleSoon,
		},
		{"90 days to live", latchward.Token{ExpiresAt: start.Add(90 * day)}, 75 * day, 90*day - 1, latchward.WarnExpiresSoon},
		{"a year to live", latchward.Token{ExpiresAt: start.Add(360 * day)}, 330 * day, 360*day - 1, latchward.WarnExpiresSoon},
		{"a day to live", latchward.Token{ExpiresAt: start.Add(day)}, 20 * hour, day - 1, latchward.WarnExpiresSoon},
		{"rotation due", latchward.Token{RotationDueAt: start.Add(30 * day)}, 25 * day, 30*day - 1, latchward.WarnRotationDue},
		{"rotation overdue", latchward.Token{RotationDueAt: start.Add(30 * day)}, 30 * day, 0, latchward.WarnRotationOverdue},
		{
			"rotated", latchward.Token{RotatedAt: start.Add(10 * day), RotationDueAt: start.Add(40 * day)},
			35 * day, 40*day - 1, latchward.WarnRotationDue,
		},
	} {
		token := c.token
		token.Active, token.CreatedAt = true, start
		at := func(after time.Duration) bool { return slices.Contains(token.Warnings(start.Add(after)), c.want) }
		if at(c.begins-time.Nanosecond) || !at(c.begins) {
			t.Errorf("%s: %s does not begin after %s", c.what, c.want, c.begins)
		}
		if c.ends != 0 && (!at(c.ends) || at(c.ends+time.Nanosecond)) {
			t.Errorf("%s: %s does not end after %s", c.what, c.want, c.ends)
		}
		token.RevokedAt = start
		if list := token.Warnings(start.Add(c.begins)); list != nil {
			t.Errorf("%s: a revoked token warns of %v", c.what, list)
		}
	}
}

// S3-03, S3-04: a token shows as inactive in lists without any call and before any sweep, a moment after its last day.
func TestListsShowIdleTokensAtOnce(t *testing.T) {
	f := newFixture(t, nil)
	id := f.create(t, latchward.NewToken{}).Token.ID
	inactive := func() bool {
		page := must[latchward.TokenPage](t)(f.Tokens(f.ctx, latchward.TokenFilter{Status: latchward.StatusInactive}))
		return len(page.Tokens) == 1 && page.Tokens[0].ID == id && page.Tokens[0].Status(f.clock()) == latchward.StatusInactive
	}
	f.advance(30 * day)
	if inactive() {
		t.Error("on day 30")
	}
	f.advance(time.Second)
	if !inactive() {
		t.Error("not a second later")
	}
	f.must(t, f.SweepIdle(f.ctx), "")
	if token := must[*latchward.Token](t)(f.Token(f.ctx, id)); token.Active || token.InactiveReason != latchward.InactiveIdle {
		t.Errorf("after the sweep: %+v", token)
	}
}

// B-13: a token whose secret had to be replaced is disabled by the sweep; enabling it is refused, rotating it heals it.
func TestOverdueSecretsAreDisabled(t *testing.T) {
	f := newFixture(t, nil)
	f.policy(t, latchward.NewPolicy{Name: "strict", Rules: latchward.LifecycleRules{
		RotationDays: 10, RotationRequired: true, IdleTimeoutDays: ptr(0),
	}})
	made := f.create(t, latchward.NewToken{})
	status := func() (bool, latchward.InactiveReason) {
		t.Helper()
		f.must(t, f.SweepIdle(f.ctx), "")
		token := must[*latchward.Token](t)(f.Token(f.ctx, made.Token.ID))
		return token.Active, token.InactiveReason
	}
	f.advance(10*day - time.Second)
	if active, _ := status(); !active {
		t.Error("disabled a second early")
	}
	f.advance(time.Second)
	if active, reason := status(); active || reason != latchward.InactivePolicy {
		t.Errorf("not disabled: %s", reason)
	}
	v := must[latchward.Verdict](t)(f.Verify(f.ctx, latchward.VerifyRequest{Secret: made.Secret}))
	if v.Reason != latchward.ReasonDisabled {
		t.Errorf("verdict %s", v.Reason)
	}
	_, err := f.UpdateToken(f.ctx, made.Token.ID, latchward.TokenUpdate{Active: ptr(true)})
	f.must(t, err, latchward.CodeConflict)
	rotated := must[latchward.IssuedToken](t)(f.RotateToken(f.ctx, made.Token.ID, latchward.Rotation{}))
	if v := must[latchward.Verdict](t)(f.Verify(f.ctx, latchward.VerifyRequest{Secret: rotated.Secret})); !v.Allowed() {
		t.Errorf("the new secret: %s", v.Reason)
	}
	if active, _ := status(); !active {
		t.Error("disabled again")
	}
}
