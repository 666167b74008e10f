package gateway

import (
	"net/http"
	"slices"
	"strings"
)

// ownCookie reports whether a cookie is one of Latchward's.
func ownCookie(name string) bool {
	return strings.HasPrefix(strings.TrimPrefix(strings.TrimSpace(name), "__Host-"), "latchward")
}

// cleanCookies takes our cookies out of a request and leaves the rest as it is: cookies ignore ports, so a browser sends
// ours to every service on the host (bar 94).
func cleanCookies(h http.Header) {
	lines := h["Cookie"]
	if !slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(line, "latchward") }) {
		return
	}
	var kept []string
	for _, line := range lines {
		for pair := range strings.SplitSeq(line, ";") {
			if name, _, _ := strings.Cut(pair, "="); !ownCookie(name) {
				kept = append(kept, strings.TrimSpace(pair))
			}
		}
	}
	if delete(h, "Cookie"); len(kept) > 0 {
		h["Cookie"] = []string{strings.Join(kept, "; ")}
	}
}

// cleanSetCookies takes our cookies out of an answer (bar 100).
func cleanSetCookies(h http.Header) {
	if h["Set-Cookie"] == nil {
		return
	}
	kept := slices.DeleteFunc(h["Set-Cookie"], func(line string) bool {
		name, _, _ := strings.Cut(line, "=")
		return ownCookie(name)
	})
	if h["Set-Cookie"] = kept; len(kept) == 0 {
		delete(h, "Set-Cookie")
	}
}
