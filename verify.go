package latchward

import (
	"context"
	"net/netip"
	"slices"
	"time"
)

// Reason says why a verdict is what it is. The set is closed: every transport has one table, and a test fails when a
// reason is missing from one.
type Reason string

// The reasons. What an outsider is told about them is the transport's business.
const (
	ReasonAllowed                 Reason = "allowed"
	ReasonBadRequest              Reason = "bad_request"         // ambiguous path or method, or two credentials
	ReasonMissing                 Reason = "missing"             // no credential
	ReasonMalformed               Reason = "malformed"           // not a token of ours: shape, checksum or keyed tag
	ReasonNotFound                Reason = "not_found"           // a well-formed token that is not on record
	ReasonRevoked                 Reason = "revoked"             // revoked for good
	ReasonRotated                 Reason = "rotated"             // a rotated-out secret whose grace is over
	ReasonDisabled                Reason = "disabled"            // inactive: disabled by somebody, or idle
	ReasonExpired                 Reason = "expired"             // expires_at has been reached
	ReasonNotYetValid             Reason = "not_yet_valid"       // not_before has not been reached
	ReasonOwnerDisabled           Reason = "owner_disabled"      // the owner may not act
	ReasonAddressNotAllowed       Reason = "address_not_allowed" // the client's address is outside every allowed network
	ReasonLicenseMissing          Reason = "license_missing"
	ReasonEndpointNotAllowed      Reason = "endpoint_not_allowed"
	ReasonInsufficientPermissions Reason = "insufficient_permissions"
	ReasonRateLimited             Reason = "rate_limited"
	ReasonQuotaExceeded           Reason = "quota_exceeded"
	ReasonTooManyConcurrent       Reason = "too_many_concurrent"
)

// Reasons lists every reason, for tables that must be complete.
func Reasons() []Reason { return slices.Clone(reasons[:]) }

var reasons = [...]Reason{
	ReasonAllowed, ReasonBadRequest, ReasonMissing, ReasonMalformed, ReasonNotFound, ReasonRevoked, ReasonRotated,
	ReasonDisabled, ReasonExpired, ReasonNotYetValid, ReasonOwnerDisabled, ReasonAddressNotAllowed,
	ReasonLicenseMissing, ReasonEndpointNotAllowed, ReasonInsufficientPermissions, ReasonRateLimited,
	ReasonQuotaExceeded, ReasonTooManyConcurrent,
}

// Unproven reports whether a holder who gets r has not shown a live or remembered secret. All such reasons look the
// same from outside (bar 14), and a revoked token counts among them.
func (r Reason) Unproven() bool {
	switch r {
	case ReasonMissing, ReasonMalformed, ReasonNotFound, ReasonRevoked, ReasonBadRequest:
		return true
	}
	return false
}

// VerifyRequest asks whether the holder of a secret may make a request.
type VerifyRequest struct {
	Secret      Secret          // what was presented; the zero Secret means nothing was
	Method      string          // "" = not told: a token that is restricted by method fails
	Path        string          // judged path without query; "" = not told: a token that is restricted by endpoint fails
	Address     netip.Addr      // the client's; invalid = not told: a token that is restricted by network fails
	Permissions []string        // all of them are needed
	Query       PermissionQuery // what else is needed; the zero query asks nothing
	Licenses    []string        // names; a seat of each is needed
	Rights      bool            // a remote Verifier is to tell Verdict.Rights, too
	Cost        int64           // units of the limits; 0 = 1
	Audience    string          // for whom a derived token must be; "" = Latchward itself
	DryRun      bool            // judge only: book no cost, move no clock, count nothing
}

// Verdict is the answer to a VerifyRequest. "No" is a verdict; an error would mean that none could be made.
type Verdict struct {
	Reason Reason
	Token  VerdictToken // the zero VerdictToken when the secret was not proven or a JWT was presented
	// Rights are what the subject may do; nil when that was not looked at: for a refusal that comes before, and from a
	// remote Verifier that was not asked for them.
	Rights  *Rights
	Subject Subject   // whom the verdict speaks about; the zero Subject when unknown
	At      time.Time // when it was judged
	Path    string    // the judged path in canonical form; "" when it was not told or has none
	Limit   LimitStatus
	Derived string // id of the derived token that was presented; "" = the token's own secret was, or nothing proven
}

// VerdictToken is what a verdict tells about the token. Its slice and map are shared: read them, never change them.
type VerdictToken struct {
	ID            TokenID // 0 = the verdict is about no token
	Name          string
	Kind          Kind
	Owner         Owner
	Permissions   []string       // the token's own grants; nil = all that its owner holds
	Metadata      map[string]any // nil = none
	MethodMatters bool           // an allowed endpoint names a method: what overrides the method must not pass
}

// Allowed reports whether the request may proceed.
func (v *Verdict) Allowed() bool { return v.Reason == ReasonAllowed }

// Tracked reports whether a request with this verdict is recorded as usage rather than only counted: the
// secret was proven, or a signed-in person was.
func (v *Verdict) Tracked() bool {
	return !v.Reason.Unproven() && (v.Token.ID != 0 || v.Subject.ID != 0)
}

// Credential returns which type of credential the verdict is about.
func (v *Verdict) Credential() CredentialType {
	switch {
	case v.Derived != "":
		return CredentialDerived
	case v.Token.ID != 0:
		return CredentialToken
	}
	return CredentialJWT
}

// RetryAfter returns how long a caller over its limit should wait: whole seconds, at least 1; 0 when the verdict is
// not about a limit (S2-13).
func (v *Verdict) RetryAfter() time.Duration {
	switch v.Reason {
	case ReasonRateLimited, ReasonQuotaExceeded, ReasonTooManyConcurrent:
		return max(time.Second, (v.Limit.Reset.Sub(v.At) + time.Second - 1).Truncate(time.Second))
	}
	return 0
}

// LimitStatus is what a verdict says about one limit.
type LimitStatus struct {
	Name      string        // "" = the verdict says nothing about limits
	Limit     int64         // units per Window
	Window    time.Duration // the window slides
	Remaining int64         // units that could be taken at once now
	Current   int64         // units in the window, with those refused now
	Reset     time.Time     // when Remaining next grows; after a refusal, when this request would pass
}

// SubjectType says what a verdict speaks about.
type SubjectType string

// The types of subject.
const (
	SubjectUser  SubjectType = "user"  // a person: the owner of a personal token, or the bearer of a JWT
	SubjectToken SubjectType = "token" // a service token itself
)

// Subject is whom a verdict speaks about: on whose behalf the request is made.
type Subject struct {
	Type SubjectType
	ID   int64
	Name string // for people to read
}

// Verifier decides. [Service] does, and so does the client of a remote server.
type Verifier interface {
	// Verify returns a verdict, or an error when none could be made: code unavailable when the store or the limiter
	// did not answer, code invalid for a cost that can never pass. It is safe for concurrent use.
	Verify(ctx context.Context, r VerifyRequest) (Verdict, error)
}
