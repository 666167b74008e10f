package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/leak"
	"github.com/latchward/latchward/rest"
)

// scanner stands for GitHub: it publishes its key and signs reports.
type scanner struct {
	key  *ecdsa.PrivateKey
	keys *httptest.Server
}

func newScanner(t *testing.T) *scanner {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	s := &scanner{key: key, keys: httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{
			"public_keys": []map[string]any{{"key_identifier": "k1", "key": string(text), "is_current": true}},
		})
	}))}
	t.Cleanup(s.keys.Close)
	return s
}

// report sends what was found to a server and returns how often it was told to be real.
func (s *scanner) report(t *testing.T, r *running, secrets ...string) (real int) {
	t.Helper()
	matches := []map[string]string{}
	for i, secret := range secrets {
		matches = append(matches, map[string]string{
			"token": secret, "type": "latchward", "url": "https://github.com/a/b/blob/" + strconv.Itoa(i), "source": "content",
		})
	}
	body, err := json.Marshal(matches)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(body)
	signature, err := ecdsa.SignASN1(rand.Reader, s.key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequest(http.MethodPost, r.URL()+leak.GitHubPath, strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set(leak.GitHubKeyHeader, "k1")
	request.Header.Set(leak.GitHubSignatureHeader, base64.StdEncoding.EncodeToString(signature))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var labels []struct{ Label string }
	if err := json.NewDecoder(response.Body).Decode(&labels); err != nil || response.StatusCode != 200 || len(labels) != len(secrets) {
		t.Fatalf("status %d, %d labels, error %v", response.StatusCode, len(labels), err)
	}
	for _, l := range labels {
		if l.Label == "true_positive" {
			real++
		}
	}
	return real
}

// bar 51, bar 64: what GitHub reports is refused from the next request on; a thousand matches are one report, and sending
// it again changes nothing.
func TestGitHubReports(t *testing.T) {
	github := newScanner(t)
	r := start(t, settings(t, folder(t), "upstreams", upstream(t), "leaks.github_keys", github.keys.URL))
	v, kept := r.victim(t), r.victim(t)
	get(t, r.URL()+"/api/products", "Bearer "+v.secret).want(t, "before", 200)
	secrets := []string{v.secret}
	client := r.administrator(t)
	for range 99 {
		_, secret := r.token(t, rest.NewToken{})
		secrets = append(secrets, secret)
	}
	for i := range 900 {
		secrets = append(secrets, "lw_"+strconv.Itoa(i)+strings.Repeat("x", 47))
	}
	for range 2 {
		if real := github.report(t, r, secrets...); real != 100 {
			t.Errorf("%d are told to be real, want 100", real)
		}
	}
	get(t, r.URL()+"/api/products", "Bearer "+v.secret).want(t, "after", 401)
	get(t, r.URL()+"/api/products", "Bearer "+kept.secret).want(t, "another one", 200)
	told, err := client.Audit(t.Context(), rest.AuditQuery{AuditSelection: rest.AuditSelection{Action: latchward.ActionTokenLeak}, Limit: 1000})
	if err != nil || len(told.Entries) != 100 {
		t.Errorf("%d entries, error %v; want 100", len(told.Entries), err)
	}
}

func TestGitHubReportsAreOff(t *testing.T) {
	r := start(t, settings(t, folder(t)))
	send(t, http.DefaultClient, "POST", r.URL()+leak.GitHubPath, "", strings.NewReader("[]")).want(t, "off", 404)
}
