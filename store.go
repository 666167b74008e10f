package latchward

import (
	"context"
	"time"
)

// Position is a place in one history of changes. Positions of different histories are not comparable.
type Position struct {
	History string
	N       uint64
}

// ChangeKind says what kind of fact a change is about.
type ChangeKind string

// The kinds of change. An unknown kind must be taken as ChangeAll.
const (
	ChangeToken   ChangeKind = "token" // Keys are key ids
	ChangeOwner   ChangeKind = "owner" // Keys are owners as Owner.String gives them: users, and groups as owners
	ChangeRole    ChangeKind = "role"  // Keys are ids in decimal, of this kind and the next three
	ChangeGroup   ChangeKind = "group"
	ChangeLicense ChangeKind = "license"
	ChangeSigning ChangeKind = "signing" // Keys are ids of signing keys
	ChangeDerived ChangeKind = "derived" // Keys are ids of derived tokens that are revoked
	ChangeForeign ChangeKind = "foreign" // the forms of foreign secrets; without Keys
	ChangePolicy  ChangeKind = "policy"
	ChangeAll     ChangeKind = "all"
)

// Change says which facts are no longer what they were. It never carries them. Empty Keys mean the whole kind.
type Change struct {
	Kind ChangeKind
	Keys []string
}

// Commit is what became of a transaction. Changes are what it may have changed, also when it failed: a transaction
// whose outcome is unknown must be taken as done by whoever remembers facts.
type Commit struct {
	Position Position
	Changes  []Change
}

// TokenFacts is what a store knows about one presented key id.
type TokenFacts struct {
	Token  *Token
	Digest Digest    // of the secret with that key id
	EndsAt time.Time // set for a rotated-out secret: it is refused from then on; zero for the current one
}

// OwnerFacts is what a decision needs to know about an owner.
type OwnerFacts struct {
	Active     bool // may act: neither disabled nor removed
	Roles      []RoleID
	Groups     []GroupID   // of a user
	Licenses   []LicenseID // of a user
	ExternalID string      // of a user
	Name       string      // for people to read
}

// Store is what [Service] asks of a database. A store keeps and finds; it never judges. Every sentence with "must" or
// "returns" is a promise that the suite in latchtest checks on each backend.
//
// A missing record is an Error of code not_found. A database that does not answer, or a full disk, is an Error of
// code unavailable. All methods are safe for concurrent use.
type Store interface {
	// Tx runs f and commits all that f saved, or nothing when f or the commit fails. It must not run two transactions
	// that write at the same time in a way that either could not have run alone. f may be called more than once. The
	// returned Commit must name every change even when an error is returned.
	Tx(ctx context.Context, f func(tx Tx) error) (Commit, error)

	// TokenFacts returns what is known about a key id: of a current secret or of one that was rotated out and is still
	// remembered.
	TokenFacts(ctx context.Context, id KeyID) (TokenFacts, error)
	// OwnerFacts returns what is known about an owner.
	OwnerFacts(ctx context.Context, owner Owner) (OwnerFacts, error)

	// Token returns a copy of the token.
	Token(ctx context.Context, id TokenID) (*Token, error)
	// Tokens returns the tokens that match, in the order of f, at most f.Limit of them.
	Tokens(ctx context.Context, f TokenFilter) ([]*Token, error)
	// CountTokens returns how many tokens match, whatever f.After and f.Limit say.
	CountTokens(ctx context.Context, f TokenFilter) (int64, error)
	// IdleTokens returns up to limit tokens that are stored as active, are not revoked, and have been idle since
	// before now (see Token.Idle).
	IdleTokens(ctx context.Context, now time.Time, limit int) ([]TokenID, error)

	// User returns a copy of the user; removed users are returned too.
	User(ctx context.Context, id UserID) (*User, error)
	// UserByExternalID returns the user with that external id.
	UserByExternalID(ctx context.Context, externalID string) (*User, error)
	// UserByEmail returns the user with that e-mail, whatever its case; removed users have none.
	UserByEmail(ctx context.Context, email string) (*User, error)
	// Users returns the users that match, ordered by id, at most f.Limit of them.
	Users(ctx context.Context, f UserFilter) ([]*User, error)

	// CountUsers returns how many users match, whatever f.After, f.Skip and f.Limit say.
	CountUsers(ctx context.Context, f UserFilter) (int64, error)
	// Members returns the ids of the users who have the group, in their order.
	Members(ctx context.Context, group GroupID) ([]UserID, error)

	// Role returns a copy of the role.
	Role(ctx context.Context, id RoleID) (*Role, error)
	// Roles returns all roles, ordered by id.
	Roles(ctx context.Context) ([]*Role, error)
	// Group returns a copy of the group; removed groups are returned too.
	Group(ctx context.Context, id GroupID) (*Group, error)
	// Groups returns the groups that match, ordered by id, at most f.Limit of them.
	Groups(ctx context.Context, f GroupFilter) ([]*Group, error)
	// License returns a copy of the license.
	License(ctx context.Context, id LicenseID) (*License, error)
	// Licenses returns all licenses, ordered by id.
	Licenses(ctx context.Context) ([]*License, error)
	// Seats returns how many seats of each license are taken: by users who are not removed and by tokens that are not
	// revoked. Licenses without any are left out.
	Seats(ctx context.Context) (map[LicenseID]int64, error)
	// Permissions returns all entries of the registry that were saved, ordered by name.
	Permissions(ctx context.Context) ([]*Permission, error)

	// AuditEntries returns the entries that match, newest first or, with f.Oldest, oldest first, at most f.Limit of them.
	AuditEntries(ctx context.Context, f AuditFilter) ([]*AuditEntry, error)

	// KeyFingerprints returns the fingerprints of the server keys that were saved, by version.
	KeyFingerprints(ctx context.Context) (map[int]string, error)
	// KeyCounts returns how many tokens that are not revoked have their current secret under each version of the
	// server key; versions without any are left out.
	KeyCounts(ctx context.Context) (map[int]int64, error)

	// Adoption returns how many users are active, and how many of those own a token that was ever accepted, whatever became
	// of it but deletion.
	Adoption(ctx context.Context) (Adoption, error)

	// Ping returns nil when the database answers and can be written to.
	Ping(ctx context.Context) error

	UsageStore
	AccountStore
	SigningStore
	DerivedStore
	ForeignStore
	PolicyStore
}

// Tx is a transaction. It sees its own writes. It must not be used after f returned.
//
// What a record names must exist: an owner, role, group or license that does not, or membership of a removed group, is
// an Error of code invalid that names the field. Roles, groups and licenses of a record are sets: they come back in the
// order of their ids, each once.
type Tx interface {
	// Token returns a copy of the token.
	Token(id TokenID) (*Token, error)
	// TokenByIssueKey returns a copy of the token with that issue key, which is not "".
	TokenByIssueKey(key string) (*Token, error)
	// SaveToken inserts the token when its ID is 0, setting the ID, and else replaces all but LastUsedAt. Ids must never
	// be used again, also after a deletion. A key id that another secret has is an Error of code conflict. The commit
	// must name every key id that leads to the token, before and after, as changed.
	SaveToken(t *Token) error
	// RetireSecret remembers a secret of the token that is no longer the current one; the commit names it as changed.
	RetireSecret(id TokenID, s RetiringSecret) error
	// DeleteToken makes the token disappear together with its secrets, and remembers its name and owner for rollups. The
	// commit must name every key id that led to it as changed.
	DeleteToken(id TokenID) error
	// Tokens returns copies of the tokens that match, in the order of f, at most f.Limit of them.
	Tokens(f TokenFilter) ([]*Token, error)
	// TokensOf returns copies of all tokens of an owner that are not revoked, ordered by id.
	TokensOf(owner Owner) ([]*Token, error)

	// User returns a copy of the user.
	User(id UserID) (*User, error)
	// UserByExternalID returns a copy of the user with that external id.
	UserByExternalID(externalID string) (*User, error)
	// Members returns the ids of the users who have the group, in their order.
	Members(group GroupID) ([]UserID, error)
	// SaveUser inserts the user when its ID is 0, setting the ID, and else replaces it. An external id, e-mail or user name
	// that another user has is an Error of code conflict that names the field. The commit must name the owner as changed.
	SaveUser(u *User) error

	// Role returns a copy of the role.
	Role(id RoleID) (*Role, error)
	// RoleByName returns a copy of the role with that name.
	RoleByName(name string) (*Role, error)
	// SaveRole inserts the role when its ID is 0, setting the ID, and else replaces it. Ids must never be used again. A
	// name that another role has is an Error of code conflict. The commit must name the role as changed.
	SaveRole(r *Role) error
	// DeleteRole makes the role disappear, also from everybody who has it. The commit must name the role as changed.
	DeleteRole(id RoleID) error

	// Group returns a copy of the group.
	Group(id GroupID) (*Group, error)
	// GroupByName returns a copy of the group with that name that is not removed.
	GroupByName(name string) (*Group, error)
	// SaveGroup inserts the group when its ID is 0, setting the ID, and else replaces it. A name that another group has
	// that is not removed is an Error of code conflict. A removed group must lose its members. The commit must name the
	// group as changed, also as an owner.
	SaveGroup(g *Group) error

	// License returns a copy of the license.
	License(id LicenseID) (*License, error)
	// LicenseByName returns a copy of the license with that name.
	LicenseByName(name string) (*License, error)
	// Seats returns how many seats of the license are taken.
	Seats(id LicenseID) (int64, error)
	// SaveLicense inserts the license when its ID is 0, setting the ID, and else replaces it. Ids must never be used
	// again. A name that another license has is an Error of code conflict. The commit must name the license as changed.
	SaveLicense(l *License) error
	// DeleteLicense makes the license disappear, also from everybody who has it. The commit must name the license as
	// changed.
	DeleteLicense(id LicenseID) error

	// Permission returns a copy of the entry of the registry with that name.
	Permission(name string) (*Permission, error)
	// SavePermission inserts or replaces the entry of the registry with that name.
	SavePermission(p *Permission) error
	// DeletePermission makes the entry disappear, and the permission from every list that names it, of roles and of
	// tokens; a list that becomes empty must stay an empty list. The commit must name what had it as changed.
	DeletePermission(name string) error

	// AuditHead returns id and hash of the newest entry, and the zero AuditHead when there is none.
	AuditHead() (AuditHead, error)
	// AppendAudit adds an entry and sets its ID, which must be one more than that of the newest.
	AppendAudit(e *AuditEntry) error
	// EraseAudit takes what tells who a user is out of all entries: it must clear the name, address, user agent and
	// ActorKey of those whose actor the user is, and the TargetName, TargetKey and all members that [PersonalMembers]
	// names of those whose target the user is. It must leave everything else as it is.
	EraseAudit(user UserID) error

	// SaveKeyFingerprint remembers that the server key of a version was in use; "" forgets it.
	SaveKeyFingerprint(version int, fingerprint string) error

	AccountTx
	SigningTx
	DerivedTx
	ForeignTx
	PolicyTx
}
