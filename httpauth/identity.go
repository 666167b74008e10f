package httpauth

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/latchward/latchward"
)

// The headers in which an upstream learns who is asking. All names that start with X-Latchward- are managed: a client
// can set none of them.
const (
	HeaderTokenID     = "X-Latchward-Token-Id"    // decimal id of the token; absent for a JWT
	HeaderSubject     = "X-Latchward-Subject"     // on whose behalf: "user:3" or "token:7"
	HeaderOwner       = "X-Latchward-Owner"       // who owns the token: "user:3"; absent for a JWT
	HeaderPermissions = "X-Latchward-Permissions" // the token's own, separated by spaces; absent = its owner's rights
	HeaderAssertion   = "X-Latchward-Assertion"   // reserved for a signed statement of the above
)

const managedPrefix = "x-latchward-"

// Managed reports whether a header name is one of ours in any spelling that some server takes for it: case does not
// matter, and neither does which other character stands for a hyphen, because CGI and its heirs cannot tell (bar 90).
func Managed(name string) bool {
	if len(name) < len(managedPrefix) {
		return false
	}
	for i := range len(managedPrefix) {
		c := name[i]
		switch {
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		case !isAlphanumeric(c):
			c = '-'
		}
		if c != managedPrefix[i] {
			return false
		}
	}
	return true
}

// StripIdentity removes every managed header from h, which may be a trailer. It changes h in place.
func StripIdentity(h http.Header) {
	for name := range h {
		if Managed(name) {
			delete(h, name)
		}
	}
}

// SetIdentity replaces the managed headers of h by those of an allowed verdict. A verdict about nobody sets none.
func SetIdentity(h http.Header, v *latchward.Verdict) {
	StripIdentity(h)
	values := make([]string, 0, 4)    // one allocation for all: every request pays for it
	set := func(name, value string) { // the names are canonical
		values = append(values, value)
		h[name] = values[len(values)-1 : len(values) : len(values)]
	}
	if v.Subject.ID != 0 {
		set(HeaderSubject, typeAndID(string(v.Subject.Type), v.Subject.ID))
	}
	t := &v.Token
	if t.ID == 0 {
		return
	}
	set(HeaderTokenID, strconv.FormatInt(int64(t.ID), 10))
	set(HeaderOwner, typeAndID(string(t.Owner.Type), t.Owner.ID))
	if t.Permissions != nil {
		set(HeaderPermissions, strings.Join(t.Permissions, " "))
	}
}

func typeAndID(kind string, id int64) string { return kind + ":" + strconv.FormatInt(id, 10) }
