package latchward

import "math/bits"

// runShare is the part of its window that one run may span: the price of a bounded size is that a unit may be counted
// this much longer than the window.
const runShare = 256

// maxRuns is what a window can hold: runs start at least length/256 apart, less the rounding of that, in an interval of
// length and length/256.
const maxRuns = runShare + 4

// runs counts the units of a window in runs of neighbouring bookings: about 260 of them whatever the limit.
//
// The instant of each unit of a run is known to be at most its bound: for the k-th unit (k from 1)
//
//	min(last, first + ⌊(⌊(k-1)/lump⌋·lump·length + late) / n⌋)
//
// A unit is let go one window after its bound, hence never early, and less than length/256 late, because last is within
// length/256 of first. The line rises as a client at exactly n per length does, so that such a client is served without
// any lateness; late, in units times nanoseconds, lifts it over whoever came behind that pace.
type runs struct {
	ring   []run
	head   int
	count  int   // runs in the ring
	total  int64 // units of all runs in the ring
	gone   int64 // of the units of the oldest run, those already let go
	n      int64 // the limit the lines are drawn for
	length Instant
}

// run is a number of units booked in [first, last], with last - first < length/256.
type run struct {
	first, last Instant
	units       int64
	lump        int64 // the one cost of all its bookings; 1 if there were several, or a refund
	late        wide
}

func newRuns(length Instant, n int64) *runs { return &runs{length: length, n: n} }

// nth returns the i-th oldest run.
func (r *runs) nth(i int) *run {
	if i += r.head; i >= len(r.ring) {
		i -= len(r.ring)
	}
	return &r.ring[i]
}

// advance lets go of the units whose bound is at or before edge.
func (r *runs) advance(edge Instant) {
	for r.count > 0 && r.nth(0).last <= edge {
		r.total -= r.nth(0).units
		r.gone = 0
		r.count--
		if r.head++; r.head == len(r.ring) {
			r.head = 0
		}
	}
	if r.count > 0 {
		r.gone = max(r.gone, r.nth(0).boundBy(edge, r.length, r.n))
	}
}

// bound returns the bound of the k-th oldest of the units still counted.
func (r *runs) bound(k int64) Instant {
	k += r.gone
	i := 0
	for ; i < r.count-1 && k > r.nth(i).units; i++ {
		k -= r.nth(i).units
	}
	return r.nth(i).bound(k, r.length, r.n)
}

// book counts cost units at the instant at, in the newest run or in a new one.
func (r *runs) book(at Instant, cost, n int64) {
	r.redraw(n)
	r.total += cost
	if r.count > 0 {
		if newest := r.nth(r.count - 1); at-newest.first < r.length/runShare {
			newest.join(at, cost, r.length, n)
			return
		}
	}
	if r.count == len(r.ring) {
		r.grow()
	}
	r.count++
	*r.nth(r.count - 1) = run{first: at, last: at, units: cost, lump: cost}
}

func (r *runs) grow() {
	size := min(max(4, 2*len(r.ring)), maxRuns)
	larger := make([]run, max(size, r.count+1))
	for i := range r.count {
		larger[i] = *r.nth(i)
	}
	r.ring, r.head = larger, 0
}

// redraw replaces all lines after a change of the limit: their slope was drawn for the old one.
func (r *runs) redraw(n int64) {
	if n == r.n {
		return
	}
	r.n = n
	for i := range r.count {
		run := r.nth(i)
		run.late = run.flat(n)
	}
}

// refund stops counting up to cost of the units booked at the instant at.
func (r *runs) refund(at Instant, cost int64) {
	for i := r.count - 1; i >= 0; i-- {
		run := r.nth(i)
		if at < run.first {
			continue
		}
		if at > run.last {
			return
		}
		counted := run.units
		if i == 0 {
			counted -= r.gone
		}
		cost = min(cost, counted)
		run.remove(cost, r.length, r.n)
		r.total -= cost
		return
	}
}

// each calls f for every run, oldest first, with a bound and the number of its counted units.
func (r *runs) each(f func(last Instant, count int64)) {
	gone := r.gone
	for i := range r.count {
		if run := r.nth(i); run.units > gone {
			f(run.last, run.units-gone)
		}
		gone = 0
	}
}

// join adds cost units at the instant at, and lifts the line to it.
func (r *run) join(at Instant, cost int64, length Instant, n int64) {
	if cost != r.lump {
		r.lump = 1
	}
	line := product(r.units, int64(length))
	if need := product(int64(at-r.first), n); line.plus(r.late).less(need) {
		r.late = need.minus(line)
	}
	r.last = at
	r.units += cost
}

// remove takes out units. Those left move up by as many places at most, so the line is lifted by that many steps.
func (r *run) remove(units int64, length Instant, n int64) {
	r.units -= units
	r.lump = 1
	r.late = r.late.plus(product(units, int64(length)))
	if flat := r.flat(n); flat.less(r.late) {
		r.late = flat
	}
}

// flat returns the lateness from which on the bound of every unit is last.
func (r *run) flat(n int64) wide { return product(int64(r.last-r.first+1), n) }

// bound returns the bound of the k-th unit.
func (r *run) bound(k int64, length Instant, n int64) Instant {
	before := (k - 1) / r.lump * r.lump
	rise, ok := product(before, int64(length)).plus(r.late).over(n)
	if !ok || rise >= int64(r.last-r.first) {
		return r.last
	}
	return r.first + Instant(rise)
}

// boundBy returns how many units have a bound at or before edge, for an edge before last: the inverse of bound.
func (r *run) boundBy(edge, length Instant, n int64) int64 {
	if edge < r.first {
		return 0
	}
	room := product(int64(edge-r.first+1), n) // the bound is at or before edge while line and lateness are below this
	if !r.late.less(room) {
		return 0
	}
	steps, _ := room.minus(r.late).minus(wide{lo: 1}).over(int64(length)) // fits: edge is within length/256 of first
	return min(r.units, (steps/r.lump+1)*r.lump)
}

// wide is an unsigned number of 128 bits: units times nanoseconds, which overflows 64 for a large limit per month.
type wide struct{ hi, lo uint64 }

// product returns a*b of numbers that are not negative.
func product(a, b int64) wide {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	return wide{hi, lo}
}

func (x wide) plus(y wide) wide {
	lo, carry := bits.Add64(x.lo, y.lo, 0)
	return wide{x.hi + y.hi + carry, lo}
}

// minus returns x-y for y at most x.
func (x wide) minus(y wide) wide {
	lo, borrow := bits.Sub64(x.lo, y.lo, 0)
	return wide{x.hi - y.hi - borrow, lo}
}

func (x wide) less(y wide) bool { return x.hi < y.hi || x.hi == y.hi && x.lo < y.lo }

// over returns ⌊x/n⌋ for n from 1, and whether it fits.
func (x wide) over(n int64) (quotient int64, ok bool) {
	if x.hi >= uint64(n) {
		return 0, false
	}
	q, _ := bits.Div64(x.hi, x.lo, uint64(n))
	return int64(q), q < 1<<63
}
