package latchward

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"
)

// maxKeyVersion is the highest version that one base62 digit names; 0 is left out, so that zero means none.
const maxKeyVersion = 61

// serverKeyLen is the length of a server key in bytes: that of the hash's output, as RFC 2104 section 3 advises.
const serverKeyLen = 32

// What is authenticated besides tokens starts with words that no token starts with: prefixes hold no spaces.
const (
	fingerprintLabel = "server key fingerprint"
	derivedLabel     = "server key derived for "
)

// KeyRing holds the server keys by version, one of them current: new secrets are made under it, and those made
// under the others, the retired ones, still verify. It never changes; [KeyRing.Rotate] and [KeyRing.Drop] return
// another. All methods may be called concurrently. It prints, logs and encodes as [redacted]; [KeyRing.Marshal]
// is the only way out. The zero KeyRing is empty: it can neither make nor verify anything.
type KeyRing struct {
	redacted
	current int // 1 to 61; 0 when empty
	keys    [maxKeyVersion + 1]*serverKey
}

// KeyVersion describes a server key without giving it away.
type KeyVersion struct {
	Version   int // 1 to 61
	CreatedAt time.Time
	Current   bool
	// Fingerprint is 16 hexadecimal digits computed from the key: kept in the database, it tells a wrong key from
	// the right one before any token is refused. It says nothing about the key to those who do not have it.
	Fingerprint string
}

// GenerateKeyRing returns a ring of one new key, version 1. The error is of code unavailable when random fails.
func GenerateKeyRing(random io.Reader, now time.Time) (*KeyRing, error) {
	return (&KeyRing{}).Rotate(random, now)
}

// Rotate returns the ring with one more key, which is the current one; the others are retired. Versions count up
// and start again at the lowest free one after 61. The error is of code unavailable when random fails, and of code
// conflict when all 61 versions are in use.
func (r *KeyRing) Rotate(random io.Reader, now time.Time) (*KeyRing, error) {
	version := r.freeVersion()
	if version == 0 {
		return nil, Errorf(CodeConflict, "all %d key versions are in use; drop one that no token needs", maxKeyVersion)
	}
	var secret [serverKeyLen]byte
	if _, err := io.ReadFull(random, secret[:]); err != nil {
		return nil, randomFailed("server key", err)
	}
	key, err := newServerKey(version, now.UTC().Truncate(time.Second), secret[:])
	if err != nil {
		return nil, randomFailed("server key", err)
	}
	next := &KeyRing{current: version, keys: r.keys}
	next.keys[version] = key
	return next, nil
}

// freeVersion returns the first version after the current one that is not in use, or 0. A number dropped just now
// is thereby the last to be taken again.
func (r *KeyRing) freeVersion() int {
	for i := range maxKeyVersion {
		if version := (r.current+i)%maxKeyVersion + 1; r.keys[version] == nil {
			return version
		}
	}
	return 0
}

// Drop returns the ring without one retired key: whatever was made under it is refused from then on. The error is
// of code not_found when the ring has no such version and of code conflict when it is the current one.
func (r *KeyRing) Drop(version int) (*KeyRing, error) {
	if r.key(version) == nil {
		return nil, Errorf(CodeNotFound, "the key ring has no version %d", version)
	}
	if version == r.current {
		return nil, Errorf(CodeConflict, "version %d is the current server key; rotate before dropping it", version)
	}
	next := &KeyRing{current: r.current, keys: r.keys}
	next.keys[version] = nil
	return next, nil
}

// Versions lists the keys, lowest version first.
func (r *KeyRing) Versions() []KeyVersion {
	var list []KeyVersion
	for _, key := range r.keys {
		if key != nil {
			list = append(list, KeyVersion{
				Version: key.version, CreatedAt: key.createdAt,
				Current: key.version == r.current, Fingerprint: key.fingerprint,
			})
		}
	}
	return list
}

// Current returns the version that new secrets are made under, or 0 when the ring is empty.
func (r *KeyRing) Current() int { return r.current }

// Derive returns a key for another purpose of this program, made from one version of the server key; ok is false
// when the ring has no such version. Keep the version beside whatever is stored under the derived key. Purposes are
// fixed texts in code; each has its own key.
func (r *KeyRing) Derive(version int, purpose string) (derived [32]byte, ok bool) {
	key := r.key(version)
	if key == nil {
		return derived, false
	}
	return key.mac(derivedLabel + purpose), true
}

// key returns the key of a version, or nil.
func (r *KeyRing) key(version int) *serverKey {
	if version < 0 || version > maxKeyVersion {
		return nil
	}
	return r.keys[version]
}

// keyRingHeader explains the file to whoever finds it.
const keyRingHeader = `# Server keys of Latchward. Keep this secret, and apart from the database and its backups:
# without it no token can be verified; with it, whoever may write to the database can make tokens.
# key <version 1-61> <created, RFC 3339> <current or retired> <32 bytes in hexadecimal>
`

// Marshal returns the keys in the clear, as text that [ParseKeyRing] reads: one line for each key, lowest version
// first, below comments that say what it is.
func (r *KeyRing) Marshal() []byte {
	text := bytes.NewBufferString(keyRingHeader)
	for _, key := range r.keys {
		if key == nil {
			continue
		}
		state := "retired"
		if key.version == r.current {
			state = "current"
		}
		created := key.createdAt.Format(time.RFC3339Nano)
		fmt.Fprintf(text, "key %d %s %s %x\n", key.version, created, state, key.bytes())
	}
	return text.Bytes()
}

// ParseKeyRing reads what [KeyRing.Marshal] wrote, line by line; empty lines and lines that start with # are passed
// over. Anything else that is not exactly a key, a version or a key that comes twice, and none or more than one
// current key are refused. The error is of code invalid; it names the line and repeats nothing of it.
func ParseKeyRing(text []byte) (*KeyRing, error) {
	ring := &KeyRing{}
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if err := ring.addLine(fields); err != nil {
			return nil, Invalid("key_ring", "line %d of the key ring: %v", number, err)
		}
	}
	if ring.current == 0 {
		return nil, Invalid("key_ring", "the key ring has no current key")
	}
	return ring, nil
}

// addLine adds the key that one line describes.
func (r *KeyRing) addLine(fields []string) error {
	if len(fields) != 5 || fields[0] != "key" {
		return errors.New("it is not: key <version> <created> <current or retired> <hexadecimal>")
	}
	version, err := strconv.Atoi(fields[1])
	if err != nil || strconv.Itoa(version) != fields[1] || version < 1 || version > maxKeyVersion {
		return fmt.Errorf("the version is not a number from 1 to %d", maxKeyVersion)
	}
	created, err := time.Parse(time.RFC3339, fields[2])
	created = created.UTC() // which may be in another year, of more than four digits
	if err != nil || created.Year() < 1 || created.Year() > 9999 {
		return errors.New("the time of creation is not like 2006-01-02T15:04:05Z")
	}
	secret, err := hex.DecodeString(fields[4])
	if err != nil || len(secret) != serverKeyLen {
		return fmt.Errorf("the key is not %d hexadecimal digits", hex.EncodedLen(serverKeyLen))
	}
	key, err := newServerKey(version, created, secret)
	if err != nil {
		return fmt.Errorf("the key cannot be used: %w", err)
	}
	return r.add(key, fields[3])
}

// add puts key in its place.
func (r *KeyRing) add(key *serverKey, state string) error {
	for _, other := range r.keys {
		switch {
		case other == nil:
		case other.version == key.version:
			return errors.New("this version stands in an earlier line")
		case other.fingerprint == key.fingerprint:
			return errors.New("this key stands in an earlier line under another version")
		}
	}
	switch {
	case state == "current" && r.current != 0:
		return errors.New("an earlier line has the current key")
	case state == "current":
		r.current = key.version
	case state != "retired":
		return errors.New("the state is neither current nor retired")
	}
	r.keys[key.version] = key
	return nil
}

// serverKey is one key and what is computed from it. It never changes, but for the pool.
type serverKey struct {
	version     int
	createdAt   time.Time // UTC
	secret      Secret    // 32 bytes, not text; fmt follows pointers to structs, so an array would show
	fingerprint string
	// states has one state for each processor, so that callers share neither a lock nor a cache line.
	states sync.Pool // of *macState
}

// newServerKey returns the key; it refuses one that is no more than a byte repeated.
func newServerKey(version int, createdAt time.Time, secret []byte) (*serverKey, error) {
	if err := notConstant(secret); err != nil {
		return nil, err
	}
	key := &serverKey{version: version, createdAt: createdAt, secret: SecretFromText(string(secret))}
	key.states.New = func() any { return newMACState(key.bytes()) }
	sum := key.mac(fingerprintLabel)
	if string(newMACState(key.bytes()).sum([]byte(fingerprintLabel))) != string(sum[:]) {
		return nil, errors.New("this build of crypto/sha256 saves its state in an unknown form")
	}
	key.fingerprint = hex.EncodeToString(sum[:8])
	return key, nil
}

// bytes returns the key itself, to be neither written to nor kept.
func (k *serverKey) bytes() []byte { return stringBytes(k.secret.Expose()) }

// mac returns the HMAC-SHA-256 (RFC 2104) of a text of any length.
func (k *serverKey) mac(text string) (sum [sha256.Size]byte) {
	mac := hmac.New(sha256.New, k.bytes())
	mac.Write([]byte(text))
	mac.Sum(sum[:0])
	return sum
}

// authenticate splits the HMAC of a token's prefix and payload: the first eight bytes go into the token as its tag,
// the other 24 into the database. Parts of one HMAC say nothing about each other without the key.
func (k *serverKey) authenticate(text []byte) (tag uint64, digest Digest) {
	state := k.states.Get().(*macState)
	sum := state.sum(text)
	tag, digest = binary.BigEndian.Uint64(sum), Digest(sum[8:])
	k.states.Put(state)
	return tag, digest
}

// seal completes a token's prefix and payload with tag and checksum.
func (k *serverKey) seal(text []byte) ([]byte, Digest) {
	tag, digest := k.authenticate(text)
	text = appendBase62(text, tag, tagLen)
	return appendBase62(text, checksum(text), checksumLen), digest
}
