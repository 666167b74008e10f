package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"

	"github.com/mattn/go-isatty"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
	"github.com/latchward/latchward/signin"
)

// pagesURL returns where people reach the pages that are served at an address.
func (c *Config) pagesURL(listening net.Addr) *url.URL {
	if u, err := url.Parse(c.PagesURL); c.PagesURL != "" && err == nil { // validate has seen it
		return &url.URL{Scheme: u.Scheme, Host: u.Host}
	}
	u := &url.URL{Scheme: "http"}
	if c.PagesCert != "" {
		u.Scheme = "https"
	}
	host, _, _ := net.SplitHostPort(c.PagesListen)
	_, port, _ := net.SplitHostPort(listening.String())
	if host == "" || isLoopback(host) {
		host = "localhost" // passkeys belong to names: browsers make none for an address
	}
	u.Host = net.JoinHostPort(host, port)
	return u
}

// people returns the pages, and the management API for those who are signed in on them.
func (s *Server) people(management http.Handler, proxies *httpauth.Proxies) (pages, api http.Handler, err error) {
	if s.pages == nil {
		return nil, management, nil
	}
	if s.config.open() {
		return signin.Open(), management, nil
	}
	sessions := signin.NewSessions(s.service, s.pages, proxies)
	provider, err := s.config.provider(s.pages)
	if err != nil {
		return nil, nil, err
	}
	handler, err := signin.Pages(signin.PagesOptions{
		Service: s.service, Sessions: sessions, Address: s.pages, OIDC: provider, Logger: s.log,
	})
	if err != nil {
		return nil, nil, err
	}
	api = sessions.Middleware(management)
	mux := http.NewServeMux()
	mux.Handle("/", handler)
	mux.Handle("POST /setup", s.closingSetup(handler))
	for _, path := range []string{tokensPath, ownPath} { // scripts of pages reach the API at their own origin only
		mux.Handle(path, api)
		mux.Handle(path+"/", api)
	}
	return mux, api, nil
}

// provider returns the OpenID provider that is configured, or nil.
func (c *Config) provider(pages *url.URL) (*signin.OIDC, error) {
	if c.OIDCIssuer == "" {
		return nil, nil
	}
	return signin.NewOIDC(signin.OIDCOptions{
		Issuer: c.OIDCIssuer, ClientID: c.OIDCClientID, ClientSecret: c.OIDCSecret, Name: c.OIDCName,
		CreateUsers: c.OIDCCreateUsers, Redirect: pages.JoinPath("/signin/oidc/callback").String(),
	})
}

// beginSetup writes the secret of the first administrator into a file while there is none (bar 142). The secret itself
// is shown to nobody but a person at a terminal: logs are read by many, and kept.
func (s *Server) beginSetup(ctx context.Context) error {
	if s.pages == nil || s.config.open() {
		return nil
	}
	secret, err := s.service.BeginSetup(ctx)
	if latchward.ErrorCode(err) == latchward.CodeConflict {
		return s.endSetup() // of a run that was killed
	}
	if err != nil {
		return err
	}
	path := s.config.path(setupFile)
	if err := writePrivate(path, []byte(secret.Expose()+"\n")); err != nil {
		return invalidf("data", "the secret for the first administrator cannot be written: %w", err)
	}
	page := s.pages.JoinPath("/setup").String()
	s.log.Info("There is no administrator yet. Open the page and enter the secret that is in the file.",
		"page", page, "file", path, "valid", latchward.SetupLife)
	if to, ok := terminal(s.config.Logs); ok {
		_, err = fmt.Fprintf(to, "\n  Open   %s\n  Secret %s\n\n", page, secret.Expose())
	}
	return err
}

// terminal returns where log lines go, if people read them there as they are written.
func terminal(logs io.Writer) (io.Writer, bool) {
	if logs == nil {
		logs = os.Stderr
	}
	file, ok := logs.(*os.File)
	return file, ok && isatty.IsTerminal(file.Fd())
}

// endSetup removes the file.
func (s *Server) endSetup() error {
	if err := os.Remove(s.config.path(setupFile)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// closingSetup removes the file once its secret was used.
func (s *Server) closingSetup(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r)
		if open, err := s.service.SetupOpen(r.Context()); err == nil && !open {
			if err := s.endSetup(); err != nil {
				s.log.Warn("The file with the used secret of the setup could not be removed.", "error", err)
			}
		}
	})
}
