package leak_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/leak"
)

// The vector that GitHub publishes for its partners (bar 63).
const (
	vectorKeyID = "f9525bf080f75b3506ca1ead061add62b8633a346606dc5fe544e29231c6ee0d"
	vectorKey   = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE9MJJHnMfn2+H4xL4YaPDA4RpJqUq\n" +
		"kCmRCBnYERxZanmcpzQSXs1X/AljlKkbJ8qpVIW4clayyef9gWhFbNHWAA==\n-----END PUBLIC KEY-----\n"
	vectorBody      = `[{"token":"some_token","type":"some_type","url":"some_url"}]`
	vectorSignature = "MEUCIQDKZokqnCjrRtw0tni+2Ltvl/uiMJ1EGumEsp1BsNr32AIgQY1YXD2nlj+XNfGK4rBfkMJ1JDOQcYXxa2sY8FNkrKc="
)

// keyServer answers as GitHub's does, and counts.
type keyServer struct {
	*httptest.Server
	keys  map[string]string // PEM by id
	down  atomic.Bool
	asked atomic.Int64
}

func newKeyServer(t *testing.T, keys map[string]string) *keyServer {
	s := &keyServer{keys: keys}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		if s.down.Load() {
			http.Error(w, "down", http.StatusBadGateway)
			return
		}
		list := []map[string]any{}
		for id, key := range s.keys {
			list = append(list, map[string]any{"key_identifier": id, "key": key, "is_current": true})
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"public_keys": list})
	}))
	t.Cleanup(s.Close)
	return s
}

type signer struct {
	id  string
	key *ecdsa.PrivateKey
}

func newSigner(t *testing.T, id string, curve elliptic.Curve) (signer, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return signer{id, key}, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func (s signer) sign(t *testing.T, body string) (der []byte) {
	t.Helper()
	digest := sha256.Sum256([]byte(body))
	der, err := ecdsa.SignASN1(rand.Reader, s.key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestGitHubVector(t *testing.T) { // bar 63
	keys := newKeyServer(t, map[string]string{vectorKeyID: vectorKey})
	github := &leak.GitHub{Keys: keys.URL}
	if err := github.Verify(t.Context(), vectorKeyID, vectorSignature, []byte(vectorBody)); err != nil {
		t.Errorf("the published vector is refused: %v", err)
	}
	for _, body := range []string{
		vectorBody + "\n", "", `[{"token": "some_token", "type": "some_type", "url": "some_url"}]`,
		`[{"token":"some_tokeN","type":"some_type","url":"some_url"}]`,
	} {
		err := github.Verify(t.Context(), vectorKeyID, vectorSignature, []byte(body))
		if latchward.ErrorCode(err) != latchward.CodeUnauthenticated {
			t.Errorf("the body %q: error %v, want unauthenticated", body, err)
		}
	}
}

func TestGitHubRefuses(t *testing.T) { // bar 63
	good, goodPEM := newSigner(t, "good", elliptic.P256())
	big, bigPEM := newSigner(t, "p384", elliptic.P384())
	keys := newKeyServer(t, map[string]string{"good": goodPEM, "p384": bigPEM, "": goodPEM, "nonsense": "nonsense"})
	github := &leak.GitHub{Keys: keys.URL}
	const body = `[]`
	der, text := good.sign(t, body), base64.StdEncoding.EncodeToString
	if err := github.Verify(t.Context(), "good", text(der), []byte(body)); err != nil {
		t.Fatalf("a good signature is refused: %v", err)
	}
	digest := sha256.Sum256([]byte(body))
	r, s, err := ecdsa.Sign(rand.Reader, good.key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	raw := append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	for name, c := range map[string]struct{ key, signature string }{
		"no key id":              {"", text(der)},
		"no signature":           {"good", ""},
		"unknown key id":         {"other", text(der)},
		"a key of P-384":         {"p384", text(big.sign(t, body))},
		"a key that is none":     {"nonsense", text(der)},
		"r and s without ASN.1":  {"good", text(raw)},
		"bytes behind the ASN.1": {"good", text(append(der[:len(der):len(der)], 0))},
		"not base64":             {"good", "%%%"},
		"a long signature":       {"good", text(make([]byte, 4096))},
		"an empty signature":     {"good", text([]byte{0x30, 0})},
	} {
		err := github.Verify(t.Context(), c.key, c.signature, []byte(body))
		if latchward.ErrorCode(err) != latchward.CodeUnauthenticated {
			t.Errorf("%s: error %v, want unauthenticated", name, err)
		}
	}
}

// Unknown key ids make Latchward ask GitHub at most once a minute (bar 64), and new keys are learnt.
func TestGitHubKeyRefresh(t *testing.T) {
	old, oldPEM := newSigner(t, "old", elliptic.P256())
	next, nextPEM := newSigner(t, "next", elliptic.P256())
	keys := newKeyServer(t, map[string]string{"old": oldPEM})
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	github := &leak.GitHub{Keys: keys.URL, Now: func() time.Time { return now }}
	verify := func(s signer) latchward.Code {
		signature := base64.StdEncoding.EncodeToString(s.sign(t, "[]"))
		return latchward.ErrorCode(github.Verify(t.Context(), s.id, signature, []byte("[]")))
	}
	for range 100 {
		if verify(old) != "" || verify(next) != latchward.CodeUnauthenticated {
			t.Fatal("the keys known are not those published")
		}
	}
	if n := keys.asked.Load(); n != 1 {
		t.Errorf("GitHub was asked %d times within a minute, want once", n)
	}
	keys.keys["next"] = nextPEM
	now = now.Add(time.Minute)
	if code := verify(next); code != "" {
		t.Errorf("a new key is refused with %s after a minute", code)
	}
	now = now.Add(time.Minute)
	keys.down.Store(true)
	if code := verify(signer{"unknown", old.key}); code != latchward.CodeUnavailable {
		t.Errorf("while GitHub is down an unknown key gives %q, want unavailable", code)
	}
	if code := verify(old); code != "" {
		t.Errorf("while GitHub is down a known key gives %q", code)
	}
}

// Without any key nothing can be judged: that is not a refusal, so that GitHub tries again.
func TestGitHubKeysUnavailable(t *testing.T) {
	keys := newKeyServer(t, nil)
	keys.down.Store(true)
	github := &leak.GitHub{Keys: keys.URL}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for range 3 {
		err := github.Verify(cancelled, vectorKeyID, vectorSignature, []byte(vectorBody))
		if latchward.ErrorCode(err) != latchward.CodeUnavailable {
			t.Errorf("error %v, want unavailable", err)
		}
	}
	if n := keys.asked.Load(); n != 1 {
		t.Errorf("GitHub was asked %d times, want once a minute", n)
	}
}
