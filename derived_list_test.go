package latchward_test

import (
	"crypto/ed25519"
	"math/bits"
	"testing"

	"github.com/latchward/latchward/internal/jwt"
)

func invalidPlaces(t *testing.T, f *fixture, signed string, list int64) (n int) {
	t.Helper()
	keys, err := f.PublicKeys(f.ctx)
	f.must(t, err, "")
	l, err := jwt.ReadStatusList(signed, derivedIssuer, jwt.StatusListURI(derivedIssuer, list),
		func(id string) ed25519.PublicKey {
			for _, k := range keys {
				if k.ID == id {
					return k.Key
				}
			}
			return nil
		})
	f.must(t, err, "")
	for _, b := range l.Bits {
		n += bits.OnesCount8(b)
	}
	return n
}
