package rest_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/rest"
)

// panicking is somebody whose sign-in panics.
type panicking struct{ cause any }

func (p panicking) Authenticate(context.Context, latchward.Secret) (latchward.Principal, error) {
	panic(p.cause)
}

// bar 130, 131: a panic is a generic 500, what it says is told to nobody, and the next request is served.
func TestPanic(t *testing.T) {
	const secret = "lw_thisIsTheSecret"
	for cause, logged := range map[any]string{
		secret: "of type string", errTest: "of type", latchward.SecretFromText(secret).Expose() + "!": "of type string",
	} {
		w := newWorld(t, func(_ *latchward.Options, o *rest.Options) { o.Persons = panicking{cause} })
		r := w.do(http.MethodGet, "/api/api-tokens", adminJWT, "")
		p := problem(t, r)
		if p.Status != http.StatusInternalServerError || p.Code != "internal" || strings.Contains(r.Body.String(), secret) {
			t.Errorf("%s", r.Body)
		}
		if text := w.log.String(); strings.Contains(text, secret) || !strings.Contains(text, logged) ||
			!strings.Contains(text, "panic_test.go") {
			t.Errorf("log %s", text)
		}
		if r := w.do(http.MethodGet, "/api/api-tokens", "", ""); r.Code != http.StatusUnauthorized {
			t.Errorf("afterwards: status %d", r.Code)
		}
	}
	w := newWorld(t, func(_ *latchward.Options, o *rest.Options) { o.Persons = failing{} })
	w.do(http.MethodGet, "/api/api-tokens", adminJWT, "")
	if !strings.Contains(w.log.String(), "index out of range") {
		t.Errorf("log %s", w.log)
	}
}

// failing makes a mistake of the kind that the runtime finds.
type failing struct{}

func (failing) Authenticate(context.Context, latchward.Secret) (latchward.Principal, error) {
	var people []latchward.Principal
	return people[len(adminJWT)], nil
}

// http.ErrAbortHandler is how a handler ends a connection; it is passed on.
func TestAbort(t *testing.T) {
	w := newWorld(t, func(_ *latchward.Options, o *rest.Options) { o.Persons = panicking{http.ErrAbortHandler} })
	defer func() {
		if recover() != http.ErrAbortHandler { // as net/http compares it
			t.Error("the abort was swallowed")
		}
	}()
	r := newRequest(http.MethodGet, "/api/api-tokens", "")
	r.Header.Set("Authorization", "Bearer "+adminJWT)
	w.handler.ServeHTTP(httptest.NewRecorder(), r)
}

// C-03, bar 130: nothing that a caller sends as a secret is logged.
func TestNothingSecretIsLogged(t *testing.T) {
	p := newPopulated(t)
	var secrets []string
	for _, issued := range p.tokens[1:] {
		secrets = append(secrets, issued.Secret.Expose())
	}
	for _, secret := range secrets {
		p.do(http.MethodGet, "/api/api-tokens?"+secret+"="+secret, secret, "")
		p.do(http.MethodPost, "/api/latchward/verify", secrets[2], `{"token":"`+secret+`","cost":0}`)
		p.do(http.MethodPost, "/api/latchward/verify", secrets[2], `{"token":"`+secret+`"`)
		p.do(http.MethodPost, "/api/api-tokens", adminJWT, `{"`+secret+`":1}`)
	}
	p.do(http.MethodGet, "/api/api-tokens", failedJWT, "")
	for _, secret := range append(secrets, failedJWT, brokenJWT, adminJWT) {
		if strings.Contains(p.log.String(), secret) {
			t.Errorf("%s is logged", secret)
		}
	}
	if !strings.Contains(p.log.String(), "Request failed") {
		t.Error("nothing was logged at all")
	}
}
