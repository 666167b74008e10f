package httpauth_test

import (
	"encoding/binary"
	"net/http/httptest"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
)

// clock is a clock that tests move.
type clock struct{ nanoseconds atomic.Int64 }

func (c *clock) now() time.Time          { return epoch.Add(time.Duration(c.nanoseconds.Load())) }
func (c *clock) advance(d time.Duration) { c.nanoseconds.Add(int64(d)) }

func addr(text string) netip.Addr { return netip.MustParseAddr(text) }

// C-02, bar 46
func TestGuardCountsByAddress(t *testing.T) {
	var c clock
	guard := httpauth.NewGuard(3, c.now)
	for _, address := range []string{"203.0.113.5", "::ffff:203.0.113.5", "203.0.113.5"} {
		if guard.Exhausted(addr(address)) {
			t.Fatal("exhausted before its attempts are used up")
		}
		guard.Failed(addr(address))
	}
	for address, want := range map[string]bool{"203.0.113.5": true, "203.0.113.6": false, "2001:db8::1": false} {
		if got := guard.Exhausted(addr(address)); got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
	c.advance(time.Minute - 1)
	if !guard.Exhausted(addr("203.0.113.5")) {
		t.Error("forgotten within the minute")
	}
	c.advance(1)
	if guard.Exhausted(addr("203.0.113.5")) {
		t.Error("remembered after the minute")
	}
}

// bar 46: a /64 is one customer, whatever addresses of it they use
func TestGuardCountsNetworksOfIPv6(t *testing.T) {
	var c clock
	guard := httpauth.NewGuard(5, c.now)
	for i := range 5 {
		bytes := addr("2001:db8:1:2::").As16()
		binary.BigEndian.PutUint64(bytes[8:], uint64(i)*0x9E3779B97F4A7C15)
		guard.Failed(netip.AddrFrom16(bytes))
	}
	if !guard.Exhausted(addr("2001:db8:1:2:ffff::1")) {
		t.Error("another address of the /64 is not exhausted")
	}
	if guard.Exhausted(addr("2001:db8:1:3::1")) {
		t.Error("the next /64 is exhausted")
	}
}

func TestGuardOfUnknownAddress(t *testing.T) {
	var c clock
	guard := httpauth.NewGuard(1, c.now)
	guard.Failed(netip.Addr{})
	if !guard.Exhausted(netip.Addr{}) {
		t.Error("addresses that are not known have no limit")
	}
}

// C-02: exactly as many attempts are told what was wrong as the guard allows, also at the same time
func TestGuardRefusesExactly(t *testing.T) {
	var c clock
	guard := httpauth.NewGuard(10, c.now)
	var unauthorized, exhausted atomic.Int64
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			w := httptest.NewRecorder()
			guard.Refuse(w, &latchward.Verdict{Reason: latchward.ReasonMalformed}, addr("203.0.113.5"))
			switch w.Code {
			case 401:
				unauthorized.Add(1)
			case 429:
				exhausted.Add(1)
			}
		})
	}
	all.Wait()
	if unauthorized.Load() != 10 || exhausted.Load() != 40 {
		t.Errorf("%d refused, %d exhausted", unauthorized.Load(), exhausted.Load())
	}
}

// C-02: only guesses count, and only they are refused
func TestGuardRefusesOnlyAttempts(t *testing.T) {
	attempts := map[latchward.Reason]bool{
		latchward.ReasonMalformed: true, latchward.ReasonNotFound: true, latchward.ReasonRevoked: true,
	}
	for _, reason := range latchward.Reasons() {
		if reason == latchward.ReasonAllowed {
			continue
		}
		var c clock
		guard := httpauth.NewGuard(1, c.now)
		v := &latchward.Verdict{Reason: reason, At: epoch}
		var codes [2]int
		for i := range codes {
			w := httptest.NewRecorder()
			guard.Refuse(w, v, addr("203.0.113.5"))
			codes[i] = w.Code
		}
		want := [2]int{httpauth.StatusOf(reason), httpauth.StatusOf(reason)}
		if attempts[reason] {
			want[1] = 429
		}
		if codes != want {
			t.Errorf("%s: %v, want %v", reason, codes, want)
		}
	}
}

func TestGuardWriteExhausted(t *testing.T) {
	w := httptest.NewRecorder()
	httpauth.NewGuard(1, nil).WriteExhausted(w)
	checkProblemHeaders(t, "exhausted", w)
	p := decode(t, w)
	if w.Code != 429 || w.Header().Get("Retry-After") != "60" || p.RetryAfter != 60 || p.Code != "exhausted" {
		t.Errorf("status %d, headers %v, %+v", w.Code, w.Header(), p)
	}
}

func TestNoGuard(t *testing.T) {
	for name, guard := range map[string]*httpauth.Guard{"nil": nil, "zero": httpauth.NewGuard(0, nil)} {
		for range 100 {
			guard.Failed(addr("203.0.113.5"))
		}
		if guard.Exhausted(addr("203.0.113.5")) {
			t.Errorf("%s guard is exhausted", name)
		}
	}
}
