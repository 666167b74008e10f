// Package usagepack keeps many usage events in one compressed piece: sorted by token, each member a column of its own.
// An event takes some 15 to 30 bytes and half a microsecond in it, where a row of a table with an index takes ten times
// as much of both.
package usagepack

import (
	"cmp"
	"slices"

	"github.com/klauspost/compress/zstd"

	"github.com/latchward/latchward"
)

// MaxEvents is how many events one pack holds at most.
const MaxEvents = 8192

// maxBytes bounds what a pack may be decompressed to, so that a damaged one cannot fill the memory.
const maxBytes = 256 << 20

// Pack is a number of usage events. Times are unix milliseconds.
type Pack struct {
	From, To int64 // of the oldest and the newest event
	Events   int
	Tokens   Tokens // which tokens it holds events of
	Payload  []byte
}

// Codec makes packs and reads them. Create it with [New]; all methods are safe for concurrent use.
type Codec struct {
	encoder *zstd.Encoder
	decoder *zstd.Decoder
}

// New returns a codec.
func New() (*Codec, error) {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithEncoderCRC(true))
	if err != nil {
		return nil, err
	}
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxBytes))
	return &Codec{encoder, decoder}, err
}

// Pack returns events as packs of at most MaxEvents, and sorts events: by token, then by time in whole milliseconds,
// then as they came.
func (c *Codec) Pack(events []*latchward.UsageEvent) []Pack {
	sortEvents(events)
	var packs []Pack
	for part := range slices.Chunk(events, MaxEvents) {
		packs = append(packs, c.encode(part))
	}
	return packs
}

func (c *Codec) encode(events []*latchward.UsageEvent) Pack {
	p := Pack{Events: len(events), Tokens: tokensOf(events)}
	p.From = events[0].At.UnixMilli()
	p.To = p.From
	for _, e := range events {
		at := e.At.UnixMilli()
		p.From, p.To = min(p.From, at), max(p.To, at)
	}
	w := writer{at: p.From}
	for _, e := range events {
		w.add(e)
	}
	p.Payload = c.encoder.EncodeAll(w.bytes(), nil)
	return p
}

// Events calls f for each event in the payload of a pack, in its order: of one token, or of all when token is nil. The
// event is f's only until f returns; its texts stay. The error says that the payload is damaged, or is f's.
func (c *Codec) Events(payload []byte, token *latchward.TokenID, f func(*latchward.UsageEvent) error) error {
	plain, err := c.decoder.DecodeAll(payload, nil)
	if err != nil {
		return err
	}
	r, err := newReader(plain)
	if err != nil {
		return err
	}
	return r.events(token, f)
}

// place is where an event belongs.
type place struct {
	token, at int64
	arrival   int
	event     *latchward.UsageEvent
}

func sortEvents(events []*latchward.UsageEvent) {
	places := make([]place, len(events))
	for i, e := range events {
		places[i] = place{int64(e.TokenID), e.At.UnixMilli(), i, e}
	}
	slices.SortFunc(places, func(a, b place) int {
		if c := cmp.Compare(a.token, b.token); c != 0 {
			return c
		}
		if c := cmp.Compare(a.at, b.at); c != 0 {
			return c
		}
		return a.arrival - b.arrival
	})
	for i := range places {
		events[i] = places[i].event
	}
}
