package latchward

import (
	"encoding/binary"
	"math/bits"
	"sync/atomic"
)

// factsTable keeps facts by key id: a hash table with open addressing (Knuth, TAOCP vol. 3, 6.4, algorithm L) whose
// readers take no lock. Facts never move within the slots, and a slot that was used never becomes empty again, only a
// grave; so a reader that meets an empty slot knows that what it looks for is not there. Whoever changes the table
// holds the lock of its shard.
//
// A map behind a lock would cost every request two atomic writes that all cores share and one more fetch from memory:
// the key id is in the facts themselves, so a slot is one pointer.
type factsTable struct {
	slots atomic.Pointer[slots]
	count int // facts in the table
	used  int // slots that are not empty: facts and graves
}

// slots are a power of two, a quarter of them empty at least.
type slots []atomic.Pointer[facts]

const minSlots = 8

// grave marks a slot whose facts were removed. Its key id is the zero one, which no secret has.
var grave = new(facts)

// hashKeyID spreads key ids by their random characters; nobody can choose them, because the tag vouches for them. The
// top bits choose the shard and those from bit 32 on the slot.
func hashKeyID(id KeyID) uint64 {
	const odd = 0x9e3779b97f4a7c15 // 2^64 divided by the golden ratio (Knuth, TAOCP vol. 3, 6.4)
	return binary.LittleEndian.Uint64(id[len(id)-8:]) * odd
}

// get returns the facts about a key id with that hash, or nil. It needs no lock.
func (t *factsTable) get(id KeyID, hash uint64) *facts {
	s := *t.slots.Load()
	for i := hash >> 32; ; i++ {
		f := s.at(i).Load()
		if f == nil || f.keyID == id {
			return f
		}
	}
}

// put adds facts or replaces those about the same key id. When there are most already, others are dropped for them:
// those next to their place, which is random as key ids are.
func (t *factsTable) put(f *facts, most int) {
	t.remove(f.keyID)
	place := hashKeyID(f.keyID) >> 32
	if t.count >= most {
		t.dropFrom(place)
	}
	if s := *t.slots.Load(); 4*(t.used+1) > 3*len(s) {
		t.rebuild()
	}
	slot := t.slots.Load().free(place)
	if slot.Load() == nil {
		t.used++
	}
	t.count++
	slot.Store(f)
}

// remove forgets the facts about a key id, if there are any.
func (t *factsTable) remove(id KeyID) {
	s := *t.slots.Load()
	for i := hashKeyID(id) >> 32; s.at(i).Load() != nil; i++ {
		if s.at(i).Load().keyID == id {
			s.at(i).Store(grave)
			t.count--
			return
		}
	}
}

// dropFrom forgets the first facts at or behind a place; there must be some in the table.
func (t *factsTable) dropFrom(place uint64) {
	s := *t.slots.Load()
	for !s.holds(place) {
		place++
	}
	s.at(place).Store(grave)
	t.count--
}

// rebuild moves all facts to new slots, without graves and with room for half as many more.
func (t *factsTable) rebuild() {
	old, fresh := *t.slots.Load(), newSlots(t.count+t.count/2)
	for i := range uint64(len(old)) {
		if old.holds(i) {
			f := old.at(i).Load()
			fresh.free(hashKeyID(f.keyID) >> 32).Store(f)
		}
	}
	t.slots.Store(&fresh)
	t.used = t.count
}

// clear forgets everything.
func (t *factsTable) clear() {
	fresh := newSlots(0)
	t.slots.Store(&fresh)
	t.count, t.used = 0, 0
}

// newSlots returns slots for more than n facts.
func newSlots(n int) slots { return make(slots, max(minSlots, 1<<bits.Len(uint(n)))) }

// at returns the slot at a place, counted round.
func (s slots) at(place uint64) *atomic.Pointer[facts] { return &s[place&uint64(len(s)-1)] }

func (s slots) holds(place uint64) bool {
	f := s.at(place).Load()
	return f != nil && f != grave
}

// free returns the first slot at or behind a place that can be used.
func (s slots) free(place uint64) *atomic.Pointer[facts] {
	for s.holds(place) {
		place++
	}
	return s.at(place)
}
