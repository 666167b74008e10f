//go:build !race

package httpauth_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
)

// BenchmarkRequire compares a handler with itself behind Require, called directly.
func BenchmarkRequire(b *testing.B) {
	handler, bare, r := hot(b)
	w := &reused{header: http.Header{}}
	for name, h := range map[string]http.Handler{"bare": bare, "required": handler} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(w, r)
			}
		})
	}
	refused := wire(http.MethodGet, "/api/products")
	refused.Header.Set("Authorization", "Bearer lw_notatoken")
	b.Run("refused", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			handler.ServeHTTP(&reused{header: http.Header{}}, refused)
		}
	})
}

// BenchmarkRequireOverHTTP compares the same over a kept-alive connection.
func BenchmarkRequireOverHTTP(b *testing.B) {
	s, secret := service(b, latchward.NewToken{
		RateLimit: latchward.MaxRateLimit, AllowedEndpoints: []string{"/products*"},
	})
	bare := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	required := httpauth.Require(s, httpauth.Options{Base: "/api", Recorder: discard{}})(bare)
	for name, h := range map[string]http.Handler{"bare": bare, "required": required} {
		b.Run(name, func(b *testing.B) {
			server := httptest.NewServer(h)
			defer server.Close()
			r, err := http.NewRequest(http.MethodGet, server.URL+"/api/products", nil)
			if err != nil {
				b.Fatal(err)
			}
			r.Header.Set("Authorization", "Bearer "+secret.Expose())
			b.ReportAllocs()
			for b.Loop() {
				response, err := server.Client().Do(r)
				if err != nil || response.StatusCode != http.StatusOK {
					b.Fatalf("%v, %v", response, err)
				}
				_, _ = io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
			}
		})
	}
}
