package latchward

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Bounds of a token's fields.
const (
	MaxNameLength        = 255        // characters; S2-35
	MaxDescriptionLength = 4096       // characters
	MaxRateLimit         = 10_000_000 // requests per minute
	DefaultRateLimit     = 100        // requests per minute; S2-06
	MaxNetworks          = 100        // prefixes per token
	MaxTags              = 50
	MaxTagLength         = 64 // characters
	MaxMetadataSize      = 8192
	MaxIdleTimeoutDays   = 3650
	MaxReasonLength      = 255 // characters of the note on a revocation
)

// TokenID identifies a token for its whole life; rotation keeps it.
type TokenID int64

// Kind says as whom a token acts.
type Kind string

// The kinds.
const (
	KindPersonal Kind = "personal" // acts as its owner, with the owner's live rights, optionally narrowed
	KindService  Kind = "service"  // acts as itself, with the rights granted to it
)

// Status is what a token is at one moment; it is derived, never stored.
type Status string

// The statuses.
const (
	StatusActive   Status = "active"
	StatusInactive Status = "inactive" // disabled by somebody or idle; reversible
	StatusExpired  Status = "expired"  // ExpiresAt has been reached; moving it revives the token
	StatusRevoked  Status = "revoked"  // for good
)

// InactiveReason says why a token is inactive.
type InactiveReason string

// The reasons for inactivity.
const (
	InactiveManual InactiveReason = "manual"
	InactiveIdle   InactiveReason = "idle"
	InactiveReuse  InactiveReason = "reuse"  // of a rotated-out secret, see ReuseDisable
	InactiveLeak   InactiveReason = "leak"   // a secret of it was found in public, see LeakDisable
	InactivePolicy InactiveReason = "policy" // its kind is no longer allowed, or its secret should have been replaced
)

// OwnerType says what kind of thing owns a token.
type OwnerType string

// The types of owner. A group owns service tokens only: there is nobody whom a personal one would act as.
const (
	OwnerUser  OwnerType = "user"
	OwnerGroup OwnerType = "group"
)

// Owner is who answers for a token; a disabled owner disables it, a removed owner revokes it.
type Owner struct {
	Type OwnerType
	ID   int64
	Name string // for people to read; filled in by the store, ignored when saved
}

// Is reports whether o and other are the same owner, whatever name each carries.
func (o Owner) Is(other Owner) bool { return o.Type == other.Type && o.ID == other.ID }

// key is o as a key of maps: without the name.
func (o Owner) key() Owner { return Owner{Type: o.Type, ID: o.ID} }

// ParseOwner reads what Owner.String gives.
func ParseOwner(text string) (Owner, error) {
	kind, number, _ := strings.Cut(text, ":")
	id, err := strconv.ParseInt(number, 10, 64)
	if err != nil || id <= 0 || kind != string(OwnerUser) && kind != string(OwnerGroup) {
		return Owner{}, Invalid("owner", "must look like user:3 or group:7")
	}
	return Owner{Type: OwnerType(kind), ID: id}, nil
}

// String returns the owner as "type:id".
func (o Owner) String() string { return fmt.Sprintf("%s:%d", o.Type, o.ID) }

// Token is the record of an API token. It never holds the secret, only what recognises it. Times are UTC with
// millisecond precision; the zero time means none.
type Token struct {
	ID          TokenID
	Name        string // 1 to MaxNameLength characters
	Description string // up to MaxDescriptionLength characters; "" = none
	Kind        Kind
	Owner       Owner

	Active         bool           // false once disabled or swept as idle
	InactiveReason InactiveReason // "" while Active
	RateLimit      int64          // requests per minute, 1 to MaxRateLimit

	AllowedEndpoints []string       // patterns as written, see Pattern; empty = unrestricted
	AllowedNetworks  []netip.Prefix // masked; empty = unrestricted
	// Permissions are grants. A personal token holds what its owner holds and one of them grants; nil = all that its
	// owner holds. A service token holds what they and its roles and groups grant. Empty = none.
	Permissions []string
	Roles       []RoleID    // of a service token
	Groups      []GroupID   // of a service token
	Licenses    []LicenseID // of a service token, which takes a seat of each
	// Unbound service tokens hold what they were given even where the user who owns them lacks it: an administrator
	// gave them more. All others shrink with their owner.
	Unbound bool

	ExpiresAt       time.Time // the token is expired from this instant on
	NotBefore       time.Time // the token is not valid before this instant
	IdleTimeoutDays int       // days without an accepted request after which it goes idle; 0 = never

	Tags     []string
	Metadata map[string]any // a JSON object of at most MaxMetadataSize bytes; nil = none

	Secret   Credential     // recognises the current secret
	Retiring RetiringSecret // recognises the one before it, whether or not its grace is over; zero = none
	IssueKey string         // says under which request key the current secret was issued; "" = none
	Reuse    ReusePolicy    // of rotated-out secrets; "" = ReuseAlert

	RotatedAt        time.Time // the last rotation; zero = never
	RotationDueAt    time.Time // the current secret should be replaced by then; zero = no policy says so
	RotationRequired bool      // and is disabled if it is not

	// Prefix is the display part: token prefix and first 8 characters of the key id. Of a secret that was made elsewhere it
	// is what that is known to begin with, or "".
	Prefix    string
	Imported  string // names the import that brought it, see [ImportBatch]; "" = it was issued here
	CreatedBy string // who, as Principal.String gives it; "" = unknown
	CreatedAt time.Time
	UpdatedAt time.Time
	EnabledAt time.Time // last re-enabling; restarts the idle clock
	// LastUsedAt is the last accepted request. Stores move it when usage is added; SaveToken leaves it alone.
	LastUsedAt   time.Time
	RevokedAt    time.Time
	RevokeReason RevokeReason // "" while it is not revoked
	RevokeNote   string       // for people to read, up to MaxReasonLength characters
}

// RetiringSecret is a secret that was rotated out. It verifies until EndsAt and is recognised, and refused as
// rotated, for as long as it is remembered.
type RetiringSecret struct {
	Credential
	EndsAt     time.Time
	AtFirstUse bool // it ends when the current secret is first accepted, if that is before EndsAt
}

// Revoked reports whether t was revoked.
func (t *Token) Revoked() bool { return !t.RevokedAt.IsZero() }

// Expired reports whether t is expired at now; the instant of expiry is expired already (S2-18).
func (t *Token) Expired(now time.Time) bool { return !t.ExpiresAt.IsZero() && !now.Before(t.ExpiresAt) }

// IdleSince returns when t's idle clock started: the latest of creation, last accepted use and re-enabling.
func (t *Token) IdleSince() time.Time {
	since := t.CreatedAt
	for _, at := range []time.Time{t.LastUsedAt, t.EnabledAt} {
		if at.After(since) {
			since = at
		}
	}
	return since
}

// IdleAt returns the last instant at which t is not idle yet if it stays unused, or the zero time for never.
func (t *Token) IdleAt() time.Time {
	if t.IdleTimeoutDays == 0 {
		return time.Time{}
	}
	return t.IdleSince().AddDate(0, 0, t.IdleTimeoutDays)
}

// Idle reports whether t has been unused for more than its idle timeout (S3-03: strictly more).
func (t *Token) Idle(now time.Time) bool {
	at := t.IdleAt()
	return !at.IsZero() && now.After(at)
}

// Inactive returns why t is inactive at now, or "" when it is not. A token that has become idle is inactive before
// any sweep has recorded it (S3-04).
func (t *Token) Inactive(now time.Time) InactiveReason {
	switch {
	case !t.Active && t.InactiveReason != "":
		return t.InactiveReason
	case !t.Active:
		return InactiveManual
	case t.Idle(now):
		return InactiveIdle
	default:
		return ""
	}
}

// Status returns what t is at now.
func (t *Token) Status(now time.Time) Status {
	switch {
	case t.Revoked():
		return StatusRevoked
	case t.Inactive(now) != "":
		return StatusInactive
	case t.Expired(now):
		return StatusExpired
	default:
		return StatusActive
	}
}

// Validate checks every field that a caller can set and returns an Error of code invalid that names the first field
// at fault.
func (t *Token) Validate() error {
	checks := []func() error{
		func() error { return validateText("name", t.Name, 1, MaxNameLength) },
		func() error { return validateText("description", t.Description, 0, MaxDescriptionLength) },
		t.validateKind,
		t.validateNumbers,
		t.validateTimes,
		func() error { _, err := ParsePatterns("allowed_endpoints", t.AllowedEndpoints); return err },
		t.validateNetworks,
		func() error { return ValidateGrants("permissions", t.Permissions) },
		func() error { return validateHeld("roles", len(t.Roles)) },
		func() error { return validateHeld("groups", len(t.Groups)) },
		func() error { return validateHeld("licenses", len(t.Licenses)) },
		t.validateTags,
		t.validateMetadata,
	}
	for _, check := range checks {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (t *Token) validateKind() error {
	switch {
	case t.Kind != KindPersonal && t.Kind != KindService:
		return Invalid("kind", "must be %q or %q", KindPersonal, KindService)
	case t.Owner.Type != OwnerUser && t.Owner.Type != OwnerGroup:
		return Invalid("owner", "must be a user or a group")
	case t.Kind == KindPersonal && t.Owner.Type != OwnerUser:
		return Invalid("owner", "a personal token acts as a person: it must be owned by a user")
	case t.Kind == KindPersonal && len(t.Roles)+len(t.Groups)+len(t.Licenses) > 0:
		return Invalid("kind", "a personal token has the roles, groups and licenses of its owner, and none of its own")
	case t.Kind == KindService && t.Permissions == nil:
		return Invalid("permissions", "a service token has its own rights: give a list, [] for none")
	}
	return nil
}

func (t *Token) validateNumbers() error {
	if !t.Reuse.valid() {
		return Invalid("reuse", "must be %q, %q or %q", ReuseAlert, ReuseDisable, ReuseRevoke)
	}
	if t.RateLimit < 1 || t.RateLimit > MaxRateLimit {
		return Invalid("rate_limit", "must be a whole number of requests per minute from 1 to %d", MaxRateLimit)
	}
	if t.IdleTimeoutDays < 0 || t.IdleTimeoutDays > MaxIdleTimeoutDays {
		return Invalid("idle_timeout_days", "must be null or a whole number of days from 1 to %d", MaxIdleTimeoutDays)
	}
	return nil
}

// The years that every store and JSON encoder can represent.
const minYear, maxYear = 1970, 9999

func (t *Token) validateTimes() error {
	return validatePeriod("not_before", t.NotBefore, "expires_at", t.ExpiresAt)
}

// validatePeriod checks two instants of which the first, where both are given, must be earlier.
func validatePeriod(fromField string, from time.Time, untilField string, until time.Time) error {
	for field, at := range map[string]time.Time{fromField: from, untilField: until} {
		if !at.IsZero() && (at.Year() < minYear || at.Year() > maxYear) {
			return Invalid(field, "must lie between the years %d and %d", minYear, maxYear)
		}
	}
	if !from.IsZero() && !until.IsZero() && !from.Before(until) {
		return Invalid(fromField, "must be earlier than %s", untilField)
	}
	return nil
}

func (t *Token) validateNetworks() error {
	if len(t.AllowedNetworks) > MaxNetworks {
		return Invalid("allowed_networks", "must hold at most %d networks", MaxNetworks)
	}
	for i, network := range t.AllowedNetworks {
		if !network.IsValid() {
			return Invalid(fmt.Sprintf("allowed_networks[%d]", i), "must be an address or a network like 203.0.113.0/24")
		}
	}
	return nil
}

func (t *Token) validateTags() error {
	if len(t.Tags) > MaxTags {
		return Invalid("tags", "must hold at most %d tags", MaxTags)
	}
	for i, tag := range t.Tags {
		if err := validateText(fmt.Sprintf("tags[%d]", i), tag, 1, MaxTagLength); err != nil {
			return err
		}
	}
	return nil
}

func (t *Token) validateMetadata() error {
	if t.Metadata == nil {
		return nil
	}
	text, err := json.Marshal(t.Metadata)
	if err != nil {
		return Invalid("metadata", "must be a JSON object")
	}
	if len(text) > MaxMetadataSize {
		return Invalid("metadata", "must be at most %d bytes of JSON", MaxMetadataSize)
	}
	return nil
}

// validateText checks the length of text in characters and that it is printable UTF-8 on its own terms: control
// characters other than line breaks and tabs would corrupt logs and terminals.
func validateText(field, text string, least, most int) error {
	length := utf8.RuneCountInString(text)
	switch {
	case !utf8.ValidString(text):
		return Invalid(field, "must be valid UTF-8")
	case length < least || length > most:
		return Invalid(field, "must have %d to %d characters", least, most)
	case strings.ContainsFunc(text, isControl):
		return Invalid(field, "must not hold control characters")
	}
	return nil
}

func isControl(r rune) bool { return (r < ' ' && r != '\n' && r != '\t') || r == 0x7f }

// ParseNetwork reads an address or a network in CIDR notation. Host bits are cleared, and addresses of IPv4 mapped
// into IPv6 become IPv4, so that one network has one form.
func ParseNetwork(field, text string) (netip.Prefix, error) {
	refuse := func() (netip.Prefix, error) {
		return netip.Prefix{}, Invalid(field, "must be an address or a network like 203.0.113.0/24 or 2001:db8::/32")
	}
	if !strings.Contains(text, "/") {
		address, err := netip.ParseAddr(text)
		if err != nil || address.Zone() != "" {
			return refuse()
		}
		address = address.Unmap()
		return netip.PrefixFrom(address, address.BitLen()), nil
	}
	network, err := netip.ParsePrefix(text)
	if err != nil {
		return refuse()
	}
	if network.Addr().Is4In6() {
		if network.Bits() < 96 {
			return refuse()
		}
		network = netip.PrefixFrom(network.Addr().Unmap(), network.Bits()-96)
	}
	return network.Masked(), nil
}

// NewToken is what somebody who creates a token may say. The zero value creates the token that S2-06 describes.
type NewToken struct {
	Name             string // blank = generated
	Description      string
	Kind             Kind           // "" = KindPersonal
	Owner            *Owner         // nil = whoever acts
	RateLimit        int64          // 0 = DefaultRateLimit
	AllowedEndpoints []string       // empty = unrestricted
	AllowedNetworks  []netip.Prefix // empty = unrestricted
	Permissions      []string       // nil = the owner's rights; of a service token: none
	Roles            []string       // names; of a service token
	Groups           []string       // names; of a service token
	Licenses         []string       // names; of a service token
	ExpiresAt        time.Time
	NotBefore        time.Time
	IdleTimeoutDays  *int // nil = the instance's default; 0 = never
	Tags             []string
	Metadata         map[string]any
	Reuse            ReusePolicy // "" = ReuseAlert
	// RequestKey makes a repetition safe: creating again with the same key as the same actor gives the token that the
	// first call made a new secret, because the first may never have arrived. "" = every call makes a token.
	RequestKey string
}

// TokenUpdate changes a token: nil leaves a field as it is; a pointer to a zero value sets what creation without
// the field gives (S2-23), except where a comment says otherwise.
type TokenUpdate struct {
	Name             *string
	Description      *string
	Active           *bool // false disables; true enables and restarts the idle clock of an inactive token
	RateLimit        *int64
	AllowedEndpoints *[]string
	AllowedNetworks  *[]netip.Prefix
	Permissions      *[]string
	Roles            *[]string // names
	Groups           *[]string // names
	Licenses         *[]string // names
	ExpiresAt        *time.Time
	NotBefore        *time.Time
	IdleTimeoutDays  *int // 0 = never
	Tags             *[]string
	Metadata         *map[string]any
	Reuse            *ReusePolicy
	Revisions        []string // the token must have one of these, see [Token.Revision]; empty = whatever it has
}

// Clone returns a copy that shares nothing with t that either side may change.
func (t *Token) Clone() *Token {
	c := *t
	c.AllowedEndpoints = slices.Clone(t.AllowedEndpoints)
	c.AllowedNetworks = slices.Clone(t.AllowedNetworks)
	c.Permissions = slices.Clone(t.Permissions)
	c.Roles, c.Groups, c.Licenses = slices.Clone(t.Roles), slices.Clone(t.Groups), slices.Clone(t.Licenses)
	c.Tags = slices.Clone(t.Tags)
	return &c // Metadata is replaced whole, never changed in place
}
