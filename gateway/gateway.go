package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httputil"
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
	Prefix string   // of the judged paths that go to it, ending at a segment border; "/" = all; longest wins
	URL    *url.URL // scheme http or https, host, and the path that takes the place of the gateway's base
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

	PassCredential bool          // leave Authorization and X-API-Key in the request for the upstream
	Open           bool          // non-authenticated mode: everything passes, nothing is judged or recorded (S3-19)
	DialTimeout    time.Duration // 0 = DefaultDialTimeout
	HeaderTimeout  time.Duration // 0 = DefaultHeaderTimeout
	StreamCheck    time.Duration // 0 = DefaultStreamCheck
	// StreamEnded is told of each stream that was ended because its verdict has become v; nil = nobody is.
	StreamEnded func(ctx context.Context, v latchward.Verdict) error

	Logger *slog.Logger     // nil = nowhere
	Now    func() time.Time // nil = time.Now
}

// Gateway is the handler of everything under its base. Use [New]; keep [Gateway.Run] running, or open streams outlive
// their tokens.
type Gateway struct {
	options Options
	handler http.Handler // judges, or in open mode only cleans
	routes  []*route     // longest prefix first
	streams streams
}

// route is an upstream, ready to be proxied to.
type route struct {
	prefix string
	target *url.URL
	path   string // of the target, without a trailing slash
	proxy  *httputil.ReverseProxy
}

// New returns a Gateway. Errors are of code invalid and name upstreams[i] or base.
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
	g := &Gateway{options: o}
	g.streams.judge = httpauth.Judge{
		Verifier: o.Verifier, Persons: o.Persons, Proxies: o.Proxies, Base: base, Prefix: o.Prefix, Now: o.Now,
	}
	if g.routes, err = g.newRoutes(o.Upstreams); err != nil {
		return nil, err
	}
	forward := http.HandlerFunc(g.forward)
	g.handler = httpauth.Require(o.Verifier, httpauth.Options{
		Base: base, Prefix: o.Prefix, Persons: o.Persons, Proxies: o.Proxies, Recorder: o.Recorder, Guard: o.Guard, Now: o.Now,
	})(forward)
	if o.Open {
		g.handler = open(base, forward)
	}
	return g, nil
}

func (g *Gateway) newRoutes(upstreams []Upstream) ([]*route, error) {
	if len(upstreams) == 0 {
		return nil, latchward.Invalid("upstreams", "name at least one upstream")
	}
	transport := newTransport(g.options)
	buffers := newBufferPool()
	var routes []*route
	for i, u := range upstreams {
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
		r := &route{prefix: prefix, target: u.URL, path: strings.TrimSuffix(u.URL.EscapedPath(), "/")}
		r.proxy = &httputil.ReverseProxy{
			Rewrite: g.rewrite(r), Transport: transport, BufferPool: buffers,
			ModifyResponse: g.cleanResponse, ErrorHandler: g.fail, ErrorLog: quiet,
		}
		routes = append(routes, r)
	}
	slices.SortFunc(routes, func(a, b *route) int { return len(b.prefix) - len(a.prefix) })
	return routes, nil
}

func checkURL(field string, u *url.URL) error {
	switch {
	case u == nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return latchward.Invalid(field, "must be an http or https URL with a host")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
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
		httpauth.WriteProblem(w, &httpauth.Problem{
			Type: "about:blank", Title: http.StatusText(http.StatusMethodNotAllowed), Status: http.StatusMethodNotAllowed,
			Detail: "Method not allowed", Error: "Method not allowed", Code: "method_not_allowed",
		})
		return
	}
	if hosts := r.Header["Host"]; len(hosts) > 0 && (len(hosts) > 1 || hosts[0] != r.Host) {
		refuseRequest(w) // HTTP/2 with two authorities (bar 29)
		return
	}
	g.handler.ServeHTTP(w, r)
}

func refuseRequest(w http.ResponseWriter) {
	httpauth.WriteVerdict(w, &latchward.Verdict{Reason: latchward.ReasonBadRequest})
}

// open lets every request with an unambiguous path under the base pass; a credential says nothing in this mode.
func open(base string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		target, _, _ := strings.Cut(r.RequestURI, "?")
		path, err := latchward.CanonicalPath(target)
		if err != nil {
			refuseRequest(w)
			return
		}
		judged, under := latchward.JudgedPath(path, base)
		if !under {
			httpauth.WriteError(w, latchward.Errorf(latchward.CodeNotFound, "Not found"))
			return
		}
		httpauth.StripIdentity(r.Header)
		v := latchward.Verdict{Reason: latchward.ReasonMissing, Path: judged}
		next.ServeHTTP(w, r.WithContext(latchward.WithVerdict(r.Context(), v)))
	})
}

// forward hands a request that may pass to its upstream.
func (g *Gateway) forward(w http.ResponseWriter, r *http.Request) {
	v, _ := latchward.VerdictFrom(r.Context())
	route := g.route(v.Path)
	if route == nil {
		httpauth.WriteError(w, latchward.Errorf(latchward.CodeNotFound, "Not found"))
		return
	}
	cleanRequest(r)
	guardForm(r, &v)
	if g.options.Open {
		route.proxy.ServeHTTP(w, r)
		return
	}
	ctx, done := g.streams.watch(r, &v)
	defer done()
	route.proxy.ServeHTTP(w, r.WithContext(ctx))
}

func (g *Gateway) route(path string) *route {
	for _, r := range g.routes {
		if _, ok := latchward.JudgedPath(path, r.prefix); ok {
			return r
		}
	}
	return nil
}

// rewrite makes the request that the upstream gets. What it sets cannot be taken away by a client's Connection header,
// which ReverseProxy has obeyed before (bar 89).
func (g *Gateway) rewrite(route *route) func(*httputil.ProxyRequest) {
	return func(p *httputil.ProxyRequest) {
		v, _ := latchward.VerdictFrom(p.In.Context())
		p.Out.URL = &url.URL{
			Scheme: route.target.Scheme, Host: route.target.Host,
			// Opaque goes out as it stands, byte for byte what was judged; Path would be encoded once more.
			Opaque: route.path + v.Path, RawQuery: p.In.URL.RawQuery, ForceQuery: p.In.URL.ForceQuery,
		}
		p.Out.Host = route.target.Host
		p.Out.Trailer = nil // clients say in trailers what they may not say in headers (bar 91)
		g.setForwarded(p)
		if !g.options.PassCredential {
			p.Out.Header.Del("Authorization")
			p.Out.Header.Del("X-Api-Key")
		}
		httpauth.SetIdentity(p.Out.Header, &v)
	}
}

// setForwarded tells the upstream whom the request came from. What a client says about that is dropped, unless the
// peer is a proxy that is trusted to say it.
func (g *Gateway) setForwarded(p *httputil.ProxyRequest) {
	trusted := g.options.Proxies.TrustsPeer(p.In)
	if trusted {
		if chain := p.In.Header["X-Forwarded-For"]; len(chain) > 0 {
			p.Out.Header["X-Forwarded-For"] = chain
		}
	}
	p.SetXForwarded()
	if !trusted {
		return
	}
	for _, name := range []string{"X-Forwarded-Proto", "X-Forwarded-Host"} {
		if told := p.In.Header[name]; len(told) == 1 {
			p.Out.Header[name] = told
		}
	}
}
