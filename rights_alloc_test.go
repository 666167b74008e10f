//go:build !race

package latchward_test

import (
	"fmt"
	"testing"

	"github.com/latchward/latchward"
)

// B-09: with 50 permissions within a bound, neither a permission nor a query of 10 operands costs an allocation.
func TestRightsAllocateNothing(t *testing.T) {
	grants := []string{"documents.*", "*.read", "tokens.verify"}
	for i := len(grants); i < 50; i++ {
		grants = append(grants, fmt.Sprintf("resource%d.write", i))
	}
	r := latchward.NewRights(latchward.RightsFacts{Permissions: grants, Reserved: true, Bound: rightsOf("*", "tokens.*")})
	q := parseQuery(t, "(a.b OR resource7.write) AND documents.pages.erase AND orders.read AND tokens.verify AND "+
		"NOT (tokens.create OR users.read OR resource7.read AND resource8.erase) AND (a.b OR resource49.write)")
	if !r.Allows(q) || r.Allows(latchward.AllOf("orders.read", "tokens.create")) {
		t.Fatal("what is measured must be right")
	}
	refused := latchward.AllOf("orders.read", "tokens.create")
	var nobody *latchward.Rights
	for name, call := range map[string]func(){
		"Has exact":     func() { r.Has("resource49.write") },
		"Has wildcards": func() { r.Has("documents.pages.erase"); r.Has("orders.read") },
		"Has not":       func() { r.Has("users.create") },
		"Covers":        func() { r.Covers("documents.*"); r.Covers("*.read"); r.Covers("*") },
		"Allows":        func() { r.Allows(q) },
		"Allows not":    func() { r.Allows(refused) },
		"Allows nil":    func() { nobody.Allows(q) },
	} {
		if allocs := testing.AllocsPerRun(100, call); allocs != 0 {
			t.Errorf("%s: %v allocations", name, allocs)
		}
	}
}
