package demo_test

import (
	"crypto/rand"
	"slices"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/demo"
	"github.com/latchward/latchward/memory"
)

// S2-39: the use cases of the source, word by word; S1-20: a device; X-08: a service that asks for verdicts.
func TestSeed(t *testing.T) {
	ring, err := latchward.GenerateKeyRing(rand.Reader, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	service, err := latchward.New(t.Context(), latchward.Options{Store: memory.New(), Keys: ring})
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := demo.Seed(t.Context(), service)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		issued    latchward.IssuedToken
		name      string
		limit     int64
		endpoints []string
		expires   string
		idle      int
		status    latchward.Status
	}{
		{tokens.WordPress, "WordPress - example.com", 200, []string{"/products*", "/stores*", "/categories*"}, "", 30, "active"},
		{tokens.Mobile, "iOS App - Production", 500, nil, "", 30, "active"},
		{tokens.Partner, "Partner ABC - Integration", 100, []string{"/products*"}, "2025-12-31", 30, "expired"},
		{tokens.Development, "Development - Local Testing", 1000, nil, "2025-06-30", 30, "expired"},
		{tokens.Device, "Hive 7 - Entrance observer", 100, nil, "", 0, "active"},
		{tokens.Verifier, "Telemetry service", 10_000_000, nil, "", 0, "active"},
		{tokens.Till, "Till - Meadow & Hive", 300, nil, "", 30, "active"},
	} {
		token, expires := c.issued.Token, ""
		if !token.ExpiresAt.IsZero() {
			expires = token.ExpiresAt.Format(time.DateOnly)
		}
		if token.Name != c.name || token.RateLimit != c.limit || !slices.Equal(token.AllowedEndpoints, c.endpoints) ||
			expires != c.expires || token.IdleTimeoutDays != c.idle || token.Status(time.Now()) != c.status {
			t.Errorf("%s: %+v", c.name, token)
		}
		want := latchward.ReasonAllowed
		if c.status == "expired" {
			want = latchward.ReasonExpired
		}
		v, err := service.Verify(t.Context(), latchward.VerifyRequest{
			Secret: c.issued.Secret, Method: "GET", Path: "/products",
		})
		if err != nil || v.Reason != want {
			t.Errorf("%s: verdict %s, %v", c.name, v.Reason, err)
		}
	}
	if kind := tokens.Verifier.Token.Kind; kind != latchward.KindService ||
		!slices.Equal(tokens.Verifier.Token.Permissions, []string{latchward.PermissionVerify}) {
		t.Errorf("the verifier is %s with %v", kind, tokens.Verifier.Token.Permissions)
	}
	if tokens.Device.Token.Owner.Is(tokens.WordPress.Token.Owner) {
		t.Error("the beekeeper does not own the device's token")
	}
}
