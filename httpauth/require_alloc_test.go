//go:build !race

package httpauth_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
)

// hot is a request as often as it is wanted, through Require and a real Service.
func hot(t testing.TB) (handler http.Handler, bare http.Handler, r *http.Request) {
	t.Helper()
	s, secret := service(t, latchward.NewToken{
		RateLimit: latchward.MaxRateLimit, AllowedEndpoints: []string{"/products*"},
	})
	bare = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	handler = httpauth.Require(s, httpauth.Options{Base: "/api", Recorder: discard{}})(bare)
	r = wire(http.MethodGet, "/api/products/17?store_id=1")
	r.Header.Set("Authorization", "Bearer "+secret.Expose())
	r.Header.Set("User-Agent", "test/1")
	return handler, bare, r
}

// discard is a Recorder that keeps nothing.
type discard struct{}

func (discard) Record(*latchward.UsageEvent) bool { return true }

// reused is a ResponseWriter that costs nothing.
type reused struct{ header http.Header }

func (w *reused) Header() http.Header            { return w.header }
func (w *reused) WriteHeader(int)                {}
func (w *reused) Write(data []byte) (int, error) { return len(data), nil }

// What an admitted request costs beyond its handler: the exchange, the verdict in the context, the context, the
// handler's copy of the request, and two for the limit headers.
func TestRequireAllocations(t *testing.T) {
	const budget = 6
	handler, _, r := hot(t)
	w := &reused{header: http.Header{}}
	handler.ServeHTTP(w, r)
	if w.header.Get("X-RateLimit-Limit") == "" {
		t.Fatal("the request was not admitted")
	}
	if n := testing.AllocsPerRun(1000, func() { handler.ServeHTTP(w, r) }); n > budget {
		t.Errorf("%v allocations, the budget is %d", n, budget)
	}
}

// C-02, bar 12: what is refused for its shape costs nothing to look at
func TestCredentialAllocations(t *testing.T) {
	long := "Bearer " + string(make([]byte, 64<<10))
	for _, value := range []string{"Bearer abc", "Basic abc", "Bearer a, Bearer b", long} {
		r := wire(http.MethodGet, "/products?a=b&c=d")
		r.Header.Set("Authorization", value)
		if n := testing.AllocsPerRun(100, func() { _, _ = httpauth.Credential(r) }); n != 0 {
			t.Errorf("%.20q: %v allocations", value, n)
		}
	}
}

func TestClientAddressAllocations(t *testing.T) {
	p := proxies(t, "", "203.0.113.0/24")
	r := wire(http.MethodGet, "/")
	if n := testing.AllocsPerRun(100, func() { p.ClientAddress(r) }); n != 0 {
		t.Errorf("%v allocations for a peer", n)
	}
	r.Header.Set("X-Forwarded-For", "198.51.100.1, 198.51.100.7, 203.0.113.9")
	if n := testing.AllocsPerRun(100, func() { p.ClientAddress(r) }); n != 0 {
		t.Errorf("%v allocations behind a proxy", n)
	}
}

func TestStripIdentityAllocations(t *testing.T) {
	h := http.Header{"Accept": nil, "X-Forwarded-For": nil, "X_Latchward": nil}
	if n := testing.AllocsPerRun(100, func() { httpauth.StripIdentity(h) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A flood of guesses costs no memory for each (C-02).
func TestGuardAllocations(t *testing.T) {
	guard := httpauth.NewGuard(10, time.Now)
	address := addr("203.0.113.5")
	for range 20 {
		guard.Failed(address)
	}
	if n := testing.AllocsPerRun(100, func() { guard.Failed(address) }); n > 1 {
		t.Errorf("%v allocations", n)
	}
}
