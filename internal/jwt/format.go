package jwt

import (
	"crypto/ed25519"

	"github.com/latchward/latchward"
)

// Format is the [latchward.JWTFormat].
type Format struct{}

var _ latchward.JWTFormat = Format{}

// SignDerived implements [latchward.JWTFormat].
func (Format) SignDerived(key latchward.SigningSecret, c *latchward.DerivedClaims) (string, error) {
	return SignDerived(key, c)
}

// ReadDerived implements [latchward.JWTFormat].
func (Format) ReadDerived(
	jwt latchward.Secret, find func(id string) ed25519.PublicKey,
) (*latchward.DerivedClaims, error) {
	return ReadDerived(jwt, find)
}

// IsDerived implements [latchward.JWTFormat].
func (Format) IsDerived(jwt latchward.Secret) bool { return IsDerived(jwt) }

// SignStatusList implements [latchward.JWTFormat].
func (Format) SignStatusList(key latchward.SigningSecret, l *latchward.StatusList) (string, error) {
	return SignStatusList(key, l)
}
