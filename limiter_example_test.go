package latchward_test

import (
	"context"
	"fmt"
	"time"

	"github.com/latchward/latchward"
)

// A call whose cost is known only afterwards reserves the most it may use, and settles for what it used.
func ExampleLocalLimiter() {
	limiter, ctx := latchward.NewLocalLimiter(latchward.LocalLimiterOptions{}), context.Background()
	budgets := []latchward.Budget{{
		Key:    latchward.BudgetKey{Kind: latchward.BudgetToken, ID: 42},
		Limits: []latchward.Limit{{Name: "per minute", N: 100, Window: time.Minute}},
	}}
	now := latchward.Instant(0) // of a monotonic clock

	state, receipt, err := limiter.Take(ctx, now, 80, budgets)
	fmt.Println(state.Admitted, state.Remaining, err)

	state, _, err = limiter.Take(ctx, now, 30, budgets)
	fmt.Println(state.Admitted, state.Remaining, state.RetryAfter(now), err)

	fmt.Println(limiter.Settle(ctx, now.Add(time.Second), receipt, budgets, 25))

	state, _, err = limiter.Take(ctx, now.Add(time.Second), 30, budgets)
	fmt.Println(state.Admitted, state.Remaining, err)

	// Output:
	// true 20 <nil>
	// false 20 60 <nil>
	// <nil>
	// true 45 <nil>
}
