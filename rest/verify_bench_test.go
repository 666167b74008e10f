package rest_test

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/rest"
)

// BenchmarkVerifyHTTP measures POST /api/latchward/verify over loopback connections that stay open, beside a bare
// handler that reads the same body and answers as much: their ratio is what docs/benchmarks.md shows. What storing usage
// costs is measured where it is stored, and by scripts/load.
func BenchmarkVerifyHTTP(b *testing.B) {
	w := newWorld(b, func(s *latchward.Options, o *rest.Options) {
		s.Now, o.Now, s.Journal = time.Now, time.Now, forgetful{}
	})
	caller := w.verifier()
	issued := w.issue(latchward.NewToken{RateLimit: latchward.MaxRateLimit, AllowedEndpoints: []string{"/products*"}})
	body := []byte(`{"token":"` + issued.Secret.Expose() + `","method":"GET","path":"/products/1","address":"192.0.2.1"}`)
	sample := w.do(http.MethodPost, "/api/latchward/verify", caller.Secret.Expose(), string(body)).Body.Bytes()
	bare := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(sample)
	})
	b.Run("bare", func(b *testing.B) { load(b, bare, body, caller.Secret) })
	b.Run("verify", func(b *testing.B) { load(b, w.handler, body, caller.Secret) })
}

// load sends b.N requests over a few connections, written and read by hand so that the server is most of the cost.
func load(b *testing.B, handler http.Handler, body []byte, bearer latchward.Secret) {
	server := httptest.NewServer(handler)
	defer server.Close()
	request := []byte("POST /api/latchward/verify HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " +
		bearer.Expose() +
		"\r\nContent-Type: application/json\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + string(body))
	const connections = 8
	var group sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for i := range connections {
		share := b.N / connections
		if i == 0 {
			share += b.N % connections
		}
		group.Go(func() { talk(b, server.Listener.Addr().String(), request, share) })
	}
	group.Wait()
}

func talk(b *testing.B, address string, request []byte, times int) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		b.Error(err)
		return
	}
	defer conn.Close()
	buffer := make([]byte, 8<<10)
	for range times {
		if _, err := conn.Write(request); err != nil {
			b.Error(err)
			return
		}
		n, err := conn.Read(buffer) // one answer fits into one segment
		if err != nil || !bytes.HasPrefix(buffer[:n], []byte("HTTP/1.1 200")) {
			b.Errorf("answer %q: %v", buffer[:n], err)
			return
		}
	}
}
