package gateway

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
)

// Defaults of [Options].
const (
	DefaultDialTimeout   = 5 * time.Second
	DefaultHeaderTimeout = 60 * time.Second // for an upstream's response header
	DefaultStreamCheck   = 2 * time.Second  // between two looks at an open stream's token (bar 53: at most 5 s)
)

// Upstream is an API behind the gateway.
type Upstream struct {
	Prefix      string   // of the judged paths that go to it, ending at a segment border; "/" = all; longest wins
	URL         *url.URL // scheme http or https, host, and the path that takes the place of the gateway's base
	NoWebSocket bool     // no connection to it may become a WebSocket
}

// Options configures a [Gateway]. Verifier and at least one upstream are required.
type Options struct {
	Verifier  latchward.Verifier
	Recorder  latchward.Recorder // nil = usage is not recorded
	Persons   httpauth.PersonAuthenticator
	Proxies   *httpauth.Proxies
	Guard     *httpauth.Guard
	Base      string // such as "/api"
	Prefix    string // of our secrets; "" = latchward.DefaultPrefix
	Upstreams []Upstream

	PassCredential bool           // leave Authorization and X-API-Key in the request for the upstream
	Open           bool           // non-authenticated mode: everything passes, nothing is judged or recorded (S3-19)
	RootCAs        *x509.CertPool // who may vouch for https upstreams; nil = whom the host trusts
	DialTimeout    time.Duration  // for connecting, and again for the TLS handshake; 0 = DefaultDialTimeout
	HeaderTimeout  time.Duration  // from the end of a request to the head of its answer; 0 = DefaultHeaderTimeout
	StreamCheck    time.Duration  // 0 = DefaultStreamCheck
	// StreamEnded is told of each stream that was ended because its verdict has become v; nil = nobody is.
	StreamEnded func(ctx context.Context, v latchward.Verdict) error

	Logger *slog.Logger     // nil = nowhere
	Now    func() time.Time // nil = time.Now
}

// Gateway is the handler of everything under its base. Use [New]; keep [Gateway.Run] running, or open streams outlive
// their tokens. It is safe for concurrent use.
type Gateway struct {
	options   Options
	judge     httpauth.Judge
	handler   http.Handler // judges, unless in open mode, and then forwards
	routes    []*route     // longest prefix first
	transport *http.Transport
	buffers   buffers
	streams   streams
}

// New returns a Gateway. Errors are of code invalid and name verifier, base, upstreams, or upstreams[i].prefix or .url.
func New(o Options) (*Gateway, error) {
	base, err := latchward.ValidateBase(o.Base)
	if err != nil {
		return nil, err
	}
	if o.Verifier == nil && !o.Open {
		return nil, latchward.Invalid("verifier", "is required")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	g := &Gateway{options: o, transport: newTransport(&o), judge: httpauth.Judge{
		Verifier: o.Verifier, Persons: o.Persons, Proxies: o.Proxies, Base: base, Prefix: o.Prefix, Now: o.Now,
	}}
	if g.routes, err = newRoutes(&o); err != nil {
		return nil, err
	}
	if g.handler = http.HandlerFunc(g.open); !o.Open {
		g.handler = httpauth.Require(o.Verifier, httpauth.Options{
			Base: base, Prefix: o.Prefix, Persons: o.Persons, Proxies: o.Proxies, Recorder: o.Recorder, Guard: o.Guard, Now: o.Now,
		})(http.HandlerFunc(g.judged))
	}
	return g, nil
}

// route is an upstream as requests are sent to it.
type route struct {
	prefix       string
	scheme, host string
	path         string // without a trailing slash
	webSocket    bool   // may be upgraded to
	lanes        *lanes // nil = everything goes through the transport
}

func newRoutes(o *Options) ([]*route, error) {
	if len(o.Upstreams) == 0 {
		return nil, latchward.Invalid("upstreams", "name at least one upstream")
	}
	var routes []*route
	for i, u := range o.Upstreams {
		field := fmt.Sprintf("upstreams[%d]", i)
		prefix, err := latchward.ValidateBase(u.Prefix)
		if err != nil {
			return nil, latchward.Invalid(field+".prefix", "%s", latchward.ErrorMessage(err))
		}
		if err := checkURL(field+".url", u.URL); err != nil {
			return nil, err
		}
		if slices.ContainsFunc(routes, func(r *route) bool { return r.prefix == prefix }) {
			return nil, latchward.Invalid(field+".prefix", "another upstream has the same prefix")
		}
		routes = append(routes, &route{
			prefix: prefix, scheme: u.URL.Scheme, host: u.URL.Host, path: strings.TrimSuffix(u.URL.EscapedPath(), "/"),
			webSocket: !u.NoWebSocket, lanes: newLanes(u.URL, o),
		})
	}
	slices.SortFunc(routes, func(a, b *route) int { return len(b.prefix) - len(a.prefix) })
	return routes, nil
}

func checkURL(field string, u *url.URL) error {
	switch {
	case u == nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return latchward.Invalid(field, "must be an http or https URL with a host")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return latchward.Invalid(field, "must have neither user, query nor fragment")
	}
	if path := u.EscapedPath(); path != "" {
		canonical, err := latchward.CanonicalPath(path)
		if err != nil || canonical != path {
			return latchward.Invalid(field, "its path must be in canonical form")
		}
	}
	return nil
}

// ServeHTTP judges and forwards.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodTrace || r.Method == http.MethodConnect {
		w.Header().Set("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
		writeProblem(w, http.StatusMethodNotAllowed, latchward.CodeInvalid, "Method not allowed")
		return
	}
	if hosts := r.Header["Host"]; len(hosts) > 1 || len(hosts) == 1 && hosts[0] != r.Host || len(r.Header["Content-Length"]) > 1 {
		refuse(w) // HTTP/2 with two authorities or lengths; HTTP/1 has them refused before (bar 29, 93)
		return
	}
	g.handler.ServeHTTP(w, r)
}

func refuse(w http.ResponseWriter) {
	httpauth.WriteVerdict(w, &latchward.Verdict{Reason: latchward.ReasonBadRequest})
}

// judged serves a request that was let in.
func (g *Gateway) judged(w http.ResponseWriter, r *http.Request) {
	v, _ := latchward.VerdictFrom(r.Context())
	g.serve(w, r, v)
}

// open lets in whatever has a method and path with one meaning; a credential says nothing in this mode.
func (g *Gateway) open(w http.ResponseWriter, r *http.Request) {
	path, err := g.judge.Path(r)
	if err == nil {
		_, err = latchward.CanonicalMethod(r.Method)
	}
	if err != nil {
		httpauth.WriteError(w, err)
		return
	}
	g.serve(w, r, latchward.Verdict{Reason: latchward.ReasonMissing, Path: path})
}

// serve hands a request that was let in to its upstream.
func (g *Gateway) serve(w http.ResponseWriter, r *http.Request, v latchward.Verdict) {
	route := g.routeOf(v.Path)
	if route == nil {
		httpauth.WriteError(w, latchward.Errorf(latchward.CodeNotFound, "Not found"))
		return
	}
	p := newPassage(w, r, v)
	defer p.end()
	if !p.guardForm() {
		refuse(w)
		return
	}
	g.streams.add(p)
	defer g.streams.remove(p)
	g.forward(p, route)
}

var errStatus = errors.New("its status is no status of HTTP")

// forward does what httputil.ReverseProxy does. It is written out because that clones what can be shared and because
// what is taken out on both ways is most of what there is to do; see BenchmarkGateway.
func (g *Gateway) forward(p *passage, route *route) {
	response, err := g.send(p, route)
	p.closeInterim()
	switch {
	case err != nil:
		g.fail(p, err)
	case response.StatusCode == http.StatusSwitchingProtocols:
		g.tunnel(p, response)
	case response.StatusCode < 100: // which http.ReadResponse lets pass and no ResponseWriter takes
		_ = response.Body.Close()
		g.failUpstream(p, errStatus)
	default:
		g.answer(p, response)
	}
}

func (g *Gateway) send(p *passage, route *route) (*http.Response, error) {
	out := g.outgoing(p, route)
	switch {
	case route.lanes == nil || p.webSocket:
		return g.transport.RoundTrip(out)
	case out.Body == nil:
		return route.lanes.RoundTrip(out)
	case !isBrief(p.in):
		return g.transport.RoundTrip(out)
	}
	buffer := g.buffers.get()
	defer g.buffers.put(buffer)
	body := buffer[:p.in.ContentLength]
	if err := p.readBody(body); err != nil {
		return nil, err
	}
	out.Body = io.NopCloser(bytes.NewReader(body))
	return route.lanes.RoundTrip(out)
}

func (g *Gateway) routeOf(path string) *route {
	for _, r := range g.routes {
		if _, ok := latchward.JudgedPath(path, r.prefix); ok {
			return r
		}
	}
	return nil
}
