//go:build !race

package latchward

import "testing"

// performance: a presented secret costs no allocation, whatever it is. (The race detector makes sync.Pool forget.)
func TestParseSecretAllocatesNothing(t *testing.T) {
	ring := mustKeyRing(t, 30)
	for name, c := range presentedSecrets(t, ring) {
		allocs := testing.AllocsPerRun(1_000, func() {
			if _, err := ParseSecret(SecretFromText(c.text), DefaultPrefix, ring); err != c.want {
				t.Fatalf("%s: %v, want %v", name, err, c.want)
			}
		})
		if allocs != 0 {
			t.Errorf("%s: %v allocations", name, allocs)
		}
	}
}
