package oauth_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/oauth"
)

// S3-02, X-04: a person's JWT is exchanged for an API token, which works like one made by the management API: it is
// listed, audited, and is its owner's.
func TestExchange(t *testing.T) {
	w := newWorld(t, nil)
	id, jwt := w.user(t, "ada")
	a := w.exchange(t, jwt, "scope", "offline_access", "latchward_name", "Läptop")
	reply := a.issued(t)
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "Pragma": "no-cache", "Content-Type": "application/json", "X-Content-Type-Options": "nosniff",
	} {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if reply.ExpiresIn != 0 || strings.Contains(a.body, "expires_in") || reply.Scope != "offline_access" {
		t.Errorf("%s; want no expiry and the scope offline_access", a.body)
	}
	if got := w.reason(t, reply.AccessToken); got != latchward.ReasonAllowed {
		t.Errorf("the token is %s", got)
	}
	token, err := w.Token(w.local, reply.TokenID)
	if err != nil || token.Name != "Läptop" || token.Kind != latchward.KindPersonal || token.Owner.ID != int64(id) ||
		!token.ExpiresAt.IsZero() || token.IdleTimeoutDays != latchward.DefaultIdleTimeoutDays || token.Permissions != nil {
		t.Errorf("%+v, %v", token, err)
	}
	entries, err := w.AuditEntries(w.local, latchward.AuditFilter{Action: latchward.ActionTokenCreate})
	if err != nil || len(entries) != 1 || entries[0].Actor.ID != int64(id) || !entries[0].Actor.Origin.Address.IsLoopback() {
		t.Errorf("audit: %+v, %v", entries, err)
	}
	// S3-03: offline means that it lives on, and goes idle like every other token.
	w.advance(30*24*time.Hour + 1)
	if got := w.reason(t, reply.AccessToken); got != latchward.ReasonDisabled {
		t.Errorf("after 30 days the token is %s", got)
	}
}

// Without offline_access a token is for the moment: an hour at most.
func TestExchangeLifetime(t *testing.T) {
	w := newWorld(t, nil)
	_, jwt := w.user(t, "ada")
	const day = 24 * 3600
	for _, test := range []struct {
		scope, asked string
		want         int64 // seconds; 0 = no end
	}{
		{"", "", 3600}, {"", "60", 60}, {"", "86400", 3600}, {"offline_access", "", 0}, {"offline_access", "864000", 10 * day},
	} {
		reply := w.exchange(t, jwt, "scope", test.scope, "latchward_expires_in", test.asked).issued(t)
		if reply.ExpiresIn != test.want {
			t.Errorf("scope %q for %q seconds: expires in %d s, want %d", test.scope, test.asked, reply.ExpiresIn, test.want)
		}
		if test.want == 0 {
			continue
		}
		w.advance(time.Duration(test.want)*time.Second - time.Millisecond)
		if got := w.reason(t, reply.AccessToken); got != latchward.ReasonAllowed {
			t.Errorf("just before its end a token is %s", got)
		}
		w.advance(time.Millisecond)
		if got := w.reason(t, reply.AccessToken); got != latchward.ReasonExpired {
			t.Errorf("at its end a token is %s", got)
		}
	}
	short := newWorld(t, func(o *oauth.Options) { o.TokenLifetime = 5 * time.Minute })
	_, shortJWT := short.user(t, "ada")
	for _, asked := range []string{"", "3600"} {
		if got := short.exchange(t, shortJWT, "latchward_expires_in", asked).issued(t).ExpiresIn; got != 300 {
			t.Errorf("configured to 5 minutes, a token for %q seconds expires in %d s", asked, got)
		}
	}
	for _, asked := range []string{"0", "-1", "1.5", "1e3", "x", "99999999999999999999", "9999999999"} {
		w.exchange(t, jwt, "latchward_expires_in", asked).fault(t, http.StatusBadRequest, "invalid_request")
	}
}

// A token that ends within the second still says that it ends: without expires_in it would seem to last.
func TestExchangeForAMoment(t *testing.T) {
	w := newWorld(t, nil)
	slow := newWorld(t, func(o *oauth.Options) {
		o.Service, o.Persons = w.Service, w.persons
		o.Now = func() time.Time { w.advance(600 * time.Millisecond); return w.clock() }
	})
	_, jwt := w.user(t, "ada")
	if got := slow.exchange(t, jwt, "latchward_expires_in", "1").issued(t).ExpiresIn; got != 1 {
		t.Errorf("expires in %d s", got)
	}
}

// The scope is what the token holds: never more than the person, and nothing over Latchward itself (C-09, X-08).
func TestExchangeScope(t *testing.T) {
	w := newWorld(t, nil)
	if _, err := w.CreateRole(w.local, latchward.NewRole{Name: "clerk", Permissions: []string{"orders.*", "pages.read", "users.read"}}); err != nil {
		t.Fatal(err)
	}
	_, clerk := w.user(t, "clerk", "clerk")
	_, admin := w.user(t, "root", "administrator")
	w.user(t, "guest")
	guest := w.jwt(t, "JWT", map[string]any{"sub": "guest", "roles": []string{"admin"}})
	for _, test := range []struct {
		name, jwt, scope, want string // want "" = refused
	}{
		{"all that the person holds", clerk, "", "orders.* pages.read"},
		{"some", clerk, "orders.read pages.read", "orders.read pages.read"},
		{"some, twice", clerk, "pages.read pages.read orders.*", "orders.* pages.read"},
		{"some and offline", clerk, "orders.read offline_access", "orders.read offline_access"},
		{"not held", clerk, "orders.read stores.read", ""},
		{"wider than held", clerk, "*", ""},
		{"wider than held, by action", clerk, "*.read", ""},
		{"over Latchward itself", clerk, "users.read", ""},
		{"over Latchward itself, by an administrator", admin, "tokens.create", ""},
		{"everything", admin, "*", "*"},
		{"everything, not asked for", admin, "", "*"},
		{"by an administrator for one sign-in", guest, "orders.read", ""},
		{"anything", admin, "what.ever", "what.ever"},
		{"two spaces", clerk, "orders.read  pages.read", ""},
		{"a space at the end", clerk, "orders.read ", ""},
		{"a tab", clerk, "orders.read\tpages.read", ""},
		{"no permission", clerk, "openid", ""},
		{"upper case", clerk, "Orders.read", ""},
		{"injected", clerk, `orders.read"}` + "\r\nX: y", ""},
		{"too many", clerk, manyScopes(501), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := w.exchange(t, test.jwt, "scope", test.scope)
			if test.want == "" {
				a.fault(t, http.StatusBadRequest, "invalid_scope")
				return
			}
			reply := a.issued(t)
			if reply.Scope != test.want {
				t.Errorf("scope %q, want %q", reply.Scope, test.want)
			}
			for permission, want := range map[string]bool{"orders.read": true, "tokens.create": false, "users.read": false} {
				v, err := w.Verify(w.local, latchward.VerifyRequest{
					Secret: latchward.SecretFromText(reply.AccessToken), Permissions: []string{permission}, DryRun: true,
				})
				if covers := strings.Contains(test.want, "orders") || test.want == "*"; err != nil || v.Allowed() != (want && covers) {
					t.Errorf("%s: %s, %v", permission, v.Reason, err)
				}
			}
		})
	}
}

func manyScopes(n int) string {
	var list []string
	for i := range n {
		list = append(list, "orders.a"+strings.Repeat("b", i))
	}
	return strings.Join(list[:min(n, 100)], " ") + strings.Repeat(" orders.x", 1) + " " + strings.Join(numbered(n), " ")
}

func numbered(n int) (list []string) {
	for i := range n {
		list = append(list, "orders.n"+string(rune('a'+i%26))+string(rune('a'+i/26)))
	}
	return list
}

// A resource narrows the token to what is below it (RFC 8707); an audience can only be the whole (RFC 8693 §2.1).
func TestExchangeTarget(t *testing.T) {
	w := newWorld(t, nil)
	_, jwt := w.user(t, "ada")
	for _, test := range []struct {
		resources, audiences []string
		want                 []string // endpoints
		refused              bool
	}{
		{resources: []string{issuer + "/api/products"}, want: []string{"/products", "/products/**"}},
		{resources: []string{issuer + "/api/products/"}, want: []string{"/products", "/products/**"}},
		{resources: []string{issuer + "/api/a", issuer + "/api/b"}, want: []string{"/a", "/a/**", "/b", "/b/**"}},
		{resources: []string{issuer}}, {resources: []string{issuer + "/"}}, {resources: []string{issuer + "/api"}},
		{resources: []string{issuer + "/api/a", issuer}},
		{audiences: []string{issuer}}, {audiences: []string{issuer + "/"}},
		{resources: []string{"https://other.example.com/api/products"}, refused: true},
		{resources: []string{"http://tokens.example.com/api/products"}, refused: true},
		{resources: []string{issuer + ".evil.example/api/products"}, refused: true},
		{resources: []string{"https://x@tokens.example.com/api/products"}, refused: true},
		{resources: []string{issuer + "/other"}, refused: true},
		{resources: []string{issuer + "/apix"}, refused: true},
		{resources: []string{issuer + "/api/../x"}, refused: true},
		{resources: []string{issuer + "/api/a%2f"}, refused: true},
		{resources: []string{issuer + "/api/a*"}, refused: true},
		{resources: []string{issuer + "/api/a?x=1"}, refused: true},
		{resources: []string{issuer + "/api/a#x"}, refused: true},
		{resources: []string{issuer + "/api/a#"}, refused: true},
		{resources: []string{"/api/products"}, refused: true},
		{resources: []string{"::"}, refused: true},
		{resources: []string{issuer + "/api/a", "https://other.example.com"}, refused: true},
		{audiences: []string{"https://other.example.com"}, refused: true},
		{audiences: []string{issuer, "billing"}, refused: true},
	} {
		values := exchanging(jwt)
		values["resource"], values["audience"] = test.resources, test.audiences
		a := w.post(t, oauth.TokenPath, values)
		if test.refused {
			a.fault(t, http.StatusBadRequest, "invalid_target")
			continue
		}
		token, err := w.Token(w.local, a.issued(t).TokenID)
		if err != nil || !slices.Equal(token.AllowedEndpoints, test.want) {
			t.Errorf("%v %v: endpoints %v, want %v (%v)", test.resources, test.audiences, token.AllowedEndpoints, test.want, err)
		}
	}
	nameless := newWorld(t, func(o *oauth.Options) { o.Issuer = "" })
	_, jwt = nameless.user(t, "ada")
	for _, name := range []string{"resource", "audience"} {
		nameless.exchange(t, jwt, name, "/").fault(t, http.StatusBadRequest, "invalid_target")
	}
	nameless.exchange(t, jwt).issued(t)
}

// Endpoints can be named as patterns, too, instead of a resource.
func TestExchangeEndpoints(t *testing.T) {
	w := newWorld(t, nil)
	_, jwt := w.user(t, "ada")
	values := exchanging(jwt)
	values["latchward_endpoint"] = []string{"GET /products*", "POST /orders"}
	token, err := w.Token(w.local, w.post(t, oauth.TokenPath, values).issued(t).TokenID)
	if err != nil || !slices.Equal(token.AllowedEndpoints, values["latchward_endpoint"]) {
		t.Errorf("endpoints %v, %v", token.AllowedEndpoints, err)
	}
	values.Set("resource", issuer+"/api/orders")
	w.post(t, oauth.TokenPath, values).fault(t, http.StatusBadRequest, "invalid_request")
	text := w.exchange(t, jwt, "latchward_endpoint", "products").fault(t, http.StatusBadRequest, "invalid_request")
	if !strings.HasPrefix(text, "latchward_endpoint: ") {
		t.Errorf("the refusal is %q", text)
	}
}

// B-13: policies hold for tokens that come by OAuth, and the answer tells what became of them.
func TestExchangeObeysPolicies(t *testing.T) {
	for name, test := range map[string]struct {
		rules   latchward.LifecycleRules
		pairs   []string
		code    string // "" = a token
		seconds int64
	}{
		"a longest life": {
			latchward.LifecycleRules{MaxLifetimeDays: 1}, []string{"scope", "offline_access"}, "", 24 * 3600},
		"a longest life, and more is asked for": {
			latchward.LifecycleRules{MaxLifetimeDays: 1}, []string{"scope", "offline_access", "latchward_expires_in", "90000"}, "invalid_scope", 0},
		"an expiry must be named": {
			latchward.LifecycleRules{ExpiryRequired: true}, []string{"scope", "offline_access"}, "invalid_scope", 0},
		"an expiry must be named, and is": {
			latchward.LifecycleRules{ExpiryRequired: true}, []string{"scope", "offline_access", "latchward_expires_in", "90"}, "", 90},
		"an expiry must be named, for the moment": {
			latchward.LifecycleRules{ExpiryRequired: true}, nil, "", 3600},
		"no personal tokens": {
			latchward.LifecycleRules{Kinds: []latchward.Kind{latchward.KindService}}, nil, "invalid_request", 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			_, jwt := w.user(t, "ada")
			if _, err := w.CreatePolicy(w.local, latchward.NewPolicy{Name: "strict", Rules: test.rules}); err != nil {
				t.Fatal(err)
			}
			a := w.exchange(t, jwt, test.pairs...)
			if test.code != "" {
				a.fault(t, http.StatusBadRequest, test.code)
				return
			}
			if got := a.issued(t).ExpiresIn; got != test.seconds {
				t.Errorf("expires in %d s, want %d", got, test.seconds)
			}
		})
	}
}

// X-08, bar 102: only people get tokens. What Latchward itself issued is nobody's, whoever signed it.
func TestExchangeOnlyForPeople(t *testing.T) {
	w := newWorld(t, nil)
	id, jwt := w.user(t, "ada", "administrator")
	personal := w.create(t, id, latchward.NewToken{}).Secret.Expose()
	service := w.create(t, id, latchward.NewToken{
		Kind: latchward.KindService, Permissions: []string{"tokens.create", "*"},
	}).Secret.Expose()
	claims := map[string]any{"sub": "ada"}
	for name, values := range map[string]url.Values{
		"derived token":               exchanging(w.jwt(t, "at+jwt", claims)),
		"derived token, long type":    exchanging(w.jwt(t, "application/at+jwt", claims)),
		"derived token as its type":   exchanging(w.jwt(t, "at+jwt", claims), "subject_token_type", oauth.TypeAccessToken),
		"assertion":                   exchanging(w.jwt(t, "latchward-assertion+jwt", claims)),
		"personal token":              exchanging(personal),
		"personal token as its type":  exchanging(personal, "subject_token_type", oauth.TypeAccessToken),
		"service token":               exchanging(service, "subject_token_type", oauth.TypeAccessToken),
		"token as a session":          exchanging(personal, "subject_token_type", oauth.TypeSession),
		"ID token":                    exchanging(w.jwt(t, "JWT", map[string]any{"sub": "ada", "nonce": "n", "at_hash": "x"})),
		"JWT called an ID token":      exchanging(jwt, "subject_token_type", "urn:ietf:params:oauth:token-type:id_token"),
		"JWT called a refresh token":  exchanging(jwt, "subject_token_type", "urn:ietf:params:oauth:token-type:refresh_token"),
		"JWT as a session":            exchanging(jwt, "subject_token_type", oauth.TypeSession),
		"expired JWT":                 exchanging(w.jwt(t, "JWT", map[string]any{"sub": "ada", "exp": w.clock().Add(-2 * time.Minute).Unix()})),
		"another issuer's":            exchanging(w.jwt(t, "JWT", map[string]any{"sub": "ada", "iss": "other"})),
		"for another audience":        exchanging(w.jwt(t, "JWT", map[string]any{"sub": "ada", "aud": "other"})),
		"altered":                     exchanging(jwt[:len(jwt)-2] + "xx"),
		"nobody's":                    exchanging(w.jwt(t, "JWT", map[string]any{"sub": "stranger"})),
		"nonsense":                    exchanging("nonsense"),
		"no subject":                  exchanging(""),
		"no subject type":             exchanging(jwt, "subject_token_type", ""),
		"another requested type":      exchanging(jwt, "requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token"),
		"a person's JWT for a JWT":    exchanging(jwt, "requested_token_type", oauth.TypeJWT),
		"an actor":                    exchanging(jwt, "actor_token", jwt, "actor_token_type", oauth.TypeJWT),
		"the type of an actor, alone": exchanging(jwt, "actor_token_type", oauth.TypeJWT),
	} {
		t.Run(name, func(t *testing.T) {
			text := w.post(t, oauth.TokenPath, values).fault(t, http.StatusBadRequest, "invalid_request")
			if subject := values.Get("subject_token"); len(subject) > 10 && strings.Contains(text, subject[:10]) {
				t.Errorf("the answer repeats the subject token: %s", text)
			}
		})
	}
	page, err := w.Tokens(w.local, latchward.TokenFilter{})
	if err != nil || len(page.Tokens) != 2 {
		t.Errorf("there are %d tokens, %v", len(page.Tokens), err)
	}
	for _, secret := range []string{jwt, personal, service} {
		if strings.Contains(w.log.String(), secret[:20]) {
			t.Error("the log holds what was exchanged")
		}
	}
	// A JWT of the host application may be called an access token: it is that, there.
	w.post(t, oauth.TokenPath, exchanging(jwt, "subject_token_type", oauth.TypeAccessToken, "requested_token_type", oauth.TypeAccessToken)).issued(t)
}

// A person who may not act gets nothing, at once.
func TestExchangeOfDisabledPerson(t *testing.T) {
	w := newWorld(t, nil)
	id, jwt := w.user(t, "ada")
	w.exchange(t, jwt).issued(t)
	if _, err := w.UpdateUser(w.local, id, latchward.UserUpdate{Active: new(bool)}); err != nil {
		t.Fatal(err)
	}
	w.exchange(t, jwt).fault(t, http.StatusBadRequest, "invalid_request")
}

// RFC 6749 §5.2: grant types, and clients that try to prove who they are.
func TestTokenEndpointClients(t *testing.T) {
	w := newWorld(t, nil)
	_, jwt := w.user(t, "ada")
	for _, grant := range []string{"authorization_code", "client_credentials", "password", "refresh_token", "x"} {
		w.exchange(t, jwt, "grant_type", grant).fault(t, http.StatusBadRequest, "unsupported_grant_type")
	}
	w.exchange(t, jwt, "grant_type", "").fault(t, http.StatusBadRequest, "invalid_request")

	w.exchange(t, jwt, "client_id", "cli").issued(t) // as libraries send it for public clients
	w.exchange(t, jwt, "client_id", "cli", "client_secret", "").issued(t)
	w.exchange(t, jwt, "client_id", "cli", "client_secret", "x").fault(t, http.StatusUnauthorized, "invalid_client")
	w.exchange(t, jwt, "client_assertion", "x", "client_assertion_type", "y").fault(t, http.StatusUnauthorized, "invalid_client")
	for scheme, challenge := range map[string]string{"Basic Y2xpOng=": "Basic ", "Bearer " + jwt: "Bearer ", "bearer x": "Bearer "} {
		a := w.post(t, oauth.TokenPath, exchanging(jwt), "Authorization", scheme)
		a.fault(t, http.StatusUnauthorized, "invalid_client")
		if got := a.header.Get("WWW-Authenticate"); !strings.HasPrefix(got, challenge) {
			t.Errorf("%s is challenged with %q", scheme, got)
		}
	}
	for _, values := range []url.Values{exchanging(jwt), exchanging(jwt, "client_secret", "x")} {
		w.post(t, oauth.TokenPath, values, "Authorization", "Basic Y2xpOng=", "Authorization", "Bearer x").
			fault(t, http.StatusBadRequest, "invalid_request")
	}
	w.post(t, oauth.TokenPath, exchanging(jwt, "client_secret", "x"), "Authorization", "Basic Y2xpOng=").
		fault(t, http.StatusBadRequest, "invalid_request")
}

// What the service refuses is refused here: names, the rate of creations.
func TestExchangeObeysTheService(t *testing.T) {
	w := newWorld(t, nil)
	_, jwt := w.user(t, "ada")
	w.exchange(t, jwt, "latchward_name", strings.Repeat("x", 300)).fault(t, http.StatusBadRequest, "invalid_request")
	w.exchange(t, jwt, "latchward_name", "a\x00b").fault(t, http.StatusBadRequest, "invalid_request")
	p, err := w.persons.Authenticate(t.Context(), latchward.SecretFromText(jwt))
	if err != nil {
		t.Fatal(err)
	}
	ctx := latchward.WithPrincipal(t.Context(), p)
	for range 1000 {
		if _, err := w.CreateToken(ctx, latchward.NewToken{}); err != nil {
			t.Fatal(err)
		}
	}
	a := w.exchange(t, jwt)
	a.fault(t, http.StatusTooManyRequests, "temporarily_unavailable")
	if a.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}

// B-04: an exchange that is repeated because its answer was lost makes no second token.
func TestExchangeAgain(t *testing.T) {
	w := newWorld(t, nil)
	_, jwt := w.user(t, "ada")
	first := w.post(t, oauth.TokenPath, exchanging(jwt), "Idempotency-Key", `"k1"`).issued(t)
	second := w.post(t, oauth.TokenPath, exchanging(jwt), "Idempotency-Key", "k1").issued(t)
	if first.TokenID != second.TokenID || first.AccessToken == second.AccessToken {
		t.Errorf("tokens %d and %d", first.TokenID, second.TokenID)
	}
	if a, b := w.reason(t, first.AccessToken), w.reason(t, second.AccessToken); a != latchward.ReasonRotated || b != latchward.ReasonAllowed {
		t.Errorf("the first secret is %s, the second %s", a, b)
	}
	for _, keys := range [][]string{{"Idempotency-Key", ""}, {"Idempotency-Key", "a", "Idempotency-Key", "b"}} {
		w.post(t, oauth.TokenPath, exchanging(jwt), keys...).fault(t, http.StatusBadRequest, "invalid_request")
	}
}

// C-02: guessing is bounded, and whoever shows something good is let through.
func TestExchangeGuessing(t *testing.T) {
	w := newWorld(t, nil)
	_, jwt := w.user(t, "ada")
	for range 1000 {
		w.exchange(t, "a.b.c").fault(t, http.StatusBadRequest, "invalid_request")
	}
	w.exchange(t, "a.b.c").fault(t, http.StatusTooManyRequests, "temporarily_unavailable")
	w.exchange(t, jwt).issued(t)
	w.advance(time.Minute)
	w.exchange(t, "a.b.c").fault(t, http.StatusBadRequest, "invalid_request")
}
