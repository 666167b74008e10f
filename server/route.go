package server

import (
	"context"
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
	"github.com/latchward/latchward/oauth"
	"github.com/latchward/latchward/scim"
)

// Where our own API is, whatever the gateway's base.
const (
	tokensPath = "/api/api-tokens"
	ownPath    = "/api/latchward"
	verifyPath = ownPath + "/verify"
	usagePath  = ownPath + "/usage"
)

// bodyTimeout bounds how long a caller of our own API may take to send a request: all of them are small.
const bodyTimeout = 30 * time.Second

// route sends each request to the surface that its path belongs to. Paths are compared in canonical form, so that no
// spelling of one of ours reaches an upstream. oauth may be nil: its paths are the gateway's then.
func (s *Server) route(management, oauth http.Handler) http.Handler {
	var proxy http.Handler = http.HandlerFunc(notFound)
	if s.gateway != nil {
		proxy = s.gateway
	}
	return s.safely(func(w *response, r *http.Request) {
		surface, start := surfaceOf(r), time.Now()
		if surface == surfaceOAuth && oauth == nil || surface == surfaceSCIM && s.scim == nil {
			surface = surfaceGateway
		}
		if surface == surfaceGateway && s.besideFor(r) != nil {
			surface = surfaceProgram
		}
		s.active.Add(1)
		defer s.active.Done()
		defer s.answered(r, surface, w, start)
		defer s.recoverPanic(r.Context(), w) // before it is counted
		if s.draining.Load() {
			w.Header().Set("Connection", "close")
		}
		switch surface {
		case surfaceGateway:
			proxy.ServeHTTP(w, r)
			return
		case surfaceProgram:
			s.besideFor(r).ServeHTTP(w, r)
			return
		}
		_ = http.NewResponseController(w).SetReadDeadline(start.Add(bodyTimeout)) // where the connection can
		switch surface {
		case surfaceOAuth:
			oauth.ServeHTTP(w, r)
		case surfaceSCIM:
			s.scim.ServeHTTP(w, r)
		default:
			management.ServeHTTP(w, r)
		}
	})
}

func surfaceOf(r *http.Request) surface {
	path, err := latchward.CanonicalPath(r.URL.EscapedPath())
	switch {
	case err != nil:
		return surfaceGateway
	case under(path, verifyPath), path == usagePath:
		return surfaceVerify
	case under(path, tokensPath), under(path, ownPath):
		return surfaceManagement
	case strings.HasPrefix(path, oauth.Root), path == oauth.MetadataPath:
		return surfaceOAuth
	case under(path, scim.Root):
		return surfaceSCIM
	default:
		return surfaceGateway
	}
}

func under(path, parent string) bool {
	rest, ok := strings.CutPrefix(path, parent)
	return ok && (rest == "" || rest[0] == '/')
}

func notFound(w http.ResponseWriter, _ *http.Request) {
	httpauth.WriteError(w, latchward.Errorf(latchward.CodeNotFound, "There is nothing at this address"))
}

// answered counts and logs a request that has ended. The line holds no query: people put secrets there.
func (s *Server) answered(r *http.Request, surface surface, answer *response, start time.Time) {
	took := time.Since(start)
	s.metrics.count(surface, answer.status, took)
	if s.log.Enabled(r.Context(), slog.LevelDebug) {
		s.log.DebugContext(r.Context(), "Request.", "surface", surface.String(), "method", r.Method,
			"path", r.URL.EscapedPath(), "status", answer.status, "duration", took)
	}
}

// response remembers the status of an answer.
type response struct {
	http.ResponseWriter
	status int // 0 = nothing was answered
}

// Unwrap serves http.ResponseController.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (w *response) WriteHeader(status int) {
	if w.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		w.status = status
		spell(w.Header())
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements io.Writer.
func (w *response) Write(data []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
		spell(w.Header())
	}
	return w.ResponseWriter.Write(data)
}

// spellings are names as people know them, where net/http would write them in another case. Names have no case for
// programs, but people search for them (S2-13).
var spellings = [...][2]string{
	{"X-Ratelimit-Limit", "X-RateLimit-Limit"}, {"X-Ratelimit-Remaining", "X-RateLimit-Remaining"},
	{"X-Ratelimit-Reset", "X-RateLimit-Reset"}, {"Ratelimit", "RateLimit"}, {"Ratelimit-Policy", "RateLimit-Policy"},
	{"Www-Authenticate", "WWW-Authenticate"},
}

// spell is for the very end: whoever looks into the header with its methods finds only what net/http spells.
func spell(h http.Header) {
	for _, s := range &spellings {
		if values, ok := h[s[0]]; ok {
			delete(h, s[0])
			h[s[1]] = values
		}
	}
}

// safely is outermost on every listener: it answers a panic with 500 (bar 131) and tells browsers to stay with TLS.
func (s *Server) safely(next func(w *response, r *http.Request)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := &response{ResponseWriter: w}
		defer s.recoverPanic(r.Context(), answer)
		if r.TLS != nil {
			w.Header().Set("Strict-Transport-Security", "max-age=31536000")
		}
		next(answer, r)
	})
}

// recoverPanic answers a panic. What it says may hold anything, so only the runtime's own errors are logged in words;
// a stack holds no values.
func (s *Server) recoverPanic(ctx context.Context, w *response) {
	cause := recover()
	if cause == nil {
		return
	}
	if err, ok := cause.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(http.ErrAbortHandler)
	}
	text := fmt.Sprintf("of type %T", cause)
	if err, ok := cause.(runtime.Error); ok {
		text = err.Error()
	}
	s.log.ErrorContext(ctx, "A handler panicked.", "panic", text, "stack", string(debug.Stack()))
	if w.status != 0 {
		panic(http.ErrAbortHandler) // half an answer must not look like a whole one
	}
	httpauth.WriteError(w, errors.New("a handler panicked"))
}
