package rest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
)

// KeyManager changes the server keys where they are kept. Both methods return what [latchward.Service.UseKeys] and
// [latchward.KeyRing] return; the principal is in the context and has been found to be an administrator.
type KeyManager interface {
	RotateKey(ctx context.Context) error
	DropKey(ctx context.Context, version int) error
}

// Options configures a [Handler]. Service is required.
type Options struct {
	Service *latchward.Service
	Persons httpauth.PersonAuthenticator // nil = nobody can sign in; only requests with a principal may manage
	Proxies *httpauth.Proxies            // nil = no proxy is trusted
	Guard   *httpauth.Guard              // nil = attempts to guess are not limited
	Keys    KeyManager                   // nil = the server keys cannot be changed through the API
	Logger  *slog.Logger                 // nil = nowhere
	Version string                       // of the program, in the OpenAPI document; "" = "dev"
	Now     func() time.Time             // nil = time.Now
}

// handler serves the routes.
type handler struct {
	Options
	service     *latchward.Service
	now         func() time.Time
	log         *slog.Logger
	fixed       map[string][]*route // by path, of those without a parameter in it
	parametric  []*route
	callers     callers
	revocations *httpauth.Guard // of revocations by possession
	queries     queries

	// What a verification on its way needs, used again and again.
	events        sync.Pool // of *latchward.UsageEvent
	scratch       sync.Pool // of *scratch
	verifierNeeds []string
	headers       struct{ noStore, noSniff, json, vary []string }
}

// Handler serves the management API under /api/api-tokens and everything else under /api/latchward, and answers 404
// for all other paths. GET routes answer HEAD too. A request whose context has a principal (see
// [latchward.WithPrincipal]) acts as that principal, whatever credential it carries.
func Handler(o Options) http.Handler {
	h := &handler{Options: o, service: o.Service, now: o.Now, log: o.Logger, fixed: map[string][]*route{}}
	if h.now == nil {
		h.now = time.Now
	}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	h.revocations = httpauth.NewGuard(revocationsPerMinute, h.now)
	h.callers.recorded = map[latchward.TokenID]time.Time{}
	h.events.New = func() any { return new(latchward.UsageEvent) }
	h.scratch.New = func() any { return new(scratch) }
	h.verifierNeeds = []string{latchward.PermissionVerify}
	h.headers.noStore, h.headers.noSniff = []string{"no-store"}, []string{"nosniff"}
	h.headers.json, h.headers.vary = []string{jsonMedia}, []string{"Authorization"}
	for _, r := range h.routes() {
		if strings.Contains(r.path, "{") {
			h.parametric = append(h.parametric, &r)
		} else {
			h.fixed[r.path] = append(h.fixed[r.path], &r)
		}
	}
	return h
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer h.recover(w, r)
	header := w.Header()
	header["Cache-Control"], header["X-Content-Type-Options"] = h.headers.noStore, h.headers.noSniff
	if err := h.serve(w, r); err != nil {
		h.refuse(w, r, err)
	}
}

func (h *handler) serve(w http.ResponseWriter, r *http.Request) error {
	route, at, err := h.find(r)
	if err != nil {
		return err
	}
	switch route.access {
	case persons:
		ctx, verdict, err := h.person(r, route.permission)
		if err != nil {
			return err
		}
		err = route.answer(w, r.WithContext(ctx), at)
		h.recordCall(r, &verdict, route.statusOf(err))
		return err
	case verifiers:
		caller, err := h.caller(r)
		if err != nil {
			return err
		}
		err = route.answer(w, r, at)
		if caller.Token.ID != 0 && h.callers.due(caller.Token.ID, caller.At) {
			h.recordCall(r, &caller, route.statusOf(err))
		}
		return err
	case holders:
		return h.serveHolder(route, w, r, at)
	case possessors:
		return route.answer(w, h.presenting(r, latchward.Secret{}), at)
	default:
		return route.answer(w, r, at)
	}
}

// statusOf returns the status that err, or success, is answered with.
func (o *operation) statusOf(err error) int {
	var fault *fault
	switch {
	case err == nil:
		return o.status
	case errors.As(err, &fault):
		return fault.Status
	default:
		return httpauth.StatusOfCode(latchward.ErrorCode(err))
	}
}

// find returns the route for r and what the parameters in its path say. Paths are compared as they came: none of ours
// needs an escape, so that what a proxy in front saw is what is served.
func (h *handler) find(r *http.Request) (*route, place, error) {
	path := r.URL.EscapedPath()
	candidates, at := h.fixed[path], place{}
	if candidates == nil {
		var err error
		if candidates, at, err = h.findParameters(path); err != nil {
			return nil, at, err
		}
	}
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	for _, route := range candidates {
		if route.method == method {
			return route, at, nil
		}
	}
	if candidates == nil {
		return nil, at, latchward.Errorf(latchward.CodeNotFound, "There is nothing at this address")
	}
	return nil, at, notAllowed(candidates)
}

func (h *handler) findParameters(path string) (candidates []*route, at place, err error) {
	var given [][2]string
	for _, route := range h.parametric {
		if parameters, ok := match(route.path, path); ok {
			given, candidates = parameters, append(candidates, route)
		}
	}
	for i, parameter := range given {
		name, value := parameter[0], parameter[1]
		switch {
		case name == "name":
			at.Name, err = value, latchward.ValidatePermissions("name", []string{value})
			if err != nil {
				err = latchward.Invalid("name", "must look like resource.action, in lower case")
			}
		case i == 0:
			at.ID, err = parseNumber(name, value)
		default:
			at.Second, err = parseNumber(name, value)
		}
		if err != nil {
			return candidates, at, err
		}
	}
	return candidates, at, nil
}

// match returns the parameters of a pattern, each with its name and value, if path has its form.
func match(pattern, path string) (parameters [][2]string, ok bool) {
	for {
		segment, patterns, more := strings.Cut(pattern, "/")
		value, paths, moreOfPath := strings.Cut(path, "/")
		name, isParameter := strings.CutPrefix(segment, "{")
		switch {
		case more != moreOfPath || isParameter && value == "" || !isParameter && value != segment:
			return nil, false
		case isParameter:
			parameters = append(parameters, [2]string{strings.TrimSuffix(name, "}"), value})
		}
		if !more {
			return parameters, true
		}
		pattern, path = patterns, paths
	}
}

// parseNumber reads the number in a path. One that is too large for any record is taken for the largest, which none
// has either.
func parseNumber(name, digits string) (int64, error) {
	if strings.Trim(digits, "0123456789") != "" {
		return 0, latchward.Invalid(name, "must be a whole number")
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, latchward.Invalid(name, "must be a whole number")
	}
	return n, nil
}

func notAllowed(candidates []*route) error {
	var methods []string
	for _, route := range candidates {
		methods = append(methods, route.method)
		if route.method == http.MethodGet {
			methods = append(methods, http.MethodHead)
		}
	}
	allow := strings.Join(methods, ", ")
	return &fault{Status: http.StatusMethodNotAllowed, Message: "Use one of these methods here: " + allow, Allow: allow}
}

// refuse answers with what the caller may know of err and logs the rest.
func (h *handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	var refusal *refusal
	if errors.As(err, &refusal) {
		h.Guard.Refuse(w, &refusal.verdict, h.Proxies.ClientAddress(r))
		return
	}
	if code := latchward.ErrorCode(err); code == latchward.CodeInternal || code == latchward.CodeUnavailable {
		h.log.ErrorContext(r.Context(), "Request failed.", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	httpauth.WriteError(w, err)
}

// recover answers a panic with a generic 500 (bar 131). What a panic says may hold anything, so only the runtime's
// own errors are logged in words; the stack has no values in it.
func (h *handler) recover(w http.ResponseWriter, r *http.Request) {
	cause := recover()
	if cause == nil {
		return
	}
	if cause == http.ErrAbortHandler { // as net/http compares it
		panic(cause)
	}
	text := fmt.Sprintf("of type %T", cause)
	var known runtime.Error
	if err, ok := cause.(error); ok && errors.As(err, &known) {
		text = known.Error()
	}
	stack := string(debug.Stack())
	h.log.ErrorContext(r.Context(), "A handler panicked.", "method", r.Method, "panic", text, "stack", stack)
	httpauth.WriteError(w, errInternal)
}

var errInternal = errors.New("a handler panicked")
