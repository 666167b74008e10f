package extauthz

import (
	"context"
	"net/http"
	"net/netip"
	"net/textproto"
	"net/url"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
)

// Options configures interceptors. Verifier is required; the zero value of every other field is a default.
type Options struct {
	Verifier latchward.Verifier           // decides; a Service or the client of a server
	Recorder latchward.Recorder           // takes usage; nil = the Verifier, if it is one, and else none is recorded
	Persons  httpauth.PersonAuthenticator // accepts JWTs of the host application beside tokens; nil = refuses them
	Proxies  *httpauth.Proxies            // who may tell client addresses, in metadata; nil = nobody
	Guard    *httpauth.Guard              // bounds attempts with invalid credentials; nil = does not
	Prefix   string                       // of our secrets; "" = latchward.DefaultPrefix
	// Needs says what a method needs, by its full name such as "/store.Orders/Read"; nil = nothing but a credential. It
	// is asked for every call, so it should look things up rather than make them.
	Needs func(method string) Needs
	Now   func() time.Time // nil = time.Now
}

// Needs is what a method needs. The zero Needs is a good credential.
type Needs struct {
	Public   bool                      // no credential is looked at: no subject, no limit, no usage
	Optional bool                      // calls without a credential pass as anonymous
	Query    latchward.PermissionQuery // upon the permissions of the caller
	Licenses []string                  // by name, all of them
	Roles    []string                  // by name, all of them
	Groups   []string                  // by name, all of them
	Cost     int64                     // units of the limits; 0 = 1
}

// UnaryInterceptor returns an interceptor that lets only calls pass whose metadata "authorization" holds a token (or
// JWT) that may make them. Tokens are judged for POST and the full method as path, as in the pattern "/store.Orders/*".
// Handlers find the verdict with [latchward.VerdictFrom]. Metadata by which a caller claims to be somebody is removed,
// as httpauth does with headers; limits are told in header metadata under the names that HTTP has for them. A call is
// recorded when it ends in whatever way.
//
// It panics when there is no Verifier.
func UnaryInterceptor(o Options) grpc.UnaryServerInterceptor {
	guard := newGuard(o)
	return func(
		ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler,
	) (reply any, err error) {
		c, err := guard.enter(ctx, info.FullMethod)
		c.received(request)
		finished := false
		defer func() { c.finish(err, finished) }()
		_ = grpc.SetHeader(ctx, c.limits) // fails when there is no call, as in tests of handlers
		if err == nil {
			if reply, err = handler(c.ctx, request); err == nil {
				c.sent(reply)
			}
		}
		finished = true
		return reply, err
	}
}

// StreamInterceptor is [UnaryInterceptor] for streams. One stream is one call, whatever it carries; but a message on a
// stream for which the last verdict is older than a second passes only if the caller still may make the call, so that a
// stream ends soon after its token was revoked. That costs nothing of a limit.
func StreamInterceptor(o Options) grpc.StreamServerInterceptor {
	guard := newGuard(o)
	return func(
		server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler,
	) (err error) {
		c, err := guard.enter(stream.Context(), info.FullMethod)
		finished := false
		defer func() { c.finish(err, finished) }()
		_ = stream.SetHeader(c.limits) // fails when headers were sent, and then nothing reads them
		if err == nil {
			err = handler(server, &judgedStream{stream, c})
		}
		finished = true
		return err
	}
}

// guard decides about calls.
type guard struct{ Options }

func newGuard(o Options) *guard {
	if o.Verifier == nil {
		panic("extauthz: Options.Verifier is required")
	}
	if recorder, ok := o.Verifier.(latchward.Recorder); ok && o.Recorder == nil {
		o.Recorder = recorder
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &guard{o}
}

// enter judges a call and returns it; with an error when it may not go on.
func (g *guard) enter(ctx context.Context, method string) (*call, error) {
	c := &call{ctx: ctx, guard: g, arrived: g.Now()}
	c.judged.Store(c.arrived.UnixNano())
	needs := Needs{}
	if g.Needs != nil {
		needs = g.Needs(method)
	}
	r := requestOf(ctx, method)
	c.ctx = withoutIdentity(ctx)
	if needs.Public {
		return c, nil
	}
	c.request, c.judge = r, httpauth.Judge{
		Verifier: g.Verifier, Persons: g.Persons, Proxies: g.Proxies, Prefix: g.Prefix, Now: g.Now,
		Query: needs.Query, Licenses: needs.Licenses, Rights: true,
		Cost: func(*http.Request) int64 { return max(1, needs.Cost) },
	}
	v, path, err := c.judge.Judge(r)
	if err != nil {
		return c, failure(err)
	}
	address := g.Proxies.ClientAddress(r)
	c.describe(&v, path, address, r.UserAgent())
	switch {
	case v.Allowed():
		err = needs.missing(&v)
	case needs.Optional && v.Reason == latchward.ReasonMissing:
	case g.exhausted(&v, address):
		err = failure(latchward.Errorf(latchward.CodeExhausted,
			"Too many invalid credentials came from this address; wait a minute, then send a valid one"))
	default:
		err = refusal(&v, c.judge.Missing(&v))
	}
	c.ctx = latchward.WithVerdict(c.ctx, v)
	return c, err
}

// exhausted counts a credential that is no good, and reports whether address had used up its attempts.
func (g *guard) exhausted(v *latchward.Verdict, address netip.Addr) bool {
	switch v.Reason {
	case latchward.ReasonMalformed, latchward.ReasonNotFound, latchward.ReasonRevoked:
		if g.Guard.Exhausted(address) {
			return true
		}
		g.Guard.Failed(address)
	}
	return false
}

// missing returns the status of a caller who lacks a role or group. The verdict tells about everything else.
func (n *Needs) missing(v *latchward.Verdict) error {
	for _, name := range n.Roles {
		if !v.Rights.HasRole(name) {
			return failure(latchward.Errorf(latchward.CodeForbidden, "Needs the role %s", name))
		}
	}
	for _, name := range n.Groups {
		if !v.Rights.HasGroup(name) {
			return failure(latchward.Errorf(latchward.CodeForbidden, "Needs the group %s", name))
		}
	}
	return nil
}

// requestOf returns the HTTP request that a call is, as far as a verdict depends on it.
func requestOf(ctx context.Context, method string) *http.Request {
	r := &http.Request{
		Method: http.MethodPost, RequestURI: method, URL: &url.URL{Path: method}, Header: http.Header{},
	}
	r = r.WithContext(ctx)
	if p, ok := peer.FromContext(ctx); ok && p.Addr != nil {
		r.RemoteAddr = p.Addr.String()
	}
	values, _ := metadata.FromIncomingContext(ctx)
	for name, list := range values {
		if !strings.HasPrefix(name, ":") && !strings.HasSuffix(name, "-bin") {
			r.Header[textproto.CanonicalMIMEHeaderKey(name)] = list
		}
	}
	return r
}

// withoutIdentity removes from the metadata that handlers see what would name the caller (bar 90).
func withoutIdentity(ctx context.Context) context.Context {
	values, ok := metadata.FromIncomingContext(ctx) // a copy
	if !ok {
		return ctx
	}
	httpauth.StripIdentity(http.Header(values))
	return metadata.NewIncomingContext(ctx, values)
}
