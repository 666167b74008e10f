package latchward

// slidingWindow counts the units admitted in (now-length, now]. Up to exactMax units it is a log of one stamp per unit
// and exact; beyond, it is runs, which count a unit up to length/256 too long and never too short.
//
// Its owner serialises access and never lets now go back: advance comes before every question and every booking.
type slidingWindow struct {
	length Instant
	last   Instant // the newest booking
	stampLog
}

func newWindow(length Instant) slidingWindow { return slidingWindow{length: length} }

// runs returns what counts instead of the log, or nil while the log does.
func (w *slidingWindow) runs() *runs {
	if w.far == nil {
		return nil
	}
	return w.far.runs
}

// used returns the units counted.
func (w *slidingWindow) used() int64 {
	if r := w.runs(); r != nil {
		return r.total - r.gone
	}
	return int64(w.count)
}

// advance lets go of what has left the window by now.
func (w *slidingWindow) advance(now Instant) {
	switch r := w.runs(); {
	case r != nil:
		r.advance(now - w.length)
	case now-w.last >= w.length:
		w.clear(w.length) // first of all: only younger stamps can be told from their low bytes
	default:
		w.drop(w.expired(now, w.length), w.length)
	}
}

// leaves returns when the k-th oldest of the counted units will have left, k from 1 to used.
func (w *slidingWindow) leaves(k int64, now Instant) Instant {
	if r := w.runs(); r != nil {
		return r.bound(k) + w.length
	}
	return now - w.age(int32(k-1), now, w.length) + w.length
}

// book counts cost units at the instant at, under a limit of n units; used + cost is at most n.
func (w *slidingWindow) book(at Instant, cost, n, exactMax int64) {
	switch r := w.runs(); {
	case n > exactMax && r == nil:
		w.fold(at, n)
	case n <= exactMax && r != nil && w.used() == 0:
		w.far = nil
	}
	w.last = at
	if r := w.runs(); r != nil {
		r.book(at, cost, n)
		return
	}
	w.add(at, int32(cost), int32(n), w.length)
}

// refund stops counting up to cost of the units booked at the instant at.
func (w *slidingWindow) refund(at, now Instant, cost int64) {
	switch {
	case at+w.length <= now: // they have left
	case w.runs() != nil:
		w.runs().refund(at, cost)
	default:
		w.remove(now-at, now, cost, w.length)
	}
}

// fold turns the log into runs.
func (w *slidingWindow) fold(now Instant, n int64) {
	r := newRuns(w.length, n)
	for i := range w.count {
		r.book(now-w.age(i, now, w.length), 1, n)
	}
	w.stampLog = stampLog{far: &far{runs: r}}
}

// carry books what the window from still knows of the last w.length; w is new. It stays runs if from was runs.
func (w *slidingWindow) carry(from *slidingWindow, now Instant) {
	if r := from.runs(); r != nil {
		w.far = &far{runs: newRuns(w.length, r.n)}
		r.each(func(last Instant, count int64) {
			w.far.runs.book(last, count, r.n)
			w.last = last
		})
		w.advance(now)
		return
	}
	for i := range from.count {
		if age := from.age(i, now, from.length); age < w.length {
			w.last = now - age
			w.add(w.last, 1, from.count, w.length)
		}
	}
}
