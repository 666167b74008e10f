package server

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/journal"
	"github.com/latchward/latchward/latchtest"
	"github.com/latchward/latchward/sqlite"
)

// BenchmarkUsage is everything that happens to a request's event: taken, brought to the disk every 100 ms, stored every
// ten seconds. It reports processor time, on whichever processor, per event; a rate says how many fall into ten seconds.
func BenchmarkUsage(b *testing.B) {
	for _, c := range []struct{ rate, tokens, endpoints int }{
		{1_000, 100, 5}, {10_000, 100, 5}, {25_000, 100, 5}, {1_000, 10_000, 5}, {10_000, 10_000, 5},
	} {
		b.Run(fmt.Sprintf("rate=%d/tokens=%d/endpoints=%d", c.rate, c.tokens, c.endpoints), func(b *testing.B) {
			benchUsage(b, c.rate, c.tokens, c.endpoints)
		})
	}
}

func benchUsage(b *testing.B, rate, tokens, endpoints int) {
	store, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "latchward.db"), sqlite.Options{})
	must(b, err)
	defer store.Close()
	log, err := journal.Open(b.TempDir(), journal.Options{})
	must(b, err)
	defer log.Close()
	keys, err := latchward.GenerateKeyRing(latchtest.Seeded(1), time.Now())
	must(b, err)
	s, err := latchward.New(b.Context(), latchward.Options{Store: store, Keys: keys, Journal: log, CreationLimit: 1 << 40})
	must(b, err)
	ids := benchTokens(b, s, tokens)
	zipf := rand.NewZipf(rand.New(rand.NewPCG(1, 2)), 1.2, 10, uint64(tokens-1))
	events, used, n := make([]latchward.UsageEvent, rate/10), time.Duration(0), 0
	now := time.Now()
	for b.Loop() {
		for range 100 { // ten seconds
			for i := range events {
				now = now.Add(time.Second / time.Duration(rate))
				events[i] = benchEvent(now, ids[zipf.Uint64()], n%endpoints)
				n++
			}
			before := processorTime(b)
			for i := range events {
				if !s.Record(&events[i]) {
					b.Fatal("refused")
				}
			}
			must(b, log.Sync())
			used += processorTime(b) - before
		}
		before := processorTime(b)
		must(b, s.FlushUsage(b.Context()))
		used += processorTime(b) - before
	}
	b.ReportMetric(float64(used.Nanoseconds())/1000/float64(n), "cpu-µs/event")
}

func benchTokens(b *testing.B, s *latchward.Service, n int) (ids []latchward.TokenID) {
	local := latchtest.Local(b.Context())
	_, err := s.CreateUser(local, latchward.NewUser{Name: "ada", Administrator: true})
	must(b, err)
	for range n {
		created, err := s.CreateToken(local, latchward.NewToken{})
		must(b, err)
		ids = append(ids, created.Token.ID)
	}
	return ids
}

func benchEvent(at time.Time, token latchward.TokenID, endpoint int) latchward.UsageEvent {
	return latchward.UsageEvent{
		At: at, TokenID: token, Credential: latchward.CredentialToken, Reason: latchward.ReasonAllowed,
		Endpoint: [...]string{"/products", "/stores/17", "/orders", "/categories", "/orders/ORD-12345"}[endpoint],
		Method:   "GET", Status: 200, Duration: time.Duration(1+at.UnixNano()%50_000) * time.Microsecond,
		ResponseBytes: at.UnixNano() % 10_000, Address: netip.AddrFrom4([4]byte{192, 0, 2, byte(token)}),
		UserAgent: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120 Safari/537.36",
	}
}

// processorTime returns how long this process has been running on any processor.
func processorTime(b *testing.B) time.Duration {
	var usage unix.Rusage
	must(b, unix.Getrusage(unix.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func must(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}
