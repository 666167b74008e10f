package jwt_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/internal/jwt"
	"github.com/latchward/latchward/latchtest"
)

func newKey(t testing.TB) (latchward.SigningSecret, jwt.Find) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(latchtest.Seeded(1))
	if err != nil {
		t.Fatal(err)
	}
	id := latchward.SigningKeyID(public)
	find := func(kid string) ed25519.PublicKey {
		if kid == id {
			return public
		}
		return nil
	}
	return latchward.SigningSecret{ID: id, Key: func() ed25519.PrivateKey { return private }}, find
}

const issuer = "https://tokens.example.com"

func list(bits []byte) *latchward.StatusList {
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	return &latchward.StatusList{Issuer: issuer, ID: 7, IssuedAt: at, ExpiresAt: at.Add(time.Minute), TTL: 30 * time.Second, Bits: bits}
}

// draft-ietf-oauth-status-list-21 section 4.2: the example with one bit, as another implementation compressed it.
func TestStatusListIsReadAsInTheExample(t *testing.T) {
	key, find := newKey(t)
	uri := jwt.StatusListURI(issuer, 7)
	encode := base64.RawURLEncoding.EncodeToString
	input := encode([]byte(`{"alg":"EdDSA","kid":"`+key.ID+`","typ":"statuslist+jwt"}`)) + "." +
		encode([]byte(`{"iss":"`+issuer+`","sub":"`+uri+`","iat":1,"exp":2,"ttl":3,"status_list":{"bits":1,"lst":"eNrbuRgAAhcBXQ"}}`))
	read, err := jwt.ReadStatusList(input+"."+encode(ed25519.Sign(key.Key(), []byte(input))), issuer, uri, find)
	if err != nil || string(read.Bits) != "\xb9\xa3" {
		t.Fatalf("%+v, %v", read, err)
	}
	for index, want := range []byte{1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1} { // section 4.1
		if got := read.Bits[index/8] >> (index % 8) & 1; got != want {
			t.Errorf("status %d is %d", index, got)
		}
	}
}

func TestReadStatusList(t *testing.T) {
	key, find := newKey(t)
	uri := jwt.StatusListURI(issuer, 7)
	signed, err := jwt.SignStatusList(key, list([]byte{1, 0, 128}))
	if err != nil {
		t.Fatal(err)
	}
	read, err := jwt.ReadStatusList(signed, issuer, uri, find)
	if err != nil || string(read.Bits) != "\x01\x00\x80" || read.ID != 7 || read.TTL != 30*time.Second {
		t.Errorf("%+v, %v", read, err)
	}
	bomb, err := jwt.SignStatusList(key, list(make([]byte, 100<<20)))
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string][3]string{
		"that unpacks to 100 MiB": {bomb, issuer, uri},
		"of another issuer":       {signed, "https://evil.example", uri},
		"at another place":        {signed, issuer, jwt.StatusListURI(issuer, 8)},
		"cut short":               {signed[:len(signed)-1], issuer, uri},
	} {
		if _, err := jwt.ReadStatusList(c[0], c[1], c[2], find); latchward.ErrorCode(err) != latchward.CodeUnauthenticated {
			t.Errorf("a list %s: %v", what, err)
		}
	}
}

func TestKeysAreReadAsWritten(t *testing.T) {
	key, find := newKey(t)
	public := find(key.ID)
	text, err := jwt.WriteKeys([]latchward.PublicKey{{ID: key.ID, Key: public}})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := jwt.ReadKeys(text)
	if err != nil || len(keys) != 1 || !keys[key.ID].Equal(public) {
		t.Errorf("%v, %v", keys, err)
	}
	renamed := strings.Replace(string(text), key.ID, "mine", 1)
	if keys, err := jwt.ReadKeys([]byte(renamed)); err != nil || len(keys) != 0 {
		t.Errorf("a key under another id: %v, %v", keys, err)
	}
	if _, err := jwt.ReadKeys([]byte("nonsense")); err == nil {
		t.Error("nonsense was read")
	}
}

func FuzzReadDerived(f *testing.F) {
	key, find := newKey(f)
	good, err := jwt.SignDerived(key, &latchward.DerivedClaims{
		Issuer: issuer, ID: "id", Subject: latchward.Subject{Type: latchward.SubjectUser, ID: 1}, Token: 1,
		KeyID: latchward.KeyID([]byte("1abcdefghij")), Owner: latchward.Owner{Type: latchward.OwnerUser, ID: 1},
		Audience: []string{issuer}, IssuedAt: time.Unix(1, 0), ExpiresAt: time.Unix(2, 0), Status: latchward.StatusEntry{List: 1},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	for _, text := range []string{"", "..", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", good + ".", strings.Replace(good, ".", "\n.", 1)} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := jwt.ReadDerived(latchward.SecretFromText(text), find)
		if err == nil && c.ID != "id" {
			t.Errorf("%q was believed", text)
		}
		if err != nil && latchward.ErrorCode(err) != latchward.CodeUnauthenticated {
			t.Errorf("%q: %v", text, err)
		}
	})
}
