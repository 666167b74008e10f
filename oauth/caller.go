package oauth

import (
	"cmp"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
)

// The challenges of 401 (RFC 6750 §3, RFC 7617 §2).
const (
	challengeBearer = `Bearer realm="latchward"`
	challengeBasic  = `Basic realm="latchward", charset="UTF-8"`
)

// publicClient refuses clients that try to prove who they are where none is registered: whoever asks shows all that
// counts, the token in the body. A client_id alone means nothing and is let through, because libraries send one.
func publicClient(r *http.Request, f form) error {
	values := r.Header["Authorization"]
	text := "No clients are registered here: send no client credentials, a client_id at the most"
	switch {
	case len(values) > 1 || len(values) == 1 && provesInBody(f):
		return invalidRequest("Send one credential")
	case len(values) == 1:
		challenge := challengeBasic // the scheme that the client used (RFC 6749 §5.2)
		if scheme, _, _ := strings.Cut(values[0], " "); strings.EqualFold(scheme, "Bearer") {
			challenge = challengeBearer
		}
		return &fault{status: http.StatusUnauthorized, code: codeInvalidClient, text: text, challenges: []string{challenge}}
	case provesInBody(f):
		return &fault{status: http.StatusUnauthorized, code: codeInvalidClient, text: text}
	}
	return nil
}

// provesInBody reports whether a client sent credentials of its own among the parameters.
func provesInBody(f form) bool {
	return f.get("client_secret") != "" || f.get("client_assertion") != "" || f.get("client_assertion_type") != ""
}

// asks lets through who may introspect: the administrator whom the context names, and a service token that holds
// tokens.verify, as a bearer or as the password of Basic, its id as the user. The verdict is the zero one for the
// former.
func (h *handler) asks(r *http.Request, f form) (latchward.Verdict, error) {
	if p, ok := latchward.PrincipalFrom(r.Context()); ok && p.Administrator {
		return latchward.Verdict{}, nil
	}
	client, secret, err := clientCredential(r, f)
	if err != nil {
		return latchward.Verdict{}, err
	}
	v, err := h.service.Verify(r.Context(), latchward.VerifyRequest{
		Secret: secret, Method: r.Method, Path: r.URL.EscapedPath(), Address: h.Proxies.ClientAddress(r),
		Permissions: []string{latchward.PermissionVerify},
	})
	if err != nil {
		return v, err
	}
	if !v.Allowed() {
		h.record(r, &v, httpauth.StatusOf(v.Reason))
		return v, h.refusal(r, &v, client != nil)
	}
	if client != nil && *client != clientID(v.Token.ID) {
		return v, &fault{
			status: http.StatusUnauthorized, code: codeInvalidClient, challenges: []string{challengeBasic},
			text: "The client_id of this token is its id, " + clientID(v.Token.ID),
		}
	}
	return v, nil
}

// clientID returns what a token is called as a client: each is a client of its own.
func clientID(id latchward.TokenID) string { return strconv.FormatInt(int64(id), 10) }

// clientCredential returns the secret with which a client proves itself, and its client_id when it used Basic.
func clientCredential(r *http.Request, f form) (client *string, secret latchward.Secret, err error) {
	given := r.Header["Authorization"]
	if user, password, ok := basicAuth(r); ok && len(given) == 1 && !provesInBody(f) {
		return &user, latchward.SecretFromText(password), nil
	}
	secret, reason := httpauth.Credential(r)
	switch {
	case reason == latchward.ReasonBadRequest || len(given) > 0 && provesInBody(f):
		return nil, secret, invalidRequest("Send one credential, in the Authorization header")
	case reason != "":
		return nil, secret, &fault{
			status: http.StatusUnauthorized, code: codeInvalidClient, challenges: []string{challengeBearer, challengeBasic},
			text: "Send a service token that holds " + latchward.PermissionVerify + " in the Authorization header",
		}
	}
	return nil, secret, nil
}

// basicAuth returns the client_id and secret of Basic, which are encoded as in forms (RFC 6749 §2.3.1).
func basicAuth(r *http.Request) (user, password string, ok bool) {
	user, password, ok = r.BasicAuth()
	user, errUser := url.QueryUnescape(user)
	password, errPassword := url.QueryUnescape(password)
	return user, password, ok && errUser == nil && errPassword == nil
}

// refusal is the answer to a caller whom the verdict does not let through.
func (h *handler) refusal(r *http.Request, v *latchward.Verdict, basic bool) error {
	switch v.Reason {
	case latchward.ReasonMalformed, latchward.ReasonNotFound, latchward.ReasonRevoked:
		if err := h.attempt(h.Proxies.ClientAddress(r)); err != nil {
			return err
		}
	}
	problem := httpauth.ProblemOf(v)
	f := &fault{
		status: problem.Status, code: codeInvalidToken, text: problem.Error, retryAfter: problem.RetryAfter,
		challenges: []string{challengeBearer + `, error="invalid_token"`},
	}
	switch {
	case problem.Status == http.StatusTooManyRequests:
		f.code, f.challenges = codeUnavailable, nil
	case v.Reason == latchward.ReasonInsufficientPermissions:
		f.code, f.challenges = codeScope, []string{challengeBearer + `, error="insufficient_scope"`}
		f.text = "The token needs the permission " + latchward.PermissionVerify
	case problem.Status == http.StatusForbidden:
		f.code, f.challenges = codeUnauthorized, nil
	case basic:
		f.code, f.challenges = codeInvalidClient, []string{challengeBasic}
	}
	return f
}

// attempt counts a credential from address that is no good; the error says that there were too many (C-02).
func (h *handler) attempt(address netip.Addr) error {
	if h.Guard.Exhausted(address) {
		return &fault{
			status: http.StatusTooManyRequests, code: codeUnavailable, retryAfter: 60,
			text: "Too many requests with invalid credentials came from this address",
		}
	}
	h.Guard.Failed(address)
	return nil
}

// record notes a call of ours by a proven token, like a call of anything else.
func (h *handler) record(r *http.Request, v *latchward.Verdict, status int) {
	if v.Token.ID == 0 || !v.Tracked() || v.Allowed() && !h.pulse.due(v.Token.ID, v.At) {
		return
	}
	now := h.now()
	h.service.Record(&latchward.UsageEvent{
		At: now, TokenID: v.Token.ID, Credential: latchward.CredentialToken, Reason: v.Reason,
		Endpoint: r.URL.EscapedPath(), Method: r.Method, Status: cmp.Or(status, http.StatusBadRequest),
		Duration: max(0, now.Sub(v.At)), Address: h.Proxies.ClientAddress(r), UserAgent: r.UserAgent(),
	})
}

// pulse remembers when a call by each service token was last recorded. Resource servers ask for every request that they
// serve: one event a minute shows that the token itself is in use.
type pulse struct {
	mu       sync.Mutex
	recorded map[latchward.TokenID]time.Time
}

// due reports whether a call that was judged at now is to be recorded, and takes it for recorded.
func (p *pulse) due(id latchward.TokenID, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if last, ok := p.recorded[id]; ok && now.Sub(last) < time.Minute {
		return false
	}
	if p.recorded == nil {
		p.recorded = map[latchward.TokenID]time.Time{}
	}
	p.recorded[id] = now
	return true
}
