package httpauth_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
)

// recorder remembers what was recorded.
type recorder struct {
	mu     sync.Mutex
	events []latchward.UsageEvent
	full   bool
	got    chan struct{} // one for each event
}

func newRecorder() *recorder { return &recorder{got: make(chan struct{}, 100)} }

func (r *recorder) Record(e *latchward.UsageEvent) bool {
	r.mu.Lock()
	r.events = append(r.events, *e)
	r.mu.Unlock()
	r.got <- struct{}{}
	return !r.full
}

// only waits for the one event and returns it.
func (r *recorder) only(t *testing.T) latchward.UsageEvent {
	t.Helper()
	select {
	case <-r.got:
	case <-time.After(30 * time.Second):
		t.Fatal("nothing was recorded")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.events) != 1 {
		t.Fatalf("%d events were recorded", len(r.events))
	}
	return r.events[0]
}

// ticking returns a clock that advances a second with each reading.
func ticking() func() time.Time {
	var c clock
	return func() time.Time {
		c.advance(time.Second)
		return c.now()
	}
}

func serve(
	t *testing.T, v latchward.Verifier, o httpauth.Options, handler http.HandlerFunc, r *http.Request,
) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	httpauth.Require(v, o)(handler).ServeHTTP(w, r)
	return w
}

// S2-13, S2-30, S2-31, S5-07
func TestRequireServes(t *testing.T) {
	asked, usage := &verifier{verdict: *allowed()}, newRecorder()
	r := wire(http.MethodPost, "/api/products?store_id=1")
	r.Body = io.NopCloser(strings.NewReader("0123456789"))
	r.Header.Set("User-Agent", "test/1")
	o := httpauth.Options{Base: "/api", Recorder: usage, Now: ticking()}
	w := serve(t, asked, o, func(w http.ResponseWriter, r *http.Request) {
		v, ok := latchward.VerdictFrom(r.Context())
		if !ok || !v.Allowed() || v.Token.ID != 7 || v.Subject.ID != 3 || v.Path != "/products" {
			t.Errorf("verdict in the context: %+v, %v", v, ok)
		}
		if body, err := io.ReadAll(r.Body); string(body) != "0123456789" || err != nil {
			t.Errorf("body %q, %v", body, err)
		}
		if r.URL.Path != "/api/products" || r.Header.Get("Authorization") == "" {
			t.Error("the handler got another request")
		}
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, "created")
	}, r)
	if w.Code != 201 || w.Body.String() != "created" || w.Header().Get("X-RateLimit-Remaining") != "37" {
		t.Errorf("status %d, body %q, headers %v", w.Code, w.Body, w.Header())
	}
	want := latchward.UsageEvent{
		At: epoch.Add(2 * time.Second), TokenID: 7, Credential: latchward.CredentialToken, Reason: latchward.ReasonAllowed,
		Endpoint: "/products", Method: "POST", Status: 201, Duration: time.Second, RequestBytes: 10, ResponseBytes: 7,
		Address: addr("203.0.113.5"), UserAgent: "test/1",
	}
	if got := usage.only(t); got != want {
		t.Errorf("recorded %+v, want %+v", got, want)
	}
}

// S2-41
func TestRequireServesPerson(t *testing.T) {
	usage := newRecorder()
	r := wire(http.MethodGet, "/products")
	r.Header.Set("Authorization", "Bearer a.b.c")
	people := &persons{jwt: "a.b.c", principal: latchward.Principal{Type: latchward.PrincipalUser, ID: 3, Name: "Ada"}}
	o := httpauth.Options{Persons: people, Recorder: usage}
	w := serve(t, &verifier{}, o, func(w http.ResponseWriter, r *http.Request) {
		v, ok := latchward.VerdictFrom(r.Context())
		if !ok || v.Token.ID != 0 || v.Subject != (latchward.Subject{Type: "user", ID: 3, Name: "Ada"}) {
			t.Errorf("verdict in the context: %+v, %v", v, ok)
		}
	}, r)
	if w.Code != 200 || w.Header().Get("X-RateLimit-Limit") != "" {
		t.Errorf("status %d, headers %v", w.Code, w.Header())
	}
	e := usage.only(t)
	if e.Credential != latchward.CredentialJWT || e.TokenID != 0 || e.UserID != 3 || e.Status != 200 {
		t.Errorf("recorded %+v", e)
	}
}

// S2-13: limit headers are on the resource's own failures, too
func TestRequireSetsLimitHeadersOnFailures(t *testing.T) {
	for _, status := range []int{304, 404, 422, 500, 503} {
		w := serve(t, &verifier{verdict: *allowed()}, httpauth.Options{}, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
		}, wire(http.MethodGet, "/products"))
		if w.Code != status || w.Header().Get("X-RateLimit-Remaining") != "37" || w.Header().Get("RateLimit") == "" {
			t.Errorf("%d: status %d, headers %v", status, w.Code, w.Header())
		}
	}
}

// S3-12, S1-17, X-17: a refusal comes before the handler and before the body, and is recorded when the secret is proven
func TestRequireRefuses(t *testing.T) {
	token := latchward.VerdictToken{ID: 7}
	for _, reason := range latchward.Reasons() {
		if reason == latchward.ReasonAllowed {
			continue
		}
		v := latchward.Verdict{Reason: reason, At: epoch}
		if !reason.Unproven() {
			v.Token = token
		}
		usage, body := newRecorder(), &unread{t: t}
		r := wire(http.MethodPost, "/products")
		r.Body, r.ContentLength = body, 50<<20
		w := serve(t, &verifier{verdict: v}, httpauth.Options{Recorder: usage, Now: ticking()}, forbidden(t), r)
		if w.Code != httpauth.StatusOf(reason) {
			t.Errorf("%s: status %d", reason, w.Code)
		}
		if reason.Unproven() {
			if len(usage.events) != 0 {
				t.Errorf("%s: recorded %+v", reason, usage.events)
			}
			continue
		}
		want := latchward.UsageEvent{
			At: epoch.Add(2 * time.Second), TokenID: 7, Credential: latchward.CredentialToken, Reason: reason,
			Endpoint: "/products", Method: "POST", Status: w.Code, Duration: time.Second,
			ResponseBytes: int64(w.Body.Len()), Address: addr("203.0.113.5"),
		}
		if got := usage.only(t); got != want {
			t.Errorf("%s: recorded %+v, want %+v", reason, got, want)
		}
	}
}

func forbidden(t *testing.T) http.HandlerFunc {
	return func(http.ResponseWriter, *http.Request) { t.Error("the handler ran") }
}

type unread struct{ t *testing.T }

func (b *unread) Read([]byte) (int, error) {
	b.t.Error("the body was read")
	return 0, io.EOF
}

func (b *unread) Close() error { return nil }

// optional means that a credential may be absent, not that it may be bad
func TestRequireOptional(t *testing.T) {
	const token, none = "Bearer abc", ""
	for _, test := range []struct {
		header string
		reason latchward.Reason // of the Verifier
		status int
		want   latchward.Reason // in the context; "" = not served
	}{
		{none, latchward.ReasonAllowed, 200, latchward.ReasonMissing},
		{token, latchward.ReasonAllowed, 200, latchward.ReasonAllowed},
		{token, latchward.ReasonNotFound, 401, ""},
		{token, latchward.ReasonExpired, 401, ""},
		{token, latchward.ReasonRateLimited, 429, ""},
		{"Basic abc", latchward.ReasonAllowed, 401, ""},
		{"Bearer a, Bearer b", latchward.ReasonAllowed, 400, ""},
		{"Bearer a.b.c", latchward.ReasonAllowed, 401, ""},
	} {
		r := wire(http.MethodGet, "/products")
		r.Header.Del("Authorization")
		if test.header != none {
			r.Header.Set("Authorization", test.header)
		}
		usage, got := newRecorder(), latchward.Reason("")
		asked := &verifier{verdict: latchward.Verdict{Reason: test.reason, At: epoch}}
		w := serve(t, asked, httpauth.Options{Optional: true, Recorder: usage}, func(_ http.ResponseWriter, r *http.Request) {
			v, _ := latchward.VerdictFrom(r.Context())
			got = v.Reason
		}, r)
		if w.Code != test.status || got != test.want || len(usage.events) != 0 {
			t.Errorf("%q, %s: status %d, %q in the context, recorded %v", test.header, test.reason, w.Code, got, usage.events)
		}
	}
}

// C-02
func TestRequireGuard(t *testing.T) {
	asked := &verifier{verdict: latchward.Verdict{Reason: latchward.ReasonMalformed}}
	require := httpauth.Require(asked, httpauth.Options{Guard: httpauth.NewGuard(2, nil)})
	handler := require(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	status := func(r *http.Request) int {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w.Code
	}
	for i, want := range []int{401, 401, 429, 429} {
		if got := status(wire(http.MethodGet, "/products")); got != want {
			t.Errorf("attempt %d: %d", i, got)
		}
	}
	elsewhere := wire(http.MethodGet, "/products")
	elsewhere.RemoteAddr = "198.51.100.7:1"
	if got := status(elsewhere); got != 401 {
		t.Errorf("from another address: %d", got)
	}
	asked.verdict = *allowed()
	if got := status(wire(http.MethodGet, "/products")); got != 200 {
		t.Errorf("a valid token from an exhausted address: %d", got)
	}
}

// bar conventions: what cannot be decided is 503, and only then can it be let through
func TestRequireOnError(t *testing.T) {
	invalid := latchward.Invalid("cost", "can never pass")
	for _, test := range []struct {
		name   string
		err    error
		target string
		mode   httpauth.OnError
		status int
		served bool
	}{
		{"unavailable", latchward.Errorf(latchward.CodeUnavailable, "down"), "/api", httpauth.OnErrorRefuse, 503, false},
		{"unknown", errors.New("down"), "/api", httpauth.OnErrorRefuse, 503, false},
		{"invalid", invalid, "/api", httpauth.OnErrorRefuse, 400, false},
		{"outside", nil, "/other", httpauth.OnErrorRefuse, 404, false},
		{"unavailable", latchward.Errorf(latchward.CodeUnavailable, "down"), "/api", httpauth.OnErrorAllow, 200, true},
		{"unknown", errors.New("down"), "/api", httpauth.OnErrorAllow, 200, true},
		{"invalid", invalid, "/api", httpauth.OnErrorAllow, 400, false},
		{"outside", nil, "/other", httpauth.OnErrorAllow, 404, false},
	} {
		usage, served := newRecorder(), false
		o := httpauth.Options{Base: "/api", OnError: test.mode, Recorder: usage}
		r := wire(http.MethodGet, test.target)
		r.Header.Set("X_Latchward_Subject", "user:1")
		w := serve(t, &verifier{err: test.err, verdict: *allowed()}, o, func(_ http.ResponseWriter, r *http.Request) {
			served = true
			if _, ok := latchward.VerdictFrom(r.Context()); ok || r.Header["X_Latchward_Subject"] != nil {
				t.Errorf("%s: a verdict or identity from nowhere", test.name)
			}
		}, r)
		if w.Code != test.status || served != test.served || len(usage.events) != 0 {
			t.Errorf("%s, mode %d: status %d, served %v, recorded %v", test.name, test.mode, w.Code, served, usage.events)
		}
		if (w.Code == 503) != (w.Header().Get("Retry-After") != "") {
			t.Errorf("%s: Retry-After %q", test.name, w.Header().Get("Retry-After"))
		}
	}
}

// bar 90: nobody but us says who is asking
func TestRequireStripsIdentity(t *testing.T) {
	r := wire(http.MethodGet, "/products")
	r.Header["X_Latchward_Subject"] = []string{"user:1"}
	r.Header.Set("X-Latchward-Owner", "user:1")
	r.Header.Set("Accept", "*/*")
	serve(t, &verifier{verdict: *allowed()}, httpauth.Options{}, func(_ http.ResponseWriter, r *http.Request) {
		if len(r.Header) != 2 || r.Header.Get("Accept") != "*/*" {
			t.Errorf("headers %v", r.Header)
		}
	}, r)
}

// A request without a body stays one.
func TestRequireWithoutBody(t *testing.T) {
	for _, body := range []io.ReadCloser{nil, http.NoBody} {
		r := wire(http.MethodGet, "/")
		r.Body = body
		serve(t, &verifier{verdict: *allowed()}, httpauth.Options{}, func(_ http.ResponseWriter, r *http.Request) {
			if r.Body != body {
				t.Errorf("body %T became %T", body, r.Body)
			}
		}, r)
	}
}

// A recorder that is full, or none at all, does not change the answer (S2-31).
func TestRequireWithoutRecorder(t *testing.T) {
	full := newRecorder()
	full.full = true
	for _, o := range []httpauth.Options{{}, {Recorder: full}} {
		idle := func(http.ResponseWriter, *http.Request) {}
		w := serve(t, &verifier{verdict: *allowed()}, o, idle, wire(http.MethodGet, "/"))
		if w.Code != 200 {
			t.Errorf("status %d", w.Code)
		}
	}
}

func TestRequireWithoutVerifier(t *testing.T) {
	for name, require := range map[string]func(){
		"no verifier": func() { httpauth.Require(nil, httpauth.Options{}) },
		"bad base":    func() { httpauth.Require(&verifier{}, httpauth.Options{Base: "api"}) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: accepted", name)
				}
			}()
			require()
		}()
	}
}

// The Verifier is asked in the context of the request.
func TestRequireContext(t *testing.T) {
	type key struct{}
	ctx := context.WithValue(t.Context(), key{}, "value")
	v := verifyFunc(func(ctx context.Context, _ latchward.VerifyRequest) (latchward.Verdict, error) {
		if ctx.Value(key{}) != "value" {
			t.Error("asked in another context")
		}
		return *allowed(), nil
	})
	serve(t, v, httpauth.Options{}, func(_ http.ResponseWriter, r *http.Request) {
		if r.Context().Value(key{}) != "value" {
			t.Error("served in another context")
		}
	}, wire(http.MethodGet, "/").WithContext(ctx))
}

type verifyFunc func(context.Context, latchward.VerifyRequest) (latchward.Verdict, error)

func (f verifyFunc) Verify(ctx context.Context, r latchward.VerifyRequest) (latchward.Verdict, error) {
	return f(ctx, r)
}
