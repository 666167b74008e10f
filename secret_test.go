package latchward

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"math/big"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
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
		"empty": "", "prefix alone": DefaultPrefix, "long": DefaultPrefix + strings.Repeat("0", 1<<20),
		"case swapped": DefaultPrefix + strings.Map(swap, text[3:]), "upper prefix": "LW_" + text[3:],
		"all upper": strings.ToUpper(text), "all lower": strings.ToLower(text),
		"full-width digit": text[:10] + "１" + text[11:], "full-width in bytes": text[:10] + "１" + text[13:],
		"zero-width space": text + "\u200b", "byte order mark": "\ufeff" + text, "combining mark": text + "\u0301",
		"NUL": text + "\x00", "NUL inside": text[:20] + "\x00" + text[21:], "carriage return": text + "\r",
		"line feed": text + "\n", "space before": " " + text, "space after": text + " ", "quoted": `"` + text + `"`,
		"percent-encoded": "%6c" + text[1:], "long s": text[:52] + "ſ", "invalid UTF-8": text[:52] + "\xff",
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
	_, live := mustSecret(t, seededRandom(9), "live_", ring)
	if live.KeyID != test.KeyID || live.Digest.Equal(test.Digest) {
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

func TestNewSecretRefusesItsInput(t *testing.T) {
	ring := mustKeyRing(t, 14)
	for _, prefix := range []string{
		"", "_", "lw", "lw-", "Lw_", "1w_", "_w_", "l w_", "lw__x", "abcdefghijklmn_", "lẅ_", "l\x00_",
	} {
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
	tooLong := strings.Repeat("a", 30)
	if _, err := ParseSecret(SecretFromText(resealed(tooLong+tooLong+tooLong[:20])), tooLong, ring); err != ErrMalformed {
		t.Errorf("parsing with a prefix that is too long: %v", err)
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
	if errors.Is(ErrForeign, ErrMalformed) || errors.Is(ErrMalformed, ErrForged) ||
		ErrForged.Error() == ErrMalformed.Error() {
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
	zero := KeyID{}
	if !zero.IsZero() || zero.String() != "" || zero.Version() != 0 || TokenPrefix("lw_", zero) != "lw_" {
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
