package rest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/rest"
)

// B-05: a token tells whoever holds it all that its holder may know, and nothing of anybody else.
func TestHeldTokenThroughTheAPI(t *testing.T) {
	w := newPopulated(t)
	issued := w.issue(latchward.NewToken{
		Name: "Till", Description: "behind the counter", Kind: latchward.KindService, Permissions: []string{"orders.read"},
		RateLimit: 7, AllowedEndpoints: []string{"GET /orders"}, ExpiresAt: start.Add(3 * 24 * time.Hour),
		Tags: []string{"inside"}, Metadata: map[string]any{"note": "hidden"},
	})
	client := w.client(rest.ClientOptions{Token: issued.Secret})
	reply, err := client.HeldToken(t.Context())
	must(t, err)
	got := reply.Token
	if got.ID != int64(issued.Token.ID) || got.Name != "Till" || got.Owner.ID != int64(w.admin.ID) || got.Owner.Type != "user" ||
		got.Prefix != issued.Token.Prefix || got.AllowedEndpoints[0] != "GET /orders" || got.AllowedNetworks != nil {
		t.Errorf("%+v", got)
	}
	if len(got.Limits) != 1 || got.Limits[0].Remaining != 7 || got.Limits[0].Window != 60 || got.Rights.Permissions[0] != "orders.read" {
		t.Errorf("limits %+v, rights %+v", got.Limits, got.Rights)
	}
	if len(got.Warnings) != 1 || !got.ExpiresAt.Equal(start.Add(3*24*time.Hour)) || got.IdleAt.IsZero() || !got.LastUsedAt.IsZero() {
		t.Errorf("warnings %q, expires %s, idle %s, used %s", got.Warnings, got.ExpiresAt, got.IdleAt, got.LastUsedAt)
	}
	text := w.do(http.MethodGet, "/api/latchward/me", issued.Secret.Expose(), "").Body.String()
	for _, hidden := range []string{issued.Secret.Expose(), "Ada", "ada@example.com", "counter", "inside", "hidden"} {
		if strings.Contains(text, hidden) {
			t.Errorf("it tells %q: %s", hidden, text)
		}
	}
	for range 20 { // nothing is taken, and nothing recorded
		if _, err := client.HeldToken(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	usage, err := client.HeldUsage(t.Context(), 1)
	if err != nil || len(usage.RecentRequests) != 0 {
		t.Errorf("%+v, %v", usage.RecentRequests, err)
	}
}

// what a proven secret was refused is on record, also here.
func TestRefusedHoldersAreTracked(t *testing.T) {
	w := newPopulated(t)
	networks, err := latchward.ParseNetwork("", "198.51.100.7")
	must(t, err)
	issued := w.issue(latchward.NewToken{})
	list := append(issued.Token.AllowedNetworks, networks)
	_, err = w.service.UpdateToken(asAdmin(), issued.Token.ID, latchward.TokenUpdate{AllowedNetworks: &list})
	must(t, err)
	if answer := w.do(http.MethodGet, "/api/latchward/me", issued.Secret.Expose(), ""); answer.Code != http.StatusForbidden {
		t.Errorf("from another network: status %d %s", answer.Code, answer.Body)
	}
	usage, err := w.service.TokenUsage(asAdmin(), issued.Token.ID, 1)
	must(t, err)
	if len(usage.Recent) != 1 || usage.Recent[0].Reason != latchward.ReasonAddressNotAllowed ||
		usage.Recent[0].Endpoint != "/latchward/me" {
		t.Errorf("%+v", usage.Recent)
	}
}

// B-05: whom the context names, as on a Unix socket, does not matter: it is about the token.
func TestHoldersAreTokensEverywhere(t *testing.T) {
	w := newPopulated(t)
	client, err := rest.NewClient("http://localhost", rest.ClientOptions{HTTPClient: &http.Client{Transport: inMemory{w.handler}}})
	must(t, err)
	_, err = client.HeldToken(t.Context())
	wantCode(t, err, latchward.CodeUnauthenticated, "")
	reply, err := client.As(w.tokens[2].Secret).HeldToken(t.Context())
	if err != nil || reply.Token.ID != 2 {
		t.Errorf("token %d, %v", reply.Token.ID, err)
	}
}

// B-05, bar 56: a holder rotates its token, and again with the old secret when the answer was lost; unless it says
// otherwise the old secret lives until the new one is used.
func TestHoldersRotate(t *testing.T) {
	w := newPopulated(t)
	first := w.tokens[2].Secret
	client := w.client(rest.ClientOptions{Token: first})
	_, err := client.RotateHeld(t.Context(), rest.Rotation{})
	wantCode(t, err, latchward.CodeForbidden, "")
	w.selfRotation()
	lost, err := client.RotateHeld(t.Context(), rest.Rotation{})
	must(t, err)
	if r := lost.Token.Retiring; r == nil || !r.AtFirstUse || !r.EndsAt.Equal(start.Add(7*24*time.Hour)) || lost.Token.ID != 2 {
		t.Errorf("%+v", r)
	}
	again, err := client.RotateHeld(t.Context(), rest.Rotation{GraceSeconds: rest.Some[int64](3600)})
	must(t, err)
	for _, c := range []struct {
		secret latchward.Secret
		want   latchward.Reason
	}{
		{lost.Token.Secret.Secret, latchward.ReasonRotated}, {first, latchward.ReasonAllowed},
		{again.Token.Secret.Secret, latchward.ReasonAllowed}, {first, latchward.ReasonRotated},
	} {
		v, err := w.service.Verify(t.Context(), latchward.VerifyRequest{Secret: c.secret})
		if err != nil || v.Reason != c.want {
			t.Errorf("%s, %v, want %s", v.Reason, err, c.want)
		}
	}
	_, err = client.RotateHeld(t.Context(), rest.Rotation{})
	wantCode(t, err, latchward.CodeUnauthenticated, "")
	now := client.As(again.Token.Secret.Secret)
	last, err := now.RotateHeld(t.Context(), rest.Rotation{GraceSeconds: rest.Some[int64](0)})
	if err != nil || last.Token.Retiring != nil {
		t.Errorf("without grace: %+v, %v", last.Token.Retiring, err)
	}
	_, err = now.HeldToken(t.Context())
	wantCode(t, err, latchward.CodeUnauthenticated, "")
}

// B-05, bar 14: whatever is presented, the answer is the same to the byte; and the token dies at once.
func TestRevokeByPossession(t *testing.T) {
	w := newPopulated(t)
	revoke := func(secret string) *httptest.ResponseRecorder {
		return w.do(http.MethodPost, "/api/latchward/revoke", "", fmt.Sprintf(`{"token":%q}`, secret))
	}
	live := w.tokens[2].Secret.Expose()
	retired := w.tokens[3]
	_, err := w.service.RotateToken(asAdmin(), 3, latchward.Rotation{})
	must(t, err)
	answers := map[string]int{}
	for _, secret := range []string{
		live, live, "", "x", live[:20], live + "x", strings.ToUpper(live), "ghp_0123456789", adminJWT, "Bearer " + live,
		retired.Secret.Expose(), strings.Repeat("y", 100_000),
	} {
		answer := revoke(secret)
		if answer.Code != http.StatusAccepted || strings.Contains(answer.Body.String(), "lw_") {
			t.Errorf("%.20q: status %d %s", secret, answer.Code, answer.Body)
		}
		answers[fmt.Sprint(answer.Code, answer.Header(), answer.Body)]++
	}
	if len(answers) != 1 {
		t.Errorf("%d different answers", len(answers))
	}
	for id, want := range map[latchward.TokenID]latchward.Status{
		1: latchward.StatusActive, 2: latchward.StatusRevoked, 3: latchward.StatusActive,
	} {
		token, err := w.service.Token(asAdmin(), id)
		must(t, err)
		if got := token.Status(start); got != want {
			t.Errorf("token %d is %s, want %s", id, got, want)
		}
	}
	if strings.Contains(w.log.String(), live[10:30]) {
		t.Error("a secret is logged")
	}
	entries, err := w.service.AuditEntries(asAdmin(), latchward.AuditFilter{Action: latchward.ActionTokenRevoke})
	must(t, err)
	if len(entries) != 1 || entries[0].Actor.String() != "token:2" || !entries[0].Actor.Origin.Address.IsValid() {
		t.Errorf("entries %+v", entries)
	}
}

// B-05: from one address so many may be revoked a minute, known or not; then the answer says nothing either, and nothing
// is revoked.
func TestRevokingIsThrottled(t *testing.T) {
	w := newPopulated(t)
	client := w.client(rest.ClientOptions{})
	for i := range 60 {
		_, err := client.RevokeHeld(t.Context(), latchward.SecretFromText(fmt.Sprint("nonsense", i)))
		must(t, err)
	}
	refusals := map[string]bool{}
	for _, secret := range []string{"nonsense", w.tokens[2].Secret.Expose()} {
		request := newRequest(http.MethodPost, "/api/latchward/revoke", fmt.Sprintf(`{"token":%q}`, secret))
		request.RemoteAddr = "127.0.0.1:7"
		answer := w.serve(request)
		if answer.Code != http.StatusTooManyRequests || answer.Header().Get("Retry-After") != "60" {
			t.Errorf("status %d %v", answer.Code, answer.Header())
		}
		refusals[answer.Body.String()+fmt.Sprint(answer.Header())] = true
	}
	if len(refusals) != 1 {
		t.Errorf("%d different refusals", len(refusals))
	}
	elsewhere := newRequest(http.MethodPost, "/api/latchward/revoke", `{"token":"x"}`)
	elsewhere.RemoteAddr = "192.0.2.99:7"
	if answer := w.serve(elsewhere); answer.Code != http.StatusAccepted {
		t.Errorf("from another address: status %d", answer.Code)
	}
	w.clock.advance(time.Minute)
	_, err := client.RevokeHeld(t.Context(), w.tokens[2].Secret)
	must(t, err)
	token, err := w.service.Token(asAdmin(), 2)
	if err != nil || !token.Revoked() {
		t.Errorf("a minute later: %v", err)
	}
}
