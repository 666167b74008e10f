package latchward

import (
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"iter"
	"log/slog"
	"strings"
	"unsafe"
)

// DefaultPrefix starts every secret unless the operator chose another prefix.
const DefaultPrefix = "lw_"

// Lengths of the parts of a secret behind its prefix, in characters; docs/token-format.md draws them.
const (
	keyIDLen    = 11 // version of the server key, then ten random digits
	randomLen   = 22 // the part nobody can guess
	tagLen      = 11 // 62^11 > 2^64: eight bytes fit
	checksumLen = 6  // 62^6 > 2^32: a CRC-32 fits

	payloadLen = keyIDLen + randomLen // what the tag vouches for, together with the prefix
	bodyLen    = payloadLen + tagLen + checksumLen
	prefixMax  = 14
	displayLen = 8 // of the key id, in pages and lists
)

// Why a presented secret is refused before anything is looked up. All are unauthenticated and say the same to the
// outside; which one it was is for counters and logs.
var (
	// ErrForeign says that the text does not start with our prefix: it may be an imported token or a JWT.
	ErrForeign error = refusal("it does not start with the prefix")
	// ErrMalformed says that the length, the alphabet or the checksum is wrong: mistyped, truncated or invented.
	ErrMalformed error = refusal("its shape or checksum is wrong")
	// ErrForged says that no server key of the ring made it: its key was dropped, or somebody is trying.
	ErrForged error = refusal("no server key in the ring made it")
)

func refusal(cause string) *Error {
	return &Error{Code: CodeUnauthenticated, Message: "Invalid token", Err: errors.New(cause)}
}

// Secret is the plain text of a token, as created or as presented. It prints, logs and encodes as [redacted], also
// inside other values, and refuses binary encodings; [Secret.Expose] is the only way out. The zero Secret is empty.
// Secrets cannot be compared with ==; see [Secret.Equal].
type Secret struct {
	redacted
	// A pointer, because fmt prints the string fields of any struct that holds one, whatever methods they have.
	data   *byte
	length int
}

// SecretFromText wraps text without copying it.
func SecretFromText(text string) Secret {
	return Secret{data: unsafe.StringData(text), length: len(text)}
}

// Expose returns the plain text. Show it to whoever created the token, once; hand it to nothing that stores or logs.
func (s Secret) Expose() string { return unsafe.String(s.data, s.length) }

// IsZero reports whether s is empty.
func (s Secret) IsZero() bool { return s.length == 0 }

// Equal reports whether both hold the same text, in a time that depends on the lengths only.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare(stringBytes(s.Expose()), stringBytes(other.Expose())) == 1
}

// stringBytes gives text to functions that read a byte slice, without the copy a conversion makes. The slice must
// be neither written to nor kept.
func stringBytes(text string) []byte { return unsafe.Slice(unsafe.StringData(text), len(text)) }

const redactedText = "[redacted]"

// redacted is embedded by types that must not show what they hold. Its field makes them incomparable: they hold
// pointers, so == would compare identity.
type redacted struct{ _ [0]func() }

func (redacted) String() string                    { return redactedText }
func (redacted) GoString() string                  { return redactedText }
func (redacted) Format(state fmt.State, verb rune) { _, _ = io.WriteString(state, redactedText) }
func (redacted) LogValue() slog.Value              { return slog.StringValue(redactedText) }
func (redacted) MarshalText() ([]byte, error)      { return []byte(redactedText), nil }
func (redacted) MarshalJSON() ([]byte, error)      { return []byte(`"` + redactedText + `"`), nil }

// MarshalBinary always fails: what encodes to bytes (encoding/gob among them) means to read them again.
func (redacted) MarshalBinary() ([]byte, error) {
	return nil, errors.New("latchward: a secret has no binary form; take it out with the method made for it")
}

// KeyID names one secret. It is not itself secret: the record of the secret is found by it. The first character
// is the version of the server key, a base62 digit from 1 to 61; the other ten are random (59.5 bits).
type KeyID [keyIDLen]byte

// ParseKeyID reads the eleven characters of a key id. The error is of code invalid.
func ParseKeyID(text string) (KeyID, error) {
	if len(text) != keyIDLen || !isBase62(text) || text[0] == '0' {
		return KeyID{}, Invalid("key_id", "a key id is %d characters of 0-9A-Za-z and does not start with 0", keyIDLen)
	}
	var id KeyID
	copy(id[:], text)
	return id, nil
}

// String returns the eleven characters, or "" for the zero KeyID.
func (id KeyID) String() string {
	if id.IsZero() {
		return ""
	}
	return string(id[:])
}

// Version returns the version of the server key that made the secret, 1 to 61; 0 for the zero KeyID.
func (id KeyID) Version() int {
	if id.IsZero() {
		return 0
	}
	return int(base62Value(id[0]))
}

// IsZero reports whether id names nothing.
func (id KeyID) IsZero() bool { return id == KeyID{} }

// Digest is what the database keeps of a secret: 24 bytes of its HMAC under a server key. Without that key it can
// neither be checked against a guess nor be made.
type Digest [24]byte

// ParseDigest reads the 48 hexadecimal digits of a digest. The error is of code invalid.
func ParseDigest(text string) (Digest, error) {
	var d Digest
	if len(text) != hex.EncodedLen(len(d)) {
		return Digest{}, invalidDigest()
	}
	if _, err := hex.Decode(d[:], stringBytes(text)); err != nil {
		return Digest{}, invalidDigest() // hex names the offending character; a secret may have been pasted here
	}
	return d, nil
}

func invalidDigest() error { return Invalid("digest", "a digest is 48 hexadecimal digits") }

// String returns 48 lower-case hexadecimal digits.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// Equal reports whether both are the same, in constant time.
func (d Digest) Equal(other Digest) bool {
	var differ uint64
	for i := 0; i < len(d); i += 8 { // by words: it is on every request's way, and a third of the time it takes by bytes
		differ |= binary.LittleEndian.Uint64(d[i:]) ^ binary.LittleEndian.Uint64(other[i:])
	}
	return differ == 0
}

// Credential recognises one secret without holding any of its text beyond the key id.
type Credential struct {
	KeyID  KeyID
	Digest Digest
}

// NewSecret makes a secret under the current key of the ring. The error is of code invalid for a prefix that
// [ValidatePrefix] refuses and of code unavailable when random fails, ends or repeats itself; no secret is made then.
func NewSecret(random io.Reader, prefix string, ring *KeyRing) (Secret, Credential, error) {
	if err := ValidatePrefix(prefix); err != nil {
		return Secret{}, Credential{}, err
	}
	key := ring.key(ring.Current())
	if key == nil {
		return Secret{}, Credential{}, Errorf(CodeInternal, "cannot create a secret: the key ring is empty")
	}
	text := make([]byte, 0, len(prefix)+bodyLen)
	text = append(text, prefix...)
	text = append(text, base62Digits[key.version])
	text, err := appendRandomDigits(text, random, payloadLen-1)
	if err != nil {
		return Secret{}, Credential{}, randomFailed("secret", err)
	}
	text, digest := key.seal(text)
	credential := Credential{Digest: digest}
	copy(credential.KeyID[:], text[len(prefix):])
	return SecretFromText(string(text)), credential, nil
}

// ParseSecret checks that s was made under prefix by a key of the ring, and returns what to look it up by. Whether
// it is still valid is for its record to say. It refuses with [ErrForeign], [ErrMalformed] or [ErrForged]. At most
// one HMAC is computed; nothing is allocated, locked or kept of s. The prefix must be one that [ValidatePrefix]
// accepts.
func ParseSecret(s Secret, prefix string, ring *KeyRing) (Credential, error) {
	text := s.Expose()
	if !strings.HasPrefix(text, prefix) {
		return Credential{}, ErrForeign
	}
	body := text[len(prefix):]
	if len(body) != bodyLen || len(prefix) > prefixMax || !isBase62(body) || !checksumMatches(text) {
		return Credential{}, ErrMalformed
	}
	key := ring.key(int(base62Value(body[0])))
	if key == nil {
		return Credential{}, ErrForged
	}
	tag, digest := key.authenticate(stringBytes(text[:len(prefix)+payloadLen]))
	if !tagMatches(body[payloadLen:payloadLen+tagLen], tag) {
		return Credential{}, ErrForged
	}
	return Credential{KeyID: KeyID(stringBytes(body[:keyIDLen])), Digest: digest}, nil
}

// HoldsSecret reports whether text has somewhere in it what looks whole: prefix, shape and checksum of a secret, whoever
// made it. It is for refusing and hiding secrets where they do not belong, such as in paths; nothing is allocated.
func HoldsSecret(text, prefix string) bool {
	at, _ := findSecret(text, prefix)
	return at >= 0
}

// FindSecrets yields what looks like whole secrets in text, as [HoldsSecret] does, each with the offset of its first
// byte, in order. The secrets share the memory of text, which must not change while they are in use.
func FindSecrets(text []byte, prefix string) iter.Seq2[int, Secret] {
	return func(yield func(int, Secret) bool) {
		rest, offset := unsafe.String(unsafe.SliceData(text), len(text)), 0
		for {
			at, end := findSecret(rest, prefix)
			if at < 0 || !yield(offset+at, SecretFromText(rest[at:end])) {
				return
			}
			rest, offset = rest[end:], offset+end
		}
	}
}

// SecretLength returns how many characters secrets under prefix have.
func SecretLength(prefix string) int { return len(prefix) + bodyLen }

// findSecret returns where the first thing that looks like a whole secret begins and ends; -1 for nowhere.
func findSecret(text, prefix string) (at, end int) {
	for from := 0; len(text)-from >= SecretLength(prefix); {
		i := strings.Index(text[from:len(text)-bodyLen], prefix) // a later one has no room for the rest
		if i < 0 {
			break
		}
		at, end = from+i, from+i+SecretLength(prefix)
		if whole := text[at:end]; isBase62(whole[len(prefix):]) && checksumMatches(whole) {
			return at, end
		}
		from = at + 1
	}
	return -1, -1
}

// ValidatePrefix checks that prefix is 2 to 14 characters: a lower-case letter, then a-z, 0-9 or _, and _ at the
// end, so that a secret is at most 64 characters and one word to a double click. The error is of code invalid.
func ValidatePrefix(prefix string) error {
	const allowed = "0123456789_abcdefghijklmnopqrstuvwxyz" // in the order of ASCII: letters come last
	valid := len(prefix) >= 2 && len(prefix) <= prefixMax && prefix[0] >= 'a' &&
		strings.HasSuffix(prefix, "_") && strings.Trim(prefix, allowed) == ""
	if !valid {
		return Invalid("prefix", "a prefix is 2 to 14 characters: a lower-case letter, then a-z, 0-9 or _, and _ at the end")
	}
	return nil
}

// TokenPrefix returns what pages and lists show of a secret: its prefix and the first eight characters of its key
// id, none of which is secret.
func TokenPrefix(prefix string, id KeyID) string {
	text := id.String()
	return prefix + text[:min(len(text), displayLen)]
}

// checksumMatches reports whether text ends in the checksum of what comes before.
func checksumMatches(text string) bool {
	before := len(text) - checksumLen
	return readBase62(text[before:]) == checksum(stringBytes(text[:before]))
}

// checksum returns the CRC-32 of IEEE 802.3.
func checksum(text []byte) uint64 { return uint64(crc32.ChecksumIEEE(text)) }

// tagMatches reports in constant time whether eleven digits spell tag. They can spell more than 64 bits hold, so
// they are compared in two parts: otherwise some tags had two spellings.
func tagMatches(digits string, tag uint64) bool {
	const lowLen, low = 6, 62 * 62 * 62 * 62 * 62 * 62
	highDiffers := readBase62(digits[:tagLen-lowLen]) ^ tag/low
	lowDiffers := readBase62(digits[tagLen-lowLen:]) ^ tag%low
	return highDiffers|lowDiffers == 0
}

// randomFailed says that no new thing was made because the random source failed.
func randomFailed(thing string, err error) error {
	return &Error{
		Code:    CodeUnavailable,
		Message: "The random source failed, so no " + thing + " was made; try again.",
		Err:     err,
	}
}
