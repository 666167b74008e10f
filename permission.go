package latchward

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Bounds of permissions.
const (
	MaxPermissions      = 500
	MaxPermissionLength = 128 // bytes
)

// The permissions over Latchward itself. Those over tokens are for everybody's: what is one's own needs none.
const (
	PermissionVerify = "tokens.verify" // of a service token: may ask for verdicts about other tokens

	PermissionTokensCreate = "tokens.create" // for other owners
	PermissionTokensRead   = "tokens.read"
	PermissionTokensUpdate = "tokens.update"
	PermissionTokensRotate = "tokens.rotate"
	PermissionTokensRevoke = "tokens.revoke"
	PermissionTokensDelete = "tokens.delete"
	PermissionTokensImport = "tokens.import" // also for oneself: it chooses what the secret is

	PermissionUsersCreate = "users.create"
	PermissionUsersRead   = "users.read"
	PermissionUsersUpdate = "users.update"
	PermissionUsersDelete = "users.delete"

	PermissionGroupsCreate = "groups.create"
	PermissionGroupsRead   = "groups.read"
	PermissionGroupsUpdate = "groups.update"
	PermissionGroupsDelete = "groups.delete"

	PermissionRolesCreate = "roles.create"
	PermissionRolesRead   = "roles.read"
	PermissionRolesUpdate = "roles.update"
	PermissionRolesDelete = "roles.delete"

	PermissionPermissionsCreate = "permissions.create"
	PermissionPermissionsRead   = "permissions.read"
	PermissionPermissionsUpdate = "permissions.update"
	PermissionPermissionsDelete = "permissions.delete"

	PermissionLicensesCreate = "licenses.create"
	PermissionLicensesRead   = "licenses.read"
	PermissionLicensesUpdate = "licenses.update" // also to hand out seats
	PermissionLicensesDelete = "licenses.delete"

	PermissionPoliciesRead   = "policies.read"
	PermissionPoliciesUpdate = "policies.update" // also to make, delete and apply them

	PermissionKeysRead   = "keys.read"
	PermissionKeysRotate = "keys.rotate"
	PermissionKeysDrop   = "keys.drop"

	PermissionAuditRead   = "audit.read"
	PermissionAuditExport = "audit.export"
)

// Permission is an entry of the registry: something that can be granted, explained to people. A grant may name
// permissions that nobody has registered; the registry is for choosing and for finding typing errors.
type Permission struct {
	Name        string // "resource.action"; unique
	Title       string // for people to read, up to MaxNameLength characters
	Description string // up to MaxDescriptionLength characters
	BuiltIn     bool   // declared by Latchward or by the program, not by hand; cannot be changed
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// Validate checks every field that a caller can set.
func (p *Permission) Validate() error {
	if err := ValidatePermissions("name", []string{p.Name}); err != nil {
		return Invalid("name", "must look like resource.action, in lower case")
	}
	if err := validateText("title", p.Title, 0, MaxNameLength); err != nil {
		return err
	}
	return validateText("description", p.Description, 0, MaxDescriptionLength)
}

// ValidatePermissions checks a list of permissions, each "resource.action" in lower-case letters, digits, "-" and
// "_", with further dots allowed.
func ValidatePermissions(field string, permissions []string) error {
	return validatePermissions(field, permissions, validPermission, "must look like resource.action, in lower case")
}

// ValidateGrants checks a list of grants: permissions, or one of the wildcards "resource.*", "*.action" and "*". No
// wildcard but one that names the resource reaches the permissions over Latchward itself.
func ValidateGrants(field string, grants []string) error {
	return validatePermissions(field, grants, validGrant,
		"must look like resource.action, resource.*, *.action or *, in lower case")
}

func validatePermissions(field string, list []string, valid func(string) bool, form string) error {
	if len(list) > MaxPermissions {
		return Invalid(field, "must hold at most %d permissions", MaxPermissions)
	}
	for i, text := range list {
		if !valid(text) {
			return Invalid(fmt.Sprintf("%s[%d]", field, i), "%s", form)
		}
	}
	return nil
}

func validGrant(text string) bool {
	if text == "*" {
		return true
	}
	resource, action := cutPermission(text)
	switch {
	case resource == "*":
		return validPermission("any." + action)
	case action == "*":
		return validPermission(resource + ".any")
	default:
		return validPermission(text)
	}
}

func validPermission(text string) bool {
	if len(text) > MaxPermissionLength || !strings.Contains(text, ".") {
		return false
	}
	for part := range strings.SplitSeq(text, ".") {
		if part == "" || strings.ContainsFunc(part, func(r rune) bool {
			return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_')
		}) {
			return false
		}
	}
	return true
}

// reserved lists the resources that no wildcard and no inherited right reaches: whoever manages credentials must
// have been given that by name.
var reserved = []string{"audit", "groups", "keys", "licenses", "permissions", "policies", "roles", "tokens", "users"}

func reservedResource(resource string) bool { return slices.Contains(reserved, resource) }

func reservedPermission(permission string) bool {
	resource, _ := cutPermission(permission)
	return reservedResource(resource)
}
