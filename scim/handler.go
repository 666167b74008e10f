package scim

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
)

// Root is where SCIM is, from the root of the API's URL. Everything below it is served here.
const Root = "/scim/v2"

// Options configures a [Handler]. Service is required.
type Options struct {
	Service *latchward.Service
	Proxies *httpauth.Proxies // nil = no proxy is trusted
	Guard   *httpauth.Guard   // nil = attempts to guess are not limited
	URL     string            // of the API as directories reach it, without a path; "" = as each request says
	Subject Subject           // "" = SubjectExternalID
	Logger  *slog.Logger      // nil = nowhere
	Now     func() time.Time  // nil = time.Now
}

// handler serves what is below Root.
type handler struct {
	Options
	service *latchward.Service
	now     func() time.Time
	log     *slog.Logger
	routes  []route
}

// route is one thing that can be asked. "{id}" in its path stands for the id of a resource.
type route struct {
	method, path string
	permission   string // that the token needs
	answer       func(c *call) error
}

// call is one request that may be made, on its way.
type call struct {
	*handler
	w    http.ResponseWriter
	r    *http.Request
	id   string // in the path
	base string // URL of Root as the caller has it
}

// Handler serves SCIM 2.0 under [Root], and answers 404 for all other paths.
func Handler(o Options) http.Handler {
	h := &handler{Options: o, service: o.Service, now: o.Now, log: o.Logger}
	if h.Subject == "" {
		h.Subject = SubjectExternalID
	}
	if h.now == nil {
		h.now = time.Now
	}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	h.routes = routes()
	return h
}

// routes lists everything that can be asked. What is not offered is here, too: it says so (RFC 7644 §3.2).
func routes() []route {
	const get, post, put, patch, del = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete
	const read = latchward.PermissionUsersRead
	list := []route{
		{get, "/ServiceProviderConfig", read, (*call).config},
		{get, "/ResourceTypes", read, (*call).resourceTypes}, {get, "/ResourceTypes/{id}", read, (*call).resourceType},
		{get, "/Schemas", read, (*call).schemas}, {get, "/Schemas/{id}", read, (*call).schema},

		{get, "/Users", read, (*call).listUsers}, {post, "/Users/.search", read, (*call).searchUsers},
		{get, "/Users/{id}", read, (*call).getUser},
		{post, "/Users", latchward.PermissionUsersCreate, (*call).createUser},
		{put, "/Users/{id}", latchward.PermissionUsersUpdate, (*call).replaceUser},
		{patch, "/Users/{id}", latchward.PermissionUsersUpdate, (*call).patchUser},
		{del, "/Users/{id}", latchward.PermissionUsersDelete, (*call).deleteUser},

		{get, "/Groups", latchward.PermissionGroupsRead, (*call).listGroups},
		{post, "/Groups/.search", latchward.PermissionGroupsRead, (*call).searchGroups},
		{get, "/Groups/{id}", latchward.PermissionGroupsRead, (*call).getGroup},
		{post, "/Groups", latchward.PermissionGroupsCreate, (*call).createGroup},
		{put, "/Groups/{id}", latchward.PermissionGroupsUpdate, (*call).replaceGroup},
		{patch, "/Groups/{id}", latchward.PermissionGroupsUpdate, (*call).patchGroup},
		{del, "/Groups/{id}", latchward.PermissionGroupsDelete, (*call).deleteGroup},

		{post, "/Bulk", read, func(*call) error { return notImplemented("Bulk operations are not offered.") }},
		{post, "/.search", read, func(*call) error { return notImplemented("Search users and groups each for itself.") }},
	}
	for _, method := range []string{get, post, put, patch, del} {
		list = append(list, route{method, "/Me", read, func(*call) error {
			return notImplemented("A directory has no account of its own here.")
		}})
	}
	return list
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer h.recover(w, r)
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Vary", "Authorization")
	if err := h.serve(w, r); err != nil {
		h.refuse(w, r, err)
	}
}

// serve asks who is there before anything else, so that nobody else learns what there is.
func (h *handler) serve(w http.ResponseWriter, r *http.Request) error {
	found, id, missing := h.find(r)
	permission := latchward.PermissionUsersRead
	if found != nil {
		permission = found.permission
	}
	ctx, verdict, err := h.caller(r, permission)
	if err != nil {
		return err
	}
	if err = missing; err == nil {
		err = found.answer(&call{handler: h, w: w, r: r.WithContext(ctx), id: id, base: h.base(r)})
	}
	status := http.StatusOK
	if err != nil {
		status = faultOf(err).status
	}
	h.record(r, &verdict, status)
	return err
}

// find returns the route for r, the id in its path, and else why there is none.
func (h *handler) find(r *http.Request) (found *route, id string, err error) {
	path, ok := strings.CutPrefix(strings.TrimSuffix(r.URL.EscapedPath(), "/"), Root)
	var allow []string
	for i := range h.routes {
		one := &h.routes[i]
		value, fits := fit(one.path, path)
		switch {
		case !ok || !fits:
		case one.method == r.Method || one.method == http.MethodGet && r.Method == http.MethodHead:
			return one, value, nil
		default:
			allow = append(allow, one.method)
		}
	}
	if allow == nil {
		return nil, "", &fault{status: http.StatusNotFound, text: "There is nothing at this address."}
	}
	methods := strings.Replace(strings.Join(allow, ", "), http.MethodGet, "GET, HEAD", 1)
	return nil, "", &fault{
		status: http.StatusMethodNotAllowed, text: "Use one of these methods here: " + methods, allow: methods,
	}
}

// fit returns the id in a path of that form.
func fit(form, path string) (id string, ok bool) {
	stem, parametric := strings.CutSuffix(form, "{id}")
	if !parametric {
		return "", form == path
	}
	id, ok = strings.CutPrefix(path, stem)
	return id, ok && id != "" && id != ".search" && !strings.Contains(id, "/")
}

// base returns the URL of Root as whoever sent r has it.
func (h *handler) base(r *http.Request) string {
	if h.URL != "" {
		return strings.TrimSuffix(h.URL, "/") + Root
	}
	scheme := "http"
	if r.TLS != nil || h.Proxies.TrustsPeer(r) && strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https") {
		scheme = "https"
	}
	return scheme + "://" + r.Host + Root
}

// address returns where a resource is.
func (c *call) address(d *definition, id string) string { return c.base + d.endpoint + "/" + id }

// refuse answers with what the caller may know of err and logs the rest.
func (h *handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	var refusal *refusal
	if errors.As(err, &refusal) {
		h.refuseVerdict(w, r, &refusal.verdict)
		return
	}
	f := faultOf(err)
	if f.status == http.StatusInternalServerError || f.status == http.StatusServiceUnavailable {
		h.log.ErrorContext(r.Context(), "Request failed.", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	switch f.status {
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "1")
	case http.StatusTooManyRequests:
		w.Header().Set("Retry-After", "60")
	}
	if f.allow != "" {
		w.Header().Set("Allow", f.allow)
	}
	_ = write(w, f.status, newErrorBody(f.status, f.kind, f.text))
}

// recover answers a panic with a generic 500 (bar 131). What a panic says may hold anything, so only the runtime's own
// errors are logged in words; the stack has no values in it.
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
	_ = write(w, http.StatusInternalServerError, newErrorBody(http.StatusInternalServerError, "", "Internal error."))
}
