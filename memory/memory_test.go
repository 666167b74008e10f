package memory_test

import (
	"testing"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/latchtest"
	"github.com/latchward/latchward/memory"
)

func newStore(*testing.T) latchward.Store { return memory.New() }

func TestStore(t *testing.T) { latchtest.RunStore(t, newStore) }

// TestModel compares two stores in memory, which shows that the comparison itself holds.
func TestModel(t *testing.T) {
	reference := func() latchward.Store { return memory.New() }
	latchtest.RunModel(t, reference, func(testing.TB) latchward.Store { return memory.New() })
}
