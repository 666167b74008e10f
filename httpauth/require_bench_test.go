//go:build !race

package httpauth_test

import (
	"bytes"
	"io"
	"net"
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

// BenchmarkRequireOverHTTP compares the same over a kept-alive connection, whose client does as little as it can.
func BenchmarkRequireOverHTTP(b *testing.B) {
	s, secret := service(b, latchward.NewToken{
		RateLimit: latchward.MaxRateLimit, AllowedEndpoints: []string{"/products*"},
	})
	bare := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	required := httpauth.Require(s, httpauth.Options{Base: "/api", Recorder: discard{}})(bare)
	request := []byte("GET /api/products HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench/1.0\r\nAccept: */*\r\n" +
		"Authorization: Bearer " + secret.Expose() + "\r\n\r\n")
	for name, h := range map[string]http.Handler{"bare": bare, "required": required} {
		b.Run(name, func(b *testing.B) {
			server := httptest.NewServer(h)
			defer server.Close()
			conn, err := net.Dial("tcp", server.Listener.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			b.ReportAllocs()
			for buffer := make([]byte, 4<<10); b.Loop(); {
				if _, err := conn.Write(request); err != nil {
					b.Fatal(err)
				}
				n, err := conn.Read(buffer) // one answer fits into one segment
				if err != nil || !bytes.HasPrefix(buffer[:n], []byte("HTTP/1.1 200")) {
					b.Fatalf("answer %q: %v", buffer[:n], err)
				}
			}
		})
	}
}
