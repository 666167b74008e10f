//go:build !race

package latchward_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/latchward/latchward"
)

// The hot path of a request, B-08 and "hot Verify allocates nothing".
func TestEndpointAllocations(t *testing.T) {
	list := make([]string, latchward.MaxPatterns)
	for i := range list {
		list[i] = fmt.Sprintf("GET,POST /stores/*/shelves%d/*/**", i)
	}
	patterns := parse(t, list...)
	method := strings.Clone("DELETE")
	budgets := map[string]func(){
		"canonical path":         func() { _, _ = latchward.CanonicalPath("/api/products/1/") },
		"canonical with escapes": func() { _, _ = latchward.CanonicalPath("/api/caf%C3%A9/a%20b/100%25/%F0%9F%94%91") },
		"judged path":            func() { _, _ = latchward.JudgedPath("/api/products/1", "/api") },
		"judged path, no base":   func() { _, _ = latchward.JudgedPath("/products/1", "") },
		"method":                 func() { _, _ = latchward.CanonicalMethod(method) },
		"match, last of 200":     func() { patterns.Match("GET", "/stores/1/shelves199/2/3/4") },
		"match, none of 200":     func() { patterns.Match("GET", "/stores/1/shelves200/2/3/4") },
		"match, wrong method":    func() { patterns.Match("PUT", "/stores/1/shelves0/2/3/4") },
		"match, unrestricted":    func() { latchward.Patterns(nil).Match("", "") },
	}
	for name, call := range budgets {
		if got := testing.AllocsPerRun(100, call); got != 0 {
			t.Errorf("%s: %v allocations, want 0", name, got)
		}
	}
}

// bar 22, 99: what a hostile path or method costs is bounded by the longest path, whatever its length.
func TestEndpointAllocationsAreBounded(t *testing.T) {
	huge := "/" + strings.Repeat("é", 16<<20)
	longest := "/" + strings.Repeat("é", latchward.MaxPathBytes/6)
	for _, test := range []struct {
		name          string
		allocs, bytes uint64
		call          func()
	}{
		{"respelled path", 2, 128, func() { _, _ = latchward.CanonicalPath("/%70roducts/caf%c3%a9") }},
		{"longest path", 6, 40 << 10, func() { _, _ = latchward.CanonicalPath(longest) }},
		{"refused path", 6, 512, func() { _, _ = latchward.CanonicalPath("/a/../b") }},
		{"huge path", 6, 512, func() { _, _ = latchward.CanonicalPath(huge) }},
		{"huge method", 6, 512, func() { _, _ = latchward.CanonicalMethod(huge) }},
		{"huge pattern", 6, 512, func() { _, _ = latchward.ParsePattern(huge) }},
	} {
		allocs, bytes := measure(test.call)
		if allocs > test.allocs || bytes > test.bytes {
			t.Errorf("%s: %d allocations of %d bytes, want at most %d of %d",
				test.name, allocs, bytes, test.allocs, test.bytes)
		}
	}
}

// measure returns what one call allocates, on the average of many.
func measure(call func()) (allocs, bytes uint64) {
	const calls = 100
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range calls {
		call()
	}
	runtime.ReadMemStats(&after)
	return (after.Mallocs - before.Mallocs) / calls, (after.TotalAlloc - before.TotalAlloc) / calls
}
