package rest_test

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
	"github.com/latchward/latchward/latchtest"
	"github.com/latchward/latchward/rest"
)

// bar 6, S4-02, C-03: a secret is in the answer that it was made for, which nothing may keep, and in no other.
func TestSecretIsShownOnce(t *testing.T) {
	before := newPopulated(t)
	for _, issued := range before.tokens[1:] {
		before.wantHidden(issued.Secret.Expose())
	}
	shows := map[string]bool{"createToken": true, "rotateToken": true, "rotateMe": true}
	eachRoute(t, func(t *testing.T, w *populated, r rest.RouteInfo, c routeCase) {
		if c.needs != nil {
			c.needs(w)
		}
		answer := w.do(r.Method, c.target, w.bearer(r), c.body)
		body := answer.Body.String()
		if latchward.HoldsSecret(body, latchward.DefaultPrefix) != shows[r.ID] {
			t.Fatalf("shows a secret, or none where one is due: %s", body)
		}
		if !shows[r.ID] {
			return
		}
		if h := answer.Header(); h.Get("Cache-Control") != "no-store, no-cache, must-revalidate" || h.Get("Pragma") != "no-cache" {
			t.Errorf("may be kept: %v", h)
		}
		secret := decode[rest.TokenReply](t, answer, c.status).Token.Secret.Expose()
		if strings.Count(body, secret) != 1 {
			t.Errorf("shows the secret more than once: %s", body)
		}
		w.wantHidden(secret)
	})
}

// wantHidden calls every route that reads, also as people do who hope for more, and looks for pieces of a secret.
func (p *populated) wantHidden(secret string) {
	p.t.Helper()
	prove := secret[len(latchward.DefaultPrefix)+8:] // what is left of it without the part that lists show
	var forms []string
	for _, form := range []string{prove, base64.StdEncoding.EncodeToString([]byte(secret)), hex.EncodeToString([]byte(secret))} {
		for i := 0; i+12 <= len(form); i += 6 {
			forms = append(forms, form[i:i+12])
		}
	}
	for _, r := range rest.Routes(p.handler) {
		if r.Method != http.MethodGet || strings.HasPrefix(r.ID, "docs") {
			continue
		}
		target, query, _ := strings.Cut(routeCases[r.ID].target, "?")
		for _, more := range []string{query, "", "fields=secret", "expand=*", "include=token&show_secret=true"} {
			body := p.do(r.Method, target+"?"+more, p.bearer(r), "").Body.String()
			for _, form := range forms {
				if strings.Contains(body, form) {
					p.t.Errorf("%s?%s shows %q: %s", target, more, form, body)
				}
			}
		}
	}
}

// bar 45, S2-11: whoever knows a token's id, and not its secret, learns nothing of its limit and takes nothing from it;
// no more does a request that its holder may not make.
func TestNoFreeProbe(t *testing.T) {
	w := newPopulated(t)
	victim := w.issue(latchward.NewToken{
		Kind: latchward.KindService, Permissions: []string{}, AllowedEndpoints: []string{"/products"}, RateLimit: 100,
	})
	require := httpauth.Require(w.service, httpauth.Options{Recorder: w.service, Now: w.clock.Now})
	api := require(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	ask := func(path, secret string) *httptest.ResponseRecorder {
		r, answer := newRequest(http.MethodGet, path, ""), httptest.NewRecorder()
		r.Header.Set("Authorization", "Bearer "+secret)
		api.ServeHTTP(answer, r)
		return answer
	}
	verify := func(secret, more string) string {
		body := fmt.Sprintf(`{"token":%q,"method":"GET","record":false%s}`, secret, more)
		return w.do(http.MethodPost, "/api/latchward/verify", w.tokens[3].Secret.Expose(), body).Body.String()
	}
	if got := ask("/products", victim.Secret.Expose()).Header().Get("X-RateLimit-Remaining"); got != "99" {
		t.Fatalf("remaining %q after the first request", got)
	}
	known, attacker := victim.Token.Secret.KeyID.String(), w.tokens[2].Secret.Expose()
	for i := range latchtest.Scale(10_000, 1_000) {
		forged := latchward.DefaultPrefix + known + fmt.Sprintf("%039d", i)
		if answer := ask("/products", forged); answer.Code != http.StatusUnauthorized || tellsLimit(answer) {
			t.Fatalf("forged: %d %v", answer.Code, answer.Header())
		}
		if answer := ask("/orders", victim.Secret.Expose()); answer.Code != http.StatusForbidden || tellsLimit(answer) {
			t.Fatalf("not allowed: %d %v", answer.Code, answer.Header())
		}
		usage := fmt.Sprintf("/api/api-tokens/%d/usage", victim.Token.ID)
		if answer := w.do(http.MethodGet, usage, attacker, ""); answer.Code != http.StatusForbidden || tellsLimit(answer) {
			t.Fatalf("somebody else's token: %d %v", answer.Code, answer.Header())
		}
		for _, reply := range []string{
			verify(forged, `,"path":"/products"`), verify(victim.Secret.Expose(), `,"path":"/products","permissions":["a.b"]`),
		} {
			if !strings.Contains(reply, `"allowed":false`) || !strings.Contains(reply, `"limits":[]`) {
				t.Fatalf("asked for: %s", reply)
			}
		}
	}
	if got := ask("/products", victim.Secret.Expose()).Header().Get("X-RateLimit-Remaining"); got != "98" {
		t.Errorf("remaining %q after the second request, and all that were refused", got)
	}
}

// tellsLimit reports whether an answer says how much of a limit is left.
func tellsLimit(answer *httptest.ResponseRecorder) bool {
	for name := range answer.Header() {
		if strings.Contains(strings.ToLower(name), "ratelimit") {
			return true
		}
	}
	return strings.Contains(answer.Body.String(), "remaining")
}
