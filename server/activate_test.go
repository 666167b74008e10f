package server_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
	"github.com/latchward/latchward/operation"
	"github.com/latchward/latchward/server"
)

func activate(t *testing.T, mux *http.ServeMux, a server.Activation) *server.TokenManagement {
	t.Helper()
	tokens, err := server.Activate(t.Context(), mux, a)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tokens.Close(); err != nil {
			t.Error(err)
		}
	})
	return tokens
}

func ask(h http.Handler, path, secret string) (int, string) {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	if secret != "" {
		r.Header.Set("Authorization", "Bearer "+secret)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// S5-12, S5-13: one call; the second one changes nothing.
func TestActivateTwice(t *testing.T) {
	mux, folder := http.NewServeMux(), t.TempDir()
	first := activate(t, mux, server.Activation{Data: folder})
	again := folder + "/../" + filepath.Base(folder)
	second, err := server.Activate(t.Context(), mux, server.Activation{Data: again})
	if err != nil || first != second {
		t.Fatalf("%p and %p, %v", first, second, err)
	}
	jwt, err := first.MintJWT(server.Person{Subject: "ada", Administrator: true, ExpiresIn: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		"/api/api-tokens", "/api/latchward/users", "/api/latchward/groups", "/api/latchward/roles",
		"/api/latchward/permissions", "/api/latchward/licenses", "/api/latchward/openapi.json",
	} {
		if status, body := ask(mux, path, jwt.Expose()); status != 200 {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if status, _ := ask(mux, "/api/api-tokens", ""); status != 401 {
		t.Errorf("without a credential: %d", status)
	}
}

func TestActivateConflicts(t *testing.T) {
	folder := t.TempDir()
	mux := http.NewServeMux()
	tokens := activate(t, mux, server.Activation{Data: folder})
	taken := http.NewServeMux()
	taken.HandleFunc("/api/latchward/", http.NotFound)
	for name, c := range map[string]struct {
		mux  *http.ServeMux
		data string
	}{
		"another folder on this mux":  {mux, t.TempDir()},
		"this folder on another mux":  {http.NewServeMux(), folder},
		"a mux that has the paths":    {taken, t.TempDir()},
		"this folder without any mux": {nil, folder},
	} {
		_, err := server.Activate(t.Context(), c.mux, server.Activation{Data: c.data})
		if latchward.ErrorCode(err) != latchward.CodeConflict {
			t.Errorf("%s: %v", name, err)
		}
	}
	other := http.NewServeMux()
	tokens.Mount(other)
	if status, _ := ask(other, "/api/api-tokens", ""); status != 401 {
		t.Errorf("mounted elsewhere: %d", status)
	}
	if err := tokens.Close(); err != nil {
		t.Fatal(err)
	}
	if status, _ := ask(mux, "/api/api-tokens", ""); status != 503 {
		t.Errorf("after Close: %d", status)
	}
	_, err := server.Activate(t.Context(), mux, server.Activation{Data: folder})
	if latchward.ErrorCode(err) != latchward.CodeConflict {
		t.Errorf("on a mux of a closed one: %v", err)
	}
	activate(t, http.NewServeMux(), server.Activation{Data: folder}) // the folder is free again
}

func TestActivateSettings(t *testing.T) {
	for name, settings := range map[string]map[string]string{
		"unknown":    {"nonsense": "1"},
		"bad value":  {"prefix": "!"},
		"no meaning": {"authentication": "off"},
	} {
		_, err := server.Activate(t.Context(), nil, server.Activation{Data: t.TempDir(), Settings: settings})
		if latchward.ErrorCode(err) != latchward.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	tokens := activate(t, nil, server.Activation{
		Data: t.TempDir(), Base: "/v2", Settings: map[string]string{"prefix": "acme_", "gateway.accept_jwt": "true"},
	})
	user, err := tokens.UseCases.CreateUser(tokens.AsAdministrator(t.Context()), latchward.NewUser{Name: "Ada"})
	if err != nil {
		t.Fatal(err)
	}
	issued, err := tokens.UseCases.CreateToken(tokens.AsAdministrator(t.Context()), latchward.NewToken{
		AllowedEndpoints: []string{"/things/*"}, Owner: &latchward.Owner{Type: latchward.OwnerUser, ID: int64(user.ID)},
	})
	if err != nil || !strings.HasPrefix(issued.Secret.Expose(), "acme_") {
		t.Fatalf("%v", err)
	}
	jwt, err := tokens.MintJWT(server.Person{Subject: "ben", ExpiresIn: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	api := tokens.Operations(operation.Options{})
	operation.Get(api, operation.Operation{Path: "/things/{id}"}, getThing)
	guarded := tokens.Middleware(httpauth.Options{})(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {}))
	for name, h := range map[string]http.Handler{"operations": api, "middleware": guarded} {
		for _, secret := range []string{issued.Secret.Expose(), jwt.Expose()} {
			if status, body := ask(h, "/v2/things/1", secret); status != 200 {
				t.Errorf("%s: %d %s", name, status, body)
			}
		}
		if status, _ := ask(h, "/v2/things/1", "acme_wrong"); status != 401 {
			t.Errorf("%s with a wrong token: %d", name, status)
		}
	}
	if err := tokens.UseCases.FlushUsage(t.Context()); err != nil {
		t.Fatal(err)
	}
	usage, err := tokens.UseCases.TokenUsage(tokens.AsAdministrator(t.Context()), issued.Token.ID, 1)
	if err != nil || len(usage.Recent) != 2 {
		t.Errorf("%+v, %v", usage, err)
	}
}

type thing struct {
	ID int64 `path:"id" json:"id"`
}

func getThing(_ context.Context, in thing) (thing, error) { return in, nil }

// Handlers of a program stand beside upstreams, and judge for themselves.
func TestHandleBeside(t *testing.T) {
	s, err := server.Open(t.Context(), settings(t, folder(t), "upstreams", "http://127.0.0.1:1"))
	if err != nil {
		t.Fatal(err)
	}
	api := s.Operations(operation.Options{})
	operation.Get(api, operation.Operation{Path: "/v1/things/{id}"}, getThing)
	operation.Get(api, operation.Operation{Path: "/v1/open/{id}", Public: true}, getThing)
	if err := s.Handle("/api/v1", api); err != nil {
		t.Fatal(err)
	}
	for _, prefix := range []string{"", "/", "api", "/a/../b"} {
		if err := s.Handle(prefix, api); err == nil {
			t.Errorf("prefix %q was taken", prefix)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	for path, want := range map[string]int{
		"/api/v1/open/1": 200, "/api/v1/things/1": 401, "/api/v1/none": 404, "/api/v1/openapi.json": 404, "/api/v2": 401,
		"/api/latchward/openapi.json": 200,
	} {
		answer, err := http.Get(s.URL() + path)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, answer.StatusCode, want)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
