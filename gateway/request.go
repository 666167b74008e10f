package gateway

import (
	"iter"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"

	"github.com/latchward/latchward/httpauth"
)

// outgoing returns the request that the upstream gets.
func (g *Gateway) outgoing(p *passage, route *route) *http.Request {
	out := p.in.WithContext(p.ctx)
	out.URL = &url.URL{
		Scheme: route.scheme, Host: route.host,
		// Opaque goes out as it stands, byte for byte what was judged; Path would be encoded once more.
		Opaque: route.path + p.verdict.Path, RawQuery: cleanQuery(p.in.URL.RawQuery), ForceQuery: p.in.URL.ForceQuery,
	}
	out.Host, out.RequestURI, out.Close = route.host, "", false
	out.Header = g.outgoingHeader(p, route)
	out.Trailer = nil // clients say in trailers what they may not say in headers (bar 91)
	if out.Body = &p.body; p.in.ContentLength == 0 || p.in.Body == nil {
		out.Body = nil // or it could not be sent again over another connection
	}
	return out
}

// outgoingHeader returns the header that the upstream gets. Values are shared with the client's.
func (g *Gateway) outgoingHeader(p *passage, route *route) http.Header {
	in := p.in.Header
	h := make(http.Header, len(in)+8) // what is added below
	for name, values := range in {
		if !isForbidden(name) && (g.options.PassCredential || !isCredential(name)) {
			h[name] = values
		}
	}
	for name := range listed(in["Connection"]) { // before we add ours, which nobody can take away (bar 89)
		delete(h, textproto.CanonicalMIMEHeaderKey(name))
	}
	if h["User-Agent"] == nil {
		h["User-Agent"] = noUserAgent
	}
	if lists(in["Te"], "trailers") {
		h["Te"] = []string{"trailers"}
	}
	if p.webSocket = route.webSocket && wantsWebSocket(p.in); p.webSocket {
		h["Connection"], h["Upgrade"] = []string{"Upgrade"}, []string{"websocket"}
	}
	cleanCookies(h)
	hideIdempotency(h)
	g.setForwarded(h, p.in)
	httpauth.SetIdentity(h, &p.verdict)
	return h
}

// noUserAgent keeps http.Transport from naming itself.
var noUserAgent = []string{""}

// listed yields the members of a list in a header, such as that of Connection.
func listed(lines []string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, line := range lines {
			for member := range strings.SplitSeq(line, ",") {
				if member = textproto.TrimString(member); member != "" && !yield(member) {
					return
				}
			}
		}
	}
}

func lists(lines []string, member string) bool {
	for m := range listed(lines) {
		if strings.EqualFold(m, member) {
			return true
		}
	}
	return false
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

// setForwarded tells the upstream whom the request came from. What a client says about that does not count, unless the
// peer is a proxy that is trusted to say it.
func (g *Gateway) setForwarded(h http.Header, in *http.Request) {
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
	values := []string{proto, host, chain} // in one allocation, since every request pays for them
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

// wantsWebSocket reports whether a request asks to become a WebSocket (RFC 6455 §4.1, RFC 9110 §7.8). No other upgrade is
// passed on: an upstream that goes over to h2c would serve requests that nobody judged (bar 92).
func wantsWebSocket(r *http.Request) bool {
	protocols := r.Header["Upgrade"]
	return len(protocols) == 1 && strings.EqualFold(protocols[0], "websocket") && lists(r.Header["Connection"], "upgrade") &&
		r.Method == http.MethodGet && r.ProtoMajor == 1 && r.ProtoMinor >= 1
}

// forbidden are the headers of a client that no upstream gets: those about the connection, and those that make some
// servers treat a request as another one. They are in the form that appendFolded gives them. All that begin with one of
// forbiddenPrefixes are forbidden, too.
var (
	forbidden = map[string]bool{
		// another method (bar 27)
		"x-http-method-override": true, "x-http-method": true, "x-method-override": true,
		// another path (bar 28)
		"x-replaced-path": true, "x-script-name": true, "x-waws-unencoded-url": true,
		// another client; ours is in X-Forwarded-For
		"forwarded": true, "x-forwarded": true, "x-real-ip": true, "x-client-ip": true, "x-cluster-client-ip": true,
		"true-client-ip": true, "cf-connecting-ip": true, "fastly-client-ip": true, "client-ip": true, "x-remote-addr": true,
		// hop by hop (RFC 9110 §7.6.1); http.Transport writes what is needed of them itself
		"connection": true, "proxy-connection": true, "keep-alive": true, "proxy-authenticate": true,
		"proxy-authorization": true, "te": true, "trailer": true, "transfer-encoding": true, "upgrade": true,
		"content-length": true,
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
	switch name { // what most requests have
	case "Accept", "Accept-Encoding", "Accept-Language", "Authorization", "Content-Type", "Cookie", "Origin", "Referer",
		"User-Agent":
		return false
	}
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

// isCredential reports whether a header is one that credentials are sent in (bar 94).
func isCredential(name string) bool {
	var space [maxFolded]byte
	switch len(name) {
	case len("Authorization"):
		return name == "Authorization"
	case len("x-api-key"):
		return string(appendFolded(space[:0], name)) == "x-api-key"
	}
	return false
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
