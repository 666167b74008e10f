package httpauth_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
	"github.com/latchward/latchward/latchtest"
	"github.com/latchward/latchward/memory"
	"github.com/latchward/latchward/oauth"
)

const (
	offlineIssuer   = "https://tokens.example.com"
	offlineAudience = "https://billing.example"
)

// published is a Latchward whose documents are fetched without a network.
type published struct {
	*latchward.Service
	handler http.Handler
	local   context.Context
	token   latchward.IssuedToken

	mu      sync.Mutex
	fetched map[string]int
	fail    error
	replace []byte // what is answered instead of a status list
}

func newPublished(t *testing.T) *published {
	t.Helper()
	p := &published{local: latchtest.Local(context.Background()), fetched: map[string]int{}}
	ring, err := latchward.GenerateKeyRing(latchtest.Seeded(7), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	p.Service, err = latchward.New(t.Context(), latchward.Options{
		Store: memory.New(), Keys: ring, Now: time.Now, JWT: oauth.Format(), DerivedLifetime: time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	p.handler = oauth.Handler(oauth.Options{Service: p.Service, Issuer: offlineIssuer, Now: time.Now})
	ada, err := p.CreateUser(p.local, latchward.NewUser{Name: "ada", Administrator: true})
	if err != nil {
		t.Fatal(err)
	}
	p.token, err = p.CreateToken(p.local, latchward.NewToken{
		Owner: &latchward.Owner{Type: latchward.OwnerUser, ID: int64(ada.ID)}, RateLimit: 10_000,
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// RoundTrip implements http.RoundTripper.
func (p *published) RoundTrip(r *http.Request) (*http.Response, error) {
	path, ours := strings.CutPrefix(r.URL.String(), offlineIssuer)
	if !ours {
		return nil, errors.New("a request to elsewhere: " + r.URL.String())
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fetched[strings.TrimRight(path, "0123456789")]++
	if p.fail != nil {
		return nil, p.fail
	}
	answer := httptest.NewRecorder()
	p.handler.ServeHTTP(answer, httptest.NewRequest(r.Method, path, nil))
	reply := answer.Result()
	if p.replace != nil && strings.HasPrefix(path, "/oauth/status-lists/") {
		reply.Body = io.NopCloser(bytes.NewReader(p.replace))
	}
	return reply, nil
}

func (p *published) set(fail error, replace []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fail, p.replace = fail, replace
}

func (p *published) fetches() (keys, lists int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fetched["/oauth/jwks"], p.fetched["/oauth/status-lists/"]
}

func (p *published) derive(t *testing.T, edit func(*latchward.DeriveRequest)) latchward.Secret {
	t.Helper()
	r := latchward.DeriveRequest{Secret: p.token.Secret, Issuer: offlineIssuer, Audience: []string{offlineAudience}}
	if edit != nil {
		edit(&r)
	}
	d, err := p.DeriveToken(p.local, r)
	if err != nil {
		t.Fatal(err)
	}
	return d.Secret
}

func (p *published) offline(t *testing.T, change func(*httpauth.OfflineOptions)) *httpauth.Offline {
	t.Helper()
	o := httpauth.OfflineOptions{
		Issuer: offlineIssuer, Audience: offlineAudience, Client: &http.Client{Transport: p}, Now: time.Now,
	}
	if change != nil {
		change(&o)
	}
	v, err := httpauth.NewOffline(o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// askOffline returns the reason of the verdict, or the code of the error.
func askOffline(t *testing.T, v latchward.Verifier, secret latchward.Secret, edit func(*latchward.VerifyRequest)) string {
	t.Helper()
	r := latchward.VerifyRequest{Secret: secret, Method: "GET", Path: "/invoices"}
	if edit != nil {
		edit(&r)
	}
	verdict, err := v.Verify(t.Context(), r)
	if err != nil {
		return string(latchward.ErrorCode(err))
	}
	return string(verdict.Reason)
}

// B-11: a service decides by the token, the published keys and the status list; two fetches serve any number of requests.
func TestOfflineDecides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPublished(t)
		v := p.offline(t, nil)
		whole := p.derive(t, nil)
		narrow := p.derive(t, func(r *latchward.DeriveRequest) {
			r.Permissions, r.Endpoints = []string{"invoices.read"}, []string{"GET /invoices*"}
		})
		elsewhere := p.derive(t, func(r *latchward.DeriveRequest) { r.Audience = []string{"https://other.example"} })
		for what, c := range map[string]struct {
			secret latchward.Secret
			edit   func(*latchward.VerifyRequest)
			want   string
		}{
			"whole":              {whole, nil, "allowed"},
			"narrow":             {narrow, func(r *latchward.VerifyRequest) { r.Permissions = []string{"invoices.read"} }, "allowed"},
			"beyond its scope":   {narrow, func(r *latchward.VerifyRequest) { r.Permissions = []string{"invoices.write"} }, "insufficient_permissions"},
			"beyond its paths":   {narrow, func(r *latchward.VerifyRequest) { r.Path = "/orders" }, "endpoint_not_allowed"},
			"beyond its methods": {narrow, func(r *latchward.VerifyRequest) { r.Method = "POST" }, "endpoint_not_allowed"},
			"over Latchward":     {whole, func(r *latchward.VerifyRequest) { r.Permissions = []string{"tokens.read"} }, "insufficient_permissions"},
			"without a license":  {whole, func(r *latchward.VerifyRequest) { r.Licenses = []string{"pro"} }, "license_missing"},
			"for somebody else":  {elsewhere, nil, "malformed"},
			"an API token":       {p.token.Secret, nil, "malformed"},
			"nothing":            {latchward.Secret{}, nil, "missing"},
			"a path with dots":   {whole, func(r *latchward.VerifyRequest) { r.Path = "/a/../b" }, "bad_request"},
			"changed":            {latchward.SecretFromText(whole.Expose()[:150] + "A" + whole.Expose()[151:]), nil, "malformed"},
		} {
			if got := askOffline(t, v, c.secret, c.edit); got != c.want {
				t.Errorf("%s: %s, want %s", what, got, c.want)
			}
		}
		for range 1000 {
			askOffline(t, v, whole, nil)
		}
		if keys, lists := p.fetches(); keys != 1 || lists != 1 {
			t.Errorf("%d fetches of keys and %d of lists", keys, lists)
		}
		verdict, err := v.Verify(t.Context(), latchward.VerifyRequest{Secret: narrow, Method: "GET", Path: "/invoices"})
		if err != nil || verdict.Token.ID != p.token.Token.ID || verdict.Subject.ID != 1 || verdict.Derived == "" ||
			!verdict.Token.MethodMatters || !verdict.Rights.Has("invoices.read") || verdict.Credential() != latchward.CredentialDerived {
			t.Errorf("%+v, %v", verdict, err)
		}
		time.Sleep(time.Hour)
		if got := askOffline(t, v, whole, nil); got != "expired" {
			t.Errorf("at its end: %s", got)
		}
	})
}

// B-07: the networks of the API token hold offline, too.
func TestOfflineNetworks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPublished(t)
		networks := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		if _, err := p.UpdateToken(p.local, p.token.Token.ID, latchward.TokenUpdate{AllowedNetworks: &networks}); err != nil {
			t.Fatal(err)
		}
		secret := p.derive(t, func(r *latchward.DeriveRequest) { r.Origin.Address = netip.MustParseAddr("10.0.0.1") })
		v := p.offline(t, nil)
		for address, want := range map[string]string{"10.1.2.3": "allowed", "::ffff:10.1.2.3": "allowed", "11.1.2.3": "address_not_allowed"} {
			got := askOffline(t, v, secret, func(r *latchward.VerifyRequest) { r.Address = netip.MustParseAddr(address) })
			if got != want {
				t.Errorf("%s: %s", address, got)
			}
		}
		if got := askOffline(t, v, secret, nil); got != "address_not_allowed" {
			t.Errorf("from an address that is not told: %s", got)
		}
	})
}

// The promise of MaxStaleness: whatever ends a derived token, it is refused no later than that.
func TestOfflineStaleness(t *testing.T) {
	for what, end := range map[string]func(t *testing.T, p *published, secret latchward.Secret) error{
		"the API token is revoked": func(_ *testing.T, p *published, _ latchward.Secret) error {
			_, err := p.RevokeToken(p.local, p.token.Token.ID, latchward.Revocation{})
			return err
		},
		"the API token is rotated": func(_ *testing.T, p *published, _ latchward.Secret) error {
			_, err := p.RotateToken(p.local, p.token.Token.ID, latchward.Rotation{})
			return err
		},
		"the derived token is revoked": func(_ *testing.T, p *published, secret latchward.Secret) error {
			return p.RevokeHeld(p.local, latchward.Presented{Secret: secret})
		},
		"the owner is disabled": func(_ *testing.T, p *published, _ latchward.Secret) error {
			off := false
			_, err := p.UpdateUser(p.local, 1, latchward.UserUpdate{Active: &off})
			return err
		},
		"the signing key is revoked": func(_ *testing.T, p *published, _ latchward.Secret) error {
			return p.RotateSigningKey(p.local, latchward.SigningRotation{Emergency: true})
		},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPublished(t)
				v, secret := p.offline(t, nil), p.derive(t, nil)
				if got := askOffline(t, v, secret, nil); got != "allowed" {
					t.Fatal(got)
				}
				if err := end(t, p, secret); err != nil {
					t.Fatal(err)
				}
				ended := time.Now()
				for time.Since(ended) <= v.MaxStaleness() {
					time.Sleep(time.Second)
					askOffline(t, v, secret, nil)
					synctest.Wait()
				}
				if got := askOffline(t, v, secret, nil); got != "revoked" && got != "malformed" {
					t.Errorf("after %s: %s", time.Since(ended), got)
				}
				if keys, lists := p.fetches(); keys > 4 || lists > 8 {
					t.Errorf("%d fetches of keys and %d of lists in two minutes", keys, lists)
				}
			})
		})
	}
}

// While Latchward is out of reach, what is known serves for MaxStaleness; then nothing is decided, and nobody hammers.
func TestOfflineOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPublished(t)
		v, secret := p.offline(t, nil), p.derive(t, nil)
		askOffline(t, v, secret, nil)
		p.set(errors.New("no route to host"), nil)
		begun := time.Now()
		for time.Since(begun) < v.MaxStaleness() {
			if got := askOffline(t, v, secret, nil); got != "allowed" {
				t.Fatalf("after %s: %s", time.Since(begun), got)
			}
			synctest.Wait()
			time.Sleep(time.Second)
		}
		time.Sleep(time.Second)
		if got := askOffline(t, v, secret, nil); got != string(latchward.CodeUnavailable) {
			t.Errorf("after %s: %s", time.Since(begun), got)
		}
		if age, known := v.Age(); !known || age <= v.MaxStaleness() {
			t.Errorf("its age is %s", age)
		}
		for range 600 {
			time.Sleep(time.Second)
			askOffline(t, v, secret, nil)
			synctest.Wait()
		}
		if keys, lists := p.fetches(); keys+lists > 60 {
			t.Errorf("%d and %d attempts in twelve minutes", keys, lists)
		}
		p.set(nil, nil)
		time.Sleep(31 * time.Second)
		if got := askOffline(t, v, secret, nil); got != "allowed" {
			t.Errorf("after it came back: %s", got)
		}
		if err := v.Refresh(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A list is as old as it says itself, however lately somebody passed it on.
func TestOfflineOldCopies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPublished(t)
		v, secret := p.offline(t, nil), p.derive(t, nil)
		old, err := p.StatusList(t.Context(), offlineIssuer, time.Now().Unix()/3600*8)
		if err != nil {
			t.Fatal(err)
		}
		if err := v.Refresh(t.Context()); err != nil { // the keys
			t.Fatal(err)
		}
		time.Sleep(50 * time.Second)
		p.set(nil, []byte(old))
		if got := askOffline(t, v, secret, nil); got != "allowed" {
			t.Errorf("a copy of 50 s: %s", got)
		}
		p.set(nil, nil)
		if err := v.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		p.set(nil, []byte(old))
		time.Sleep(71 * time.Second)
		if got := askOffline(t, p.offline(t, nil), secret, nil); got != string(latchward.CodeUnavailable) {
			t.Errorf("a copy of 121 s: %s", got)
		}
	})
}

// What is fetched is not believed: nonsense, another list, one that is signed by nobody we know, or one without end.
func TestOfflineRefusesBadDocuments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPublished(t)
		secret := p.derive(t, nil)
		other := newPublished(t)
		now := time.Now().Unix() / 3600 * 8
		foreign, err := other.StatusList(t.Context(), offlineIssuer, now)
		if err != nil {
			t.Fatal(err)
		}
		another, err := p.StatusList(t.Context(), offlineIssuer, now+1)
		if err != nil {
			t.Fatal(err)
		}
		for what, body := range map[string]string{
			"nonsense": "nonsense", "nothing": "", "another list": another, "a foreign list": foreign,
			"without end": strings.Repeat("x", 2<<20), "a derived token": secret.Expose(),
		} {
			v := p.offline(t, nil)
			p.set(nil, nil)
			if err := v.Refresh(t.Context()); err != nil { // the keys
				t.Fatal(err)
			}
			p.set(nil, []byte(body))
			if got := askOffline(t, v, secret, nil); got != string(latchward.CodeUnavailable) {
				t.Errorf("%s: %s", what, got)
			}
		}
	})
}

// bar 107: JWTs that nobody here signed lead to no fetch beyond those that are due.
func TestOfflineForgeries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, stranger := newPublished(t), newPublished(t)
		forged := stranger.derive(t, nil)
		p.derive(t, nil)
		v := p.offline(t, nil)
		for range 1000 {
			if got := askOffline(t, v, forged, nil); got != "malformed" {
				t.Fatal(got)
			}
		}
		if keys, lists := p.fetches(); keys != 1 || lists != 0 {
			t.Errorf("%d fetches of keys and %d of lists", keys, lists)
		}
	})
}

// The offline verifier stands where any other does.
func TestOfflineUnderRequire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPublished(t)
		v := p.offline(t, func(o *httpauth.OfflineOptions) { o.Tokens = p.Service })
		handler := httpauth.Require(v, httpauth.Options{Permissions: []string{"invoices.read"}})(
			http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				verdict, _ := latchward.VerdictFrom(r.Context())
				_, _ = io.WriteString(w, verdict.Derived)
			}))
		for credential, want := range map[string]int{
			p.derive(t, nil).Expose():  200,
			p.token.Secret.Expose():    200, // asked of Latchward itself
			"eyJhbGciOiJub25lIn0.e30.": 401,
			p.derive(t, func(r *latchward.DeriveRequest) { r.Permissions = []string{"a.b"} }).Expose(): 403,
		} {
			r := httptest.NewRequest(http.MethodGet, "/invoices", nil)
			r.Header.Set("Authorization", "Bearer "+credential)
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if w.Code != want {
				t.Errorf("status %d, want %d: %s", w.Code, want, w.Body)
			}
		}
	})
}

func TestNewOfflineInvalid(t *testing.T) {
	for _, c := range []struct {
		o     httpauth.OfflineOptions
		field string
	}{
		{httpauth.OfflineOptions{Audience: "a"}, "issuer"},
		{httpauth.OfflineOptions{Issuer: "http://tokens.example.com", Audience: "a"}, "issuer"},
		{httpauth.OfflineOptions{Issuer: offlineIssuer}, "audience"},
		{httpauth.OfflineOptions{Issuer: offlineIssuer, Audience: "a", MaxStaleness: time.Second}, "max_staleness"},
	} {
		if _, err := httpauth.NewOffline(c.o); latchward.ErrorField(err) != c.field {
			t.Errorf("%+v: %v", c.o, err)
		}
	}
	for _, issuer := range []string{"https://tokens.example.com/", "http://localhost:3010", "http://127.0.0.1:3010"} {
		if _, err := httpauth.NewOffline(httpauth.OfflineOptions{Issuer: issuer, Audience: "a"}); err != nil {
			t.Errorf("%s: %v", issuer, err)
		}
	}
}
