package rest_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/rest"
)

// B-04, bar 54, 56: grace and its end are seen everywhere, and a repetition under one key has one effect.
func TestRotateThroughTheAPI(t *testing.T) {
	w := newPopulated(t)
	rotate := func(body, key string) rest.TokenReply {
		t.Helper()
		return decode[rest.TokenReply](t, w.doWith(http.MethodPost, "/api/api-tokens/1/rotate", adminJWT, body, "Idempotency-Key", key), 200)
	}
	lost := rotate(`{"grace_seconds":3600}`, `"k-1"`)
	got := rotate(`{"grace_seconds":3600}`, "k-1")
	if got.Token.Retiring == nil || lost.Token.Retiring == nil || !got.Token.Retiring.EndsAt.Equal(w.clock.Now().Add(time.Hour)) ||
		got.Token.Retiring.AtFirstUse || got.Token.Prefix == lost.Token.Prefix {
		t.Errorf("rotated twice under one key: %+v after %+v", got.Token.Retiring, lost.Token.Retiring)
	}
	for secret, want := range map[string]latchward.Reason{
		lost.Token.Secret.Expose(): latchward.ReasonRotated, got.Token.Secret.Expose(): latchward.ReasonAllowed,
	} {
		v, err := w.service.Verify(t.Context(), latchward.VerifyRequest{Secret: latchward.SecretFromText(secret)})
		if err != nil || v.Reason != want {
			t.Errorf("%s, %v, want %s", v.Reason, err, want)
		}
	}
	seen := decode[rest.TokenReply](t, w.do(http.MethodGet, "/api/api-tokens/1", adminJWT, ""), 200)
	if seen.Token.Retiring == nil || seen.Token.Reuse != latchward.ReuseAlert {
		t.Errorf("the token shows %+v and %q", seen.Token.Retiring, seen.Token.Reuse)
	}
	if next := rotate(`{"old_dies":"at_first_use"}`, "k-2"); !next.Token.Retiring.AtFirstUse ||
		!next.Token.Retiring.EndsAt.Equal(w.clock.Now().Add(7*24*time.Hour)) {
		t.Errorf("until first use: %+v", next.Token.Retiring)
	}
	if now := decode[rest.TokenReply](t, w.do(http.MethodPost, "/api/api-tokens/1/rotate", adminJWT, ""), 200); now.Token.Retiring != nil {
		t.Errorf("without grace: %+v", now.Token.Retiring)
	}
}

func TestRotateRefusesBadInput(t *testing.T) {
	w := newPopulated(t)
	for body, field := range map[string]string{
		`{"grace_seconds":-1}`: "grace_seconds", `{"grace_seconds":7776001}`: "grace_seconds",
		`{"grace_seconds":1.5}`: "grace_seconds", `{"old_dies":"never"}`: "old_dies", `{"grace":1}`: "grace",
	} {
		if p := problem(t, w.do(http.MethodPost, "/api/api-tokens/1/rotate", adminJWT, body)); p.Status != 400 || p.Field != field {
			t.Errorf("%s: %+v", body, p)
		}
	}
	if p := problem(t, w.doWith(http.MethodPost, "/api/api-tokens/1/rotate", adminJWT, "", "Idempotency-Key", "")); p.Status != 400 ||
		p.Field != "Idempotency-Key" {
		t.Errorf("an empty key: %+v", p)
	}
	if p := problem(t, w.do(http.MethodPut, "/api/api-tokens/1", adminJWT, `{"reuse":"forgive"}`)); p.Field != "reuse" {
		t.Errorf("an unknown policy: %+v", p)
	}
}

// B-04: a creation that is repeated under one key makes one token.
func TestCreateUnderAKey(t *testing.T) {
	w := newPopulated(t)
	create := func() rest.TokenReply {
		return decode[rest.TokenReply](t, w.doWith(http.MethodPost, "/api/api-tokens", adminJWT, `{"name":"once"}`, "Idempotency-Key", "c-1"), 201)
	}
	lost, got := create(), create()
	if lost.Token.ID != got.Token.ID || lost.Token.Secret.Expose() == got.Token.Secret.Expose() {
		t.Errorf("token %d, then token %d", lost.Token.ID, got.Token.ID)
	}
}
