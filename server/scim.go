package server

import (
	"net/http"

	"github.com/latchward/latchward/scim"
)

// openSCIM makes what directories talk to. They know it by the URL that clients of OAuth know the API by, if that was
// configured, and else by where they send their requests.
func (s *Server) openSCIM() {
	c := &s.config
	if !c.SCIM {
		return
	}
	if c.open() {
		s.scim = http.HandlerFunc(unavailable)
		return
	}
	url := c.OAuthIssuer
	if url == "off" {
		url = ""
	}
	s.scim = scim.Handler(scim.Options{
		Service: s.service, Proxies: s.proxies, Guard: s.guard, URL: url, Subject: scim.Subject(c.SCIMSubject), Logger: s.log,
	})
}
