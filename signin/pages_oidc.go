package signin

import (
	"net/http"

	"github.com/latchward/latchward"
)

func (p *pages) flowCookie() string { return p.Sessions.name + flowSuffix }

func errNoProvider() error {
	return latchward.Errorf(latchward.CodeNotFound, "There is no provider to sign in at.")
}

// provider sends the browser to the provider.
func (p *pages) provider(w http.ResponseWriter, r *http.Request) error {
	return p.goToProvider(w, r, latchward.SessionID{})
}

// linkProvider does the same for somebody who wants to sign in there later.
func (p *pages) linkProvider(w http.ResponseWriter, r *http.Request) error {
	session, _ := latchward.SessionFrom(r.Context())
	return p.goToProvider(w, r, session.ID)
}

func (p *pages) goToProvider(w http.ResponseWriter, r *http.Request, link latchward.SessionID) error {
	if p.OIDC == nil {
		return errNoProvider()
	}
	address, f, err := p.OIDC.begin(r.Context(), safeNext(r.FormValue("next")))
	if err != nil {
		return err
	}
	f.link = link
	p.Sessions.setCookie(w, p.flowCookie(), p.providers.begin(f), flowLife)
	http.Redirect(w, r, address, http.StatusSeeOther)
	return nil
}

// providerReturn is where the provider sends the browser back to.
func (p *pages) providerReturn(w http.ResponseWriter, r *http.Request) error {
	if p.OIDC == nil {
		return errNoProvider()
	}
	f, ok := p.providers.take(p.Sessions.cookie(r, p.flowCookie()))
	p.Sessions.setCookie(w, p.flowCookie(), latchward.Secret{}, 0)
	if !ok {
		return badAnswer(nil)
	}
	in, err := p.OIDC.finish(r.Context(), r.URL.Query(), f)
	if err != nil {
		p.log.InfoContext(r.Context(), "A sign-in at the provider failed.", "error", err)
		return err
	}
	if f.link != (latchward.SessionID{}) {
		return p.link(w, r, in.Identity, f.link)
	}
	in.Device, in.Session, in.Origin = p.Sessions.device(r), p.Sessions.old(r), p.Sessions.origin(r)
	begun, err := p.Service.SignInIdentity(r.Context(), in)
	if err != nil {
		return err
	}
	p.Sessions.begin(w, begun)
	return p.redirect(w, r, f.next, "", "")
}

// link adds an identity to the account of whoever began, if they are still signed in.
func (p *pages) link(w http.ResponseWriter, r *http.Request, id latchward.LinkedIdentity,
	by latchward.SessionID) error {
	return p.signedIn(func(w http.ResponseWriter, r *http.Request) error {
		if session, _ := latchward.SessionFrom(r.Context()); session.ID != by {
			return badAnswer(nil)
		}
		return p.done(w, r, "linked", p.Service.LinkIdentity(r.Context(), id))
	})(w, r)
}

func (p *pages) unlinkProvider(w http.ResponseWriter, r *http.Request) error {
	id := latchward.LinkedIdentity{Issuer: r.PostFormValue("issuer"), Subject: r.PostFormValue("subject")}
	return p.done(w, r, "unlinked", p.Service.UnlinkIdentity(r.Context(), id))
}
