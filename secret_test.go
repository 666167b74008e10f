package latchward

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"math/big"
	"math/rand/v2"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unsafe"
)

// keyTime is when the server keys of these tests were made.
var keyTime = time.Date(2026, 11, 22, 14, 46, 7, 0, time.UTC)

// seededRandom repeats itself from run to run, unlike any other seed.
func seededRandom(seed byte) io.Reader { return rand.NewChaCha8([32]byte{seed}) }

func mustKeyRing(tb testing.TB, seed byte) *KeyRing {
	tb.Helper()
	ring, err := GenerateKeyRing(seededRandom(seed), keyTime)
	if err != nil {
		tb.Fatal(err)
	}
	return ring
}

func mustSecret(tb testing.TB, random io.Reader, prefix string, ring *KeyRing) (string, Credential) {
	tb.Helper()
	secret, credential, err := NewSecret(random, prefix, ring)
	if err != nil {
		tb.Fatal(err)
	}
	return secret.Expose(), credential
}

// resealed repairs the checksum of a text whose other parts were changed.
func resealed(text string) string {
	before := []byte(text[:len(text)-checksumLen])
	return string(appendBase62(before, checksum(before), checksumLen))
}

// otherDigit returns any base62 digit but the given one.
func otherDigit(random *rand.Rand, not byte) byte {
	for {
		if digit := base62Digits[random.IntN(62)]; digit != not {
			return digit
		}
	}
}

// tokensAtScale is how many tokens a test makes: all of them with LATCHWARD_SCALE=full.
func tokensAtScale(usual, full int) int {
	if os.Getenv("LATCHWARD_SCALE") == "full" {
		return full
	}
	return usual
}

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
		if id := credential.KeyID; id.String() != text[3:14] || id.Version() != 1 || seen[id.String()] || seen[text[14:36]] {
			t.Fatalf("key id %q of %q is wrong, or a part was there before", id, text)
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

// bar 2, S3-11
func TestParseSecretRefusesAnyChange(t *testing.T) {
	const seed = 4
	ring, random := mustKeyRing(t, seed), rand.New(rand.NewChaCha8([32]byte{seed}))
	for range tokensAtScale(1_000, 10_000) {
		text, _ := mustSecret(t, seededRandom(byte(random.Uint32())), DefaultPrefix, ring)
		for i := range len(text) {
			changed := []byte(text)
			changed[i] = otherDigit(random, text[i])
			want := ErrMalformed
			if i < len(DefaultPrefix) {
				want = ErrForeign
			}
			expectRefusal(t, string(changed), ring, want)
			if want == ErrMalformed && i < len(text)-checksumLen {
				expectRefusal(t, resealed(string(changed)), ring, ErrForged)
			}
		}
	}
}

func expectRefusal(t *testing.T, text string, ring *KeyRing, want error) {
	t.Helper()
	credential, err := ParseSecret(SecretFromText(text), DefaultPrefix, ring)
	if err != want || credential != (Credential{}) {
		t.Fatalf("%q: %v, %v; want %v", text, credential, err, want)
	}
}

// bar 2: every other byte at every place, and every length
func TestParseSecretRefusesAnyByteAndLength(t *testing.T) {
	ring := mustKeyRing(t, 5)
	text, _ := mustSecret(t, seededRandom(5), DefaultPrefix, ring)
	for i := len(DefaultPrefix); i < len(text); i++ {
		for b := range 256 {
			changed := []byte(text)
			if changed[i] = byte(b); string(changed) == text {
				continue
			}
			expectRefusal(t, string(changed), ring, ErrMalformed)
			if i < len(text)-checksumLen {
				want := ErrMalformed
				if strings.IndexByte(base62Digits, byte(b)) >= 0 {
					want = ErrForged
				}
				expectRefusal(t, resealed(string(changed)), ring, want)
			}
		}
	}
	for n := range len(text) {
		want := ErrMalformed
		if n < len(DefaultPrefix) {
			want = ErrForeign
		}
		expectRefusal(t, text[:n], ring, want)
	}
	expectRefusal(t, text+text, ring, ErrMalformed)
	expectRefusal(t, text+"0", ring, ErrMalformed)
}

// bar 9
func TestParseSecretNormalisesNothing(t *testing.T) {
	ring := mustKeyRing(t, 6)
	text, _ := mustSecret(t, seededRandom(6), DefaultPrefix, ring)
	swap := func(r rune) rune {
		if upper := strings.ToUpper(string(r)); upper != string(r) {
			return rune(upper[0])
		}
		return rune(strings.ToLower(string(r))[0])
	}
	for name, changed := range map[string]string{
		"empty": "", "prefix alone": DefaultPrefix,
		"case swapped": DefaultPrefix + strings.Map(swap, text[3:]), "all upper": strings.ToUpper(text), "all lower": strings.ToLower(text),
		"upper prefix": "LW_" + text[3:], "full-width digit": text[:10] + "１" + text[11:], "full-width in bytes": text[:10] + "１" + text[13:],
		"zero-width space": text + "\u200b", "NUL": text + "\x00", "NUL inside": text[:20] + "\x00" + text[21:],
		"carriage return": text + "\r", "line feed": text + "\n", "space before": " " + text, "space after": text + " ", "byte order mark": "\ufeff" + text,
		"percent-encoded": "%6c" + text[1:], "quoted": `"` + text + `"`, "long s": text[:52] + "ſ", "invalid UTF-8": text[:52] + "\xff",
		"combining mark": text + "\u0301", "long": DefaultPrefix + strings.Repeat("0", 1<<20),
	} {
		_, err := ParseSecret(SecretFromText(changed), DefaultPrefix, ring)
		if changed == text || (err != ErrForeign && err != ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The same number in other digits is another token.
func TestParseSecretHasOneSpelling(t *testing.T) {
	ring, random := mustKeyRing(t, 7), seededRandom(7)
	tags := 0
	for range 50 {
		text, _ := mustSecret(t, random, DefaultPrefix, ring)
		payload, tag, sum := text[:36], text[36:47], text[47:]
		expectRefusal(t, payload+tag+respelled(t, sum, 32), ring, ErrMalformed)
		if other := respelled(t, tag, 64); len(other) == tagLen {
			expectRefusal(t, resealed(payload+other+sum), ring, ErrForged)
			tags++
		}
	}
	if tags == 0 {
		t.Error("no tag could be spelled otherwise: nothing was tested")
	}
}

// respelled adds 2^bits to the number that digits spell.
func respelled(t *testing.T, digits string, bits uint) string {
	t.Helper()
	n := new(big.Int)
	for _, digit := range []byte(digits) {
		n.Mul(n, big.NewInt(62)).Add(n, big.NewInt(int64(strings.IndexByte(base62Digits, digit))))
	}
	n.Add(n, new(big.Int).Lsh(big.NewInt(1), bits))
	var text []byte
	for digit := new(big.Int); n.Sign() > 0; {
		n.DivMod(n, big.NewInt(62), digit)
		text = append([]byte{base62Digits[digit.Int64()]}, text...)
	}
	return strings.Repeat("0", max(0, len(digits)-len(text))) + string(text)
}

// bar 8
func TestPrefixIsAuthenticated(t *testing.T) {
	ring := mustKeyRing(t, 8)
	text, test := mustSecret(t, seededRandom(9), "test_", ring)
	if _, err := ParseSecret(SecretFromText(text), "live_", ring); err != ErrForeign {
		t.Errorf("a token of test_ at live_: %v", err)
	}
	moved := resealed("live_" + strings.TrimPrefix(text, "test_"))
	if _, err := ParseSecret(SecretFromText(moved), "live_", ring); err != ErrForged {
		t.Errorf("a token moved from test_ to live_: %v", err)
	}
	if _, live := mustSecret(t, seededRandom(9), "live_", ring); live.KeyID != test.KeyID || live.Digest.Equal(test.Digest) {
		t.Error("the digest does not depend on the prefix")
	}
	// A shorter prefix of ours that is the beginning of another: the length tells them apart.
	long, _ := mustSecret(t, seededRandom(9), "lw_test_", ring)
	expectRefusal(t, long, ring, ErrMalformed)
}

// bar 5, B-02
func TestDigestIsKeyed(t *testing.T) {
	rings := []*KeyRing{mustKeyRing(t, 10), mustKeyRing(t, 11)}
	var made []Credential
	for _, ring := range rings {
		text, credential := mustSecret(t, seededRandom(12), DefaultPrefix, ring)
		mac := hmac.New(sha256.New, ring.keys[1].bytes())
		mac.Write([]byte(text[:36]))
		sum := mac.Sum(nil)
		if want := hex.EncodeToString(sum[8:]); credential.Digest.String() != want {
			t.Errorf("digest %v, want %v", credential.Digest, want)
		}
		for _, unkeyed := range [][]byte{[]byte(text), []byte(text[:36]), []byte(text[14:36]), []byte(text[3:36])} {
			if plain := sha256.Sum256(unkeyed); bytes.Contains(plain[:], credential.Digest[:8]) {
				t.Error("the digest is one without a key")
			}
		}
		made = append(made, credential)
	}
	if made[0].KeyID != made[1].KeyID || made[0].Digest.Equal(made[1].Digest) {
		t.Error("two servers with different keys store the same")
	}
	text, _ := mustSecret(t, seededRandom(12), DefaultPrefix, rings[0])
	expectRefusal(t, text, rings[1], ErrForged)
}

// bar 3
func TestNewSecretNeedsRandom(t *testing.T) {
	ring, failure := mustKeyRing(t, 13), errors.New("no entropy")
	sources := map[string]io.Reader{
		"fails": iotest.ErrReader(failure), "zeros": constantReader(0), "ones": constantReader(255), "sevens": constantReader(7),
	}
	for n := range 40 {
		sources[fmt.Sprintf("ends after %d bytes", n)] = io.LimitReader(seededRandom(13), int64(n))
		sources[fmt.Sprintf("fails after %d bytes", n)] = io.MultiReader(io.LimitReader(seededRandom(13), int64(n)), iotest.ErrReader(failure))
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
	if _, _, err := NewSecret(iotest.OneByteReader(seededRandom(13)), DefaultPrefix, ring); err != nil {
		t.Errorf("a source that delivers byte by byte: %v", err)
	}
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
	for _, name := range []string{"secret.go", "keyring.go", "base62.go"} {
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

func TestNewSecretRefusesItsInput(t *testing.T) {
	ring := mustKeyRing(t, 14)
	for _, prefix := range []string{"", "_", "lw", "lw-", "Lw_", "1w_", "_w_", "l w_", "lw__x", "abcdefghijklmn_", "lẅ_", "l\x00_"} {
		err := ValidatePrefix(prefix)
		if ErrorCode(err) != CodeInvalid || ErrorField(err) != "prefix" {
			t.Errorf("ValidatePrefix(%q) = %v", prefix, err)
		}
		if secret, _, err := NewSecret(seededRandom(14), prefix, ring); ErrorCode(err) != CodeInvalid || !secret.IsZero() {
			t.Errorf("NewSecret with %q: %v", prefix, err)
		}
	}
	for _, prefix := range []string{"a_", DefaultPrefix, "a__", "a1_2_", "abcdefghijklm_"} {
		text, credential := mustSecret(t, seededRandom(14), prefix, ring)
		if len(text) > 64 || TokenPrefix(prefix, credential.KeyID) != text[:len(prefix)+8] {
			t.Errorf("%q: %d characters, shown as %q", prefix, len(text), TokenPrefix(prefix, credential.KeyID))
		}
		if _, err := ParseSecret(SecretFromText(text), prefix, ring); err != nil {
			t.Errorf("%q: %v", prefix, err)
		}
	}
	if _, _, err := NewSecret(seededRandom(14), DefaultPrefix, &KeyRing{}); ErrorCode(err) != CodeInternal {
		t.Errorf("an empty ring: %v", err)
	}
}

// S1-12: what ParseSecret returns outlives the text
func TestParseSecretKeepsNothing(t *testing.T) {
	ring := mustKeyRing(t, 15)
	text, want := mustSecret(t, seededRandom(15), DefaultPrefix, ring)
	buffer := []byte(text)
	got, err := ParseSecret(SecretFromText(unsafe.String(&buffer[0], len(buffer))), DefaultPrefix, ring)
	clear(buffer)
	if err != nil || got != want {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
}

// C-01: outsiders cannot tell the refusals apart
func TestRefusalsSayTheSame(t *testing.T) {
	for _, err := range []error{ErrForeign, ErrMalformed, ErrForged} {
		if ErrorCode(err) != CodeUnauthenticated || ErrorMessage(err) != "Invalid token" || ErrorField(err) != "" {
			t.Errorf("%v", err)
		}
	}
	if errors.Is(ErrForeign, ErrMalformed) || errors.Is(ErrMalformed, ErrForged) || ErrForged.Error() == ErrMalformed.Error() {
		t.Error("operators cannot tell the refusals apart")
	}
}

func TestKeyIDAndDigestText(t *testing.T) {
	_, want := mustSecret(t, seededRandom(16), DefaultPrefix, mustKeyRing(t, 16))
	if id, err := ParseKeyID(want.KeyID.String()); err != nil || id != want.KeyID || id.IsZero() {
		t.Errorf("%v, %v", id, err)
	}
	if digest, err := ParseDigest(want.Digest.String()); err != nil || !digest.Equal(want.Digest) {
		t.Errorf("%v, %v", digest, err)
	}
	id, digest := want.KeyID.String(), want.Digest.String()
	for _, text := range []string{"", id[:10], id + "0", "0" + id[1:], id[:10] + "-", id[:10] + "\x00", digest} {
		if _, err := ParseKeyID(text); ErrorCode(err) != CodeInvalid || ErrorField(err) != "key_id" {
			t.Errorf("ParseKeyID(%q): %v", text, err)
		}
	}
	for _, text := range []string{"", digest[:47], digest + "0", "g" + digest[1:], id} {
		if d, err := ParseDigest(text); ErrorCode(err) != CodeInvalid || ErrorField(err) != "digest" || d != (Digest{}) {
			t.Errorf("ParseDigest(%q): %v", text, err)
		}
	}
	if zero := (KeyID{}); !zero.IsZero() || zero.String() != "" || zero.Version() != 0 || TokenPrefix("lw_", zero) != "lw_" {
		t.Error("the zero KeyID is not empty")
	}
	other := want.Digest
	other[23] ^= 1
	if other.Equal(want.Digest) {
		t.Error("digests that differ in one bit are equal")
	}
}

func TestSecretEqual(t *testing.T) {
	a, b := SecretFromText("lw_a"), SecretFromText(strings.Clone("lw_a"))
	if !a.Equal(b) || a.Equal(SecretFromText("lw_b")) || a.Equal(SecretFromText("lw_aa")) || a.Equal(Secret{}) {
		t.Error("Equal does not compare the texts")
	}
	if empty := SecretFromText(""); !empty.IsZero() || !empty.Equal(Secret{}) || empty.Expose() != "" || a.IsZero() {
		t.Error("an empty text is not the zero Secret")
	}
}
