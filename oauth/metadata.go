package oauth

import (
	"net/http"
	"net/netip"
	"net/url"

	"github.com/latchward/latchward"
)

// Metadata tells programs where the endpoints are and what they understand (RFC 8414 §2).
type Metadata struct {
	Issuer                   string   `json:"issuer"`
	TokenEndpoint            string   `json:"token_endpoint"`
	TokenEndpointAuthMethods []string `json:"token_endpoint_auth_methods_supported"`
	GrantTypes               []string `json:"grant_types_supported"`
	Scopes                   []string `json:"scopes_supported"` // permissions may be asked for, too

	IntrospectionEndpoint    string   `json:"introspection_endpoint"`
	IntrospectionAuthMethods []string `json:"introspection_endpoint_auth_methods_supported"`

	KeysURI string `json:"jwks_uri"` // of derived tokens and status lists

	RevocationEndpoint    string   `json:"revocation_endpoint"`
	RevocationAuthMethods []string `json:"revocation_endpoint_auth_methods_supported"`
	ResponseTypes         []string `json:"response_types_supported"` // required, and none: there is no authorization endpoint
}

// metadataAge is for how long metadata may be kept: it changes with the configuration only.
const metadataAge = "public, max-age=300"

func (h *handler) metadata(w http.ResponseWriter, _ *http.Request) error {
	if h.Issuer == "" {
		return &fault{
			status: http.StatusNotFound, code: codeInvalidRequest,
			text: "The address of this server is not known to itself; its operator can set oauth.issuer",
		}
	}
	header := w.Header()
	header.Set("Cache-Control", metadataAge)
	header.Del("Pragma")
	writeJSON(w, http.StatusOK, h.describe())
	return nil
}

func (h *handler) describe() Metadata {
	return Metadata{
		Issuer: h.Issuer, TokenEndpoint: h.Issuer + TokenPath, TokenEndpointAuthMethods: []string{"none"},
		GrantTypes: []string{GrantExchange}, ResponseTypes: []string{}, Scopes: []string{ScopeOffline},
		IntrospectionEndpoint: h.Issuer + IntrospectPath, IntrospectionAuthMethods: []string{"client_secret_basic", bearer},
		KeysURI:            h.Issuer + KeysPath,
		RevocationEndpoint: h.Issuer + RevokePath, RevocationAuthMethods: []string{"none"},
	}
}

// ValidateIssuer returns an issuer without a slash at its end. It must be an https URL of a scheme, a host and perhaps
// a port; http will do for loopback only (RFC 8414 §2, RFC 8252 §7.3). The error is of code invalid, field issuer.
func ValidateIssuer(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Hostname() == "" || u.User != nil || u.Path != "" && u.Path != "/" ||
		u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.Scheme != "https" && u.Scheme != "http" {
		return "", latchward.Invalid("issuer", "must be a URL like https://tokens.example.com, without a path")
	}
	if u.Scheme == "http" && !loopback(u.Hostname()) {
		return "", latchward.Invalid("issuer", "must be an https URL: secrets travel to it")
	}
	return u.Scheme + "://" + u.Host, nil
}

func loopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.Unmap().IsLoopback()
}
