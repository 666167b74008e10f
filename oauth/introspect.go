package oauth

import (
	"net/http"
	"time"

	"github.com/latchward/latchward"
)

// Introspection is what a resource server learns about a token (RFC 7662 §2.2). Of one that is not active it learns
// nothing else. It is no verdict: whoever asks has to enforce what it says, and no limit is counted. Times are seconds
// since 1970.
type Introspection struct {
	Active    bool   `json:"active"`
	Scope     string `json:"scope,omitempty"`      // the permissions, separated by spaces
	ClientID  string `json:"client_id,omitempty"`  // the id of the token: each is a client of its own
	Username  string `json:"username,omitempty"`   // of whose token it is, for people to read
	TokenType string `json:"token_type,omitempty"` // Bearer
	ExpiresAt int64  `json:"exp,omitempty"`        // 0 = not at a time that is known now
	IssuedAt  int64  `json:"iat,omitempty"`
	NotBefore int64  `json:"nbf,omitempty"`
	Subject   string `json:"sub,omitempty"` // on whose behalf: "user:3", or "token:7" for a service token
	Issuer    string `json:"iss,omitempty"`
	ID        string `json:"jti,omitempty"` // names the secret: another one after a rotation; or the derived token
	// Audience is whom a derived token is for; none for an API token.
	Audience []string `json:"aud,omitempty"`

	*Restrictions
}

// Restrictions are what Latchward would enforce if it were asked to verify a request.
type Restrictions struct {
	TokenID   latchward.TokenID `json:"token_id"`
	TokenName string            `json:"token_name"`
	Kind      latchward.Kind    `json:"kind"`
	Owner     string            `json:"owner"`             // "user:3" or "group:2"
	Endpoints []string          `json:"allowed_endpoints"` // patterns; nil = all
	Networks  []string          `json:"allowed_networks"`  // nil = all
	// Permissions are grants, also with wildcards; what none of them covers is not allowed.
	Permissions []string `json:"permissions"`
	Roles       []string `json:"roles"`    // names
	Groups      []string `json:"groups"`   // names
	Licenses    []string `json:"licenses"` // names of those that are valid now
}

// introspect answers what a token is good for. Who asks must be allowed to: whoever may try tokens out could look for
// good ones (RFC 7662 §2.1).
func (h *handler) introspect(w http.ResponseWriter, r *http.Request) error {
	f, err := readForm(w, r)
	if err != nil {
		return err
	}
	v, err := h.asks(r, f)
	if err != nil {
		return err
	}
	token := f.get("token") // token_type_hint would only speed up a search: here, the token itself says what it is
	if token == "" {
		h.record(r, &v, http.StatusBadRequest)
		return invalidRequest("token is missing")
	}
	answer, err := h.introspection(r, latchward.SecretFromText(token))
	if err != nil {
		return err
	}
	h.record(r, &v, http.StatusOK)
	writeJSON(w, http.StatusOK, answer)
	return nil
}

func (h *handler) introspection(r *http.Request, token latchward.Secret) (Introspection, error) {
	i, err := h.service.Introspect(r.Context(), token)
	if err != nil || !i.Active() {
		return Introspection{}, err
	}
	return h.describeToken(&i), nil
}

// describeToken tells of a token that is active.
func (h *handler) describeToken(i *latchward.Introspection) Introspection {
	t, facts := i.Token, i.Rights.Facts()
	grants := i.Rights.Grants()
	told := Introspection{
		Active: true, Scope: scopeOf(grants), ClientID: clientID(t.ID), Username: t.Owner.Name, TokenType: bearer,
		ExpiresAt: seconds(i.EndsAt), IssuedAt: seconds(t.CreatedAt), NotBefore: seconds(t.NotBefore),
		Subject: subjectOf(i.Subject), Issuer: h.Issuer, ID: i.KeyID.String(),
		Restrictions: &Restrictions{
			TokenID: t.ID, TokenName: t.Name, Kind: t.Kind, Owner: t.Owner.String(), Permissions: grants,
			Roles: append([]string{}, facts.Roles...), Groups: append([]string{}, facts.Groups...), Licenses: []string{},
		},
	}
	if len(t.AllowedEndpoints) > 0 {
		told.Endpoints = t.AllowedEndpoints
	}
	if d := i.Derived; d != nil {
		told.ID, told.Audience, told.IssuedAt, told.Endpoints = d.ID, d.Audience, seconds(d.IssuedAt), d.Endpoints
	}
	for _, network := range t.AllowedNetworks {
		told.Networks = append(told.Networks, network.String())
	}
	for _, l := range facts.Licenses {
		if i.Rights.HasLicense(l.Name, h.now()) {
			told.Licenses = append(told.Licenses, l.Name)
		}
	}
	return told
}

func subjectOf(s latchward.Subject) string {
	return string(s.Type) + ":" + clientID(latchward.TokenID(s.ID))
}

// seconds returns a NumericDate (RFC 7519 §2); 0 for the zero time.
func seconds(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return at.Unix()
}
