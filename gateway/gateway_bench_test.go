//go:build unix

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
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/internal/strictconn"
	"github.com/latchward/latchward/latchtest"
	"github.com/latchward/latchward/memory"
)

// BenchmarkGateway compares one request through the gateway, with everything on, with one through a bare ReverseProxy on
// a transport with the same settings, over 64 connections at once: without a body, with one that takes a lane, and with
// one that has to go through the transport. Client and upstream do as little as they can. "ratio" runs both by turns and
// reports how much of the twin's throughput the gateway has, and how much processor time the twin needs of what the
// gateway needs: figures that mean something on a machine that does other things, too.
func BenchmarkGateway(b *testing.B) {
	upstream := &url.URL{Scheme: "http", Host: benchUpstream(b), Path: "/v1"}
	service, token := benchService(b)
	g, err := New(Options{
		Verifier: service, Recorder: &ring{}, Base: "/api", Upstreams: []Upstream{{Prefix: "/", URL: upstream}},
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(g.closeIdle)
	server := &http.Server{Handler: g}
	address := serveBench(b, server, func(l net.Listener) error { return strictconn.Serve(server, l) })
	transport := newTransport(&Options{})
	b.Cleanup(transport.CloseIdleConnections)
	bare := &http.Server{Handler: newTwin(upstream, transport)}
	bareAddress := serveBench(b, bare, bare.Serve)
	for _, kind := range []struct{ name, head, body string }{
		{"GET", "GET /api/products?store_id=1 HTTP/1.1\r\n", ""},
		{"POST", "POST /api/products?store_id=1 HTTP/1.1\r\n", benchBody},
		{"upload", "POST /api/products?store_id=1 HTTP/1.1\r\n", strings.Repeat(benchBody, 80)},
	} {
		request := benchRequest(kind.head, token, kind.body)
		gateway, twin := dialBench(b, address, request), dialBench(b, bareAddress, request)
		b.Run(kind.name+"/gateway", gateway.run)
		b.Run(kind.name+"/twin", twin.run)
		b.Run(kind.name+"/ratio", func(b *testing.B) { compare(b, gateway, twin) })
	}
}

func compare(b *testing.B, gateway, twin *benchClients) {
	const turn = 2000 // requests
	var gatewaySpent, twinSpent, gatewayWorked, twinWorked time.Duration
	for range b.N {
		spent, worked := gateway.exchange(b, turn)
		gatewaySpent, gatewayWorked = gatewaySpent+spent, gatewayWorked+worked
		spent, worked = twin.exchange(b, turn)
		twinSpent, twinWorked = twinSpent+spent, twinWorked+worked
	}
	b.ReportMetric(twinSpent.Seconds()/gatewaySpent.Seconds(), "ratio")
	b.ReportMetric(twinWorked.Seconds()/gatewayWorked.Seconds(), "cpu-ratio")
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
		AllowedEndpoints: []string{"/stores/*/brands", "GET /products*", "POST /products"},
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
			go answerAll(c, answer)
		}
	}()
	return l.Addr().String()
}

func answerAll(c net.Conn, answer []byte) {
	defer c.Close()
	for reader := bufio.NewReader(c); ; {
		body, err := readBench(reader)
		if err != nil {
			return
		}
		if _, err := reader.Discard(body); err != nil {
			return
		}
		if _, err := c.Write(answer); err != nil {
			return
		}
	}
}

// readBench reads a head and returns the length of the body.
func readBench(r *bufio.Reader) (body int, err error) {
	for {
		line, err := r.ReadSlice('\n')
		if err != nil || len(line) == len("\r\n") {
			return body, err
		}
		if bytes.HasPrefix(line, []byte("Content-Length:")) {
			if _, err := fmt.Sscanf(string(line), "Content-Length: %d", &body); err != nil {
				return 0, err
			}
		}
	}
}

// benchClients send the same request over connections of their own again and again.
type benchClients struct {
	request []byte
	conns   []*bufio.ReadWriter
}

const benchConns = 64

// benchBody is as long as a small document.
var benchBody = strings.Repeat(`{"name":"value"}`, 32)

func benchRequest(line, token, body string) []byte {
	request := fmt.Appendf(nil, "%sHost: api.example.com\r\nAuthorization: Bearer %s\r\nUser-Agent: bench/1.0\r\n"+
		"Accept: application/json\r\nAccept-Encoding: gzip\r\nX-Request-Id: 0123456789\r\n", line, token)
	if body != "" {
		request = fmt.Appendf(request, "Content-Type: application/json\r\nContent-Length: %d\r\n", len(body))
	}
	return append(append(request, "\r\n"...), body...)
}

func serveBench(b *testing.B, server *http.Server, serve func(net.Listener) error) (address string) {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- serve(l) }()
	b.Cleanup(func() {
		_ = server.Close()
		<-done
	})
	return l.Addr().String()
}

func dialBench(b *testing.B, address string, request []byte) *benchClients {
	b.Helper()
	clients := &benchClients{request: request}
	for range benchConns {
		c, err := net.Dial("tcp", address)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = c.Close() })
		clients.conns = append(clients.conns, bufio.NewReadWriter(bufio.NewReader(c), bufio.NewWriter(c)))
	}
	return clients
}

func (c *benchClients) run(b *testing.B) {
	b.ReportAllocs()
	c.exchange(b, b.N)
}

// exchange sends count requests, shared out among the connections, and returns the time and the processor time of this
// process that it took.
func (c *benchClients) exchange(b *testing.B, count int) (spent, worked time.Duration) {
	start, before := time.Now(), cpu()
	var left atomic.Int64
	left.Store(int64(count))
	var clients sync.WaitGroup
	for _, conn := range c.conns {
		clients.Go(func() {
			for left.Add(-1) >= 0 {
				if err := c.once(conn); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	clients.Wait()
	return time.Since(start), cpu() - before
}

func (c *benchClients) once(conn *bufio.ReadWriter) error {
	if _, err := conn.Write(c.request); err != nil {
		return err
	}
	if err := conn.Flush(); err != nil {
		return err
	}
	for first := true; ; first = false {
		line, err := conn.ReadSlice('\n')
		if err != nil || first && !bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")) {
			return fmt.Errorf("%q, %w", line, err)
		}
		if len(line) == len("\r\n") {
			break
		}
	}
	_, err := io.CopyN(io.Discard, conn, int64(len(`{"data":[]}`)))
	return err
}

// cpu returns the processor time that this process has used.
func cpu() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
