package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/gateway"
	"github.com/latchward/latchward/internal/strictconn"
	"github.com/latchward/latchward/latchtest"
	"github.com/latchward/latchward/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds what must happen at once; it is never what a test waits for.
const patience = 30 * time.Second

// world is a gateway with a service, an upstream and a listener, all real.
type world struct {
	t        *testing.T
	service  *latchward.Service
	gateway  *gateway.Gateway
	upstream *upstream
	address  string
	events   chan latchward.UsageEvent
	told     chan struct{} // an end of a stream is on record
	token    string        // unrestricted
}

// start starts a world in which the upstream is served by handler; nil = answers with 200. The gateway has the base
// /api, and the upstream the path /v1, unless edit changes that.
func start(t *testing.T, handler http.Handler, edit ...func(*gateway.Options)) *world {
	t.Helper()
	w := &world{t: t, upstream: startUpstream(t, handler), events: make(chan latchward.UsageEvent, 10_000)}
	w.told = make(chan struct{}, 10_000)
	w.service = newService(t)
	w.token = w.issue(latchward.NewToken{})
	o := gateway.Options{
		Verifier: w.service, Recorder: w, Base: "/api",
		Upstreams:   []gateway.Upstream{{Prefix: "/", URL: w.upstream.url("/v1")}},
		StreamEnded: w.streamEnded, StreamCheck: time.Millisecond,
	}
	for _, e := range edit {
		e(&o)
	}
	w.gateway = newGateway(t, o)
	w.address = w.listen(w.gateway)
	return w
}

func (w *world) streamEnded(ctx context.Context, v latchward.Verdict) error {
	defer func() { w.told <- struct{}{} }()
	return w.service.StreamEnded(ctx, v)
}

func newService(t *testing.T) *latchward.Service {
	t.Helper()
	keys, err := latchward.GenerateKeyRing(latchtest.Seeded(1), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	s, err := latchward.New(t.Context(), latchward.Options{Store: memory.New(), Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.CreateUser(local(), latchward.NewUser{Name: "ada", Administrator: true}); err != nil {
		t.Fatal(err)
	}
	return s
}

func local() context.Context { return latchtest.Local(context.Background()) }

func newGateway(t *testing.T, o gateway.Options) *gateway.Gateway {
	t.Helper()
	g, err := gateway.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run returned %v", err)
		}
	})
	return g
}

// listen serves a handler as Latchward's server does, and returns its address.
func (w *world) listen(handler http.Handler) string {
	w.t.Helper()
	server := &http.Server{Handler: handler, DisableGeneralOptionsHandler: true, Protocols: new(http.Protocols)}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	return serve(w.t, server, func(l net.Listener) error { return strictconn.Serve(server, l) })
}

func serve(t *testing.T, server *http.Server, run func(net.Listener) error) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server.ErrorLog = log.New(io.Discard, "", 0) // it prints about broken connections, which are normal here
	done := make(chan error, 1)
	go func() { done <- run(l) }()
	t.Cleanup(func() {
		_ = server.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("serving ended with %v", err)
		}
	})
	return l.Addr().String()
}

// issue creates a token and returns its secret.
func (w *world) issue(n latchward.NewToken) string {
	w.t.Helper()
	_, secret := w.create(n)
	return secret
}

func (w *world) create(n latchward.NewToken) (latchward.TokenID, string) {
	w.t.Helper()
	n.Owner = &latchward.Owner{Type: latchward.OwnerUser, ID: 1}
	if n.RateLimit == 0 {
		n.RateLimit = latchward.MaxRateLimit
	}
	issued, err := w.service.CreateToken(local(), n)
	if err != nil {
		w.t.Fatal(err)
	}
	return issued.Token.ID, issued.Secret.Expose()
}

// Record implements latchward.Recorder.
func (w *world) Record(e *latchward.UsageEvent) bool {
	select {
	case w.events <- *e:
	default:
	}
	return w.service.Record(e)
}

// event returns the next usage event.
func (w *world) event() latchward.UsageEvent {
	w.t.Helper()
	select {
	case e := <-w.events:
		return e
	case <-time.After(patience):
		w.t.Fatal("no usage was recorded")
		return latchward.UsageEvent{}
	}
}

// raw sends data over a connection of its own and returns the answers that come before the gateway closes it.
func (w *world) raw(data string) []answer {
	w.t.Helper()
	c, err := net.Dial("tcp", w.address)
	if err != nil {
		w.t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_, _ = io.WriteString(c, data) // the gateway may close before it has read all
	}()
	text, err := io.ReadAll(c)
	if fault := net.Error(nil); errors.As(err, &fault) && fault.Timeout() {
		w.t.Fatalf("%.200q: the gateway neither answers nor closes; so far %q", data, text)
	}
	_ = c.Close()
	<-sent
	return parseAnswers(w.t, string(text))
}

// only returns the only answer to data.
func (w *world) only(data string) answer {
	w.t.Helper()
	answers := w.raw(data)
	if len(answers) != 1 {
		w.t.Fatalf("%.300q: %d answers", data, len(answers))
	}
	return answers[0]
}

// request returns a request as it goes over the wire, with the world's token, that ends the connection. More are lines
// of its header.
func (w *world) request(method, target string, more ...string) string {
	return w.requestAs(w.token, method, target, more...)
}

func (w *world) requestAs(token, method, target string, more ...string) string {
	lines := append([]string{
		method + " " + target + " HTTP/1.1", "Host: api.example.com", "Authorization: Bearer " + token, "Connection: close",
	}, more...)
	return strings.Join(lines, "\r\n") + "\r\n\r\n"
}

// answer is what a client got.
type answer struct {
	status  int
	header  http.Header
	trailer http.Header
	body    string
}

func parseAnswers(t *testing.T, text string) (answers []answer) {
	t.Helper()
	reader := bufio.NewReader(strings.NewReader(text))
	for {
		if _, err := reader.Peek(1); err != nil {
			return answers
		}
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatalf("unreadable answer %q: %v", text, err)
		}
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatalf("unreadable body in %q: %v", text, err)
		}
		answers = append(answers, answer{response.StatusCode, response.Header, response.Trailer, string(body)})
	}
}

// upstream is a server that remembers what reached it.
type upstream struct {
	address string
	server  *http.Server
	seen    chan seen
	mu      sync.Mutex
	wire    bytes.Buffer // the bytes of all connections
}

// seen is one request as it reached the upstream.
type seen struct {
	method, target, host string
	header, trailer      http.Header
	body                 string
	bodyErr              error
}

func startUpstream(t *testing.T, handler http.Handler) *upstream {
	t.Helper()
	u := &upstream{seen: make(chan seen, 100_000)}
	u.server = &http.Server{Handler: u.remember(handler)}
	u.address = serve(t, u.server, func(l net.Listener) error { return u.server.Serve(tapped{l, u}) })
	return u
}

// finish waits until everything that has come is served. Nothing comes after it.
func (u *upstream) finish(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := u.server.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
}

func (u *upstream) url(path string) *url.URL {
	return &url.URL{Scheme: "http", Host: u.address, Path: path}
}

// remember reads the body and remembers the request, unless a handler is given: that has the body for itself.
func (u *upstream) remember(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := seen{method: r.Method, target: r.RequestURI, host: r.Host, header: r.Header.Clone()}
		if handler == nil {
			body, err := io.ReadAll(r.Body)
			s.body, s.bodyErr, s.trailer = string(body), err, r.Trailer.Clone()
		}
		u.seen <- s
		if handler != nil {
			handler.ServeHTTP(w, r)
		}
	})
}

// take returns what was seen since the last call.
func (u *upstream) take() (taken []seen) {
	u.mu.Lock()
	u.wire.Reset()
	u.mu.Unlock()
	for {
		select {
		case s := <-u.seen:
			taken = append(taken, s)
		default:
			return taken
		}
	}
}

// one returns the only request seen since the last call.
func (u *upstream) one(t *testing.T) seen {
	t.Helper()
	taken := u.take()
	if len(taken) != 1 {
		t.Fatalf("the upstream saw %d requests: %+v", len(taken), taken)
	}
	return taken[0]
}

// next waits for a request.
func (u *upstream) next(t *testing.T) seen {
	t.Helper()
	select {
	case s := <-u.seen:
		return s
	case <-time.After(patience):
		t.Fatal("the upstream saw no request")
		return seen{}
	}
}

// bytes returns what came over the wire since the last take.
func (u *upstream) bytes() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.wire.String()
}

// tapped is a listener whose connections are listened in on.
type tapped struct {
	net.Listener
	u *upstream
}

func (l tapped) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return &tappedConn{c, l.u}, err
}

type tappedConn struct {
	net.Conn
	u *upstream
}

const maxTapped = 1 << 20

func (c *tappedConn) Read(data []byte) (int, error) {
	n, err := c.Conn.Read(data)
	c.u.mu.Lock()
	if c.u.wire.Len() < maxTapped {
		c.u.wire.Write(data[:n])
	}
	c.u.mu.Unlock()
	return n, err
}

func (c *tappedConn) CloseWrite() error { return c.Conn.(*net.TCPConn).CloseWrite() }

// checkProblem checks that an answer is a problem in the one form that all have.
func checkProblem(t *testing.T, what string, a answer, statuses ...int) {
	t.Helper()
	if !slices.Contains(statuses, a.status) {
		t.Errorf("%s: status %d, want %v (%s)", what, a.status, statuses, a.body)
	}
	if got := a.header.Get("Content-Type"); got != "application/problem+json; charset=utf-8" {
		t.Errorf("%s: Content-Type %q", what, got)
	}
	if !strings.Contains(a.body, fmt.Sprintf(`"status":%d,`, a.status)) || !strings.Contains(a.body, `"error":"`) {
		t.Errorf("%s: body %s", what, a.body)
	}
	if got := a.header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("%s: Cache-Control %q", what, got)
	}
}
