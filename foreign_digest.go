package latchward

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// Foreign names a secret that was made elsewhere: by its text, or by a digest of it.
type Foreign struct {
	Value     Secret           // the text; the zero Secret = Digest says it
	Algorithm ForeignAlgorithm // "" = told by the length or the beginning of Digest
	Digest    string           // SHA in hexadecimal or base64; bcrypt and argon2 as they write it: $2b$…, $argon2id$…
	Salt      []byte           // of a salted SHA
	// LookupPrefix is what the secret begins with. All but plain SHA digests need one; for those it is shown to people and
	// nothing else.
	LookupPrefix string
}

// Labels of what is authenticated: no token starts with them, because prefixes hold no spaces.
const (
	foreignFastLabel = "imported "
	foreignSlowLabel = "imported slow "
)

// foreign is a Foreign that was checked.
type foreign struct {
	algorithm ForeignAlgorithm
	sum       []byte      // of a fast one
	tried     foreignTest // of any other
	prefix    string      // what the secret begins with; "" = not known
}

// foreignTest is what a secret is compared with that cannot be found by its digest.
type foreignTest struct {
	Algorithm ForeignAlgorithm `json:"algorithm"`
	Salt      []byte           `json:"salt,omitempty"`
	Digest    string           `json:"digest"` // in hexadecimal, or as bcrypt and argon2 write it
}

// check reads f. Nothing that it refuses is repeated in the error.
func (f *Foreign) check(slow SlowDigests) (*foreign, error) {
	if !f.Value.IsZero() {
		return f.checkValue()
	}
	digest := strings.TrimSpace(f.Digest)
	if digest == "" {
		return nil, Invalid("digest", "give the secret as token, or its digest")
	}
	algorithm, err := f.algorithm(digest)
	if err != nil {
		return nil, err
	}
	if err := f.checkLookupPrefix(algorithm); err != nil {
		return nil, err
	}
	if err := f.checkSalt(algorithm); err != nil {
		return nil, err
	}
	c := &foreign{algorithm: algorithm, prefix: f.LookupPrefix}
	if algorithm.slow() {
		c.tried = foreignTest{Algorithm: algorithm, Digest: digest}
		return c, checkSlow(slow, algorithm, digest)
	}
	if c.sum, err = parseSum(algorithm, digest); err == nil && !algorithm.fast() {
		c.tried = foreignTest{Algorithm: algorithm, Salt: f.Salt, Digest: hex.EncodeToString(c.sum)}
	}
	return c, err
}

func checkSlow(slow SlowDigests, algorithm ForeignAlgorithm, digest string) error {
	switch {
	case slow == nil:
		return Invalid("algorithm", "this program was built without %s", algorithm)
	case len(digest) > maxSlowDigest:
		return Invalid("digest", "is longer than any digest by %s", algorithm)
	}
	return slow.Check(algorithm, digest)
}

func (f *Foreign) checkValue() (*foreign, error) {
	text := f.Value.Expose()
	switch {
	case f.Digest != "" || f.Algorithm != "" || len(f.Salt) > 0:
		return nil, Invalid("token", "give either the secret or its digest")
	case !foreignShape(text):
		return nil, Invalid("token", "a secret has %d to %d characters of those that fit an Authorization header: letters, "+
			"digits and -._~+/, with = at its end", MinForeignLength, MaxForeignLength)
	case strings.Count(text, ".") == 2 && !strings.Contains(text, "..") && strings.Trim(text, ".") == text:
		return nil, Invalid("token", "has the form of a JWT, which is never looked up")
	case easyToGuess(text):
		return nil, Invalid("token", "is too easy to guess: it repeats too few different characters")
	case !strings.HasPrefix(text, f.LookupPrefix):
		return nil, Invalid("lookup_prefix", "is not what the secret begins with")
	}
	if err := f.checkLookupPrefix(ForeignSHA256); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(stringBytes(text))
	return &foreign{algorithm: ForeignSHA256, sum: sum[:], prefix: f.LookupPrefix}, nil
}

// easyToGuess reports whether text is of too few different characters to be random.
func easyToGuess(text string) bool {
	var seen [256]bool
	different := 0
	for i := range len(text) {
		if !seen[text[i]] {
			seen[text[i]] = true
			different++
		}
	}
	return different < 6
}

// foreignShape reports whether text can be a foreign secret: of fitting length and of the form token68 (RFC 9110
// §11.2).
func foreignShape(text string) bool {
	if len(text) < MinForeignLength || len(text) > MaxForeignLength {
		return false
	}
	body := strings.TrimRight(text, "=")
	for i := range len(body) {
		if c := body[i]; !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9') &&
			strings.IndexByte("-._~+/", c) < 0 {
			return false
		}
	}
	return body != ""
}

// algorithm returns the one that is named, or the one that the digest shows.
func (f *Foreign) algorithm(digest string) (ForeignAlgorithm, error) {
	shown := map[string]ForeignAlgorithm{"2a": ForeignBcrypt, "2b": ForeignBcrypt, "2y": ForeignBcrypt,
		"argon2i": ForeignArgon2i, "argon2id": ForeignArgon2id}
	if kind, _, ok := strings.Cut(strings.TrimPrefix(digest, "$"), "$"); ok && digest[0] == '$' {
		algorithm := shown[kind]
		if algorithm == "" || f.Algorithm != "" && f.Algorithm != algorithm {
			return "", Invalid("algorithm", "the digest is not of that algorithm, or of one that is not known here")
		}
		return algorithm, nil
	}
	if f.Algorithm != "" {
		for _, known := range ForeignAlgorithms() {
			if f.Algorithm == known {
				return known, nil
			}
		}
		return "", Invalid("algorithm", "must be one of %v", ForeignAlgorithms())
	}
	switch len(strings.TrimRight(digest, "=")) {
	case hex.EncodedLen(sha256.Size), base64.RawStdEncoding.EncodedLen(sha256.Size):
		return ForeignSHA256, nil
	case hex.EncodedLen(sha512.Size), base64.RawStdEncoding.EncodedLen(sha512.Size):
		return ForeignSHA512, nil
	}
	return "", Invalid("digest", "is not a whole digest by SHA-256, SHA-512, bcrypt or argon2")
}

func (f *Foreign) checkLookupPrefix(algorithm ForeignAlgorithm) error {
	prefix := f.LookupPrefix
	if prefix == "" && algorithm.fast() {
		return nil
	}
	if len(prefix) < MinLookupPrefixLength || len(prefix) > MaxLookupPrefixLength ||
		!foreignShape(prefix+"0123456789abcdef") {
		return Invalid("lookup_prefix", "a secret by %s needs the %d to %d characters that it begins with", algorithm,
			MinLookupPrefixLength, MaxLookupPrefixLength)
	}
	return nil
}

func (f *Foreign) checkSalt(algorithm ForeignAlgorithm) error {
	salted := !algorithm.fast() && !algorithm.slow()
	switch {
	case salted && len(f.Salt) == 0:
		return Invalid("salt", "a digest by %s needs its salt", algorithm)
	case !salted && len(f.Salt) > 0:
		return Invalid("salt", "a digest by %s has no salt beside it", algorithm)
	case len(f.Salt) > MaxForeignSalt:
		return Invalid("salt", "must have at most %d bytes", MaxForeignSalt)
	}
	return nil
}

// parseSum reads a digest in hexadecimal or in base64, of either alphabet and with or without padding.
func parseSum(algorithm ForeignAlgorithm, text string) ([]byte, error) {
	size := sha256.Size
	if strings.HasPrefix(string(algorithm), string(ForeignSHA512)) {
		size = sha512.Size
	}
	if len(text) == hex.EncodedLen(size) {
		if sum, err := hex.DecodeString(text); err == nil {
			return sum, nil
		}
	}
	plain := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
	sum, err := base64.RawStdEncoding.Strict().DecodeString(plain)
	if err != nil || len(sum) != size || strings.ContainsAny(text, "\r\n") {
		return nil, Invalid("digest", "a digest by %s is %d hexadecimal digits, or %d bytes in base64", algorithm,
			hex.EncodedLen(size), size)
	}
	return sum, nil
}

// credential returns by what the secret is found: a fast one by its keyed digest, any other by a key id made of all
// that is known about it.
func (f *foreign) credential(key *serverKey) Credential {
	if f.algorithm.fast() {
		return key.foreign(f.algorithm, f.sum)
	}
	t := &f.tried
	return key.recognise(joined(foreignSlowLabel, string(t.Algorithm), f.prefix, string(t.Salt), t.Digest))
}

// foreign returns the credential of a secret whose digest by a fast algorithm is sum: HMAC(server key, algorithm +
// digest), so that the digest itself is kept nowhere.
func (k *serverKey) foreign(algorithm ForeignAlgorithm, sum []byte) Credential {
	text := make([]byte, 0, len(foreignFastLabel)+len(algorithm)+1+sha512.Size)
	text = append(append(append(text, foreignFastLabel...), algorithm...), ' ')
	return k.recognise(append(text, sum...))
}

// recognise makes a credential of the HMAC of a text: the first eight bytes make the key id, the other 24 the digest.
func (k *serverKey) recognise(text []byte) Credential {
	var tag uint64
	var c Credential
	if len(text) <= macTextMax {
		tag, c.Digest = k.authenticate(text)
	} else {
		sum := k.mac(string(text))
		tag, c.Digest = binary.BigEndian.Uint64(sum[:8]), Digest(sum[8:])
	}
	const modulus = 839299365868340224 // 62^10: what the ten digits hold
	digits := append(c.KeyID[:0], base62Digits[k.version])
	appendBase62(digits, tag%modulus, keyIDLen-1)
	return c
}

// foreignPurpose is what secrets that were made elsewhere are sealed for.
const foreignPurpose = "imported secrets"

// boundTo names the row to which what is sealed belongs.
func (s *ForeignSecret) boundTo() string {
	return string(joined("", fmt.Sprint(int64(s.TokenID)), s.KeyID.String(), s.LookupPrefix))
}

// seal fills in what s is compared with.
func (t *foreignTest) seal(random io.Reader, keys *KeyRing, s *ForeignSecret) error {
	text, err := json.Marshal(t)
	if err == nil {
		s.Sealed, err = keys.Seal(random, foreignPurpose, s.boundTo(), string(text))
	}
	return err
}

// unseal returns what s is compared with; false when nobody who has the server key wrote it.
func (s *ForeignSecret) unseal(keys *KeyRing) (t foreignTest, ok bool) {
	text, _, err := keys.Unseal(foreignPurpose, s.boundTo(), s.Sealed)
	if err == nil {
		err = json.Unmarshal([]byte(text), &t)
	}
	return t, err == nil
}

// joined returns the parts, each with its length before it, so that no two lists give the same text.
func joined(label string, parts ...string) []byte {
	text := []byte(label)
	for _, part := range parts {
		text = fmt.Appendf(text, "%d:%s", len(part), part)
	}
	return text
}

// matches reports whether t is a digest of the secret.
func (t *foreignTest) matches(secret Secret, slow SlowDigests) (bool, error) {
	if t.Algorithm.slow() {
		if slow == nil {
			return false, nil
		}
		return slow.Matches(secret, t.Algorithm, t.Digest)
	}
	want, err := hex.DecodeString(t.Digest)
	if err != nil {
		return false, nil
	}
	hash := sha256.New()
	if strings.HasPrefix(string(t.Algorithm), string(ForeignSHA512)) {
		hash = sha512.New()
	}
	text := stringBytes(secret.Expose())
	if strings.HasSuffix(string(t.Algorithm), "salt-token") {
		hash.Write(t.Salt)
		hash.Write(text)
	} else {
		hash.Write(text)
		hash.Write(t.Salt)
	}
	return hmac.Equal(hash.Sum(nil), want), nil
}
