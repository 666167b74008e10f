package signin

import (
	"html/template"
	"net/http"
	"strings"

	"github.com/latchward/latchward"
)

// accountData is what the page /account shows.
type accountData struct {
	*latchward.AccountView
	Sessions []*latchward.Session
	Current  latchward.SessionID
	Possible bool   // are passkeys, at this address
	Provider string // that an identity can be linked at; "" = none
}

var accountNotices = map[string]string{
	"setup":    "Latchward is set up, and you are its first administrator.",
	"name":     "Your name is changed.",
	"password": "Your password is changed, and all other sessions have ended.",
	"totp":     "Codes are off. Your password alone signs you in again.",
	"session":  "The session has ended.",
	"sessions": "All other sessions have ended.",
	"linked":   "You can sign in there from now on.",
	"unlinked": "You cannot sign in there any more.",
	"passkey":  "The passkey is added.",
	"removed":  "The passkey is removed.",
	"confirm":  "Thank you. You have five minutes for changes that need it.",
}

func (p *pages) account(w http.ResponseWriter, r *http.Request) error {
	return p.showAccount(w, r, view{Notice: accountNotices[r.FormValue("done")]}, nil)
}

func (p *pages) showAccount(w http.ResponseWriter, r *http.Request, v view, err error) error {
	if latchward.NeedsConfirmation(err) {
		return err
	}
	account, failed := p.Service.Account(r.Context())
	if failed != nil {
		return failed
	}
	sessions, failed := p.Service.Sessions(r.Context())
	if failed != nil {
		return failed
	}
	current, _ := latchward.SessionFrom(r.Context())
	data := accountData{AccountView: account, Sessions: sessions, Current: current.ID, Possible: p.passkeys != nil}
	if p.OIDC != nil {
		data.Provider = p.OIDC.name
	}
	v.Title, v.Data = "Your account", data
	return p.show(w, r, "account", v, err)
}

// done shows the account again: with the error, or by a redirect that says what was done.
func (p *pages) done(w http.ResponseWriter, r *http.Request, what string, err error) error {
	if err != nil {
		return p.showAccount(w, r, view{}, err)
	}
	return p.redirect(w, r, "/account", "done", what)
}

func (p *pages) rename(w http.ResponseWriter, r *http.Request) error {
	return p.done(w, r, "name", p.Service.Rename(r.Context(), r.PostFormValue("name")))
}

func (p *pages) setPassword(w http.ResponseWriter, r *http.Request) error {
	err := p.sameTwice(r)
	var renewed *latchward.SignedIn
	if err == nil {
		renewed, err = p.Service.SetPassword(r.Context(), secretOf(r, "current"), secretOf(r, "new"))
	}
	if err == nil {
		p.Sessions.begin(w, renewed)
	}
	return p.done(w, r, "password", err)
}

func (p *pages) confirmForm(w http.ResponseWriter, r *http.Request) error {
	return p.showConfirm(w, r, nil)
}

func (p *pages) showConfirm(w http.ResponseWriter, r *http.Request, err error) error {
	account, failed := p.Service.Account(r.Context())
	if failed != nil {
		return failed
	}
	return p.show(w, r, "confirm", view{Title: "Confirm that it is you", Data: account.HasPassword}, err)
}

func (p *pages) confirm(w http.ResponseWriter, r *http.Request) error {
	renewed, err := p.Service.Reauthenticate(r.Context(), secretOf(r, "password"))
	if err != nil {
		return p.showConfirm(w, r, err)
	}
	p.Sessions.begin(w, renewed)
	return p.redirect(w, r, "/account", "done", "confirm")
}

// totpData is what the page with a new secret for an authenticator app shows.
type totpData struct {
	QR     template.HTML
	Secret string // in groups, for typing
}

func (p *pages) enrolTOTP(w http.ResponseWriter, r *http.Request) error {
	secret, err := p.Service.EnrolTOTP(r.Context())
	if err != nil {
		return p.done(w, r, "", err)
	}
	code, err := qrCode(secret.URL().Expose())
	if err != nil {
		return err
	}
	v := view{Title: "Turn on codes", Data: totpData{QR: code, Secret: groups(secret.Secret.Expose())}}
	return p.show(w, r, "totp", v, nil)
}

func groups(text string) string {
	var parts []string
	for len(text) > 4 {
		parts, text = append(parts, text[:4]), text[4:]
	}
	return strings.Join(append(parts, text), " ")
}

func (p *pages) confirmTOTP(w http.ResponseWriter, r *http.Request) error {
	codes, err := p.Service.ConfirmTOTP(r.Context(), r.PostFormValue("code"))
	if err != nil {
		if latchward.NeedsConfirmation(err) {
			return err
		}
		return p.show(w, r, "totp", view{Title: "Turn on codes", Data: totpData{}}, err)
	}
	return p.showRecoveryCodes(w, r, codes)
}

func (p *pages) showRecoveryCodes(w http.ResponseWriter, r *http.Request, codes []latchward.Secret) error {
	var texts []string
	for _, code := range codes {
		texts = append(texts, code.Expose())
	}
	return p.show(w, r, "recovery", view{Title: "Recovery codes", Data: texts}, nil)
}

func (p *pages) newRecoveryCodes(w http.ResponseWriter, r *http.Request) error {
	codes, err := p.Service.NewRecoveryCodes(r.Context())
	if err != nil {
		return p.done(w, r, "", err)
	}
	return p.showRecoveryCodes(w, r, codes)
}

func (p *pages) removeTOTP(w http.ResponseWriter, r *http.Request) error {
	return p.done(w, r, "totp", p.Service.RemoveTOTP(r.Context()))
}

func (p *pages) endSession(w http.ResponseWriter, r *http.Request) error {
	id, err := latchward.ParseSessionID(r.PostFormValue("session"))
	if err == nil {
		err = p.Service.EndSession(r.Context(), id)
	}
	if current, _ := latchward.SessionFrom(r.Context()); err == nil && id == current.ID {
		return p.redirect(w, r, "/signin", "done", "out")
	}
	return p.done(w, r, "session", err)
}

func (p *pages) endOtherSessions(w http.ResponseWriter, r *http.Request) error {
	person, _ := latchward.PrincipalFrom(r.Context())
	_, err := p.Service.EndSessions(r.Context(), latchward.UserID(person.ID))
	return p.done(w, r, "sessions", err)
}

// browser says in few words what a User-Agent header is about.
func browser(agent string) string {
	name, system := "A browser", ""
	for _, known := range [][2]string{ // those that name others, first
		{"Edg/", "Edge"}, {"OPR/", "Opera"}, {"Firefox/", "Firefox"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"},
		{"curl/", "curl"},
	} {
		if strings.Contains(agent, known[0]) {
			name = known[1]
			break
		}
	}
	for _, known := range [][2]string{
		{"Android", "Android"}, {"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Windows", "Windows"}, {"Mac OS X", "macOS"},
		{"Linux", "Linux"},
	} {
		if strings.Contains(agent, known[0]) {
			system = " on " + known[1]
			break
		}
	}
	return name + system
}
