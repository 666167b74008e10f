package server

import (
	"net"
	"net/http"

	"github.com/latchward/latchward/oauth"
)

// issuer returns the URL under which clients reach the API that listens at an address, and whether OAuth is served at
// all. "" = it cannot be told: the address is all addresses, or one that nobody should send secrets to without TLS.
func (c *Config) issuer(listening net.Addr) (url string, on bool) {
	switch c.OAuthIssuer {
	case "off":
		return "", false
	case "":
		return c.ownURL(listening), true
	}
	url, err := oauth.ValidateIssuer(c.OAuthIssuer) // validate has seen it
	return url, err == nil
}

// configuredIssuer returns the issuer that the configuration names; "" = none, or off.
func (c *Config) configuredIssuer() string {
	issuer, err := oauth.ValidateIssuer(c.OAuthIssuer)
	if err != nil {
		return ""
	}
	return issuer
}

func (c *Config) ownURL(listening net.Addr) string {
	host, _, _ := net.SplitHostPort(c.APIListen)
	_, port, err := net.SplitHostPort(listening.String())
	if err != nil {
		return ""
	}
	scheme := "http://"
	if c.APICert != "" {
		scheme = "https://"
	}
	if isLoopback(host) {
		host = "localhost"
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		return ""
	}
	issuer, err := oauth.ValidateIssuer(scheme + net.JoinHostPort(host, port))
	if err != nil {
		return ""
	}
	return issuer
}

// oauth returns what speaks OAuth 2.0 to clients that know the API by that URL.
func (p *protection) oauth(issuer string) http.Handler {
	if p.config.open() {
		return http.HandlerFunc(unavailable)
	}
	return oauth.Handler(oauth.Options{
		Service: p.service, Persons: p.signers, Proxies: p.proxies, Guard: p.guard, Issuer: issuer,
		TokenLifetime: p.config.TokenLifetime,
		Base:          p.config.Base, Logger: p.log,
	})
}

// besideOAuth returns a handler that serves OAuth where its paths are, and otherwise the management API.
func besideOAuth(management, oauth http.Handler) http.Handler {
	if oauth == nil {
		return management
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if surfaceOf(r) == surfaceOAuth {
			oauth.ServeHTTP(w, r)
			return
		}
		management.ServeHTTP(w, r)
	})
}
