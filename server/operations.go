package server

import (
	"context"
	"io"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/latchward/latchward/httpauth"
)

// readyTimeout bounds how long /readyz waits for the database.
const readyTimeout = 2 * time.Second

// operations serves metrics, health and profiling: nothing of it is on the API listener (bar 140).
func (s *Server) operations() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.Handle("GET /metrics", s.protected(promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{})))
	if s.config.Profiling {
		mux.Handle("GET /debug/pprof/", s.protected(http.HandlerFunc(pprof.Index)))
		mux.Handle("GET /debug/pprof/profile", s.protected(http.HandlerFunc(pprof.Profile)))
		mux.Handle("GET /debug/pprof/trace", s.protected(http.HandlerFunc(pprof.Trace)))
		mux.Handle("GET /debug/pprof/symbol", s.protected(http.HandlerFunc(pprof.Symbol)))
	}
	return mux
}

// readyz answers 200 while requests are taken and the database and the journal of usage work. It says no more than that.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	if !s.ready.Load() || s.service.Ready(ctx) != nil || s.journal.Healthy() != nil || !s.ready.Load() {
		say(w, http.StatusServiceUnavailable, "not ready")
		return
	}
	say(w, http.StatusOK, "ready")
}

// protected asks for operations.secret, if there is one.
func (s *Server) protected(next http.Handler) http.Handler {
	secret := s.config.OperationsSecret
	if secret.IsZero() {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if given, reason := httpauth.Credential(r); reason != "" || !given.Equal(secret) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="latchward operations"`)
			say(w, http.StatusUnauthorized, "authentication required")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n") // the caller may have left
}
