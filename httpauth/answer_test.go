package httpauth_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
)

var epoch = time.Date(2025, time.January, 15, 10, 30, 0, 0, time.UTC)

func answer(write func(w http.ResponseWriter)) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	write(w)
	return w
}

func decode(t *testing.T, w *httptest.ResponseRecorder) httpauth.Problem {
	t.Helper()
	var p httpauth.Problem
	decoder := json.NewDecoder(w.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&p); err != nil {
		t.Fatalf("body: %v", err)
	}
	return p
}

// S2-11, S2-14, S2-17..S2-19, X-18, RFC 6750 §3.1: the table of architecture.md
func TestWriteVerdict(t *testing.T) {
	const bearer = `Bearer realm="latchward"`
	const invalid = bearer + `, error="invalid_token"`
	tests := map[latchward.Reason]struct {
		status       int
		error, code  string
		authenticate string
	}{
		latchward.ReasonBadRequest:        {400, "Bad request", "bad_request", bearer + `, error="invalid_request"`},
		latchward.ReasonMissing:           {401, "Authentication required", "missing", bearer},
		latchward.ReasonMalformed:         {401, "Invalid token", "invalid_token", invalid},
		latchward.ReasonNotFound:          {401, "Invalid token", "invalid_token", invalid},
		latchward.ReasonRevoked:           {401, "Invalid token", "invalid_token", invalid},
		latchward.ReasonDisabled:          {401, "Token is disabled", "disabled", invalid},
		latchward.ReasonOwnerDisabled:     {401, "Token is disabled", "owner_disabled", invalid},
		latchward.ReasonExpired:           {401, "Token has expired", "expired", invalid},
		latchward.ReasonNotYetValid:       {401, "Token is not valid yet", "not_yet_valid", invalid},
		latchward.ReasonRotated:           {401, "Token has been rotated", "rotated", invalid},
		latchward.ReasonAddressNotAllowed: {403, "Address not allowed for this token", "address_not_allowed", ""},
		latchward.ReasonLicenseMissing:    {403, "License required", "license_missing", ""},
		latchward.ReasonEndpointNotAllowed: {
			403, "Endpoint not allowed for this token", "endpoint_not_allowed", ""},
		latchward.ReasonInsufficientPermissions: {
			403, "Insufficient permissions", "insufficient_permissions", bearer + `, error="insufficient_scope"`},
		latchward.ReasonRateLimited:       {429, "Rate limit exceeded", "rate_limited", ""},
		latchward.ReasonQuotaExceeded:     {429, "Rate limit exceeded", "quota_exceeded", ""},
		latchward.ReasonTooManyConcurrent: {429, "Rate limit exceeded", "too_many_concurrent", ""},
	}
	for _, reason := range latchward.Reasons() {
		if reason == latchward.ReasonAllowed {
			continue
		}
		want, ok := tests[reason]
		if !ok {
			t.Errorf("no answer is expected for %s", reason)
			continue
		}
		w := answer(func(w http.ResponseWriter) {
			httpauth.WriteVerdict(w, &latchward.Verdict{Reason: reason, At: epoch})
		})
		checkProblemHeaders(t, string(reason), w)
		p := decode(t, w)
		if w.Code != want.status || p.Status != want.status || httpauth.StatusOf(reason) != want.status {
			t.Errorf("%s: status %d, in body %d", reason, w.Code, p.Status)
		}
		if p.Error != want.error || p.Code != want.code || p.Detail == "" || p.Title == "" || p.Type == "" {
			t.Errorf("%s: body %+v", reason, p)
		}
		if got := w.Header().Get("WWW-Authenticate"); got != want.authenticate {
			t.Errorf("%s: WWW-Authenticate %q", reason, got)
		}
		if limited := want.status == 429; limited != (w.Header().Get("Retry-After") != "") || limited != (p.RetryAfter != 0) {
			t.Errorf("%s: Retry-After %q, retry_after %d", reason, w.Header().Get("Retry-After"), p.RetryAfter)
		}
	}
}

// bar 20, 112
func checkProblemHeaders(t *testing.T, name string, w *httptest.ResponseRecorder) {
	t.Helper()
	for header, want := range map[string]string{
		"Content-Type":           "application/problem+json; charset=utf-8",
		"X-Content-Type-Options": "nosniff",
		"Cache-Control":          "no-store",
		"Vary":                   "Authorization",
		"Server":                 "",
	} {
		if got := w.Header().Get(header); got != want {
			t.Errorf("%s: %s is %q", name, header, got)
		}
	}
}

// bar 14: nothing tells an unknown token from a forged or a revoked one
func TestUnprovenAnswersAreIdentical(t *testing.T) {
	render := func(v *latchward.Verdict) string {
		w := answer(func(w http.ResponseWriter) { httpauth.WriteVerdict(w, v) })
		var text strings.Builder
		if err := w.Result().Write(&text); err != nil {
			t.Fatal(err)
		}
		return text.String()
	}
	token := latchward.VerdictToken{ID: 7, Name: "secret name"}
	first := render(&latchward.Verdict{Reason: latchward.ReasonMalformed})
	for _, v := range []*latchward.Verdict{
		{Reason: latchward.ReasonNotFound, At: epoch},
		{Reason: latchward.ReasonRevoked, Token: token, Subject: latchward.Subject{Type: "user", ID: 3, Name: "Ada"}},
	} {
		if got := render(v); got != first {
			t.Errorf("%s answers\n%s\nnot\n%s", v.Reason, got, first)
		}
	}
}

func rateLimited() *latchward.Verdict {
	return &latchward.Verdict{
		Reason: latchward.ReasonRateLimited, At: epoch,
		Limit: latchward.LimitStatus{
			Name: "rate_limit", Limit: 500, Window: time.Minute, Remaining: 0, Current: 501, Reset: epoch.Add(time.Minute),
		},
	}
}

// S2-13, S2-14, RFC 9457
func TestWriteVerdictOverLimit(t *testing.T) {
	w := answer(func(w http.ResponseWriter) { httpauth.WriteVerdict(w, rateLimited()) })
	var body map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"error": "Rate limit exceeded", "limit": 500.0, "current": 501.0, "retry_after": 60.0, // as S2 prints it
		"type":  "https://iana.org/assignments/http-problem-types#quota-exceeded",
		"title": "Request cannot be satisfied as assigned quota has been exceeded", "status": 429.0,
		"detail": "Wait 60 s, then send the request again.", "code": "rate_limited",
	}
	for member, value := range want {
		if body[member] != value {
			t.Errorf("%s is %v", member, body[member])
		}
	}
	if policies, _ := body["violated-policies"].([]any); len(policies) != 1 || policies[0] != "rate_limit" {
		t.Errorf("violated-policies is %v", body["violated-policies"])
	}
	if len(body) != len(want)+1 {
		t.Errorf("body has other members: %v", body)
	}
	for header, value := range map[string]string{
		"Retry-After": "60", "X-RateLimit-Limit": "500", "X-RateLimit-Remaining": "0",
		"X-RateLimit-Reset": "2025-01-15T10:31:00.000Z",
	} {
		if got := w.Header().Get(header); got != value {
			t.Errorf("%s is %q", header, got)
		}
	}
}

// A name that no limit of ours has, but another server's may, cannot break the body.
func TestWriteVerdictQuotesNames(t *testing.T) {
	v := rateLimited()
	v.Limit.Name = "a\"b\\c\n"
	p := decode(t, answer(func(w http.ResponseWriter) { httpauth.WriteVerdict(w, v) }))
	if len(p.ViolatedPolicies) != 1 || p.ViolatedPolicies[0] != v.Limit.Name {
		t.Errorf("violated-policies is %q", p.ViolatedPolicies)
	}
}

// bar 131: what is no refusal is never answered as consent
func TestWriteVerdictNeverConsents(t *testing.T) {
	for _, reason := range []latchward.Reason{latchward.ReasonAllowed, "", "unheard_of"} {
		w := answer(func(w http.ResponseWriter) { httpauth.WriteVerdict(w, &latchward.Verdict{Reason: reason}) })
		if p := decode(t, w); w.Code != 500 || p.Code != "internal" || p.Error != "Internal error." {
			t.Errorf("%q: status %d, %+v", reason, w.Code, p)
		}
	}
	if httpauth.StatusOf(latchward.ReasonAllowed) != 200 || httpauth.StatusOf("unheard_of") != 500 {
		t.Error("StatusOf takes an unknown reason for another")
	}
}

// the table of errors
func TestWriteError(t *testing.T) {
	statuses := map[latchward.Code]int{
		latchward.CodeInvalid: 400, latchward.CodeUnauthenticated: 401, latchward.CodeForbidden: 403,
		latchward.CodeNotFound: 404, latchward.CodeConflict: 409, latchward.CodeExhausted: 429,
		latchward.CodeUnavailable: 503, latchward.CodeInternal: 500,
	}
	for _, code := range latchward.Codes() {
		cause := errors.New("database password is hunter2")
		err := &latchward.Error{Code: code, Message: "Something <odd>", Field: "name", Err: cause}
		w := answer(func(w http.ResponseWriter) { httpauth.WriteError(w, err) })
		checkProblemHeaders(t, string(code), w)
		if strings.Contains(w.Body.String(), "hunter2") {
			t.Errorf("%s: the cause is told: %s", code, w.Body)
		}
		want, ok := statuses[code]
		p := decode(t, w)
		if !ok || w.Code != want || p.Status != want || httpauth.StatusOfCode(code) != want {
			t.Errorf("%s: status %d, in body %d", code, w.Code, p.Status)
		}
		wantError, wantDetail, wantField := "Something <odd>", "Something <odd>", "name"
		switch code {
		case latchward.CodeUnavailable:
			wantError = "Temporarily unavailable"
		case latchward.CodeInternal:
			wantError, wantDetail, wantField = "Internal error.", "Internal error.", ""
		}
		if p.Code != string(code) || p.Error != wantError || p.Detail != wantDetail || p.Field != wantField {
			t.Errorf("%s: body %+v", code, p)
		}
		if waits := code == latchward.CodeUnavailable || code == latchward.CodeExhausted; waits !=
			(w.Header().Get("Retry-After") != "") {
			t.Errorf("%s: Retry-After is %q", code, w.Header().Get("Retry-After"))
		}
		if (w.Header().Get("WWW-Authenticate") == `Bearer realm="latchward"`) != (want == 401) {
			t.Errorf("%s: WWW-Authenticate is %q", code, w.Header().Get("WWW-Authenticate"))
		}
	}
}

func TestWriteErrorOfNobodys(t *testing.T) {
	w := answer(func(w http.ResponseWriter) { httpauth.WriteError(w, errors.New("sql: hunter2")) })
	if p := decode(t, w); w.Code != 500 || p.Error != "Internal error." || p.Code != "internal" {
		t.Errorf("status %d, %+v", w.Code, p)
	}
	if w := answer(func(w http.ResponseWriter) { httpauth.WriteError(w, nil) }); w.Code != 500 {
		t.Errorf("nil: status %d", w.Code)
	}
	if httpauth.StatusOfCode("unheard_of") != 500 {
		t.Error("StatusOfCode takes an unknown code for another")
	}
}
