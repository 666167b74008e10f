package latchward

import (
	"encoding/binary"
	"math/bits"
	"sort"
)

// stampLog is a ring of the instants at which the units of a window were booked, oldest first, each cut to as many low
// bytes as the window's length asks for, see stampWidth. That is enough: with 2*length < 256^width, the age of a stamp
// at most 2*length old is the difference modulo 256^width. Every method is told the length, which its window holds.
type stampLog struct {
	far   *far  // nil while near is the ring
	head  int32 // index of the oldest stamp
	count int32
	near  [nearBytes]byte // the first calls are counted in the bucket itself: there are as many buckets as tokens in use
}

// far is what a window keeps outside of its bucket.
type far struct {
	ring []byte
	runs *runs // nil while the log counts; the ring is nil then, too
}

const (
	nearBytes  = 56 // with the rest of a bucket 128 bytes: 11 stamps of a minute
	keptStamps = 64 // a larger ring is given back when the window has run empty
)

// stampWidth returns the least number of bytes for a window of the given length, from 3 to 7.
func stampWidth(length Instant) int { return bits.Len64(uint64(length))/8 + 1 }

// ring returns the bytes of the stamps, at least 8, and how many bytes there are for each stamp.
func (l *stampLog) ring(length Instant) (ring []byte, width int) {
	if l.far != nil {
		return l.far.ring, stampWidth(length)
	}
	return l.near[:], stampWidth(length)
}

// place returns the word of the ring that holds the i-th oldest stamp, and by how many bits that is shifted there.
func (l *stampLog) place(i int32, length Instant) (word []byte, shift uint, mask uint64) {
	ring, width := l.ring(length)
	at := (int(l.head) + int(i)) * width
	if at+width > len(ring) {
		at -= len(ring) / width * width
	}
	start := min(at, len(ring)-8)
	return ring[start : start+8], uint(at-start) * 8, 1<<(8*width) - 1
}

// age returns how long before now the i-th oldest unit was booked.
func (l *stampLog) age(i int32, now, length Instant) Instant {
	word, shift, mask := l.place(i, length)
	return Instant((uint64(now) - binary.LittleEndian.Uint64(word)>>shift) & mask)
}

// put writes the low bytes of at as the i-th oldest stamp.
func (l *stampLog) put(i int32, at, length Instant) {
	word, shift, mask := l.place(i, length)
	rest := binary.LittleEndian.Uint64(word) &^ (mask << shift)
	binary.LittleEndian.PutUint64(word, rest|uint64(at)&mask<<shift)
}

// add appends cost stamps; no more than n are ever wanted at once.
func (l *stampLog) add(at Instant, cost, n int32, length Instant) {
	if ring, width := l.ring(length); int(l.count+cost)*width > len(ring) {
		l.grow(at, cost, n, length)
	}
	for range cost {
		l.count++
		l.put(l.count-1, at, length)
	}
}

// grow moves the stamps to a larger ring with room for cost more.
func (l *stampLog) grow(now Instant, cost, n int32, length Instant) {
	ring, width := l.ring(length)
	size := max(l.count+cost, min(n, int32(2*(len(ring)/width))))
	old := *l
	l.far, l.head = &far{ring: make([]byte, int(size)*width)}, 0
	for i := range old.count {
		l.put(i, now-old.age(i, now, length), length)
	}
}

// expired returns how many stamps are length old or older. Most often that is none or a few.
func (l *stampLog) expired(now, length Instant) int32 {
	old, young := int32(0), int32(1) // as many are expired at least; this many are not
	for young <= l.count && l.age(young-1, now, length) >= length {
		old, young = young, 2*young
	}
	young = min(young, l.count+1)
	for young-old > 1 {
		if middle := (old + young) / 2; l.age(middle-1, now, length) >= length {
			old = middle
		} else {
			young = middle
		}
	}
	return old
}

// drop forgets the n oldest stamps.
func (l *stampLog) drop(n int32, length Instant) {
	if n == 0 {
		return
	}
	ring, width := l.ring(length)
	l.count -= n
	if l.head += n; int(l.head+1)*width > len(ring) {
		l.head -= int32(len(ring) / width)
	}
}

// clear forgets all stamps.
func (l *stampLog) clear(length Instant) {
	l.head, l.count = 0, 0
	if ring, width := l.ring(length); l.far != nil && len(ring) > keptStamps*width {
		l.far = nil
	}
}

// remove takes out up to cost stamps of the given age, moving the fewer of the older and the younger ones.
func (l *stampLog) remove(age, now Instant, cost int64, length Instant) {
	from := int32(sort.Search(int(l.count), func(i int) bool { return l.age(int32(i), now, length) <= age }))
	to := from
	for to < l.count && int64(to-from) < cost && l.age(to, now, length) == age {
		to++
	}
	if from < l.count-to {
		for i := from - 1; i >= 0; i-- {
			l.put(i+to-from, now-l.age(i, now, length), length)
		}
		l.drop(to-from, length)
		return
	}
	for i := to; i < l.count; i++ {
		l.put(i-to+from, now-l.age(i, now, length), length)
	}
	l.count -= to - from
}
