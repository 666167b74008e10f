package httpauth

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/latchward/latchward"
)

// MaxCredentialBytes bounds the value of an Authorization header; a longer one is refused without looking at it.
const MaxCredentialBytes = 8 << 10

// queryCredential is the query parameter of RFC 6750 §2.3. A request that has it is refused, because addresses end up
// in logs, histories and referrers (RFC 9700 §4.3.2).
const queryCredential = "access_token"

// PersonAuthenticator turns a JWT of the host application into the person it speaks for.
type PersonAuthenticator interface {
	// Authenticate returns an Error of code unauthenticated when the JWT is no good or its person may not act, and of code
	// unavailable when that cannot be told now. It is safe for concurrent use.
	Authenticate(ctx context.Context, jwt latchward.Secret) (latchward.Principal, error)
}

// Credential returns the one credential of r, from the Authorization header and nowhere else. The reason is "" when
// there is one, and otherwise why there is not (C-04):
//
//   - missing: no Authorization header;
//   - malformed: one, but not of the form "Bearer" SP token68 (RFC 9110 §11.2), the scheme in any case;
//   - bad_request: several, also within one header; one over [MaxCredentialBytes]; or an access_token in the query.
//
// Cookies and other headers are no credentials. The Secret shares the request's memory.
func Credential(r *http.Request) (latchward.Secret, latchward.Reason) {
	if queryHolds(r.URL.RawQuery, "") {
		return latchward.Secret{}, latchward.ReasonBadRequest
	}
	switch values := r.Header["Authorization"]; len(values) {
	case 0:
		return latchward.Secret{}, latchward.ReasonMissing
	case 1:
		return parseAuthorization(values[0])
	default:
		return latchward.Secret{}, latchward.ReasonBadRequest
	}
}

// LooksLikeJWT reports whether s is three non-empty parts joined by dots, as signed JWTs are (RFC 7515 §7.1).
func LooksLikeJWT(s latchward.Secret) bool {
	header, rest, _ := strings.Cut(s.Expose(), ".")
	claims, signature, _ := strings.Cut(rest, ".")
	return header != "" && claims != "" && signature != "" && !strings.Contains(signature, ".")
}

func parseAuthorization(value string) (latchward.Secret, latchward.Reason) {
	if len(value) > MaxCredentialBytes || holdsSeveral(value) {
		return latchward.Secret{}, latchward.ReasonBadRequest
	}
	scheme, token, _ := strings.Cut(value, " ")
	if !strings.EqualFold(scheme, "Bearer") || !isToken68(token) {
		return latchward.Secret{}, latchward.ReasonMalformed
	}
	return latchward.SecretFromText(token), ""
}

// holdsSeveral reports whether value is a list of credentials, as a proxy makes it of a repeated header. The comma
// alone does not tell: the parameters of other schemes are separated by it, too.
func holdsSeveral(value string) bool {
	first, rest, found := strings.Cut(value, ",")
	if !found {
		return false
	}
	if scheme, _, _ := strings.Cut(first, " "); strings.EqualFold(scheme, "Bearer") {
		return true
	}
	for part := range strings.SplitSeq(rest, ",") {
		scheme, token, _ := strings.Cut(strings.Trim(part, " \t"), " ")
		token = strings.TrimLeft(token, " \t")
		if token != "" && token[0] != '=' && !strings.Contains(scheme, "=") {
			return true
		}
	}
	return false
}

// isToken68 reports whether text has the form of RFC 9110 §11.2: 1*( ALPHA / DIGIT / "-._~+/" ) *"=".
func isToken68(text string) bool {
	text = strings.TrimRight(text, "=")
	for i := range len(text) {
		c := text[i]
		if !isAlphanumeric(c) && strings.IndexByte("-._~+/", c) < 0 {
			return false
		}
	}
	return text != ""
}

func isAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// queryHolds reports whether a raw query holds a credential: the parameter of RFC 6750, or any value with the shape of
// a secret under prefix, unless that is "". Unlike url.ParseQuery it takes ";" for a separator as well and leaves out
// nothing that cannot be decoded, because whoever reads the query later may do so, too.
func queryHolds(query, prefix string) bool {
	for query != "" {
		pair := query
		if i := strings.IndexAny(query, "&;"); i >= 0 {
			pair, query = query[:i], query[i+1:]
		} else {
			query = ""
		}
		name, value, _ := strings.Cut(pair, "=")
		if decodeQuery(name) == queryCredential || prefix != "" && latchward.HoldsSecret(decodeQuery(value), prefix) {
			return true
		}
	}
	return false
}

// decodeQuery returns text decoded, or as it is when it cannot be.
func decodeQuery(text string) string {
	if !strings.ContainsAny(text, "%+") {
		return text
	}
	decoded, err := url.QueryUnescape(text)
	if err != nil {
		return text
	}
	return decoded
}
