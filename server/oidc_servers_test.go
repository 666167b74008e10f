//go:build servers

package server_test

import (
	"bufio"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const clientID, clientSecret = "latchward", "a secret that both of them know"

// startProvider starts the OpenID provider in testdata/provider as a process of its own.
func startProvider(t *testing.T, redirect string) (issuer string) {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "provider")
	build := exec.Command("go", "build", "-o", binary, ".")
	build.Dir = "testdata/provider"
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the provider: %v\n%s", err, out)
	}
	provider := exec.Command(binary, clientID, clientSecret, redirect)
	stdin, err := provider.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := provider.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	provider.Stderr = os.Stderr
	if err := provider.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = provider.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("the provider does not say where it is: %v", err)
	}
	return strings.TrimSpace(line)
}

// startWithProvider starts a server whose people may sign in at a provider, which has to know its address first.
func startWithProvider(t *testing.T, pairs ...string) *running {
	t.Helper()
	pages := freeAddress(t)
	address := "http://localhost:" + pages[strings.LastIndexByte(pages, ':')+1:]
	issuer := startProvider(t, address+"/signin/oidc/callback")
	c := settings(t, folder(t), append([]string{"pages.listen", pages, "oidc.issuer", issuer, "oidc.client_id", clientID},
		pairs...)...)
	c.OIDCSecret = secretOf(clientSecret)
	return start(t, c)
}

// atProvider signs in at the provider, whose form is shown, and follows the way back up to the callback, which it
// returns without having gone there.
func (v *visitor) atProvider(form *http.Response, user string) *url.URL {
	v.t.Helper()
	login := form.Request.URL
	id := login.Query().Get("authRequestID")
	var callback *url.URL
	v.client.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if r.URL.Path == "/signin/oidc/callback" {
			callback = r.URL
			return http.ErrUseLastResponse
		}
		return nil
	}
	defer func() { v.client.CheckRedirect = nil }()
	answer, err := v.client.PostForm(login.Scheme+"://"+login.Host+"/login/username",
		url.Values{"id": {id}, "username": {user}, "password": {"verysecure"}})
	if err != nil {
		v.t.Fatal(err)
	}
	defer answer.Body.Close()
	if callback == nil {
		v.t.Fatalf("the provider does not send %s back: %s", user, answer.Status)
	}
	return callback
}

// toProvider goes to the provider's form.
func (v *visitor) toProvider(path string) *http.Response {
	v.t.Helper()
	form, err := v.client.Get(v.url + path)
	if err != nil {
		v.t.Fatal(err)
	}
	_ = form.Body.Close()
	if form.Request.URL.Host == strings.TrimPrefix(v.url, "http://") {
		v.t.Fatalf("%s does not lead to the provider: %s", path, form.Status)
	}
	return form
}

// bar 108, B-18: against a provider that others wrote
func TestSignInAtProvider(t *testing.T) {
	r := startWithProvider(t)
	ada := setUp(t, r)
	user := "test-user2"

	v := visit(t, r.PagesURL())
	form := v.toProvider("/signin/oidc?next=/account")
	back := v.atProvider(form, user)
	path := back.RequestURI()
	v.get(path).want(t, "the way back", 200, "Your account", "test-user2@zitadel.ch", "Sign-in at other places")
	v.get(path).want(t, "the same answer again", 400, "Begin again")
	other := visit(t, r.PagesURL())
	other.get(path).want(t, "the answer in another browser", 400, "Begin again")

	list := ada.get("/api/latchward/users")
	if strings.Count(list.body, "test-user2@zitadel.ch") != 1 {
		t.Errorf("users: %s", list.body)
	}
	again := visit(t, r.PagesURL())
	again.get(again.atProvider(again.toProvider("/signin/oidc"), user).RequestURI()).want(t, "a second time", 200,
		"Your account")
	if after := ada.get("/api/latchward/users"); after.body != list.body {
		t.Errorf("a second sign-in made a second user: %s", after.body)
	}

	for name, edit := range map[string]func(q url.Values){
		"another state":   func(q url.Values) { q.Set("state", "x") },
		"no state":        func(q url.Values) { q.Del("state") },
		"another issuer":  func(q url.Values) { q.Set("iss", "https://evil.example") },
		"another code":    func(q url.Values) { q.Set("code", "x") },
		"no code":         func(q url.Values) { q.Del("code") },
		"state repeated":  func(q url.Values) { q.Add("state", q.Get("state")) },
		"provider's no":   func(q url.Values) { q.Set("error", "access_denied") },
		"an empty issuer": func(q url.Values) { q.Set("iss", "") },
	} {
		v := visit(t, r.PagesURL())
		back := v.atProvider(v.toProvider("/signin/oidc"), user)
		q := back.Query()
		edit(q)
		v.get("/signin/oidc/callback?"+q.Encode()).want(t, name, 400)
		v.get("/account").want(t, "after "+name, 200, "Sign in")
	}
	// One person's answer does not sign in another who began as well: that would put a victim into the attacker's account.
	victim, attacker := visit(t, r.PagesURL()), visit(t, r.PagesURL())
	victim.toProvider("/signin/oidc")
	stolen := attacker.atProvider(attacker.toProvider("/signin/oidc"), user)
	victim.get(stolen.RequestURI()).want(t, "an attacker's answer", 400, "Begin again")
}

// bar 108: accounts are linked by whoever is signed in to them, and never by an e-mail
func TestLinkProvider(t *testing.T) {
	r := startWithProvider(t, "oidc.create_users", "false")
	ada := setUp(t, r)
	stranger := visit(t, r.PagesURL())
	stranger.get(stranger.atProvider(stranger.toProvider("/signin/oidc"), "test-user2").RequestURI()).
		want(t, "somebody unknown", 401, "unknown people are not created")
	if _, err := r.localClient(t).UpdateUser(t.Context(), 1, emailChange("test-user2@zitadel.ch")); err != nil {
		t.Fatal(err)
	}
	again := visit(t, r.PagesURL())
	again.get(again.atProvider(again.toProvider("/signin/oidc"), "test-user2").RequestURI()).
		want(t, "somebody with the e-mail of a user", 401, "unknown people are not created")

	ada.get(ada.atProvider(ada.toProvider("/account/oidc"), "test-user2").RequestURI()).
		want(t, "linking", 200, "You can sign in there from now on")
	linked := visit(t, r.PagesURL())
	linked.get(linked.atProvider(linked.toProvider("/signin/oidc?next=/account"), "test-user2").RequestURI()).
		want(t, "the linked person", 200, "Your account", "Ada Example")
	page := ada.get("/account")
	id := regexp.MustCompile(`name="issuer" value="([^"]+)"><input type="hidden" name="subject" value="([^"]+)"`).
		FindStringSubmatch(page.body)
	if id == nil {
		t.Fatalf("no identity on the page: %s", page.body)
	}
	ada.post("/account/oidc/remove", "issuer", id[1], "subject", id[2]).want(t, "unlinking", 200,
		"cannot sign in there any more")
	gone := visit(t, r.PagesURL())
	gone.get(gone.atProvider(gone.toProvider("/signin/oidc"), "test-user2").RequestURI()).want(t, "after unlinking", 401)

	// Linking ends with the session that began it.
	back := ada.atProvider(ada.toProvider("/account/oidc"), "test-user2")
	ada.post("/signin", "email", "test-user2@zitadel.ch", "password", adaPassword).want(t, "another session", 200,
		"Your account")
	ada.get(back.RequestURI()).want(t, "linking in another session", 400, "Begin again")
}

// whoever was removed does not come back by themselves
func TestRemovedPersonAtProvider(t *testing.T) {
	r := startWithProvider(t)
	v := visit(t, r.PagesURL())
	v.get(v.atProvider(v.toProvider("/signin/oidc"), "test-user2").RequestURI()).want(t, "signing in", 200, "Your account")
	if err := removeUser(t, r, 1); err != nil {
		t.Fatal(err)
	}
	v.get("/account").want(t, "the session of somebody removed", 200, "Sign in")
	again := visit(t, r.PagesURL())
	again.get(again.atProvider(again.toProvider("/signin/oidc"), "test-user2").RequestURI()).
		want(t, "signing in again", 401, "the user was removed")
}
