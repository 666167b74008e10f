package sqlite

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/latchward/latchward"
)

const benchTokens = 100_000

// benchStore returns a store with many tokens of a thousand users, all in use.
func benchStore(b *testing.B) *Store {
	b.Helper()
	s := open(b, newPath(b), Options{})
	run(b, s, `INSERT INTO users (name, active, created_at, updated_at)
		SELECT 'user ' || value, 1, 0, 0 FROM json_each(?)`, upTo(1000))
	run(b, s, `INSERT INTO api_tokens (name, token, key_id, token_prefix, description, user_id, kind,
			allowed_endpoints, tags, created_at, updated_at, last_used_at, idle_timeout_days)
		SELECT 'Weather station ' || value, format('%048d', value), format('1%010d', value), 'lw_10000000',
			'Sends a reading every minute', 1 + value % 1000, 'personal',
			'["/products*","GET,POST /orders"]', '["roof","north"]',
			1700000000000 + value * 7919 % 100003, 1700000000000, 1700000000000, 30 FROM json_each(?)`, upTo(benchTokens))
	return s
}

func run(b *testing.B, s *Store, text string, args ...any) {
	b.Helper()
	if err := s.write(b.Context(), func(w *work) error { return w.exec(text, args...) }); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkTokenFacts(b *testing.B) {
	s := benchStore(b)
	random := rand.New(rand.NewPCG(1, 2))
	for b.Loop() {
		if _, err := s.TokenFacts(b.Context(), credential(1+random.IntN(benchTokens)).KeyID); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTokenFactsParallel(b *testing.B) {
	s := benchStore(b)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := s.TokenFacts(b.Context(), credential(1+rand.IntN(benchTokens)).KeyID); err != nil {
				b.Error(err)
			}
		}
	})
}

// BenchmarkRevoke is load, change, save, audit entry, change feed, and the sync.
func BenchmarkRevoke(b *testing.B) {
	s := benchStore(b)
	id := latchward.TokenID(0)
	for b.Loop() {
		id = id%benchTokens + 1
		_, err := s.Tx(b.Context(), func(tx latchward.Tx) error {
			token, err := tx.Token(id)
			if err != nil {
				return err
			}
			token.RevokedAt = time.UnixMilli(1)
			if err := tx.SaveToken(token); err != nil {
				return err
			}
			return tx.AppendAudit(&latchward.AuditEntry{Action: latchward.ActionTokenRevoke, TargetType: "token"})
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAddUsage reports the processor time per event and the longest that a batch kept the writer.
func BenchmarkAddUsage(b *testing.B) {
	for _, size := range []int{100, 2000, 5000} {
		for _, tokens := range []int{1, 100, 10_000} {
			for _, ids := range []string{"", "request"} {
				b.Run(fmt.Sprintf("events=%d/tokens=%d/ids=%v", size, tokens, ids != ""), func(b *testing.B) {
					benchAddUsage(b, size, tokens, ids)
				})
			}
		}
	}
}

func benchAddUsage(b *testing.B, size, tokens int, ids string) {
	s := benchStore(b)
	zipf := rand.NewZipf(rand.New(rand.NewPCG(1, 2)), 1.2, 10, uint64(tokens-1))
	from, longest, busy := int64(0), time.Duration(0), time.Duration(0)
	for b.Loop() {
		prefix := ids
		if prefix != "" {
			prefix += fmt.Sprint(from, "-")
		}
		batch := batchOf(1, from, size, prefix)
		for i := range batch.Events {
			batch.Events[i].TokenID = latchward.TokenID(1 + zipf.Uint64())
		}
		from = batch.To.At
		start, used := time.Now(), processorTime(b)
		addUsage(b, s, batch)
		longest, busy = max(longest, time.Since(start)), busy+processorTime(b)-used
	}
	b.ReportMetric(float64(busy.Microseconds())/float64(from), "cpu-µs/event")
	b.ReportMetric(float64(longest.Milliseconds()), "ms-longest")
}

// processorTime returns how long this process has been running on any processor, which says more than the clock on a
// machine that others use too.
func processorTime(b *testing.B) time.Duration {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func BenchmarkTokens(b *testing.B) {
	s := benchStore(b)
	owners := []latchward.Owner{{Type: latchward.OwnerUser, ID: 1}}
	for name, f := range map[string]latchward.TokenFilter{
		"created":   {Limit: 1000},
		"last used": {Limit: 1000, Sort: latchward.SortLastUsed, Desc: true},
		"expires":   {Limit: 1000, Sort: latchward.SortExpires},
		"behind":    {Limit: 1000, After: &latchward.TokenCursor{Time: time.UnixMilli(1700000050000)}},
		"of owner":  {Limit: 1000, Owners: owners},
		"query":     {Limit: 1000, Query: "station 99999"},
		"active":    {Limit: 1000, Status: latchward.StatusActive, Now: time.UnixMilli(1700000000000)},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := s.Tokens(b.Context(), f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkIdleTokens(b *testing.B) {
	s := benchStore(b)
	for b.Loop() {
		if _, err := s.IdleTokens(b.Context(), time.UnixMilli(1700000000000), 100); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCountTokens(b *testing.B) {
	s := benchStore(b)
	f := latchward.TokenFilter{Status: latchward.StatusActive, Now: time.UnixMilli(1700000000000)}
	for b.Loop() {
		if _, err := s.CountTokens(b.Context(), f); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkUsageRead asks what pages ask, of a week in which a thousand tokens called five endpoints every hour.
func BenchmarkUsageRead(b *testing.B) {
	s := benchStore(b)
	const hours, tokens, endpoints = 7 * 24, 1000, 5
	start := time.UnixMilli(1_790_000_000_000).UTC().Truncate(time.Hour)
	for hour := range hours {
		all := cells{}
		for token := range tokens {
			for endpoint := range endpoints {
				key := cellKey{start.Add(time.Duration(hour) * time.Hour).UnixMilli(), int64(token + 1), latchward.CredentialToken,
					fmt.Sprint("/products/", endpoint), "GET", 2}
				all[key] = &latchward.UsageCell{Requests: 10, Duration: 1000}
			}
		}
		if err := s.write(b.Context(), func(w *work) error { return writeCells(w, s.codec, all) }); err != nil {
			b.Fatal(err)
		}
	}
	end := start.Add((hours + 1) * time.Hour)
	ids := make([]latchward.TokenID, tokens)
	for i := range ids {
		ids[i] = latchward.TokenID(i + 1)
	}
	for name, q := range map[string]latchward.UsageQuery{
		"token by hour":     {From: start, To: end, Token: 500, By: latchward.ByHour},
		"token by endpoint": {From: start, To: end, Token: 500, By: latchward.ByEndpoint},
		"all by token":      {From: start, To: end, By: latchward.ByToken | latchward.ByCredential},
		"all by endpoint":   {From: start, To: end, By: latchward.ByEndpoint},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				err := s.UsageCells(b.Context(), q, func(latchward.UsageKey, latchward.UsageCell) error { return nil })
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("counts of 1000", func(b *testing.B) {
		for b.Loop() {
			counts, err := s.TokenCounts(b.Context(), ids, end)
			if err != nil || len(counts) != tokens {
				b.Fatalf("%d counts, error %v", len(counts), err)
			}
		}
	})
}

// upTo returns the JSON list of 1 to n.
func upTo(n int) string {
	list := []byte{'['}
	for i := range n {
		list = fmt.Appendf(list, "%d,", i+1)
	}
	list[len(list)-1] = ']'
	return string(list)
}
