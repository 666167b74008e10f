package latchward_test

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/latchward/latchward"
)

// mistaken is a store that remembers another digest than there is, for some tokens.
type mistaken struct {
	latchward.Store
	wrong map[latchward.KeyID]int // the byte of the digest that is another
}

func (s *mistaken) TokenFacts(ctx context.Context, id latchward.KeyID) (latchward.TokenFacts, error) {
	facts, err := s.Store.TokenFacts(ctx, id)
	if at, is := s.wrong[id]; is && err == nil {
		facts.Digest[at] ^= 1
	}
	return facts, err
}

// BenchmarkVerifyTellsNothing measures whether the time of a refusal tells why it is one. It reports Welch's t between
// two kinds of refusals that alternate at random: beyond 4.5 there is a difference. Use -benchtime=200000x or more.
func BenchmarkVerifyTellsNothing(b *testing.B) { // bar 7, 14
	store := &mistaken{wrong: map[latchward.KeyID]int{}}
	f := newBenchFixture(b, func(o *latchward.Options) { store.Store, o.Store = o.Store, store })
	create := func() latchward.IssuedToken { return f.create(b, latchward.NewToken{}) }
	mistake := func(at int) latchward.Secret {
		issued := create()
		store.wrong[issued.Token.Secret.KeyID] = at
		return issued.Secret
	}
	b.Run("digest differs in the first or the last byte", func(b *testing.B) {
		f.welch(b, mistake(0), mistake(len(latchward.Digest{})-1))
	})
	b.Run("unknown or revoked", func(b *testing.B) {
		unknown, revoked := create(), create()
		if err := f.DeleteToken(f.ctx, unknown.Token.ID); err != nil {
			b.Fatal(err)
		}
		if _, err := f.RevokeToken(f.ctx, revoked.Token.ID, latchward.Revocation{}); err != nil {
			b.Fatal(err)
		}
		f.welch(b, unknown.Secret, revoked.Secret)
	})
}

// welch verifies both secrets in turns and reports the t of their times. Those beyond 20 µs are of the machine, not of the
// decision, and are left out.
func (f *fixture) welch(b *testing.B, secrets ...latchward.Secret) {
	b.Helper()
	ctx, random := context.Background(), rand.New(rand.NewPCG(7, 7))
	var count, mean, squares [2]float64 // Welford's
	for range b.N {
		class := random.IntN(2)
		begun := time.Now()
		v, err := f.Verify(ctx, latchward.VerifyRequest{Secret: secrets[class]})
		took := float64(time.Since(begun))
		if err != nil || v.Allowed() {
			b.Fatal(v.Reason, err)
		}
		if took > 20_000 {
			continue
		}
		count[class]++
		off := took - mean[class]
		mean[class] += off / count[class]
		squares[class] += off * (took - mean[class])
	}
	var spread float64
	for class := range count {
		spread += squares[class] / (count[class] - 1) / count[class]
	}
	b.ReportMetric(mean[0], "ns-first")
	b.ReportMetric(mean[1], "ns-second")
	b.ReportMetric(math.Abs(mean[0]-mean[1])/math.Sqrt(spread), "t")
}
