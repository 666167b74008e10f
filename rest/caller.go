package rest

import (
	"cmp"
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
)

// base is where the API is mounted; it is not part of the path that is judged and recorded.
const base = "/api"

// refusal is an error that is answered as a verdict.
type refusal struct{ verdict latchward.Verdict }

func (e *refusal) Error() string { return "refused: " + string(e.verdict.Reason) }

func refuse(reason latchward.Reason) error { return &refusal{latchward.Verdict{Reason: reason}} }

// person returns the context in which whoever sent r acts. API tokens are refused: 403 for one that is good
// elsewhere, 401 for any other. The exception is a service token that was granted, by its name, the permission that the
// route lets tokens in with; the verdict on it is the zero one for a person.
func (h *handler) person(r *http.Request, permission string) (context.Context, latchward.Verdict, error) {
	ctx := r.Context()
	if p, ok := latchward.PrincipalFrom(ctx); ok {
		if p.Origin == (latchward.Origin{}) {
			p.Origin = h.origin(r)
		}
		return latchward.WithPrincipal(ctx, p), latchward.Verdict{}, nil
	}
	secret, reason := httpauth.Credential(r)
	if reason != "" {
		return nil, latchward.Verdict{}, refuse(reason)
	}
	if !httpauth.LooksLikeJWT(secret) {
		return h.managingToken(r, secret, permission)
	}
	p, err := h.signIn(r.Context(), secret)
	if err != nil {
		return nil, latchward.Verdict{}, err
	}
	p.Origin = h.origin(r)
	return latchward.WithPrincipal(ctx, p), latchward.Verdict{}, nil
}

func (h *handler) signIn(ctx context.Context, jwt latchward.Secret) (latchward.Principal, error) {
	if h.Persons == nil {
		return latchward.Principal{}, refuse(latchward.ReasonMalformed)
	}
	p, err := h.Persons.Authenticate(ctx, jwt)
	if latchward.ErrorCode(err) == latchward.CodeUnauthenticated {
		h.log.DebugContext(ctx, "A JWT was refused.", "error", err)
		return p, refuse(latchward.ReasonMalformed)
	}
	return p, err
}

// unheld is a permission that no token can hold: granted ones have a dot, and the wildcard does not reach "tokens".
// Asking for it tells whether a token is good without spending its limit.
const unheld = "tokens"

// managingToken returns the context in which a service token acts, once everything that restricts the token itself has
// let this call pass: networks, endpoints, limits.
func (h *handler) managingToken(
	r *http.Request, secret latchward.Secret, permission string,
) (context.Context, latchward.Verdict, error) {
	v, err := h.judge(r, secret, []string{cmp.Or(permission, unheld)})
	if err != nil {
		return nil, v, err
	}
	if v.Allowed() && v.Token.Kind == latchward.KindService {
		return latchward.WithPrincipal(r.Context(), latchward.Principal{
			Type: latchward.PrincipalToken, ID: int64(v.Token.ID), Name: v.Token.Name, Rights: v.Rights, Origin: h.origin(r),
		}), v, nil
	}
	status := httpauth.StatusOf(v.Reason)
	h.recordCall(r, &v, status)
	if status == http.StatusForbidden {
		h.noteDenied(r, &v)
	}
	if status != http.StatusForbidden || permission != "" && v.Reason != latchward.ReasonInsufficientPermissions &&
		v.Token.Kind == latchward.KindService {
		return nil, v, &refusal{v}
	}
	return nil, v, latchward.Errorf(latchward.CodeForbidden, "API tokens cannot manage tokens; sign in as a person")
}

// caller returns the verdict on the service token that r came with; it must hold tokens.verify. The verdict is the zero
// one for an administrator whom the context names.
func (h *handler) caller(r *http.Request) (latchward.Verdict, error) {
	if p, ok := latchward.PrincipalFrom(r.Context()); ok {
		if !p.Administrator {
			return latchward.Verdict{}, errNotVerifier
		}
		return latchward.Verdict{}, nil
	}
	secret, reason := httpauth.Credential(r)
	if reason != "" {
		return latchward.Verdict{}, refuse(reason)
	}
	if httpauth.LooksLikeJWT(secret) {
		if _, err := h.signIn(r.Context(), secret); err != nil {
			return latchward.Verdict{}, err
		}
		return latchward.Verdict{}, errNotVerifier
	}
	v, err := h.judge(r, secret, h.verifierNeeds)
	if err == nil && !v.Allowed() {
		h.recordCall(r, &v, httpauth.StatusOf(v.Reason))
		err = &refusal{v}
	}
	return v, err
}

var errNotVerifier error = &latchward.Error{
	Code:    latchward.CodeForbidden,
	Message: "Only a service token that holds " + latchward.PermissionVerify + " may ask this",
}

// judge asks whether the holder of secret may make this call, to which the token's own restrictions apply as to a call
// of any other endpoint.
func (h *handler) judge(r *http.Request, secret latchward.Secret, needs []string) (latchward.Verdict, error) {
	return h.service.Verify(r.Context(), latchward.VerifyRequest{
		Secret: secret, Method: r.Method, Path: strings.TrimPrefix(r.URL.Path, base),
		Address: h.Proxies.ClientAddress(r), Permissions: needs,
	})
}

// recordCall records a call of ours by a proven token, like a call of anything else.
func (h *handler) recordCall(r *http.Request, v *latchward.Verdict, status int) {
	if v.Token.ID == 0 || !v.Tracked() {
		return
	}
	now := h.now()
	h.service.Record(&latchward.UsageEvent{
		At: now, TokenID: v.Token.ID, Credential: latchward.CredentialToken, Reason: v.Reason,
		Endpoint: strings.TrimPrefix(r.URL.Path, base), Method: r.Method, Status: status,
		Duration: max(0, now.Sub(v.At)), Address: h.Proxies.ClientAddress(r), UserAgent: r.UserAgent(),
	})
}

// callers remembers when a call by each service token was last recorded. A fleet of enforcement points asks once for
// every request it judges, and those are recorded already: one event a minute shows that the token itself is in use,
// which keeps it from going idle.
type callers struct {
	mu       sync.Mutex
	recorded map[latchward.TokenID]time.Time
}

const callerInterval = time.Minute

// due reports whether a call that was judged at now is to be recorded, and takes it for recorded.
func (c *callers) due(id latchward.TokenID, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	last, ok := c.recorded[id]
	if ok && now.Sub(last) < callerInterval {
		return false
	}
	c.recorded[id] = now
	return true
}

func (h *handler) origin(r *http.Request) latchward.Origin {
	return latchward.Origin{
		Address: h.Proxies.ClientAddress(r), UserAgent: cut(r.UserAgent(), latchward.MaxUserAgentLength),
		RequestID: requestID(r),
	}
}

// cut returns at most n bytes of text as valid UTF-8.
func cut(text string, n int) string { return strings.ToValidUTF8(text[:min(len(text), n)], "") }

// requestID returns the id that whoever is in front gave the request, if it has the form of one.
func requestID(r *http.Request) string {
	id := r.Header.Get("X-Request-Id")
	plain := func(c rune) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("._-", c)
	}
	if len(id) > latchward.MaxRequestIDLength || strings.ContainsFunc(id, func(c rune) bool { return !plain(c) }) {
		return ""
	}
	return id
}
