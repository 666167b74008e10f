package httpauth_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
)

func query(t *testing.T, text string) latchward.PermissionQuery {
	t.Helper()
	if text == "" {
		return latchward.PermissionQuery{}
	}
	q, err := latchward.ParsePermissionQuery("permissions", text)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// S5-09, B-09: what is needed is asked of tokens and people alike, and a refusal names what is missing.
func TestRequireRights(t *testing.T) {
	held := latchward.NewRights(latchward.RightsFacts{
		Permissions: []string{"orders.*"}, Licenses: []latchward.HeldLicense{{Name: "pro"}},
	})
	for _, c := range []struct {
		name        string
		principal   latchward.Principal
		permissions []string
		query       string
		licenses    []string
		status      int
		detail      string
	}{
		{name: "nothing asked", status: 200},
		{name: "held", principal: latchward.Principal{Rights: held}, query: "orders.read AND NOT legacy.x", status: 200},
		{name: "lacks one", principal: latchward.Principal{Rights: held}, query: "orders.read AND stores.read", status: 403,
			detail: "Needs the permission stores.read. "},
		{name: "holds too much", principal: latchward.Principal{Rights: held}, query: "NOT orders.read", status: 403,
			detail: "Needs these permissions: NOT orders.read. "},
		{name: "list", principal: latchward.Principal{Rights: held}, permissions: []string{"orders.read", "stores.read"},
			status: 403, detail: "Needs the permission stores.read. "},
		{name: "license", principal: latchward.Principal{Rights: held}, licenses: []string{"pro"}, status: 200},
		{name: "no license", principal: latchward.Principal{Rights: held}, licenses: []string{"pro", "max"}, status: 403,
			detail: "Needs the license max. "},
		{name: "administrator", principal: latchward.Principal{Administrator: true}, permissions: []string{"a.b"},
			query: "c.d AND tokens.read", status: 200},
		{name: "administrator without a seat", principal: latchward.Principal{Administrator: true},
			licenses: []string{"pro"}, status: 403},
		{name: "holds nothing", query: "a.b", status: 403}, // and nothing is known that could be named
	} {
		c.principal.Type, c.principal.ID = latchward.PrincipalUser, 3
		var seen *latchward.Rights
		handler := httpauth.Require(&verifier{}, httpauth.Options{
			Persons:     &persons{jwt: "a.b.c", principal: c.principal},
			Permissions: c.permissions, Query: query(t, c.query), Licenses: c.licenses,
		})(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			v, _ := latchward.VerdictFrom(r.Context())
			seen = v.Rights
		}))
		r := wire("GET", "/x")
		r.Header.Set("Authorization", "Bearer a.b.c")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.detail) {
			t.Errorf("%s: %d %s", c.name, w.Code, w.Body)
		}
		if c.status == 200 && c.principal.Rights != seen && !c.principal.Administrator {
			t.Errorf("%s: the handler saw other rights", c.name)
		}
	}
}

func TestRequireAsksForRights(t *testing.T) {
	held := latchward.NewRights(latchward.RightsFacts{})
	v := &verifier{verdict: latchward.Verdict{
		Reason: latchward.ReasonInsufficientPermissions, Token: latchward.VerdictToken{ID: 1}, Rights: held, At: time.Now(),
	}}
	q := query(t, "a.b OR c.d")
	handler := httpauth.Require(v, httpauth.Options{Query: q, Licenses: []string{"pro"}, Rights: true})(forbidden(t))
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, wire("GET", "/x"))
	asked := v.asked[0]
	if asked.Query.String() != q.String() || len(asked.Licenses) != 1 || !asked.Rights {
		t.Errorf("asked %+v", asked)
	}
	var p httpauth.Problem
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		t.Fatal(err)
	}
	if p.Code != "insufficient_permissions" || p.Error != "Insufficient permissions" ||
		!strings.HasPrefix(p.Detail, "Needs these permissions: a.b OR c.d. ") ||
		!strings.Contains(w.Header().Get("WWW-Authenticate"), "insufficient_scope") {
		t.Errorf("%+v %v", p, w.Header())
	}
}
