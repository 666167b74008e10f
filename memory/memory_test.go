package memory_test

import (
	"testing"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/latchtest"
	"github.com/latchward/latchward/memory"
)

func newStore(*testing.T) latchward.Store { return memory.New() }

func TestStore(t *testing.T) { latchtest.RunStore(t, newStore) }
