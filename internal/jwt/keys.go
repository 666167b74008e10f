package jwt

import (
	"crypto/ed25519"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"

	"github.com/latchward/latchward"
)

// WriteKeys returns keys as a JWK set (RFC 7517 section 5, RFC 8037 section 2).
func WriteKeys(keys []latchward.PublicKey) ([]byte, error) {
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, k := range keys {
		set.Keys = append(set.Keys, jose.JSONWebKey{
			Key: k.Key, KeyID: k.ID, Algorithm: string(jose.EdDSA), Use: "sig",
		})
	}
	return json.Marshal(set)
}

// ReadKeys returns the Ed25519 keys of a JWK set by their id, and passes over all others. A key whose id is not its
// thumbprint is none of ours.
func ReadKeys(text []byte) (map[string]ed25519.PublicKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, refuse("not a JSON Web Key Set")
	}
	keys := map[string]ed25519.PublicKey{}
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		if json.Unmarshal(raw, &key) != nil {
			continue
		}
		public, ok := key.Key.(ed25519.PublicKey)
		if ok && key.KeyID == latchward.SigningKeyID(public) && (key.Use == "" || key.Use == "sig") {
			keys[key.KeyID] = public
		}
	}
	return keys, nil
}
