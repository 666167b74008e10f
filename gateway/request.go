package gateway

import (
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"

	"github.com/latchward/latchward/httpauth"
)

// rewrite makes the request that the upstream gets. ReverseProxy has obeyed the client's Connection header before, so
// that it takes away nothing that is set here (bar 89).
func (g *Gateway) rewrite(route *route) func(*httputil.ProxyRequest) {
	return func(r *httputil.ProxyRequest) {
		p, out := passageFrom(r.In.Context()), r.Out
		out.URL = &url.URL{
			Scheme: route.target.Scheme, Host: route.target.Host,
			// Opaque goes out as it stands, byte for byte what was judged; Path would be encoded once more.
			Opaque: route.path + p.verdict.Path, RawQuery: cleanQuery(r.In.URL.RawQuery), ForceQuery: r.In.URL.ForceQuery,
		}
		out.Host = route.target.Host
		out.Trailer = nil // clients say in trailers what they may not say in headers (bar 91)
		g.cleanHeader(out.Header)
		g.setForwarded(r)
		httpauth.SetIdentity(out.Header, &p.verdict)
		hideIdempotency(out.Header)
	}
}

// hideIdempotency keeps http.Transport from sending a POST a second time after bytes were sent, as it does when it knows
// of such a header (bar 101). On the wire the name has no case.
func hideIdempotency(h http.Header) {
	for _, name := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
		if values := h[name]; values != nil {
			delete(h, name)
			h[strings.ToLower(name)] = values
		}
	}
}

// cleanHeader removes what the upstream must not see.
func (g *Gateway) cleanHeader(h http.Header) {
	for name := range h {
		if isForbidden(name) {
			delete(h, name)
		}
	}
	if !g.options.PassCredential {
		delete(h, "Authorization")
		for name := range h {
			if isSpelling(name, "x-api-key") {
				delete(h, name)
			}
		}
	}
	cleanCookies(h)
}

// setForwarded tells the upstream whom the request came from. What a client says about that does not count, unless the
// peer is a proxy that is trusted to say it.
func (g *Gateway) setForwarded(r *httputil.ProxyRequest) {
	in, h := r.In, r.Out.Header
	proto, host := "http", in.Host
	if in.TLS != nil {
		proto = "https"
	}
	chain := peerOf(in)
	if g.options.Proxies.TrustsPeer(in) {
		if client := g.options.Proxies.ClientAddress(in); client.IsValid() && client.String() != chain {
			chain = client.String() + ", " + chain
		}
		if told := in.Header["X-Forwarded-Proto"]; len(told) == 1 && (told[0] == "http" || told[0] == "https") {
			proto = told[0]
		}
		if told := in.Header["X-Forwarded-Host"]; len(told) == 1 && !strings.ContainsAny(told[0], ", ") {
			host = told[0]
		}
	}
	// One slice for the three values: every request pays for it.
	values := []string{proto, host, chain}
	h["X-Forwarded-Proto"], h["X-Forwarded-Host"] = values[0:1:1], values[1:2:2]
	if chain != "" {
		h["X-Forwarded-For"] = values[2:3:3]
	}
}

// peerOf returns the address of whoever holds the connection; "" when it has none, as on a Unix socket.
func peerOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	return host
}

// cleanUpgrade lets only WebSocket upgrades through: an upstream that upgrades to h2c would serve requests that nobody
// judged (bar 92).
func cleanUpgrade(r *http.Request, route *route) {
	if r.Header["Upgrade"] != nil && !(route.webSocket && wantsWebSocket(r)) {
		delete(r.Header, "Upgrade")
	}
}

// wantsWebSocket follows RFC 6455 §4.1 and RFC 9110 §7.8.
func wantsWebSocket(r *http.Request) bool {
	protocols := r.Header["Upgrade"]
	return len(protocols) == 1 && strings.EqualFold(protocols[0], "websocket") &&
		r.Method == http.MethodGet && r.ProtoMajor == 1 && r.ProtoMinor >= 1
}

// forbidden are the headers that make some servers treat a request as another one, in the form that folded gives them.
// All that begin with one of forbiddenPrefixes are, too.
var (
	forbidden = map[string]bool{
		// another method (bar 27)
		"x-http-method-override": true, "x-http-method": true, "x-method-override": true,
		// another path (bar 28)
		"x-replaced-path": true, "x-script-name": true, "x-waws-unencoded-url": true,
		// another client; ours is in X-Forwarded-For
		"forwarded": true, "x-forwarded": true, "x-real-ip": true, "x-client-ip": true, "x-cluster-client-ip": true,
		"true-client-ip": true, "cf-connecting-ip": true, "fastly-client-ip": true, "client-ip": true, "x-remote-addr": true,
		// another length; http.Transport writes these itself, so this is about other spellings
		"content-length": true, "transfer-encoding": true,
		// a proxy for the upstream's own requests, where headers become HTTP_… variables
		"proxy": true,
		// settings of an upgrade that is not forwarded
		"http2-settings": true,
	}
	forbiddenPrefixes = []string{"x-forwarded-", "x-original-", "x-rewrite-", "x-envoy-", "x-accel-"}
)

const maxFolded = 24 // bytes of the longest name in forbidden, and more

// isForbidden reports whether a header name is one of the forbidden in any spelling that some server takes for it.
func isForbidden(name string) bool {
	var space [maxFolded]byte
	folded := appendFolded(space[:0], name)
	if len(folded) > 1 && folded[0] == 'x' && folded[1] == '-' {
		for _, prefix := range forbiddenPrefixes {
			if len(folded) >= len(prefix) && string(folded[:len(prefix)]) == prefix {
				return true
			}
		}
	}
	return len(name) <= maxFolded && forbidden[string(folded)]
}

// isSpelling reports whether name is folded, spelled in any way.
func isSpelling(name, folded string) bool {
	var space [maxFolded]byte
	return len(name) == len(folded) && string(appendFolded(space[:0], name)) == folded
}

// appendFolded appends the beginning of name, up to b's capacity, as the least careful server reads it: in lower case,
// and every other character a hyphen, because CGI and its heirs cannot tell (bar 90).
func appendFolded(b []byte, name string) []byte {
	for i := 0; i < len(name) && len(b) < cap(b); i++ {
		c := name[i]
		switch {
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		default:
			c = '-'
		}
		b = append(b, c)
	}
	return b
}
