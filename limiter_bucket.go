package latchward

import (
	"sort"
	"sync"
	"time"
)

// bucket is what the limiter knows of one budget: a window per limit, and the calls in flight. mu guards all of it.
//
// Every call moves seen, whether it is admitted, refused or settled, and decides at seen. Were seen moved by admissions
// only, a call that read the clock early and got the lock late would be judged at an instant for which a call between
// them has already let units go.
//
// What the first calls of a single limit need is all in here, 128 bytes, so that nothing else has to be fetched from
// memory, and nothing becomes garbage as the window fills.
type bucket struct {
	mu    sync.Mutex
	seen  Instant // the latest instant anything was decided at; dead once the bucket is out of the table
	rest  *rest   // nil for a single limit without a cap
	key   uint64
	next  *bucket // in the table, which guards it
	first slidingWindow
}

// rest is the part of a bucket that few buckets need.
type rest struct {
	windows []slidingWindow // of the second and further limits
	flights []openCall      // oldest first
}

// openCall is a call that was taken and is not settled.
type openCall struct {
	at Instant
	id uint64
}

const dead Instant = -1

// windows returns how many windows the bucket has.
func (b *bucket) windows() int {
	switch {
	case b.first.length == 0:
		return 0
	case b.rest == nil:
		return 1
	default:
		return 1 + len(b.rest.windows)
	}
}

// window returns the window of the i-th limit.
func (b *bucket) window(i int) *slidingWindow {
	if i == 0 {
		return &b.first
	}
	return &b.rest.windows[i-1]
}

// advance moves the bucket to now: afterwards it has one window per limit and counts what it should at now.
func (b *bucket) advance(now Instant, limits []Limit, maxFlight time.Duration) error {
	b.seen = now
	if !b.fits(limits) {
		if err := b.refit(now, limits); err != nil {
			return err
		}
	}
	for i := range limits {
		b.window(i).advance(now)
	}
	b.land(now, maxFlight)
	return nil
}

// fits tells whether the windows are those of the limits.
func (b *bucket) fits(limits []Limit) bool {
	if b.windows() != len(limits) {
		return false
	}
	for i := range limits {
		if b.window(i).length != Instant(limits[i].Window) {
			return false
		}
	}
	return true
}

// refit makes the windows those of the limits. A window whose length is still wanted stays; a new one starts with what
// the others know of its time.
func (b *bucket) refit(now Instant, limits []Limit) error {
	windows := make([]slidingWindow, len(limits))
	for i, l := range limits {
		if l.Window < MinLimitWindow || l.Window > MaxLimitWindow {
			return l.Validate()
		}
		windows[i] = b.windowFor(Instant(l.Window), now)
	}
	b.first = slidingWindow{}
	if len(windows) > 0 {
		b.first = windows[0]
	}
	if len(windows) > 1 || b.rest != nil {
		b.more().windows = windows[min(1, len(windows)):]
	}
	return nil
}

// windowFor returns the window of the given length, or a new one filled from the one that knows its time best: the
// shortest of the longer ones, else the longest.
func (b *bucket) windowFor(length, now Instant) slidingWindow {
	var best *slidingWindow
	for i := range b.windows() {
		w := b.window(i)
		switch {
		case w.length == length:
			return *w
		case best == nil,
			best.length < length && w.length > best.length,
			length < w.length && w.length < best.length:
			best = w
		}
	}
	fresh := newWindow(length)
	if best != nil {
		best.advance(now)
		fresh.carry(best, now)
	}
	return fresh
}

func (b *bucket) more() *rest {
	if b.rest == nil {
		b.rest = new(rest)
	}
	return b.rest
}

// inFlight returns how many calls are in flight.
func (b *bucket) inFlight() int {
	if b.rest == nil {
		return 0
	}
	return len(b.rest.flights)
}

// takeOff notes a call in flight.
func (b *bucket) takeOff(at Instant, id uint64) {
	r := b.more()
	r.flights = append(r.flights, openCall{at, id})
}

// land forgets the calls that have been in flight for longer than any call may.
func (b *bucket) land(now Instant, maxFlight time.Duration) {
	if b.inFlight() == 0 || now.Sub(b.rest.flights[0].at) < maxFlight {
		return
	}
	flights := b.rest.flights
	landed := sort.Search(len(flights), func(i int) bool { return now.Sub(flights[i].at) < maxFlight })
	b.rest.flights = flights[:copy(flights, flights[landed:])]
}

// settle ends a call: its place in flight becomes free and back of its units count no longer.
func (b *bucket) settle(r Receipt, now Instant, back int64) {
	b.seen = now
	for i := range b.windows() {
		w := b.window(i)
		w.advance(now)
		if back > 0 {
			w.refund(r.At, now, back)
		}
	}
	if b.inFlight() == 0 {
		return
	}
	flights := b.rest.flights
	i := sort.Search(len(flights), func(i int) bool { return flights[i].at >= r.At })
	for ; i < len(flights) && flights[i].at == r.At; i++ {
		if flights[i].id == r.ID {
			b.rest.flights = append(flights[:i], flights[i+1:]...)
			return
		}
	}
}

// idle tells whether forgetting the bucket changes no decision made at or after the instant until: it has no call in
// flight and was last booked two of its longest windows ago.
func (b *bucket) idle(now Instant, maxFlight time.Duration) (until Instant, ok bool) {
	b.land(now, maxFlight)
	if b.inFlight() > 0 {
		return 0, false
	}
	for i := range b.windows() {
		w := b.window(i)
		if now < w.last+2*w.length {
			return 0, false
		}
		until = max(until, w.last+w.length)
	}
	return until, true
}
