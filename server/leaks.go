package server

import (
	"net/http"

	"github.com/latchward/latchward/leak"
)

// besideLeaks returns what serves management, and reports of leaked secrets where those are taken.
func (s *Server) besideLeaks(management http.Handler) http.Handler {
	if s.config.GitHubKeys == "" {
		return management
	}
	receiver := leak.Receiver(&leak.GitHub{Keys: s.config.GitHubKeys}, s.service, s.log)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.EscapedPath() == leak.GitHubPath {
			receiver.ServeHTTP(w, r)
			return
		}
		management.ServeHTTP(w, r)
	})
}
