package latchward

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"io"
)

// sealLabel starts the purposes of the keys that seal.
const sealLabel = "sealing "

// Seal encrypts text under the current key, so that the database alone does not tell it, with AES-256-GCM. Purpose is
// a fixed text in code; bound is what the text belongs to, such as "user:7": sealed text is good for that alone. The
// error is of code unavailable when random fails or the ring is empty.
func (r *KeyRing) Seal(random io.Reader, purpose, bound, text string) (string, error) {
	aead, ok := r.sealer(r.current, purpose)
	if !ok {
		return "", Errorf(CodeUnavailable, "there is no server key to seal with")
	}
	sealed := make([]byte, 1+aead.NonceSize(), 1+aead.NonceSize()+len(text)+aead.Overhead())
	sealed[0] = byte(r.current)
	nonce := sealed[1:]
	if _, err := io.ReadFull(random, nonce); err != nil {
		return "", randomFailed("nonce", err)
	}
	return base64.RawStdEncoding.EncodeToString(aead.Seal(sealed, nonce, []byte(text), []byte(bound))), nil
}

// Unseal returns what [KeyRing.Seal] was given, and the version of the key that it was sealed under. The error is of
// code unavailable when the ring lacks that key, the text was changed, or it belongs to something else.
func (r *KeyRing) Unseal(purpose, bound, sealed string) (text string, version int, err error) {
	data, err := base64.RawStdEncoding.DecodeString(sealed)
	if err != nil || len(data) == 0 {
		return "", 0, unsealable()
	}
	aead, ok := r.sealer(int(data[0]), purpose)
	if !ok || len(data) < 1+aead.NonceSize() {
		return "", 0, unsealable()
	}
	nonce, rest := data[1:1+aead.NonceSize()], data[1+aead.NonceSize():]
	plain, err := aead.Open(nil, nonce, rest, []byte(bound))
	if err != nil {
		return "", 0, unsealable()
	}
	return string(plain), int(data[0]), nil
}

func unsealable() error {
	return Errorf(CodeUnavailable, "what the database keeps sealed cannot be opened with this key ring")
}

func (r *KeyRing) sealer(version int, purpose string) (cipher.AEAD, bool) {
	key, ok := r.Derive(version, sealLabel+purpose)
	if !ok {
		return nil, false
	}
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, false
	}
	aead, err := cipher.NewGCM(block)
	return aead, err == nil
}
