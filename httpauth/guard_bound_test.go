package httpauth

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/latchtest"
)

// bar 46, 48: a flood of addresses takes a bounded number of counters, and they go when the flood is over
func TestGuardMemoryIsBounded(t *testing.T) {
	now := time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)
	guard := NewGuard(100, func() time.Time { return now })
	for i := range 2 * guardSlots {
		var bytes [16]byte
		binary.BigEndian.PutUint64(bytes[:], 0x20010db8_00000000|uint64(i))
		guard.Failed(netip.AddrFrom16(bytes))
	}
	if n := guard.limiter.Len(); n > guardSlots || n < guardSlots/2 {
		t.Errorf("%d counters for %d addresses", n, 2*guardSlots)
	}
	now = now.Add(2*attemptWindow + 1)
	guard.Failed(netip.AddrFrom4([4]byte{203, 0, 113, 5}))
	if n := guard.limiter.Len(); n != 1 {
		t.Errorf("%d counters two minutes later", n)
	}
}

// bar 46: whatever addresses one peer claims to speak for, it is one peer, with one counter
func TestGuardIsNotToldAddresses(t *testing.T) {
	proxies, err := NewProxies([]netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, "")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)
	guard := NewGuard(100, func() time.Time { return now })
	served := Require(nobody{}, Options{Guard: guard, Proxies: proxies})(http.NotFoundHandler())
	answers := map[int]int{}
	random := rand.New(rand.NewPCG(46, 46))
	tries := latchtest.Scale(100_000, 10_000)
	for range tries {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = "203.0.113.5:1234"
		claimed := netip.AddrFrom4([4]byte{byte(random.IntN(224)), byte(random.Uint32()), byte(random.Uint32()), 1}).String()
		for _, name := range []string{"X-Forwarded-For", "X-Real-Ip", "True-Client-Ip", "Cf-Connecting-Ip"} {
			r.Header.Set(name, claimed)
		}
		r.Header.Set("Forwarded", "for="+claimed)
		r.Header.Set("Authorization", "Bearer lw_nonsense")
		w := httptest.NewRecorder()
		served.ServeHTTP(w, r)
		answers[w.Code]++
	}
	if answers[401] != 100 || answers[429] != tries-100 || guard.limiter.Len() != 1 {
		t.Errorf("answers %v, %d counters", answers, guard.limiter.Len())
	}
}

// nobody is a Verifier that knows no token.
type nobody struct{}

func (nobody) Verify(context.Context, latchward.VerifyRequest) (latchward.Verdict, error) {
	return latchward.Verdict{Reason: latchward.ReasonMalformed}, nil
}
