package oauth

import (
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
	"github.com/latchward/latchward/internal/jwt"
)

// Where the endpoints are, from the root of the issuer.
const (
	Root           = "/oauth/"
	TokenPath      = Root + "token"
	IntrospectPath = Root + "introspect"
	RevokePath     = Root + "revoke"
	MetadataPath   = "/.well-known/oauth-authorization-server" // RFC 8414 §3
)

// Options configures a [Handler]. Service is required.
type Options struct {
	Service *latchward.Service
	Persons httpauth.PersonAuthenticator // nil = no JWT stands for a person
	Proxies *httpauth.Proxies            // nil = no proxy is trusted
	Guard   *httpauth.Guard              // nil = attempts to guess are not limited
	// Issuer is the URL under which clients reach the endpoints, see [ValidateIssuer]. "" = not known: there is no
	// metadata then, and no token is asked for by naming its resource.
	Issuer string
	// TokenLifetime is how long an API token lives at most that a person asks for without [ScopeOffline]; 0 =
	// DefaultTokenLifetime.
	TokenLifetime time.Duration
	Base          string           // under which the protected API is, as latchward.ValidateBase returns it
	Logger        *slog.Logger     // nil = nowhere
	Now           func() time.Time // nil = time.Now
}

// handler serves the endpoints.
type handler struct {
	Options
	service *latchward.Service
	now     func() time.Time
	log     *slog.Logger
	routes  map[string]route
	pulse   pulse

	statusLists route

	revocations *httpauth.Guard
}

// route is one endpoint. What it returns as an error is answered as RFC 6749 §5.2 has it.
type route struct {
	method string
	answer func(w http.ResponseWriter, r *http.Request) error
}

// Handler serves [Root] and [MetadataPath], and answers 404 for all other paths.
func Handler(o Options) http.Handler {
	h := &handler{Options: o, service: o.Service, now: o.Now, log: o.Logger}
	if h.TokenLifetime == 0 {
		h.TokenLifetime = DefaultTokenLifetime
	}
	if h.now == nil {
		h.now = time.Now
	}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	h.revocations = httpauth.NewGuard(RevocationsPerMinute, h.now)
	h.routes = map[string]route{
		TokenPath:      {http.MethodPost, h.token},
		IntrospectPath: {http.MethodPost, h.introspect},
		RevokePath:     {http.MethodPost, h.revoke},
		MetadataPath:   {http.MethodGet, h.metadata},
		KeysPath:       {http.MethodGet, h.publicKeys},
	}
	h.statusLists = route{http.MethodGet, h.statusList}
	return h
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("Pragma", "no-cache") // RFC 6749 §5.1
	header.Set("X-Content-Type-Options", "nosniff")
	header.Add("Vary", "Authorization")
	if err := h.serve(w, r); err != nil {
		h.refuse(w, r, err)
	}
}

func (h *handler) serve(w http.ResponseWriter, r *http.Request) error {
	route, ok := h.routes[r.URL.EscapedPath()]
	if !ok && strings.HasPrefix(r.URL.EscapedPath(), jwt.StatusListsPath) {
		route, ok = h.statusLists, true
	}
	if !ok {
		return &fault{status: http.StatusNotFound, code: codeInvalidRequest, text: "There is nothing at this address"}
	}
	if route.method != r.Method && (route.method != http.MethodGet || r.Method != http.MethodHead) {
		allow := strings.Replace(route.method, http.MethodGet, "GET, HEAD", 1)
		return &fault{
			status: http.StatusMethodNotAllowed, code: codeInvalidRequest, text: "Use " + allow + " here", allow: allow,
		}
	}
	return route.answer(w, r)
}
