package latchward

import (
	"encoding/json"
	"slices"
	"time"
)

// Actions that audit entries name.
const (
	ActionTokenCreate      = "token.create"
	ActionTokenUpdate      = "token.update"
	ActionTokenEnable      = "token.enable"
	ActionTokenDisable     = "token.disable"
	ActionTokenIdle        = "token.idle"
	ActionTokenRotate      = "token.rotate"
	ActionTokenRetire      = "token.retire" // the secret before the current one ended before its grace did
	ActionTokenReuse       = "token.reuse"  // a rotated-out secret was used
	ActionTokenLeak        = "token.leak"   // a secret was found in public
	ActionTokenRevoke      = "token.revoke"
	ActionTokenDelete      = "token.delete"
	ActionTokenImport      = "token.import" // of many at once: their Imported names the import
	ActionUserCreate       = "user.create"
	ActionUserUpdate       = "user.update"
	ActionUserDisable      = "user.disable"
	ActionUserEnable       = "user.enable"
	ActionUserRemove       = "user.remove"
	ActionRoleCreate       = "role.create"
	ActionRoleUpdate       = "role.update"
	ActionRoleDelete       = "role.delete"
	ActionGroupCreate      = "group.create"
	ActionGroupUpdate      = "group.update"
	ActionGroupDisable     = "group.disable"
	ActionGroupEnable      = "group.enable"
	ActionGroupRemove      = "group.remove"
	ActionLicenseCreate    = "license.create"
	ActionLicenseUpdate    = "license.update"
	ActionLicenseDelete    = "license.delete"
	ActionPolicyCreate     = "policy.create"
	ActionPolicyUpdate     = "policy.update"
	ActionPolicyDelete     = "policy.delete"
	ActionPolicyApply      = "policy.apply" // tokens that it covers were brought into line
	ActionPermissionCreate = "permission.create"
	ActionPermissionUpdate = "permission.update"
	ActionPermissionDelete = "permission.delete"
	ActionKeyRotate        = "key.rotate"
	ActionKeyDrop          = "key.drop"
	ActionDerivedRevoke    = "token.derived_revoke" // of one derived token alone
	ActionSigningKeyCreate = "signing_key.create"
	ActionSigningKeyRetire = "signing_key.retire" // it will sign no more from an instant on
	ActionSigningKeyRevoke = "signing_key.revoke" // what it signed is refused
	ActionStreamEnd        = "stream.end"         // an open stream was ended because its token stopped being valid

	ActionSetup            = "setup" // the first administrator set themselves up
	ActionSessionCreate    = "session.create"
	ActionSessionEnd       = "session.end"
	ActionPasswordSet      = "account.password"
	ActionPasswordCode     = "account.password_code"
	ActionTOTPOn           = "account.totp_on"
	ActionTOTPOff          = "account.totp_off"
	ActionRecoveryCodes    = "account.recovery_codes"
	ActionRecoveryCodeUsed = "account.recovery_code_used"
	ActionPasskeyAdd       = "account.passkey_add"
	ActionPasskeyRemove    = "account.passkey_remove"
	ActionIdentityLink     = "account.identity_link"
	ActionIdentityUnlink   = "account.identity_unlink"
	ActionAuditExport      = "audit.export"
	ActionAuditSeal        = "audit.seal" // the chain was sealed after an upgrade from a version that kept none
	ActionRestore          = "restore"    // a backup was put into the place of the database
)

// AuditOutcome says what became of an attempt.
type AuditOutcome string

// The outcomes.
const (
	OutcomeDone   AuditOutcome = "done"
	OutcomeDenied AuditOutcome = "denied" // the principal may not do that; After says why, and how often when folded
)

// AuditOutcomes lists every outcome.
func AuditOutcomes() []AuditOutcome { return []AuditOutcome{OutcomeDone, OutcomeDenied} }

// AuditTargets lists every type of target.
func AuditTargets() []string {
	return []string{"audit", "group", "key", "license", "permission", "policy", "role", "token", "user"}
}

// AuditEntry tells who changed what, when and from where, or tried to. It is written in the transaction of the change
// (B-16) and never holds a secret.
type AuditEntry struct {
	ID         int64 // 1, 2, 3 and so on, without gaps
	At         time.Time
	Actor      Principal // Type, ID, Name and Origin are kept
	Action     string
	Outcome    AuditOutcome
	TargetType string // one of AuditTargets
	TargetID   int64
	TargetName string         // as it was then, so that the entry outlives its target
	Before     map[string]any // members that changed, as they were; nil for a creation
	After      map[string]any // members that changed, as they are; nil for a deletion
	Proof      AuditProof
}

// AuditFilter selects audit entries, newest first unless it says otherwise. The zero value of a field does not filter.
type AuditFilter struct {
	ActorType  PrincipalType
	ActorID    int64
	Action     string
	Outcome    AuditOutcome
	TargetType string
	TargetID   int64
	From       time.Time // not before this moment
	Until      time.Time // before this moment
	Text       string    // part of a name, an address, a user agent or a request id; ASCII letters match in either case
	Before     int64     // entries whose id is lower
	After      int64     // entries whose id is higher
	Oldest     bool      // the oldest first
	Limit      int       // at most this many; Service sets 1 to MaxPage
}

// Validate checks what a caller can set.
func (f *AuditFilter) Validate() error {
	if f.Outcome != "" && !slices.Contains(AuditOutcomes(), f.Outcome) {
		return Invalid("outcome", "must be done or denied")
	}
	if !f.From.IsZero() && !f.Until.IsZero() && f.Until.Before(f.From) {
		return Invalid("to", "must not be before from")
	}
	return validateText("text", f.Text, 0, MaxNameLength)
}

// changes returns the members of before and after that differ, each as it was and as it is.
func changes(before, after map[string]any) (was, is map[string]any) {
	was, is = map[string]any{}, map[string]any{}
	for member, value := range after {
		if old := before[member]; auditText(old) != auditText(value) {
			was[member], is[member] = old, value
		}
	}
	return was, is
}

// auditText is a value's one text form, for telling whether it changed.
func auditText(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return ""
	}
	return string(text)
}
