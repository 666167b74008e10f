package latchward_test

import (
	"strings"
	"testing"

	"github.com/latchward/latchward"
)

func BenchmarkCanonicalPath(b *testing.B) {
	for name, raw := range map[string]string{
		"canonical": "/api/stores/123/brands",
		"escapes":   "/api/stores/caf%C3%A9%20bar/brands",
		"respelled": "/api/stores/%31%32%33/caf%c3%a9",
		"refused":   "/api/stores/%2e%2e/admin",
		"longest":   strings.Repeat("/abcdefg", latchward.MaxPathBytes/8),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = latchward.CanonicalPath(raw)
			}
		})
	}
}

func BenchmarkPatternsMatch(b *testing.B) {
	deep := strings.Repeat("/a", latchward.MaxPathBytes/2)
	for name, test := range map[string]struct{ pattern, path string }{
		"prefix":  {"GET /products*", "/products/123"},
		"segment": {"/stores/*/brands", "/stores/123/brands"},
		"miss":    {"/stores/*/brands", "/products/123"},
		"worst":   {strings.Repeat("/*", 511) + "/b", deep},
	} {
		b.Run(name, func(b *testing.B) {
			patterns, err := latchward.ParsePatterns("allowed_endpoints", []string{test.pattern})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				patterns.Match("GET", test.path)
			}
		})
	}
}
