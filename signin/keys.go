package signin

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"slices"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"

	"github.com/latchward/latchward"
)

// minRSABits is the smallest RSA key that signs for us (RFC 7518 §3.3).
const minRSABits = 2048

// sharedKey is an HS256 secret. It is a function, so that nothing which prints its holder prints the secret.
type sharedKey func() []any

func newSharedKey(secret []byte) (sharedKey, error) {
	if len(secret) < MinSecretSize {
		return nil, latchward.Invalid("jwt.secret", "must have at least %d bytes; it has %d", MinSecretSize, len(secret))
	}
	keys := []any{slices.Clone(secret)}
	return func() []any { return keys }, nil
}

// find implements keySource. There is one key, so what the JWT calls it does not matter.
func (k sharedKey) find(context.Context, string, jose.SignatureAlgorithm) ([]any, error) {
	return k(), nil
}

func (k sharedKey) generation() (uint64, bool) { return 0, true }

// publicKey is a key of a JWK set with the algorithms it may be used with.
type publicKey struct {
	id         string
	key        any
	algorithms []jose.SignatureAlgorithm
}

// parseKeySet returns the keys of a JWK set (RFC 7517 §5) that can verify for us, and passes over all others. It
// fails when there are none.
func parseKeySet(text []byte) ([]publicKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, errors.New("not a JSON Web Key Set")
	}
	var usable []publicKey
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		if json.Unmarshal(raw, &key) != nil {
			continue
		}
		if algorithms := algorithmsOf(&key); len(algorithms) > 0 {
			usable = append(usable, publicKey{id: key.KeyID, key: key.Key, algorithms: algorithms})
		}
	}
	if len(usable) == 0 {
		return nil, errors.New("the JSON Web Key Set holds no public key for RS256, PS256, ES256 or EdDSA")
	}
	return usable, nil
}

// algorithmsOf returns the algorithms that a key may be used with: those of its type, or the one it names of them.
func algorithmsOf(key *jose.JSONWebKey) []jose.SignatureAlgorithm {
	if key.Use != "" && key.Use != "sig" {
		return nil
	}
	var algorithms []jose.SignatureAlgorithm
	switch k := key.Key.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() >= minRSABits {
			algorithms = []jose.SignatureAlgorithm{jose.RS256, jose.PS256}
		}
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() {
			algorithms = []jose.SignatureAlgorithm{jose.ES256}
		}
	case ed25519.PublicKey:
		algorithms = []jose.SignatureAlgorithm{jose.EdDSA}
	}
	if key.Algorithm == "" {
		return algorithms
	}
	return slices.DeleteFunc(algorithms, func(a jose.SignatureAlgorithm) bool { return string(a) != key.Algorithm })
}

// matching returns the keys for a JWT. One that names no key is checked with the only key of its algorithm.
func matching(keys []publicKey, id string, algorithm jose.SignatureAlgorithm) []any {
	var found []any
	for i := range keys {
		if (id == "" || keys[i].id == id) && slices.Contains(keys[i].algorithms, algorithm) {
			found = append(found, keys[i].key)
		}
	}
	if id == "" && len(found) > 1 {
		return nil
	}
	return found
}
