package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/gateway"
)

// unsteady is a Verifier that can be made to fail, and tells how each dry run ended.
type unsteady struct {
	latchward.Verifier
	broken atomic.Bool
	panics atomic.Bool
	judged chan error
}

func (u *unsteady) Verify(ctx context.Context, r latchward.VerifyRequest) (v latchward.Verdict, err error) {
	switch {
	case u.panics.Load():
		panic("the verifier is broken")
	case u.broken.Load():
		err = &latchward.Error{Code: latchward.CodeUnavailable, Message: "The store did not answer."}
	default:
		v, err = u.Verifier.Verify(ctx, r)
	}
	if r.DryRun {
		select {
		case u.judged <- err:
		default:
		}
	}
	return v, err
}

// to points the gateway to another upstream.
func to(text string) func(*gateway.Options) {
	return func(o *gateway.Options) {
		u, err := url.Parse(text)
		if err != nil {
			panic(err)
		}
		o.Upstreams[0].URL = u
	}
}

// scripted is an upstream that does with each connection what f says, and then closes it.
func scripted(t *testing.T, f func(c net.Conn, r *bufio.Reader)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				f(c, bufio.NewReader(c))
			}()
		}
	}()
	return l.Addr().String()
}

// answering returns what reads a request's head and answers with text.
func answering(text string) func(net.Conn, *bufio.Reader) {
	return func(c net.Conn, r *bufio.Reader) {
		readHead(r)
		_, _ = io.WriteString(c, text)
	}
}

func readHead(r *bufio.Reader) {
	for {
		if line, err := r.ReadString('\n'); err != nil || line == "\r\n" {
			return
		}
	}
}

// closedAddress returns an address at which nobody listens.
func closedAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// bar 101: what goes wrong behind the gateway before there is an answer
func TestUpstreamFaults(t *testing.T) {
	hung := make(chan struct{})
	defer close(hung)
	hang := func(net.Conn, *bufio.Reader) { <-hung }
	stranger := httptest.NewTLSServer(http.NotFoundHandler()) // whose certificate nobody vouches for
	defer stranger.Close()
	stranger.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	tests := map[string]struct {
		url  string
		want int
	}{
		"refused":            {"http://" + closedAddress(t), 502},
		"hangs":              {"http://" + scripted(t, hang), 504},
		"hangs in TLS":       {"https://" + scripted(t, hang), 504},
		"bad certificate":    {stranger.URL, 502},
		"no such name":       {"http://upstream.invalid", 502},
		"closes":             {"http://" + scripted(t, func(net.Conn, *bufio.Reader) {}), 502},
		"closes after head":  {"http://" + scripted(t, answering("")), 502},
		"speaks nonsense":    {"http://" + scripted(t, answering("SSH-2.0-upstream\r\n\r\n")), 502},
		"half a head":        {"http://" + scripted(t, answering("HTTP/1.1 200 OK\r\nX-Name: upst")), 502},
		"a head of 1 MiB":    {"http://" + scripted(t, answering("HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 1<<20)+"\r\n\r\n")), 502},
		"bad length":         {"http://" + scripted(t, answering("HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\nhello")), 502},
		"two lengths":        {"http://" + scripted(t, answering("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!")), 502},
		"switches protocols": {"http://" + scripted(t, answering("HTTP/1.1 101 Switching Protocols\r\n\r\nhello")), 502},
		"switches to h2c":    {"http://" + scripted(t, answering("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\nhello")), 502},
		"103 for ever":       {"http://" + scripted(t, answering(strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n", 1000)+"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")), 502},
		"switches unasked":   {"http://" + scripted(t, answering("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nhello")), 502},
		"no status":          {"http://" + scripted(t, answering("HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n")), 502},
		"plain HTTP":         {"https://" + scripted(t, func(c net.Conn, _ *bufio.Reader) { _, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") }), 502},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			log := &bytes.Buffer{}
			w := start(t, nil, to(test.url), func(o *gateway.Options) {
				o.HeaderTimeout, o.DialTimeout = 200*time.Millisecond, 200*time.Millisecond
				o.Logger = slog.New(slog.NewTextHandler(log, nil))
			})
			for _, method := range []string{"GET", "POST", "PUT"} { // with a body, through the transport; without, over lanes
				data := w.request(method, "/api/a", "Content-Length: 0")
				if method == "PUT" {
					data = w.request(method, "/api/a", "Content-Length: 5") + "hello"
				}
				answers := w.raw(data)
				a := answers[len(answers)-1] // after interim ones
				checkProblem(t, method, a, test.want)
				host := mustParse(t, test.url).Host
				everything := a.body + strings.Join(mapValues(a.header), "")
				if strings.Contains(everything, host) || strings.Contains(everything, "upstr") || strings.Contains(everything, "127.0.0.1") {
					t.Errorf("%s: the client is told where it failed: %+v", method, a)
				}
				if a.header.Get("X-RateLimit-Limit") == "" {
					t.Errorf("%s: no limit headers in %v", method, a.header)
				}
				if e := w.event(); e.Status != test.want || e.Reason != latchward.ReasonAllowed { // bar 47: it counts
					t.Errorf("%s is recorded as %+v", method, e)
				}
			}
			if !strings.Contains(log.String(), "Upstream failed.") || strings.Contains(log.String(), w.token) {
				t.Errorf("the log says %q", log)
			}
		})
	}
}

// bar 100: a client that is not told of interim answers does not wait for an upstream that sends nothing else, either.
func TestInterimAnswersToOldClients(t *testing.T) {
	text := strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n", 1000) + "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
	w := start(t, nil, to("http://"+scripted(t, answering(text))))
	checkProblem(t, "HTTP/1.0", w.only(strings.Replace(w.request("GET", "/api/a"), "HTTP/1.1", "HTTP/1.0", 1)), 502)
}

func mapValues(h http.Header) (values []string) {
	for _, v := range h {
		values = append(values, v...)
	}
	return values
}

// bar 100, 101: an answer that breaks off is not passed for a whole one
func TestAnswerBreaksOff(t *testing.T) {
	tests := map[string]string{
		"of a length":   "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
		"chunked":       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
		"in a chunk":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhello",
		"broken chunks": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloXX0\r\n\r\n",
	}
	for name, text := range tests {
		w := start(t, nil, to("http://"+scripted(t, answering(text))))
		c, reader := w.dial()
		send(t, c, keptAlive(w.request("GET", "/api/a")))
		if response, err := http.ReadResponse(reader, nil); err == nil { // else not even the head was sent
			if body, err := io.ReadAll(response.Body); err == nil {
				t.Errorf("%s: the client gets %q for the whole", name, body)
			}
		}
		if e := w.event(); e.Status != 200 || e.ResponseBytes != 5 {
			t.Errorf("%s is recorded as %+v", name, e)
		}
	}
	// what goes beyond a length is not sent on, and no answer to anything
	w := start(t, nil, to("http://"+scripted(t, answering("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nX-Forged: a\r\n\r\n"))))
	for _, a := range w.raw(keptAlive(w.request("GET", "/api/a")) + w.request("GET", "/api/b")) {
		if a.status != 200 || a.body != "hello" || a.header.Get("X-Forged") != "" {
			t.Errorf("the client gets %+v", a)
		}
	}
}

// bar 47, 101: a connection that the upstream has closed while it was idle costs a second try, and only where nothing can
// happen twice: for a GET, but never for a POST of which bytes were sent. However often it is sent, it is recorded once.
func TestRetries(t *testing.T) {
	const nothing, half = "", "HTTP/1.1 200 OK\r\nX: "
	for _, test := range []struct {
		name, method, lines, body, answer string
		status                            int
		sent                              int32 // to the upstream
	}{
		{"GET", "GET", "", "", nothing, 200, 2},
		{"HEAD", "HEAD", "", "", nothing, 200, 2},
		{"GET with half an answer", "GET", "", "", half, 502, 1},
		{"GET with a body", "GET", "Content-Length: 5\r\n", "hello", nothing, 502, 1},
		{"POST", "POST", "Content-Length: 5\r\n", "hello", nothing, 502, 1},
		{"POST without body", "POST", "Content-Length: 0\r\n", "", nothing, 502, 1},
		{"POST with a key", "POST", "Content-Length: 0\r\nIdempotency-Key: 1\r\n", "", nothing, 502, 1},
		{"POST with another key", "POST", "Content-Length: 0\r\nX-Idempotency-Key: 1\r\n", "", nothing, 502, 1},
		{"DELETE", "DELETE", "", "", nothing, 502, 1},
	} {
		var sent atomic.Int32
		address := scripted(t, func(c net.Conn, r *bufio.Reader) {
			for {
				request, err := http.ReadRequest(r)
				if err != nil {
					return
				}
				_, _ = io.Copy(io.Discard, request.Body)
				if request.URL.Path == "/a" && sent.Add(1) == 1 {
					_, _ = io.WriteString(c, test.answer)
					return
				}
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			}
		})
		w := start(t, nil, to("http://"+address))
		for _, method := range []string{"GET", "POST"} { // so that either finds a connection that was used before
			if a := w.only(w.request(method, "/api/first", "Content-Length: 0")); a.status != 200 {
				t.Fatalf("%s: the first request gets %d", test.name, a.status)
			}
			w.event()
		}
		raw := w.raw(strings.TrimSuffix(w.request(test.method, "/api/a"), "\r\n") + test.lines + "\r\n" + test.body)
		if len(raw) != 1 || raw[0].status != test.status || sent.Load() != test.sent {
			t.Errorf("%s: %+v, %d requests were sent", test.name, raw, sent.Load())
		}
		if e := w.event(); e.Status != test.status || len(w.events) != 0 {
			t.Errorf("%s is recorded as %+v and %d more", test.name, e, len(w.events))
		}
	}
}

// bar 101: a client that leaves takes the upstream's request along, waiting or answering, whatever the body
func TestClientLeaves(t *testing.T) {
	for _, answers := range []bool{false, true} {
		for _, test := range []struct{ method, length, body string }{
			{"GET", "0", ""}, {"POST", "0", ""}, {"GET", "5", "hello"}, {"POST", "5", "hello"},
			{"POST", "40000", ""}, // too long to be read before it is sent
		} {
			leave(t, answers, test.method, test.length, test.body)
		}
	}
}

func leave(t *testing.T, answers bool, method, length, body string) {
	t.Helper()
	if answers && length != "0" && body == "" {
		return // it may be answered before its body has come, but need not
	}
	entered, left := make(chan struct{}), make(chan struct{})
	w := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if answers {
			_ = http.NewResponseController(w).Flush()
		}
		close(entered)
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
		close(left)
	}))
	c, reader := w.dial()
	send(t, c, w.request(method, "/api/a", "Content-Length: "+length)+body)
	await(t, entered, "the upstream to get the request")
	want := 499
	if answers {
		want = 200
		if _, err := reader.Peek(1); err != nil {
			t.Fatal(err)
		}
	}
	_ = c.Close()
	await(t, left, "the upstream to learn that the client has left")
	if e := w.event(); e.Status != want {
		t.Errorf("answering %v, %s of %s: recorded as %+v", answers, method, length, e)
	}
}

// A body that is broken is the client's fault, and says nothing about the upstream.
func TestBrokenBody(t *testing.T) {
	w := start(t, nil)
	for _, body := range []string{"5\r\nhelloXX", "5 \r\nhello\r\n0\r\n\r\n", "Z\r\n"} {
		checkProblem(t, body, w.only(w.request("POST", "/api/a", "Transfer-Encoding: chunked")+body), 400)
		if e := w.event(); e.Status != 400 {
			t.Errorf("%q is recorded as %+v", body, e)
		}
	}
}

// bar 20, 131: what cannot be decided is 503, and a panic is no consent
func TestUndecided(t *testing.T) {
	verifier := &unsteady{}
	w := start(t, nil, func(o *gateway.Options) { verifier.Verifier, o.Verifier = o.Verifier, verifier })
	verifier.broken.Store(true)
	a := w.only(w.request("GET", "/api/a"))
	checkProblem(t, "a broken store", a, 503)
	if a.header.Get("Retry-After") == "" {
		t.Errorf("without Retry-After: %v", a.header)
	}
	verifier.broken.Store(false)
	verifier.panics.Store(true)
	if answers := w.raw(w.request("GET", "/api/a")); len(answers) != 0 { // the server's last resort is not ours
		t.Errorf("a panic is answered with %+v", answers)
	}
	verifier.panics.Store(false)
	if a := w.only(w.request("GET", "/api/a")); a.status != 200 {
		t.Errorf("after that: %d", a.status)
	}
	if n := len(w.upstream.take()); n != 1 {
		t.Errorf("the upstream saw %d requests", n)
	}
}

// No audit entry is no reason to let a stream go on, and is told.
func TestStreamEndedFails(t *testing.T) {
	entered := make(chan struct{})
	log := make(chan string, 10)
	w := start(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
	}), func(o *gateway.Options) {
		o.StreamEnded = func(context.Context, latchward.Verdict) error { return errors.New("the disk is full") }
		o.Logger = slog.New(slog.NewTextHandler(lineWriter(log), nil))
	})
	id, secret := w.create(latchward.NewToken{})
	done := make(chan answer, 1)
	go func() { done <- w.only(w.requestAs(secret, "GET", "/api/slow")) }()
	await(t, entered, "the upstream to get the request")
	if _, err := w.service.RevokeToken(local(), id, latchward.Revocation{}); err != nil {
		t.Fatal(err)
	}
	checkProblem(t, "the stream", await(t, done, "the answer"), 401)
	for _, want := range []string{"Stream ended.", "the disk is full"} {
		if line := await(t, log, "the log"); !strings.Contains(line, want) {
			t.Errorf("the log says %q, not %q", line, want)
		}
	}
}

// lineWriter sends lines over a channel.
type lineWriter chan string

func (w lineWriter) Write(data []byte) (int, error) {
	w <- string(data)
	return len(data), nil
}
