package gateway_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/latchward/latchward"
)

// A request with a short body shares its connection with those without one; a body that has to stream does not.
func TestBriefBodiesTakeLanes(t *testing.T) {
	address, connections := counted(t, func(*http.Request) string { return "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" })
	w := start(t, nil, to("http://"+address))
	for i, test := range []struct {
		lines, body string
		connections int32
	}{
		{"Content-Length: 0", "", 1},
		{"Content-Length: 5", "hello", 1},
		{"Content-Length: 32768", strings.Repeat("x", 32<<10), 1},
		{"Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n", 2},
		{"Content-Length: 32769", strings.Repeat("x", 32<<10+1), 2},
		{"Content-Length: 5", "hello", 2},
	} {
		a := w.only(w.request("POST", "/api/a", test.lines) + test.body)
		if w.event(); a.status != 200 || connections.Load() != test.connections {
			t.Errorf("%d. %s: %d, %d connections", i, test.lines, a.status, connections.Load())
		}
	}
}

// S1-17: bodies arrive whole, whatever their length, and are counted, over HTTP/1 and HTTP/2
func TestBodiesArriveWhole(t *testing.T) {
	w := start(t, nil)
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	second := &http.Transport{Protocols: protocols, DisableCompression: true}
	t.Cleanup(second.CloseIdleConnections)
	for _, size := range []int{1, 3000, 4095, 4096, 4097, 32<<10 - 1, 32 << 10, 32<<10 + 1, 100_000} {
		want := make([]byte, size)
		_, _ = (&pattern{}).Read(want)
		for _, transport := range []http.RoundTripper{nil, second} {
			r, err := http.NewRequestWithContext(t.Context(), "PUT", "http://"+w.address+"/api/a", strings.NewReader(string(want)))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", "Bearer "+w.token)
			status := 0
			if transport == nil {
				status, _ = do(t, r)
			} else if response, err := transport.RoundTrip(r); err == nil {
				status = response.StatusCode
				_ = response.Body.Close()
			}
			e := w.event()
			if got := w.upstream.one(t); status != 200 || got.body != string(want) || got.bodyErr != nil || e.RequestBytes != int64(size) {
				t.Errorf("%d bytes: %d, %d bytes arrive (%v), recorded as %+v", size, status, len(got.body), got.bodyErr, e)
			}
		}
	}
}

// A short body that breaks off is sent to no upstream.
func TestBriefBodyBreaksOff(t *testing.T) {
	w := start(t, nil)
	c, _ := w.dial()
	send(t, c, w.request("POST", "/api/a", "Content-Length: 5")+"hel")
	_ = c.(interface{ CloseWrite() error }).CloseWrite()
	if e := w.event(); e.Status != 499 || e.RequestBytes != 3 {
		t.Errorf("it is recorded as %+v", e)
	}
	if n := len(w.upstream.take()); n != 0 {
		t.Errorf("the upstream saw %d requests", n)
	}
}

// bar 53: who dawdles with a short body is refused once the token is revoked, and nothing reaches the upstream
func TestBriefBodyEndsWithItsToken(t *testing.T) {
	for _, version := range []int{1, 2} {
		w := start(t, nil)
		id, secret := w.create(latchward.NewToken{})
		answered := make(chan string, 1)
		dawdle(t, w, secret, version, answered)
		if _, err := w.service.RevokeToken(local(), id, latchward.Revocation{}); err != nil {
			t.Fatal(err)
		}
		if got := await(t, answered, "the answer"); got != "401" {
			t.Errorf("HTTP/%d: %s", version, got)
		}
		if e := w.event(); e.Status != 401 {
			t.Errorf("HTTP/%d: recorded as %+v", version, e)
		}
		if n := len(w.upstream.take()); n != 0 {
			t.Errorf("HTTP/%d: the upstream saw %d requests", version, n)
		}
	}
}

// dawdle sends a request but for the end of its body. It returns once the gateway has begun to read that.
func dawdle(t *testing.T, w *world, secret string, version int, answered chan<- string) {
	t.Helper()
	begun := make(chan struct{})
	w.address = w.listen(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		r.Body = &begins{r.Body, begun}
		w.gateway.ServeHTTP(out, r)
	}))
	if version == 1 {
		c, reader := w.dial()
		send(t, c, w.requestAs(secret, "POST", "/api/a", "Content-Length: 5")+"hel")
		go func() { answered <- status(http.ReadResponse(reader, nil)) }()
	} else {
		protocols := new(http.Protocols)
		protocols.SetUnencryptedHTTP2(true)
		transport := &http.Transport{Protocols: protocols}
		t.Cleanup(transport.CloseIdleConnections)
		body, rest := io.Pipe()
		t.Cleanup(func() { _ = rest.Close() })
		r, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+w.address+"/api/a", body)
		if err != nil {
			t.Fatal(err)
		}
		r.ContentLength = 5
		r.Header.Set("Authorization", "Bearer "+secret)
		go func() { answered <- status(transport.RoundTrip(r)) }()
	}
	await(t, begun, "the gateway to read the body")
}

func status(r *http.Response, err error) string {
	if err != nil {
		return err.Error()
	}
	_ = r.Body.Close()
	return fmt.Sprint(r.StatusCode)
}

// begins is a body that tells when it is read for the first time.
type begins struct {
	io.ReadCloser
	begun chan struct{}
}

func (b *begins) Read(data []byte) (int, error) {
	if b.begun != nil {
		close(b.begun)
		b.begun = nil
	}
	return b.ReadCloser.Read(data)
}

// Shutting down does not wait for a short body.
func TestBriefBodyEndsWithTheGateway(t *testing.T) {
	w := start(t, nil)
	answered := make(chan string, 1)
	dawdle(t, w, w.token, 2, answered)
	w.gateway.EndAll()
	if got := await(t, answered, "the answer"); got != "503" {
		t.Errorf("after the end of all: %s", got)
	}
	if e := w.event(); e.Status != 503 {
		t.Errorf("recorded as %+v", e)
	}
	if n := len(w.upstream.take()); n != 0 {
		t.Errorf("the upstream saw %d requests", n)
	}
}

// The connection of a client is as good for the next request after a short body as before it.
func TestBriefBodiesKeepAlive(t *testing.T) {
	w := start(t, nil)
	c, reader := w.dial()
	for i := range 5 {
		body := strings.Repeat("x", 1+i*1000)
		send(t, c, keptAlive(w.request("POST", "/api/a", fmt.Sprintf("Content-Length: %d", len(body))))+body)
		response, err := http.ReadResponse(reader, nil)
		if err != nil || response.StatusCode != 200 {
			t.Fatalf("%v, %v", response, err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
		if got := w.upstream.next(t); got.body != body || got.header.Get("Transfer-Encoding") != "" {
			t.Errorf("%d bytes arrive as %d", len(body), len(got.body))
		}
	}
}
