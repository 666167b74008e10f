package signin_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/signin"
)

// bar 22, 106: whatever the holder of the secret signs, what is accepted says what it must to any other reader.
func FuzzAuthenticate(f *testing.F) {
	f.Add(plainHeader, claimsWith())
	f.Add(`{"alg":"HS256","crit":["b64"],"b64":false}`, claimsWith("aud", `["latchward"]`))
	f.Add(`{"alg":"HS256","alg":"none"}`, claimsWith("exp", "1e400"))
	f.Add(`{"alg":"HS256","kid":null,"jwk":{}}`, claimsWith("roles", `["admin"]`, "email", `"a@b"`))
	people := &people{}
	j := newJWT(f, people, signin.JWTOptions{Secret: secret, AdminClaim: "a.b"})
	f.Fuzz(func(t *testing.T, header, payload string) {
		_, err := j.Authenticate(t.Context(), latchward.SecretFromText(signHS256(secret, header, payload)))
		if err != nil {
			if latchward.ErrorCode(err) != latchward.CodeUnauthenticated {
				t.Fatalf("%v", err)
			}
			return
		}
		var head struct {
			Algorithm string `json:"alg"`
		}
		var body map[string]any
		if json.Unmarshal([]byte(header), &head) != nil || json.Unmarshal([]byte(payload), &body) != nil {
			t.Fatal("accepted what is no JSON")
		}
		expires, ok := body["exp"].(float64)
		if !ok || expires <= float64(now.Unix()-60) || expires >= math.MaxInt32*1000 {
			t.Fatalf("accepted exp %v", body["exp"])
		}
		subject, _ := body["sub"].(string)
		if head.Algorithm != "HS256" || body["iss"] != "latchward" || !strings.Contains(payload, "latchward") ||
			subject == "" || subject != people.seen.ExternalID {
			t.Fatalf("accepted %s as %q", payload, people.seen.ExternalID)
		}
	})
}
