//go:build !race

package journal

import (
	"testing"

	"github.com/latchward/latchward"
)

// S2-31: taking an event allocates nothing.
func TestAppendAllocatesNothing(t *testing.T) {
	bothKinds(t, func(t *testing.T, o Options) {
		o.RingBytes = 1 << 20
		j := openAt(t, t.TempDir(), o)
		e := eventOf(1)
		if allocations := testing.AllocsPerRun(1000, func() { j.Append(&e) }); allocations != 0 {
			t.Errorf("%v allocations", allocations)
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	j := openAt(b, b.TempDir(), Options{})
	e := eventOf(1)
	e.UserAgent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120 Safari/537.36"
	for i := 0; b.Loop(); i++ {
		if !j.Append(&e) {
			b.StopTimer()
			if err := j.drain(); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
	}
}

// BenchmarkDrain is an event's way from the ring through the segment to whoever stores it.
func BenchmarkDrain(b *testing.B) {
	j := openAt(b, b.TempDir(), Options{})
	e := eventOf(1)
	e.UserAgent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120 Safari/537.36"
	at, n := latchward.JournalOffset{}, 0
	for b.Loop() {
		b.StopTimer()
		for range 10_000 {
			j.Append(&e)
		}
		b.StartTimer()
		err := j.Read(b.Context(), at, func(events []latchward.UsageEvent, to latchward.JournalOffset) error {
			at, n = to, n+len(events)
			return j.Release(to)
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/event")
}
