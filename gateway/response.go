package gateway

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
)

// answer passes an upstream's answer on to the client.
func (g *Gateway) answer(p *passage, response *http.Response) {
	defer response.Body.Close()
	h := p.w.Header()
	passHeader(h, response.Header)
	if !g.options.Open {
		markPrivate(h)
	}
	announced := announce(h, response.Trailer)
	p.w.WriteHeader(response.StatusCode)
	if err := g.copyBody(p.w, response); err != nil {
		panic(http.ErrAbortHandler) // half an answer must not look like a whole one
	}
	if len(response.Trailer) > 0 {
		passTrailer(p.w, response.Trailer, announced)
	}
}

// copyBody copies the body of a response. One whose length nobody knows may be a stream of events, of which each has to
// arrive before the next is made.
func (g *Gateway) copyBody(w http.ResponseWriter, response *http.Response) error {
	streams := response.ContentLength < 0
	if streams {
		if err := flush(w); err != nil {
			return err
		}
	}
	buffer := g.buffers.get()
	defer g.buffers.put(buffer)
	for {
		n, err := response.Body.Read(buffer[:])
		if n > 0 {
			if _, err := w.Write(buffer[:n]); err != nil {
				return err
			}
			if streams {
				if err := flush(w); err != nil {
					return err
				}
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func flush(w http.ResponseWriter) error { return http.NewResponseController(w).Flush() }

// notPassed are fields of an upstream's answer that no client gets: hop by hop (RFC 9110 §7.6.1), or about the upstream.
var notPassed = map[string]bool{
	"Connection": true, "Proxy-Connection": true, "Keep-Alive": true, "Proxy-Authenticate": true,
	"Proxy-Authorization": true, "Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true,
	"Server":  true, // tells what is behind us
	"Alt-Svc": true, // would lead clients past us
}

// passHeader adds an upstream's header to one in which we have said something already: that stands, and nothing in the
// upstream's passes for ours (bar 100).
func passHeader(h, from http.Header) {
	for name := range listed(from["Connection"]) {
		from.Del(name)
	}
	cleanSetCookies(from)
	for name, values := range from {
		if passes(h, name) {
			h[name] = values
		}
	}
}

func passes(h http.Header, name string) bool {
	return h[name] == nil && !notPassed[name] && !httpauth.Managed(name)
}

// announce tells the client of the trailer fields that the upstream has announced, and returns those.
func announce(h, trailer http.Header) (announced []string) {
	for name := range trailer {
		if passes(h, name) && name != "Set-Cookie" {
			announced = append(announced, name)
		}
	}
	if announced != nil {
		h["Trailer"] = []string{strings.Join(announced, ", ")}
	}
	return announced
}

// passTrailer passes an upstream's trailer on, also the fields that were not announced.
func passTrailer(w http.ResponseWriter, trailer http.Header, announced []string) {
	_ = flush(w) // so that the server does not work out a length, which leaves no room for a trailer
	h := w.Header()
	for name, values := range trailer {
		switch {
		case slices.Contains(announced, name):
			h[name] = values
		case passes(h, name) && name != "Set-Cookie":
			h[http.TrailerPrefix+name] = values
		}
	}
}

// markPrivate tells shared caches that an answer is only for whoever was let in. RFC 9111 §3.5 has them know without
// being told, but not all do, and what they keep outlives the token.
func markPrivate(h http.Header) {
	h["Vary"] = append(h["Vary"], "Authorization")
	delete(h, "X-Accel-Expires") // nginx believes it before Cache-Control
	for directive := range listed(h["Cache-Control"]) {
		if strings.EqualFold(directive, "private") || strings.EqualFold(directive, "no-store") {
			return
		}
	}
	h["Cache-Control"] = append(h["Cache-Control"], "private")
}

// fail answers for an upstream that did not. The client learns nothing about where it is (bar 101).
func (g *Gateway) fail(p *passage, err error) {
	var ended *streamEnded
	cause := context.Cause(p.ctx)
	switch {
	case errors.As(cause, &ended):
		httpauth.WriteVerdict(p.w, &ended.verdict)
	case errors.Is(cause, errStopping):
		httpauth.WriteError(p.w, latchward.Errorf(latchward.CodeUnavailable, "The gateway is stopping; send the request again."))
	case cause != nil:
		panic(http.ErrAbortHandler) // the client has left; nobody reads an answer
	case p.body.broken.Load():
		refuse(p.w)
	default:
		g.failUpstream(p, err)
	}
}

func (g *Gateway) failUpstream(p *passage, err error) {
	status, text := http.StatusBadGateway, "The service behind this gateway cannot be reached"
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		status, text = http.StatusGatewayTimeout, "The service behind this gateway did not answer in time"
	}
	g.options.Logger.Warn("Upstream failed.", "path", p.verdict.Path, "status", status, "error", err)
	writeProblem(p.w, status, latchward.CodeUnavailable, text)
}

func writeProblem(w http.ResponseWriter, status int, code latchward.Code, text string) {
	httpauth.WriteProblem(w, &httpauth.Problem{
		Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: text, Error: text, Code: string(code),
	})
}
