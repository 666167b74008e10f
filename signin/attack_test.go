package signin_test

import (
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/signin"
)

// bar 106, X-08: every attack is answered alike, tells nothing, and gets to nobody
func TestBadJWTs(t *testing.T) {
	other := []byte("ffffffffffffffffffffffffffffffff")
	good := signHS256(secret, plainHeader, claimsWith())
	header, rest, _ := strings.Cut(good, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	publicKey, err := x509.MarshalPKIXPublicKey(&rsaKey().PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	signed := func(header string) string { return signHS256(secret, header, claimsWith()) }
	claiming := func(edits ...string) string { return signHS256(secret, plainHeader, claimsWith(edits...)) }
	attacks := map[string]string{
		"empty":                "",
		"no JWT":               "lw_abc",
		"two parts":            header + "." + payload,
		"four parts":           good + ".x",
		"encrypted":            "a.b.c.d.e",
		"detached":             header + ".." + signature,
		"no signature":         header + "." + payload + ".",
		"cut signature":        good[:len(good)-4],
		"signature of another": header + "." + encode(claimsWith("sub", `"root"`)) + "." + signature,
		"line ends":            header + "." + payload[:9] + "\r\n" + payload[9:] + "." + signature,
		"padding":              header + "=." + payload + "." + signature,
		"whitespace":           header + "\n." + payload + "." + signature,
		"JSON serialization":   `{"payload":"` + payload + `","protected":"` + header + `","signature":"` + signature + `"}`,
		"other secret":         signHS256(other, plainHeader, claimsWith()),
		"9 KiB":                claiming("x", `"`+strings.Repeat("x", 7000)+`"`),

		"alg none":           encode(`{"alg":"none"}`) + "." + payload + ".x",
		"alg None":           encode(`{"alg":"None"}`) + "." + payload + "." + signature,
		"alg NONE signed":    signed(`{"alg":"NONE"}`),
		"alg HS384":          signed(`{"alg":"HS384"}`),
		"alg hs256":          signed(`{"alg":"hs256"}`),
		"alg missing":        signed(`{"typ":"JWT"}`),
		"alg a number":       signed(`{"alg":256}`),
		"alg a list":         signed(`{"alg":["HS256"]}`),
		"alg RS256":          signRS256(t, rsaKey(), `{"alg":"RS256"}`, claimsWith()),
		"alg twice":          signed(`{"alg":"none","alg":"HS256"}`),
		"alg twice, escaped": signed(`{"alg":"HS256","\u0061lg":"none"}`),
		"kid twice":          signed(`{"alg":"HS256","kid":"a","kid":"b"}`),
		"header no object":   signed(`["HS256"]`),
		"header no JSON":     signed(`alg=HS256`),
		"header and more":    signed(`{"alg":"HS256"}{"alg":"HS256"}`),
		"crit":               signed(`{"alg":"HS256","crit":["exp"],"exp":1}`),
		"crit empty":         signed(`{"alg":"HS256","crit":[]}`),
		"crit b64":           signed(`{"alg":"HS256","crit":["b64"],"b64":false}`),
		"b64":                signed(`{"alg":"HS256","b64":false}`),
		"zip":                signed(`{"alg":"HS256","enc":"A128GCM","zip":"DEF","typ":"JWE"}`),
		"typ derived token":  signed(`{"alg":"HS256","typ":"at+jwt"}`),
		"typ assertion":      signed(`{"alg":"HS256","typ":"latchward-assertion+jwt"}`),
		"typ in full":        signed(`{"alg":"HS256","typ":"application/at+jwt"}`),
		"typ ID token":       signed(`{"alg":"HS256","typ":"id_token+jwt"}`),
		"typ logout":         signed(`{"alg":"HS256","typ":"logout+jwt"}`),
		"typ a number":       signed(`{"alg":"HS256","typ":1}`),
		"typ empty":          signed(`{"alg":"HS256","typ":""}`),
		"public key as secret": signHS256(
			pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: publicKey}), plainHeader, claimsWith()),

		"iss missing":      claiming("iss", ""),
		"iss other":        claiming("iss", `"Latchward"`),
		"iss prefix":       claiming("iss", `"latchward "`),
		"iss list":         claiming("iss", `["latchward"]`),
		"iss object":       claiming("iss", `{"a":1}`),
		"aud missing":      claiming("aud", ""),
		"aud other":        claiming("aud", `"other"`),
		"aud prefix":       claiming("aud", `"latchward/api"`),
		"aud shorter":      claiming("aud", `"latch"`),
		"aud spaced":       claiming("aud", `"latchward other"`),
		"aud list without": claiming("aud", `["other"]`),
		"aud empty list":   claiming("aud", `[]`),
		"aud odd list":     claiming("aud", `["latchward",1]`),
		"aud object":       claiming("aud", `{"latchward":1}`),
		"aud null":         claiming("aud", `null`),
		"sub missing":      claiming("sub", ""),
		"sub empty":        claiming("sub", `""`),
		"sub a number":     claiming("sub", `7`),
		"sub null":         claiming("sub", `null`),

		"exp missing":      claiming("exp", ""),
		"exp past":         claiming("exp", at(-time.Minute)),
		"exp text":         claiming("exp", `"`+at(time.Hour)+`"`),
		"exp huge":         claiming("exp", `1e400`),
		"exp large":        claiming("exp", `1e300`),
		"exp year 10000":   claiming("exp", `253402300800`),
		"exp negative":     claiming("exp", `-1`),
		"exp null":         claiming("exp", `null`),
		"exp true":         claiming("exp", `true`),
		"exp list":         claiming("exp", `[`+at(time.Hour)+`]`),
		"exp milliseconds": claiming("exp", at(time.Hour)+"000"),
		"exp no number":    claiming("exp", `NaN`),
		"exp hexadecimal":  claiming("exp", `0xFFFFFFFF`),
		"exp twice":        signHS256(secret, plainHeader, strings.Replace(claimsWith(), "{", `{"exp":1,`, 1)),
		"sub twice": signHS256(
			secret, plainHeader, strings.Replace(claimsWith(), "{", `{"sub":"root",`, 1)),
		"sub twice, escaped": signHS256(
			secret, plainHeader, strings.Replace(claimsWith(), "{", `{"\u0073ub":"root",`, 1)),
		"twice inside": claiming("x", `{"a":1,"a":2}`),
		"nbf future":   claiming("nbf", at(61*time.Second)),
		"nbf text":     claiming("nbf", `"0"`),
		"nbf null":     claiming("nbf", `null`),
		"iat future":   claiming("iat", at(61*time.Second)),
		"iat text":     claiming("iat", `"x"`),

		"ID token by nonce":   claiming("nonce", `"n"`),
		"ID token by at_hash": claiming("at_hash", `"h"`),
		"ID token by c_hash":  claiming("c_hash", `"h"`),
		"ID token by typ":     claiming("typ", `"ID"`),
		"refresh token":       claiming("typ", `"Refresh"`),
		"claims no object":    signHS256(secret, plainHeader, `["latchward"]`),
		"claims null":         signHS256(secret, plainHeader, `null`),
		"claims no JSON":      signHS256(secret, plainHeader, `iss=latchward`),
		"claims and more":     signHS256(secret, plainHeader, claimsWith()+"{}"),
		"claims empty":        signHS256(secret, plainHeader, `{}`),
	}
	people := &people{}
	j := newJWT(t, people, signin.JWTOptions{Secret: secret})
	for name, text := range attacks {
		_, err := j.Authenticate(t.Context(), latchward.SecretFromText(text))
		if latchward.ErrorCode(err) != latchward.CodeUnauthenticated || latchward.ErrorMessage(err) != "Invalid token" {
			t.Errorf("%s: %v", name, err)
		}
		checkSilent(t, name, text, err)
	}
	if people.calls != 0 {
		t.Errorf("%d attacks signed in", people.calls)
	}
}

// checkSilent fails if an error quotes a part of the JWT that it refuses.
func checkSilent(t *testing.T, name, text string, err error) {
	t.Helper()
	for part := range strings.SplitSeq(text, ".") {
		if len(part) >= 8 && err != nil && strings.Contains(err.Error(), part[:8]) {
			t.Errorf("%s: the error quotes it: %v", name, err)
		}
	}
}

// bar 106: addresses in a header are never asked, and keys in it never trusted
func TestKeysOfTheHeaderAreIgnored(t *testing.T) {
	var connections atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { connections.Add(1) }))
	defer server.Close()
	file := writeKeySet(t, keySet(publicJWK(t, "other", "", newEdKey(t).Public())))
	jwk := publicJWK(t, "attacker", "", rsaKey().Public())
	people := &people{}
	byFile := newJWT(t, people, signin.JWTOptions{JWKSFile: file})
	bySecret := newJWT(t, people, signin.JWTOptions{Secret: secret})
	for name, header := range map[string]string{
		"jku": `{"alg":"RS256","kid":"attacker","jku":"` + server.URL + `"}`,
		"x5u": `{"alg":"RS256","kid":"attacker","x5u":"` + server.URL + `"}`,
		"jwk": `{"alg":"RS256","kid":"attacker","jwk":` + jwk + `}`,
		"x5c": `{"alg":"RS256","kid":"attacker","x5c":["AAAA"]}`,
		"kid": `{"alg":"RS256","kid":"` + server.URL + `"}`,
	} {
		text := signRS256(t, rsaKey(), header, claimsWith())
		for _, j := range []*signin.JWT{byFile, bySecret} {
			_, err := j.Authenticate(t.Context(), latchward.SecretFromText(text))
			if latchward.ErrorCode(err) != latchward.CodeUnauthenticated {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if connections.Load() != 0 || people.calls != 0 {
		t.Errorf("%d connections, %d signed in", connections.Load(), people.calls)
	}
}
