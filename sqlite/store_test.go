package sqlite

import (
	"path/filepath"
	"testing"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/latchtest"
)

func TestStore(t *testing.T) {
	latchtest.RunStore(t, func(t *testing.T) latchward.Store { return open(t, newPath(t), Options{}) })
}

func newPath(t testing.TB) string { return filepath.Join(t.TempDir(), "latchward.db") }

// open opens a store that is closed with the test.
func open(t testing.TB, path string, o Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
