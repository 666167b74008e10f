package operation

import (
	"context"
	"slices"
	"strconv"

	"github.com/latchward/latchward"
)

// Subject is whom an operation acts for: a person, or a service token. A field of this type is filled in with the one
// whose credential came with the request. The zero Subject is anonymous: nobody, who holds nothing.
type Subject struct {
	verdict latchward.Verdict
}

// NewSubject returns the subject of a verdict. It is for tests and other ways in; operations get theirs by themselves.
func NewSubject(v latchward.Verdict) Subject { return Subject{verdict: v} }

// SubjectFrom returns the subject of the request that is being served.
func SubjectFrom(ctx context.Context) Subject {
	v, _ := latchward.VerdictFrom(ctx)
	return Subject{verdict: v}
}

// ID returns who it is, as in "user:3" or "token:7", and "" for nobody.
func (s Subject) ID() string {
	if !s.Valid() {
		return ""
	}
	return string(s.verdict.Subject.Type) + ":" + strconv.FormatInt(s.verdict.Subject.ID, 10)
}

// Name returns its name for people to read, "" for nobody.
func (s Subject) Name() string {
	if !s.Valid() {
		return ""
	}
	return s.verdict.Subject.Name
}

// Valid reports whether somebody was recognised: the credential was good, and may be used for this request.
func (s Subject) Valid() bool { return s.verdict.Allowed() && s.verdict.Subject.ID != 0 }

// Verdict returns what was decided about the request, with what it tells about the token and its limits.
func (s Subject) Verdict() latchward.Verdict { return s.verdict }

// rights are what the subject holds; those of nobody are nil, which hold nothing.
func (s Subject) rights() *latchward.Rights {
	if !s.Valid() {
		return nil
	}
	return s.verdict.Rights
}

// HasPermission reports whether the subject holds a permission, such as "orders.read".
func (s Subject) HasPermission(name string) bool { return s.rights().Has(name) }

// HasRole reports whether the subject has the role with that name.
func (s Subject) HasRole(name string) bool { return s.rights().HasRole(name) }

// HasGroup reports whether the subject is a member of the group with that name.
func (s Subject) HasGroup(name string) bool { return s.rights().HasGroup(name) }

// HasLicense reports whether the subject has a seat of the license with that name, and the license was valid when the
// request was judged.
func (s Subject) HasLicense(name string) bool { return s.rights().HasLicense(name, s.verdict.At) }

// Roles lists the names of its roles. The caller owns the list.
func (s Subject) Roles() []string { return slices.Clone(s.rights().Facts().Roles) }

// Groups lists the names of the groups that it is a member of. The caller owns the list.
func (s Subject) Groups() []string { return slices.Clone(s.rights().Facts().Groups) }

// Licenses lists the names of the licenses that it has a seat of and that were valid when the request was judged. The
// caller owns the list.
func (s Subject) Licenses() []string {
	var names []string
	for _, license := range s.rights().Facts().Licenses {
		if s.HasLicense(license.Name) {
			names = append(names, license.Name)
		}
	}
	return names
}

// Audit returns nil when the subject holds a permission. Otherwise the error is an Error of code unauthenticated for
// nobody, and of code forbidden, naming the permission, for everybody else; a function may return it as it is.
func (s Subject) Audit(permission string) error {
	switch {
	case s.HasPermission(permission):
		return nil
	case !s.Valid():
		return latchward.Errorf(latchward.CodeUnauthenticated, "Authentication required")
	default:
		return lacking("permission", permission)
	}
}

// lacking is the error of a subject that does not have what is needed.
func lacking(what, name string) error {
	return latchward.Errorf(latchward.CodeForbidden, "Needs the %s %s", what, name)
}
