package signin_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
	"github.com/latchward/latchward/memory"
	"github.com/latchward/latchward/signin"
)

// liar is an OpenID provider that answers what a test wants.
type liar struct {
	*httptest.Server
	claims  map[string]any // of the next ID token
	header  string
	key     *rsa.PrivateKey
	asked   url.Values // by the last exchange of a code
	userinf map[string]any
}

func newLiar(t *testing.T) *liar {
	t.Helper()
	l := &liar{key: rsaKey(), header: `{"alg":"RS256","kid":"1"}`}
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, value any) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(value)
	}
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{
			"issuer": l.URL, "authorization_endpoint": l.URL + "/authorize", "token_endpoint": l.URL + "/token",
			"jwks_uri": l.URL + "/keys", "userinfo_endpoint": l.URL + "/me", "id_token_signing_alg_values_supported": []string{"RS256"},
		})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		encode := base64.RawURLEncoding.EncodeToString
		answer(w, map[string]any{"keys": []any{map[string]any{
			"kty": "RSA", "kid": "1", "use": "sig", "alg": "RS256", "n": encode(l.key.N.Bytes()), "e": "AQAB",
		}}})
	})
	mux.HandleFunc("/me", func(w http.ResponseWriter, _ *http.Request) { answer(w, l.userinf) })
	mux.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		l.asked = r.PostForm
		answer(w, map[string]any{"access_token": "a", "token_type": "Bearer", "id_token": l.sign()})
	})
	l.Server = httptest.NewServer(mux)
	t.Cleanup(l.Close)
	return l
}

func (l *liar) sign() string {
	encode := base64.RawURLEncoding.EncodeToString
	payload, _ := json.Marshal(l.claims)
	signed := encode([]byte(l.header)) + "." + encode(payload)
	sum := sha256.Sum256([]byte(signed))
	signature, _ := rsa.SignPKCS1v15(rand.Reader, l.key, crypto.SHA256, sum[:])
	return signed + "." + encode(signature)
}

// pagesAt serves pages whose people may sign in at the provider.
func pagesAt(t *testing.T, l *liar) (*httptest.Server, *memory.Store) {
	t.Helper()
	ring, err := latchward.GenerateKeyRing(rand.Reader, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	store := memory.New()
	service, err := latchward.New(t.Context(), latchward.Options{Store: store, Keys: ring, Passwords: cheap()})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(nil)
	address, err := url.Parse("http://" + server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	provider, err := signin.NewOIDC(signin.OIDCOptions{
		Issuer: l.URL, ClientID: "latchward", ClientSecret: text("s"), CreateUsers: true, Redirect: address.String() + "/signin/oidc/callback",
	})
	if err != nil {
		t.Fatal(err)
	}
	var none *httpauth.Proxies
	server.Config.Handler, err = signin.Pages(signin.PagesOptions{
		Service: service, Sessions: signin.NewSessions(service, address, none), Address: address, OIDC: provider,
	})
	if err != nil {
		t.Fatal(err)
	}
	server.Start()
	t.Cleanup(server.Close)
	return server, store
}

// signInWith begins a sign-in, lets edit change what the provider says, and returns the status of the callback.
func signInWith(t *testing.T, l *liar, pages *httptest.Server, edit func(claims map[string]any)) int {
	t.Helper()
	jar, _ := cookiejar.New(nil)
	client := &http.Client{Jar: jar, CheckRedirect: func(*http.Request,
		[]*http.Request) error {
		return http.ErrUseLastResponse
	}}
	get := func(address string) *http.Response {
		response, err := client.Get(address)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		return response
	}
	to, err := get(pages.URL + "/signin/oidc").Location()
	if err != nil {
		t.Fatal(err)
	}
	q := to.Query()
	if q.Get("code_challenge_method") != "S256" || len(q.Get("code_challenge")) != 43 || len(q.Get("state")) < 26 ||
		len(q.Get("nonce")) < 26 || q.Get("response_type") != "code" {
		t.Fatalf("the provider is asked with %v", q)
	}
	l.claims = map[string]any{
		"iss": l.URL, "aud": "latchward", "sub": "7", "nonce": q.Get("nonce"), "email": "ada@example.com", "email_verified": true,
		"name": "Ada", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(),
	}
	edit(l.claims)
	status := get(pages.URL + "/signin/oidc/callback?" + url.Values{"state": {q.Get("state")},
		"code": {"c"}}.Encode()).StatusCode
	sum := sha256.Sum256([]byte(l.asked.Get("code_verifier")))
	if base64.RawURLEncoding.EncodeToString(sum[:]) != q.Get("code_challenge") {
		t.Errorf("the verifier %q does not fit the challenge", l.asked.Get("code_verifier"))
	}
	return status
}

// bar 108: ID tokens that are not about this sign-in
func TestLyingProvider(t *testing.T) {
	l := newLiar(t)
	pages, store := pagesAt(t, l)
	for name, edit := range map[string]func(map[string]any){
		"another nonce":     func(c map[string]any) { c["nonce"] = "x" },
		"no nonce":          func(c map[string]any) { delete(c, "nonce") },
		"another issuer":    func(c map[string]any) { c["iss"] = "https://evil.example" },
		"another audience":  func(c map[string]any) { c["aud"] = "other" },
		"no audience":       func(c map[string]any) { delete(c, "aud") },
		"expired":           func(c map[string]any) { c["exp"] = time.Now().Add(-time.Hour).Unix() },
		"no subject":        func(c map[string]any) { delete(c, "sub") },
		"a long subject":    func(c map[string]any) { c["sub"] = strings.Repeat("x", 300) },
		"an odd e-mail":     func(c map[string]any) { c["email"] = 7 },
		"unsigned":          func(map[string]any) { l.header = `{"alg":"none"}` },
		"signed by a text":  func(map[string]any) { l.header = `{"alg":"HS256"}` },
		"an unknown key id": func(map[string]any) { l.header = `{"alg":"RS256","kid":"2"}` },
	} {
		if status := signInWith(t, l, pages, edit); status != 400 && status != 401 {
			t.Errorf("%s: %d", name, status)
		}
		l.header = `{"alg":"RS256","kid":"1"}`
	}
	if users, err := store.Users(t.Context(), latchward.UserFilter{Limit: 10}); err != nil || len(users) != 0 {
		t.Errorf("%d users, %v", len(users), err)
	}
	if status := signInWith(t, l, pages, func(map[string]any) {}); status != 303 {
		t.Errorf("an honest answer: %d", status)
	}
}

// bar 108: an e-mail joins no accounts, and one that nobody verified is not kept
func TestProviderEmails(t *testing.T) {
	l := newLiar(t)
	pages, store := pagesAt(t, l)
	signIn := func(sub, email string, verified any) {
		t.Helper()
		if status := signInWith(t, l, pages, func(c map[string]any) {
			c["sub"], c["email"], c["email_verified"] = sub, email, verified
		}); status != 303 {
			t.Fatalf("%s: %d", sub, status)
		}
	}
	signIn("1", "ada@example.com", true)
	signIn("2", "ADA@example.com", true)
	signIn("3", "bob@example.com", false)
	signIn("4", "max@example.com", nil)
	signIn("1", "other@example.com", true)
	l.userinf = map[string]any{"sub": "6", "email": "eve@example.com", "email_verified": true}
	if status := signInWith(t, l, pages, func(c map[string]any) {
		c["sub"] = "5"
		delete(c, "email")
		delete(c, "email_verified")
		delete(c, "name")
	}); status != 303 {
		t.Fatal(status)
	}
	users, err := store.Users(t.Context(), latchward.UserFilter{Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	var emails []string
	for _, u := range users {
		emails = append(emails, fmt.Sprintf("%q", u.Email))
	}
	if got, want := strings.Join(emails, " "), `"ada@example.com" "" "" "" ""`; got != want {
		t.Errorf("e-mails %s, want %s", got, want)
	}
}

// bar 107: a provider that is down is asked now and then, and one that never stops talking is not listened to
func TestProviderThatFails(t *testing.T) {
	asked, endless := 0, false
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		if !endless {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		for block := strings.Repeat(" ", 1<<16); ; {
			if _, err := w.Write([]byte(block)); err != nil {
				return
			}
		}
	}))
	defer provider.Close()
	pages, _ := pagesAt(t, &liar{Server: provider})
	for range 100 {
		response, err := http.Get(pages.URL + "/signin/oidc")
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusServiceUnavailable {
			t.Fatalf("status %d", response.StatusCode)
		}
	}
	if asked > 3 {
		t.Errorf("a provider that is down was asked %d times for 100 people", asked)
	}
	endless = true
	pages, _ = pagesAt(t, &liar{Server: provider})
	response, err := http.Get(pages.URL + "/signin/oidc")
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("an endless answer: status %d", response.StatusCode)
	}
}
