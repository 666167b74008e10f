package sqlite

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/latchtest"
)

func TestStore(t *testing.T) {
	newStore := newStores(t)
	latchtest.RunStore(t, func(t *testing.T) latchward.Store { return newStore(t) })
}

// bar 49
func TestStoreIsLinearizable(t *testing.T) {
	newStore := newStores(t)
	latchtest.RunLinearizable(t, func(t *testing.T) latchward.Store { return newStore(t) })
}

// TestVerify runs the table of verdicts over this store.
func TestVerify(t *testing.T) {
	newStore := newStores(t)
	latchtest.RunVerifyTable(t, "../testdata/verify",
		func(t *testing.T) latchward.Store { return newStore(t) }, latchtest.ServiceSurface)
}

// newStores returns what makes empty stores.
func newStores(t *testing.T) func(t testing.TB) latchward.Store { return newStoresWith(t, Options{}) }

func newStoresWith(t *testing.T, o Options) func(t testing.TB) latchward.Store {
	empty := emptyDatabase(t)
	return func(t testing.TB) latchward.Store {
		path := newPath(t)
		if err := os.WriteFile(path, empty, privateFile); err != nil {
			t.Fatal(err)
		}
		return open(t, path, o)
	}
}

// emptyDatabase returns the file of a database that nothing was written to: copying it is faster than migrating a
// hundred times.
func emptyDatabase(t testing.TB) []byte {
	t.Helper()
	path := newPath(t)
	s, err := Open(t.Context(), path, Options{})
	if err == nil {
		err = s.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return file
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
