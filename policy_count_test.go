package latchward_test

import (
	"context"

	"github.com/latchward/latchward"
)

// countedPolicies counts how often policies are read.
type countedPolicies struct {
	latchward.Store
	reads int
}

func (c *countedPolicies) Policies(ctx context.Context) ([]*latchward.LifecyclePolicy, error) {
	c.reads++
	return c.Store.Policies(ctx)
}
