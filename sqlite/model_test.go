//go:build !race

package sqlite

import (
	"testing"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/latchtest"
	"github.com/latchward/latchward/memory"
)

// TestModel compares random sequences of operations with the store in memory.
func TestModel(t *testing.T) {
	latchtest.RunModel(t, func() latchward.Store { return memory.New() }, newStores(t))
}
