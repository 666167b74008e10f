package latchward_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/latchtest"
)

func (f *fixture) report(t *testing.T, leaks ...latchward.Leak) []bool {
	t.Helper()
	ours, err := f.ReportLeaks(context.Background(), "scanner", leaks)
	if err != nil {
		t.Fatal(err)
	}
	return ours
}

// bar 64: what is ours is told from what is not, dies at once, and a report that comes again changes nothing.
func TestReportLeaks(t *testing.T) {
	f := newFixture(t, nil)
	leaked, other := f.create(t, latchward.NewToken{Name: "till"}), f.create(t, latchward.NewToken{})
	mistyped := latchward.SecretFromText(leaked.Secret.Expose()[:52] + "!")
	forged, _, err := latchward.NewSecret(latchtest.Seeded(99), "lw_", ring(t))
	if err != nil {
		t.Fatal(err)
	}
	if r := f.reason(t, leaked.Secret); r != latchward.ReasonAllowed {
		t.Fatal(r)
	}
	report := []latchward.Leak{
		{Secret: leaked.Secret, Address: "https://example.com/blob/" + leaked.Secret.Expose(), Source: "com\nmit"}, {Secret: mistyped},
		{Secret: forged}, {Secret: latchward.SecretFromText("")}, {Secret: leaked.Secret, Address: "https://example.com/b", Source: "gist"},
	}
	for range 3 {
		if ours := f.report(t, report...); ours[0] != true || ours[1] || ours[2] || ours[3] || ours[4] != true {
			t.Errorf("ours: %v", ours)
		}
		if r := f.reason(t, leaked.Secret); r != latchward.ReasonRevoked {
			t.Errorf("the leaked one is %s", r)
		}
	}
	if r := f.reason(t, other.Secret); r != latchward.ReasonAllowed {
		t.Errorf("another one is %s", r)
	}
	entries := f.entries(t, latchward.AuditFilter{TargetType: "token", TargetID: int64(leaked.Token.ID)})
	if len(entries) != 3 || entries[0].Action != latchward.ActionTokenRevoke || entries[1].Action != latchward.ActionTokenLeak ||
		entries[1].Actor.Name != "scanner" || entries[1].Actor.Type != latchward.PrincipalSystem {
		t.Fatalf("entries %+v", entries)
	}
	after := entries[1].After
	if after["address"] != "https://example.com/b" || after["source"] != "gist" || after["secret"] != leaked.Token.Prefix {
		t.Errorf("the entry says %v", after)
	}
	if n := f.Stats().TokensRevoked; n != 1 {
		t.Errorf("%d tokens were counted as revoked", n)
	}
}

// No secret gets into the audit log, nor what would break its lines.
func TestReportLeaksTellsNoSecret(t *testing.T) {
	f := newFixture(t, func(o *latchward.Options) { o.LeakAction = latchward.LeakAlert })
	leaked := f.create(t, latchward.NewToken{})
	f.report(t, latchward.Leak{
		Secret: leaked.Secret, Address: "https://example.com/" + leaked.Secret.Expose(), Source: "a\r\n\x1b[2Jb\xff\u2028c" + strings.Repeat("x", 5000),
	})
	e := f.entries(t, latchward.AuditFilter{Action: latchward.ActionTokenLeak})[0]
	if source, _ := e.After["source"].(string); e.After["address"] != nil || !strings.HasPrefix(source, "a[2Jbc") ||
		len(source) > latchward.MaxLeakAddress {
		t.Errorf("the entry says %v", e.After)
	}
}

func TestLeakActions(t *testing.T) {
	for action, want := range map[latchward.LeakAction]latchward.Reason{
		"": latchward.ReasonRevoked, latchward.LeakRevoke: latchward.ReasonRevoked,
		latchward.LeakDisable: latchward.ReasonDisabled, latchward.LeakAlert: latchward.ReasonAllowed,
	} {
		t.Run(string(action), func(t *testing.T) {
			f := newFixture(t, func(o *latchward.Options) { o.LeakAction = action })
			leaked := f.create(t, latchward.NewToken{})
			for range 2 {
				f.report(t, latchward.Leak{Secret: leaked.Secret})
			}
			if r := f.reason(t, leaked.Secret); r != want {
				t.Errorf("verdict %s, want %s", r, want)
			}
			if n := len(f.entries(t, latchward.AuditFilter{Action: latchward.ActionTokenLeak})); n != 1 {
				t.Errorf("%d entries, want one for two reports", n)
			}
		})
	}
}

// Who enables a disabled token decided; the same leak, told again, does not undo that. Another secret's does.
func TestLeakAfterEnabling(t *testing.T) {
	f := newFixture(t, func(o *latchward.Options) { o.LeakAction = latchward.LeakDisable })
	leaked := f.create(t, latchward.NewToken{})
	f.report(t, latchward.Leak{Secret: leaked.Secret})
	active := true
	must[latchward.IssuedToken](t)(f.UpdateToken(f.ctx, leaked.Token.ID, latchward.TokenUpdate{Active: &active}))
	f.report(t, latchward.Leak{Secret: leaked.Secret})
	if r := f.reason(t, leaked.Secret); r != latchward.ReasonAllowed {
		t.Errorf("after it was enabled and reported again: %s", r)
	}
	rotated := must[latchward.IssuedToken](t)(f.RotateToken(f.ctx, leaked.Token.ID, latchward.Rotation{}))
	f.report(t, latchward.Leak{Secret: rotated.Secret})
	if r := f.reason(t, rotated.Secret); r != latchward.ReasonDisabled {
		t.Errorf("after its new secret leaked: %s", r)
	}
}

// A secret that was rotated out endangers its token only as long as it verifies.
func TestLeakOfRetiringSecret(t *testing.T) {
	f := newFixture(t, nil)
	issued := f.create(t, latchward.NewToken{})
	rotated := must[latchward.IssuedToken](t)(f.RotateToken(f.ctx, issued.Token.ID, latchward.Rotation{Grace: time.Hour}))
	f.advance(time.Hour)
	if ours := f.report(t, latchward.Leak{Secret: issued.Secret}); !ours[0] {
		t.Error("a secret that ended is not told to be ours")
	}
	if r := f.reason(t, rotated.Secret); r != latchward.ReasonAllowed {
		t.Errorf("after a leak of the secret that ended: %s", r)
	}
	last := must[latchward.IssuedToken](t)(f.RotateToken(f.ctx, issued.Token.ID, latchward.Rotation{Grace: time.Hour}))
	f.report(t, latchward.Leak{Secret: rotated.Secret}, latchward.Leak{Secret: last.Secret})
	for _, secret := range []latchward.Secret{rotated.Secret, last.Secret} {
		if r := f.reason(t, secret); r != latchward.ReasonRevoked {
			t.Errorf("after leaks of both secrets: %s", r)
		}
	}
}

// All or nothing: a store that fails leaves no token half dealt with, and the report can be sent again.
func TestReportLeaksWithoutStore(t *testing.T) {
	f := newFixture(t, nil)
	leaked := f.create(t, latchward.NewToken{})
	if _, err := f.ReportLeaks(context.Background(), "scanner", make([]latchward.Leak, latchward.MaxLeaks+1)); latchward.ErrorCode(err) != latchward.CodeInvalid {
		t.Errorf("too many: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if ours, err := f.ReportLeaks(ctx, "scanner", []latchward.Leak{{Secret: leaked.Secret}}); err == nil && f.reason(t, leaked.Secret) != latchward.ReasonRevoked {
		t.Errorf("%v without an error, and nothing done", ours)
	}
}
