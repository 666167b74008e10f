package rest_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
	"github.com/latchward/latchward/memory"
	"github.com/latchward/latchward/rest"
)

// start is when every world begins: the moment of the source's examples.
var start = time.Date(2025, 1, 15, 10, 30, 0, 0, time.UTC)

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// world is a service in memory behind the handler, with an administrator, an ordinary user and their JWTs.
type world struct {
	store   latchward.Store
	t       testing.TB
	clock   *clock
	service *latchward.Service
	handler http.Handler
	people  people
	admin   *latchward.User
	member  *latchward.User
	log     *strings.Builder
	options rest.Options
}

// The JWTs that people sign in with.
const (
	adminJWT  = "header.admin.signature"
	memberJWT = "header.member.signature"
	brokenJWT = "header.nobody.signature"
	failedJWT = "header.failing.signature" // the identity provider does not answer
)

// people signs in whoever is in the map.
type people map[string]latchward.Principal

func (p people) Authenticate(_ context.Context, jwt latchward.Secret) (latchward.Principal, error) {
	if jwt.Expose() == failedJWT {
		return latchward.Principal{}, latchward.Errorf(latchward.CodeUnavailable, "The keys could not be read.")
	}
	known, ok := p[jwt.Expose()]
	if !ok {
		return known, latchward.Errorf(latchward.CodeUnauthenticated, "Sign-in refused")
	}
	return known, nil
}

// noHasher stands for passwords where nobody has one.
type noHasher struct{ latchward.PasswordHasher }

func asAdmin() context.Context {
	p := latchward.Principal{Type: latchward.PrincipalLocal, Name: "test", Administrator: true}
	return latchward.WithPrincipal(context.Background(), p)
}

// newWorld makes a world; change, which may be nil, has the last word on how.
func newWorld(t testing.TB, change func(*latchward.Options, *rest.Options)) *world {
	t.Helper()
	w := &world{t: t, clock: &clock{now: start}, people: people{}, log: &strings.Builder{}}
	ring, err := latchward.GenerateKeyRing(randomReader{}, start)
	must(t, err)
	settings := latchward.Options{Store: memory.New(), Keys: ring, Passwords: noHasher{}, Now: w.clock.Now}
	w.options = rest.Options{
		Persons: w.people, Now: w.clock.Now, Version: "1.2.3",
		Logger: slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&settings, &w.options)
	}
	w.store = settings.Store
	w.service, err = latchward.New(context.Background(), settings)
	must(t, err)
	w.options.Service = w.service
	w.handler = rest.Handler(w.options)
	w.admin = w.person(adminJWT, latchward.NewUser{Name: "Ada", Email: "ada@example.com", Administrator: true})
	w.member = w.person(memberJWT, latchward.NewUser{Name: "Max", Email: "max@example.com"})
	return w
}

func (w *world) person(jwt string, n latchward.NewUser) *latchward.User {
	w.t.Helper()
	u, err := w.service.CreateUser(asAdmin(), n)
	must(w.t, err)
	w.people[jwt] = latchward.Principal{
		Type: latchward.PrincipalUser, ID: int64(u.ID), Name: u.Name, Administrator: u.Administrator(),
	}
	return u
}

// issue creates a token for the administrator unless n says otherwise.
func (w *world) issue(n latchward.NewToken) latchward.IssuedToken {
	w.t.Helper()
	if n.Owner == nil {
		n.Owner = &latchward.Owner{Type: latchward.OwnerUser, ID: int64(w.admin.ID)}
	}
	issued, err := w.service.CreateToken(asAdmin(), n)
	must(w.t, err)
	return issued
}

// verifier creates a service token that may ask for verdicts.
func (w *world) verifier() latchward.IssuedToken {
	w.t.Helper()
	return w.issue(latchward.NewToken{
		Name: "Gateway", Kind: latchward.KindService, RateLimit: latchward.MaxRateLimit,
		Permissions: []string{latchward.PermissionVerify},
	})
}

// inMemory is a transport without a network.
type inMemory struct{ handler http.Handler }

func (m inMemory) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	recorder := httptest.NewRecorder()
	m.handler.ServeHTTP(recorder, r.WithContext(latchward.WithPrincipal(r.Context(), latchward.Principal{
		Type: latchward.PrincipalLocal, Name: "in memory", Administrator: true,
	})))
	return recorder.Result(), r.Context().Err()
}

func newRequest(method, target, body string) *http.Request {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

// do sends a request with a bearer ("" = none) and a JSON body ("" = none).
func (w *world) do(method, target, bearer, body string) *httptest.ResponseRecorder {
	w.t.Helper()
	return w.doWith(method, target, bearer, body)
}

// doWith is do with headers: names and values by turns.
func (w *world) doWith(method, target, bearer, body string, headers ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	r := newRequest(method, target, body)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	return w.serve(r)
}

func (w *world) serve(r *http.Request) *httptest.ResponseRecorder {
	recorder := httptest.NewRecorder()
	w.handler.ServeHTTP(recorder, r)
	return recorder
}

// client returns a client that talks to the handler over real HTTP.
func (w *world) client(o rest.ClientOptions) *rest.Client {
	w.t.Helper()
	server := httptest.NewServer(w.handler)
	w.t.Cleanup(server.Close)
	o.Now = w.clock.Now
	c, err := rest.NewClient(server.URL, o)
	must(w.t, err)
	return c
}

func (w *world) adminClient() *rest.Client {
	return w.client(rest.ClientOptions{JWT: latchward.SecretFromText(adminJWT)})
}

// problem decodes a refusal and checks what all of them have in common.
func problem(t testing.TB, r *httptest.ResponseRecorder) httpauth.Problem {
	t.Helper()
	var p httpauth.Problem
	if err := json.Unmarshal(r.Body.Bytes(), &p); err != nil {
		t.Fatalf("status %d, body %q: %v", r.Code, r.Body, err)
	}
	if p.Status != r.Code || p.Error == "" || p.Code == "" || p.Title == "" {
		t.Errorf("status %d with an incomplete problem %+v", r.Code, p)
	}
	if media := r.Header().Get("Content-Type"); media != "application/problem+json; charset=utf-8" {
		t.Errorf("a problem has Content-Type %q", media)
	}
	return p
}

func decode[T any](t testing.TB, r *httptest.ResponseRecorder, status int) T {
	t.Helper()
	var value T
	if r.Code != status {
		t.Fatalf("status %d, want %d: %s", r.Code, status, r.Body)
	}
	must(t, json.Unmarshal(r.Body.Bytes(), &value))
	return value
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantCode(t testing.TB, err error, code latchward.Code, field string) {
	t.Helper()
	if latchward.ErrorCode(err) != code || latchward.ErrorField(err) != field {
		t.Errorf("error %v: want code %q and field %q", err, code, field)
	}
}

var errTest = errors.New("test")

// randomReader is not random, but never repeats.
type randomReader struct{}

func (randomReader) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(i*7 + 3)
	}
	return len(b), nil
}

var _ io.Reader = randomReader{}
