package latchward

import "sync"

// settledCalls remembers which calls of a shard were settled, so that each is settled once. It keeps one bit per call,
// for the generation of calls that are being settled and the one before it, 64 kB at most and nothing where nobody
// settles; a call older than that counts as settled.
type settledCalls struct {
	mu          sync.Mutex
	generations [2]generation
}

type generation struct {
	number uint64
	bits   *[generationCalls / 64]uint64
}

const generationCalls = 1 << 18

// mark notes that the call with the given number is settled and tells whether it was not before.
func (s *settledCalls) mark(call uint64) (first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	number := call / generationCalls
	g := &s.generations[number%2]
	if g.number > number {
		return false
	}
	if g.bits == nil {
		g.bits = new([generationCalls / 64]uint64)
	}
	if g.number < number {
		g.number = number
		clear(g.bits[:])
	}
	word, bit := &g.bits[call%generationCalls/64], uint64(1)<<(call%64)
	first = *word&bit == 0
	*word |= bit
	return first
}
