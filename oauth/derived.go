package oauth

import (
	"cmp"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
	"github.com/latchward/latchward/internal/jwt"
)

// Format returns what writes and reads the JWTs that Latchward signs. It is what [latchward.Options.JWT] is for.
func Format() latchward.JWTFormat { return jwt.Format{} }

// derive exchanges an API token for a JWT that holds the same or less, for a few minutes (B-11, RFC 8693). The scope is
// what it is to hold, audience and resource are for whom it is to be.
func (h *handler) derive(r *http.Request, f form, token latchward.Secret) (TokenReply, error) {
	asked, err := h.wantedDerived(r, f, token)
	if err != nil {
		return TokenReply{}, err
	}
	derived, err := h.service.DeriveToken(r.Context(), asked)
	if derived.Verdict.Reason.Unproven() {
		if err := h.attempt(asked.Origin.Address); err != nil {
			return TokenReply{}, err
		}
	}
	h.recordExchange(r, &derived.Verdict, err)
	if err != nil {
		return TokenReply{}, blameDerived(err)
	}
	c := &derived.Claims
	return TokenReply{
		AccessToken: derived.Secret.Expose(), IssuedType: TypeJWT, TokenType: bearer,
		ExpiresIn: max(1, int64(c.ExpiresAt.Sub(derived.Verdict.At)/time.Second)), Scope: scopeOf(c.Permissions),
	}, nil
}

// wantedDerived reads what the JWT is to be.
func (h *handler) wantedDerived(r *http.Request, f form, token latchward.Secret) (d latchward.DeriveRequest, err error) {
	if h.Issuer == "" {
		return d, invalidRequest("requested_token_type: the address of this server is not known to itself; its operator " +
			"can set oauth.issuer")
	}
	permissions, offline, err := parseScope(f.get("scope"))
	switch {
	case err != nil:
		return d, err
	case offline:
		return d, &fault{code: codeInvalidScope, text: "scope: a JWT lives for minutes; there is no " + ScopeOffline}
	}
	d = latchward.DeriveRequest{
		Secret: token, Issuer: h.Issuer, Permissions: permissions, Endpoints: f[paramEndpoint], Origin: h.origin(r),
	}
	for _, audience := range append(append([]string{}, f["audience"]...), f["resource"]...) {
		if strings.TrimSuffix(audience, "/") == h.Issuer { // which is ourselves in either form
			audience = h.Issuer
		}
		d.Audience = append(d.Audience, audience)
	}
	if text := f.get(paramExpiresIn); text != "" {
		seconds, err := strconv.ParseInt(text, 10, 64)
		if err != nil || seconds < 1 || seconds > int64(latchward.MaxDerivedLifetime/time.Second) {
			return d, invalidRequest(paramExpiresIn + " must be a whole number of seconds, at least 1")
		}
		d.Lifetime = time.Duration(seconds) * time.Second
	}
	return d, nil
}

// blameDerived says which parameter a refusal to derive is about.
func blameDerived(err error) error {
	field, _, _ := strings.Cut(latchward.ErrorField(err), "[")
	code := map[string]string{"permissions": codeInvalidScope, "audience": codeInvalidTarget}[field]
	switch {
	case code != "":
		return &fault{code: code, text: faultOf(err).text}
	case field == "lifetime":
		return invalidRequest(paramExpiresIn + ": " + latchward.ErrorMessage(err))
	case field == "endpoints":
		return invalidRequest(paramEndpoint + ": " + latchward.ErrorMessage(err))
	}
	return err
}

// recordExchange records a request of a token that was proven, as of any other endpoint.
func (h *handler) recordExchange(r *http.Request, v *latchward.Verdict, err error) {
	if !v.Tracked() {
		return
	}
	status := http.StatusOK
	if err != nil {
		status = cmp.Or(faultOf(err).status, http.StatusBadRequest)
	}
	now := h.now()
	e := httpauth.EventOf(v)
	e.At, e.Endpoint, e.Method, e.Status = now, r.URL.EscapedPath(), r.Method, status
	e.Duration, e.Address, e.UserAgent = max(0, now.Sub(v.At)), h.Proxies.ClientAddress(r), r.UserAgent()
	h.service.Record(&e)
}
