package signin_test

import (
	"crypto/elliptic"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/signin"
)

// BenchmarkAuthenticate shows what a JWT costs beside the sign-in, when it comes for the first time and again.
func BenchmarkAuthenticate(b *testing.B) {
	ec, ed := newECKey(b, elliptic.P256()), newEdKey(b)
	file := writeKeySet(b, keySet(
		publicJWK(b, "rsa", "", rsaKey().Public()), publicJWK(b, "ec", "", ec.Public()), publicJWK(b, "ed", "", ed.Public()),
	))
	public := newJWT(b, &people{}, signin.JWTOptions{JWKSFile: file})
	shared := newJWT(b, &people{}, signin.JWTOptions{Secret: secret})
	for _, test := range []struct {
		name string
		j    *signin.JWT
		jwt  latchward.Secret
	}{
		{"HS256", shared, signWith(b, jose.HS256, "", secret)},
		{"RS256", public, signWith(b, jose.RS256, "rsa", rsaKey())},
		{"PS256", public, signWith(b, jose.PS256, "rsa", rsaKey())},
		{"ES256", public, signWith(b, jose.ES256, "ec", ec)},
		{"EdDSA", public, signWith(b, jose.EdDSA, "ed", ed)},
	} {
		b.Run("first/"+test.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				test.j.Forget()
				if _, err := test.j.Authenticate(b.Context(), test.jwt); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("again/"+test.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := test.j.Authenticate(b.Context(), test.jwt); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
