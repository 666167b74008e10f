package rest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
	"github.com/latchward/latchward/rest"
)

func createToken(w *world, body string) rest.Token {
	w.t.Helper()
	return decode[rest.TokenReply](w.t, w.do(http.MethodPost, "/api/api-tokens", adminJWT, body), http.StatusCreated).Token
}

// S2-02, S2-08, X-22, bar 105: each is refused, and names the member at fault.
func TestInvalidTokens(t *testing.T) {
	w := newPopulated(t)
	before := w.do(http.MethodGet, "/api/api-tokens", adminJWT, "").Body.String()
	for body, field := range map[string]string{
		`{"name":1}`:                                            "name",
		`{"name":["x"]}`:                                        "name",
		`{"name":"a\u0000b"}`:                                   "name",
		`{"description":{}}`:                                    "description",
		`{"rate_limit":0}`:                                      "rate_limit",
		`{"rate_limit":-5}`:                                     "rate_limit",
		`{"rate_limit":1.5}`:                                    "rate_limit",
		`{"rate_limit":1e2}`:                                    "rate_limit",
		`{"rate_limit":"100"}`:                                  "rate_limit",
		`{"rate_limit":true}`:                                   "rate_limit",
		`{"rate_limit":10000001}`:                               "rate_limit",
		`{"rate_limit":9223372036854775808}`:                    "rate_limit",
		`{"expires_at":"31.12.2026"}`:                           "expires_at",
		`{"expires_at":"2026-12-31T18:00:00"}`:                  "expires_at", // without a zone
		`{"expires_at":"2026-02-30"}`:                           "expires_at",
		`{"expires_at":"0001-01-01"}`:                           "expires_at",
		`{"expires_at":"0001-01-01T00:00:00Z"}`:                 "expires_at",
		`{"expires_at":1798675200}`:                             "expires_at",
		`{"expires_at":""}`:                                     "expires_at",
		`{"not_before":"soon"}`:                                 "not_before",
		`{"not_before":"2027-01-01","expires_at":"2026-01-01"}`: "not_before",
		`{"allowed_endpoints":"/products"}`:                     "allowed_endpoints",
		`{"allowed_endpoints":[null]}`:                          "allowed_endpoints[0]",
		`{"allowed_endpoints":["/a",["/b"]]}`:                   "allowed_endpoints[1]",
		`{"allowed_endpoints":[""]}`:                            "allowed_endpoints[0]",
		`{"allowed_endpoints":["/a","products"]}`:               "allowed_endpoints[1]",
		`{"allowed_networks":["10.0.0.0/33"]}`:                  "allowed_networks[0]",
		`{"allowed_networks":["10.0.0.1","example"]}`:           "allowed_networks[1]",
		`{"permissions":["Orders"]}`:                            "permissions[0]",
		`{"kind":"admin"}`:                                      "kind",
		`{"kind":""}`:                                           "kind",
		`{"owner":{"id":"1"}}`:                                  "owner.id",
		`{"owner":{"id":0}}`:                                    "owner.id",
		`{"owner":{"type":"group","id":1}}`:                     "owner",
		`{"owner":{"type":"robot","id":1}}`:                     "owner.type",
		`{"roles":["administrator"]}`:                           "kind",
		`{"unbound":true}`:                                      "unbound",
		`{"owner":{"id":1,"name":"x"}}`:                         "owner.name",
		`{"owner":{}}`:                                          "owner.id",
		`{"owner":{"id":99}}`:                                   "owner",
		`{"idle_timeout_days":0}`:                               "idle_timeout_days",
		`{"idle_timeout_days":3651}`:                            "idle_timeout_days",
		`{"tags":[""]}`:                                         "tags[0]",
		`{"metadata":[]}`:                                       "metadata",
		`{"metadata":{"a":{"b":1,"b":2}}}`:                      "metadata",
		`{"metadata":{"a":"` + strings.Repeat("x", latchward.MaxMetadataSize) + `"}}`: "metadata",
		`{"id":7}`:                             "id",
		`{"token":"lw_mine"}`:                  "token",
		`{"token_prefix":"lw_"}`:               "token_prefix",
		`{"active":false}`:                     "active",
		`{"user_id":2}`:                        "user_id",
		`{"owner_id":2}`:                       "owner_id",
		`{"hash":"x"}`:                         "hash",
		`{"created_at":"2020-01-01"}`:          "created_at",
		`{"updated_at":"2020-01-01"}`:          "updated_at",
		`{"last_used_at":null}`:                "last_used_at",
		`{"total_requests":0}`:                 "total_requests",
		`{"status":"active"}`:                  "status",
		`{"revoked_at":null}`:                  "revoked_at",
		`{"Name":"x"}`:                         "Name",
		`{"name":"x","name":"y"}`:              "name",
		`{"metadata":{"a":1},"metadata":null}`: "metadata",
	} {
		r := w.do(http.MethodPost, "/api/api-tokens", adminJWT, body)
		if p := problem(t, r); p.Status != http.StatusBadRequest || p.Code != "invalid" || p.Field != field {
			t.Errorf("POST %.80s: %+v", body, p)
		}
		if field == "owner" || field == "kind" || strings.HasPrefix(field, "owner.") {
			field = strings.Split(field, ".")[0] // cannot be changed at all
		}
		if field == "active" {
			continue
		}
		r = w.do(http.MethodPut, "/api/api-tokens/1", adminJWT, body)
		if p := problem(t, r); p.Status != http.StatusBadRequest || p.Code != "invalid" || p.Field != field {
			t.Errorf("PUT %.80s: %+v", body, p)
		}
	}
	for _, body := range []string{
		`{"metadata":{"a":` + strings.Repeat("9", 400) + `}}`, `{"metadata":{"a":1e400}}`,
	} {
		if p := problem(t, w.do(http.MethodPost, "/api/api-tokens", adminJWT, body)); p.Status != http.StatusBadRequest {
			t.Errorf("POST %.80s: %+v", body, p)
		}
	}
	if after := w.do(http.MethodGet, "/api/api-tokens", adminJWT, "").Body.String(); after != before {
		t.Errorf("something was changed:\n%s\n%s", before, after)
	}
}

// S2-03, S2-42: everything that can be set comes back, null is the same as leaving out, and unicode survives (S1-06).
func TestTokenRoundTrip(t *testing.T) {
	w := newPopulated(t)
	const given = `{"name":"🐝 \"hive\" <b> & 'x'","description":"two\nlines","rate_limit":7,
"allowed_endpoints":["GET /products*","/stores/*/brands"],"expires_at":"2026-12-31T18:00:00.5+02:00",
"kind":"service","owner":{"type":"user","id":2,"name":"Max"},"user_id":2,
"allowed_networks":["10.1.0.0/16","2001:db8::1/128"],"not_before":"2025-06-01T00:00:00.000Z","idle_timeout_days":90,
"permissions":["orders.read"],"tags":["a","b"],"metadata":{"k":[1,"two",{"three":null}]}}`
	sent := strings.NewReplacer(`,"name":"Max"`, "", `,"user_id":2`, "", `10.1.0.0/16`, `10.1.2.3/16`, `::1/128`,
		`::1`).Replace(given)
	created := createToken(w.world, strings.ReplaceAll(sent, "\n\"", `"`))
	got := w.do(http.MethodGet, fmt.Sprintf("/api/api-tokens/%d", created.ID), adminJWT, "")
	var want map[string]any
	must(t, json.Unmarshal([]byte(given), &want))
	want["expires_at"] = "2026-12-31T16:00:00.500Z"
	have := decode[struct{ Token map[string]any }](t, got, 200).Token
	for name, value := range want {
		if fmt.Sprint(have[name]) != fmt.Sprint(value) {
			t.Errorf("%s is %v, want %v", name, have[name], value)
		}
	}
	if strings.Contains(got.Body.String(), created.Secret.Expose()) || strings.Contains(got.Body.String(),
		`"token":"`) { // S2-05
		t.Error("the secret is shown again")
	}
	bare := createToken(w.world, `{}`)
	nulls := createToken(w.world, `{"name":null,"description":null,"rate_limit":null,
"allowed_endpoints":null,"expires_at":null,"kind":null,"owner":null,"allowed_networks":null,
"not_before":null,"permissions":null,"tags":null,"metadata":null}`)
	nulls.ID, nulls.Secret, nulls.Prefix = bare.ID, bare.Secret, bare.Prefix
	if a, b := fmt.Sprintf("%+v", bare), fmt.Sprintf("%+v", nulls); jsonOf(t, bare) != jsonOf(t, nulls) {
		t.Errorf("nulls make another token:\n%s\n%s", a, b)
	}
	if bare.Name != "Token 2025-01-15 10:30" || *bare.IdleTimeoutDays != 30 || bare.Kind != "personal" ||
		*bare.UserID != 1 {
		t.Errorf("defaults %+v", bare)
	}
	if never := createToken(w.world, `{"idle_timeout_days":null}`); never.IdleTimeoutDays != nil {
		t.Errorf("idle_timeout_days null is %d", *never.IdleTimeoutDays)
	}
	if empty := createToken(w.world, `{"allowed_endpoints":[]}`); empty.AllowedEndpoints != nil {
		t.Errorf("no endpoints are %v", empty.AllowedEndpoints)
	}
}

func jsonOf(t testing.TB, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	must(t, err)
	return string(text)
}

// S2-23: what is left out stays, null is what creation without the member gives, and the change holds at once.
func TestPartialUpdate(t *testing.T) {
	w := newPopulated(t)
	const full = `{"name":"Full","description":"d","rate_limit":7,"allowed_endpoints":["/a"],"expires_at":"2027-01-01",
"allowed_networks":["10.0.0.1"],"not_before":"2025-01-01","idle_timeout_days":9,"permissions":["a.b"],
"tags":["t"],"metadata":{"a":1}}`
	issued := createToken(w.world, full)
	target := fmt.Sprintf("/api/api-tokens/%d", issued.ID)
	put := func(body string) rest.Token {
		t.Helper()
		return decode[rest.TokenReply](t, w.do(http.MethodPut, target, adminJWT, body), 200).Token
	}
	before := decode[rest.TokenReply](t, w.do(http.MethodGet, target, adminJWT, ""), 200).Token
	w.clock.advance(time.Hour)
	same := put(`{}`)
	if !same.UpdatedAt.Equal(w.clock.Now()) {
		t.Errorf("updated_at is %v", same.UpdatedAt)
	}
	same.UpdatedAt = before.UpdatedAt
	if jsonOf(t, before) != jsonOf(t, same) {
		t.Errorf("an empty update changed\n%s to\n%s", jsonOf(t, before), jsonOf(t, same))
	}
	if got := put(`{"rate_limit":8}`); got.RateLimit != 8 || got.Name != "Full" || len(got.AllowedEndpoints) != 1 {
		t.Errorf("%+v", got)
	}
	cleared := put(`{"name":null,"description":null,"rate_limit":null,
"allowed_endpoints":null,"expires_at":null,"allowed_networks":null,"not_before":null,
"idle_timeout_days":null,"permissions":null,"tags":null,"metadata":null}`)
	wantSource(t, w.do(http.MethodGet, target, adminJWT, "").Body, `{"token":{"name":"Token 2025-01-15 11:30",
"description":null,"active":true,"rate_limit":100,"allowed_endpoints":null,"expires_at":null,"allowed_networks":null,
"not_before":null,"idle_timeout_days":null,"permissions":null,"tags":[],"metadata":null}}`)
	if cleared.Secret.Expose() != "" || cleared.ID != issued.ID {
		t.Errorf("%+v", cleared)
	}
}

// S2-25, X-05, bar 62
func TestStates(t *testing.T) {
	w := newPopulated(t)
	secret := w.tokens[1].Secret
	reason := func() latchward.Reason {
		t.Helper()
		v, err := w.service.Verify(context.Background(), latchward.VerifyRequest{Secret: secret})
		must(t, err)
		return v.Reason
	}
	w.do(http.MethodPut, "/api/api-tokens/1", adminJWT, `{"active":false}`)
	if got := reason(); got != latchward.ReasonDisabled {
		t.Errorf("disabled: %s", got)
	}
	w.do(http.MethodPut, "/api/api-tokens/1", adminJWT, `{"active":true}`)
	if got := reason(); got != latchward.ReasonAllowed {
		t.Errorf("enabled: %s", got)
	}
	rotated := decode[rest.TokenReply](t, w.do(http.MethodPost, "/api/api-tokens/1/rotate", adminJWT, ""), 200)
	if got := reason(); got != latchward.ReasonRotated || rotated.Token.ID != 1 || rotated.Message == "" { // S5-02
		t.Errorf("rotated: %s, %+v", got, rotated)
	}
	secret = rotated.Token.Secret.Secret
	if got := reason(); got != latchward.ReasonAllowed {
		t.Errorf("with the new secret: %s", got)
	}
	r := w.do(http.MethodPost, "/api/api-tokens/1/revoke", adminJWT, `{"reason":"leaked"}`)
	wantSource(t, r.Body,
		`{"token":{"id":1,"active":true,"status":"revoked","revoked_at":"2025-01-15T10:30:00.000Z",
"revoke_reason":"unspecified","revoke_note":"leaked"}}`)
	if got := reason(); got != latchward.ReasonRevoked {
		t.Errorf("revoked: %s", got)
	}
	if r := w.do(http.MethodPost, "/api/api-tokens/1/revoke", adminJWT, ""); r.Code != 200 {
		t.Errorf("revoking again: status %d", r.Code)
	}
	for _, body := range []string{`{"active":true}`, `{}`} {
		if p := problem(t, w.do(http.MethodPut, "/api/api-tokens/1", adminJWT, body)); p.Status != http.StatusConflict ||
			p.Code != "conflict" {
			t.Errorf("changing a revoked token: %+v", p)
		}
	}
	if r := w.do(http.MethodPost, "/api/api-tokens/1/rotate", adminJWT, ""); r.Code != http.StatusConflict {
		t.Errorf("rotating a revoked token: status %d", r.Code)
	}
}

// C-09, X-11, bar 104
func TestMembersCannotGrant(t *testing.T) {
	w := newPopulated(t)
	for body, field := range map[string]string{
		`{"kind":"service","permissions":["tokens.verify"]}`: "permissions[0]",
		`{"kind":"service","permissions":["orders.read"]}`:   "permissions[0]",
		`{"owner":{"id":1}}`: "owner",
	} {
		if p := problem(t, w.do(http.MethodPost, "/api/api-tokens", memberJWT, body)); p.Status != http.StatusForbidden ||
			p.Field != field {
			t.Errorf("%s: %+v", body, p)
		}
	}
	mine := decode[rest.TokenReply](t, w.do(http.MethodPost, "/api/api-tokens", memberJWT, `{"owner":{"id":2}}`), 201)
	if *mine.Token.UserID != 2 || mine.Token.Owner.Name != "Max" {
		t.Errorf("%+v", mine.Token)
	}
}

// bar 110
func TestCreationIsLimited(t *testing.T) {
	w := newWorld(t, func(o *latchward.Options, _ *rest.Options) { o.CreationLimit = 2 })
	for want, status := range []int{201, 201, 429} {
		r := w.do(http.MethodPost, "/api/api-tokens", memberJWT, `{}`)
		if r.Code != status {
			t.Errorf("creation %d: status %d", want, r.Code)
		}
		if p := (httpauth.Problem{}); status == 429 && (json.Unmarshal(r.Body.Bytes(), &p) != nil ||
			p.Code != "exhausted" || r.Header().Get("Retry-After") == "") {
			t.Errorf("%+v %v", p, r.Header())
		}
	}
}

// B-06, bar 110: pages follow each other without gap or repetition, and a cursor is good for its own list only.
func TestPages(t *testing.T) {
	w := newPopulated(t)
	for i := range 7 {
		w.issue(latchward.NewToken{Name: fmt.Sprintf("Page %d", i)})
		w.clock.advance(time.Second)
	}
	for _, order := range []string{"", "&order=asc", "&sort=name", "&sort=name&order=desc", "&sort=last_used_at",
		"&sort=expires_at&order=asc"} {
		var ids []int64
		for target := "/api/api-tokens?limit=3" + order; target != ""; {
			list := decode[rest.TokenList](t, w.do(http.MethodGet, target, adminJWT, ""), 200)
			for _, token := range list.Tokens {
				ids = append(ids, token.ID)
			}
			target = ""
			if list.NextCursor != nil {
				target = "/api/api-tokens?limit=3" + order + "&cursor=" + *list.NextCursor
			}
		}
		seen := map[int64]bool{}
		for _, id := range ids {
			seen[id] = true
		}
		if len(ids) != 10 || len(seen) != 10 {
			t.Errorf("%s: tokens %v", order, ids)
		}
	}
	first := decode[rest.TokenList](t, w.do(http.MethodGet, "/api/api-tokens?limit=3", adminJWT, ""), 200)
	if first.Tokens[0].Name != "Page 6" {
		t.Errorf("the newest is not first: %+v", first.Tokens[0])
	}
	cursor := *first.NextCursor
	for _, target := range []string{
		"/api/api-tokens?cursor=" + cursor + "A", "/api/api-tokens?cursor=" + cursor[:len(cursor)-2],
		"/api/api-tokens?cursor=%00",
		"/api/api-tokens?cursor=" + strings.ToLower(cursor), "/api/api-tokens?cursor=B" + cursor[1:],
		"/api/api-tokens?cursor=" + cursor + "%3D",
		"/api/api-tokens?sort=name&cursor=" + cursor, "/api/api-tokens?order=asc&cursor=" + cursor,
		"/api/api-tokens?q=x&cursor=" + cursor,
		"/api/latchward/users?cursor=" + cursor, "/api/latchward/audit?cursor=" + cursor,
	} {
		if p := problem(t, w.do(http.MethodGet, target, adminJWT, "")); p.Status != http.StatusBadRequest ||
			p.Field != "cursor" {
			t.Errorf("%s: %+v", target, p)
		}
	}
	if p := problem(t, w.do(http.MethodGet, "/api/api-tokens?cursor="+cursor, memberJWT, "")); p.Field != "cursor" {
		t.Errorf("somebody else's cursor: %+v", p)
	}
	for i := range cursor { // no byte of it can be changed
		forged := []byte(cursor)
		forged[i] = map[bool]byte{true: 'x', false: 'y'}[forged[i] != 'x']
		if r := w.do(http.MethodGet, "/api/api-tokens?cursor="+string(forged), adminJWT,
			""); r.Code != http.StatusBadRequest {
			t.Errorf("forged at %d: status %d", i, r.Code)
		}
	}
}

// S2-42: exactly full pages end, and filters select.
func TestFilters(t *testing.T) {
	w := newPopulated(t)
	tagged := createToken(w.world, `{"name":"100% _","tags":["blue"],"expires_at":"2025-02-01"}`)
	for query, want := range map[string]int{
		"limit=4": 4, "tag=blue": 1, "tag=blu": 0, "q=100%25": 1, "q=%25_": 0, "q=%25%20_": 1, "owner=2": 1, "owner=99": 0,
		"kind=service":  1,
		"status=active": 4, "status=expired": 0, "expires_before=2025-03-01": 1, "expires_before=2025-01-20": 0,
		"unused_since=2025-01-14": 0, "unused_since=2025-01-16": 4, "q='%20OR%201=1": 0,
		"status=active&kind=service&owner=1": 1,
	} {
		list := decode[rest.TokenList](t, w.do(http.MethodGet, "/api/api-tokens?"+query, adminJWT, ""), 200)
		if len(list.Tokens) != want || list.NextCursor != nil {
			t.Errorf("%s: %d tokens, next %v", query, len(list.Tokens), list.NextCursor)
		}
	}
	if list := decode[rest.TokenList](t, w.do(http.MethodGet, "/api/api-tokens", memberJWT, ""),
		200); len(list.Tokens) != 1 {
		t.Errorf("a member sees %+v", list.Tokens)
	}
	if r := w.do(http.MethodGet, "/api/api-tokens?owner=1", memberJWT, ""); r.Code != http.StatusForbidden {
		t.Errorf("a member lists another's: status %d", r.Code)
	}
	w.clock.advance(40 * 24 * time.Hour)
	_ = tagged
	list := decode[rest.TokenList](t, w.do(http.MethodGet, "/api/api-tokens?status=inactive", adminJWT, ""), 200)
	if len(list.Tokens) != 4 || *list.Tokens[0].InactiveReason != latchward.InactiveIdle || list.Tokens[0].Active { // S3-04
		t.Errorf("after 40 days: %+v", list.Tokens)
	}
}
