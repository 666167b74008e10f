package rest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/latchward/latchward"
)

// ordered is a JSON value whose objects keep the order of their members.
type ordered struct {
	names   []string
	members map[string]ordered
	items   []ordered
	literal string // of anything else, as it was written
}

func parseOrdered(t testing.TB, text string) ordered {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	return readOrdered(t, d)
}

func readOrdered(t testing.TB, d *json.Decoder) ordered {
	t.Helper()
	token, err := d.Token()
	must(t, err)
	switch token {
	case json.Delim('{'):
		o := ordered{members: map[string]ordered{}}
		for d.More() {
			name, err := d.Token()
			must(t, err)
			o.names = append(o.names, name.(string))
			o.members[name.(string)] = readOrdered(t, d)
		}
		_, err = d.Token()
		must(t, err)
		return o
	case json.Delim('['):
		o := ordered{items: []ordered{}}
		for d.More() {
			o.items = append(o.items, readOrdered(t, d))
		}
		_, err = d.Token()
		must(t, err)
		return o
	}
	return ordered{literal: fmt.Sprintf("%T %v", token, token)}
}

// wantSource checks that got is as the source shows it: every member of want is there with that value, in that order;
// further members may follow behind (S2-21).
func wantSource(t testing.TB, got *bytes.Buffer, want string) {
	t.Helper()
	compareOrdered(t, "", parseOrdered(t, got.String()), parseOrdered(t, want))
}

func compareOrdered(t testing.TB, at string, got, want ordered) {
	t.Helper()
	if got.literal != want.literal || len(got.items) != len(want.items) || (got.members == nil) != (want.members == nil) {
		t.Errorf("%s is %+v, want %+v", at, got, want)
		return
	}
	for i := range want.items {
		compareOrdered(t, fmt.Sprintf("%s[%d]", at, i), got.items[i], want.items[i])
	}
	next := 0
	for _, name := range want.names {
		for next < len(got.names) && got.names[next] != name {
			next++
		}
		if next == len(got.names) {
			t.Errorf("%s has the members %v: %s is missing or out of order", at, got.names, name)
			return
		}
		compareOrdered(t, at+"."+name, got.members[name], want.members[name])
	}
}

const sourceBody = `{
"name": "WordPress Plugin - Main Site",
"description": "Token for the main WordPress website",
"rate_limit": 200,
"expires_at": "2026-12-31",
"allowed_endpoints": ["/products*", "/stores*", "/categories*"]
}`

// S2-01, S2-02, S2-03, S2-04, S2-06
func TestCreateAsTheSourceShows(t *testing.T) {
	w := newWorld(t, nil)
	r := w.do(http.MethodPost, "/api/api-tokens", adminJWT, sourceBody)
	if r.Code != http.StatusCreated {
		t.Fatalf("status %d: %s", r.Code, r.Body)
	}
	secret := parseOrdered(t, r.Body.String()).members["token"].members["token"].literal
	secret = strings.TrimPrefix(secret, "string ")
	if !strings.HasPrefix(secret, "lw_") || len(secret) != 53 {
		t.Errorf("the secret has %d characters", len(secret))
	}
	wantSource(t, r.Body, `{
"token": {
"id": 1,
"name": "WordPress Plugin - Main Site",
"token": "`+secret+`",
"description": "Token for the main WordPress website",
"active": true,
"rate_limit": 200,
"allowed_endpoints": ["/products*", "/stores*", "/categories*"],
"expires_at": "2026-12-31T00:00:00.000Z",
"created_at": "2025-01-15T10:30:00.000Z"
},
"message": "API token created successfully. Save this token securely - it cannot be retrieved later."
}`)
	if got := r.Header().Get("Cache-Control"); got != "no-store, no-cache, must-revalidate" { // C-03
		t.Errorf("Cache-Control is %q", got)
	}
	if got := r.Header().Get("Pragma"); got != "no-cache" {
		t.Errorf("Pragma is %q", got)
	}
	wantSource(t, w.do(http.MethodPost, "/api/api-tokens", adminJWT, `{"name":"Bare"}`).Body, `{"token":{"id":2,
"name":"Bare","description":null,"active":true,"rate_limit":100,"allowed_endpoints":null,"expires_at":null}}`)
}

// S2-20, S2-39: the use cases, verbatim; two of them have expired by the time they are created.
func TestPresetsAsTheSourceShows(t *testing.T) {
	w := newWorld(t, nil)
	w.clock.advance(365 * 24 * time.Hour)
	for _, body := range []string{
		`{"name": "Mobile App","rate_limit": 500}`,
		`{"name": "Temporary Integration","expires_at": "2025-12-31"}`,
		`{"name": "WordPress - example.com","description": "Main WordPress website integration","rate_limit": 200,
"allowed_endpoints": ["/products*", "/stores*", "/categories*"]}`,
		`{"name": "iOS App - Production","description": "Production iOS application","rate_limit": 500,
"allowed_endpoints": null}`,
		`{"name": "Partner ABC - Integration","description": "Third-party partner integration","rate_limit": 100,
"allowed_endpoints": ["/products*"],"expires_at": "2025-12-31"}`,
		`{"name": "Development - Local Testing","description": "For local development and testing","rate_limit": 1000,
"expires_at": "2025-06-30"}`,
	} {
		r := w.do(http.MethodPost, "/api/api-tokens", adminJWT, body)
		if r.Code != http.StatusCreated {
			t.Errorf("%s: status %d: %s", body, r.Code, r.Body)
		}
		warned := strings.Contains(r.Body.String(), `"warnings":["expires_at is in the past`)
		if warned != strings.Contains(body, "expires_at") { // S2-08
			t.Errorf("%s: warned is %v: %s", body, warned, r.Body)
		}
	}
}

// record adds n requests of a token.
func (w *world) record(n int, e latchward.UsageEvent) {
	e.Credential = latchward.CredentialToken
	if e.Reason == "" {
		e.Reason = latchward.ReasonAllowed
	}
	for range n {
		event := e
		if !w.service.Record(&event) {
			w.t.Fatal("usage was not accepted")
		}
	}
}

// S2-21, S2-28: the numbers of the example, which are older than the token itself.
func TestListAsTheSourceShows(t *testing.T) {
	w := newWorld(t, nil)
	w.do(http.MethodPost, "/api/api-tokens", adminJWT, sourceBody)
	w.clock.advance(2*time.Hour + 15*time.Minute)
	now := w.clock.Now()
	get := latchward.UsageEvent{TokenID: 1, Endpoint: "/products", Method: "GET", Status: 200, At: now}
	w.record(1247, get)
	get.At = now.Add(-72 * time.Hour)
	w.record(8932-1247, get)
	get.At = now.Add(-20 * 24 * time.Hour)
	w.record(45123-8932, get)
	r := w.do(http.MethodGet, "/api/api-tokens", adminJWT, "")
	wantSource(t, r.Body, `{
"tokens": [
{
"id": 1,
"name": "WordPress Plugin - Main Site",
"description": "Token for the main WordPress website",
"active": true,
"rate_limit": 200,
"last_used_at": "2025-01-15T12:45:00.000Z",
"created_at": "2025-01-15T10:30:00.000Z",
"requests_24h": 1247,
"requests_7d": 8932,
"total_requests": 45123
}
]
}`)
}

// S2-22, S2-23, S2-24, S2-42
func TestUpdateAndDeleteAsTheSourceShows(t *testing.T) {
	w := newWorld(t, nil)
	w.do(http.MethodPost, "/api/api-tokens", adminJWT, sourceBody)
	w.clock.advance(time.Minute)
	r := w.do(http.MethodPut, "/api/api-tokens/1", adminJWT, `{
"name": "WordPress Plugin - Main Site (Updated)",
"active": false,
"rate_limit": 300
}`)
	const changed = `{"token":{
"id": 1,
"name": "WordPress Plugin - Main Site (Updated)",
"description": "Token for the main WordPress website",
"active": false,
"rate_limit": 300,
"allowed_endpoints": ["/products*", "/stores*", "/categories*"],
"expires_at": "2026-12-31T00:00:00.000Z",
"last_used_at": null,
"created_at": "2025-01-15T10:30:00.000Z",
"updated_at": "2025-01-15T10:31:00.000Z",
"kind": "personal", "status": "inactive", "inactive_reason": "manual"`
	wantSource(t, r.Body, changed+`}, "message": "API token updated successfully"}`)
	wantSource(t, w.do(http.MethodGet, "/api/api-tokens/1", adminJWT, "").Body, changed+`}}`)
	r = w.do(http.MethodDelete, "/api/api-tokens/1", adminJWT, "")
	wantSource(t, r.Body, `{"message": "API token deleted successfully"}`)
	if r = w.do(http.MethodDelete, "/api/api-tokens/1", adminJWT, ""); r.Code != http.StatusNotFound {
		t.Errorf("deleting again: status %d", r.Code)
	}
	wantSource(t, r.Body, `{"error": "Token not found"}`)
}

// S2-26, S2-28
func TestUsageAsTheSourceShows(t *testing.T) {
	w := newWorld(t, nil)
	w.do(http.MethodPost, "/api/api-tokens", adminJWT, sourceBody)
	w.clock.advance(2*time.Hour + 15*time.Minute + 30*time.Second)
	at := time.Date(2025, 1, 15, 12, 10, 0, 0, time.UTC)
	e := latchward.UsageEvent{TokenID: 1, Endpoint: "/stores", Method: "GET", Status: 200, At: at}
	e.Duration = 89 * time.Millisecond
	w.record(60, e)
	e.Endpoint, e.Duration = "/products", 139*time.Millisecond
	w.record(182, e)
	e.Status, e.Duration = 500, 176*time.Millisecond
	w.record(2, e)
	e = latchward.UsageEvent{
		TokenID: 1, Endpoint: "/products", Method: "GET", Status: 200, Duration: 145 * time.Millisecond,
		At: time.Date(2025, 1, 15, 12, 45, 30, 0, time.UTC), Address: netip.MustParseAddr("192.168.1.100"),
		RequestBytes: 12, ResponseBytes: 3456, UserAgent: "curl/8",
	}
	w.record(1, e)
	r := w.do(http.MethodGet, "/api/api-tokens/1/usage?days=7", adminJWT, "")
	got := parseOrdered(t, r.Body.String())
	if n := len(got.members["recent_requests"].items); n != 50 { // S2-42
		t.Errorf("%d recent requests", n)
	}
	recent := got.members["recent_requests"]
	recent.items = recent.items[:1]
	got.members["recent_requests"] = recent
	compareOrdered(t, "", got, parseOrdered(t, `{
"hourly_usage": [
{
"hour": "2025-01-15T12:00:00.000Z",
"requests": 245,
"avg_response_time": 127,
"successful_requests": 243,
"failed_requests": 2
}
],
"endpoint_usage": [
{
"endpoint": "/products",
"method": "GET",
"requests": 185,
"avg_response_time": 139
},
{
"endpoint": "/stores",
"method": "GET",
"requests": 60,
"avg_response_time": 89
}
],
"recent_requests": [
{
"endpoint": "/products",
"method": "GET",
"status_code": 200,
"response_time_ms": 145,
"ip_address": "192.168.1.100",
"created_at": "2025-01-15T12:45:30.000Z",
"request_size": 12, "response_size": 3456, "user_agent": "curl/8", "reason": "allowed"
}
]
}`))
}

// S2-27, S2-28, S2-41
func TestOverviewAsTheSourceShows(t *testing.T) {
	w := newWorld(t, nil)
	w.do(http.MethodPost, "/api/api-tokens", adminJWT, sourceBody)
	w.do(http.MethodPost, "/api/api-tokens", adminJWT, `{"name":"Mobile App","rate_limit":500}`)
	now := w.clock.Now()
	e := latchward.UsageEvent{TokenID: 1, Endpoint: "/products", Method: "GET", Status: 200, At: now}
	e.Duration = 134 * time.Millisecond
	w.record(30, e)
	e.TokenID, e.Endpoint, e.Duration = 2, "/stores", 100*time.Millisecond
	w.record(9, e)
	e.Status = 404
	w.record(1, e)
	jwt := latchward.UsageEvent{
		UserID: w.member.ID, Credential: latchward.CredentialJWT, Reason: latchward.ReasonAllowed, At: now,
		Endpoint: "/products", Method: "GET", Status: 200, Duration: 34 * time.Millisecond,
	}
	w.service.Record(&jwt)
	r := w.do(http.MethodGet, "/api/api-tokens/stats/overview?days=7", adminJWT, "")
	wantSource(t, r.Body, `{
"overview": {
"active_tokens": 2,
"total_requests": 41,
"avg_response_time": 123,
"successful_requests": 40,
"failed_requests": 1
},
"top_tokens": [
{
"id": 1,
"name": "WordPress Plugin - Main Site",
"requests": 30,
"avg_response_time": 134
},
{
"id": 2,
"name": "Mobile App",
"requests": 10,
"avg_response_time": 100
}
],
"top_endpoints": [
{
"endpoint": "/products",
"method": "GET",
"requests": 31,
"avg_response_time": 131
},
{
"endpoint": "/stores",
"method": "GET",
"requests": 10,
"avg_response_time": 100
}
],
"jwt": {"total_requests": 1, "avg_response_time": 34, "successful_requests": 1, "failed_requests": 0}
}`)
}

// S2-29, S2-42: nothing yet is empty lists and zeros.
func TestNoUsage(t *testing.T) {
	w := newWorld(t, nil)
	w.do(http.MethodPost, "/api/api-tokens", adminJWT, `{}`)
	wantSource(t, w.do(http.MethodGet, "/api/api-tokens/1/usage", adminJWT, "").Body,
		`{"hourly_usage":[],"endpoint_usage":[],"recent_requests":[]}`)
	wantSource(t, w.do(http.MethodGet, "/api/api-tokens/stats/overview", adminJWT, "").Body,
		`{"overview":{"active_tokens":1,"total_requests":0,"avg_response_time":0,"successful_requests":0,
"failed_requests":0},"top_tokens":[],"top_endpoints":[]}`)
	wantSource(t, w.do(http.MethodGet, "/api/api-tokens?kind=service", adminJWT, "").Body,
		`{"tokens":[],"next_cursor":null}`)
}
