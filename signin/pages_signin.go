package signin

import (
	"net/http"
	"strings"

	"github.com/latchward/latchward"
)

// signInData is what the page /signin shows.
type signInData struct {
	Email, Next, Provider string
	Passkeys              bool
}

func (p *pages) front(w http.ResponseWriter, r *http.Request) error {
	open, err := p.Service.SetupOpen(r.Context())
	if err != nil {
		return err
	}
	if open && p.Sessions.old(r).IsZero() {
		return p.redirect(w, r, "/setup", "", "")
	}
	return p.redirect(w, r, "/account", "", "")
}

func (p *pages) signInForm(w http.ResponseWriter, r *http.Request) error {
	notices := map[string]string{
		"out": "You are signed out.", "password": "Your password is set. Sign in with it.",
	}
	return p.showSignIn(w, r, view{Notice: notices[r.FormValue("done")]}, nil)
}

func (p *pages) showSignIn(w http.ResponseWriter, r *http.Request, v view, err error) error {
	data := signInData{Email: r.FormValue("email"), Next: safeNext(r.FormValue("next")), Passkeys: p.passkeys != nil}
	if p.OIDC != nil {
		data.Provider = p.OIDC.name
	}
	v.Title, v.Data = "Sign in", data
	return p.show(w, r, "signin", v, err)
}

func secretOf(r *http.Request, field string) latchward.Secret {
	return latchward.SecretFromText(r.PostFormValue(field))
}

func (p *pages) signIn(w http.ResponseWriter, r *http.Request) error {
	begun, err := p.Service.SignInPassword(r.Context(), latchward.PasswordSignIn{
		Email: r.PostFormValue("email"), Password: secretOf(r, "password"), Device: p.Sessions.device(r),
		Session: p.Sessions.old(r), Origin: p.Sessions.origin(r),
	})
	if err != nil {
		return p.showSignIn(w, r, view{}, err)
	}
	p.Sessions.begin(w, begun)
	if begun.Session.Pending {
		return p.redirect(w, r, "/signin/code", "next", safeNext(r.PostFormValue("next")))
	}
	return p.redirect(w, r, safeNext(r.PostFormValue("next")), "", "")
}

func (p *pages) codeForm(w http.ResponseWriter, r *http.Request) error {
	if _, err := p.Service.PendingSignIn(r.Context(), p.Sessions.old(r)); err != nil {
		if latchward.ErrorCode(err) == latchward.CodeUnauthenticated {
			return p.redirect(w, r, "/signin", "", "")
		}
		return err
	}
	return p.showCode(w, r, nil)
}

func (p *pages) showCode(w http.ResponseWriter, r *http.Request, err error) error {
	return p.show(w, r, "code", view{Title: "Enter a code", Data: safeNext(r.FormValue("next"))}, err)
}

func (p *pages) code(w http.ResponseWriter, r *http.Request) error {
	begun, err := p.Service.ConfirmSignIn(r.Context(), latchward.SecondFactor{
		Session: p.Sessions.old(r), Code: r.PostFormValue("code"), Device: p.Sessions.device(r),
		Origin: p.Sessions.origin(r),
	})
	if err != nil {
		return p.showCode(w, r, err)
	}
	p.Sessions.begin(w, begun)
	return p.redirect(w, r, safeNext(r.PostFormValue("next")), "", "")
}

func (p *pages) passwordCodeForm(w http.ResponseWriter, r *http.Request) error {
	return p.show(w, r, "password", view{Title: "Set a password", Data: r.FormValue("email")}, nil)
}

func (p *pages) passwordCode(w http.ResponseWriter, r *http.Request) error {
	err := p.sameTwice(r)
	if err == nil {
		err = p.Service.UsePasswordCode(r.Context(), latchward.PasswordCodeUse{
			Email: r.PostFormValue("email"), Code: secretOf(r, "code"), Password: secretOf(r, "new"),
			Origin: p.Sessions.origin(r),
		})
	}
	if err != nil {
		return p.show(w, r, "password", view{Title: "Set a password", Data: r.PostFormValue("email")}, err)
	}
	return p.redirect(w, r, "/signin", "done", "password")
}

// sameTwice checks that a new password was typed as it was meant.
func (p *pages) sameTwice(r *http.Request) error {
	if r.PostFormValue("new") != r.PostFormValue("again") {
		return latchward.Invalid("again", "The two new passwords differ.")
	}
	return nil
}

func (p *pages) signOut(w http.ResponseWriter, r *http.Request) error {
	if err := p.Service.SignOut(r.Context(), p.Sessions.old(r)); err != nil {
		return err
	}
	p.Sessions.setCookie(w, p.Sessions.name, latchward.Secret{}, 0)
	w.Header().Set("Clear-Site-Data", `"cache", "storage"`)
	return p.redirect(w, r, "/signin", "done", "out")
}

// setUpData is what the page /setup shows.
type setUpData struct{ Open, Name, Email string }

func (p *pages) setUpForm(w http.ResponseWriter, r *http.Request) error {
	return p.showSetUp(w, r, nil)
}

func (p *pages) showSetUp(w http.ResponseWriter, r *http.Request, err error) error {
	open, failed := p.Service.SetupOpen(r.Context())
	if failed != nil {
		return failed
	}
	data := setUpData{Name: r.PostFormValue("name"), Email: r.PostFormValue("email")}
	if open {
		data.Open = "open"
	} else if err == nil {
		err = latchward.Errorf(latchward.CodeNotFound, "Latchward is set up, or the time for it is over. Where there is no "+
			"administrator yet, restart it to get another secret.")
	}
	return p.show(w, r, "setup", view{Title: "Set up Latchward", Data: data}, err)
}

func (p *pages) setUp(w http.ResponseWriter, r *http.Request) error {
	err := p.sameTwice(r)
	var begun *latchward.SignedIn
	if err == nil {
		begun, err = p.Service.SetUp(r.Context(), latchward.FirstAdministrator{
			Secret: latchward.SecretFromText(strings.TrimSpace(r.PostFormValue("secret"))),
			Name:   r.PostFormValue("name"), Email: r.PostFormValue("email"), Password: secretOf(r, "new"),
			Session: p.Sessions.old(r), Origin: p.Sessions.origin(r),
		})
	}
	if err != nil {
		return p.showSetUp(w, r, err)
	}
	p.Sessions.begin(w, begun)
	return p.redirect(w, r, "/account", "done", "setup")
}
