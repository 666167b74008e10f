//go:build !race

package latchward_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"testing"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/latchtest"
)

// The hot path has a budget: a remembered token is judged, and a forged one refused, without any allocation.
func TestVerifyAllocatesNothing(t *testing.T) {
	f := newFixture(t, nil)
	network, err := latchward.ParseNetwork("n", "10.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	free := f.create(t, latchward.NewToken{RateLimit: latchward.MaxRateLimit}).Secret
	restricted := f.create(t, latchward.NewToken{
		RateLimit: 1000, AllowedEndpoints: []string{"GET /stores/*/brands", "/products*"},
		AllowedNetworks: []netip.Prefix{network},
	}).Secret
	spent := f.create(t, latchward.NewToken{RateLimit: 1}).Secret
	disabled := f.create(t, latchward.NewToken{})
	active := false
	if _, err := f.UpdateToken(f.ctx, disabled.Token.ID, latchward.TokenUpdate{Active: &active}); err != nil {
		t.Fatal(err)
	}
	stranger, err := latchward.GenerateKeyRing(latchtest.Seeded(9), f.clock())
	if err != nil {
		t.Fatal(err)
	}
	forged, _, err := latchward.NewSecret(latchtest.Seeded(4), latchward.DefaultPrefix, stranger)
	if err != nil {
		t.Fatal(err)
	}
	other := map[bool]string{true: "1", false: "0"}[free.Expose()[20] == '0']
	mistyped := latchward.SecretFromText(free.Expose()[:20] + other + free.Expose()[21:])
	cases := []struct {
		name   string
		secret latchward.Secret
		path   string
		want   latchward.Reason
	}{
		{"allowed", free, "/products", latchward.ReasonAllowed},
		{"restricted", restricted, "/products/1", latchward.ReasonAllowed},
		{"endpoint not allowed", restricted, "/orders", latchward.ReasonEndpointNotAllowed},
		{"rate limited", spent, "/products", latchward.ReasonRateLimited},
		{"disabled", disabled.Secret, "/products", latchward.ReasonDisabled},
		{"forged", forged, "/products", latchward.ReasonMalformed},
		{"mistyped", mistyped, "/products", latchward.ReasonMalformed},
		{"missing", latchward.Secret{}, "/products", latchward.ReasonMissing},
	}
	ctx := context.Background()
	for _, c := range cases {
		r := latchward.VerifyRequest{Secret: c.secret, Method: "GET", Path: c.path, Address: netip.MustParseAddr("10.1.2.3")}
		for range 300 { // fills caches and grows rings
			f.verify(t, ctx, r)
		}
		var got latchward.Reason
		allocations := testing.AllocsPerRun(500, func() { got = f.verify(t, ctx, r) })
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		if allocations != 0 {
			t.Errorf("%s: %v allocations", c.name, allocations)
		}
	}
}

// Fifty permissions by three roles, and a query that goes through many of them, cost no allocation either.
func TestVerifyOfRightsAllocatesNothing(t *testing.T) {
	f := newFixture(t, nil)
	roles := []string{"one", "two", "three"}
	var all []string
	for i, name := range roles {
		grants := []string{fmt.Sprintf("area%d.*", i), "*.read"}
		for j := range 15 {
			grants = append(grants, fmt.Sprintf("resource%d.action%d", i, j))
		}
		all = append(all, grants...)
		must[*latchward.Role](t)(f.CreateRole(f.ctx, latchward.NewRole{Name: name, Permissions: grants}))
	}
	owner := must[*latchward.User](t)(f.CreateUser(f.ctx, latchward.NewUser{Name: "olga", Roles: roles}))
	owned := &latchward.Owner{Type: latchward.OwnerUser, ID: int64(owner.ID)}
	query := must[latchward.PermissionQuery](t)(latchward.ParsePermissionQuery("q",
		"(unknown.write OR resource2.action14) AND NOT legacy.x AND area1.anything AND (what.ever OR orders.read)"))
	for name, n := range map[string]latchward.NewToken{
		"personal": {Owner: owned},
		"narrowed": {Owner: owned, Permissions: all},
		"service":  {Owner: owned, Kind: latchward.KindService, Roles: roles, Permissions: all},
	} {
		n.RateLimit = latchward.MaxRateLimit
		r := latchward.VerifyRequest{
			Secret: f.create(t, n).Secret, Method: "GET", Path: "/products", Permissions: []string{"resource0.action3"}, Query: query,
		}
		ctx := context.Background()
		if got := f.verify(t, ctx, r); got != latchward.ReasonAllowed {
			t.Errorf("%s: %s", name, got)
		}
		for range 300 {
			f.verify(t, ctx, r)
		}
		if allocations := testing.AllocsPerRun(500, func() { f.verify(t, ctx, r) }); allocations != 0 {
			t.Errorf("%s: %v allocations", name, allocations)
		}
	}
}

func (f *fixture) verify(t testing.TB, ctx context.Context, r latchward.VerifyRequest) latchward.Reason {
	v, err := f.Verify(ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	return v.Reason
}

// Recording is on every request: it may grow its buffer, and nothing else.
func TestRecordAllocatesNothing(t *testing.T) {
	f := newFixture(t, nil)
	event := latchward.UsageEvent{
		At: f.clock(), TokenID: 1, Credential: latchward.CredentialToken, Reason: latchward.ReasonAllowed,
		Endpoint: "/products", Method: "GET", Status: 200, UserAgent: "test",
	}
	for range 20_000 {
		f.Record(&event)
	}
	if allocations := testing.AllocsPerRun(5_000, func() { f.Record(&event) }); allocations != 0 {
		t.Errorf("%v allocations", allocations)
	}
}

// performance.md: a remembered token takes at most 300 bytes beyond its strings, everything included: the record, its
// slot, and what the limiter keeps of it. Its strings are the store's here, which is in memory, and so do not count.
func TestRememberedTokenBytes(t *testing.T) {
	const most = 300
	tokens := 20_000
	if os.Getenv("LATCHWARD_SCALE") == "full" {
		tokens = 100_000
	}
	f := newFixture(t, func(o *latchward.Options) { o.CreationLimit = int64(tokens) })
	secrets := make([]latchward.Secret, tokens)
	for i := range secrets {
		secrets[i] = f.create(t, latchward.NewToken{AllowedEndpoints: []string{"/stores*", "/products*"}}).Secret
	}
	before := heapBytes()
	for _, secret := range secrets {
		if got := f.reason(t, secret); got != latchward.ReasonAllowed {
			t.Fatal(got)
		}
	}
	got := float64(heapBytes()-before) / float64(tokens)
	t.Logf("%.0f bytes per remembered token", got)
	if remembered := f.Stats().Remembered; remembered != tokens || got > most {
		t.Errorf("%.0f bytes for each of %d tokens, want at most %d", got, remembered, most)
	}
	runtime.KeepAlive(f)
	runtime.KeepAlive(secrets) // or they would be missing from the second figure only
}

func heapBytes() int64 {
	runtime.GC()
	runtime.GC() // what pools held is let go by the second
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}
