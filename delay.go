package latchward

import (
	"sync/atomic"
	"time"
)

// Delays says how long something took that happened often.
type Delays struct {
	Count  int64
	Sum    time.Duration
	AtMost map[time.Duration]int64 // how many took no longer, for some durations
}

// delayBounds are the durations that Delays tells of. Administrators feel a change of more than a second, which is also
// the most that one may take in a cluster (B-19).
var delayBounds = [...]time.Duration{
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond,
	50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, time.Second,
}

// delayCounts may be used concurrently; its zero value is ready.
type delayCounts struct {
	upTo [len(delayBounds)]atomic.Int64 // by the least bound that is not passed
	more atomic.Int64
	sum  atomic.Int64 // nanoseconds
}

func (c *delayCounts) add(d time.Duration) {
	d = max(d, 0)
	c.sum.Add(int64(d))
	for i, bound := range delayBounds {
		if d <= bound {
			c.upTo[i].Add(1)
			return
		}
	}
	c.more.Add(1)
}

// load reads the counts one after the other, so that what is added meanwhile may be in the sum only.
func (c *delayCounts) load() Delays {
	d := Delays{Sum: time.Duration(c.sum.Load()), AtMost: map[time.Duration]int64{}}
	for i, bound := range delayBounds {
		d.Count += c.upTo[i].Load()
		d.AtMost[bound] = d.Count
	}
	d.Count += c.more.Load()
	return d
}
