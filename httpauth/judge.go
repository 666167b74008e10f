package httpauth

import (
	"cmp"
	"context"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/internal/jwt"
)

// Judge asks for the verdict on an HTTP request. [Require] and the gateway share it, so that they cannot disagree.
// Set Verifier and whatever else is needed before the first use; it is safe for concurrent use from then on.
type Judge struct {
	Verifier latchward.Verifier
	Persons  PersonAuthenticator // for JWTs of the host application; nil = a JWT is as good as any nonsense
	Proxies  *Proxies            // nil = the client is the peer
	Base     string              // removed from paths before they are judged, as latchward.ValidateBase returns it
	Prefix   string              // of our secrets, to find them in queries; "" = latchward.DefaultPrefix

	Permissions []string                  // what a request needs, all of them
	Query       latchward.PermissionQuery // what else it needs; the zero query asks nothing
	Licenses    []string                  // names; a request needs a seat of each
	Rights      bool                      // verdicts are to tell Verdict.Rights, also those of a remote Verifier
	Cost        func(*http.Request) int64 // units of the limits, at least 1; nil = 1
	Audience    string                    // for whom derived tokens must be; "" = Latchward itself
	Now         func() time.Time          // for verdicts that need no Verifier; nil = time.Now

	dryRun bool // asks without booking a cost
}

// Judge returns the verdict on r and the judged path: canonical and without the base. It reads neither r's body nor
// anything but its method, request target, Authorization header, peer and, from trusted proxies, their header. The
// path comes from the request target as it was on the wire, so http.StripPrefix has no part in it; it is "" when it
// has no canonical form, for which the verdict is bad_request.
//
// An error means that there is no verdict. Its code is not_found for a path that is not under the base, invalid for a
// cost that can never pass, and unavailable for everything else.
func (j *Judge) Judge(r *http.Request) (v latchward.Verdict, path string, err error) {
	return j.judge(r, j.Proxies.ClientAddress(r))
}

// JudgeAgain returns the verdict that r would get now, booking no cost: whether a request that is still being served
// may go on. A limit that is used up says nothing about that.
func (j *Judge) JudgeAgain(r *http.Request) (latchward.Verdict, error) {
	again := *j
	again.dryRun = true
	v, _, err := again.Judge(r)
	if v.RetryAfter() > 0 {
		v.Reason = latchward.ReasonAllowed
	}
	return v, err
}

// Path returns the judged path of r. Errors are of code invalid for a request target that has no canonical path, and of
// code not_found for a path that is not under the base.
func (j *Judge) Path(r *http.Request) (string, error) {
	path, err := canonicalPath(r)
	if err != nil {
		return "", err
	}
	path, under := latchward.JudgedPath(path, j.Base)
	if !under {
		return "", &latchward.Error{Code: latchward.CodeNotFound, Message: "Not found"}
	}
	return path, nil
}

func (j *Judge) judge(r *http.Request, address netip.Addr) (latchward.Verdict, string, error) {
	path, err := j.Path(r)
	if latchward.ErrorCode(err) == latchward.CodeInvalid {
		return j.refuse(latchward.ReasonBadRequest), "", nil
	}
	if err != nil {
		return latchward.Verdict{}, "", err
	}
	v, err := j.judgeAt(r, path, address)
	if err != nil {
		return latchward.Verdict{}, path, undecided(err)
	}
	v.Path = path // a remote verifier does not say
	return v, path, nil
}

func (j *Judge) judgeAt(r *http.Request, path string, address netip.Addr) (latchward.Verdict, error) {
	prefix := cmp.Or(j.Prefix, latchward.DefaultPrefix)
	method, err := latchward.CanonicalMethod(r.Method)
	if err != nil || queryHolds(r.URL.RawQuery, prefix) || latchward.HoldsSecret(path, prefix) {
		return j.refuse(latchward.ReasonBadRequest), nil
	}
	secret, reason := Credential(r)
	switch {
	case reason != "":
		return j.refuse(reason), nil
	case LooksLikeJWT(secret) && !jwt.IsDerived(secret): // which stands for an API token, and never for a person
		return j.person(r.Context(), secret)
	}
	return j.Verifier.Verify(r.Context(), latchward.VerifyRequest{
		Secret: secret, Method: method, Path: path, Address: address,
		Permissions: j.Permissions, Query: j.Query, Licenses: j.Licenses, Rights: j.Rights,
		Cost: j.cost(r), Audience: j.Audience, DryRun: j.dryRun,
	})
}

func (j *Judge) refuse(reason latchward.Reason) latchward.Verdict {
	return latchward.Verdict{Reason: reason, At: j.now()}
}

// person judges a JWT. A person has no endpoint list and no limit of their own.
func (j *Judge) person(ctx context.Context, jwt latchward.Secret) (latchward.Verdict, error) {
	if j.Persons == nil {
		return j.refuse(latchward.ReasonMalformed), nil
	}
	p, err := j.Persons.Authenticate(ctx, jwt)
	switch {
	case latchward.ErrorCode(err) == latchward.CodeUnauthenticated:
		return j.refuse(latchward.ReasonMalformed), nil
	case err != nil:
		return latchward.Verdict{}, err
	}
	v := j.refuse(latchward.ReasonAllowed)
	v.Subject = latchward.Subject{Type: latchward.SubjectUser, ID: p.ID, Name: p.Name}
	v.Rights = p.Rights
	v.Reason = p.Permit(j.Permissions, j.Query, j.Licenses, v.At)
	return v, nil
}

// Missing returns what the holder of a refused verdict of j lacks, such as "Needs the permission orders.read"; "" when
// the verdict does not tell.
func (j *Judge) Missing(v *latchward.Verdict) string {
	if v.Rights == nil {
		return ""
	}
	switch license, permission := j.missingLicense(v), j.missingPermission(v); {
	case v.Reason == latchward.ReasonLicenseMissing && license != "":
		return "Needs the license " + license
	case v.Reason != latchward.ReasonInsufficientPermissions:
		return ""
	case permission != "":
		return "Needs the permission " + permission
	default:
		return needs(v.Rights.Missing(j.Query))
	}
}

func needs(s latchward.Shortfall) string {
	switch {
	case s.Needed == "":
		return ""
	case len(s.Lacking) == 1 && len(s.Unwanted) == 0:
		return "Needs the permission " + s.Needed
	default:
		return "Needs these permissions: " + s.Needed
	}
}

func (j *Judge) missingLicense(v *latchward.Verdict) string {
	for _, name := range j.Licenses {
		if !v.Rights.HasLicense(name, v.At) {
			return name
		}
	}
	return ""
}

func (j *Judge) missingPermission(v *latchward.Verdict) string {
	for _, name := range j.Permissions {
		if !v.Rights.Has(name) {
			return name
		}
	}
	return ""
}

// undecided returns err as the client may be told. What a remote Verifier has against its caller is not about the
// client of that caller.
func undecided(err error) error {
	switch latchward.ErrorCode(err) {
	case latchward.CodeInvalid, latchward.CodeUnavailable:
		return err
	}
	return &latchward.Error{
		Code: latchward.CodeUnavailable, Message: "The request could not be judged; try again.", Err: err,
	}
}

func (j *Judge) cost(r *http.Request) int64 {
	if j.Cost == nil {
		return 1
	}
	return j.Cost(r)
}

func (j *Judge) now() time.Time {
	if j.Now == nil {
		return time.Now()
	}
	return j.Now()
}

// canonicalPath returns the path of the request target in canonical form. It goes by what was on the wire, because
// url.URL cannot give that back: for a path with characters that should have been escaped, EscapedPath escapes the
// decoded one, where an escaped slash has become a slash.
func canonicalPath(r *http.Request) (string, error) {
	target := r.RequestURI
	switch {
	case target == "": // not read from a wire
		target = r.URL.EscapedPath()
	case target[0] != '/':
		target = cutAuthority(target, r.Host)
	}
	path, _, _ := strings.Cut(target, "?")
	return latchward.CanonicalPath(path)
}

// cutAuthority returns the path and query of a target in absolute form (RFC 9112 §3.2.2), and "" for a target that has
// no path or names another host than the request does: one authority has to be the only one (bar 29).
func cutAuthority(target, host string) string {
	scheme, rest, _ := strings.Cut(target, "://")
	if !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") {
		return ""
	}
	authority := rest
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority, rest = rest[:i], rest[i:]
	} else {
		rest = ""
	}
	switch {
	case !strings.EqualFold(authority, host):
		return ""
	case strings.HasPrefix(rest, "/"):
		return rest
	default:
		return "/" + rest
	}
}
