package latchward

import (
	"sync"
	"sync/atomic"
	"time"
)

// shard holds the buckets of a part of the keys.
type shard struct {
	mu      sync.RWMutex
	buckets bucketTable
	floor   Instant // new buckets start here: what was forgotten had left every window by then
	calls   atomic.Uint64
	settled settledCalls
}

// bucket returns the bucket of a key, or nil if there is none and none is to be created.
func (s *shard) bucket(key uint64, create bool) *bucket {
	s.mu.RLock()
	b := s.buckets.get(key)
	s.mu.RUnlock()
	if b != nil || !create {
		return b
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if b = s.buckets.get(key); b == nil {
		b = &bucket{key: key, seen: s.floor}
		s.buckets.add(b)
	}
	return b
}

// sweep forgets idle buckets. A bucket that somebody holds is not idle, so it waits for none.
func (s *shard) sweep(now Instant, maxFlight time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.buckets.removeIf(func(b *bucket) bool {
		if !b.mu.TryLock() {
			return false
		}
		defer b.mu.Unlock()
		until, idle := b.idle(now, maxFlight)
		if idle {
			s.floor = max(s.floor, until)
			b.seen, b.first, b.rest = dead, slidingWindow{}, nil
		}
		return idle
	})
}

// bucketTable keeps buckets by key: a hash table with chaining (Knuth, The Art of Computer Programming, vol. 3, §6.4,
// algorithm C) through the buckets themselves. It takes 4 to 16 bytes per bucket beside those, less than a map. The zero
// table is empty.
type bucketTable struct {
	chains []*bucket // a power of two, or none
	count  int
}

const (
	minChains  = 8
	goldenBits = 0x9E3779B97F4A7C15 // 2^64 divided by the golden ratio (Knuth, vol. 3, §6.4)
)

// chain returns where the chain of a key starts. The top bits of the key's hash have chosen the shard already.
func (t *bucketTable) chain(key uint64) **bucket {
	return &t.chains[key*goldenBits>>32&uint64(len(t.chains)-1)]
}

// get returns the bucket of a key, or nil.
func (t *bucketTable) get(key uint64) *bucket {
	if t.count == 0 {
		return nil
	}
	b := *t.chain(key)
	for b != nil && b.key != key {
		b = b.next
	}
	return b
}

// add adds a bucket whose key is not there.
func (t *bucketTable) add(b *bucket) {
	if t.count++; t.count > len(t.chains) {
		t.rebuild(max(minChains, 2*len(t.chains)))
	}
	t.link(b)
}

func (t *bucketTable) link(b *bucket) {
	chain := t.chain(b.key)
	b.next, *chain = *chain, b
}

// removeIf removes the buckets that are to go, and gives memory back when few are left.
func (t *bucketTable) removeIf(goes func(*bucket) bool) {
	for i := range t.chains {
		for place := &t.chains[i]; *place != nil; {
			b := *place
			if !goes(b) {
				place = &b.next
				continue
			}
			*place, b.next = b.next, nil
			t.count--
		}
	}
	size := len(t.chains)
	for size > minChains && t.count <= size/4 {
		size /= 2
	}
	if size < len(t.chains) {
		t.rebuild(size)
	}
}

// rebuild spreads the buckets over as many chains.
func (t *bucketTable) rebuild(size int) {
	old := t.chains
	t.chains = make([]*bucket, size)
	for _, b := range old {
		for b != nil {
			next := b.next
			t.link(b)
			b = next
		}
	}
}
