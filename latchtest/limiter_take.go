package latchtest

import (
	"time"

	"github.com/latchward/latchward"
)

// What a call books, and how it is described.
func limiterTakePromises() []limiterPromise {
	return []limiterPromise{
		{"Take/AllOrNothing", takeAllOrNothing},
		{"Take/Described", takeDescribed},
		{"Take/InFlightCap", takeInFlightCap},
		{"Take/CostOutOfRange", takeCostOutOfRange},
		{"Take/DuplicateBudget", takeDuplicateBudget},
	}
}

// threeLimits returns the budget of a group with limits of n a minute, 2n an hour and 3n a day.
func threeLimits(n int64) latchward.Budget {
	return latchward.Budget{Key: latchward.BudgetKey{Kind: latchward.BudgetGroup, ID: 1}, Limits: []latchward.Limit{
		{Name: "minute", N: n, Window: time.Minute},
		{Name: "hour", N: 2 * n, Window: time.Hour},
		{Name: "day", N: 3 * n, Window: 24 * time.Hour},
	}}
}

func takeAllOrNothing(t *limiterTrial) {
	token, small, busy := perMinute(1, 10), perMinute(2, 3), inFlight(1, 1)
	for _, budgets := range [][]latchward.Budget{{token, small}, {small, token}} {
		t.restart()
		t.admit(2, budgets...)
		t.refuse(2, budgets...) // by small
		t.holds(1, small)
		t.holds(8, token)
	}
	t.restart()
	t.admit(1, token, busy)
	t.refuse(1, token, busy) // by the cap
	t.holds(9, token)

	t.restart()
	group := threeLimits(5)
	t.admit(5, group)
	t.pass(time.Minute)
	t.admit(4, group)
	t.refuse(2, token, group) // by the hour, but not by the minute
	t.holds(1, group)
	t.holds(10, token)
}

func takeDescribed(t *limiterTrial) {
	token, group := perMinute(1, 10), threeLimits(5)
	reset := t.now.Add(time.Minute)
	for i := range int64(5) {
		s, _ := t.admit(1, token, group)
		t.state("an admitted call", s, latchward.LimitState{
			Admitted: true, N: 10, Used: i + 1, Current: i + 1, Remaining: 9 - i, Reset: reset,
		})
		t.pass(time.Second)
	}
	s := t.refuse(3, token, group)
	t.state("a refused call", s, latchward.LimitState{
		Budget: 1, N: 5, Used: 5, Current: 8, Reset: reset.Add(2 * time.Second),
	})
	t.pass(time.Minute)
	t.admit(4, group)
	s = t.refuse(2, token, group)
	t.state("a call refused by two limits", s, latchward.LimitState{
		Budget: 1, Limit: 1, N: 10, Used: 9, Current: 11, Remaining: 1, Reset: reset.Add(59 * time.Minute),
	})

	t.restart()
	s, _ = t.admit(1, inFlight(1, 5), perMinute(1, 10), perMinute(2, 5))
	t.state("the scarcest limit", s, latchward.LimitState{
		Admitted: true, Budget: 2, N: 5, Used: 1, Current: 1, Remaining: 4, Reset: t.now.Add(time.Minute),
	})
	s, _ = t.admit(1, inFlight(1, 5))
	t.state("no limit", s, latchward.LimitState{Admitted: true, Budget: -1, Limit: -1, Reset: t.now})
}

// state checks every number of a state.
func (t *limiterTrial) state(what string, got, want latchward.LimitState) {
	t.Helper()
	if got != want {
		t.Errorf("%s is described by %+v, want %+v", what, got, want)
	}
}

func takeInFlightCap(t *limiterTrial) {
	token, busy := perMinute(1, 100), inFlight(1, 2)
	t.admit(1, token, busy)
	_, r := t.admit(1, busy)
	for range 3 {
		s := t.refuse(1, token, busy)
		t.state("a call too many", s, latchward.LimitState{
			InFlight: true, Budget: 1, Limit: -1, N: 2, Used: 2, Current: 3, Reset: t.now,
		})
		t.pass(time.Minute) // however long the others take
	}
	t.settle(r, 1, busy)
	t.admit(1, token, busy)
	t.refuse(1, busy)
}

func takeCostOutOfRange(t *limiterTrial) {
	budget := perMinute(1, 100)
	for _, cost := range []int64{0, -1, 101, 1<<63 - 1, -1 << 63} {
		_, r, err := t.limiter.Take(t.Context(), t.now, cost, []latchward.Budget{perMinute(2, 1000), budget})
		t.invalid("Take", err, "cost")
		if r != (latchward.Receipt{}) {
			t.Errorf("a cost of %d returned the receipt %+v", cost, r)
		}
	}
	t.holds(100, budget)
}

func takeDuplicateBudget(t *limiterTrial) {
	budgets := []latchward.Budget{perMinute(1, 10), perMinute(2, 10), perMinute(1, 10)}
	_, _, err := t.limiter.Take(t.Context(), t.now, 1, budgets)
	t.invalid("Take", err, "budgets")
	t.holds(10, budgets[0])
	t.holds(10, budgets[1])
}
