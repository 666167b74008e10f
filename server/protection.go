package server

import (
	"errors"
	"net/http"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
	"github.com/latchward/latchward/operation"
)

// protection is what a program protects handlers of its own with.
type protection struct {
	*core
	persons httpauth.PersonAuthenticator // nil = JWTs are refused outside the management API
	signers httpauth.PersonAuthenticator // JWTs of people, for our own API
	proxies *httpauth.Proxies
	guard   *httpauth.Guard
}

// open makes what the configuration says, and returns the management API with it.
func (p *protection) open() (management http.Handler, err error) {
	c := &p.config
	if p.proxies, err = httpauth.NewProxies(c.TrustedProxies, c.AddressHeader); err != nil {
		return nil, err
	}
	if p.signers, err = openPersons(c, p.service, p.log); err != nil {
		return nil, err
	}
	if c.AcceptJWT {
		p.persons = p.signers
	}
	p.guard = httpauth.NewGuard(c.UnprovenPerMinute, nil)
	return p.management(p.signers, p.proxies, p.guard), nil
}

// Middleware returns [httpauth.Require] for this service: what o leaves out is as the configuration has it.
func (p *protection) Middleware(o httpauth.Options) func(http.Handler) http.Handler {
	if o.Base == "" {
		o.Base = p.config.Base
	}
	if o.Prefix == "" {
		o.Prefix = p.config.Prefix
	}
	if o.Persons == nil {
		o.Persons = p.persons
	}
	if o.Proxies == nil {
		o.Proxies = p.proxies
	}
	if o.Guard == nil {
		o.Guard = p.guard
	}
	if o.Recorder == nil {
		o.Recorder = p.service
	}
	return httpauth.Require(p.service, o)
}

// Operations returns an [operation.API] for this service: what o leaves out is as the configuration has it.
func (p *protection) Operations(o operation.Options) *operation.API {
	if o.Verifier == nil {
		o.Verifier = p.service
	}
	if o.Base == "" {
		o.Base = p.config.Base
	}
	if o.Prefix == "" {
		o.Prefix = p.config.Prefix
	}
	if o.Persons == nil {
		o.Persons = p.persons
	}
	if o.Proxies == nil {
		o.Proxies = p.proxies
	}
	if o.Guard == nil {
		o.Guard = p.guard
	}
	return operation.New(o)
}

// beside is a handler of a program that this server is part of.
type beside struct {
	prefix  string
	handler http.Handler
}

// Handle serves h for prefix and everything below it, such as "/api/v1", instead of an upstream. h judges for itself:
// make it with [Server.Operations], or put [Server.Middleware] around it. Our own paths stay ours. Call it before Run.
// Errors have code invalid.
func (s *Server) Handle(prefix string, h http.Handler) error {
	path, err := latchward.ValidateBase(prefix)
	if err != nil {
		return err
	}
	if path == "" || h == nil {
		return errors.New("server: Handle needs a prefix that is not / and a handler")
	}
	s.beside = append(s.beside, beside{path, h})
	return nil
}

// besideFor returns the handler of this program for r, or nil.
func (s *Server) besideFor(r *http.Request) http.Handler {
	if len(s.beside) == 0 {
		return nil
	}
	path, err := latchward.CanonicalPath(r.URL.EscapedPath())
	if err != nil {
		return nil
	}
	for _, b := range s.beside {
		if under(path, b.prefix) {
			return b.handler
		}
	}
	return nil
}
