package server

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"

	"github.com/latchward/latchward"
)

const oldSecret = "acme-5Hk2mQ8ZtR4w"

func bcryptOf(t *testing.T, text string) string {
	t.Helper()
	digest, err := bcrypt.GenerateFromPassword([]byte(text), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(digest)
}

func argonOf(kind string, digest []byte, parameters string) string {
	encode := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$%s$v=19$%s$%s$%s", kind, parameters, encode([]byte("saltsalt")), encode(digest))
}

// B-03: secrets are compared with digests by the algorithms that made them elsewhere.
func TestSlowDigestsMatch(t *testing.T) {
	b := bcryptOf(t, oldSecret)
	for digest, algorithm := range map[string]latchward.ForeignAlgorithm{
		b: latchward.ForeignBcrypt, "$2y$" + b[4:]: latchward.ForeignBcrypt, "$2b$" + b[4:]: latchward.ForeignBcrypt,
		argonOf("argon2id", argon2.IDKey([]byte(oldSecret), []byte("saltsalt"), 2, 64, 3, 32), "m=64,t=2,p=3"): latchward.ForeignArgon2id,
		argonOf("argon2i", argon2.Key([]byte(oldSecret), []byte("saltsalt"), 1, 64, 1, 20), "m=64,t=1,p=1"):    latchward.ForeignArgon2i,
	} {
		if err := (slowDigests{}).Check(algorithm, digest); err != nil {
			t.Errorf("%s: %v", digest, err)
		}
		for text, want := range map[string]bool{
			oldSecret: true, oldSecret + "x": false, oldSecret[1:]: false, strings.ToUpper(oldSecret): false, "": false,
		} {
			got, err := slowDigests{}.Matches(latchward.SecretFromText(text), algorithm, digest)
			if got != want || err != nil {
				t.Errorf("%s, %q: %v, %v", digest, text, got, err)
			}
		}
	}
}

// bcrypt does not look beyond 72 bytes: whoever has those must not get in with anything behind them.
func TestBcryptTakesNoLongSecrets(t *testing.T) {
	text := strings.Repeat("0123456789abcdef", 5)
	digest := bcryptOf(t, text[:72])
	for length, want := range map[int]bool{72: true, 73: false, 80: false} {
		got, err := slowDigests{}.Matches(latchward.SecretFromText(text[:length]), latchward.ForeignBcrypt, digest)
		if got != want || err != nil {
			t.Errorf("%d bytes: %v, %v", length, got, err)
		}
	}
}

// A digest that is not whole, or asks for more than anybody may, is refused when it is imported.
func TestSlowDigestsAreChecked(t *testing.T) {
	b := bcryptOf(t, oldSecret)
	salt, sum := base64.RawStdEncoding.EncodeToString([]byte("saltsalt")), base64.RawStdEncoding.EncodeToString(make([]byte, 32))
	argon := func(parameters string) string { return "$argon2id$v=19$" + parameters + "$" + salt + "$" + sum }
	for digest, algorithm := range map[string]latchward.ForeignAlgorithm{
		b[:59]: latchward.ForeignBcrypt, b + "x": latchward.ForeignBcrypt, b[:30] + "!" + b[31:]: latchward.ForeignBcrypt,
		"$2b$15" + b[6:]: latchward.ForeignBcrypt, "$2b$31" + b[6:]: latchward.ForeignBcrypt, "$2b$03" + b[6:]: latchward.ForeignBcrypt,
		"$2b$-1" + b[6:]: latchward.ForeignBcrypt, "$1$" + b[4:]: latchward.ForeignBcrypt, "": latchward.ForeignBcrypt,
		argon("m=131073,t=1,p=1"): latchward.ForeignArgon2id, argon("m=4294967295,t=1,p=1"): latchward.ForeignArgon2id,
		argon("m=131072,t=9,p=1"): latchward.ForeignArgon2id, argon("m=64,t=17,p=1"): latchward.ForeignArgon2id,
		argon("m=64,t=1,p=17"): latchward.ForeignArgon2id, argon("m=64,t=1,p=0"): latchward.ForeignArgon2id,
		argon("m=64,t=0,p=1"): latchward.ForeignArgon2id, argon("m=4,t=1,p=1"): latchward.ForeignArgon2id,
		argon("m=64,t=1"): latchward.ForeignArgon2id, argon("m=64,t=1,p=1,k=2"): latchward.ForeignArgon2id,
		argon("m=064,t=1,p=1"): latchward.ForeignArgon2id, argon("m=99999999999,t=1,p=1"): latchward.ForeignArgon2id,
		argon("m=64,t=1,p=1"):                                                 latchward.ForeignArgon2i,
		"$argon2id$v=16$m=64,t=1,p=1$" + salt + "$" + sum:                     latchward.ForeignArgon2id,
		"$argon2id$v=19$m=64,t=1,p=1$" + salt:                                 latchward.ForeignArgon2id,
		"$argon2id$v=19$m=64,t=1,p=1$" + salt + "$" + sum[:20]:                latchward.ForeignArgon2id,
		"$argon2id$v=19$m=64,t=1,p=1$c2Fs$" + sum:                             latchward.ForeignArgon2id,
		"$argon2id$v=19$m=64,t=1,p=1$" + salt + "$" + strings.Repeat("A", 88): latchward.ForeignArgon2id,
	} {
		err := slowDigests{}.Check(algorithm, digest)
		if latchward.ErrorCode(err) != latchward.CodeInvalid || latchward.ErrorField(err) != "digest" {
			t.Errorf("%q: %v", digest, err)
		}
		if ok, _ := (slowDigests{}).Matches(latchward.SecretFromText(oldSecret), algorithm, digest); ok {
			t.Errorf("%q matches", digest)
		}
	}
	if err := (slowDigests{}).Check(latchward.ForeignArgon2id, argon("m=131072,t=8,p=16")); err != nil {
		t.Errorf("the most that may be asked for: %v", err)
	}
}

func FuzzSlowDigests(f *testing.F) {
	f.Add("$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$USA+zLvYA9ngjs2b1nCZuQt2xhIjWyE5sn0yh+0Ev1U")
	f.Add("$2a$04$weFlwdvHxIwFsVa.T/cnVu8lZXVJB3Z5EHJPpg34Us7qwQoP8t3zu")
	f.Fuzz(func(t *testing.T, digest string) {
		for _, algorithm := range latchward.ForeignAlgorithms()[6:] {
			err := slowDigests{}.Check(algorithm, digest)
			if err != nil && latchward.ErrorCode(err) != latchward.CodeInvalid {
				t.Errorf("%q: %v", digest, err)
			}
			if a, parsed := parseArgon(algorithm, digest); err == nil && parsed == nil && a.memory*a.passes > mostArgonWork {
				t.Errorf("%q asks for %d KiB, %d times", digest, a.memory, a.passes)
			}
		}
	})
}
