package server

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"sync/atomic"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
	"github.com/latchward/latchward/oauth"
)

// Activation says how a program of one's own uses Latchward. The zero value of every field is a default.
type Activation struct {
	Data string // folder for database and keys, made when it is missing; "" = "data"
	Base string // of the program's own API: token patterns are relative to it; "" = "/api"
	// Settings are others of docs/operations.md, by key, such as "jwt.audience". Those about listeners and upstreams
	// mean nothing here.
	Settings map[string]string
	Version  string    // of the program, in the description of the management API; "" = "devel"
	Logs     io.Writer // nil = nowhere
}

// TokenManagement is Latchward in a program of one's own. It serves the management and verify API and is safe for
// concurrent use.
type TokenManagement struct {
	UseCases *latchward.Service // everything that can be done; who does it comes with the context

	*protection
	api     http.Handler // management, verify and OAuth
	stop    context.CancelFunc
	stopped chan error
	closed  atomic.Bool

	speaksOAuth bool
}

// Activate switches token management on: it opens the data folder, making database and server key if they are missing,
// serves the management API for tokens, users, groups, roles, permissions and licenses on mux, under /api/api-tokens
// and /api/latchward, and does in the background what must happen without anybody asking, until Close. mux may be nil:
// then the TokenManagement is a handler to mount where /api/api-tokens and /api/latchward lead. With the setting
// oauth.issuer, the URL under which clients reach mux, it serves /oauth/ and its metadata, too.
//
// On a mux that has it already, for the same folder, it returns what it returned before. Errors have a code: invalid
// for settings, conflict for a folder that is in use elsewhere, or a mux on which something else has these paths.
func Activate(ctx context.Context, mux *http.ServeMux, a Activation) (*TokenManagement, error) {
	config, err := a.config()
	if err != nil {
		return nil, err
	}
	if active, err := activeOn(mux, config.Data); active != nil || err != nil {
		return active, err
	}
	k, err := openCore(ctx, config)
	if err != nil {
		return nil, err
	}
	t := &TokenManagement{UseCases: k.service, protection: &protection{core: k}, stopped: make(chan error, 1)}
	if t.api, err = t.open(); err != nil {
		return nil, errors.Join(err, k.close())
	}
	if config.OAuthIssuer != "" && config.OAuthIssuer != "off" {
		issuer, _ := config.issuer(nil)
		t.api, t.speaksOAuth = besideOAuth(t.api, t.oauth(issuer)), true
	}
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	t.stop = stop
	go func() { t.stopped <- k.run(background) }()
	t.Mount(mux)
	return t, nil
}

func (a *Activation) config() (Config, error) {
	settings := map[string]string{"data": cmp.Or(a.Data, "data"), "base": cmp.Or(a.Base, "/api")}
	for key, value := range a.Settings {
		settings[key] = value
	}
	config, err := Load(Sources{File: os.DevNull, program: settings})
	if err == nil && config.open() {
		err = invalidf("authentication", "off means nothing in a program of your own: leave the middleware out instead")
	}
	config.Version, config.Logs = a.Version, a.Logs
	if a.Logs == nil {
		config.Logs = io.Discard
	}
	return config, err
}

// activeOn returns the token management that mux has for a data folder; nil when nothing has its paths.
func activeOn(mux *http.ServeMux, data string) (*TokenManagement, error) {
	if mux == nil {
		return nil, nil
	}
	for _, path := range []string{tokensPath, ownPath + "/"} {
		handler, pattern := mux.Handler(&http.Request{Method: http.MethodGet, URL: &url.URL{Path: path}})
		t, ours := handler.(*TokenManagement)
		switch {
		case ours && !t.closed.Load() && sameFolder(t.config.Data, data):
			return t, nil
		case ours:
			return nil, latchward.Errorf(latchward.CodeConflict, "this mux serves another data folder, or one that was "+
				"closed: use a new mux")
		case pattern == path:
			return nil, latchward.Errorf(latchward.CodeConflict, "this mux has a handler for %s already", path)
		}
	}
	return nil, nil
}

func sameFolder(a, b string) bool {
	first, errFirst := os.Stat(a)
	second, errSecond := os.Stat(b)
	return errFirst == nil && errSecond == nil && os.SameFile(first, second)
}

// Mount serves the same on another mux. It panics, as mux does, when something else has its paths there.
func (t *TokenManagement) Mount(mux *http.ServeMux) {
	if mux == nil {
		return
	}
	paths := []string{tokensPath, tokensPath + "/", ownPath + "/"}
	if t.speaksOAuth {
		paths = append(paths, oauth.Root, oauth.MetadataPath)
	}
	for _, path := range paths {
		mux.Handle(path, t)
	}
}

// ServeHTTP implements http.Handler: the management and verify API, and OAuth where that is on.
func (t *TokenManagement) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if t.closed.Load() {
		httpauth.WriteError(w, latchward.Errorf(latchward.CodeUnavailable, "Token management is closed"))
		return
	}
	t.api.ServeHTTP(w, r)
}

// AsAdministrator returns a context in which the program itself acts, with every right. Use it for what the program
// does by itself, never for what somebody asks it to do.
func (t *TokenManagement) AsAdministrator(ctx context.Context) context.Context {
	return latchward.WithPrincipal(ctx, latchward.Principal{
		Type: latchward.PrincipalLocal, Name: "program", Administrator: true,
	})
}

// MintJWT returns a JWT with which a person can call the management API; see the function of the same name.
func (t *TokenManagement) MintJWT(p Person) (latchward.Secret, error) { return MintJWT(t.config, p) }

// Close stores what is not stored yet and gives the data folder back. Only the first call does anything. End the
// requests that are being served before.
func (t *TokenManagement) Close() error {
	if t.closed.Swap(true) {
		return nil
	}
	t.stop()
	return errors.Join(<-t.stopped, t.close())
}
