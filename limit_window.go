package latchward

import (
	"encoding/binary"
	"math/bits"
	"sort"
)

// slidingWindow counts the units admitted in (now-length, now]. Up to exactMax units it is a log of one stamp per unit
// and exact; beyond, it is runs, which count a unit up to length/256 too long and never too short.
//
// Its owner serialises access and never lets now go back: advance comes before every question and every booking.
type slidingWindow struct {
	length Instant
	last   Instant // the newest booking
	log    stampLog
	runs   *runs // nil while the log counts
}

func newWindow(length Instant) slidingWindow {
	return slidingWindow{length: length, log: stampLog{width: stampWidth(length)}}
}

// used returns the units counted.
func (w *slidingWindow) used() int64 {
	if w.runs != nil {
		return w.runs.total - w.runs.gone
	}
	return int64(w.log.count)
}

// advance lets go of what has left the window by now.
func (w *slidingWindow) advance(now Instant) {
	switch {
	case w.runs != nil:
		w.runs.advance(now - w.length)
	case now-w.last >= w.length:
		w.log.clear() // first of all: only younger stamps can be told from their low bytes
	default:
		w.log.drop(w.log.expired(now, w.length))
	}
}

// leaves returns when the k-th oldest of the counted units will have left, k from 1 to used.
func (w *slidingWindow) leaves(k int64, now Instant) Instant {
	if w.runs != nil {
		return w.runs.bound(k) + w.length
	}
	return now - w.log.age(int32(k-1), now) + w.length
}

// book counts cost units at the instant at, under a limit of n units; used + cost is at most n.
func (w *slidingWindow) book(at Instant, cost, n, exactMax int64) {
	switch {
	case n > exactMax && w.runs == nil:
		w.fold(at, n)
	case n <= exactMax && w.runs != nil && w.used() == 0:
		w.runs = nil
	}
	w.last = at
	if w.runs != nil {
		w.runs.book(at, cost, n)
		return
	}
	w.log.add(at, int32(cost), int32(n))
}

// refund stops counting up to cost of the units booked at the instant at.
func (w *slidingWindow) refund(at, now Instant, cost int64) {
	switch {
	case at+w.length <= now: // they have left
	case w.runs != nil:
		w.runs.refund(at, cost)
	default:
		w.log.remove(now-at, now, cost)
	}
}

// fold turns the log into runs.
func (w *slidingWindow) fold(now Instant, n int64) {
	w.runs = newRuns(w.length, n)
	for i := range w.log.count {
		w.runs.book(now-w.log.age(i, now), 1, n)
	}
	w.log.clear()
}

// carry books what the window from still knows of the last w.length; w is new. It stays runs if from was runs.
func (w *slidingWindow) carry(from *slidingWindow, now Instant) {
	if from.runs != nil {
		w.runs = newRuns(w.length, from.runs.n)
		from.runs.each(func(last Instant, count int64) {
			w.runs.book(last, count, from.runs.n)
			w.last = last
		})
		w.advance(now)
		return
	}
	for i := range from.log.count {
		if age := from.log.age(i, now); age < w.length {
			w.last = now - age
			w.log.add(w.last, 1, from.log.count)
		}
	}
}

// stampLog is a ring of the instants at which units were booked, oldest first, each cut to its low width bytes. That
// is enough: with 2*length < 256^width, the age of a stamp at most 2*length old is the difference modulo 256^width.
type stampLog struct {
	ring  []byte // size stamps, and 8 bytes so that each can be loaded as one word
	head  int32  // index of the oldest stamp
	count int32
	size  int32 // stamps the ring has room for
	width uint8 // bytes of a stamp, up to 7
}

const (
	firstStamps = 8  // size of the second ring: the first one has room for a single call
	keptStamps  = 64 // a larger ring is given back when the window has run empty
)

// stampWidth returns the least number of bytes for a window of the given length.
func stampWidth(length Instant) uint8 {
	return uint8(bits.Len64(uint64(length))/8 + 1)
}

func (l *stampLog) mask() uint64 { return 1<<(8*l.width) - 1 }

// at returns where the i-th oldest stamp starts in the ring.
func (l *stampLog) at(i int32) int {
	i += l.head
	if i >= l.size {
		i -= l.size
	}
	return int(i) * int(l.width)
}

// age returns how long before now the i-th oldest unit was booked.
func (l *stampLog) age(i int32, now Instant) Instant {
	return Instant((uint64(now) - binary.LittleEndian.Uint64(l.ring[l.at(i):])) & l.mask())
}

// put writes the low bytes of v as the i-th oldest stamp.
func (l *stampLog) put(i int32, v uint64) {
	place := l.ring[l.at(i):]
	rest := binary.LittleEndian.Uint64(place) &^ l.mask()
	binary.LittleEndian.PutUint64(place, rest|v&l.mask())
}

// add appends cost stamps; no more than n are ever wanted at once.
func (l *stampLog) add(at Instant, cost, n int32) {
	if l.count+cost > l.size {
		l.grow(cost, n)
	}
	for range cost {
		l.count++
		l.put(l.count-1, uint64(at))
	}
}

// grow moves the stamps to a larger ring with room for cost more.
func (l *stampLog) grow(cost, n int32) {
	size := l.count + cost
	if size > 1 {
		size = max(size, min(n, max(firstStamps, 2*l.size)))
	}
	old := *l
	l.ring, l.size, l.head = make([]byte, int(size)*int(l.width)+8), size, 0
	for i := range old.count {
		l.put(i, binary.LittleEndian.Uint64(old.ring[old.at(i):]))
	}
}

// expired returns how many stamps are length old or older. Most often that is none or a few.
func (l *stampLog) expired(now, length Instant) int32 {
	old, young := int32(0), int32(1) // as many are expired at least; this many are not
	for young <= l.count && l.age(young-1, now) >= length {
		old, young = young, 2*young
	}
	young = min(young, l.count+1)
	for young-old > 1 {
		if middle := (old + young) / 2; l.age(middle-1, now) >= length {
			old = middle
		} else {
			young = middle
		}
	}
	return old
}

// drop forgets the n oldest stamps.
func (l *stampLog) drop(n int32) {
	l.count -= n
	if l.head += n; l.head >= l.size && n > 0 {
		l.head -= l.size
	}
}

// clear forgets all stamps.
func (l *stampLog) clear() {
	l.head, l.count = 0, 0
	if l.size > keptStamps {
		l.ring, l.size = nil, 0
	}
}

// remove takes out up to cost stamps of the given age, moving the fewer of the older and the younger ones.
func (l *stampLog) remove(age, now Instant, cost int64) {
	from := int32(sort.Search(int(l.count), func(i int) bool { return l.age(int32(i), now) <= age }))
	to := from
	for to < l.count && int64(to-from) < cost && l.age(to, now) == age {
		to++
	}
	if from < l.count-to {
		for i := from - 1; i >= 0; i-- {
			l.put(i+to-from, uint64(now-l.age(i, now)))
		}
		l.drop(to - from)
		return
	}
	for i := to; i < l.count; i++ {
		l.put(i-to+from, uint64(now-l.age(i, now)))
	}
	l.count -= to - from
}
