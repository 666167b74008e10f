package gateway

import (
	"net/http"
	"strings"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
)

// rerouting are headers by which some servers let a request say that it is another one: another path (bar 28) or
// another method (bar 27). An upstream that believes them would serve what was not judged.
var rerouting = map[string]bool{
	"x-original-url": true, "x-rewrite-url": true, "x-original-uri": true, "x-original-method": true,
	"x-forwarded-prefix": true, "x-forwarded-path": true, "x-forwarded-uri": true, "x-forwarded-url": true,
	"x-forwarded-method": true, "x-envoy-original-path": true, "x-envoy-original-method": true, "x-replaced-path": true,
	"x-http-method-override": true, "x-http-method": true, "x-method-override": true, "x-accel-redirect": true,
	"x-script-name": true, "x-forwarded-scriptname": true,
}

// folded returns name as the least careful server reads it: in lower case, every other character a hyphen (bar 90).
func folded(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'A' <= r && r <= 'Z':
			return r + 'a' - 'A'
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9':
			return r
		}
		return '-'
	}, name)
}

// mayReroute keeps the common headers off the slow path: all names in rerouting begin with x and one other character.
func mayReroute(name string) bool {
	return len(name) > 2 && (name[0] == 'X' || name[0] == 'x')
}

// cleanRequest removes from r what the upstream must not see, in every spelling.
func cleanRequest(r *http.Request) {
	for name := range r.Header {
		if mayReroute(name) && rerouting[folded(name)] {
			delete(r.Header, name)
		}
	}
	cleanUpgrade(r)
	cleanCookies(r.Header)
	cleanQuery(r)
}

// cleanUpgrade lets only WebSocket upgrades through: an upstream that upgrades to h2c would serve requests nobody
// judged (bar 92).
func cleanUpgrade(r *http.Request) {
	protocols := r.Header["Upgrade"]
	if len(protocols) == 0 || len(protocols) == 1 && strings.EqualFold(protocols[0], "websocket") {
		return
	}
	delete(r.Header, "Upgrade")
	delete(r.Header, "Http2-Settings")
}

// ownCookie reports whether a cookie is one of Latchward's.
func ownCookie(name string) bool {
	return name == "__Host-latchward" || name == "latchward_local" || strings.HasPrefix(name, "__Host-latchward_")
}

// cleanCookies takes our cookies out and leaves the rest as it is: cookies ignore ports, so a browser sends ours to
// every service on the host (bar 94).
func cleanCookies(h http.Header) {
	lines := h["Cookie"]
	for i, line := range lines {
		if !strings.Contains(line, "latchward") {
			continue
		}
		var kept []string
		for pair := range strings.SplitSeq(line, ";") {
			name, _, _ := strings.Cut(pair, "=")
			if !ownCookie(strings.TrimSpace(name)) {
				kept = append(kept, strings.TrimSpace(pair))
			}
		}
		lines[i] = strings.Join(kept, "; ")
	}
	if len(lines) == 1 && lines[0] == "" {
		delete(h, "Cookie")
	}
}

const overrideParameter = "_method"

// cleanQuery takes the method override out of the query. Everything else in it goes on byte for byte.
func cleanQuery(r *http.Request) {
	if !strings.Contains(r.URL.RawQuery, "method") && !strings.Contains(r.URL.RawQuery, "%") {
		return
	}
	kept := ""
	for rest := r.URL.RawQuery; rest != ""; {
		pair, separator := rest, ""
		if i := strings.IndexAny(rest, "&;"); i >= 0 {
			pair, separator = rest[:i], rest[i:i+1]
		}
		rest = rest[len(pair)+len(separator):]
		if name, _, _ := strings.Cut(pair, "="); !isOverride(name) {
			kept += pair + separator
		}
	}
	r.URL.RawQuery = kept
}

// isOverride reads a query or form name as any server might.
func isOverride(name string) bool {
	if !strings.ContainsAny(name, "%+") {
		return name == overrideParameter
	}
	return unescape(name) == overrideParameter
}

// unescape decodes what it can and leaves the rest.
func unescape(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '%' && i+2 < len(text) {
			if high, low := unhex(text[i+1]), unhex(text[i+2]); high >= 0 && low >= 0 {
				b.WriteByte(byte(high<<4 | low))
				i += 2
				continue
			}
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// limitHeaders are ours when we have something to say about limits.
var limitHeaders = []string{
	"X-Ratelimit-Limit", "X-Ratelimit-Remaining", "X-Ratelimit-Reset", "Ratelimit", "Ratelimit-Policy",
}

// cleanResponse removes from an upstream's answer what would pass for ours (bar 100), and watches streams.
func (g *Gateway) cleanResponse(response *http.Response) error {
	h := response.Header
	httpauth.StripIdentity(h)
	delete(h, "Server")
	if v, ok := latchward.VerdictFrom(response.Request.Context()); ok && v.Limit.Name != "" {
		for _, name := range limitHeaders {
			delete(h, name)
		}
	}
	cleanSetCookies(h)
	return nil
}

func cleanSetCookies(h http.Header) {
	lines := h["Set-Cookie"]
	if len(lines) == 0 {
		return
	}
	kept := lines[:0]
	for _, line := range lines {
		name, _, _ := strings.Cut(line, "=")
		if !ownCookie(strings.TrimSpace(name)) {
			kept = append(kept, line)
		}
	}
	h["Set-Cookie"] = kept
	if len(kept) == 0 {
		delete(h, "Set-Cookie")
	}
}
