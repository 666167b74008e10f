package usagepack

import (
	"encoding/binary"

	"github.com/latchward/latchward"
)

// Tokens is a sorted set of token ids, to be read without the pack it belongs to.
type Tokens []byte

func tokensOf(events []*latchward.UsageEvent) Tokens {
	var set Tokens
	last, first := latchward.TokenID(0), true
	for _, e := range events {
		if first || e.TokenID != last {
			set = binary.AppendVarint(set, int64(e.TokenID-last))
			last, first = e.TokenID, false
		}
	}
	return set
}

// Has reports whether the token is in the set.
func (t Tokens) Has(token latchward.TokenID) bool {
	found := false
	t.each(func(id latchward.TokenID) bool { found = id == token; return id < token })
	return found
}

// HasAny reports whether one of tokens is in the set.
func (t Tokens) HasAny(tokens map[latchward.TokenID]bool) bool {
	found := false
	t.each(func(id latchward.TokenID) bool { found = tokens[id]; return !found })
	return found
}

// each calls f for each id in order, until it returns false.
func (t Tokens) each(f func(latchward.TokenID) bool) {
	id := latchward.TokenID(0)
	for len(t) > 0 {
		delta, n := binary.Varint(t)
		if n <= 0 {
			return
		}
		id += latchward.TokenID(delta)
		if t = t[n:]; !f(id) {
			return
		}
	}
}
