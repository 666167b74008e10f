package server_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/latchward/latchward/oauth"
	"github.com/latchward/latchward/server"
)

// Metadata is served where clients look for it, and names an issuer that they can reach (RFC 8414).
func TestOAuthMetadata(t *testing.T) {
	r := start(t, settings(t, folder(t)))
	a := get(t, r.URL()+oauth.MetadataPath, "")
	a.want(t, "metadata", http.StatusOK)
	var m oauth.Metadata
	if err := json.Unmarshal([]byte(a.body), &m); err != nil {
		t.Fatal(err)
	}
	if want := strings.Replace(r.URL(), "127.0.0.1", "localhost", 1); m.Issuer != want || m.TokenEndpoint != want+"/oauth/token" {
		t.Errorf("issuer %s, token endpoint %s; want them at %s", m.Issuer, m.TokenEndpoint, want)
	}
	get(t, r.URL()+"/oauth/nothing", "").want(t, "another path", http.StatusNotFound, `"error":"invalid_request"`)
}

// A server whose address cannot be told, or is plain HTTP, names no issuer until the operator does.
func TestOAuthIssuer(t *testing.T) {
	proxy := []string{"trusted_proxies", "127.0.0.1"}
	for _, test := range []struct {
		name   string
		pairs  []string
		issuer string // "" = no metadata
		status int
	}{
		{"all addresses", append(proxy, "api.listen", "0.0.0.0:0"), "", http.StatusNotFound},
		{"configured", append(proxy, "api.listen", "0.0.0.0:0", "oauth.issuer", "https://tokens.example.com/"),
			"https://tokens.example.com", http.StatusOK},
		{"off", []string{"oauth.issuer", "off"}, "", http.StatusNotFound},
		{"no authentication", []string{"authentication", "off"}, "", http.StatusConflict}, // S3-19
	} {
		t.Run(test.name, func(t *testing.T) {
			r := start(t, settings(t, folder(t), test.pairs...))
			a := get(t, r.URL()+oauth.MetadataPath, "")
			a.want(t, "metadata", test.status)
			var m oauth.Metadata
			if err := json.Unmarshal([]byte(a.body), &m); err != nil || m.Issuer != test.issuer {
				t.Errorf("issuer %q, want %q (%v)", m.Issuer, test.issuer, err)
			}
		})
	}
}

func TestOAuthIssuerRefused(t *testing.T) {
	for _, issuer := range []string{
		"http://tokens.example.com", "https://tokens.example.com/path", "https://tokens.example.com?x=1",
		"https://tokens.example.com#x", "https://user@tokens.example.com", "tokens.example.com", "ftp://localhost", "https://",
	} {
		if _, err := server.Load(server.Sources{File: "/dev/null", Flags: map[string]string{"oauth.issuer": issuer}}); err == nil ||
			!strings.Contains(err.Error(), "oauth.issuer") {
			t.Errorf("issuer %q: %v", issuer, err)
		}
	}
}
