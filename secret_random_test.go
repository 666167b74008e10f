package latchward

import (
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"
)

// bar 1, S1-10, B-01
func TestSecretShape(t *testing.T) {
	n := tokensAtScale(20_000, 100_000) // the biased source below is told from a fair one from 15,000 on
	ring, random := mustKeyRing(t, 1), seededRandom(2)
	shape := regexp.MustCompile(`^lw_[1-9A-Za-z][0-9A-Za-z]{43}[0-9A-Za-z]{6}$`)
	seen, counts := make(map[string]bool, n), make([][256]int, payloadLen)
	for range n {
		text, credential := mustSecret(t, random, DefaultPrefix, ring)
		if !shape.MatchString(text) || len(text) != 53 {
			t.Fatalf("%q has another shape", text)
		}
		if parsed, err := ParseSecret(SecretFromText(text), DefaultPrefix, ring); err != nil || parsed != credential {
			t.Fatalf("made %v, parsed %v, %v", credential, parsed, err)
		}
		if id := credential.KeyID; id.String() != text[3:14] || id.Version() != 1 {
			t.Fatalf("key id %q of %q", id, text)
		}
		if seen[text[3:14]] || seen[text[14:36]] {
			t.Fatalf("a part of %q was there before", text)
		}
		seen[text[3:14]], seen[text[14:36]] = true, true
		for i := range payloadLen {
			counts[i][text[3+i]]++
		}
	}
	for i := 1; i < payloadLen; i++ {
		if x := chiSquare(counts[i], n); x > chiSquareLimit {
			t.Errorf("position %d: chi-square %.1f > %.1f: digits are not equally likely", i, x, chiSquareLimit)
		}
	}
}

// chiSquareLimit is exceeded with a chance of 1e-6 by 62 equally likely symbols (61 degrees of freedom).
const chiSquareLimit = 128.52

func chiSquare(counts [256]int, n int) (sum float64) {
	expected := float64(n) / 62
	for _, digit := range []byte(base62Digits) {
		difference := float64(counts[digit]) - expected
		sum += difference * difference / expected
	}
	return sum
}

// The test above must see what it is there to see: the remainder of a byte by 62.
func TestChiSquareSeesBias(t *testing.T) {
	var counts [256]int
	random := rand.New(rand.NewChaCha8([32]byte{3}))
	const n = 20_000
	for range n {
		counts[base62Digits[random.IntN(256)%62]]++
	}
	if x := chiSquare(counts, n); x <= chiSquareLimit {
		t.Errorf("chi-square %.1f of a biased source passes", x)
	}
}

// bar 3
func TestNewSecretNeedsRandom(t *testing.T) {
	ring, failure := mustKeyRing(t, 13), errors.New("no entropy")
	sources := map[string]io.Reader{
		"fails": iotest.ErrReader(failure),
		"zeros": constantReader(0), "ones": constantReader(255), "sevens": constantReader(7),
	}
	for n := range 40 {
		ends := io.LimitReader(seededRandom(13), int64(n))
		fails := io.MultiReader(io.LimitReader(seededRandom(13), int64(n)), iotest.ErrReader(failure))
		sources[fmt.Sprintf("ends after %d bytes", n)], sources[fmt.Sprintf("fails after %d bytes", n)] = ends, fails
	}
	for name, source := range sources {
		secret, credential, err := NewSecret(source, DefaultPrefix, ring)
		if ErrorCode(err) != CodeUnavailable || !secret.IsZero() || credential != (Credential{}) {
			t.Errorf("%s: a secret of %d characters, %v, %v", name, len(secret.Expose()), credential, err)
		}
	}
	if _, _, err := NewSecret(iotest.ErrReader(failure), DefaultPrefix, ring); !errors.Is(err, failure) {
		t.Errorf("the cause is lost: %v", err)
	}
	for name, source := range map[string]io.Reader{
		"delivers byte by byte":      iotest.OneByteReader(seededRandom(13)),
		"lacks one digit at first":   io.MultiReader(strings.NewReader(strings.Repeat("\xff", 9)), countingReader{}),
		"is of no use for a while":   io.MultiReader(strings.NewReader(strings.Repeat("\xf8", 400)), seededRandom(13)),
		"fails after what is needed": io.MultiReader(io.LimitReader(seededRandom(13), 40), iotest.ErrReader(failure)),
	} {
		secret, made, err := NewSecret(source, DefaultPrefix, ring)
		if parsed, refusal := ParseSecret(secret, DefaultPrefix, ring); err != nil || refusal != nil || parsed != made {
			t.Errorf("a source that %s: %v, %v", name, err, refusal)
		}
	}
}

// countingReader delivers 0, 1, 2 and so on in each read.
type countingReader struct{}

func (countingReader) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(i)
	}
	return len(p), nil
}

type constantReader byte

func (b constantReader) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(b)
	}
	return len(p), nil
}

// bar 3: what makes secrets cannot reach a generator that can be predicted
func TestSecretsUseNoPseudoRandom(t *testing.T) {
	for _, name := range []string{"secret.go", "keyring.go", "base62.go", "mac.go"} {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range file.Imports {
			if strings.HasPrefix(spec.Path.Value, `"math/rand`) {
				t.Errorf("%s imports %s", name, spec.Path.Value)
			}
		}
	}
}
