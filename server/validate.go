package server

import (
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/oauth"
)

// minSecret is the shortest secret of HS256 in bytes: as long as the hash's output (RFC 7518 section 3.2).
const minSecret = 32

// validate returns what is wrong with c in itself; [Check] asks the machine.
func (c *Config) validate() []fault {
	var faults []fault
	for _, check := range []func() []fault{
		c.validateNames, c.validateNetworks, c.validateJWT, c.validateListeners, c.validatePages,
		c.validateOperations, c.validateUpstreams, c.validateOAuth, c.validateLeaks,
	} {
		faults = append(faults, check()...)
	}
	return faults
}

func (c *Config) validateNames() []fault {
	var faults []fault
	if err := latchward.ValidatePrefix(c.Prefix); err != nil {
		faults = append(faults, fault{"", "prefix", "is refused: " + latchward.ErrorMessage(err)})
	}
	if _, err := latchward.ValidateBase(c.Base); err != nil {
		faults = append(faults, fault{"", "base", "is refused: " + latchward.ErrorMessage(err)})
	}
	if !c.Keys.IsZero() && c.KeysFile != "" {
		faults = append(faults, fault{"", "keys", "and keys_file are both set; keep one"})
	}
	if c.DrainDelay > c.DrainTimeout {
		faults = append(faults, fault{"", "shutdown.delay", "must not be longer than shutdown.timeout"})
	}
	return faults
}

func (c *Config) validateNetworks() []fault {
	for _, network := range c.TrustedProxies {
		if network.Bits() == 0 {
			return []fault{{"", "trusted_proxies", network.String() + " trusts everybody, who could then pose as any address; " +
				"name the networks of your proxies"}}
		}
	}
	if header := strings.ToLower(c.AddressHeader); strings.Trim(header, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" ||
		header == "" {
		return []fault{{"", "address_header", "must be the name of a header"}}
	}
	return nil
}

func (c *Config) validateJWT() []fault {
	var faults []fault
	sources := 0
	for _, set := range []bool{!c.JWTSecret.IsZero(), c.JWKSURL != "", c.JWKSFile != ""} {
		if set {
			sources++
		}
	}
	if sources > 1 {
		faults = append(faults, fault{origin: "jwt", key: "jwt.secret, jwt.jwks_url and jwt.jwks_file",
			message: "exclude each other; keep one"})
	}
	if !c.JWTSecret.IsZero() {
		faults = append(faults, weakSecret("jwt.secret", c.JWTSecret)...)
	}
	if c.JWKSURL != "" && !secureURL(c.JWKSURL) {
		faults = append(faults, fault{"", "jwt.jwks_url", "must be an https address: whoever can change the answer can " +
			"sign in as anybody"})
	}
	if c.Issuer == "" {
		faults = append(faults, fault{"", "jwt.issuer", "must not be empty: it is always compared"})
	}
	if c.Audience == "" {
		faults = append(faults, fault{"", "jwt.audience", "must not be empty: it is always compared"})
	}
	return faults
}

// weakSecret refuses secrets that are short or that nobody drew at random.
func weakSecret(key string, secret latchward.Secret) []fault {
	different := map[byte]bool{}
	for _, b := range []byte(secret.Expose()) {
		different[b] = true
	}
	if len(secret.Expose()) >= minSecret && len(different) >= 8 {
		return nil
	}
	return []fault{{"", key, "is too weak: it must be at least " + strconv.Itoa(minSecret) +
		" random bytes; make one with: openssl rand -hex 32"}}
}

func secureURL(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil {
		return false
	}
	return u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname())
}

// listener is one address the server listens on.
type listener struct {
	section            string // "api"
	address, cert, key string
}

func (c *Config) listeners() []listener {
	list := []listener{{"api", c.APIListen, c.APICert, c.APIKey}}
	if c.PagesListen != "off" {
		list = append(list, listener{"pages", c.PagesListen, c.PagesCert, c.PagesKey})
	}
	if c.OperationsListen != "off" {
		list = append(list, listener{"operations", c.OperationsListen, c.OperationsCert, c.OperationsKey})
	}
	return list
}

func (c *Config) validateListeners() []fault {
	var faults []fault
	for _, l := range c.listeners() {
		host, port, err := net.SplitHostPort(l.address)
		if n, errPort := strconv.Atoi(port); err != nil || errPort != nil || n < 0 || n > 65535 {
			faults = append(faults, fault{"", l.section + ".listen", "must be an address and a port like 127.0.0.1:3010"})
			continue
		}
		if (l.cert == "") != (l.key == "") {
			faults = append(faults, fault{"", l.section + ".tls_cert", "and " + l.section + ".tls_key belong together"})
		}
		if l.cert == "" && !isLoopback(host) && !c.InsecureHTTP && len(c.TrustedProxies) == 0 {
			faults = append(faults, fault{"", l.section + ".listen", "would send tokens in the clear: give " +
				l.section + ".tls_cert and " + l.section + ".tls_key, or name the TLS proxy before it in trusted_proxies, " +
				"or set insecure_http: true"})
		}
	}
	return faults
}

// validatePages checks the address of the pages, which cookies and passkeys are bound to, and the provider.
func (c *Config) validatePages() []fault {
	var faults []fault
	if u, err := url.Parse(c.PagesURL); c.PagesURL != "" && (err != nil || u.Host == "" || u.User != nil ||
		u.Scheme != "https" && u.Scheme != "http" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "") {
		faults = append(faults, fault{"", "pages.url", "must be a URL like https://tokens.example.com, without a path"})
	} else if c.PagesURL != "" && !secureURL(c.PagesURL) && !c.InsecureHTTP {
		faults = append(faults, fault{"", "pages.url", "must be an https address: people type their passwords there"})
	}
	if c.OIDCIssuer != "" && !secureURL(c.OIDCIssuer) {
		faults = append(faults, fault{"", "oidc.issuer", "must be an https address: whoever can change the answer can sign " +
			"in as anybody"})
	}
	if (c.OIDCIssuer == "") != (c.OIDCClientID == "") {
		faults = append(faults, fault{"", "oidc.issuer", "and oidc.client_id belong together"})
	}
	return faults
}

func (c *Config) validateOperations() []fault {
	if c.OperationsListen == "off" {
		return nil
	}
	var faults []fault
	host, _, _ := net.SplitHostPort(c.OperationsListen)
	if c.Profiling && !isLoopback(host) {
		faults = append(faults, fault{"", "operations.profiling", "shows the memory of the process: it needs an " +
			"operations.listen on loopback"})
	}
	if c.OperationsSecret.IsZero() && !isLoopback(host) {
		faults = append(faults, fault{"", "operations.listen", "is not loopback: set operations.secret, which " +
			"/metrics then asks for"})
	}
	if !c.OperationsSecret.IsZero() {
		faults = append(faults, weakSecret("operations.secret", c.OperationsSecret)...)
	}
	return faults
}

func (c *Config) validateUpstreams() []fault {
	var faults []fault
	seen := map[string]bool{}
	for i, u := range c.Upstreams {
		key := "upstreams[" + strconv.Itoa(i) + "]"
		if c.origins[key] == "" {
			c.origins[key] = c.origins["upstreams"]
		}
		target, err := url.Parse(u.URL)
		if err != nil || target.Host == "" || target.Scheme != "http" && target.Scheme != "https" || target.User != nil ||
			target.RawQuery != "" || target.Fragment != "" {
			faults = append(faults, fault{"", key, "must have a url like http://127.0.0.1:8080, without user, query " +
				"and fragment"})
		}
		if _, err := latchward.CanonicalPath(u.Prefix); err != nil {
			faults = append(faults, fault{"", key, "has a prefix that is refused: " + latchward.ErrorMessage(err)})
		}
		if seen[u.Prefix] {
			faults = append(faults, fault{"", key, "has the same prefix as another upstream"})
		}
		seen[u.Prefix] = true
	}
	return faults
}

// isLoopback reports whether nobody but this machine can reach a host name or address; "" stands for all addresses.
func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.Unmap().IsLoopback()
}

func (c *Config) validateLeaks() []fault {
	if c.GitHubKeys != "" && !secureURL(c.GitHubKeys) {
		return []fault{{"", "leaks.github_keys", "must be an https address: whoever can change the answer can revoke any " +
			"token whose secret they know"}}
	}
	return nil
}

func (c *Config) validateOAuth() []fault {
	var faults []fault
	if c.TokenLifetime < time.Second {
		faults = append(faults, fault{"", "oauth.token_lifetime", "must be at least 1s"})
	}
	if c.DerivedLifetime < 10*time.Second {
		faults = append(faults, fault{"", "oauth.derived_lifetime", "must be at least 10s"})
	}
	if c.OAuthIssuer == "" || c.OAuthIssuer == "off" {
		return faults
	}
	if _, err := oauth.ValidateIssuer(c.OAuthIssuer); err != nil {
		faults = append(faults, fault{"", "oauth.issuer", latchward.ErrorMessage(err)})
	}
	return faults
}
