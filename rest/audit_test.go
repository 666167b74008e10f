package rest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/latchward/latchward/rest"
)

// C-05, B-16: the audit log tells who, from where, and what changed.
func TestAudit(t *testing.T) {
	w := newWorld(t, nil)
	r := httptest.NewRequest(http.MethodPost, "/api/api-tokens", strings.NewReader(`{"name":"A"}`))
	r.RemoteAddr = "192.0.2.7:1234"
	r.Header.Set("Authorization", "Bearer "+adminJWT)
	r.Header.Set("Content-Type", "application/json; charset=UTF-8")
	r.Header.Set("User-Agent", "curl/8\xff"+strings.Repeat("x", 300))
	r.Header.Set("X-Request-Id", "req-1")
	secret := decode[rest.TokenReply](t, w.serve(r), 201).Token.Secret.Expose()
	w.do(http.MethodPut, "/api/api-tokens/1", adminJWT, `{"rate_limit":5}`)
	answer := w.do(http.MethodGet, "/api/latchward/audit?target_type=token", adminJWT, "")
	if strings.Contains(answer.Body.String(), secret) {
		t.Error("the audit log holds the secret")
	}
	list := decode[rest.AuditList](t, answer, 200)
	if len(list.Entries) != 2 || list.NextCursor != nil {
		t.Fatalf("%+v", list)
	}
	e := list.Entries[1]
	if e.Action != "token.create" || e.Actor.ID != 1 || e.Actor.Name != "Ada" || *e.Actor.Address != "192.0.2.7" ||
		*e.Actor.RequestID != "req-1" || !strings.HasPrefix(*e.Actor.UserAgent, "curl/8x") || len(*e.Actor.UserAgent) > 255 ||
		e.Target != (rest.Target{Type: "token", ID: 1, Name: "A"}) || e.Before != nil || e.After["name"] != "A" {
		t.Errorf("%s", jsonOf(t, e))
	}
	if e = list.Entries[0]; fmt.Sprint(e.Before, e.After) != "map[rate_limit:100] map[rate_limit:5]" {
		t.Errorf("%s", jsonOf(t, e))
	}
	first := decode[rest.AuditList](t, w.do(http.MethodGet, "/api/latchward/audit?limit=1", adminJWT, ""), 200)
	second := decode[rest.AuditList](t, w.do(http.MethodGet, "/api/latchward/audit?limit=1&cursor="+*first.NextCursor,
		adminJWT, ""), 200)
	if first.Entries[0].ID <= second.Entries[0].ID {
		t.Errorf("entries %d, then %d", first.Entries[0].ID, second.Entries[0].ID)
	}
}
