package server

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/gateway"
	"github.com/latchward/latchward/journal"
	"github.com/latchward/latchward/latchtest"
	"github.com/latchward/latchward/memory"
)

// fragile is a Verifier that panics while it is told to.
type fragile struct {
	latchward.Verifier
	panics atomic.Bool
}

func (f *fragile) Verify(ctx context.Context, r latchward.VerifyRequest) (latchward.Verdict, error) {
	if f.panics.Load() {
		panic("marked-secret")
	}
	return f.Verifier.Verify(ctx, r)
}

// bar 131: a panic behind the gateway is answered with 500, told in the log and counted; it lets nothing through, takes
// nothing of the limit, and the connection goes on.
func TestGatewayPanics(t *testing.T) {
	var log bytes.Buffer
	var forwarded atomic.Int32
	upstream := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { forwarded.Add(1) }))
	defer upstream.Close()
	verifier := &fragile{}
	s, secret := gatewayServer(t, &log, upstream.URL, verifier)
	server := httptest.NewServer(s.route(http.NotFoundHandler(), nil))
	defer server.Close()
	client := server.Client()
	var reused bool
	trace := &httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) { reused = c.Reused }}
	ask := func() *http.Response {
		r, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), "GET", server.URL+"/api/a", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+secret)
		response, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		var body bytes.Buffer
		_, _ = body.ReadFrom(response.Body)
		if strings.Contains(body.String(), "marked-secret") {
			t.Errorf("the client is told %s", &body)
		}
		return response
	}
	verifier.panics.Store(true)
	response := ask()
	if response.StatusCode != 500 || !strings.HasPrefix(response.Header.Get("Content-Type"), "application/problem+json") {
		t.Errorf("%d %v", response.StatusCode, response.Header)
	}
	if text := log.String(); strings.Count(text, "A handler panicked.") != 1 || strings.Contains(text, "marked-secret") {
		t.Errorf("log: %s", text)
	}
	if n := s.countOf(t, "gateway", "5xx"); n != 1 || forwarded.Load() != 0 {
		t.Errorf("%v are counted as 5xx, %d reached the upstream", n, forwarded.Load())
	}
	verifier.panics.Store(false)
	response = ask()
	if response.StatusCode != 200 || !reused || response.Header.Get("X-RateLimit-Remaining") != "4" || forwarded.Load() != 1 {
		t.Errorf("after that: %d %v, the same connection: %v", response.StatusCode, response.Header, reused)
	}
}

// countOf returns how many requests are counted for a surface and class.
func (s *Server) countOf(t *testing.T, surface, class string) (n float64) {
	t.Helper()
	families, err := s.metrics.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			labels := m.GetLabel()
			if family.GetName() == "latchward_http_requests_total" && labels[0].GetValue() == class && labels[1].GetValue() == surface {
				n += m.GetCounter().GetValue()
			}
		}
	}
	return n
}

// gatewayServer returns a server with a gateway in front of the upstream, and the secret of a token with a limit of 5.
func gatewayServer(t *testing.T, log *bytes.Buffer, upstream string, verifier *fragile) (s *Server, secret string) {
	t.Helper()
	keys, err := latchward.GenerateKeyRing(latchtest.Seeded(1), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	s = testServer(log)
	if s.service, err = latchward.New(t.Context(), latchward.Options{Store: memory.New(), Keys: keys}); err != nil {
		t.Fatal(err)
	}
	if s.journal, err = journal.Open(t.TempDir(), journal.Options{RingBytes: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.journal.Close() })
	verifier.Verifier = s.service
	target, err := url.Parse(upstream)
	if err != nil {
		t.Fatal(err)
	}
	s.gateway, err = gateway.New(gateway.Options{
		Verifier: verifier, Recorder: s.service, Base: "/api", Upstreams: []gateway.Upstream{{Prefix: "/", URL: target}},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.metrics = newMetrics(s)
	local := latchtest.Local(t.Context())
	if _, err := s.service.CreateUser(local, latchward.NewUser{Name: "ada", Administrator: true}); err != nil {
		t.Fatal(err)
	}
	issued, err := s.service.CreateToken(local, latchward.NewToken{RateLimit: 5})
	if err != nil {
		t.Fatal(err)
	}
	return s, issued.Secret.Expose()
}
