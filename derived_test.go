package latchward_test

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/latchtest"
	"github.com/latchward/latchward/oauth"
)

const derivedIssuer = "https://latchward.example"

func newDerivedFixture(t *testing.T) *fixture {
	t.Helper()
	return newFixture(t, func(o *latchward.Options) { o.JWT = oauth.Format() })
}

func (f *fixture) derive(t testing.TB, secret latchward.Secret, edits ...func(*latchward.DeriveRequest)) latchward.DerivedToken {
	t.Helper()
	r := latchward.DeriveRequest{Secret: secret, Issuer: derivedIssuer}
	for _, edit := range edits {
		edit(&r)
	}
	d, err := f.DeriveToken(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// jws makes a JWT of any header and payload with any signature.
func jws(header, payload string, sign func(input []byte) []byte) latchward.Secret {
	input := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
	return latchward.SecretFromText(input + "." + base64.RawURLEncoding.EncodeToString(sign([]byte(input))))
}

// bar 106, bar 2: a forged JWT is refused whatever it says about itself, and leads to no look-up.
func TestForgedDerivedTokens(t *testing.T) {
	f := newDerivedFixture(t)
	issued := f.create(t, latchward.NewToken{RateLimit: 1000})
	good := f.derive(t, issued.Secret)
	if got := f.reason(t, good.Secret); got != latchward.ReasonAllowed {
		t.Fatalf("the good one: %s", got)
	}
	parts := strings.Split(good.Secret.Expose(), ".")
	header, payload := decodePart(t, parts[0]), decodePart(t, parts[1])
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		t.Fatal(err)
	}
	keys, err := f.PublicKeys(f.ctx)
	if err != nil {
		t.Fatal(err)
	}
	kid, public := keys[0].ID, keys[0].Key
	_, stranger, err := ed25519.GenerateKey(latchtest.Seeded(5))
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	x := base64.RawURLEncoding.EncodeToString(stranger.Public().(ed25519.PublicKey))
	as := func(alg, kid, typ, more string) string {
		return fmt.Sprintf(`{"alg":%q,"kid":%q,"typ":%q%s}`, alg, kid, typ, more)
	}
	with := func(key []byte) func([]byte) []byte {
		return func(input []byte) []byte {
			mac := hmac.New(sha256.New, key)
			mac.Write(input)
			return mac.Sum(nil)
		}
	}
	none := func([]byte) []byte { return nil }
	kept := func([]byte) []byte { return signature }
	foreign := func(input []byte) []byte {
		s, err := stranger.Sign(nil, input, crypto.Hash(0))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	pemKey := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	wider := strings.Replace(payload, `"scope":"`, `"scope":"*`, 1)
	forged := map[string]latchward.Secret{
		"alg none":                  jws(as("none", kid, "at+jwt", ""), payload, none),
		"alg None, signed":          jws(as("None", kid, "at+jwt", ""), payload, kept),
		"alg empty":                 jws(as("", kid, "at+jwt", ""), payload, kept),
		"HS256 with the public key": jws(as("HS256", kid, "at+jwt", ""), payload, with(public)),
		"HS256 with its PEM":        jws(as("HS256", kid, "at+jwt", ""), payload, with(pemKey)),
		"HS256 with its x":          jws(as("HS256", kid, "at+jwt", ""), payload, with([]byte(base64.RawURLEncoding.EncodeToString(public)))),
		"another key under our kid": jws(header, payload, foreign),
		"another kid":               jws(as("EdDSA", latchward.SigningKeyID(stranger.Public().(ed25519.PublicKey)), "at+jwt", ""), payload, foreign),
		"a path as kid":             jws(as("EdDSA", "../../etc/passwd", "at+jwt", ""), payload, foreign),
		"SQL as kid":                jws(as("EdDSA", "' OR 1=1 --", "at+jwt", ""), payload, foreign),
		"a kid of 1 MiB":            jws(as("EdDSA", strings.Repeat("k", 1<<20), "at+jwt", ""), payload, foreign),
		"no kid":                    jws(`{"alg":"EdDSA","typ":"at+jwt"}`, payload, kept),
		"a key in jwk":              jws(as("EdDSA", kid, "at+jwt", `,"jwk":{"kty":"OKP","crv":"Ed25519","x":"`+x+`"}`), payload, foreign),
		"jku":                       jws(as("EdDSA", kid, "at+jwt", `,"jku":"http://127.0.0.1:1/keys"`), payload, foreign),
		"x5u":                       jws(as("EdDSA", kid, "at+jwt", `,"x5u":"http://127.0.0.1:1/cert"`), payload, foreign),
		"x5c":                       jws(as("EdDSA", kid, "at+jwt", `,"x5c":["AAAA"]`), payload, foreign),
		"crit":                      jws(as("EdDSA", kid, "at+jwt", `,"crit":["exp"],"exp":1`), payload, kept),
		"b64":                       jws(as("EdDSA", kid, "at+jwt", `,"b64":false`), payload, kept),
		"typ JWT":                   jws(as("EdDSA", kid, "JWT", ""), payload, kept),
		"typ of a status list":      jws(as("EdDSA", kid, "statuslist+jwt", ""), payload, kept),
		"alg twice":                 jws(`{"alg":"none","alg":"EdDSA","kid":"`+kid+`","typ":"at+jwt"}`, payload, kept),
		"kid twice":                 jws(`{"alg":"EdDSA","kid":"x","kid":"`+kid+`","typ":"at+jwt"}`, payload, kept),
		"a wider scope":             jws(header, wider, kept),
		"no signature":              latchward.SecretFromText(parts[0] + "." + parts[1] + "."),
		"half a signature":          latchward.SecretFromText(parts[0] + "." + parts[1] + "." + parts[2][:40]),
		"a line break":              latchward.SecretFromText(parts[0] + "." + parts[1] + "\n." + parts[2]),
		"detached":                  latchward.SecretFromText(parts[0] + ".." + parts[2]),
		"five parts":                latchward.SecretFromText(good.Secret.Expose() + ".a.b"),
		"not JSON":                  jws("nonsense", payload, kept),
		"padded":                    latchward.SecretFromText(parts[0] + "=." + parts[1] + "." + parts[2]),
	}
	before := f.store.reads.Load()
	f.store.set(nil, latchward.Errorf(latchward.CodeInternal, "the store must not be asked"))
	for name, secret := range forged {
		if got := f.reason(t, secret); got != latchward.ReasonMalformed {
			t.Errorf("%s: %s", name, got)
		}
	}
	if reads := f.store.reads.Load() - before; reads != 0 {
		t.Errorf("%d reads of the store", reads)
	}
	f.store.set(nil, nil)
	if got := f.reason(t, good.Secret); got != latchward.ReasonAllowed {
		t.Errorf("the good one, at the end: %s", got)
	}
}

func decodePart(t *testing.T, part string) string {
	t.Helper()
	text, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// What one of our keys has signed is not believed when it says something twice, or is of another kind.
func TestClaimsAreReadStrictly(t *testing.T) {
	f := newDerivedFixture(t)
	good := f.derive(t, f.create(t, latchward.NewToken{}).Secret)
	public, private, err := ed25519.GenerateKey(latchtest.Seeded(5))
	if err != nil {
		t.Fatal(err)
	}
	id := latchward.SigningKeyID(public)
	find := func(kid string) ed25519.PublicKey {
		if kid == id {
			return public
		}
		return nil
	}
	payload := decodePart(t, strings.Split(good.Secret.Expose(), ".")[1])
	signed := func(payload string) error {
		_, err := oauth.Format().ReadDerived(jws(`{"alg":"EdDSA","kid":"`+id+`","typ":"at+jwt"}`, payload, func(input []byte) []byte {
			return ed25519.Sign(private, input)
		}), find)
		return err
	}
	if err := signed(payload); err != nil {
		t.Fatalf("the good one: %v", err)
	}
	for _, header := range []string{ // signed by the right key, all of them
		`{"alg":"EdDSA","kid":"` + id + `","typ":"JWT"}`, `{"alg":"EdDSA","kid":"` + id + `"}`,
		`{"alg":"EdDSA","kid":"` + id + `","typ":"AT+JWT"}`, `{"alg":"EdDSA","typ":"at+jwt"}`,
		`{"alg":"Ed25519","kid":"` + id + `","typ":"at+jwt"}`, `{"alg":"HS256","alg":"EdDSA","kid":"` + id + `","typ":"at+jwt"}`,
		`{"alg":"EdDSA","kid":"` + id + `","typ":"at+jwt","crit":["b64"],"b64":true}`,
		`{"alg":"EdDSA","kid":"` + id + `","typ":"at+jwt","jku":"https://evil.example"}`,
		`{"alg":"EdDSA","kid":"` + id + `","typ":"at+jwt","x5c":[]}`, `{"alg":"EdDSA","kid":["` + id + `"],"typ":"at+jwt"}`,
	} {
		secret := jws(header, payload, func(input []byte) []byte { return ed25519.Sign(private, input) })
		if _, err := oauth.Format().ReadDerived(secret, find); latchward.ErrorCode(err) != latchward.CodeUnauthenticated {
			t.Errorf("header %s: %v", header, err)
		}
	}
	for what, change := range map[string][2]string{
		"scope twice":        {`"scope":`, `"scope":"*","scope":`},
		"exp twice":          {`"exp":`, `"exp":4102444800,"exp":`},
		"nested twice":       {`"idx":`, `"idx":1,"idx":`},
		"exp as text":        {`"exp":`, `"exp":"1","was":`},
		"exp beyond reason":  {`"exp":`, `"exp":1e400,"was":`},
		"no exp":             {`"exp":`, `"was":`},
		"no jti":             {`"jti":`, `"was":`},
		"no audience":        {`"aud":`, `"was":`},
		"another subject":    {`"sub":"user:`, `"sub":"group:`},
		"no number as token": {`"client_id":"`, `"client_id":"x`},
		"another list":       {`/oauth/status-lists/`, `/oauth/lists/`},
		"a broken key id":    {`"key_id":"`, `"key_id":"0`},
	} {
		changed := strings.Replace(payload, change[0], change[1], 1)
		if err := signed(changed); changed == payload || latchward.ErrorCode(err) != latchward.CodeUnauthenticated {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// A derived token ends with the secret that it was derived with, also when that is about to end, and at whole seconds.
func TestDerivedTokensEndWithTheirSecret(t *testing.T) {
	f := newDerivedFixture(t)
	f.advance(700 * time.Millisecond)
	issued := f.create(t, latchward.NewToken{})
	d := f.derive(t, issued.Secret)
	if want := f.clock().Add(300 * time.Second).Truncate(time.Second); !d.Claims.ExpiresAt.Equal(want) {
		t.Errorf("ends at %s, want %s", d.Claims.ExpiresAt, want)
	}
	rotated, err := f.RotateToken(f.ctx, issued.Token.ID, latchward.Rotation{Grace: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	last := f.derive(t, issued.Secret)
	if want := f.clock().Add(time.Minute).Truncate(time.Second); !last.Claims.ExpiresAt.Equal(want) {
		t.Errorf("from a retiring secret it ends at %s, want %s", last.Claims.ExpiresAt, want)
	}
	next := f.derive(t, rotated.Secret)
	f.advance(time.Minute)
	for what, c := range map[string]struct {
		secret latchward.Secret
		want   latchward.Reason
	}{
		"derived before the rotation":      {d.Secret, latchward.ReasonRotated},
		"derived from the retiring secret": {last.Secret, latchward.ReasonExpired},
		"derived from the secret after it": {next.Secret, latchward.ReasonAllowed},
		"the secret after it":              {rotated.Secret, latchward.ReasonAllowed},
		"the API token's retired secret":   {issued.Secret, latchward.ReasonRotated},
	} {
		if got := f.reason(t, c.secret); got != c.want {
			t.Errorf("%s: %s, want %s", what, got, c.want)
		}
	}
	_, err = f.DeriveToken(f.ctx, latchward.DeriveRequest{Secret: issued.Secret, Issuer: derivedIssuer})
	f.must(t, err, latchward.CodeUnauthenticated)
}

// Using what was derived from a rotated-out secret is no reuse of that secret: it dies, and the token lives.
func TestDerivedTokensAreNoReuse(t *testing.T) {
	f := newDerivedFixture(t)
	issued := f.create(t, latchward.NewToken{Reuse: latchward.ReuseRevoke})
	d := f.derive(t, issued.Secret)
	rotated, err := f.RotateToken(f.ctx, issued.Token.ID, latchward.Rotation{})
	f.must(t, err, "")
	if got := f.reason(t, d.Secret); got != latchward.ReasonRotated {
		t.Errorf("the derived token: %s", got)
	}
	if got := f.reason(t, rotated.Secret); got != latchward.ReasonAllowed {
		t.Errorf("the new secret: %s", got)
	}
}

// A revocation of one derived token is remembered over a restart; dropping the server key of its secret ends it, too.
func TestDerivedTokensAfterARestart(t *testing.T) {
	keys := ring(t)
	f := newFixture(t, func(o *latchward.Options) { o.JWT, o.Keys = oauth.Format(), keys })
	issued := f.create(t, latchward.NewToken{})
	gone, kept := f.derive(t, issued.Secret), f.derive(t, issued.Secret)
	f.must(t, f.RevokeHeld(context.Background(), latchward.Presented{Secret: gone.Secret}), "")
	f.must(t, f.RevokeHeld(context.Background(), latchward.Presented{Secret: gone.Secret}), "")
	entries := f.entries(t, latchward.AuditFilter{Action: latchward.ActionDerivedRevoke})
	if len(entries) != 1 || entries[0].TargetID != int64(issued.Token.ID) || entries[0].After["derived"] != gone.Claims.ID {
		t.Errorf("entries %+v", entries)
	}
	restart := func(keys *latchward.KeyRing) {
		t.Helper()
		var err error
		f.Service, err = latchward.New(f.ctx, latchward.Options{Store: f.store, Keys: keys, Now: f.clock, JWT: oauth.Format()})
		f.must(t, err, "")
	}
	restart(keys)
	if a, b := f.reason(t, gone.Secret), f.reason(t, kept.Secret); a != latchward.ReasonRevoked || b != latchward.ReasonAllowed {
		t.Errorf("after a restart: %s and %s", a, b)
	}
	next, err := keys.Rotate(latchtest.Seeded(8), f.clock())
	f.must(t, err, "")
	f.must(t, f.UseKeys(f.ctx, next), "")
	alone, err := next.Drop(1)
	f.must(t, err, "")
	f.must(t, f.UseKeys(f.ctx, alone), "")
	if got := f.reason(t, kept.Secret); got != latchward.ReasonNotFound {
		t.Errorf("under a dropped server key: %s", got)
	}
}

// Places in a status list are given once, also at the same time; decoys never make a good token look bad.
func TestPlacesAreGivenOnce(t *testing.T) {
	f := newDerivedFixture(t)
	issued := f.create(t, latchward.NewToken{RateLimit: 100_000})
	var done sync.WaitGroup
	var mu sync.Mutex
	places := map[latchward.StatusEntry]int{}
	for range 20 {
		done.Go(func() {
			for range 20 {
				d, err := f.DeriveToken(context.Background(), latchward.DeriveRequest{Secret: issued.Secret, Issuer: derivedIssuer})
				mu.Lock()
				places[d.Claims.Status]++
				mu.Unlock()
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	done.Wait()
	if len(places) != 400 {
		t.Errorf("%d places for 400 tokens", len(places))
	}
	list := f.derive(t, issued.Secret).Claims.Status.List
	before := bytesSet(f, t, list)
	f.advance(time.Hour)
	if after := bytesSet(f, t, list); after <= before || after > 256 {
		t.Errorf("%d places are invalid at first and %d later, for 401 tokens that are all good", before, after)
	}
}

// bytesSet returns how many places of a list are not valid.
func bytesSet(f *fixture, t *testing.T, list int64) int {
	t.Helper()
	signed, err := f.StatusList(f.ctx, derivedIssuer, list)
	f.must(t, err, "")
	return invalidPlaces(t, f, signed, list)
}
