package gateway_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/gateway"
)

// dial opens a connection to the gateway that is closed with the test.
func (w *world) dial() (net.Conn, *bufio.Reader) {
	w.t.Helper()
	c, err := net.Dial("tcp", w.address)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return c, bufio.NewReader(c)
}

// open returns the raw request without the line that ends the connection.
func keptAlive(raw string) string { return strings.Replace(raw, "Connection: close\r\n", "", 1) }

func send(t *testing.T, c io.Writer, data string) {
	t.Helper()
	if _, err := io.WriteString(c, data); err != nil {
		t.Fatal(err)
	}
}

// get sends a GET with the world's token over a connection that is closed with the test.
func (w *world) get(target string) *http.Response {
	w.t.Helper()
	c, reader := w.dial()
	send(w.t, c, w.request("GET", target))
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return response
}

// Server-sent events arrive one by one, each before the next is made.
func TestServerSentEvents(t *testing.T) {
	next := make(chan struct{})
	w := start(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			_ = http.NewResponseController(w).Flush()
			<-next
		}
	}))
	response := w.get("/api/events")
	events := bufio.NewReader(response.Body)
	for i := range 3 {
		line, err := events.ReadString('\n')
		if want := fmt.Sprintf("data: %d\n", i); line != want || err != nil {
			t.Fatalf("%q, %v, want %q", line, err, want)
		}
		_, _ = events.ReadString('\n')
		next <- struct{}{}
	}
	if rest, err := io.ReadAll(events); len(rest) > 0 || err != nil {
		t.Errorf("after the last event: %q, %v", rest, err)
	}
}

// echo answers an upgrade to WebSocket, and sends back what it gets. The frames are for those at the ends to understand.
func echo(t *testing.T, closed chan<- struct{}) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			return
		}
		c, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer close(closed)
		defer c.Close()
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
			"Sec-WebSocket-Accept: x\r\nX-Latchward-Subject: forged\r\n\r\n")
		_, _ = io.Copy(c, buffered)
	})
}

// upgrade opens a WebSocket through the gateway.
func (w *world) upgrade(token string) (net.Conn, *bufio.Reader) {
	w.t.Helper()
	c, reader := w.dial()
	send(w.t, c, strings.Replace(w.requestAs(token, "GET", "/api/socket", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), "Connection: close", "Connection: Upgrade", 1))
	response, err := http.ReadResponse(reader, nil)
	if err != nil || response.StatusCode != 101 {
		w.t.Fatalf("%v, %v", response, err)
	}
	if response.Header.Get("Upgrade") != "websocket" || response.Header["X-Latchward-Subject"] != nil ||
		response.Header.Get("X-RateLimit-Limit") == "" {
		w.t.Errorf("the answer's header is %v", response.Header)
	}
	return c, reader
}

// WebSockets pass both ways, byte for byte, and what passed is recorded at their end.
func TestWebSocket(t *testing.T) {
	closed := make(chan struct{})
	w := start(t, echo(t, closed))
	c, reader := w.upgrade(w.token)
	for _, frame := range []string{"\x81\x85\x00\x00\x00\x00hello", "\x00\r\n\n\x7f", "GET / HTTP/1.1\n\n"} {
		send(t, c, frame)
		got := make([]byte, len(frame))
		if _, err := io.ReadFull(reader, got); err != nil || string(got) != frame {
			t.Fatalf("%q comes back as %q, %v", frame, got, err)
		}
	}
	_ = c.Close()
	await(t, closed, "the upstream's end of the connection to close")
	if e := w.event(); e.Status != 101 || e.RequestBytes != 32 || e.ResponseBytes < 32 {
		t.Errorf("it is recorded as %+v", e)
	}
}

// A server that cannot hand the connection over is a fault, and no tunnel.
func TestWebSocketWithoutHijack(t *testing.T) {
	closed := make(chan struct{})
	w := start(t, echo(t, closed))
	handler := w.gateway
	w.address = w.listen(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler.ServeHTTP(struct{ http.ResponseWriter }{w}, r)
	}))
	a := w.only(strings.Replace(w.request("GET", "/api/socket", "Upgrade: websocket"), "Connection: close", "Connection: Upgrade, close", 1))
	checkProblem(t, "a WebSocket", a, 502)
	await(t, closed, "the upstream's end of the connection to close")
}

func await[T any](t *testing.T, c <-chan T, what string) (value T) {
	t.Helper()
	select {
	case value = <-c:
	case <-time.After(patience):
		t.Fatal("waited in vain for " + what)
	}
	return value
}

// bar 53: streams end when their token stops being valid, for whatever reason, and leave an audit entry
func TestStreamsEndWithTheirToken(t *testing.T) {
	no, past := false, time.Now().Add(-time.Hour)
	changes := map[string]func(s *latchward.Service, id latchward.TokenID) error{
		"revoked": func(s *latchward.Service, id latchward.TokenID) error {
			_, err := s.RevokeToken(local(), id, latchward.Revocation{})
			return err
		},
		"disabled": func(s *latchward.Service, id latchward.TokenID) error {
			_, err := s.UpdateToken(local(), id, latchward.TokenUpdate{Active: &no})
			return err
		},
		"expired": func(s *latchward.Service, id latchward.TokenID) error {
			_, err := s.UpdateToken(local(), id, latchward.TokenUpdate{ExpiresAt: &past})
			return err
		},
		"endpoint_not_allowed": func(s *latchward.Service, id latchward.TokenID) error {
			_, err := s.UpdateToken(local(), id, latchward.TokenUpdate{AllowedEndpoints: &[]string{"/other"}})
			return err
		},
		"rotated": func(s *latchward.Service, id latchward.TokenID) error {
			_, err := s.RotateToken(local(), id, latchward.Rotation{})
			return err
		},
	}
	for reason, change := range changes {
		t.Run(reason, func(t *testing.T) {
			closed, gone, goOn := make(chan struct{}), make(chan string, 2), make(chan struct{})
			sockets := echo(t, closed)
			w := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/v1/socket" {
					sockets.ServeHTTP(w, r)
					return
				}
				_, _ = io.WriteString(w, "data: first\n\n")
				_ = http.NewResponseController(w).Flush()
				select {
				case <-r.Context().Done():
					gone <- r.URL.Path
				case <-goOn:
				}
			}))
			id, secret := w.create(latchward.NewToken{})
			_, frames := w.upgrade(secret)
			events, stream := w.dial()
			send(t, events, w.requestAs(secret, "GET", "/api/events"))
			response, err := http.ReadResponse(stream, nil)
			if err != nil {
				t.Fatal(err)
			}
			other := w.get("/api/other") // of another token
			if err := change(w.service, id); err != nil {
				t.Fatal(err)
			}
			await(t, closed, "the WebSocket to end")
			if _, err := frames.ReadByte(); err == nil {
				t.Error("the client's end of the WebSocket goes on")
			}
			if text, err := io.ReadAll(response.Body); err == nil || string(text) != "data: first\n\n" {
				t.Errorf("the events end with %q, %v: a client must see that they were cut off", text, err)
			}
			if path := await(t, gone, "the upstream to learn of it"); path != "/v1/events" {
				t.Errorf("%s has ended, too", path)
			}
			close(goOn)
			if text, err := io.ReadAll(other.Body); err != nil || string(text) != "data: first\n\n" {
				t.Errorf("a stream of another token ends with %q, %v", text, err)
			}
			for range 2 {
				await(t, w.told, "the end of a stream to be on record")
			}
			if n := len(audited(t, w.service, id, reason)); n != 2 {
				t.Errorf("%d audit entries, want 2", n)
			}
		})
	}
}

// audited returns the audit entries about streams of a token that ended for a reason.
func audited(t *testing.T, s *latchward.Service, id latchward.TokenID, reason string) (found []*latchward.AuditEntry) {
	t.Helper()
	entries, err := s.AuditEntries(local(), latchward.AuditFilter{Action: latchward.ActionStreamEnd, TargetID: int64(id)})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.After["reason"] == reason && strings.HasPrefix(fmt.Sprint(e.After["path"]), "/") {
			found = append(found, e)
		}
	}
	return found
}

// bar 53: a request that still waits for its answer is refused as a new one would be
func TestWaitingRequestEndsWithItsToken(t *testing.T) {
	entered := make(chan struct{})
	w := start(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
	}))
	id, secret := w.create(latchward.NewToken{})
	no := false
	done := make(chan answer, 1)
	go func() { done <- w.only(w.requestAs(secret, "GET", "/api/slow")) }()
	await(t, entered, "the upstream to get the request")
	if _, err := w.service.UpdateToken(local(), id, latchward.TokenUpdate{Active: &no}); err != nil {
		t.Fatal(err)
	}
	a := await(t, done, "the answer")
	checkProblem(t, "a waiting request", a, 401)
	if !strings.Contains(a.body, "Token is disabled") {
		t.Errorf("it says %s", a.body)
	}
}

// A used-up limit ends no stream, and neither does a service that cannot decide.
func TestStreamsGoOn(t *testing.T) {
	next := make(chan string)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for text := range next {
			_, _ = io.WriteString(w, text)
			_ = http.NewResponseController(w).Flush()
		}
	})
	verifier := &unsteady{judged: make(chan error, 10_000)}
	w := start(t, handler, func(o *gateway.Options) { verifier.Verifier, o.Verifier = o.Verifier, verifier })
	c, reader := w.dial()
	send(t, c, w.requestAs(w.issue(latchward.NewToken{RateLimit: 1}), "GET", "/api/a"))
	next <- "one"
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := await(t, verifier.judged, "the stream to be judged again"); err != nil {
			t.Fatal(err)
		}
	}
	verifier.broken.Store(true)
	for err := error(nil); err == nil; {
		err = await(t, verifier.judged, "the stream to be judged in vain")
	}
	next <- " two"
	close(next)
	if text, err := io.ReadAll(response.Body); string(text) != "one two" || err != nil {
		t.Errorf("the stream is %q, %v", text, err)
	}
}

// EndAll ends what is left when the gateway stops.
func TestEndAll(t *testing.T) {
	entered := make(chan struct{}, 2)
	closed := make(chan struct{})
	sockets := echo(t, closed)
	w := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/socket" {
			sockets.ServeHTTP(w, r)
			return
		}
		entered <- struct{}{}
		<-r.Context().Done()
	}))
	w.upgrade(w.token)
	done := make(chan answer, 1)
	go func() { done <- w.only(w.request("GET", "/api/slow")) }()
	await(t, entered, "the upstream to get the request")
	w.gateway.EndAll()
	a := await(t, done, "the answer")
	checkProblem(t, "a waiting request", a, 503)
	if a.header.Get("Retry-After") == "" || a.header.Get("WWW-Authenticate") != "" {
		t.Errorf("its header is %v", a.header)
	}
	await(t, closed, "the WebSocket to end")
}

// bar 52: on one connection, HTTP/1.1 and HTTP/2, the 501st of 1,000 requests is denied when the token is revoked after
// the 500th answer
func TestKeepAlive(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		w := start(t, nil)
		id, secret := w.create(latchward.NewToken{})
		transport := &http.Transport{Protocols: new(http.Protocols), MaxConnsPerHost: 1}
		transport.Protocols.SetHTTP1(!http2)
		transport.Protocols.SetUnencryptedHTTP2(http2)
		for i := 1; i <= 1000; i++ {
			request, _ := http.NewRequest("GET", "http://"+w.address+"/api/a", nil)
			request.Header.Set("Authorization", "Bearer "+secret)
			response, err := transport.RoundTrip(request)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, response.Body)
			_ = response.Body.Close()
			if want := map[bool]int{true: 200, false: 401}[i <= 500]; response.StatusCode != want {
				t.Fatalf("HTTP/2 %v: request %d gets %d", http2, i, response.StatusCode)
			}
			if major := response.ProtoMajor; (major == 2) != http2 {
				t.Fatalf("HTTP/%d", major)
			}
			if i == 500 {
				if _, err := w.service.RevokeToken(local(), id, latchward.Revocation{}); err != nil {
					t.Fatal(err)
				}
			}
		}
		if n := len(w.upstream.take()); n != 500 {
			t.Errorf("HTTP/2 %v: the upstream saw %d requests", http2, n)
		}
		transport.CloseIdleConnections()
	}
}
