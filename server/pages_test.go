package server_test

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/latchward/latchward/server"
)

// visitor is a browser without scripts.
type visitor struct {
	t      *testing.T
	client *http.Client
	url    string
}

func visit(t *testing.T, address string) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &visitor{t, &http.Client{Jar: jar}, address}
}

// get and post follow redirects.
func (v *visitor) get(path string) answer {
	v.t.Helper()
	return send(v.t, v.client, "GET", v.url+path, "", nil)
}

// post sends a form as a browser does, with pairs of name and value.
func (v *visitor) post(path string, pairs ...string) answer {
	v.t.Helper()
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return v.send("POST", path, form.Encode(), "Content-Type", "application/x-www-form-urlencoded",
		"Origin", v.url, "Sec-Fetch-Site", "same-origin")
}

func (v *visitor) send(method, path, body string, header ...string) answer {
	v.t.Helper()
	r, err := http.NewRequestWithContext(v.t.Context(), method, v.url+path, strings.NewReader(body))
	if err != nil {
		v.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return do(v.t, v.client, r)
}

// cookie returns the value of a cookie that the browser has.
func (v *visitor) cookie(name string) string {
	u, _ := url.Parse(v.url)
	for _, c := range v.client.Jar.Cookies(u) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

const (
	adaEmail    = "ada@example.com"
	adaPassword = "correct horse battery staple"
)

// setUp makes the first administrator as a person does, and returns the browser they are signed in with.
func setUp(t *testing.T, r *running) *visitor {
	t.Helper()
	v := visit(t, r.PagesURL())
	v.post("/setup", "secret", setupSecret(t, r), "name", "Ada Example", "email", adaEmail, "new", adaPassword,
		"again", adaPassword).want(t, "setup", 200, "you are its first administrator", "Ada Example")
	return v
}

func setupSecret(t *testing.T, r *running) string {
	t.Helper()
	return strings.TrimSpace(read(t, filepath.Join(r.config.Data, "setup-secret")))
}

// bar 142
func TestFirstRun(t *testing.T) {
	r := start(t, settings(t, folder(t)))
	path := filepath.Join(r.config.Data, "setup-secret")
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the secret's file: %v, %v", info, err)
	}
	secret := setupSecret(t, r)
	if len(secret) < 40 || !strings.Contains(r.log.String(), path) || strings.Contains(r.log.String(), secret) {
		t.Errorf("a secret of %d characters, and this log:\n%s", len(secret), r.log)
	}
	v := visit(t, r.PagesURL())
	v.get("/").want(t, "front", 200, "Become the first administrator")
	form := []string{"name", "Ada", "email", adaEmail, "new", adaPassword, "again", adaPassword, "secret", ""}
	v.post("/setup", form...).want(t, "without the secret", 401, "The secret is wrong")
	form[len(form)-1] = secret + "x"
	v.post("/setup", form...).want(t, "with another secret", 401, "The secret is wrong")
	form[len(form)-1] = secret
	weak := append([]string{}, form...)
	weak[5], weak[7] = "short", "short"
	v.post("/setup", weak...).want(t, "with a short password", 400, "at least 12 characters")
	v.post("/setup", form...).want(t, "with the secret", 200, "you are its first administrator")
	if _, err := os.Stat(path); err == nil {
		t.Error("the used secret's file is still there")
	}
	form[3] = "eve@example.com"
	visit(t, r.PagesURL()).post("/setup", form...).want(t, "the second time", 401, "The secret is wrong")
	if err := r.wait(); err != nil {
		t.Fatal(err)
	}

	again := start(t, r.config)
	if _, err := os.Stat(path); err == nil {
		t.Error("there is a secret again, though there is an administrator")
	}
	again2 := visit(t, again.PagesURL())
	again2.post("/setup", form...).want(t, "after a restart", 401)
	again2.get("/setup").want(t, "the page", 404, "Latchward is set up")
}

// bar 142: every start makes another secret, and an administrator made otherwise ends it.
func TestSetupSecretIsRenewed(t *testing.T) {
	c := settings(t, folder(t))
	first := start(t, c)
	old := setupSecret(t, first)
	if err := first.wait(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(c.Data, "setup-secret")); err == nil {
		t.Error("the secret's file outlives the server")
	}
	r := start(t, c)
	fresh := setupSecret(t, r)
	if fresh == old {
		t.Error("the same secret at the second start")
	}
	v := visit(t, r.PagesURL())
	form := []string{"email", adaEmail, "new", adaPassword, "again", adaPassword, "secret", old}
	v.post("/setup", form...).want(t, "with the secret of an earlier start", 401)
	addAdministrator(t, r, "bob@example.com")
	form[len(form)-1] = fresh
	v.post("/setup", form...).want(t, "when there is an administrator", 401)
}

// bar 115: the life of a session, from outside
func TestSession(t *testing.T) {
	r := start(t, settings(t, folder(t)))
	v := setUp(t, r)
	first := v.cookie("latchward_local")
	if len(first) < 22 {
		t.Fatalf("the cookie %q has under 128 bits", first)
	}
	v.get("/api/latchward/users").want(t, "the API with the cookie, at the pages", 200, adaEmail)
	atAPI := func(cookie string) answer {
		request, err := http.NewRequestWithContext(t.Context(), "GET", r.URL()+"/api/latchward/users", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.AddCookie(&http.Cookie{Name: "latchward_local", Value: cookie})
		return do(t, http.DefaultClient, request)
	}
	atAPI(first).want(t, "the API with the cookie", 200, adaEmail)
	v.post("/signout").want(t, "signing out", 200, "You are signed out")
	atAPI(first).want(t, "a copy of the cookie after signing out", 401)
	v.get("/account").want(t, "the account, signed out", 200, "Sign in")

	in := v.post("/signin", "email", "ADA@example.com", "password", adaPassword, "next", "/account")
	in.want(t, "signing in", 200, "Your account")
	second := v.cookie("latchward_local")
	v.post("/signin", "email", adaEmail, "password", adaPassword).want(t, "signing in again", 200, "Your account")
	third := v.cookie("latchward_local")
	if second == first || third == second {
		t.Error("a sign-in kept the session's secret")
	}
	atAPI(second).want(t, "the session before a new sign-in", 401)

	other := visit(t, r.PagesURL())
	other.post("/signin", "email", adaEmail, "password", adaPassword).want(t, "in another browser", 200, "Your account")
	changed := v.post("/account/password", "current", adaPassword, "new", "another sentence, as long", "again",
		"another sentence, as long")
	changed.want(t, "changing the password", 200, "Your password is changed")
	if v.cookie("latchward_local") == third {
		t.Error("a changed password kept the session's secret")
	}
	other.get("/account").want(t, "the other browser after the password was changed", 200, "Sign in")
}

// bar 115: whoever is disabled is out, whatever they hold
func TestDisabledPersonIsOut(t *testing.T) {
	r := start(t, settings(t, folder(t)))
	v := setUp(t, r)
	local := r.localClient(t)
	off := false
	if _, err := local.UpdateUser(t.Context(), 1, userChange(&off)); err != nil {
		t.Fatal(err)
	}
	v.get("/api/latchward/users").want(t, "the API as somebody disabled", 401)
	v.get("/account").want(t, "the account of somebody disabled", 200, "Sign in")
	v.post("/signin", "email", adaEmail, "password", adaPassword).want(t, "signing in", 401,
		"The e-mail or the password is wrong")
	on := true
	if _, err := local.UpdateUser(t.Context(), 1, userChange(&on)); err != nil {
		t.Fatal(err)
	}
	v.get("/api/latchward/users").want(t, "the old session, enabled again", 401)
	v.post("/signin", "email", adaEmail, "password", adaPassword).want(t, "signing in, enabled again", 200, "Your account")
}

// bar 115: ASVS 7.5.2
func TestOwnSessions(t *testing.T) {
	r := start(t, settings(t, folder(t)))
	v := setUp(t, r)
	other := visit(t, r.PagesURL())
	other.post("/signin", "email", adaEmail, "password", adaPassword).want(t, "in another browser", 200, "Your account")
	page := v.get("/account")
	ids := regexp.MustCompile(`name="session" value="([0-9a-f]{64})"`).FindAllStringSubmatch(page.body, -1)
	if len(ids) != 2 {
		t.Fatalf("%d sessions on the page", len(ids))
	}
	if strings.Count(page.body, "(this browser)") != 1 {
		t.Error("the page does not say which session is this one")
	}
	v.post("/account/sessions/end-others").want(t, "ending the others", 200, "All other sessions have ended")
	other.get("/account").want(t, "the other browser", 200, "Sign in")
	v.get("/account").want(t, "this browser", 200, "Your account")
	v.post("/account/sessions/end", "session", strings.Repeat("ab", 32)).want(t, "a session that is nobody's", 404)
	v.post("/account/sessions/end", "session", "x").want(t, "no session", 400)
}

// C-07, S5: a second factor from the first code to the last recovery code, against another implementation of RFC 6238
func TestSecondFactor(t *testing.T) {
	r := start(t, settings(t, folder(t)))
	v := setUp(t, r)
	page := v.post("/account/totp")
	page.want(t, "turning on codes", 200, "<svg", "Scan this")
	secret := strings.ReplaceAll(regexp.MustCompile(`<p class="code">([A-Z2-7 ]+)</p>`).FindStringSubmatch(page.body)[1],
		" ", "")
	code := func(ago time.Duration) string {
		text, err := totp.GenerateCode(secret, time.Now().Add(-ago))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	v.post("/account/totp/confirm", "code", code(time.Hour)).want(t, "an old code", 400, "This code is wrong")
	// The code of the step before, so that the current one is left for signing in.
	page = v.post("/account/totp/confirm", "code", code(30*time.Second))
	page.want(t, "a code", 200, "Recovery codes")
	codes := regexp.MustCompile(`<li>([a-z2-7-]{29})</li>`).FindAllStringSubmatch(page.body, -1)
	if len(codes) != 10 {
		t.Fatalf("%d recovery codes", len(codes))
	}
	v.post("/signout")
	out := visit(t, r.PagesURL())
	out.post("/signin", "email", adaEmail, "password", adaPassword, "next", "/account").want(t, "the password", 200,
		"Enter a code")
	out.get("/api/latchward/users").want(t, "the API before the code", 401)
	out.get("/account").want(t, "the account before the code", 200, "Sign in")
	out.post("/signin/code", "code", "000000").want(t, "a wrong code", 401, "This code is wrong")
	pending := out.cookie("latchward_local")
	out.post("/signin/code", "code", code(0), "next", "/account").want(t, "the code", 200, "Your account",
		"10 recovery codes left")
	if out.cookie("latchward_local") == pending {
		t.Error("the code kept the session's secret")
	}
	again := visit(t, r.PagesURL())
	again.post("/signin", "email", adaEmail, "password", adaPassword)
	again.post("/signin/code", "code", code(0)).want(t, "the same code again", 401, "used before")
	again.post("/signin/code", "code", strings.ToUpper(codes[3][1])).want(t, "a recovery code", 200,
		"9 recovery codes left")
	third := visit(t, r.PagesURL())
	third.post("/signin", "email", adaEmail, "password", adaPassword)
	third.post("/signin/code", "code", codes[3][1]).want(t, "the recovery code again", 401, "used before")

	again.post("/account/totp/remove").want(t, "turning off codes", 200, "Codes are off")
	fourth := visit(t, r.PagesURL())
	fourth.post("/signin", "email", adaEmail, "password", adaPassword).want(t, "without codes", 200, "Your account")
}

// S3-19
func TestPagesWithoutAuthentication(t *testing.T) {
	r := start(t, settings(t, folder(t), "authentication", "off", "upstreams", upstream(t)))
	if _, err := os.Stat(filepath.Join(r.config.Data, "setup-secret")); err == nil {
		t.Error("there is a secret for a first administrator whom nothing needs")
	}
	v := visit(t, r.PagesURL())
	for _, path := range []string{"/", "/signin", "/setup", "/account"} {
		v.get(path).want(t, path, 409, "API tokens are not available in non-authenticated mode")
	}
	get(t, r.URL()+"/api/api-tokens", "").want(t, "management", 409,
		`"error":"API tokens are not available in non-authenticated mode"`)
	get(t, r.URL()+"/api/products", "Bearer garbage").want(t, "an upstream", 200, "products")
}

func TestPagesSettings(t *testing.T) {
	for _, pairs := range [][]string{
		{"pages.url", "http://tokens.example.com"}, {"pages.url", "tokens.example.com"}, {"pages.url", "https://a.example/b"},
		{"pages.listen", "0.0.0.0:5173"}, {"oidc.issuer", "https://id.example.com"}, {"oidc.client_id", "x"},
		{"oidc.issuer", "http://id.example.com", "oidc.client_id", "x"},
	} {
		flags := map[string]string{"data": folder(t)}
		for i := 0; i < len(pairs); i += 2 {
			flags[pairs[i]] = pairs[i+1]
		}
		if _, err := server.Load(server.Sources{File: os.DevNull, Flags: flags}); err == nil {
			t.Errorf("%v was taken", pairs)
		}
	}
	c := settings(t, folder(t), "pages.listen", "off")
	r := start(t, c)
	if r.PagesURL() != "" {
		t.Errorf("pages that are off are at %s", r.PagesURL())
	}
	secure := start(t, settings(t, folder(t), "pages.url", "https://tokens.example.com"))
	if secure.PagesURL() != "https://tokens.example.com" {
		t.Errorf("pages are at %s", secure.PagesURL())
	}
}
