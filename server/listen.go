package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/latchward/latchward/httpauth"
	"github.com/latchward/latchward/internal/strictconn"
)

// Bounds of a connection. There is none for whole requests on the gateway: uploads and streams take as long as they
// take, and only holders of a token get that far.
const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	maxHeader     = 64 << 10 // bytes
)

// streamsEnd is how long before the end of shutdown.timeout streams are ended: time for the last bytes, and for
// net/http to notice, which it does up to half a second late.
const streamsEnd = 2 * time.Second

// silentGrace is how long a connection that never carried a request is kept while stopping.
const silentGrace = 300 * time.Millisecond

// listen opens the listeners: pages, the API, operations, and the socket of the data folder. Pages come first, because
// their address, whose port may be chosen by the system, is what sessions are bound to.
func (s *Server) listen(management http.Handler, proxies *httpauth.Proxies) error {
	listeners := s.config.listeners()
	opened := make([]net.Listener, len(listeners))
	var oauth http.Handler // nil = off
	for i, l := range listeners {
		var err error
		if opened[i], err = net.Listen("tcp", l.address); err != nil {
			for _, earlier := range opened[:i] {
				_ = earlier.Close()
			}
			return invalidf(l.section+".listen", "cannot listen on %s: %s", l.address, reasonOf(err))
		}
		if l.section == "pages" {
			s.pages = s.config.pagesURL(opened[i].Addr())
		}
		if issuer, on := s.config.issuer(opened[i].Addr()); l.section == "api" && on {
			oauth = s.oauth(issuer)
		}
	}
	handlers, err := s.handlers(management, oauth, proxies)
	for i, l := range listeners {
		served := s.serve(l.section, opened[i], handlers[l.section], l.cert != "")
		if l.cert == "" {
			continue
		}
		certificate, failed := newCertificate(l, s.log)
		if err = errors.Join(err, failed); failed == nil {
			served.server.TLSConfig = certificate.config()
		}
	}
	if err != nil {
		return err
	}
	socket, err := listenSocket(s.config.path(socketFile))
	if err != nil {
		return err
	}
	s.serve("socket", socket, s.plain(asLocalAdministrator(besideOAuth(management, oauth))), false)
	return nil
}

// handlers returns what each listener serves.
func (s *Server) handlers(management, oauth http.Handler, proxies *httpauth.Proxies) (map[string]http.Handler, error) {
	pages, management, err := s.people(s.besideLeaks(management), proxies)
	return map[string]http.Handler{
		"api": s.route(management, oauth), "operations": s.plain(s.operations()), "pages": s.plain(pages),
	}, err
}

func (s *Server) serve(name string, l net.Listener, handler http.Handler, secure bool) *served {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &served{name: name, listener: l, secure: secure}
	server.server = &http.Server{
		Handler: handler, Protocols: protocols, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeader, DisableGeneralOptionsHandler: true, ConnState: server.noteSilent,
		// What net/http has to say is about clients that misbehave: they must not be able to fill the log.
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	s.served = append(s.served, server)
	return server
}

// noteSilent implements http.Server.ConnState.
func (l *served) noteSilent(connection net.Conn, state http.ConnState) {
	if state == http.StateNew {
		l.silent.Store(connection, nil)
	} else {
		l.silent.Delete(connection)
	}
}

// shutDown stops listening and waits for requests under way. Connections that clients opened ahead of a request, as
// browsers do, get a moment to send it; net/http alone would wait five seconds for them.
func (l *served) shutDown(ctx context.Context) error {
	hurry := time.AfterFunc(silentGrace, func() {
		l.silent.Range(func(connection, _ any) bool {
			_ = connection.(net.Conn).Close()
			return true
		})
	})
	defer hurry.Stop()
	return l.server.Shutdown(ctx)
}

// plain makes a handler as safe as the API is.
func (s *Server) plain(next http.Handler) http.Handler {
	return s.safely(func(w *response, r *http.Request) { next.ServeHTTP(w, r) })
}

func (l *served) serve() error {
	err := strictconn.Serve(l.server, l.listener)
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serving %s: %w", l.name, err)
}

// listenSocket opens a Unix socket for its owner only, in place of one that a dead server left. It is made under
// another name, because between making it and closing it to others anybody could connect.
func listenSocket(path string) (net.Listener, error) {
	folder, err := os.MkdirTemp(filepath.Dir(path), ".") // made with mode 0700
	if err != nil {
		return nil, invalidf("data", "making the socket: %w", err)
	}
	defer os.RemoveAll(folder)
	temporary := filepath.Join(folder, "s")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: temporary, Net: "unix"})
	if err != nil {
		return nil, invalidf("data", "making the socket in the data folder: %w (the path of the folder may be too long)", err)
	}
	listener.SetUnlinkOnClose(false)
	if err := errors.Join(os.Chmod(temporary, 0o600), os.Rename(temporary, path)); err != nil {
		_ = listener.Close()
		return nil, invalidf("data", "making the socket: %w", err)
	}
	return listener, nil
}

func (s *Server) announce() {
	log := s.log.With("data", s.config.Data)
	if s.config.open() {
		log.Warn("AUTHENTICATION IS OFF: every request is let through to the upstreams, and API tokens do not exist.")
	}
	for _, l := range s.served {
		if l.name != "socket" {
			log.Info("Listening.", "listener", l.name, "url", s.urlOf(l.name))
		}
	}
}

// drain stops taking requests and waits until those under way have ended. Until connections are refused, answers tell
// clients to close theirs, so that none is closed under a request. Streams, which would never end, are ended in time.
func (s *Server) drain(ctx context.Context) error {
	s.ready.Store(false)
	s.draining.Store(true)
	s.log.Info("Stopping.")
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.config.DrainTimeout)
	defer cancel()
	if s.gateway != nil {
		endStreams := time.AfterFunc(s.config.DrainTimeout-streamsEnd, s.gateway.EndAll)
		defer endStreams.Stop()
	}
	s.pause()
	err := s.shutDown(ctx)
	if err == nil {
		err = s.awaitRequests(ctx)
	}
	if err != nil {
		s.log.Warn("Requests were cut off, because they did not end in time.")
	}
	return err
}

// shutDown closes the listeners, except that of operations, which goes on saying that the server is not ready.
func (s *Server) shutDown(ctx context.Context) error {
	var faults []error
	for _, l := range s.served {
		if l.name == "operations" {
			continue
		}
		if err := l.shutDown(ctx); err != nil {
			faults = append(faults, fmt.Errorf("draining the listener %s: %w", l.name, err))
		}
	}
	return errors.Join(faults...)
}

// awaitRequests waits for what net/http does not wait for: connections that became something else, such as WebSockets.
func (s *Server) awaitRequests(ctx context.Context) error {
	ended := make(chan struct{})
	go func() {
		s.active.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for the last requests: %w", ctx.Err())
	}
}

func (s *Server) closeListeners() error {
	var faults []error
	for _, l := range s.served {
		faults = append(faults, l.server.Close())
	}
	if err := os.Remove(s.config.path(socketFile)); !errors.Is(err, fs.ErrNotExist) {
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}
