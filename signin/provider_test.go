package signin_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/signin"
)

func newEdKey(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newECKey(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func publicJWK(t testing.TB, id, algorithm string, key crypto.PublicKey) string {
	t.Helper()
	text, err := (&jose.JSONWebKey{Key: key, KeyID: id, Algorithm: algorithm}).MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func keySet(keys ...string) string { return `{"keys":[` + strings.Join(keys, ",") + `]}` }

func writeKeySet(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// signWith makes a good JWT; an id of "" is left out.
func signWith(t testing.TB, algorithm jose.SignatureAlgorithm, id string, key any) latchward.Secret {
	t.Helper()
	options := (&jose.SignerOptions{}).WithType("JWT")
	if id != "" {
		options = options.WithHeader("kid", id)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, options)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign([]byte(claimsWith()))
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return latchward.SecretFromText(text)
}

// provider is an identity provider that is not on a network.
type provider struct {
	mu      sync.Mutex
	answer  func(*http.Request) (*http.Response, error)
	fetches atomic.Int64
}

func (p *provider) RoundTrip(r *http.Request) (*http.Response, error) {
	p.fetches.Add(1)
	p.mu.Lock()
	answer := p.answer
	p.mu.Unlock()
	return answer(r)
}

func (p *provider) set(answer func(*http.Request) (*http.Response, error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = answer
}

func (p *provider) serve(text string) {
	p.set(func(*http.Request) (*http.Response, error) { return reply(200, strings.NewReader(text)), nil })
}

func (p *provider) fail() {
	p.set(func(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") })
}

func reply(status int, body io.Reader) *http.Response {
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), Body: io.NopCloser(body), Header: http.Header{},
	}
}

// remote returns an authenticator by the provider's keys, on the clock of the test's bubble.
func (p *provider) remote(t testing.TB) *signin.JWT {
	return newJWT(t, &people{}, signin.JWTOptions{
		JWKSURL: "https://id.example.com/jwks", HTTPClient: &http.Client{Transport: p}, Leeway: 1000 * time.Hour,
		Now: func() time.Time { return now.Add(time.Since(bubble)) },
	})
}

// bubble is when the clocks of synctest start.
var bubble = time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC)

// serveLocal returns the address of a server on this machine.
func serveLocal(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}
