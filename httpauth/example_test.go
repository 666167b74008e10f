package httpauth_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
	"github.com/latchward/latchward/memory"
)

// A program protects its own handlers, with everything in one process.
func ExampleRequire() {
	ctx := latchward.WithPrincipal(context.Background(), latchward.Principal{
		Type: latchward.PrincipalLocal, Administrator: true,
	})
	keys, err := latchward.GenerateKeyRing(rand.Reader, time.Now())
	if err != nil {
		log.Fatal(err)
	}
	service, err := latchward.New(ctx, latchward.Options{Store: memory.New(), Keys: keys})
	if err != nil {
		log.Fatal(err)
	}
	user, err := service.CreateUser(ctx, latchward.NewUser{Name: "Ada"})
	if err != nil {
		log.Fatal(err)
	}
	issued, err := service.CreateToken(ctx, latchward.NewToken{
		Name: "Website", Owner: &latchward.Owner{Type: latchward.OwnerUser, ID: int64(user.ID)},
		RateLimit: 200, AllowedEndpoints: []string{"GET /products*"},
	})
	if err != nil {
		log.Fatal(err)
	}

	protect := httpauth.Require(service, httpauth.Options{Base: "/api", Recorder: service})
	api := http.NewServeMux()
	api.HandleFunc("GET /api/products", func(w http.ResponseWriter, r *http.Request) {
		verdict, _ := latchward.VerdictFrom(r.Context())
		fmt.Fprintf(w, "hello %s, here are the products", verdict.Subject.Name)
	})
	handler := protect(api)

	call := func(path, token string) {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code == http.StatusOK {
			fmt.Println(w.Code, w.Body, w.Header().Get("X-RateLimit-Remaining"))
			return
		}
		var p httpauth.Problem
		_ = json.Unmarshal(w.Body.Bytes(), &p)
		fmt.Println(w.Code, p.Code, p.Error)
	}
	call("/api/products", issued.Secret.Expose())
	call("/api/orders", issued.Secret.Expose())
	call("/api/products", "lw_guess")
	// Output:
	// 200 hello Ada, here are the products 199
	// 403 endpoint_not_allowed Endpoint not allowed for this token
	// 401 invalid_token Invalid token
}

// remote stands for the client of a Latchward server, which is a Verifier like any other.
type remote struct{}

func (remote) Verify(context.Context, latchward.VerifyRequest) (latchward.Verdict, error) {
	return latchward.Verdict{}, latchward.Errorf(latchward.CodeUnavailable, "the server did not answer")
}

// An endpoint that anybody may call, and where tokens are recognised when they are sent; and what happens when the
// server that would recognise them does not answer.
func ExampleRequire_optional() {
	greet := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch verdict, judged := latchward.VerdictFrom(r.Context()); {
		case !judged:
			fmt.Fprint(w, "hello, whoever you are")
		case verdict.Allowed():
			fmt.Fprint(w, "hello ", verdict.Subject.Name)
		default:
			fmt.Fprint(w, "hello stranger")
		}
	})
	for _, mode := range []httpauth.OnError{httpauth.OnErrorRefuse, httpauth.OnErrorAllow} {
		handler := httpauth.Require(remote{}, httpauth.Options{Optional: true, OnError: mode})(greet)
		for _, header := range []string{"", "Bearer lw_something"} {
			r := httptest.NewRequest(http.MethodGet, "/greeting", nil)
			if header != "" {
				r.Header.Set("Authorization", header)
			}
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			fmt.Println(w.Code, w.Body.String()[:14])
		}
	}
	// Output:
	// 200 hello stranger
	// 503 {"type":"about
	// 200 hello stranger
	// 200 hello, whoever
}

// The address of a client counts only as far as the proxies in front are known.
func ExampleProxies_ClientAddress() {
	proxies, err := httpauth.NewProxies([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, "X-Forwarded-For")
	if err != nil {
		log.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("X-Forwarded-For", "203.0.113.5, 198.51.100.7, 10.0.0.2")
	r.RemoteAddr = "10.0.0.1:4711"
	fmt.Println(proxies.ClientAddress(r))
	r.RemoteAddr = "192.0.2.1:4711"
	fmt.Println(proxies.ClientAddress(r))
	// Output:
	// 198.51.100.7
	// 192.0.2.1
}
