package latchtest

import (
	"time"

	"github.com/latchward/latchward"
)

// What settling gives back.
func limiterSettlePromises() []limiterPromise {
	return []limiterPromise{
		{"Settle/ReturnsUnused", settleReturnsUnused},
		{"Settle/OnlyLowers", settleOnlyLowers},
		{"Settle/Once", settleOnce},
		{"Settle/FreesSlot", settleFreesSlot},
		{"Settle/AfterWindow", settleAfterWindow},
	}
}

func settleReturnsUnused(t *limiterTrial) {
	for _, n := range []int64{100, 100_000} {
		t.restart()
		part := n / 10
		token, group := perMinute(1, n), threeLimits(n)
		start := t.now
		t.admit(part, token, group)
		t.pass(time.Second)
		_, r := t.admit(6*part, token, group)
		t.pass(time.Second)
		t.settle(r, 2*part, token, group)
		t.holds(7*part, token)
		t.holds(7*part, group)
		t.now = start.Add(time.Minute + time.Minute/256)
		t.holds(part, token)
		t.pass(time.Second + time.Minute/256)
		t.holds(2*part, token) // what was used has left one window after it was taken
	}
	t.restart()
	_, r := t.admit(100, perMinute(1, 100))
	t.settle(r, 100, perMinute(1, 100))
	t.refuse(1, perMinute(1, 100))
	t.settle(latchward.Receipt{}, 0, perMinute(1, 100)) // of the refused call
	t.refuse(1, perMinute(1, 100))
}

func settleOnlyLowers(t *limiterTrial) {
	for _, actual := range []int64{-1, 61, -1 << 63, 1<<63 - 1} {
		t.restart()
		token, busy := perMinute(1, 100), inFlight(1, 1)
		_, r := t.admit(60, token, busy)
		err := t.limiter.Settle(t.Context(), t.now, r, []latchward.Budget{token, busy}, actual)
		t.invalid("Settle", err, "actual")
		t.admit(1, busy)
		t.holds(40, token)
	}
}

func settleOnce(t *limiterTrial) {
	for _, n := range []int64{100, 100_000} {
		t.restart()
		token, busy := perMinute(1, n), inFlight(1, 2)
		_, one := t.admit(n/2, token, busy)
		_, two := t.admit(n/2, token, busy)
		t.settle(one, n/4, token, busy)
		t.settle(one, n/4, token, busy)
		t.settle(one, 0, token, busy)
		t.holds(n/4, token)
		t.admit(1, busy)
		t.refuse(1, busy)
		t.settle(two, n/2, token, busy)
		t.settle(two, 0, token, busy)
		t.refuse(1, token)
	}
}

func settleFreesSlot(t *limiterTrial) {
	token, busy := perMinute(1, 10), inFlight(1, 1)
	for _, wait := range []time.Duration{0, time.Second, time.Hour} {
		for _, actual := range []int64{0, 2} {
			_, r := t.admit(2, token, busy)
			t.pass(wait)
			t.refuse(1, busy)
			t.settle(r, actual, token, busy)
		}
	}
	t.admit(1, busy)
	t.refuse(1, busy)
}

func settleAfterWindow(t *limiterTrial) {
	for _, n := range []int64{100, 100_000} {
		t.restart()
		token, group := perMinute(1, n), threeLimits(n)
		_, r := t.admit(n, token, group)
		t.pass(time.Minute)
		t.admit(n, token)
		t.settle(r, 0, token, group)
		t.refuse(1, token)
		t.admit(n, group) // whose hour and day got everything back
		t.pass(time.Minute)
		t.holds(n, group)
	}
}
