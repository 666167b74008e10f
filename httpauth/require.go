package httpauth

import (
	"net/http"
	"time"

	"github.com/latchward/latchward"
)

// OnError says what happens to a request for which no verdict could be made.
type OnError int

// The ways to go on without a verdict.
const (
	OnErrorRefuse OnError = iota // answer 503 with Retry-After
	OnErrorAllow                 // serve the request, without a verdict in its context, and do not record it
)

// Options configures [Require]. The zero value of every field is a default.
type Options struct {
	Base        string                    // removed from paths before they are judged, such as "/api"
	Prefix      string                    // of our secrets, to find them in queries; "" = latchward.DefaultPrefix
	Persons     PersonAuthenticator       // accepts JWTs of the host application beside tokens; nil = refuses them
	Proxies     *Proxies                  // who may tell client addresses; nil = nobody
	Optional    bool                      // let requests without a credential pass as anonymous
	OnError     OnError                   // for requests that cannot be judged
	Recorder    latchward.Recorder        // takes usage; nil = none is recorded
	Permissions []string                  // what every request needs, all of them
	Query       latchward.PermissionQuery // what else every request needs; the zero query asks nothing
	Licenses    []string                  // names; every request needs a seat of each
	Rights      bool                      // Verdict.Rights are to be told, also by a remote Verifier
	Cost        func(*http.Request) int64 // units of the limits, at least 1; nil = 1
	Audience    string                    // for whom derived tokens must be; "" = Latchward itself
	Guard       *Guard                    // bounds attempts with invalid credentials; nil = does not
	Now         func() time.Time          // nil = time.Now
}

// Require returns middleware that serves only requests whose Authorization header holds a token (or JWT) that may make
// them, and answers the others itself before reading their body. Handlers find the verdict with
// [latchward.VerdictFrom]. It is safe for concurrent use.
//
// Paths outside Options.Base are answered with 404. Limit headers are set before the handler runs, so they are on
// its errors, too. Identity headers that the client sent are removed; credentials are left to the handler. The
// preflight requests of browsers carry no credential: answer them in front of it.
//
// Usage is recorded once for each request of a proven token or person, when it ends in whatever way: a panic counts as
// 500 and goes on, a client that left before the answer as 499. On a hijacked connection it counts what went over it
// until the handler returned.
//
// Require panics when v is nil or Options.Base is no path.
func Require(v latchward.Verifier, o Options) func(http.Handler) http.Handler {
	base, err := latchward.ValidateBase(o.Base)
	if err != nil || v == nil {
		panic("httpauth.Require: a Verifier and a base that is a path are needed: " + latchward.ErrorMessage(err))
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	judge := Judge{
		Verifier: v, Persons: o.Persons, Proxies: o.Proxies, Base: base, Prefix: o.Prefix,
		Permissions: o.Permissions, Query: o.Query, Licenses: o.Licenses, Rights: o.Rights, Cost: o.Cost, Audience: o.Audience, Now: o.Now,
	}
	return func(next http.Handler) http.Handler { return &required{judge: judge, options: o, next: next} }
}

// required is a handler that [Require] protects.
type required struct {
	judge   Judge
	options Options
	next    http.Handler
}

func (h *required) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	arrived := h.options.Now()
	StripIdentity(r.Header)
	StripIdentity(r.Trailer)
	address := h.judge.Proxies.ClientAddress(r)
	v, path, err := h.judge.judge(r, address)
	e := newExchange(w, r)
	defer e.finish(h, arrived)
	if v.Tracked() {
		e.describe(r, &v, path, address)
	}
	switch {
	case err == nil && h.passes(&v):
		SetLimitHeaders(w.Header(), &v)
		h.next.ServeHTTP(e, e.requestWith(latchward.WithVerdict(r.Context(), v)))
	case err == nil:
		h.options.Guard.refuse(e, &v, address, h.judge.Missing(&v))
	case h.options.OnError == OnErrorAllow && latchward.ErrorCode(err) == latchward.CodeUnavailable:
		h.next.ServeHTTP(e, e.requestWith(r.Context()))
	default:
		WriteError(e, err)
	}
	e.returned = true
}

func (h *required) passes(v *latchward.Verdict) bool {
	return v.Allowed() || h.options.Optional && v.Reason == latchward.ReasonMissing
}
