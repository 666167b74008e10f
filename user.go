package latchward

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"
)

// Bounds of a user's fields, in characters.
const (
	MaxEmailLength      = 254 // RFC 5321 §4.5.3.1.3 less the brackets
	MaxExternalIDLength = 255 // also of what a directory calls somebody by
)

// UserID identifies a user for ever; it is never given to somebody else.
type UserID int64

// User is a person who owns tokens and may manage them.
type User struct {
	ID         UserID
	ExternalID string // the "sub" by which the host application knows the person; "" = none; unique
	Email      string // "" = unknown; unique without regard to case while the user is not removed
	Name       string // for people to read
	Roles      []RoleID
	Groups     []GroupID   // is a member of
	Licenses   []LicenseID // has a seat of
	Directory  DirectoryEntry
	Active     bool // false: cannot act, and none of their tokens verifies
	CreatedAt  time.Time
	UpdatedAt  time.Time
	RemovedAt  time.Time // a removed user stays as a tombstone without personal data
}

// DirectoryEntry is what a directory that provisions people says of somebody, beside their e-mail and name
// (RFC 7643 §4.1). The zero DirectoryEntry is that of somebody whom no directory has provisioned.
type DirectoryEntry struct {
	UserName   string // up to MaxExternalIDLength characters; unique without regard to case while the user is not removed
	ID         string // by which the directory knows the person; up to MaxExternalIDLength characters
	GivenName  string // up to MaxNameLength characters
	FamilyName string // up to MaxNameLength characters
}

func (d *DirectoryEntry) validate() error {
	for _, text := range []struct {
		field, is string
		most      int
	}{
		{"user_name", d.UserName, MaxExternalIDLength}, {"directory_id", d.ID, MaxExternalIDLength},
		{"given_name", d.GivenName, MaxNameLength}, {"family_name", d.FamilyName, MaxNameLength},
	} {
		if err := validateText(text.field, text.is, 0, text.most); err != nil {
			return err
		}
	}
	return nil
}

// Removed reports whether u is only a tombstone.
func (u *User) Removed() bool { return !u.RemovedAt.IsZero() }

// Administrator reports whether u has the role of administrators.
func (u *User) Administrator() bool { return slices.Contains(u.Roles, RoleAdministrator) }

// DisplayName returns the best text there is for a person to recognise u by.
func (u *User) DisplayName() string {
	for _, text := range []string{u.Name, u.Email, u.Directory.UserName, u.ExternalID} {
		if strings.HasPrefix(text, removedMark) {
			return "removed user"
		}
		if text != "" {
			return text
		}
	}
	return "user"
}

// Validate checks every field that a caller can set.
func (u *User) Validate() error {
	if err := validateText("name", u.Name, 0, MaxNameLength); err != nil {
		return err
	}
	if err := validateText("external_id", u.ExternalID, 0, MaxExternalIDLength); err != nil {
		return err
	}
	if strings.HasPrefix(u.ExternalID, removedMark) && !u.Removed() {
		return Invalid("external_id", "must not start with %q", removedMark)
	}
	if err := validateText("email", u.Email, 0, MaxEmailLength); err != nil {
		return err
	}
	if at := strings.LastIndexByte(u.Email, '@'); u.Email != "" && (at < 1 || at == len(u.Email)-1) {
		return Invalid("email", "must look like name@host")
	}
	if err := u.Directory.validate(); err != nil {
		return err
	}
	if err := validateHeld("roles", len(u.Roles)); err != nil {
		return err
	}
	if err := validateHeld("groups", len(u.Groups)); err != nil {
		return err
	}
	return validateHeld("licenses", len(u.Licenses))
}

const removedMark = "removed:"

// removedExternalID is what stays of an external id once its person is removed: enough to recognise the same person
// coming back, not enough to tell who it was.
func removedExternalID(externalID string) string {
	digest := sha256.Sum256([]byte("latchward removed subject\x00" + externalID))
	return removedMark + hex.EncodeToString(digest[:])
}

// UserFilter selects users, in the order of their ids. The zero value of a field does not filter.
type UserFilter struct {
	Query          string    // part of the name, e-mail or external id; ASCII letters match in either case
	Role           RoleID    // has this role itself
	Group          GroupID   // is a member
	License        LicenseID // has a seat
	UserName       string    // a directory calls them exactly this; ASCII letters match in either case
	DirectoryID    string    // a directory knows them by exactly this
	IncludeRemoved bool
	After          UserID // continue behind this user
	Skip           int    // leave out so many of those that match, from the first
	Limit          int    // at most this many; Service sets 1 to MaxPage
}

// NewUser is what somebody who adds a user may say. At least one of ExternalID, Email, Name and Directory.UserName must
// be given.
type NewUser struct {
	ExternalID    string
	Email         string
	Name          string
	Administrator bool     // has the role of administrators, beside Roles
	Roles         []string // names
	Groups        []string // names
	Licenses      []string // names
	Directory     DirectoryEntry
	Disabled      bool // begins disabled
}

// UserUpdate changes a user; nil leaves a field as it is.
type UserUpdate struct {
	ExternalID    *string
	Email         *string
	Name          *string
	Administrator *bool     // gives or takes the role of administrators
	Roles         *[]string // names
	Groups        *[]string // names
	Licenses      *[]string // names
	Directory     *DirectoryEntry
	Active        *bool
	Revisions     []string // the user must have one of these, see [User.Revision]; empty = whatever it has
}

// Identity is what an identity provider vouches for about a person.
type Identity struct {
	ExternalID    string // required
	Email         string
	Name          string
	Administrator bool // the provider says so; holds for this sign-in only, it is not stored
}
