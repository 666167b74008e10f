package gateway

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/internal/strictconn"
	"github.com/latchward/latchward/latchtest"
	"github.com/latchward/latchward/memory"
)

// BenchmarkGateway compares one request through the gateway, with everything on, with one through a bare ReverseProxy on
// the same transport. Client and upstream do as little as they can. "ratio" runs both by turns and reports how much of
// the twin's throughput the gateway has: the only figure that means something on a machine that does other things.
func BenchmarkGateway(b *testing.B) {
	upstream := &url.URL{Scheme: "http", Host: benchUpstream(b), Path: "/v1"}
	service, token := benchService(b)
	g, err := New(Options{
		Verifier: service, Recorder: &ring{}, Base: "/api", Upstreams: []Upstream{{Prefix: "/", URL: upstream}},
	})
	if err != nil {
		b.Fatal(err)
	}
	server := &http.Server{Handler: g}
	b.Cleanup(g.transport.CloseIdleConnections)
	gateway := dialBench(b, server, func(l net.Listener) error { return strictconn.Serve(server, l) }, token)
	transport := newTransport(&Options{})
	b.Cleanup(transport.CloseIdleConnections)
	bare := &http.Server{Handler: newTwin(upstream, transport)}
	twin := dialBench(b, bare, bare.Serve, token)
	for name, client := range map[string]*benchClient{"gateway": gateway, "twin": twin} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				client.exchange(b)
			}
		})
	}
	b.Run("ratio", func(b *testing.B) {
		const turn = 100 // requests
		var spent [2]time.Duration
		for range b.N {
			for i, client := range []*benchClient{gateway, twin} {
				start := time.Now()
				for range turn {
					client.exchange(b)
				}
				spent[i] += time.Since(start)
			}
		}
		b.ReportMetric(spent[1].Seconds()/spent[0].Seconds(), "ratio")
		b.ReportMetric(spent[0].Seconds()*1e6/float64(turn*b.N), "gateway-us/req")
		b.ReportMetric(spent[1].Seconds()*1e6/float64(turn*b.N), "twin-us/req")
	})
}

// newTwin is what one writes who only wants a fast reverse proxy.
func newTwin(upstream *url.URL, transport http.RoundTripper) http.Handler {
	return &httputil.ReverseProxy{
		Transport: transport, BufferPool: &benchBuffers{}, ErrorLog: log.New(io.Discard, "", 0),
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(upstream)
			r.SetXForwarded()
		},
	}
}

// ring takes usage as a journal does. What it costs to store it is measured where it is stored.
type ring struct {
	mu     sync.Mutex
	events [4096]latchward.UsageEvent
	next   int
}

func (r *ring) Record(e *latchward.UsageEvent) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events[r.next%len(r.events)] = *e
	r.next++
	return true
}

type benchBuffers struct{ buffers }

func (b *benchBuffers) Get() []byte  { return b.get()[:] }
func (b *benchBuffers) Put(p []byte) { b.put((*[bufferSize]byte)(p)) }

func benchService(b *testing.B) (*latchward.Service, string) {
	b.Helper()
	keys, err := latchward.GenerateKeyRing(latchtest.Seeded(1), time.Now())
	if err != nil {
		b.Fatal(err)
	}
	service, err := latchward.New(b.Context(), latchward.Options{Store: memory.New(), Keys: keys})
	if err != nil {
		b.Fatal(err)
	}
	local := latchtest.Local(b.Context())
	if _, err := service.CreateUser(local, latchward.NewUser{Name: "ada"}); err != nil {
		b.Fatal(err)
	}
	issued, err := service.CreateToken(local, latchward.NewToken{
		Owner: &latchward.Owner{Type: latchward.OwnerUser, ID: 1}, RateLimit: latchward.MaxRateLimit,
		AllowedEndpoints: []string{"/stores/*/brands", "GET /products*"},
	})
	if err != nil {
		b.Fatal(err)
	}
	return service, issued.Secret.Expose()
}

// benchUpstream answers every request with the same bytes.
func benchUpstream(b *testing.B) (address string) {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close() })
	answer := []byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\nDate: Sun, 22 Nov 2026 10:00:00 GMT\r\n\r\n{\"data\":[]}")
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				buffer := make([]byte, 4096)
				for n := 0; ; {
					m, err := c.Read(buffer[n:])
					if err != nil {
						return
					}
					if n += m; bytes.HasSuffix(buffer[:n], []byte("\r\n\r\n")) {
						n = 0
						if _, err := c.Write(answer); err != nil {
							return
						}
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

// benchClient sends the same request over one connection again and again.
type benchClient struct {
	conn    net.Conn
	reader  *bufio.Reader
	request []byte
}

func dialBench(b *testing.B, server *http.Server, serve func(net.Listener) error, token string) *benchClient {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- serve(l) }()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = c.Close()
		_ = server.Close()
		<-done
	})
	return &benchClient{conn: c, reader: bufio.NewReader(c), request: fmt.Appendf(nil, "GET /api/products?store_id=1 HTTP/1.1\r\n"+
		"Host: api.example.com\r\nAuthorization: Bearer %s\r\nUser-Agent: bench/1.0\r\nAccept: application/json\r\n"+
		"Accept-Encoding: gzip\r\nX-Request-Id: 0123456789\r\n\r\n", token)}
}

func (c *benchClient) exchange(b *testing.B) {
	if _, err := c.conn.Write(c.request); err != nil {
		b.Fatal(err)
	}
	for first := true; ; first = false {
		line, err := c.reader.ReadSlice('\n')
		if err != nil || first && !bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")) {
			b.Fatalf("%q, %v", line, err)
		}
		if len(line) == len("\r\n") {
			break
		}
	}
	if _, err := io.CopyN(io.Discard, c.reader, int64(len(`{"data":[]}`))); err != nil {
		b.Fatal(err)
	}
}
