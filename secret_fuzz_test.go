package latchward

import (
	"crypto/hmac"
	"crypto/sha256"
	"strings"
	"testing"
)

// FuzzParseSecret: whatever parses has exactly the text its parts make again; and whatever has the shape of a
// payload parses when our key sealed it, and not otherwise.
func FuzzParseSecret(f *testing.F) {
	ring := mustKeyRing(f, 20)
	key := ring.keys[1]
	text, _ := mustSecret(f, seededRandom(20), DefaultPrefix, ring)
	for _, seed := range []string{
		text, text[:36], text[:52], text + "0", "", DefaultPrefix, strings.ToUpper(text), text[:20] + "\x00" + text[21:],
		"lw_0" + text[4:36], "lw_2" + text[4:36], text[:35] + "é", resealed(text[:30] + "x" + text[31:]), "a.b.c",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if credential, err := ParseSecret(SecretFromText(text), DefaultPrefix, ring); err == nil {
			checkReencodes(t, text, credential, key)
		}
		if len(text) > macTextMax {
			return
		}
		sealed, digest := key.seal([]byte(text))
		credential, err := ParseSecret(SecretFromText(string(sealed)), DefaultPrefix, ring)
		good := len(text) == 36 && strings.HasPrefix(text, "lw_1") && strings.Trim(text[4:], base62Digits) == ""
		if good != (err == nil) {
			t.Fatalf("%q sealed by us: %v", text, err)
		}
		if good && (credential.Digest != digest || credential.KeyID.String() != text[3:14]) {
			t.Fatalf("%q: %v, want digest %v", text, credential, digest)
		}
	})
}

// checkReencodes makes the token again from what was parsed, with an HMAC of its own.
func checkReencodes(t *testing.T, text string, credential Credential, key *serverKey) {
	t.Helper()
	payload := DefaultPrefix + credential.KeyID.String() + text[14:36]
	mac := hmac.New(sha256.New, key.bytes())
	mac.Write([]byte(payload))
	if sum := mac.Sum(nil); Digest(sum[8:]) != credential.Digest {
		t.Fatalf("%q: digest %v", text, credential.Digest)
	}
	if again, _ := key.seal([]byte(payload)); string(again) != text {
		t.Fatalf("%q parses, but is made as %q", text, again)
	}
}
