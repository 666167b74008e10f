package server

import (
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"

	"github.com/latchward/latchward"
)

// What an imported digest may ask for. Two are made at a time, each once for a token.
const (
	mostBcryptCost   = 14 // 2^14 rounds take about a second
	bcryptLength     = 60 // characters of a whole digest
	mostBcryptSecret = 72 // bytes that bcrypt looks at; whatever follows would be as good as anything else

	mostArgonMemory  = 128 << 10 // KiB
	leastArgonMemory = 8
	mostArgonPasses  = 16
	mostArgonThreads = 16
	mostArgonWork    = 1 << 20 // memory in KiB times passes
	leastArgonSalt   = 8       // bytes, RFC 9106 §3.1
	leastArgonDigest = 16
	mostArgonBytes   = 64 // of salt, and of digest
)

// slowDigests compares secrets with digests that bcrypt and argon2 (RFC 9106) made elsewhere.
type slowDigests struct{}

var _ latchward.SlowDigests = slowDigests{}

// Check implements [latchward.SlowDigests].
func (slowDigests) Check(algorithm latchward.ForeignAlgorithm, digest string) error {
	if algorithm == latchward.ForeignBcrypt {
		return checkBcrypt(digest)
	}
	_, err := parseArgon(algorithm, digest)
	if err != nil {
		return latchward.Invalid("digest", "a digest by %s: %v", algorithm, err)
	}
	return nil
}

func checkBcrypt(digest string) error {
	cost, err := bcrypt.Cost([]byte(digest))
	switch {
	case err != nil || len(digest) != bcryptLength || !isBcrypt64(digest[7:]):
		return latchward.Invalid("digest", "a digest by bcrypt has %d characters and looks like $2b$12$…", bcryptLength)
	case cost > mostBcryptCost:
		return latchward.Invalid("digest", "a digest by bcrypt may cost at most %d", mostBcryptCost)
	}
	return nil
}

// isBcrypt64 reports whether text is of bcrypt's own digits.
func isBcrypt64(text string) bool {
	const digits = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	return strings.Trim(text, digits) == ""
}

// Matches implements [latchward.SlowDigests].
func (d slowDigests) Matches(
	secret latchward.Secret, algorithm latchward.ForeignAlgorithm, digest string,
) (bool, error) {
	if err := d.Check(algorithm, digest); err != nil {
		return false, err
	}
	text := []byte(secret.Expose())
	if algorithm != latchward.ForeignBcrypt {
		a, err := parseArgon(algorithm, digest)
		return err == nil && subtle.ConstantTimeCompare(a.make(text), a.digest) == 1, err
	}
	if len(text) > mostBcryptSecret {
		return false, nil
	}
	err := bcrypt.CompareHashAndPassword([]byte(digest), text)
	if errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
		return false, nil
	}
	return err == nil, err
}

// argonDigest is a digest by argon2 with all that is needed to make it again.
type argonDigest struct {
	algorithm      latchward.ForeignAlgorithm
	memory, passes uint32
	threads        uint8
	salt, digest   []byte
}

func (a *argonDigest) make(secret []byte) []byte {
	if a.algorithm == latchward.ForeignArgon2i {
		return argon2.Key(secret, a.salt, a.passes, a.memory, a.threads, uint32(len(a.digest)))
	}
	return argon2.IDKey(secret, a.salt, a.passes, a.memory, a.threads, uint32(len(a.digest)))
}

// parseArgon reads a PHC string (https://github.com/P-H-C/phc-string-format) and checks what it asks for.
func parseArgon(algorithm latchward.ForeignAlgorithm, text string) (*argonDigest, error) {
	parts := strings.Split(text, "$")
	version := fmt.Sprintf("v=%d", argon2.Version)
	if len(parts) != 6 || parts[0] != "" || parts[1] != string(algorithm) || parts[2] != version {
		return nil, fmt.Errorf("it must look like $%s$v=%d$m=65536,t=3,p=4$<salt>$<digest>", algorithm, argon2.Version)
	}
	a := &argonDigest{algorithm: algorithm}
	parameters := parts[3]
	_, err := fmt.Sscanf(parameters, "m=%d,t=%d,p=%d", &a.memory, &a.passes, &a.threads)
	if err != nil || fmt.Sprintf("m=%d,t=%d,p=%d", a.memory, a.passes, a.threads) != parameters {
		return nil, errors.New("its parameters must look like m=65536,t=3,p=4")
	}
	if a.memory < leastArgonMemory || a.memory > mostArgonMemory || a.passes < 1 || a.passes > mostArgonPasses ||
		a.threads < 1 || a.threads > mostArgonThreads || a.memory*a.passes > mostArgonWork {
		return nil, fmt.Errorf("it may ask for at most m=%d, t=%d and p=%d, and m times t of %d",
			mostArgonMemory, mostArgonPasses, mostArgonThreads, mostArgonWork)
	}
	encoding := base64.RawStdEncoding.Strict()
	var err1, err2 error
	a.salt, err1 = encoding.DecodeString(parts[4])
	a.digest, err2 = encoding.DecodeString(parts[5])
	if errors.Join(err1, err2) != nil || len(a.salt) < leastArgonSalt || len(a.digest) < leastArgonDigest ||
		max(len(a.salt), len(a.digest)) > mostArgonBytes {
		return nil, fmt.Errorf("salt and digest are base64 without padding, of at least %d and %d bytes", leastArgonSalt,
			leastArgonDigest)
	}
	return a, nil
}
