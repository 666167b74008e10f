// Package server assembles Latchward from one configuration: database, keys, rules, management and verify API,
// gateway, metrics and health, on their listeners.
package server

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/gateway"
)

// Server is a Latchward that listens. Make it with [Open]; it takes requests while [Server.Run] runs.
type Server struct {
	*protection
	gateway  *gateway.Gateway // nil without upstreams
	beside   []beside         // handlers of the program that this is part of
	scim     http.Handler     // nil = off
	metrics  *metrics
	pages    *url.URL // of the pages; nil = off
	served   []*served
	ready    atomic.Bool    // takes requests
	draining atomic.Bool    // tells clients to go elsewhere
	active   sync.WaitGroup // requests on the API listener
	pause    func()         // between saying that the server stops and refusing connections
}

// served is a listener with what it serves.
type served struct {
	name     string
	listener net.Listener
	server   *http.Server
	secure   bool
	silent   sync.Map // net.Conn -> nothing: connections that have not asked for anything yet
}

// Open opens the data folder and its database, making them if they are missing, and listens. Close what it returns, or
// run it. Errors have a code: invalid for what the configuration says and the machine does not have, conflict for keys
// that do not fit the database or a database that another process has open, unavailable for everything that may pass.
func Open(ctx context.Context, c Config) (*Server, error) {
	k, err := openCore(ctx, c)
	if err != nil {
		return nil, err
	}
	s := &Server{protection: &protection{core: k}, pause: func() { time.Sleep(c.DrainDelay) }}
	if err = s.assemble(); err == nil {
		err = s.beginSetup(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Server) assemble() error {
	management, err := s.open()
	if err != nil {
		return err
	}
	if err := s.openGateway(); err != nil {
		return err
	}
	s.openSCIM()
	s.metrics = newMetrics(s)
	return s.listen(management, s.proxies)
}

func (s *Server) openGateway() error {
	c := &s.config
	if len(c.Upstreams) == 0 {
		return nil
	}
	upstreams, err := c.gatewayUpstreams()
	if err != nil {
		return err
	}
	roots, err := c.upstreamRoots()
	if err != nil {
		return err
	}
	s.gateway, err = gateway.New(gateway.Options{
		Verifier: s.service, Recorder: s.service, Persons: s.persons, Proxies: s.proxies, Guard: s.guard, Base: c.Base,
		Prefix: c.Prefix, Upstreams: upstreams, PassCredential: c.PassCredential, Open: c.open(), RootCAs: roots,
		DialTimeout: c.ConnectTimeout, HeaderTimeout: c.AnswerTimeout, StreamEnded: s.service.StreamEnded, Logger: s.log,
	})
	return err
}

func (c *Config) gatewayUpstreams() ([]gateway.Upstream, error) {
	upstreams := make([]gateway.Upstream, len(c.Upstreams))
	for i, u := range c.Upstreams {
		target, err := url.Parse(u.URL)
		if err != nil {
			return nil, invalidf("upstreams", "the url of an upstream: %w", err)
		}
		if target.Path == "" { // an upstream that says nothing is mounted as we are; "/" is at its root
			target.Path = strings.TrimSuffix(c.Base, "/")
		}
		upstreams[i] = gateway.Upstream{Prefix: u.Prefix, URL: target, NoWebSocket: !u.WebSocket}
	}
	return upstreams, nil
}

// upstreamRoots returns who may vouch for https upstreams; nil = whom the host trusts.
func (c *Config) upstreamRoots() (*x509.CertPool, error) {
	if c.UpstreamCA == "" {
		return nil, nil
	}
	text, err := os.ReadFile(c.UpstreamCA)
	if err != nil {
		return nil, invalidf("gateway.ca_file", "%s cannot be read: %s", c.UpstreamCA, reasonOf(err))
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, invalidf("gateway.ca_file", "%s holds no certificate in PEM", c.UpstreamCA)
	}
	return roots, nil
}

// Service returns the rules that the server applies, for programs that embed it.
func (s *Server) Service() *latchward.Service { return s.service }

// URL returns where the API listens, such as "http://127.0.0.1:3010": with the port that the system chose when the
// configuration left it open, and loopback when it is all addresses.
func (s *Server) URL() string { return s.urlOf("api") }

// PagesURL returns where people reach the pages, or "" when they are off.
func (s *Server) PagesURL() string {
	if s.pages == nil {
		return ""
	}
	return s.pages.String()
}

// OperationsURL returns where metrics and health are, or "" when they are off.
func (s *Server) OperationsURL() string { return s.urlOf("operations") }

func (s *Server) urlOf(name string) string {
	for _, l := range s.served {
		if l.name != name {
			continue
		}
		address, err := netip.ParseAddrPort(l.listener.Addr().String())
		if err != nil {
			return ""
		}
		if address.Addr().IsUnspecified() {
			address = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), address.Port())
		}
		scheme := "http://"
		if l.secure {
			scheme = "https://"
		}
		return scheme + address.String()
	}
	return ""
}

// Close gives back what Open took. It is for servers that were never run.
func (s *Server) Close() error {
	var faults []error
	for _, l := range s.served {
		if err := l.server.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			faults = append(faults, err)
		}
		_ = l.listener.Close() // again, or for a server that never had it
	}
	return errors.Join(append(faults, s.endSetup(), s.close())...)
}

// Run takes requests until ctx is done, and then stops gracefully: /readyz says so first, requests in flight are
// answered and streams ended within shutdown.timeout, and all usage is stored before Run returns. The error tells what
// of that failed. Run may be called once.
func (s *Server) Run(ctx context.Context) error {
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	faults := make(chan error, len(s.served)+2) // one for each goroutine
	var jobs sync.WaitGroup
	jobs.Go(func() { faults <- s.run(background) })
	if s.gateway != nil {
		jobs.Go(func() { faults <- s.gateway.Run(background) })
	}
	for _, l := range s.served {
		jobs.Go(func() { faults <- l.serve() })
	}
	s.announce()
	s.ready.Store(true)
	var fault error
	select {
	case <-ctx.Done():
	case fault = <-faults: // nothing ends by itself
	}
	fault = errors.Join(fault, s.drain(ctx))
	stop()
	closed := s.closeListeners()
	jobs.Wait()
	close(faults)
	for f := range faults {
		fault = errors.Join(fault, f)
	}
	s.log.Info("Stopped.")
	return errors.Join(fault, closed, s.endSetup(), s.close())
}
