package demo_test

import (
	"crypto/rand"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/demo"
	"github.com/latchward/latchward/memory"
	"github.com/latchward/latchward/operation"
)

// S5-08, S5-09, S5-11, S5-05: each operation opens and closes as what it asks for is given and taken.
func TestOperations(t *testing.T) {
	ring, err := latchward.GenerateKeyRing(rand.Reader, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	service, err := latchward.New(t.Context(), latchward.Options{Store: memory.New(), Keys: ring})
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := demo.Seed(t.Context(), service)
	if err != nil {
		t.Fatal(err)
	}
	api := operation.New(operation.Options{Verifier: service, Base: "/api", Document: demo.OperationsDocument})
	demo.AddOperations(api)
	get := func(path, secret string) (int, string) {
		r := httptest.NewRequest(http.MethodGet, "/api/v1/"+path, nil)
		if secret != "" {
			r.Header.Set("Authorization", "Bearer "+secret)
		}
		w := httptest.NewRecorder()
		api.ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	till, none := tokens.Till.Secret.Expose(), []string{}
	ctx := latchward.WithPrincipal(t.Context(), latchward.Principal{
		Type: latchward.PrincipalLocal, Administrator: true,
	})
	for _, c := range []struct {
		path, needs string
		without     latchward.TokenUpdate
	}{
		{"stock/count", "Needs the role stock-keeper", latchward.TokenUpdate{Roles: &none}},
		{"stock", "Needs the permission stock.read", latchward.TokenUpdate{Roles: &none}},
		{"shifts", "Needs the group meadow-hive", latchward.TokenUpdate{Groups: &none}},
		{"forecast", "Needs the license forecasts", latchward.TokenUpdate{Licenses: &none}},
	} {
		if status, body := get(c.path, till); status != 200 || !strings.HasPrefix(body, `{"Message":"`) {
			t.Errorf("%s: %d %s", c.path, status, body)
		}
		if status, _ := get(c.path, ""); status != 401 {
			t.Errorf("%s without a token: %d", c.path, status)
		}
		if _, err := service.UpdateToken(ctx, tokens.Till.Token.ID, c.without); err != nil {
			t.Fatal(err)
		}
		if status, body := get(c.path, till); status != 403 || !strings.Contains(body, c.needs) {
			t.Errorf("%s without what it asks for: %d %s", c.path, status, body)
		}
		all := latchward.TokenUpdate{
			Roles: &[]string{demo.Role}, Groups: &[]string{demo.Group}, Licenses: &[]string{demo.License},
		}
		if _, err := service.UpdateToken(ctx, tokens.Till.Token.ID, all); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		path, secret string
		status       int
		body         string
	}{
		{"protected", till, 200, `{"Message":"Access granted for token:7"}`},
		{"protected", "", 401, `"code":"missing"`},
		{"protected", "wrong", 401, `"code":"invalid_token"`},
		{"welcome", till, 200, "Welcome, Till"},
		{"welcome", "", 200, "Welcome, stranger"},
		{"welcome", "wrong", 401, ""},
		{"hours", "wrong", 200, "Monday"},
		{"openapi.json", "", 200, "bearerAuth"},
	} {
		if status, body := get(c.path, c.secret); status != c.status || !strings.Contains(body, c.body) {
			t.Errorf("%s with %.5q: %d %s", c.path, c.secret, status, body)
		}
	}
}
