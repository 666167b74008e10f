package signin

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/latchward/latchward"
)

// Bounds of every exchange with a provider.
const (
	providerTimeout = 10 * time.Second
	maxProviderBody = 1 << 20         // bytes of an answer (bar 107)
	providerPause   = 5 * time.Second // after a failure to learn who it is, before it is asked again
)

// bounded cuts answers that are too long, which then cannot be read.
type bounded struct{ inner http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := b.inner.RoundTrip(r)
	if err == nil {
		answer.Body = http.MaxBytesReader(nil, answer.Body, maxProviderBody)
	}
	return answer, err
}

// OIDCOptions are the options of [OIDC]. Issuer, ClientID and Redirect are required.
type OIDCOptions struct {
	Issuer       string           // as the provider's discovery document has it, byte for byte
	ClientID     string           //
	ClientSecret latchward.Secret // zero = a public client; PKCE protects either
	Redirect     string           // URL of the page /signin/oidc/callback
	Name         string           // for people to read; "" = single sign-on
	CreateUsers  bool             // somebody seen for the first time becomes an ordinary user
	HTTPClient   *http.Client     // nil = one that follows no redirects
	Now          func() time.Time // nil = time.Now
}

// OIDC signs people in at an OpenID provider by the authorization code flow (OpenID Connect Core 1.0 §3.1) with PKCE
// (RFC 7636), state, nonce and, where the provider sends it, the issuer in the answer (RFC 9207). It is safe for
// concurrent use.
type OIDC struct {
	o      OIDCOptions
	name   string
	client *http.Client

	mu       sync.Mutex
	provider *oidc.Provider // nil until the provider has answered
	failure  error          // of the last attempt to ask it
	failedAt time.Time
}

// NewOIDC returns an OIDC. It does not ask the provider for anything yet, so that a provider that is down keeps nothing
// from starting. Errors have code invalid.
func NewOIDC(o OIDCOptions) (*OIDC, error) {
	issuer, err := url.Parse(o.Issuer)
	if err != nil || !secureAddress(issuer) {
		return nil, latchward.Invalid("oidc.issuer", "must be an https address, or an http address of this machine")
	}
	if o.ClientID == "" {
		return nil, latchward.Invalid("oidc.client_id", "must not be empty where there is an issuer")
	}
	c := &OIDC{o: o, name: cmp.Or(o.Name, "single sign-on"), client: o.HTTPClient}
	if c.client == nil {
		c.client = &http.Client{
			Transport: bounded{http.DefaultTransport}, Timeout: providerTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	if c.o.Now == nil {
		c.o.Now = time.Now
	}
	return c, nil
}

// discover returns the provider, having asked it who it is if that is not known yet.
func (c *OIDC) discover(ctx context.Context) (*oidc.Provider, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.provider != nil {
		return c.provider, nil
	}
	if c.failure != nil && c.o.Now().Sub(c.failedAt) < providerPause {
		return nil, c.failure
	}
	// The provider's keys are fetched with this context later, so it must not end.
	ctx = oidc.ClientContext(context.WithoutCancel(ctx), c.client)
	provider, err := oidc.NewProvider(ctx, c.o.Issuer)
	if err != nil {
		c.failedAt, c.failure = c.o.Now(), &latchward.Error{
			Code: latchward.CodeUnavailable, Err: err,
			Message: "The provider does not answer as it should. Try again in a moment.",
		}
		return nil, c.failure
	}
	c.provider, c.failure = provider, nil
	return provider, nil
}

// providerFlow is what must come back from the provider, or go with what does.
type providerFlow struct {
	state, nonce, verifier string
	next                   string
	link                   latchward.SessionID // of whoever adds the identity to their account; zero = sign in
}

func (c *OIDC) config(provider *oidc.Provider) *oauth2.Config {
	return &oauth2.Config{
		ClientID: c.o.ClientID, ClientSecret: c.o.ClientSecret.Expose(), Endpoint: provider.Endpoint(),
		RedirectURL: c.o.Redirect, Scopes: []string{oidc.ScopeOpenID, "profile", "email"},
	}
}

// begin returns where to send the browser, and what to remember of it.
func (c *OIDC) begin(ctx context.Context, next string) (address string, f providerFlow, err error) {
	provider, err := c.discover(ctx)
	if err != nil {
		return "", f, err
	}
	f = providerFlow{state: rand.Text(), nonce: rand.Text(), verifier: oauth2.GenerateVerifier(), next: next}
	return c.config(provider).AuthCodeURL(f.state, oidc.Nonce(f.nonce), oauth2.S256ChallengeOption(f.verifier)), f, nil
}

// idClaims are the claims that a user is made of.
type idClaims struct {
	Email    string `json:"email"`
	Verified bool   `json:"email_verified"`
	Name     string `json:"name"`
}

// finish returns whom the provider's answer is about.
func (c *OIDC) finish(ctx context.Context, answer url.Values, f providerFlow) (latchward.IdentitySignIn, error) {
	var none latchward.IdentitySignIn
	if err := c.checkAnswer(answer, f); err != nil {
		return none, err
	}
	provider, err := c.discover(ctx)
	if err != nil {
		return none, err
	}
	ctx = oidc.ClientContext(ctx, c.client)
	token, err := c.config(provider).Exchange(ctx, answer.Get("code"), oauth2.VerifierOption(f.verifier))
	if err != nil {
		return none, exchangeFailed(err)
	}
	raw, _ := token.Extra("id_token").(string)
	verifier := provider.Verifier(&oidc.Config{ClientID: c.o.ClientID, Now: c.o.Now})
	id, err := verifier.Verify(ctx, raw)
	if err != nil || !same(id.Nonce, f.nonce) || id.Subject == "" {
		return none, badAnswer(cmp.Or(err, errors.New("the nonce is another")))
	}
	var claims idClaims
	if err := id.Claims(&claims); err != nil {
		return none, badAnswer(err)
	}
	if claims == (idClaims{}) {
		claims = c.ask(ctx, provider, token, id.Subject)
	}
	if !claims.Verified {
		claims.Email = ""
	}
	return latchward.IdentitySignIn{
		Identity: latchward.LinkedIdentity{Issuer: id.Issuer, Subject: id.Subject},
		Email:    claims.Email, Name: claims.Name, Create: c.o.CreateUsers,
	}, nil
}

// ask returns what the provider tells about the person when it is asked; many put nothing of it into ID tokens. Nobody
// has to have a name.
func (c *OIDC) ask(ctx context.Context, p *oidc.Provider, token *oauth2.Token, subject string) (claims idClaims) {
	info, err := p.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil || info.Subject != subject { // OpenID Connect Core 1.0 §5.3.2: another's must not be used
		return idClaims{}
	}
	if info.Claims(&claims) != nil {
		return idClaims{}
	}
	return claims
}

// checkAnswer checks what the browser brought. Every parameter may come once (RFC 6749 §3.1).
func (c *OIDC) checkAnswer(answer url.Values, f providerFlow) error {
	for _, values := range answer {
		if len(values) > 1 {
			return badAnswer(errors.New("a parameter is repeated"))
		}
	}
	switch issuer := answer.Get("iss"); {
	case !same(answer.Get("state"), f.state):
		return badAnswer(errors.New("the state is another"))
	case answer.Has("iss") && issuer != c.o.Issuer:
		return badAnswer(errors.New("it is of another issuer"))
	case answer.Get("error") != "":
		return latchward.Errorf(latchward.CodeInvalid, "The provider did not sign you in.")
	case answer.Get("code") == "":
		return badAnswer(errors.New("there is no code"))
	}
	return nil
}

// same compares in constant time.
func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// badAnswer is about an answer that no honest flow ends with, or that came a second time.
func badAnswer(cause error) error {
	return &latchward.Error{Code: latchward.CodeInvalid,
		Message: "This sign-in is over or was not begun here. Begin again.",
		Err:     cause}
}

func exchangeFailed(err error) error {
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) && refused.Response.StatusCode < http.StatusInternalServerError {
		// What the provider says of it may quote the code.
		return badAnswer(errors.New("the provider refused the code: " + refused.ErrorCode))
	}
	return &latchward.Error{Code: latchward.CodeUnavailable,
		Message: "The provider does not answer. Try again in a moment.",
		Err:     errors.New("exchanging the code failed")}
}
