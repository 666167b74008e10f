package latchward

import (
	"strings"
	"time"
)

// MaxIdentifierLength bounds the names by which programs know roles, groups and licenses, in bytes.
const MaxIdentifierLength = 64

// MaxHeld bounds how many roles, how many groups and how many licenses one principal has.
const MaxHeld = 200

// RoleID identifies a role for ever; it is never given to another one.
type RoleID int64

// The roles that exist from the start. What they hold is fixed here, whatever a database says.
const (
	RoleAdministrator RoleID = 1 // everything
	RoleManager       RoleID = 2 // users, groups and other people's tokens, but no roles, policies and keys
	RoleAuditor       RoleID = 3 // sees everything and exports it, changes nothing
)

const administratorName = "administrator"

// Role is a named set of permissions.
type Role struct {
	ID          RoleID
	Name        string // unique; by which programs ask for it, see ValidateIdentifier
	Title       string // for people to read, up to MaxNameLength characters; "" = Name
	Description string // up to MaxDescriptionLength characters
	// Permissions are grants: "resource.action", "resource.*", "*.action" or "*", see [ValidateGrants].
	Permissions []string
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// BuiltIn reports whether the role exists from the start; such a role cannot be changed.
func (r *Role) BuiltIn() bool { return r.ID > 0 && r.ID <= RoleAuditor }

// Validate checks every field that a caller can set.
func (r *Role) Validate() error {
	if err := ValidateIdentifier("name", r.Name); err != nil {
		return err
	}
	if err := validateText("title", r.Title, 0, MaxNameLength); err != nil {
		return err
	}
	if err := validateText("description", r.Description, 0, MaxDescriptionLength); err != nil {
		return err
	}
	return ValidateGrants("permissions", r.Permissions)
}

// BuiltInRoles returns the roles that exist from the start, for stores to begin with. The caller owns them.
func BuiltInRoles() []*Role {
	all := func(action string) []string {
		grants := make([]string, len(reserved))
		for i, resource := range reserved {
			grants[i] = resource + "." + action
		}
		return grants
	}
	return []*Role{
		{ID: RoleAdministrator, Name: administratorName, Title: "Administrator", Description: "May do everything.",
			Permissions: append([]string{"*"}, all("*")...)},
		{ID: RoleManager, Name: "manager", Title: "Manager",
			Description: "Manages users, groups and other people's tokens.",
			Permissions: []string{"groups.*", "licenses.read", "permissions.read", "roles.read", "tokens.*", "users.*"}},
		{ID: RoleAuditor, Name: "auditor", Title: "Auditor", Description: "Sees and exports everything, changes nothing.",
			Permissions: append([]string{"audit.export"}, all("read")...)},
	}
}

// builtInRole returns the fixed definition of a role, or nil.
func builtInRole(id RoleID) *Role {
	for _, r := range BuiltInRoles() {
		if r.ID == id {
			return r
		}
	}
	return nil
}

// ValidateIdentifier checks a name by which programs know something: 1 to MaxIdentifierLength lower-case letters,
// digits, "-", "_" and ".", beginning with a letter or digit.
func ValidateIdentifier(field, text string) error {
	odd := func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.')
	}
	if text == "" || len(text) > MaxIdentifierLength || strings.ContainsFunc(text, odd) || strings.ContainsRune("-_.", rune(text[0])) {
		return Invalid(field, `must have 1 to %d lower-case letters, digits, "-", "_" or ".", beginning with a letter or digit`,
			MaxIdentifierLength)
	}
	return nil
}

// NewRole is what somebody who makes a role may say.
type NewRole struct {
	Name        string // required
	Title       string
	Description string
	Permissions []string
}

// RoleUpdate changes a role; nil leaves a field as it is.
type RoleUpdate struct {
	Name        *string
	Title       *string
	Description *string
	Permissions *[]string
	Revisions   []string // the role must have one of these, see [Role.Revision]; empty = whatever it has
}
