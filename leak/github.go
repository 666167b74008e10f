package leak

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/latchward/latchward"
)

// Headers of a report of GitHub's secret scanning partner programme
// (https://docs.github.com/code-security/secret-scanning/secret-scanning-partnership-program).
const (
	GitHubKeyHeader       = "Github-Public-Key-Identifier"
	GitHubSignatureHeader = "Github-Public-Key-Signature"
)

// GitHubKeys is where GitHub publishes the keys it signs reports with.
const GitHubKeys = "https://api.github.com/meta/public_keys/secret_scanning"

const (
	keysInterval = time.Minute // at most one look for new keys in this time (bar 64)
	keysTimeout  = 10 * time.Second
	keysMax      = 1 << 20 // bytes of the answer
	signatureMax = 256     // characters; one of P-256 has at most 96
)

// GitHub checks that reports of leaked secrets come from GitHub: by an ECDSA signature on P-256 with SHA-256 over the
// body as it came. The public keys are fetched when first needed, and again, at most once a minute, when a key is asked
// for that is not among them. A GitHub may be used concurrently; it must not be copied.
type GitHub struct {
	Keys   string           // address of the keys; "" = [GitHubKeys]
	Client *http.Client     // that fetches them; nil = one of its own, with a time-out
	Now    func() time.Time // nil = time.Now

	known atomic.Pointer[publicKeys] // nil = none yet

	fetching sync.Mutex // held while keys are fetched: who needs new ones waits
	fetched  time.Time  // when keys were last asked for; zero = never
}

type publicKeys map[string]*ecdsa.PublicKey

func (k *publicKeys) get(id string) *ecdsa.PublicKey {
	if k == nil {
		return nil
	}
	return (*k)[id]
}

// keysClient follows no redirect: the keys come from where the operator said.
var keysClient = &http.Client{
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func refuse(format string, args ...any) error {
	return latchward.Errorf(latchward.CodeUnauthenticated, format, args...)
}

// Verify checks the signature of a body. keyID and signature are what the headers hold. Errors: unauthenticated, for
// all that GitHub did not sign; unavailable, when its keys could not be fetched and none was known.
func (g *GitHub) Verify(ctx context.Context, keyID, signature string, body []byte) error {
	if keyID == "" || signature == "" {
		return refuse("a report needs the headers %s and %s", GitHubKeyHeader, GitHubSignatureHeader)
	}
	if len(signature) > signatureMax || len(keyID) > signatureMax {
		return refuse("the signature is not one of GitHub's")
	}
	der, err := base64.StdEncoding.Strict().DecodeString(signature)
	if err != nil {
		return refuse("the signature is not base64")
	}
	key, err := g.key(ctx, keyID)
	if err != nil {
		return err
	}
	digest := sha256.Sum256(body)
	if !ecdsa.VerifyASN1(key, digest[:], der) {
		return refuse("the signature does not fit the body")
	}
	return nil
}

// key returns a public key, and fetches all if it is not known yet.
func (g *GitHub) key(ctx context.Context, id string) (*ecdsa.PublicKey, error) {
	if key := g.known.Load().get(id); key != nil {
		return key, nil
	}
	g.fetching.Lock()
	defer g.fetching.Unlock()
	if now := g.now(); g.fetched.IsZero() || now.Sub(g.fetched) >= keysInterval {
		g.fetched = now
		known, err := g.fetch(ctx)
		if err != nil {
			return nil, latchward.Errorf(latchward.CodeUnavailable, "cannot fetch the keys of GitHub: %w", err)
		}
		g.known.Store(&known)
	}
	known := g.known.Load()
	if key := known.get(id); key != nil {
		return key, nil
	}
	if known == nil {
		return nil, latchward.Errorf(latchward.CodeUnavailable,
			"the keys of GitHub could not be fetched; they are asked for again in a minute")
	}
	return nil, refuse("GitHub publishes no key of that name")
}

func (g *GitHub) now() time.Time {
	if g.Now != nil {
		return g.Now()
	}
	return time.Now()
}

// fetch returns all keys that GitHub publishes and that are of the right kind. The caller's end does not end it: others
// wait for the same keys.
func (g *GitHub) fetch(ctx context.Context) (publicKeys, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keysTimeout)
	defer cancel()
	address, client := g.Keys, g.Client
	if address == "" {
		address = GitHubKeys
	}
	if client == nil {
		client = keysClient
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/json")
	reply, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer reply.Body.Close()
	if reply.StatusCode != http.StatusOK {
		return nil, latchward.Errorf(latchward.CodeUnavailable, "%s answered %s", address, reply.Status)
	}
	return readKeys(io.LimitReader(reply.Body, keysMax))
}

func readKeys(from io.Reader) (publicKeys, error) {
	var list struct {
		Keys []struct {
			ID  string `json:"key_identifier"`
			PEM string `json:"key"`
		} `json:"public_keys"`
	}
	if err := json.NewDecoder(from).Decode(&list); err != nil {
		return nil, err
	}
	keys := publicKeys{}
	for _, k := range list.Keys {
		if key := p256(k.PEM); key != nil && k.ID != "" {
			keys[k.ID] = key
		}
	}
	return keys, nil
}

// p256 returns the key in a PEM block; nil for any other than one of P-256.
func p256(text string) *ecdsa.PublicKey {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	key, ok := parsed.(*ecdsa.PublicKey)
	if err != nil || !ok || key.Curve != elliptic.P256() {
		return nil
	}
	return key
}
