package latchward

import (
	"crypto/hmac"
	"crypto/sha256"
	"slices"
	"testing"
	"time"
)

type presentedSecret struct {
	text string
	want error
}

// presentedSecrets are one of each kind that ParseSecret tells apart.
func presentedSecrets(tb testing.TB, ring *KeyRing) map[string]presentedSecret {
	tb.Helper()
	text, _ := mustSecret(tb, seededRandom(31), DefaultPrefix, ring)
	other, _ := mustSecret(tb, seededRandom(32), DefaultPrefix, mustKeyRing(tb, 33))
	mistyped := []byte(text)
	mistyped[20], mistyped[21] = mistyped[21], mistyped[20]
	if mistyped[20] == mistyped[21] {
		tb.Fatal("nothing was mistyped")
	}
	return map[string]presentedSecret{
		"valid":       {text, nil},
		"forged":      {other, ErrForged},
		"unknown-key": {resealed("lw_z" + text[4:]), ErrForged},
		"mistyped":    {string(mistyped), ErrMalformed},
		"truncated":   {text[:52], ErrMalformed},
		"foreign":     {"sk_" + text[3:], ErrForeign},
		"empty":       {"", ErrForeign},
	}
}

// BenchmarkParseSecret is to be read beside BenchmarkHMACReused: forged and mistyped cost at most 1.3 times as much.
func BenchmarkParseSecret(b *testing.B) {
	ring := mustKeyRing(b, 30)
	secrets := presentedSecrets(b, ring)
	for _, name := range []string{"valid", "forged", "unknown-key", "mistyped", "truncated", "foreign"} {
		b.Run(name, func(b *testing.B) {
			text, want := secrets[name].text, secrets[name].want
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ParseSecret(SecretFromText(text), DefaultPrefix, ring); err != want {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParseSecretParallel(b *testing.B) {
	ring := mustKeyRing(b, 30)
	secret := SecretFromText(presentedSecrets(b, ring)["valid"].text)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := ParseSecret(secret, DefaultPrefix, ring); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkHMACReused is what one HMAC-SHA-256 of a token's prefix and payload costs by itself.
func BenchmarkHMACReused(b *testing.B) {
	ring := mustKeyRing(b, 30)
	payload := []byte(presentedSecrets(b, ring)["valid"].text[:36])
	mac := hmac.New(sha256.New, ring.keys[1].bytes())
	sum := make([]byte, 0, sha256.Size)
	mac.Reset()
	b.ReportAllocs()
	for b.Loop() {
		mac.Reset()
		mac.Write(payload)
		sum = mac.Sum(sum[:0])
	}
}

// BenchmarkParseSecretRatio measures both in turns, so that what else the machine does touches both alike, and
// reports the median of how many HMACs a call of ParseSecret costs.
func BenchmarkParseSecretRatio(b *testing.B) {
	ring := mustKeyRing(b, 30)
	secrets := presentedSecrets(b, ring)
	payload := []byte(secrets["valid"].text[:36])
	mac, sum := hmac.New(sha256.New, ring.keys[1].bytes()), make([]byte, 0, sha256.Size)
	once := func() { mac.Reset(); mac.Write(payload); sum = mac.Sum(sum[:0]) }
	for _, name := range []string{"valid", "forged", "mistyped"} {
		b.Run(name, func(b *testing.B) {
			secret, ratios := SecretFromText(secrets[name].text), make([]float64, 0, 1_000)
			parse := func() { _, _ = ParseSecret(secret, DefaultPrefix, ring) }
			for b.Loop() {
				ratios = append(ratios, float64(timed(parse))/float64(timed(once)))
			}
			slices.Sort(ratios)
			b.ReportMetric(ratios[len(ratios)/2], "HMACs/op")
		})
	}
}

// timed returns how long a thousand calls take.
func timed(call func()) time.Duration {
	start := time.Now()
	for range 1_000 {
		call()
	}
	return time.Since(start)
}

func BenchmarkNewSecret(b *testing.B) {
	ring, random := mustKeyRing(b, 30), seededRandom(31)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := NewSecret(random, DefaultPrefix, ring); err != nil {
			b.Fatal(err)
		}
	}
}
