package signin

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	// It refuses members that are repeated, which encoding/json takes the last of.
	"github.com/go-jose/go-jose/v4/json"

	"github.com/latchward/latchward"
)

// claims are the members of a JWT's payload.
type claims map[string]any

// expected is what a JWT has to claim.
type expected struct {
	issuer, audience       string
	adminClaim, adminValue string
	leeway                 time.Duration
}

func newExpected(o *JWTOptions) expected {
	return expected{
		issuer:     cmp.Or(o.Issuer, DefaultName),
		audience:   cmp.Or(o.Audience, DefaultName),
		adminClaim: o.AdminClaim,
		adminValue: cmp.Or(o.AdminValue, DefaultAdmin),
		leeway:     cmp.Or(o.Leeway, DefaultLeeway),
	}
}

// check decodes the payload of a JWT whose signature is good and compares its claims (RFC 7519 §4.1).
func (e *expected) check(payload []byte, now time.Time) (claims, error) {
	var c claims
	if err := json.Unmarshal(payload, &c); err != nil {
		return nil, refuse("its claims are not a JSON object without repeated members")
	}
	switch {
	case c["iss"] != e.issuer:
		return nil, refuse("its issuer is another")
	case c["aud"] != e.audience && !slices.Contains(list(c["aud"]), e.audience):
		return nil, refuse("its audience is another")
	case c.text("sub") == "":
		return nil, refuse("it has no subject")
	case c.isForClient():
		return nil, refuse("it is an ID or refresh token")
	}
	return c, e.checkTimes(c, now)
}

func (e *expected) checkTimes(c claims, now time.Time) error {
	if end := e.end(c); end.IsZero() || !now.Before(end) {
		return refuse("it has expired or does not say when it does")
	}
	for _, name := range []string{"nbf", "iat"} {
		if value, present := c[name]; present {
			if from, ok := instant(value); !ok || now.Add(e.leeway).Before(from) {
				return refuse("it is from the future")
			}
		}
	}
	return nil
}

// end returns the instant from which a JWT is good no more, the zero time when it does not say.
func (e *expected) end(c claims) time.Time {
	expires, ok := instant(c["exp"])
	if !ok {
		return time.Time{}
	}
	return expires.Add(e.leeway)
}

// isForClient reports whether a JWT is meant to be read by the application that asked for it, and not to be sent to
// anybody: an OpenID Connect ID token (Core 1.0 §2, §3.3.2.11), or one that Keycloak marks as other than a bearer.
func (c claims) isForClient() bool {
	for _, name := range []string{"nonce", "at_hash", "c_hash"} {
		if _, ok := c[name]; ok {
			return true
		}
	}
	kind, ok := c["typ"]
	return ok && kind != "Bearer" && kind != "JWT"
}

// identity returns what the claims say about the person.
func (e *expected) identity(c claims) latchward.Identity {
	id := latchward.Identity{ExternalID: c.text("sub"), Name: c.text("name"), Administrator: e.isAdministrator(c)}
	email := latchward.User{Email: c.text("email")}
	if verified := c["email_verified"]; verified != false && verified != "false" && email.Validate() == nil {
		id.Email = email.Email
	}
	return id
}

func (e *expected) isAdministrator(c claims) bool {
	if e.adminClaim != "" {
		value := c.lookUp(e.adminClaim)
		return value == e.adminValue || slices.Contains(words(value), e.adminValue)
	}
	return slices.Contains(words(c["roles"]), e.adminValue) || c["role"] == e.adminValue
}

// lookUp returns the claim of that name or, if there is none and the name has dots, the member that they lead to, as
// in Keycloak's realm_access.roles.
func (c claims) lookUp(name string) any {
	if value, ok := c[name]; ok {
		return value
	}
	outer, inner, nested := strings.Cut(name, ".")
	members, _ := c[outer].(map[string]any)
	if !nested {
		return nil
	}
	return claims(members).lookUp(inner)
}

// text returns a claim that is a string, and "" for any other.
func (c claims) text(name string) string {
	text, _ := c[name].(string)
	return text
}

// words returns the words of a claim that is text, or its elements if it is a list.
func words(claim any) []string {
	text, _ := claim.(string)
	return append(strings.Fields(text), list(claim)...)
}

// list returns the elements of a claim that is a list of strings. Anything else in the list spoils it.
func list(claim any) []string {
	elements, _ := claim.([]any)
	var texts []string
	for _, element := range elements {
		text, ok := element.(string)
		if !ok {
			return nil
		}
		texts = append(texts, text)
	}
	return texts
}

// instant returns the moment that a NumericDate names (RFC 7519 §2), from 1970 to 9999.
func instant(value any) (time.Time, bool) {
	const end = 253402300800 // the year 10000
	seconds, ok := value.(float64)
	if !ok || seconds < 0 || seconds >= end {
		return time.Time{}, false
	}
	whole, fraction := math.Modf(seconds)
	return time.Unix(int64(whole), int64(fraction*1e9)), true
}
