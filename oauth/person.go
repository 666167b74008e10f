package oauth

import (
	"context"
	"net/http"
	"strings"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
)

// isOurs reports whether a subject token is one of ours rather than a person's credential.
func (h *handler) isOurs(kind string, token latchward.Secret) bool {
	return kind == TypeAccessToken && !httpauth.LooksLikeJWT(token)
}

// person returns the context in which the person acts whose credential the subject token is. A JWT that Latchward
// itself signed is nobody's: the authenticator refuses its type.
func (h *handler) person(
	r *http.Request, kind string, token latchward.Secret,
) (ctx context.Context, p latchward.Principal, err error) {
	ctx = r.Context()
	switch {
	case kind == TypeSession:
		p, _, err = h.service.UseSession(ctx, token)
	case kind != TypeJWT && kind != TypeAccessToken:
		err = invalidRequest("subject_token_type must be " + TypeJWT + ", " + TypeAccessToken + " or " + TypeSession)
	case h.Persons == nil:
		err = latchward.Errorf(latchward.CodeUnauthenticated, "nobody signs in here by JWT")
	default:
		p, err = h.Persons.Authenticate(ctx, token)
	}
	if latchward.ErrorCode(err) == latchward.CodeUnauthenticated {
		h.log.DebugContext(ctx, "A subject token was refused.", "error", err)
		if err = h.attempt(h.Proxies.ClientAddress(r)); err == nil {
			err = invalidRequest("subject_token is not valid, or no longer") // RFC 8693 §2.2.2
		}
	}
	p.Origin = h.origin(r)
	return latchward.WithPrincipal(ctx, p), p, err
}

// origin is where r came from, for the audit log.
func (h *handler) origin(r *http.Request) latchward.Origin {
	agent := r.UserAgent()
	o := latchward.Origin{
		Address:   h.Proxies.ClientAddress(r),
		UserAgent: strings.ToValidUTF8(agent[:min(len(agent), latchward.MaxUserAgentLength)], ""),
	}
	plain := func(c rune) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("._-", c)
	}
	id := r.Header.Get("X-Request-Id")
	if len(id) <= latchward.MaxRequestIDLength && !strings.ContainsFunc(id, func(c rune) bool { return !plain(c) }) {
		o.RequestID = id
	}
	return o
}

// requestKey returns the Idempotency-Key of r, without quotes if it has them; "" when there is none.
func requestKey(r *http.Request) (string, error) {
	keys := r.Header.Values("Idempotency-Key")
	if len(keys) == 0 {
		return "", nil
	}
	key := keys[0]
	if inner := strings.TrimSuffix(strings.TrimPrefix(key, `"`), `"`); len(inner) == len(key)-2 {
		key = inner
	}
	if len(keys) > 1 || key == "" {
		return "", invalidRequest("Idempotency-Key must be there once, and not be empty")
	}
	return key, nil
}
