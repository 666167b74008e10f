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

// TestModelOfMergedPacks is TestModel over a store that merges packs as soon as there are two.
func TestModelOfMergedPacks(t *testing.T) {
	newStore := newStoresWith(t, Options{mergeAt: 2})
	latchtest.RunModel(t, func() latchward.Store { return memory.New() }, newStore)
}

// TestModelOfRows is TestModel over a store that keeps events as rows.
func TestModelOfRows(t *testing.T) {
	newStore := newStoresWith(t, Options{UsageRows: true})
	latchtest.RunModel(t, func() latchward.Store { return memory.New() }, newStore)
}

// TestStoreOfRows runs the contracts on a store that keeps events as rows (S2-36).
func TestStoreOfRows(t *testing.T) {
	newStore := newStoresWith(t, Options{UsageRows: true})
	latchtest.RunStore(t, func(t *testing.T) latchward.Store { return newStore(t) })
}
