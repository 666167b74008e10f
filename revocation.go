package latchward

import "slices"

// RevokeReason is one of a closed set of reasons for which a token is revoked. They are the reason codes for revoking a
// certificate, as far as they apply to tokens (RFC 5280 §5.3.1).
type RevokeReason string

// The reasons.
const (
	RevokeUnspecified        RevokeReason = "unspecified"
	RevokeKeyCompromise      RevokeReason = "key_compromise"         // somebody else has the secret, or may have it
	RevokeAffiliationChanged RevokeReason = "affiliation_changed"    // its owner left or has another task
	RevokeSuperseded         RevokeReason = "superseded"             // another token has taken its place
	RevokeCessation          RevokeReason = "cessation_of_operation" // it is no longer needed
	RevokePrivilegeWithdrawn RevokeReason = "privilege_withdrawn"    // a policy or an administrator no longer allows it
)

// RevokeReasons lists every reason.
func RevokeReasons() []RevokeReason {
	return []RevokeReason{
		RevokeUnspecified, RevokeKeyCompromise, RevokeAffiliationChanged, RevokeSuperseded, RevokeCessation,
		RevokePrivilegeWithdrawn,
	}
}

// Revocation says why a token is revoked.
type Revocation struct {
	Reason RevokeReason // "" = RevokeUnspecified
	Note   string       // for people to read, up to MaxReasonLength characters
}

// ParseRevocation reads one of the reasons, or takes any other text as a note.
func ParseRevocation(text string) Revocation {
	if reason := RevokeReason(text); slices.Contains(RevokeReasons(), reason) {
		return Revocation{Reason: reason}
	}
	return Revocation{Note: text}
}

func (r *Revocation) validate() error {
	r.Reason = orDefault(r.Reason, RevokeUnspecified)
	if !slices.Contains(RevokeReasons(), r.Reason) {
		return Invalid("reason", "must be one of %v", RevokeReasons())
	}
	return validateText("note", r.Note, 0, MaxReasonLength)
}
