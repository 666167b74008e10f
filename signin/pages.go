package signin

import (
	"bytes"
	"embed"
	"errors"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
)

//go:embed pages/*.html
var pageFiles embed.FS

//go:embed static
var staticFiles embed.FS

// maxForm bounds the body of a request to a page.
const maxForm = 64 << 10

// PagesOptions are the options of [Pages]. Service, Sessions and Address are required.
type PagesOptions struct {
	Service  *latchward.Service
	Sessions *Sessions
	Address  *url.URL         // under which people reach the pages
	OIDC     *OIDC            // nil = there is no provider
	Now      func() time.Time // nil = time.Now
	Logger   *slog.Logger     // nil = nowhere
}

// pages are the handlers; see routes.
type pages struct {
	PagesOptions
	log       *slog.Logger
	templates map[string]*template.Template
	providers *flows[providerFlow]
	passkeys  *passkeys
}

// page answers one request; what it returns is shown to the person.
type page func(w http.ResponseWriter, r *http.Request) error

// Pages returns the pages on which people sign in and look after their accounts: /signin, /signout, /setup and
// /account.
// They need no script but for passkeys, load nothing from elsewhere, and may be shown in no frame.
func Pages(o PagesOptions) (http.Handler, error) {
	p := &pages{PagesOptions: o, log: o.Logger}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	if p.Now == nil {
		p.Now = time.Now
	}
	p.providers = newFlows[providerFlow](p.Now)
	if err := p.parse(); err != nil {
		return nil, err
	}
	var err error
	if p.passkeys, err = newPasskeys(o.Address, p.Now); err != nil {
		return nil, err
	}
	return p.routes(), nil
}

// parse reads the templates: each page with the layout around it.
func (p *pages) parse() error {
	files, err := fs.Glob(pageFiles, "pages/*.html")
	if err != nil {
		return err
	}
	p.templates = map[string]*template.Template{}
	for _, file := range files {
		name := strings.TrimSuffix(path.Base(file), ".html")
		functions := template.FuncMap{"moment": moment, "browser": browser}
		t, err := template.New(name).Funcs(functions).ParseFS(pageFiles, "pages/layout.html", file)
		if err != nil {
			return err
		}
		p.templates[name] = t
	}
	return nil
}

// moment writes a time for people. Which zone theirs is, only a script could tell.
func moment(at time.Time) string { return at.UTC().Format("2 January 2006, 15:04 UTC") }

// routes lists every page. What changes something is a POST.
func (p *pages) routes() http.Handler {
	mux := http.NewServeMux()
	open := func(pattern string, f page) { mux.Handle(pattern, p.serve(f)) }
	own := func(pattern string, f page) { mux.Handle(pattern, p.serve(p.signedIn(f))) }
	static, _ := fs.Sub(staticFiles, "static") // the folder is there, or this would not compile
	mux.Handle("GET /static/", p.headers(http.StripPrefix("/static/", http.FileServerFS(static))))

	open("GET /{$}", p.front)
	open("GET /signin", p.signInForm)
	open("POST /signin", p.signIn)
	open("GET /signin/code", p.codeForm)
	open("POST /signin/code", p.code)
	open("GET /signin/password", p.passwordCodeForm)
	open("POST /signin/password", p.passwordCode)
	open("POST /signout", p.signOut)
	open("GET /setup", p.setUpForm)
	open("POST /setup", p.setUp)
	open("GET /signin/oidc", p.provider)
	open("GET /signin/oidc/callback", p.providerReturn)

	own("GET /account", p.account)
	own("GET /account/confirm", p.confirmForm)
	own("POST /account/confirm", p.confirm)
	own("POST /account/name", p.rename)
	own("POST /account/password", p.setPassword)
	own("POST /account/totp", p.enrolTOTP)
	own("POST /account/totp/confirm", p.confirmTOTP)
	own("POST /account/totp/remove", p.removeTOTP)
	own("POST /account/recovery-codes", p.newRecoveryCodes)
	own("POST /account/sessions/end", p.endSession)
	own("POST /account/sessions/end-others", p.endOtherSessions)
	own("GET /account/oidc", p.linkProvider)
	own("POST /account/oidc/remove", p.unlinkProvider)
	own("POST /account/passkeys/remove", p.passkeyRemove)
	if p.passkeys != nil {
		open("POST /signin/passkey/begin", p.passkeyBegin)
		open("POST /signin/passkey", p.passkeySignIn)
		own("POST /account/passkeys/begin", p.passkeyRegister)
		own("POST /account/passkeys", p.passkeyAdd)
	}
	mux.Handle("/", p.serve(func(http.ResponseWriter, *http.Request) error {
		return latchward.Errorf(latchward.CodeNotFound, "There is nothing at this address.")
	}))
	return mux
}

// headers sets what every page is served with (bar 114, 118, 119).
func (p *pages) headers(next http.Handler) http.Handler {
	referrers := "no-referrer"
	if !p.Sessions.secure {
		// Over plain HTTP browsers tell of no site that a request came from, other than by its origin, and that they hide
		// when they may tell no referrer at all.
		referrers = "same-origin"
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "+
			"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		h.Set("Referrer-Policy", referrers)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=(), publickey-credentials-get=(self), "+
			"publickey-credentials-create=(self)")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// serve makes a handler of a page: it reads forms, refuses those of other sites, and shows errors.
func (p *pages) serve(f page) http.Handler {
	return p.headers(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		media := "application/x-www-form-urlencoded"
		if wantsJSON(r) {
			media = "application/json"
		}
		err := p.Sessions.guard(r, media)
		if err == nil && !wantsJSON(r) {
			if err = r.ParseForm(); err != nil {
				err = latchward.Invalid("", "The form could not be read.")
			}
		}
		if err == nil {
			err = f(w, r)
		}
		if err != nil {
			p.fail(w, r, err)
		}
	}))
}

// wantsJSON reports whether a script of ours asks: those of passkeys do.
func wantsJSON(r *http.Request) bool {
	return r.Method == http.MethodPost && strings.Contains(r.URL.Path, "/passkey") &&
		!strings.HasSuffix(r.URL.Path, "/remove")
}

// signedIn serves people who are signed in, and sends others to sign in first.
func (p *pages) signedIn(f page) page {
	return func(w http.ResponseWriter, r *http.Request) error {
		ctx, err := p.Sessions.use(r, p.Sessions.old(r))
		if latchward.ErrorCode(err) == latchward.CodeUnauthenticated && !wantsJSON(r) {
			next := "/account"
			if r.Method == http.MethodGet {
				next = r.URL.RequestURI()
			}
			return p.redirect(w, r, "/signin", "next", next)
		}
		if err != nil {
			return err
		}
		err = f(w, r.WithContext(ctx))
		if latchward.NeedsConfirmation(err) && !wantsJSON(r) {
			return p.redirect(w, r, "/account/confirm", "", "")
		}
		return err
	}
}

// redirect sends the browser to another page of ours, with a parameter if there is one.
func (p *pages) redirect(w http.ResponseWriter, r *http.Request, to, name, value string) error {
	if value != "" {
		to += "?" + url.Values{name: {value}}.Encode()
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

// view is what a template shows.
type view struct {
	Title   string
	Person  string // who is signed in; "" = nobody
	Error   string
	Field   string // that the error is about
	Notice  string
	Refresh string
	Data    any
}

// show answers with a page. An error that the person can do something about is shown on it; others are returned.
func (p *pages) show(w http.ResponseWriter, r *http.Request, name string, v view, err error) error {
	status := http.StatusOK
	if err != nil {
		status = httpauth.StatusOfCode(latchward.ErrorCode(err))
		if status >= http.StatusInternalServerError || latchward.NeedsConfirmation(err) {
			return err
		}
		v.Error, v.Field = latchward.ErrorMessage(err), latchward.ErrorField(err)
	}
	if session, ok := latchward.PrincipalFrom(r.Context()); ok {
		v.Person = session.Name
	}
	var body bytes.Buffer
	if err := p.templates[name].ExecuteTemplate(&body, "layout.html", v); err != nil {
		return err
	}
	if status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "900")
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = body.WriteTo(w) // the browser is gone when this fails
	return nil
}

// fail answers with an error.
func (p *pages) fail(w http.ResponseWriter, r *http.Request, err error) {
	code := latchward.ErrorCode(err)
	if code == latchward.CodeInternal || code == latchward.CodeUnavailable {
		p.log.ErrorContext(r.Context(), "A page failed.", "path", r.URL.Path, "error", err)
	}
	if wantsJSON(r) {
		httpauth.WriteError(w, err)
		return
	}
	status := httpauth.StatusOfCode(code)
	var body bytes.Buffer
	v := view{Title: http.StatusText(status), Error: latchward.ErrorMessage(err)}
	if failed := p.templates["error"].ExecuteTemplate(&body, "layout.html", v); failed != nil {
		httpauth.WriteError(w, errors.Join(err, failed))
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = body.WriteTo(w)
}

// safeNext returns where to go after signing in: a path of this host, or / for anything else (bar 108).
func safeNext(next string) string {
	u, err := url.Parse(next)
	if err != nil || len(next) > 2048 || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" ||
		!strings.HasPrefix(next, "/") || strings.HasPrefix(u.Path, "//") || strings.ContainsAny(u.Path+next, "\\\r\n\t") {
		return "/"
	}
	return next
}

// Open returns what stands in place of the pages when there is no authentication: an explanation (S3-19).
func Open() http.Handler {
	p := &pages{PagesOptions: PagesOptions{Sessions: &Sessions{}}, log: slog.New(slog.DiscardHandler)}
	failed := p.parse()
	return p.headers(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := failed
		if err == nil {
			err = latchward.Errorf(latchward.CodeConflict, "API tokens are not available in non-authenticated mode. "+
				"Every request to the API is let through, whoever sends it.")
		}
		if r.URL.Path == "/static/style.css" || r.URL.Path == "/static/icon.svg" {
			http.ServeFileFS(w, r, staticFiles, r.URL.Path[1:])
			return
		}
		p.fail(w, r, err)
	}))
}
