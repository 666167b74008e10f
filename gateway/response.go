package gateway

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
)

var errSwitch = errors.New("the upstream switches to a protocol that nobody asked for")

// cleanResponse removes from an upstream's answer what would pass for ours (bar 100).
func (g *Gateway) cleanResponse(response *http.Response) error {
	p := passageFrom(response.Request.Context())
	if response.StatusCode == http.StatusSwitchingProtocols && p.request.Header["Upgrade"] == nil {
		return errSwitch
	}
	p.answered, p.response = true, response
	p.cleanAnswer(response.Header)
	p.cleanAnswer(response.Trailer)
	delete(response.Trailer, "Set-Cookie")
	if !g.options.Open && response.StatusCode != http.StatusSwitchingProtocols {
		markPrivate(response.Header)
	}
	return nil
}

// cleanAnswer removes from a header or trailer of the upstream's what only we say, and what we have said already.
func (p *passage) cleanAnswer(h http.Header) {
	if h == nil {
		return
	}
	httpauth.StripIdentity(h)
	for name := range p.ResponseWriter.Header() {
		delete(h, name)
	}
	delete(h, "Server")  // tells what is behind us
	delete(h, "Alt-Svc") // would lead clients past us
	cleanSetCookies(h)
}

// cleanTrailer does the same for fields of the trailer that were not announced: ReverseProxy sets them after the body.
func (p *passage) cleanTrailer() {
	if p.response == nil || len(p.response.Trailer) == 0 {
		return
	}
	h := p.ResponseWriter.Header()
	for name := range h {
		bare, found := strings.CutPrefix(name, http.TrailerPrefix)
		if found && (httpauth.Managed(bare) || h[bare] != nil || bare == "Set-Cookie") {
			delete(h, name)
		}
	}
}

// markPrivate tells shared caches that an answer is only for whoever was let in. RFC 9111 §3.5 has them know without
// being told, but not all do, and what they keep outlives the token.
func markPrivate(h http.Header) {
	h["Vary"] = append(h["Vary"], "Authorization")
	delete(h, "X-Accel-Expires") // nginx believes it before Cache-Control
	for _, line := range h["Cache-Control"] {
		for directive := range strings.SplitSeq(line, ",") {
			switch strings.ToLower(strings.TrimSpace(directive)) {
			case "private", "no-store":
				return
			}
		}
	}
	h["Cache-Control"] = append(h["Cache-Control"], "private")
}

// fail answers for an upstream that did not. The client learns nothing about where it is (bar 101).
func (g *Gateway) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := w.(*passage)
	p.answered = true
	var ended *streamEnded
	cause := context.Cause(r.Context())
	switch {
	case errors.As(cause, &ended):
		httpauth.WriteVerdict(w, &ended.verdict)
	case errors.Is(cause, errStopping):
		httpauth.WriteError(w, latchward.Errorf(latchward.CodeUnavailable, "The gateway is stopping; send the request again."))
	case cause != nil && !errors.Is(cause, errInterims):
		panic(http.ErrAbortHandler) // the client has left; nobody reads an answer
	case p.body.broken.Load():
		refuse(w)
	default:
		g.failUpstream(w, r, errors.Join(err, cause))
	}
}

func (g *Gateway) failUpstream(w http.ResponseWriter, r *http.Request, err error) {
	status, text := http.StatusBadGateway, "The service behind this gateway cannot be reached"
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		status, text = http.StatusGatewayTimeout, "The service behind this gateway did not answer in time"
	}
	g.options.Logger.Warn("Upstream failed.", "upstream", r.URL.Host, "status", status, "error", err)
	writeProblem(w, status, latchward.CodeUnavailable, text)
}

func writeProblem(w http.ResponseWriter, status int, code latchward.Code, text string) {
	httpauth.WriteProblem(w, &httpauth.Problem{
		Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: text, Error: text, Code: string(code),
	})
}

// quiet takes what ReverseProxy would print: broken connections are normal, and what else goes wrong g.fail knows.
var quiet = log.New(io.Discard, "", 0)

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

// cleanSetCookies takes our cookies out of an answer.
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
