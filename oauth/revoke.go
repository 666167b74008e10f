package oauth

import (
	"net/http"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
	"github.com/latchward/latchward/internal/jwt"
)

// RevocationsPerMinute is how many tokens may be revoked from one address, whatever they are.
const RevocationsPerMinute = 60

// revoke ends the token that is shown (RFC 7009). Whoever has it may: it is found by somebody, or its holder is done
// with it (B-05). Whether there was such a token, nobody learns. token_type_hint may say anything, as RFC 7009 §2.1 has
// it: the token itself says what it is.
func (h *handler) revoke(w http.ResponseWriter, r *http.Request) error {
	f, err := readForm(w, r)
	if err == nil {
		err = publicClient(r, f)
	}
	if err != nil {
		return err
	}
	origin := h.origin(r)
	switch {
	case f.get("token") == "":
		return invalidRequest("token is missing")
	case !h.revocations.Attempt(origin.Address):
		return &fault{
			status: http.StatusTooManyRequests, code: codeUnavailable, retryAfter: 60,
			text: "Too many tokens are revoked from this address",
		}
	}
	token := latchward.SecretFromText(f.get("token"))
	if httpauth.LooksLikeJWT(token) && !jwt.IsDerived(token) {
		return &fault{code: codeUnsupportedType, text: "A JWT ends by itself: end the session it comes from where that began"}
	}
	if err := h.service.RevokeHeld(r.Context(), latchward.Presented{Secret: token, Origin: origin}); err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}
