package signin_test

import (
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/latchtest"
	"github.com/latchward/latchward/memory"
	"github.com/latchward/latchward/signin"
)

// people is a SignIner that lets everybody in and remembers the last.
type people struct {
	mu     sync.Mutex
	seen   latchward.Identity
	create bool
	calls  int
	err    error
}

func (p *people) SignIn(_ context.Context, id latchward.Identity, create bool) (latchward.Principal, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen, p.create = id, create
	p.calls++
	if p.err != nil {
		return latchward.Principal{}, p.err
	}
	return latchward.Principal{Type: latchward.PrincipalUser, ID: 3, Name: id.Name, Administrator: id.Administrator}, nil
}

func newJWT(t testing.TB, service signin.SignIner, o signin.JWTOptions) *signin.JWT {
	t.Helper()
	if o.Now == nil {
		o.Now = func() time.Time { return now }
	}
	j, err := signin.NewJWT(service, o)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func sprint(value any) string { return fmt.Sprintf("%v %+v %#v", value, value, value) }

func encode(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// signHS256 makes a JWT of any header and payload.
func signHS256(key []byte, header, payload string) string {
	text := encode(header) + "." + encode(payload)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func signRS256(t testing.TB, key *rsa.PrivateKey, header, payload string) string {
	t.Helper()
	text := encode(header) + "." + encode(payload)
	digest := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

const plainHeader = `{"alg":"HS256","typ":"JWT"}`

// claimsWith returns the payload of a good JWT with some members replaced: "name": value pairs as JSON, "" to remove.
func claimsWith(edits ...string) string {
	members := [][2]string{
		{"iss", `"latchward"`}, {"aud", `"latchward"`}, {"sub", `"ada"`},
		{"iat", fmt.Sprint(now.Unix())}, {"exp", fmt.Sprint(now.Unix() + 3600)},
	}
	for i := 0; i < len(edits); i += 2 {
		found := false
		for m := range members {
			if members[m][0] == edits[i] {
				members[m][1], found = edits[i+1], true
			}
		}
		if !found {
			members = append(members, [2]string{edits[i], edits[i+1]})
		}
	}
	var texts []string
	for _, member := range members {
		if member[1] != "" {
			texts = append(texts, fmt.Sprintf("%q:%s", member[0], member[1]))
		}
	}
	return "{" + strings.Join(texts, ",") + "}"
}

func at(offset time.Duration) string { return fmt.Sprint(now.Add(offset).Unix()) }

// S2-10, bar 106: what a JWT may look like
func TestGoodJWTs(t *testing.T) {
	for name, text := range map[string]string{
		"plain":                 signHS256(secret, plainHeader, claimsWith()),
		"no type":               signHS256(secret, `{"alg":"HS256"}`, claimsWith()),
		"type in another case":  signHS256(secret, `{"alg":"HS256","typ":"jwt"}`, claimsWith()),
		"media type":            signHS256(secret, `{"alg":"HS256","typ":"application/jwt"}`, claimsWith()),
		"any key id":            signHS256(secret, `{"alg":"HS256","kid":"../../etc/passwd"}`, claimsWith()),
		"key address, not used": signHS256(secret, `{"alg":"HS256","jku":"http://127.0.0.1:1/"}`, claimsWith()),
		"other extensions":      signHS256(secret, `{"alg":"HS256","x":{"y":1},"cty":"json"}`, claimsWith()),
		"audiences":             signHS256(secret, plainHeader, claimsWith("aud", `["other","latchward"]`)),
		"expired within leeway": signHS256(secret, plainHeader, claimsWith("exp", at(-59*time.Second))),
		"fraction":              signHS256(secret, plainHeader, claimsWith("exp", at(time.Minute)+".25")),
		"exponent":              signHS256(secret, plainHeader, claimsWith("exp", `2e9`)),
		"nbf within leeway":     signHS256(secret, plainHeader, claimsWith("nbf", at(time.Minute))),
		"nbf zero":              signHS256(secret, plainHeader, claimsWith("nbf", `0`)),
		"iat within leeway":     signHS256(secret, plainHeader, claimsWith("iat", at(time.Minute))),
		"no iat":                signHS256(secret, plainHeader, claimsWith("iat", "")),
		"Keycloak's bearer":     signHS256(secret, plainHeader, claimsWith("typ", `"Bearer"`)),
		"other claims":          signHS256(secret, plainHeader, claimsWith("x", `{"a":[1,null,{"b":2}]}`)),
	} {
		people := &people{}
		j := newJWT(t, people, signin.JWTOptions{Secret: secret})
		p, err := j.Authenticate(t.Context(), latchward.SecretFromText(text))
		if err != nil || p.ID != 3 || people.seen.ExternalID != "ada" {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
}

// The clock decides to the nanosecond, with the leeway that was configured.
func TestLeeway(t *testing.T) {
	for _, test := range []struct {
		leeway, offset time.Duration
		ok             bool
	}{
		{0, time.Minute - 1, true}, {0, time.Minute, false},
		{time.Second, time.Second - 1, true}, {time.Second, time.Second, false},
	} {
		clock := func() time.Time { return now.Add(test.offset) }
		j := newJWT(t, &people{}, signin.JWTOptions{Secret: secret, Leeway: test.leeway, Now: clock})
		text := signHS256(secret, plainHeader, claimsWith("exp", at(0)))
		if _, err := j.Authenticate(t.Context(), latchward.SecretFromText(text)); (err == nil) != test.ok {
			t.Errorf("leeway %v, %v past: %v", test.leeway, test.offset, err)
		}
	}
}

// bar 15: that a JWT was good before does not make it good for longer
func TestExpiryOfKnownJWT(t *testing.T) {
	var offset atomic.Int64
	clock := func() time.Time { return now.Add(time.Duration(offset.Load())) }
	people := &people{}
	j := newJWT(t, people, signin.JWTOptions{Secret: secret, Now: clock})
	text := latchward.SecretFromText(signHS256(secret, plainHeader, claimsWith("exp", at(time.Hour), "name", `"Ada"`)))
	for _, test := range []struct {
		offset time.Duration
		want   latchward.Code
	}{
		{0, ""}, {time.Hour, ""}, {time.Hour + time.Minute - 1, ""},
		{time.Hour + time.Minute, latchward.CodeUnauthenticated}, {2 * time.Hour, latchward.CodeUnauthenticated},
	} {
		offset.Store(int64(test.offset))
		people.seen = latchward.Identity{}
		_, err := j.Authenticate(t.Context(), text)
		if latchward.ErrorCode(err) != test.want || (people.seen.Name == "Ada") != (err == nil) {
			t.Errorf("after %v: %+v, %v", test.offset, people.seen, err)
		}
	}
}

// The identity is what the claims say, and no more than they vouch for.
func TestIdentity(t *testing.T) {
	ada := latchward.Identity{ExternalID: "ada"}
	with := func(change func(*latchward.Identity)) latchward.Identity {
		id := ada
		change(&id)
		return id
	}
	email := with(func(id *latchward.Identity) { id.Email = "ada@example.com" })
	admin := with(func(id *latchward.Identity) { id.Administrator = true })
	keycloak := signin.JWTOptions{AdminClaim: "realm_access.roles", AdminValue: "latchward admin"}
	groups := signin.JWTOptions{AdminClaim: "https://example.com/groups"}
	for _, test := range []struct {
		claims  []string
		options signin.JWTOptions
		want    latchward.Identity
	}{
		{claims: nil, want: ada},
		{claims: []string{"name", `"Ada"`}, want: with(func(id *latchward.Identity) { id.Name = "Ada" })},
		{claims: []string{"name", `7`}, want: ada},
		{claims: []string{"email", `"ada@example.com"`}, want: email},
		{claims: []string{"email", `"ada@example.com"`, "email_verified", `true`}, want: email},
		{claims: []string{"email", `"ada@example.com"`, "email_verified", `false`}, want: ada},
		{claims: []string{"email", `"ada@example.com"`, "email_verified", `"false"`}, want: ada},
		{claims: []string{"email", `"nonsense"`}, want: ada},
		{claims: []string{"email", `["ada@example.com"]`}, want: ada},
		{claims: []string{"roles", `["reader","admin"]`}, want: admin},
		{claims: []string{"roles", `"reader admin"`}, want: admin},
		{claims: []string{"role", `"admin"`}, want: admin},
		{claims: []string{"role", `"reader admin"`}, want: ada},
		{claims: []string{"role", `["admin"]`}, want: ada},
		{claims: []string{"roles", `["Admin","administrator"]`}, want: ada},
		{claims: []string{"roles", `["admin",1]`}, want: ada},
		{claims: []string{"roles", `{"admin":true}`}, want: ada},
		{claims: []string{"admin", `true`}, want: ada},
		{claims: []string{"roles", `["admin"]`}, options: keycloak, want: ada},
		{claims: []string{"realm_access", `{"roles":["latchward admin"]}`}, options: keycloak, want: admin},
		{claims: []string{"realm_access", `{"roles":"latchward admin"}`}, options: keycloak, want: admin},
		{claims: []string{"realm_access", `["roles"]`}, options: keycloak, want: ada},
		{claims: []string{"realm_access.roles", `["latchward admin"]`}, options: keycloak, want: admin},
		{claims: []string{"https://example.com/groups", `["admin"]`}, options: groups, want: admin},
		{claims: []string{"https://example", `{"com/groups":["admin"]}`}, options: groups, want: admin},
		{claims: []string{"role", `"admin"`}, options: groups, want: ada},
	} {
		people := &people{}
		test.options.Secret = secret
		text := signHS256(secret, plainHeader, claimsWith(test.claims...))
		_, err := newJWT(t, people, test.options).Authenticate(t.Context(), latchward.SecretFromText(text))
		if err != nil || people.seen != test.want {
			t.Errorf("%v: %+v, %v", test.claims, people.seen, err)
		}
	}
}

// What the service says about a person stands, and it is asked each time.
func TestSignInDecides(t *testing.T) {
	for _, create := range []bool{true, false} {
		people := &people{}
		j := newJWT(t, people, signin.JWTOptions{Secret: secret, CreateUsers: create})
		text := latchward.SecretFromText(signHS256(secret, plainHeader, claimsWith()))
		for i := range 3 {
			if _, err := j.Authenticate(t.Context(), text); err != nil || people.calls != i+1 || people.create != create {
				t.Errorf("create %v: %d calls, %v", create, people.calls, err)
			}
		}
		people.err = errors.New("the database is gone")
		if _, err := j.Authenticate(t.Context(), text); !errors.Is(err, people.err) {
			t.Errorf("%v", err)
		}
	}
}

// S3-07, X-14: with a real Service, a deactivated person is out at once, and a removed one does not come back
func TestDeactivatedAndRemovedPeople(t *testing.T) {
	ctx := latchtest.Local(t.Context())
	ring, err := latchward.GenerateKeyRing(latchtest.Seeded(1), now)
	if err != nil {
		t.Fatal(err)
	}
	s, err := latchward.New(ctx, latchward.Options{Store: memory.New(), Keys: ring, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	j := newJWT(t, s, signin.JWTOptions{Secret: secret, CreateUsers: true})
	text := latchward.SecretFromText(signHS256(secret, plainHeader, claimsWith("role", `"admin"`)))
	signIn := func() (latchward.Principal, latchward.Code) {
		p, err := j.Authenticate(t.Context(), text)
		return p, latchward.ErrorCode(err)
	}
	ada, code := signIn()
	if code != "" || ada.Type != latchward.PrincipalUser || !ada.Administrator {
		t.Fatalf("%+v, %s", ada, code)
	}
	for _, active := range []bool{false, true} {
		if _, err := s.UpdateUser(ctx, latchward.UserID(ada.ID), latchward.UserUpdate{Active: &active}); err != nil {
			t.Fatal(err)
		}
		want := latchward.CodeUnauthenticated
		if active {
			want = ""
		}
		if p, code := signIn(); code != want || active && p.ID != ada.ID {
			t.Errorf("active %v: %+v, %s", active, p, code)
		}
	}
	if err := s.RemoveUser(ctx, latchward.UserID(ada.ID)); err != nil {
		t.Fatal(err)
	}
	if p, code := signIn(); code != latchward.CodeUnauthenticated {
		t.Errorf("removed: %+v, %s", p, code)
	}
}

// S2-09: configurations that would let anybody in are refused
func TestNewJWTRefuses(t *testing.T) {
	file, shared := writeKeySet(t, `{"keys":[]}`), writeKeySet(t, keySet(`{"kty":"oct","kid":"shared","k":"AAAA"}`))
	for name, test := range map[string]struct {
		options signin.JWTOptions
		field   string
	}{
		"nothing":           {signin.JWTOptions{}, "jwt"},
		"two":               {signin.JWTOptions{Secret: secret, JWKSURL: "https://example.com"}, "jwt"},
		"all":               {signin.JWTOptions{Secret: secret, JWKSURL: "https://example.com", JWKSFile: file}, "jwt"},
		"short secret":      {signin.JWTOptions{Secret: secret[:31]}, "jwt.secret"},
		"empty secret":      {signin.JWTOptions{Secret: []byte{}}, "jwt.secret"},
		"plain http":        {signin.JWTOptions{JWKSURL: "http://example.com/jwks"}, "jwt.jwks_url"},
		"http to a network": {signin.JWTOptions{JWKSURL: "http://192.168.0.1/jwks"}, "jwt.jwks_url"},
		"no host":           {signin.JWTOptions{JWKSURL: "https:///jwks"}, "jwt.jwks_url"},
		"a path":            {signin.JWTOptions{JWKSURL: "/jwks"}, "jwt.jwks_url"},
		"a file address":    {signin.JWTOptions{JWKSURL: "file:///etc/passwd"}, "jwt.jwks_url"},
		"no address":        {signin.JWTOptions{JWKSURL: "https://\x00"}, "jwt.jwks_url"},
		"no file":           {signin.JWTOptions{JWKSFile: file + ".none"}, "jwt.jwks_file"},
		"no keys":           {signin.JWTOptions{JWKSFile: file}, "jwt.jwks_file"},
		"no public keys":    {signin.JWTOptions{JWKSFile: shared}, "jwt.jwks_file"},
	} {
		_, err := signin.NewJWT(&people{}, test.options)
		if latchward.ErrorCode(err) != latchward.CodeInvalid || latchward.ErrorField(err) != test.field {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, address := range []string{
		"https://example.com/jwks", "http://localhost:8080/jwks", "http://127.0.0.1/jwks", "http://[::1]:80/jwks",
	} {
		if _, err := signin.NewJWT(&people{}, signin.JWTOptions{JWKSURL: address}); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
}
