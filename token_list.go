package latchward

import "time"

// TokenSort is what a list of tokens is ordered by; ties go by id.
type TokenSort string

// The orders of a list of tokens.
const (
	SortCreated  TokenSort = "created_at"
	SortUpdated  TokenSort = "updated_at"
	SortLastUsed TokenSort = "last_used_at" // never used counts as longest ago
	SortExpires  TokenSort = "expires_at"   // no expiry counts as the earliest
	SortName     TokenSort = "name"         // by bytes
)

// TokenSorts lists the orders.
func TokenSorts() []TokenSort {
	return []TokenSort{SortCreated, SortUpdated, SortLastUsed, SortExpires, SortName}
}

// TokenFilter selects and orders tokens. The zero value of a field does not filter.
type TokenFilter struct {
	Owners        []Owner   // owned by one of these; nil = by anybody
	Role          RoleID    // has this role itself
	Group         GroupID   // is a member
	License       LicenseID // has a seat
	Kind          Kind
	Status        Status
	Query         string    // part of the name, description or display prefix; ASCII letters match in either case
	Tag           string    // exactly one of the tags
	UnusedSince   time.Time // not used, created or enabled since
	ExpiresBefore time.Time // expires before, or has expired
	NeverUsed     bool      // no request of it was ever accepted
	IdleBefore    time.Time // goes idle before if it stays unused, or has gone idle
	RotationDue   time.Time // its secret should be replaced before
	CreatedBefore time.Time
	CreatedBy     string       // who, as Principal.String gives it
	RevokeReason  RevokeReason // was revoked for this reason
	// ServerKey is the version of a server key that the token depends on: it is not revoked, and a secret of it that
	// verifies at Now, or the current one, was made under that key.
	ServerKey int
	Now       time.Time // the moment that Status and ServerKey are judged at; set by Service

	Sort  TokenSort    // default SortCreated
	Desc  bool         // newest, latest or last first
	After *TokenCursor // continue behind this token
	Limit int          // at most this many; Service sets 1 to MaxPage
}

// TokenCursor is a place in one order of tokens: the sort key of the last token seen and its id.
type TokenCursor struct {
	Time time.Time // for every order but SortName
	Name string    // for SortName
	ID   TokenID
}

// CursorOf returns the place of t in the given order.
func CursorOf(t *Token, sort TokenSort) TokenCursor {
	cursor := TokenCursor{ID: t.ID}
	switch sort {
	case SortName:
		cursor.Name = t.Name
	case SortUpdated:
		cursor.Time = t.UpdatedAt
	case SortLastUsed:
		cursor.Time = t.LastUsedAt
	case SortExpires:
		cursor.Time = t.ExpiresAt
	default:
		cursor.Time = t.CreatedAt
	}
	return cursor
}
