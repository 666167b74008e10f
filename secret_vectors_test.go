package latchward

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

// tokenVectors are the published ones, in docs/token-format.md.
type tokenVectors struct {
	ServerKeys []struct {
		Version int    `json:"version"`
		Key     string `json:"key"`
	} `json:"server_keys"`
	Checksums []struct {
		Text string `json:"text"`
		CRC  string `json:"crc"`
	} `json:"checksums"`
	Created []struct {
		Prefix      string `json:"prefix"`
		Version     int    `json:"version"`
		Random      string `json:"random"`
		Token       string `json:"token"`
		KeyID       string `json:"key_id"`
		TokenPrefix string `json:"token_prefix"`
		Tag         string `json:"tag"`
		CRC         string `json:"crc"`
		Digest      string `json:"digest"`
	} `json:"created"`
	Refused []struct {
		Token   string `json:"token"`
		Prefix  string `json:"prefix"`
		Because string `json:"because"`
		Note    string `json:"note"`
	} `json:"refused"`
}

// documentBlocks returns the fenced blocks of one kind in the document of the format.
func documentBlocks(t *testing.T, kind string) []string {
	t.Helper()
	document, err := os.ReadFile("docs/token-format.md")
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for _, match := range regexp.MustCompile("(?ms)^```"+kind+"\n(.*?)^```$").FindAllSubmatch(document, -1) {
		blocks = append(blocks, string(match[1]))
	}
	if len(blocks) == 0 {
		t.Fatalf("the document has no %s block", kind)
	}
	return blocks
}

func readVectors(t *testing.T) (vectors tokenVectors) {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(documentBlocks(t, "json")[0]))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&vectors); err != nil {
		t.Fatal(err)
	}
	v := vectors
	if len(v.ServerKeys) < 2 || len(v.Checksums) < 3 || len(v.Created) < 4 || len(v.Refused) < 10 {
		t.Fatalf("vectors are missing: %d keys, %d checksums, %d created, %d refused",
			len(v.ServerKeys), len(v.Checksums), len(v.Created), len(v.Refused))
	}
	return vectors
}

// ring returns the keys of the vectors, of which one is current.
func (v tokenVectors) ring(t *testing.T, current int) *KeyRing {
	t.Helper()
	var text bytes.Buffer
	for _, key := range v.ServerKeys {
		state := "retired"
		if key.Version == current {
			state = "current"
		}
		fmt.Fprintf(&text, "key %d 2026-11-22T14:46:07Z %s %s\n", key.Version, state, key.Key)
	}
	ring, err := ParseKeyRing(text.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// bar 2, B-01
func TestVectorsChecksum(t *testing.T) {
	for _, v := range readVectors(t).Checksums {
		if sum := string(appendBase62(nil, checksum([]byte(v.Text)), checksumLen)); sum != v.CRC {
			t.Errorf("checksum of %q is %s, want %s", v.Text, sum, v.CRC)
		}
	}
}

// B-01, B-02
func TestVectorsCreated(t *testing.T) {
	vectors := readVectors(t)
	for _, v := range vectors.Created {
		ring := vectors.ring(t, v.Version)
		random, err := hex.DecodeString(v.Random)
		if err != nil {
			t.Fatal(err)
		}
		text, made := mustSecret(t, bytes.NewReader(random), v.Prefix, ring)
		if text != v.Token || made.Digest.String() != v.Digest ||
			made.KeyID.String() != v.KeyID || made.KeyID.Version() != v.Version {
			t.Errorf("made %s %v, want %s %s %s", text, made, v.Token, v.KeyID, v.Digest)
		}
		if TokenPrefix(v.Prefix, made.KeyID) != v.TokenPrefix || !strings.HasSuffix(text, v.Tag+v.CRC) {
			t.Errorf("%s: shown as %s, ends in %s%s", text, v.TokenPrefix, v.Tag, v.CRC)
		}
		if parsed, err := ParseSecret(SecretFromText(v.Token), v.Prefix, ring); err != nil || parsed != made {
			t.Errorf("%s: %v, %v", v.Token, parsed, err)
		}
	}
}

// S3-11
func TestVectorsRefused(t *testing.T) {
	vectors := readVectors(t)
	reasons := map[string]error{"foreign": ErrForeign, "malformed": ErrMalformed, "forged": ErrForged}
	ring, met := vectors.ring(t, 1), make(map[string]bool)
	for _, v := range vectors.Refused {
		want, known := reasons[v.Because]
		if _, err := ParseSecret(SecretFromText(v.Token), v.Prefix, ring); !known || err != want {
			t.Errorf("%s (%s): %v, want %s", v.Token, v.Note, err, v.Because)
		}
		met[v.Because] = true
	}
	if len(met) != len(reasons) {
		t.Errorf("the vectors show only %v", met)
	}
}

// bar 1: scanners find every token whole, between anything that is not a letter, digit or underscore
func TestVectorsMatchPublishedExpressions(t *testing.T) {
	var expressions []*regexp.Regexp
	for _, block := range documentBlocks(t, "text") {
		if strings.HasPrefix(block, `\b`) {
			expressions = append(expressions, regexp.MustCompile(strings.TrimSpace(block)))
		}
	}
	if len(expressions) != 2 {
		t.Fatalf("%d expressions in the document, want 2", len(expressions))
	}
	for _, v := range readVectors(t).Created {
		for i, expression := range expressions {
			if i == 0 && v.Prefix != DefaultPrefix {
				continue
			}
			for _, around := range []string{"%s", `"%s",`, "Bearer %s\r\n", "?token=%s&x", "(%s)", "a %s b"} {
				if found := expression.FindString(fmt.Sprintf(around, v.Token)); found != v.Token {
					t.Errorf("%v finds %q in %s", expression, found, fmt.Sprintf(around, v.Token))
				}
			}
			if expression.MatchString(v.Token+"0") || expression.MatchString(v.Token[:len(v.Token)-1]) {
				t.Errorf("%v finds more or less than a token", expression)
			}
		}
	}
}
