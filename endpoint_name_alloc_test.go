//go:build !race

package latchward

import "testing"

// A name that is known costs no allocation, ids in it or not.
func TestKnownNamesAllocateNothing(t *testing.T) {
	n := newNamesOf("/products", "/products/{id}/prices")
	for _, path := range []string{"/products", "/products/123/prices"} {
		e := requestOf(1, path, 200)
		if allocations := testing.AllocsPerRun(100, func() { n.name(e) }); allocations != 0 {
			t.Errorf("%s: %v allocations", path, allocations)
		}
	}
}
