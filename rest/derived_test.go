package rest_test

import (
	"context"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/oauth"
	"github.com/latchward/latchward/rest"
)

// B-11: the verify API and its client tell of derived tokens, and judge them for the audience that is named.
func TestVerifyDerived(t *testing.T) {
	w := newWorld(t, func(o *latchward.Options, _ *rest.Options) { o.JWT = oauth.Format() })
	issued, caller := w.issue(latchward.NewToken{RateLimit: 10}), w.verifier()
	derived, err := w.service.DeriveToken(context.Background(), latchward.DeriveRequest{
		Secret: issued.Secret, Issuer: "https://tokens.example.com", Audience: []string{"https://billing.example"},
	})
	must(t, err)
	c := w.client(rest.ClientOptions{Token: caller.Secret})
	for audience, want := range map[string]latchward.Reason{
		"https://billing.example": latchward.ReasonAllowed, "": latchward.ReasonMalformed, "https://b": latchward.ReasonMalformed,
	} {
		v, err := c.Verify(context.Background(), latchward.VerifyRequest{Secret: derived.Secret, Audience: audience})
		must(t, err)
		if v.Reason != want || (v.Derived == derived.Claims.ID) != v.Allowed() {
			t.Errorf("for %q: %+v", audience, v)
		}
	}
	r := w.do(http.MethodPost, verifyPath, caller.Secret.Expose(),
		`{"token":"`+derived.Secret.Expose()+`","audience":"https://billing.example","path":"/a","method":"GET"}`)
	wantSource(t, r.Body, `{"allowed":true,"reason":"allowed","derived":"`+derived.Claims.ID+`"}`)
	usage, err := w.service.TokenUsage(asAdmin(), issued.Token.ID, 1)
	must(t, err)
	if len(usage.Recent) != 1 || usage.Recent[0].Credential != latchward.CredentialDerived {
		t.Errorf("usage %+v", usage.Recent)
	}
	w.service.Record(&latchward.UsageEvent{
		At: w.clock.Now(), TokenID: issued.Token.ID, Credential: latchward.CredentialToken, Reason: latchward.ReasonAllowed,
		Endpoint: "/a", Method: "GET", Status: 200,
	})
	overview, err := w.service.UsageOverview(asAdmin(), 1)
	must(t, err)
	top := overview.TopTokens // one entry for the token, however it was used
	if i := slices.IndexFunc(top, func(r latchward.RankedToken) bool { return r.ID == issued.Token.ID }); i < 0 || top[i].Requests != 2 ||
		slices.ContainsFunc(top[i+1:], func(r latchward.RankedToken) bool { return r.ID == issued.Token.ID }) {
		t.Errorf("top tokens %+v", top)
	}
	for body, field := range map[string]string{`"audience":1`: "audience", `"audience":"a","audience":"b"`: "audience"} {
		r := w.do(http.MethodPost, verifyPath, caller.Secret.Expose(), `{"token":"x",`+body+`}`)
		if r.Code != http.StatusBadRequest {
			t.Errorf("%s: %d, field %s", body, r.Code, field)
		}
	}
	// it manages nothing, and asks for no verdicts.
	robot, err := w.service.DeriveToken(context.Background(), latchward.DeriveRequest{
		Secret: caller.Secret, Issuer: "https://tokens.example.com", Lifetime: time.Minute,
	})
	must(t, err)
	for path, method := range map[string]string{
		verifyPath: http.MethodPost, "/api/api-tokens": http.MethodGet, "/api/latchward/me": http.MethodGet,
		"/api/latchward/me/rotate": http.MethodPost,
	} {
		if r := w.do(method, path, robot.Secret.Expose(), `{"token":"x"}`); r.Code != http.StatusUnauthorized {
			t.Errorf("%s %s answered %d", method, path, r.Code)
		}
	}
}
