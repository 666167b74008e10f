// Package jwt signs and reads the JWTs that Latchward itself issues: derived tokens and status lists. There is one
// algorithm, EdDSA with Ed25519 (RFC 8037), and one form of header, so nothing is negotiated (RFC 8725 section 3.1).
package jwt

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"strings"

	"github.com/go-jose/go-jose/v4"
	// It refuses members that are repeated, which encoding/json takes the last of.
	"github.com/go-jose/go-jose/v4/json"

	"github.com/latchward/latchward"
)

// The types of what Latchward signs.
const (
	TypeDerived    = "at+jwt"         // RFC 9068 section 2.1
	TypeStatusList = "statuslist+jwt" // draft-ietf-oauth-status-list-21 section 5.1
)

// maxSize bounds what is read, in bytes; a status list that nothing compresses is the longest.
const maxSize = 1 << 20

// Find returns the public key with an id, or nil when it is unknown.
type Find func(id string) ed25519.PublicKey

// sign returns claims as a JWT.
func sign(key latchward.SigningSecret, kind string, claims any) (string, error) {
	options := (&jose.SignerOptions{}).WithType(jose.ContentType(kind))
	signer, err := jose.NewSigner(jose.SigningKey{
		Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: key.Key(), KeyID: key.ID},
	}, options)
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

// open returns the payload of a JWT of a type that the key with its kid has signed.
func open(text, kind string, find Find) ([]byte, error) {
	if len(text) > maxSize || strings.ContainsAny(text, "\r\n") { // which are passed over when base64 is decoded
		return nil, refuse("it is too long or broken into lines")
	}
	id, err := keyID(text, kind)
	if err != nil {
		return nil, err
	}
	key := find(id)
	if key == nil {
		return nil, refuse("its key is unknown")
	}
	signed, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil {
		return nil, refuse("it is not a signed JWT")
	}
	payload, err := signed.Verify(key)
	if err != nil {
		return nil, refuse("its signature is wrong")
	}
	return payload, nil
}

// keyID returns the kid of a JWT whose header has exactly the three members that we write. Any other, such as jwk, jku,
// x5c or crit, would say how to verify it, and whoever made it has no say in that.
func keyID(text, kind string) (string, error) {
	encoded, _, _ := strings.Cut(text, ".")
	decoded, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return "", refuse("its header is not base64url")
	}
	var header map[string]any
	if err := json.Unmarshal(decoded, &header); err != nil {
		return "", refuse("its header is not a JSON object without repeated members")
	}
	id, _ := header["kid"].(string)
	if len(header) != 3 || header["alg"] != string(jose.EdDSA) || header["typ"] != kind || id == "" {
		return "", refuse("its header is not one of ours")
	}
	return id, nil
}

// IsDerived reports whether a JWT calls itself a derived token. It says nothing about whether it is one.
func IsDerived(jwt latchward.Secret) bool {
	encoded, _, _ := strings.Cut(jwt.Expose(), ".")
	decoded, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return false
	}
	var header struct {
		Type string `json:"typ"`
	}
	return json.Unmarshal(decoded, &header) == nil &&
		strings.EqualFold(strings.TrimPrefix(strings.ToLower(header.Type), "application/"), TypeDerived)
}

// refuse returns the one error for JWTs that are no good. The cause is for logs and never quotes the JWT.
func refuse(cause string) error {
	return &latchward.Error{Code: latchward.CodeUnauthenticated, Message: "Invalid token", Err: errors.New(cause)}
}
