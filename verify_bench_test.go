package latchward_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"math/rand/v2"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/latchtest"
)

// benchTokens is how many tokens the benchmarks of Verify know: 100,000, or what LATCHWARD_BENCH_TOKENS says.
func benchTokens() int {
	if n, err := strconv.Atoi(os.Getenv("LATCHWARD_BENCH_TOKENS")); err == nil && n > 0 {
		return n
	}
	return 100_000
}

type benchWorld struct {
	*fixture
	secrets []latchward.Secret
}

var world struct {
	once sync.Once
	benchWorld
}

// warm returns a service on the real clock that remembers all of its tokens.
func warm(b *testing.B) *benchWorld {
	b.Helper()
	world.once.Do(func() {
		f := newBenchFixture(b)
		world.benchWorld = benchWorld{fixture: f}
		for range benchTokens() {
			issued := f.create(b, latchward.NewToken{
				RateLimit: latchward.MaxRateLimit, AllowedEndpoints: []string{"/stores*", "/products*"},
			})
			world.secrets = append(world.secrets, issued.Secret)
			f.reason(b, issued.Secret)
		}
	})
	return &world.benchWorld
}

func (w *benchWorld) request(secret latchward.Secret) latchward.VerifyRequest {
	return latchward.VerifyRequest{
		Secret: secret, Method: "GET", Path: "/products/17", Address: netip.AddrFrom4([4]byte{10, 1, 2, 3}),
	}
}

func (w *benchWorld) run(b *testing.B, want latchward.Reason, secret func(i int) latchward.Secret) {
	b.Helper()
	ctx := context.Background()
	runtime.GC() // what the world's making left behind is not the decision's to clear away
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		v, err := w.Verify(ctx, w.request(secret(i)))
		if err != nil || v.Reason != want {
			b.Fatal(v.Reason, err)
		}
	}
}

// BenchmarkVerify measures the decision. Its parts, measured alone in the same run, are in BenchmarkVerifyParts.
func BenchmarkVerify(b *testing.B) {
	w := warm(b)
	order := rand.Perm(len(w.secrets))
	// A secret has just come in with its request: its text is at hand, unlike what is known of the token.
	arriving := make([]latchward.Secret, len(order))
	var texts strings.Builder
	texts.Grow(len(order) * len(w.secrets[0].Expose()))
	for i, n := range order {
		at := texts.Len()
		texts.WriteString(w.secrets[n].Expose())
		arriving[i] = latchward.SecretFromText(texts.String()[at:])
	}
	random := func(i int) latchward.Secret { return arriving[i%len(arriving)] }
	b.Run("hot", func(b *testing.B) {
		w.run(b, latchward.ReasonAllowed, func(i int) latchward.Secret { return w.secrets[i%1000] })
	})
	b.Run("random", func(b *testing.B) { w.run(b, latchward.ReasonAllowed, random) })
	b.Run("denied", func(b *testing.B) {
		denied := w.create(b, latchward.NewToken{AllowedEndpoints: []string{"/orders"}}).Secret
		w.run(b, latchward.ReasonEndpointNotAllowed, func(int) latchward.Secret { return denied })
	})
	b.Run("forged", func(b *testing.B) {
		stranger, err := latchward.GenerateKeyRing(latchtest.Seeded(9), time.Now())
		if err != nil {
			b.Fatal(err)
		}
		forged, _, err := latchward.NewSecret(latchtest.Seeded(4), latchward.DefaultPrefix, stranger)
		if err != nil {
			b.Fatal(err)
		}
		w.run(b, latchward.ReasonMalformed, func(int) latchward.Secret { return forged })
	})
	b.Run("mistyped", func(b *testing.B) {
		text := w.secrets[0].Expose()
		mistyped := latchward.SecretFromText(text[:9] + "0" + text[10:])
		w.run(b, latchward.ReasonMalformed, func(int) latchward.Secret { return mistyped })
	})
	b.Run("parallel", func(b *testing.B) {
		ctx := context.Background()
		b.ReportAllocs()
		b.RunParallel(func(p *testing.PB) {
			for i := rand.IntN(len(w.secrets)); p.Next(); i++ {
				v, err := w.Verify(ctx, w.request(w.secrets[i%len(w.secrets)]))
				if err != nil || !v.Allowed() {
					b.Error(v.Reason, err)
					return
				}
			}
		})
	})
}

// BenchmarkVerifyCold measures a verification that has to ask the store (maps, in this benchmark).
func BenchmarkVerifyCold(b *testing.B) {
	f := newBenchFixture(b, func(o *latchward.Options) { o.CacheSize = 1 })
	secrets := make([]latchward.Secret, 10_000)
	for i := range secrets {
		secrets[i] = f.create(b, latchward.NewToken{RateLimit: latchward.MaxRateLimit}).Secret
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		f.reason(b, secrets[i%len(secrets)])
	}
}

// BenchmarkVerifyParts is the baseline of BenchmarkVerify: one keyed hash, one look-up among as many entries of the
// budget to book on, one limiter call and one reading of the clock, one after the other.
func BenchmarkVerifyParts(b *testing.B) {
	w := warm(b)
	mac := hmac.New(sha256.New, make([]byte, 32))
	message, sum := make([]byte, 36), make([]byte, 0, 32)
	hash := func() {
		mac.Reset()
		mac.Write(message)
		sum = mac.Sum(sum[:0])
	}
	type entry struct {
		id      [11]byte
		budgets [1]latchward.Budget
	}
	ctx := context.Background()
	limiter, start := latchward.NewLocalLimiter(latchward.LocalLimiterOptions{}), time.Now()
	limits := []latchward.Limit{{Name: "n", N: latchward.MaxRateLimit, Window: time.Minute}}
	known, ids := map[[11]byte]*entry{}, make([][11]byte, len(w.secrets))
	for i, s := range w.secrets {
		e := &entry{}
		copy(e.id[:], s.Expose()[3:])
		e.budgets[0] = latchward.Budget{
			Key: latchward.BudgetKey{Kind: latchward.BudgetToken, ID: int64(i)}, Limits: limits,
		}
		known[e.id], ids[i] = e, e.id
		// Buckets come into being in another order than that of the benchmark, or the latter would walk through memory
		// from one end to the other.
		if _, _, err := limiter.Take(ctx, 0, 1, e.budgets[:]); err != nil {
			b.Fatal(err)
		}
	}
	arriving := slices.Clone(ids)
	rand.Shuffle(len(arriving), func(i, j int) { arriving[i], arriving[j] = arriving[j], arriving[i] })
	var mu sync.RWMutex
	all := func(b *testing.B, ids [][11]byte) {
		runtime.GC()
		b.ReportAllocs()
		b.ResetTimer()
		for i := range b.N {
			now := latchward.Instant(time.Since(start))
			hash()
			mu.RLock()
			e := known[ids[i%len(ids)]]
			mu.RUnlock()
			if e == nil {
				b.Fatal("unknown")
			}
			if _, _, err := limiter.Take(ctx, now, 1, e.budgets[:]); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("hash", func(b *testing.B) {
		for range b.N {
			hash()
		}
	})
	b.Run("hot", func(b *testing.B) { all(b, ids[:1000]) })
	b.Run("random", func(b *testing.B) { all(b, arriving) })
}

func newBenchFixture(b *testing.B, changes ...func(*latchward.Options)) *fixture {
	b.Helper()
	return newFixtureFor(b, func(o *latchward.Options) {
		o.Now = nil // the real clock
		o.CreationLimit = 1 << 40
		for _, change := range changes {
			change(o)
		}
	})
}
