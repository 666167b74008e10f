package latchward

import "time"

// MaxMemberChanges is the most members that one change of a group may name in each of its lists.
const MaxMemberChanges = 10_000

// GroupID identifies a group for ever; it is never given to another one.
type GroupID int64

// Group is a set of users and service tokens. Members have its roles, and it may own service tokens, which so outlive
// any one person.
type Group struct {
	ID          GroupID
	Name        string // unique while the group is not removed; see ValidateIdentifier
	Title       string // for people to read, up to MaxNameLength characters; "" = Name
	Description string // up to MaxDescriptionLength characters
	Roles       []RoleID
	DirectoryID string // by which a directory that provisions it knows it, up to MaxExternalIDLength characters; "" = none
	Active      bool   // false: it gives its members nothing, and none of its tokens verifies
	CreatedAt   time.Time
	UpdatedAt   time.Time
	RemovedAt   time.Time // a removed group stays as a tombstone for the tokens that it owned
}

// Removed reports whether g is only a tombstone.
func (g *Group) Removed() bool { return !g.RemovedAt.IsZero() }

// DisplayName returns the best text there is for a person to recognise g by.
func (g *Group) DisplayName() string { return orDefault(g.Title, g.Name) }

// Validate checks every field that a caller can set.
func (g *Group) Validate() error {
	if err := ValidateIdentifier("name", g.Name); err != nil {
		return err
	}
	if err := validateText("title", g.Title, 0, MaxNameLength); err != nil {
		return err
	}
	if err := validateText("description", g.Description, 0, MaxDescriptionLength); err != nil {
		return err
	}
	if err := validateText("directory_id", g.DirectoryID, 0, MaxExternalIDLength); err != nil {
		return err
	}
	return validateHeld("roles", len(g.Roles))
}

func validateHeld(field string, n int) error {
	if n > MaxHeld {
		return Invalid(field, "must hold at most %d entries", MaxHeld)
	}
	return nil
}

// GroupFilter selects groups, in the order of their ids. The zero value of a field does not filter.
type GroupFilter struct {
	Query          string // part of the name or title; ASCII letters match in either case
	Role           RoleID // has this role
	IncludeRemoved bool
	After          GroupID // continue behind this group
	Limit          int     // at most this many; Service sets 1 to MaxPage
}

// NewGroup is what somebody who makes a group may say. Roles are named.
type NewGroup struct {
	Name        string // required
	Title       string
	Description string
	Roles       []string
	DirectoryID string
	Members     []UserID // up to MaxMemberChanges
}

// GroupUpdate changes a group; nil leaves a field as it is.
type GroupUpdate struct {
	Name        *string
	Title       *string
	Description *string
	Roles       *[]string
	DirectoryID *string
	Active      *bool
	Members     *[]UserID // those who are members from then on, up to MaxMemberChanges
	Join        []UserID  // become members, up to MaxMemberChanges; whoever is one stays one
	Leave       []UserID  // are no members any more; whoever was none stays none
	// The group must have one of these, see [Group.Revision] and [Group.RevisionWith]; empty = whatever it has.
	Revisions []string
}
