package latchward

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"math/rand/v2"
	"testing"
)

// B-02: our HMAC is the standard library's, for texts of every length in any order, on one reused state
func TestMACState(t *testing.T) {
	random := rand.NewChaCha8([32]byte{50})
	for keyLen := range sha256.BlockSize + 1 {
		key, text := make([]byte, keyLen), make([]byte, macTextMax)
		random.Read(key)
		state := newMACState(key)
		for range 3 {
			for _, n := range rand.New(random).Perm(macTextMax + 1) {
				random.Read(text)
				want := hmac.New(sha256.New, key)
				want.Write(text[:n])
				if got := state.sum(text[:n]); !bytes.Equal(got, want.Sum(nil)) {
					t.Fatalf("key of %d bytes, text of %d: %x", keyLen, n, got)
				}
			}
		}
	}
}

// RFC 4231 section 4.3, test case 2
func TestMACStateOfRFC4231(t *testing.T) {
	got := newMACState([]byte("Jefe")).sum([]byte("what do ya want for nothing?"))
	want := "\x5b\xdc\xc1\x46\xbf\x60\x75\x4e\x6a\x04\x24\x26\x08\x95\x75\xc7" +
		"\x5a\x00\x3f\x08\x9d\x27\x39\x83\x9d\xec\x58\xb9\x64\xec\x38\x43"
	if string(got) != want {
		t.Errorf("%x, want %x", got, want)
	}
}

// S1-12: a state that rests in the pool holds nothing of the secret it last saw
func TestMACStateForgetsText(t *testing.T) {
	state, text := newMACState([]byte("key")), []byte("lw_1abcdefghijABCDEFGHIJKLMNOPQRSTUV")
	state.sum(text)
	if state.text[0] != 0 || !bytes.Equal(state.text[:macTextMax], make([]byte, macTextMax)) {
		t.Errorf("the text stays behind: %q", state.text)
	}
	saved, err := state.hash.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(saved, text[:4]) || bytes.Contains(state.saved[:], text[:4]) {
		t.Error("the text stays behind in the hash")
	}
}
