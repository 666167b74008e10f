package gateway_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/latchward/latchward"
)

// bar 99: whatever paths, methods, hosts and agents clients make up, what is kept of them does not grow with it: neither
// the names in the rollups, nor the reasons that are counted, nor the connections to the upstream.
func TestMadeUpRequestsAreBounded(t *testing.T) {
	const requests, names = 4000, 501 // as many as one token may teach the rollups, and OtherEndpoint
	address, connections := counted(t, func(*http.Request) string { return "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" })
	w := start(t, nil, to("http://"+address))
	id, secret := w.create(latchward.NewToken{})
	reasons := len(w.service.Stats().Verdicts)
	c, reader := w.dial()
	for i := range requests {
		method, want := "GET", 200
		if i%4 == 0 {
			method, want = fmt.Sprintf("M%d", i), 400
		}
		raw := w.requestAs(secret, method, fmt.Sprintf("/api/made-up/%s/%s?q=%d", word(i%60), word(i/60), i), fmt.Sprintf("User-Agent: %0300d", i))
		send(t, c, strings.Replace(keptAlive(raw), "api.example.com", fmt.Sprintf("host%d.example.com", i), 1))
		response, err := http.ReadResponse(reader, nil)
		if err != nil || response.StatusCode != want {
			t.Fatalf("%s: %v, %v", method, response, err)
		}
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			t.Fatal(err)
		}
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("%d connections to the upstream", n)
	}
	if n := len(w.service.Stats().Verdicts); n != reasons {
		t.Errorf("%d reasons are counted, %d before", n, reasons)
	}
	usage, err := w.service.TokenUsage(local(), id, 1)
	if err != nil {
		t.Fatal(err)
	}
	var total int64
	for _, e := range usage.Endpoints {
		total += e.Requests
	}
	if len(usage.Endpoints) != names || total != requests*3/4 {
		t.Errorf("%d names, %d requests in all", len(usage.Endpoints), total)
	}
	for _, e := range usage.Recent {
		if len(e.UserAgent) > latchward.MaxUserAgentLength {
			t.Errorf("an agent of %d bytes is recorded", len(e.UserAgent))
		}
	}
}

// bar 131: a panic in the midst of a request is recorded as the failure it is, looks like no answer, and the next request is
// served. To answer it with 500 is for the server around the gateway.
func TestPanicIsRecorded(t *testing.T) {
	w := start(t, nil)
	handler := w.gateway
	w.address = w.listen(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Break") != "" {
			rw = brokenWriter{rw}
		}
		handler.ServeHTTP(rw, r)
	}))
	if answers := w.raw(w.request("GET", "/api/a", "X-Break: yes")); len(answers) != 0 {
		t.Errorf("it is answered with %+v", answers)
	}
	if e := w.event(); e.Status != 500 {
		t.Errorf("it is recorded as %+v", e)
	}
	if a := w.only(w.request("GET", "/api/a")); a.status != 200 {
		t.Errorf("after that: %d", a.status)
	}
}

// brokenWriter panics where an answer begins.
type brokenWriter struct{ http.ResponseWriter }

func (brokenWriter) WriteHeader(int) { panic("the writer is broken") }

// word returns the n-th of many words that do not look like ids.
func word(n int) string { return strings.Repeat(string(rune('a'+n%26)), 2+n/26) }
