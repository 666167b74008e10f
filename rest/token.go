package rest

import (
	"cmp"
	"log/slog"
	"net/netip"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/latchward/latchward"
)

// Token is a token as the API shows it. Its first members are those of S2-03 and S2-21, in their order.
type Token struct {
	ID               int64       `json:"id"`
	Name             string      `json:"name"`
	Secret           PlainSecret `json:"token,omitzero" doc:"The secret, told only when it is made."`
	Description      *string     `json:"description"`
	Active           bool        `json:"active" doc:"False once disabled or idle; see status."`
	RateLimit        int64       `json:"rate_limit" doc:"Requests per minute; the minute slides."`
	AllowedEndpoints []string    `json:"allowed_endpoints" null:"true" doc:"Patterns; null is no restriction."`
	ExpiresAt        Time        `json:"expires_at" null:"true" doc:"Expired from this instant on."`
	LastUsedAt       Time        `json:"last_used_at" null:"true" doc:"The last accepted request."`
	CreatedAt        Time        `json:"created_at"`
	*TokenCounts
	UpdatedAt       Time                      `json:"updated_at"`
	Kind            latchward.Kind            `json:"kind" doc:"As whom it acts: its owner, or itself."`
	Status          latchward.Status          `json:"status"`
	InactiveReason  *latchward.InactiveReason `json:"inactive_reason"`
	Prefix          string                    `json:"token_prefix" doc:"The start of the secret, which is not secret."`
	Owner           Owner                     `json:"owner"`
	UserID          *int64                    `json:"user_id" doc:"The owner, if that is a user."`
	AllowedNetworks []string                  `json:"allowed_networks" null:"true" doc:"Null is no restriction."`
	NotBefore       Time                      `json:"not_before" null:"true" doc:"Not valid before this instant."`
	IdleTimeoutDays *int                      `json:"idle_timeout_days" doc:"Idle when unused for longer; null is never."`
	IdleAt          Time                      `json:"idle_at" null:"true" doc:"When it goes idle if it stays unused."`
	IdleInDays      *int                      `json:"idle_in_days" doc:"Days until then, rounded up; null unless active."`
	Warnings        []latchward.TokenWarning  `json:"warnings" doc:"What will become of it if nobody does anything."`
	Permissions     []string                  `json:"permissions" null:"true" doc:"Null is the owner's rights."`
	Tags            []string                  `json:"tags"`
	Metadata        map[string]any            `json:"metadata"`
	RevokedAt       Time                      `json:"revoked_at" null:"true"`
	RevokeReason    *latchward.RevokeReason   `json:"revoke_reason"`
	RevokeNote      *string                   `json:"revoke_note"`
	RotatedAt       Time                      `json:"rotated_at" null:"true" doc:"The last rotation."`
	RotationDueAt   Time                      `json:"rotation_due_at" null:"true" doc:"By when its policy wants it rotated."`
	MustRotate      bool                      `json:"rotation_required" doc:"It is disabled if it is not rotated by then."`
	CreatedBy       *string                   `json:"created_by" doc:"Such as user:3; null is unknown."`
	Roles           []string                  `json:"roles" doc:"Names of those of a service token itself."`
	Groups          []string                  `json:"groups" doc:"Names of those of which a service token is a member."`
	Licenses        []string                  `json:"licenses" doc:"Names of those of which a service token has a seat."`
	Unbound         bool                      `json:"unbound" doc:"A service token that keeps more than its owner holds."`
	Retiring        *RetiringSecret           `json:"retiring" doc:"The secret before, while it verifies; else null."`
	Reuse           latchward.ReusePolicy     `json:"reuse" doc:"What the use of a rotated-out secret brings about."`
	Imported        *string                   `json:"imported" doc:"Names the import that brought it; null was issued here."`
}

// TokenCounts are the counters that a list of tokens shows.
type TokenCounts struct {
	Requests24h   int64 `json:"requests_24h"`
	Requests7d    int64 `json:"requests_7d"`
	TotalRequests int64 `json:"total_requests"`
}

// LogValue tells which token it is and nothing more, so that no secret is logged.
func (t Token) LogValue() slog.Value {
	return slog.GroupValue(slog.Int64("id", t.ID), slog.String("name", t.Name))
}

// Owner is who answers for a token.
type Owner struct {
	Type latchward.OwnerType `json:"type,omitzero"`
	ID   int64               `json:"id"`
	Name string              `json:"name,omitzero" doc:"For people to read."`
}

// TokenReply answers with one token.
type TokenReply struct {
	Token    Token    `json:"token"`
	Message  string   `json:"message,omitempty"`
	Warnings []string `json:"warnings,omitempty" doc:"What the caller may not have meant."`
	Revision
}

// LogValue is that of the token.
func (r TokenReply) LogValue() slog.Value { return r.Token.LogValue() }

// TokenList is one page of tokens.
type TokenList struct {
	Tokens     []Token `json:"tokens"`
	NextCursor *string `json:"next_cursor" doc:"Where the next page begins; null at the end."`
}

// NewToken asks for a token. Everything may be left out, and null is the same, but for IdleTimeoutDays: the server's
// default when left out, never when null. No endpoints or networks, or [], are no restriction. A service token has the
// permissions listed and those of its roles and groups. Naming another owner than oneself or a group of one's own takes
// the permission tokens.create, and nobody gives more than they hold.
type NewToken struct {
	Name             Optional[string]                `json:"name,omitzero" doc:"Generated when missing or blank."`
	Description      Optional[string]                `json:"description,omitzero"`
	RateLimit        Optional[int64]                 `json:"rate_limit,omitzero" range:"1,10000000" doc:"100 when missing."`
	ExpiresAt        Optional[Time]                  `json:"expires_at,omitzero" doc:"A date is its midnight in UTC."`
	AllowedEndpoints Optional[[]string]              `json:"allowed_endpoints,omitzero" doc:"Such as GET /stores/*."`
	Kind             Optional[latchward.Kind]        `json:"kind,omitzero" doc:"personal when missing."`
	Owner            Optional[TokenOwner]            `json:"owner,omitzero" doc:"Whoever asks, when missing."`
	AllowedNetworks  Optional[[]string]              `json:"allowed_networks,omitzero" doc:"Such as 203.0.113.0/24."`
	Permissions      Optional[[]string]              `json:"permissions,omitzero" doc:"Grants; null is the owner's rights."`
	NotBefore        Optional[Time]                  `json:"not_before,omitzero"`
	IdleTimeoutDays  Optional[int]                   `json:"idle_timeout_days,omitzero" range:"1,3650" doc:"Null is never."`
	Tags             Optional[[]string]              `json:"tags,omitzero"`
	Metadata         Optional[map[string]any]        `json:"metadata,omitzero"`
	Roles            Optional[[]string]              `json:"roles,omitzero" doc:"Names; of a service token."`
	Groups           Optional[[]string]              `json:"groups,omitzero" doc:"Names; of a service token."`
	Licenses         Optional[[]string]              `json:"licenses,omitzero" doc:"Names; of a service token."`
	Reuse            Optional[latchward.ReusePolicy] `json:"reuse,omitzero" doc:"alert when missing."`
	RequestKey
}

// TokenOwner names the owner of a new token.
type TokenOwner struct {
	Type latchward.OwnerType `json:"type,omitzero" doc:"user when missing; a group owns service tokens only."`
	ID   int64               `json:"id" range:"1,"`
}

// TokenChange changes a token: what is left out stays, null is what creation without the member gives (S2-23).
type TokenChange struct {
	Name             Optional[string]                `json:"name,omitzero"`
	Description      Optional[string]                `json:"description,omitzero"`
	Active           *bool                           `json:"active,omitempty" null:"false" doc:"True restarts the idle clock."`
	RateLimit        Optional[int64]                 `json:"rate_limit,omitzero" range:"1,10000000"`
	ExpiresAt        Optional[Time]                  `json:"expires_at,omitzero"`
	AllowedEndpoints Optional[[]string]              `json:"allowed_endpoints,omitzero"`
	AllowedNetworks  Optional[[]string]              `json:"allowed_networks,omitzero"`
	Permissions      Optional[[]string]              `json:"permissions,omitzero"`
	NotBefore        Optional[Time]                  `json:"not_before,omitzero"`
	IdleTimeoutDays  Optional[int]                   `json:"idle_timeout_days,omitzero" range:"1,3650"`
	Tags             Optional[[]string]              `json:"tags,omitzero"`
	Metadata         Optional[map[string]any]        `json:"metadata,omitzero"`
	Roles            Optional[[]string]              `json:"roles,omitzero" doc:"Names; of a service token."`
	Groups           Optional[[]string]              `json:"groups,omitzero" doc:"Names; of a service token."`
	Licenses         Optional[[]string]              `json:"licenses,omitzero" doc:"Names; of a service token."`
	Reuse            Optional[latchward.ReusePolicy] `json:"reuse,omitzero"`
	Revision
}

// Revocation may say why a token is revoked.
type Revocation struct {
	Reason Optional[string] `json:"reason,omitzero" doc:"A reason such as key_compromise; other texts become the note."`
	Note   Optional[string] `json:"note,omitzero" doc:"For people to read."`
}

// cause returns why a token is revoked. A reason that is none of the known ones is a note, unless there is one.
func (r Revocation) cause() (latchward.Revocation, error) {
	if r.Note.Value != "" {
		return latchward.Revocation{Reason: latchward.RevokeReason(r.Reason.Value), Note: r.Note.Value}, nil
	}
	if utf8.RuneCountInString(r.Reason.Value) > latchward.MaxReasonLength {
		return latchward.Revocation{}, latchward.Invalid("reason", "must have at most %d characters", latchward.MaxReasonLength)
	}
	return latchward.ParseRevocation(r.Reason.Value), nil
}

// OldDies says when a secret that is being replaced ends.
type OldDies string

// The ways for a secret to end.
const (
	OldDiesAtGrace    OldDies = "at_grace"     // when grace_seconds are over
	OldDiesAtFirstUse OldDies = "at_first_use" // when the new one is first accepted, or grace_seconds are over
)

// Rotation says how a secret is replaced. Without members the old one is refused as soon as there is a new one.
type Rotation struct {
	GraceSeconds Optional[int64]   `json:"grace_seconds,omitzero" range:"0,7776000" doc:"How long the old secret lives on."`
	OldDies      Optional[OldDies] `json:"old_dies,omitzero" enum:"at_grace,at_first_use" doc:"at_grace when missing; at_first_use lives 7 days at most."`
	RequestKey
}

// RetiringSecret is the secret before the current one, as long as it verifies.
type RetiringSecret struct {
	EndsAt     Time `json:"ends_at"`
	AtFirstUse bool `json:"at_first_use" doc:"It ends when the current secret is first accepted, if that is earlier."`
}

// Order is the direction of a list.
type Order string

// The orders. Lists by name are ascending unless they say otherwise, all others descending.
const (
	Ascending  Order = "asc"
	Descending Order = "desc"
)

// TokenQuery selects and orders tokens. The zero value of a field does not filter.
type TokenQuery struct {
	Limit         int                 `json:"limit,omitzero" range:"1,1000" doc:"At most this many; 1000 when missing."`
	Cursor        string              `json:"cursor,omitzero" doc:"next_cursor of the page before."`
	Sort          latchward.TokenSort `json:"sort,omitzero" doc:"created_at when missing."`
	Order         Order               `json:"order,omitzero" enum:"asc,desc" doc:"asc by name, else desc, when missing."`
	Status        latchward.Status    `json:"status,omitzero"`
	Kind          latchward.Kind      `json:"kind,omitzero"`
	Owner         string              `json:"owner,omitzero" doc:"user:3, group:7, or the id of a user."`
	Role          string              `json:"role,omitzero" doc:"Name of a role of a service token itself."`
	Group         string              `json:"group,omitzero" doc:"Name of a group of which a service token is a member."`
	License       string              `json:"license,omitzero" doc:"Name of a license of a service token itself."`
	Text          string              `json:"q,omitzero" doc:"Part of the name, description or display prefix."`
	Tag           string              `json:"tag,omitzero"`
	UnusedSince   Time                `json:"unused_since,omitzero" doc:"Not used, created or enabled since."`
	NeverUsed     bool                `json:"never_used,omitzero" doc:"No request of it was ever accepted."`
	ExpiresBefore Time                `json:"expires_before,omitzero"`
	IdleBefore    Time                `json:"idle_before,omitzero" doc:"Goes idle before, or has gone idle."`
	RotationDue   Time                `json:"rotation_due_before,omitzero" doc:"Its policy wants it rotated before."`
	CreatedBefore Time                `json:"created_before,omitzero"`
	CreatedBy     string              `json:"created_by,omitzero" doc:"user:3, token:7 or local:0."`

	RevokeReason latchward.RevokeReason `json:"revoke_reason,omitzero"`
	ServerKey    int                    `json:"server_key,omitzero" range:"1,61" doc:"Version of the server key they depend on."`
}

func retiringOf(t *latchward.Token, now time.Time) *RetiringSecret {
	until := t.RetiresAt(now)
	if until.IsZero() {
		return nil
	}
	return &RetiringSecret{EndsAt: Time{until}, AtFirstUse: t.Retiring.AtFirstUse}
}

func tokenOf(t *latchward.Token, names latchward.HeldNames, now time.Time) Token {
	inactive := t.Inactive(now) // an idle token shows as what the sweep will record, which spares revoked ones
	if t.Revoked() {
		inactive = t.InactiveReason
	}
	wire := Token{
		ID: int64(t.ID), Name: t.Name, Description: textOrNull(t.Description), RateLimit: t.RateLimit,
		Active: inactive == "", InactiveReason: textOrNull(inactive),
		ExpiresAt: Time{t.ExpiresAt}, LastUsedAt: Time{t.LastUsedAt}, CreatedAt: Time{t.CreatedAt},
		UpdatedAt: Time{t.UpdatedAt}, Kind: t.Kind, Status: t.Status(now),
		Prefix: t.Prefix, Owner: ownerOf(t.Owner), NotBefore: Time{t.NotBefore}, Permissions: t.Permissions,
		Tags: append([]string{}, t.Tags...), Metadata: t.Metadata,
		RevokedAt: Time{t.RevokedAt}, RevokeReason: textOrNull(t.RevokeReason), RevokeNote: textOrNull(t.RevokeNote),
		RotatedAt: Time{t.RotatedAt}, RotationDueAt: Time{t.RotationDueAt}, MustRotate: t.RotationRequired,
		CreatedBy: textOrNull(t.CreatedBy),
		Roles:     names.Roles, Groups: names.Groups, Licenses: names.Licenses, Unbound: t.Unbound,
		Retiring: retiringOf(t, now), Reuse: cmp.Or(t.Reuse, latchward.ReuseAlert), Imported: textOrNull(t.Imported),
	}
	if len(t.AllowedEndpoints) > 0 {
		wire.AllowedEndpoints = t.AllowedEndpoints
	}
	for _, network := range t.AllowedNetworks {
		wire.AllowedNetworks = append(wire.AllowedNetworks, network.String())
	}
	if t.IdleTimeoutDays > 0 {
		wire.IdleTimeoutDays, wire.IdleAt = &t.IdleTimeoutDays, Time{t.IdleAt()}
		if wire.Status == latchward.StatusActive {
			const day = 24 * time.Hour
			days := int((t.IdleAt().Sub(now) + day - 1) / day)
			wire.IdleInDays = &days
		}
	}
	wire.Warnings = append([]latchward.TokenWarning{}, t.Warnings(now)...)
	if t.Owner.Type == latchward.OwnerUser {
		wire.UserID = &t.Owner.ID
	}
	return wire
}

func ownerOf(o latchward.Owner) Owner { return Owner{Type: o.Type, ID: o.ID, Name: o.Name} }

func textOrNull[T ~string](text T) *T {
	if text == "" {
		return nil
	}
	return &text
}

// settings returns what the service is asked for.
func (n *NewToken) settings() (latchward.NewToken, error) {
	networks, err := parseNetworks(n.AllowedNetworks.Value)
	if err != nil {
		return latchward.NewToken{}, err
	}
	asked := latchward.NewToken{
		Name: n.Name.Value, Description: n.Description.Value, Kind: n.Kind.Value, RateLimit: n.RateLimit.Value,
		AllowedEndpoints: n.AllowedEndpoints.Value, AllowedNetworks: networks, Permissions: n.Permissions.Value,
		ExpiresAt: n.ExpiresAt.Value.Time, NotBefore: n.NotBefore.Value.Time, IdleTimeoutDays: n.IdleTimeoutDays.change(),
		Tags: n.Tags.Value, Metadata: n.Metadata.Value, Reuse: n.Reuse.Value,
		Roles: n.Roles.Value, Groups: n.Groups.Value, Licenses: n.Licenses.Value,
	}
	if n.Owner.Set && !n.Owner.Null {
		asked.Owner = &latchward.Owner{
			Type: cmp.Or(n.Owner.Value.Type, latchward.OwnerUser), ID: n.Owner.Value.ID,
		}
	}
	return asked, nil
}

// update returns what the service is asked to change.
func (c *TokenChange) update() (latchward.TokenUpdate, error) {
	networks, err := parseNetworks(c.AllowedNetworks.Value)
	if err != nil {
		return latchward.TokenUpdate{}, err
	}
	u := latchward.TokenUpdate{
		Name: c.Name.change(), Description: c.Description.change(), Active: c.Active, RateLimit: c.RateLimit.change(),
		AllowedEndpoints: c.AllowedEndpoints.change(), Permissions: c.Permissions.change(),
		ExpiresAt: moment(c.ExpiresAt), NotBefore: moment(c.NotBefore), IdleTimeoutDays: c.IdleTimeoutDays.change(),
		Tags: c.Tags.change(), Metadata: c.Metadata.change(), Reuse: c.Reuse.change(),
		Roles: c.Roles.change(), Groups: c.Groups.change(), Licenses: c.Licenses.change(),
	}
	if c.AllowedNetworks.Set {
		u.AllowedNetworks = &networks
	}
	return u, nil
}

func moment(o Optional[Time]) *time.Time {
	if !o.Set {
		return nil
	}
	return &o.Value.Time
}

func parseNetworks(texts []string) ([]netip.Prefix, error) {
	var networks []netip.Prefix
	for i, text := range texts {
		network, err := latchward.ParseNetwork("allowed_networks["+strconv.Itoa(i)+"]", text)
		if err != nil {
			return nil, err
		}
		networks = append(networks, network)
	}
	return networks, nil
}
