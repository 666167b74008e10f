package usagepack

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchward/latchward"
)

// someEvents returns n events of up to so many tokens, in no order, with every member at its bounds now and then.
func someEvents(seed uint64, n, tokens int) []*latchward.UsageEvent {
	r := rand.New(rand.NewPCG(seed, 1))
	sizes := []int64{0, 1, 1500, 1 << 40, 1<<63 - 1}
	var events []*latchward.UsageEvent
	for i := range n {
		e := &latchward.UsageEvent{
			At: time.UnixMilli(1_790_000_000_000 + r.Int64N(10_000)).UTC(), TokenID: latchward.TokenID(r.IntN(tokens)),
			Credential: latchward.CredentialToken, Reason: latchward.ReasonAllowed,
			Endpoint: fmt.Sprintf("/products/%d", r.IntN(50)), Method: []string{"GET", "POST"}[r.IntN(2)],
			Status: []int{0, 200, 404, 503}[r.IntN(4)], Duration: time.Duration(r.Int64N(1e9)),
			RequestBytes: sizes[r.IntN(5)], ResponseBytes: sizes[r.IntN(5)],
			UserAgent: []string{"", "curl/8", "Mozilla/5.0 (X11; Linux x86_64)", "\xff\x00"}[r.IntN(4)],
		}
		switch r.IntN(4) {
		case 0:
			e.Address = netip.AddrFrom4([4]byte{192, 0, 2, byte(r.IntN(256))})
		case 1:
			e.Address = netip.MustParseAddr("fe80::1%eth0")
		case 2:
			e.TokenID, e.UserID, e.Credential, e.Reason = 0, 7, latchward.CredentialJWT, latchward.ReasonRateLimited
			e.RequestID = fmt.Sprint("r-", i)
		}
		events = append(events, e)
	}
	return events
}

func newCodec(t testing.TB) *Codec {
	t.Helper()
	codec, err := New()
	if err != nil {
		t.Fatal(err)
	}
	return codec
}

// unpack returns the events of packs: of one token, or of all when token is nil.
func unpack(t testing.TB, codec *Codec, packs []Pack, token *latchward.TokenID) []*latchward.UsageEvent {
	t.Helper()
	var events []*latchward.UsageEvent
	for _, p := range packs {
		err := codec.Events(p.Payload, token, func(e *latchward.UsageEvent) error {
			kept := *e
			events = append(events, &kept)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return events
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("%s: (-want +got)\n%s", what, diff)
	}
}

func TestPacksKeepEverything(t *testing.T) {
	codec := newCodec(t)
	for seed, size := range []struct{ events, tokens int }{
		{0, 1}, {1, 1}, {2, 2}, {500, 1}, {3000, 100}, {MaxEvents, 3}, {MaxEvents + 1, 5000},
	} {
		events := someEvents(uint64(seed), size.events, size.tokens)
		packs := codec.Pack(events)
		same(t, fmt.Sprint(size), unpack(t, codec, packs, nil), events)
		if want := (size.events + MaxEvents - 1) / MaxEvents; len(packs) != want {
			t.Errorf("%d events are in %d packs, want %d", size.events, len(packs), want)
		}
		byToken := func(a, b *latchward.UsageEvent) int { return int(a.TokenID - b.TokenID) }
		if !slices.IsSortedFunc(events, byToken) {
			t.Errorf("%d events are not sorted by token", size.events)
		}
		for _, p := range packs {
			checkBounds(t, p, unpack(t, codec, []Pack{p}, nil))
		}
	}
}

// checkBounds checks what a pack says about itself.
func checkBounds(t *testing.T, p Pack, events []*latchward.UsageEvent) {
	t.Helper()
	times := []int64{}
	tokens := map[latchward.TokenID]bool{}
	for _, e := range events {
		times, tokens[e.TokenID] = append(times, e.At.UnixMilli()), true
	}
	if p.From != slices.Min(times) || p.To != slices.Max(times) || p.Events != len(events) {
		t.Errorf("a pack of %d events says %d, from %d to %d", len(events), p.Events, p.From, p.To)
	}
	for id := range latchward.TokenID(6000) {
		if p.Tokens.Has(id) != tokens[id] || p.Tokens.HasAny(map[latchward.TokenID]bool{id: true, 7000: true}) != tokens[id] {
			t.Fatalf("token %d: the pack says %v", id, p.Tokens.Has(id))
		}
	}
}

func TestEventsOfOneToken(t *testing.T) {
	codec, events := newCodec(t), someEvents(1, 3000, 20)
	packs := codec.Pack(events)
	for id := range latchward.TokenID(21) {
		var want []*latchward.UsageEvent
		for _, e := range events {
			if e.TokenID == id {
				want = append(want, e)
			}
		}
		same(t, fmt.Sprint("token ", id), unpack(t, codec, packs, &id), want)
	}
}

// Events of a token at the same millisecond stay in the order in which they came.
func TestOrderOfEqualTimes(t *testing.T) {
	codec := newCodec(t)
	var events []*latchward.UsageEvent
	for i := range 100 {
		events = append(events, &latchward.UsageEvent{At: time.UnixMilli(5).Add(-time.Duration(i)), Status: i, TokenID: 1})
	}
	for i, e := range unpack(t, codec, codec.Pack(events[1:]), nil) {
		if e.Status != i+1 {
			t.Fatalf("event %d comes where %d belongs", e.Status, i+1)
		}
	}
}

func TestErrorEndsReading(t *testing.T) {
	codec, stop, calls := newCodec(t), errors.New("stop"), 0
	p := codec.Pack(someEvents(1, 10, 3))[0]
	err := codec.Events(p.Payload, nil, func(*latchward.UsageEvent) error { calls++; return stop })
	if !errors.Is(err, stop) || calls != 1 {
		t.Errorf("%d calls, error %v", calls, err)
	}
}

// A pack in which a bit was flipped, or of which a part is missing, is refused, never believed (bar 70).
func TestDamagedPacksAreRefused(t *testing.T) {
	codec := newCodec(t)
	p := codec.Pack(someEvents(1, 20, 5))[0]
	ignore := func(*latchward.UsageEvent) error { return nil }
	for i := range p.Payload {
		if err := codec.Events(p.Payload[:i], nil, ignore); err == nil && i > 0 {
			t.Errorf("a pack cut to %d bytes was read", i)
		}
		damaged := bytes.Clone(p.Payload)
		damaged[i] ^= 1 << (i % 8)
		err := codec.Events(damaged, nil, ignore)
		if err == nil && !slices.Equal(plain(t, codec, damaged), plain(t, codec, p.Payload)) {
			t.Errorf("a pack with a flipped bit in byte %d was read as something else", i)
		}
	}
}

func plain(t *testing.T, codec *Codec, payload []byte) []byte {
	t.Helper()
	bytes, err := codec.decoder.DecodeAll(payload, nil)
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}

// FuzzReader reads columns that nobody wrote: they give an error or events, never a panic and never more than a pack
// holds.
func FuzzReader(f *testing.F) {
	codec := newCodec(f)
	for n := range 4 {
		for _, p := range codec.Pack(someEvents(uint64(n), n*5, 3)) {
			plain, _ := codec.decoder.DecodeAll(p.Payload, nil)
			f.Add(plain)
		}
	}
	f.Fuzz(func(t *testing.T, plain []byte) {
		r, err := newReader(plain)
		if err != nil {
			return
		}
		n := 0
		_ = r.events(nil, func(*latchward.UsageEvent) error { n++; return nil })
		if n > MaxEvents {
			t.Errorf("%d events", n)
		}
	})
}

func BenchmarkPack(b *testing.B) {
	codec, events := newCodec(b), someEvents(1, MaxEvents, 100)
	for _, e := range events {
		e.RequestID, e.RequestBytes, e.ResponseBytes = "", 0, e.ResponseBytes&0xffff
	}
	b.Run("write", func(b *testing.B) {
		for b.Loop() {
			codec.Pack(slices.Clone(events))
		}
		report(b, "ns/event", float64(b.Elapsed().Nanoseconds())/float64(b.N))
	})
	p := codec.Pack(events)[0]
	b.Run("read", func(b *testing.B) {
		for b.Loop() {
			_ = codec.Events(p.Payload, nil, func(*latchward.UsageEvent) error { return nil })
		}
		report(b, "ns/event", float64(b.Elapsed().Nanoseconds())/float64(b.N))
	})
	b.ReportMetric(float64(len(p.Payload))/MaxEvents, "bytes/event")
}

func report(b *testing.B, unit string, total float64) { b.ReportMetric(total/MaxEvents, unit) }
