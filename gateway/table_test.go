package gateway_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/gateway"
	"github.com/latchward/latchward/httpauth"
	"github.com/latchward/latchward/latchtest"
	"github.com/latchward/latchward/memory"
)

// The table of verdicts, asked through the gateway: every allowed request reaches the upstream at the path that was
// judged, and no other does.
func TestVerdicts(t *testing.T) {
	newStore := func(*testing.T) latchward.Store { return memory.New() }
	latchtest.RunVerifyTable(t, "../testdata/verify", newStore, func(t *testing.T, s *latchward.Service, now func() time.Time) latchtest.Surface {
		u := startUpstream(t, nil)
		g, err := gateway.New(gateway.Options{
			Verifier: s, Base: "/api", Upstreams: []gateway.Upstream{{Prefix: "/", URL: u.url("/v1")}}, Now: now,
		})
		if err != nil {
			t.Fatal(err)
		}
		surface := &surface{t: t, service: s, gateway: g, upstream: u}
		return latchtest.Surface{Public: true, Verify: surface.verify}
	})
}

type surface struct {
	t        *testing.T
	service  *latchward.Service
	gateway  *gateway.Gateway
	upstream *upstream
}

// verify asks the gateway what it can be asked. It has no way to ask for rights or a cost, and a request always
// has a method, path and address: those steps go to the service, so that what they change is changed.
func (s *surface) verify(ctx context.Context, r latchward.VerifyRequest) (latchward.Reason, int64, error) {
	if len(r.Permissions)+len(r.Licenses) > 0 || !r.Query.IsZero() || r.Cost > 0 || r.Method == "" || r.Path == "" {
		v, err := s.service.Verify(ctx, r)
		return v.Reason, v.Limit.Remaining, err
	}
	request := &http.Request{
		Method: r.Method, RequestURI: "/api" + r.Path, URL: &url.URL{Path: "/api" + r.Path}, Host: "api.example.com",
		Header: http.Header{}, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, RemoteAddr: "@", Body: http.NoBody,
	}
	if r.Address.IsValid() {
		request.RemoteAddr = netip.AddrPortFrom(r.Address, 4711).String()
	}
	if !r.Secret.IsZero() {
		request.Header.Set("Authorization", "Bearer "+r.Secret.Expose())
	}
	w := httptest.NewRecorder()
	s.gateway.ServeHTTP(w, request.WithContext(ctx))
	return s.reason(r, w), remaining(w.Header()), nil
}

// reason returns what the answer says, and checks it against what the upstream saw.
func (s *surface) reason(r latchward.VerifyRequest, w *httptest.ResponseRecorder) latchward.Reason {
	taken := s.upstream.take()
	if w.Code == http.StatusOK {
		path, err := latchward.CanonicalPath(r.Path)
		if err != nil || len(taken) != 1 || taken[0].target != "/v1"+path || taken[0].method != r.Method {
			s.t.Errorf("%s %s: the upstream saw %+v", r.Method, r.Path, taken)
		}
		return latchward.ReasonAllowed
	}
	if len(taken) != 0 {
		s.t.Errorf("%s %s is answered with %d, and the upstream saw %+v", r.Method, r.Path, w.Code, taken)
	}
	var problem httpauth.Problem
	if err := json.Unmarshal(w.Body.Bytes(), &problem); err != nil {
		s.t.Errorf("%s %s: %v in %q", r.Method, r.Path, err, w.Body)
	}
	if problem.Code == "invalid_token" { // for all that is not to be told
		return latchward.ReasonNotFound
	}
	return latchward.Reason(problem.Code)
}

func remaining(h http.Header) int64 {
	n, err := strconv.ParseInt(h.Get("X-RateLimit-Remaining"), 10, 64)
	if err != nil {
		return -1
	}
	return n
}
