//go:build !race

package signin_test

import (
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/signin"
)

// A JWT that was verified before costs one allocation, for its digest: its signature is not checked again.
func TestKnownJWTAllocations(t *testing.T) {
	key := newEdKey(t)
	file := writeKeySet(t, keySet(publicJWK(t, "a", "", key.Public())))
	for name, test := range map[string]struct {
		options signin.JWTOptions
		jwt     latchward.Secret
	}{
		"secret": {signin.JWTOptions{Secret: secret}, signWith(t, jose.HS256, "", secret)},
		"keys":   {signin.JWTOptions{JWKSFile: file}, signWith(t, jose.EdDSA, "a", key)},
	} {
		j, ctx := newJWT(t, &people{}, test.options), t.Context()
		n := testing.AllocsPerRun(100, func() {
			if _, err := j.Authenticate(ctx, test.jwt); err != nil {
				t.Fatal(err)
			}
		})
		if n > 1 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
