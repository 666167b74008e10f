package signin

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/latchward/latchward"
)

// passkeys checks WebAuthn credentials (Web Authentication Level 3).
type passkeys struct {
	party  *webauthn.WebAuthn
	begun  *flows[webauthn.SessionData]
	handle string // starts user handles
}

// newPasskeys returns passkeys for pages at an address: its host is what they belong to (WebAuthn §5.1.2). They are nil
// where that is an IP address, to which none can belong.
func newPasskeys(address *url.URL, now func() time.Time) (*passkeys, error) {
	if _, err := netip.ParseAddr(address.Hostname()); err == nil {
		return nil, nil
	}
	party, err := webauthn.New(&webauthn.Config{
		RPID: address.Hostname(), RPDisplayName: "Latchward", RPOrigins: []string{address.Scheme + "://" + address.Host},
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementRequired, UserVerification: protocol.VerificationRequired,
		},
	})
	if err != nil {
		return nil, latchward.Errorf(latchward.CodeInvalid, "pages.url: no passkeys are possible there: %w", err)
	}
	return &passkeys{party: party, begun: newFlows[webauthn.SessionData](now), handle: "latchward:"}, nil
}

// person is a user as package webauthn sees them.
type person struct {
	id          []byte
	name, email string
	credentials []webauthn.Credential
}

func (p *person) WebAuthnID() []byte                         { return p.id }
func (p *person) WebAuthnName() string                       { return p.email }
func (p *person) WebAuthnDisplayName() string                { return p.name }
func (p *person) WebAuthnCredentials() []webauthn.Credential { return p.credentials }

func (k *passkeys) person(id latchward.UserID, name, email string, keys []latchward.Passkey) (*person, error) {
	p := &person{id: []byte(k.handle + strconv.FormatInt(int64(id), 10)), name: name, email: email}
	for _, key := range keys {
		var c webauthn.Credential
		if err := json.Unmarshal(key.Credential, &c); err != nil {
			return nil, fmt.Errorf("reading a passkey of user %d: %w", id, err)
		}
		p.credentials = append(p.credentials, c)
	}
	return p, nil
}

// user returns the user that a handle names.
func (k *passkeys) user(handle []byte) (latchward.UserID, error) {
	text, ok := strings.CutPrefix(string(handle), k.handle)
	id, err := strconv.ParseInt(text, 10, 64)
	if !ok || err != nil {
		return 0, errors.New("the user handle is not ours")
	}
	return latchward.UserID(id), nil
}

func passkeyID(c *webauthn.Credential) string { return base64.RawURLEncoding.EncodeToString(c.ID) }

// kept returns a credential as it is stored.
func kept(c *webauthn.Credential) (latchward.Passkey, error) {
	text, err := json.Marshal(c)
	return latchward.Passkey{ID: passkeyID(c), Credential: text}, err
}

func errPasskey(cause error) error {
	return &latchward.Error{Code: latchward.CodeUnauthenticated, Message: "This passkey was not accepted. Try again.",
		Err: cause}
}

// passkeyRequest is what the script sends: the name of a new passkey, and what the browser's API answered.
type passkeyRequest struct {
	Name   string          `json:"name"`
	Next   string          `json:"next"`
	Answer json.RawMessage `json:"answer"`
}

func readJSON(r *http.Request, to any) error {
	text, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(text, to)
	}
	if err != nil {
		return latchward.Invalid("", "The request could not be read.")
	}
	return nil
}

func writeJSON(w http.ResponseWriter, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(text) // the browser is gone when this fails
	return nil
}

// remember keeps what a ceremony began with, and gives the browser the key to it.
func (p *pages) remember(w http.ResponseWriter, data *webauthn.SessionData) {
	p.Sessions.setCookie(w, p.flowCookie(), p.passkeys.begun.begin(*data), flowLife)
}

func (p *pages) recall(w http.ResponseWriter, r *http.Request) (webauthn.SessionData, error) {
	data, ok := p.passkeys.begun.take(p.Sessions.cookie(r, p.flowCookie()))
	p.Sessions.setCookie(w, p.flowCookie(), latchward.Secret{}, 0)
	if !ok {
		return data, badAnswer(nil)
	}
	return data, nil
}

// passkeyBegin begins a sign-in with a passkey; which person it is, the passkey tells.
func (p *pages) passkeyBegin(w http.ResponseWriter, _ *http.Request) error {
	options, data, err := p.passkeys.party.BeginDiscoverableLogin(
		webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return err
	}
	p.remember(w, data)
	return writeJSON(w, options)
}

func (p *pages) passkeySignIn(w http.ResponseWriter, r *http.Request) error {
	var in passkeyRequest
	if err := readJSON(r, &in); err != nil {
		return err
	}
	data, err := p.recall(w, r)
	if err != nil {
		return err
	}
	answer, err := protocol.ParseCredentialRequestResponseBody(bytes.NewReader(in.Answer))
	if err != nil {
		return errPasskey(err)
	}
	var id latchward.UserID
	_, credential, err := p.passkeys.party.ValidatePasskeyLogin(func(_, handle []byte) (webauthn.User, error) {
		var err error
		if id, err = p.passkeys.user(handle); err != nil {
			return nil, err
		}
		return p.owner(r.Context(), id)
	}, data, answer)
	if err != nil || credential.Authenticator.CloneWarning {
		return errPasskey(err)
	}
	key, err := kept(credential)
	if err != nil {
		return err
	}
	begun, err := p.Service.SignInPasskey(r.Context(), latchward.PasskeySignIn{
		UserID: id, Passkey: key, Device: p.Sessions.device(r), Session: p.Sessions.old(r), Origin: p.Sessions.origin(r),
	})
	if err != nil {
		return err
	}
	p.Sessions.begin(w, begun)
	return writeJSON(w, map[string]string{"next": safeNext(in.Next)})
}

func (p *pages) owner(ctx context.Context, id latchward.UserID) (*person, error) {
	keys, err := p.Service.Passkeys(ctx, id)
	if err != nil {
		return nil, err
	}
	return p.passkeys.person(id, "", "", keys)
}

// passkeyRegister begins to add a passkey to the account of whoever is signed in.
func (p *pages) passkeyRegister(w http.ResponseWriter, r *http.Request) error {
	who, err := p.self(r)
	if err != nil {
		return err
	}
	options, data, err := p.passkeys.party.BeginRegistration(who,
		webauthn.WithExclusions(webauthn.Credentials(who.credentials).CredentialDescriptors()))
	if err != nil {
		return err
	}
	p.remember(w, data)
	return writeJSON(w, options)
}

func (p *pages) self(r *http.Request) (*person, error) {
	account, err := p.Service.Account(r.Context())
	if err != nil {
		return nil, err
	}
	u := &account.User
	email := u.Email
	if email == "" {
		email = u.DisplayName()
	}
	return p.passkeys.person(u.ID, u.DisplayName(), email, account.Passkeys)
}

func (p *pages) passkeyAdd(w http.ResponseWriter, r *http.Request) error {
	var in passkeyRequest
	if err := readJSON(r, &in); err != nil {
		return err
	}
	data, err := p.recall(w, r)
	if err != nil {
		return err
	}
	who, err := p.self(r)
	if err != nil {
		return err
	}
	answer, err := protocol.ParseCredentialCreationResponseBody(bytes.NewReader(in.Answer))
	if err != nil {
		return errPasskey(err)
	}
	credential, err := p.passkeys.party.CreateCredential(who, data, answer)
	if err != nil {
		return errPasskey(err)
	}
	key, err := kept(credential)
	if err != nil {
		return err
	}
	key.Name = in.Name
	if err := p.Service.AddPasskey(r.Context(), key); err != nil {
		return err
	}
	return writeJSON(w, map[string]string{"next": "/account?done=passkey"})
}

func (p *pages) passkeyRemove(w http.ResponseWriter, r *http.Request) error {
	return p.done(w, r, "removed", p.Service.RemovePasskey(r.Context(), r.PostFormValue("passkey")))
}
