package latchward

import (
	"fmt"
	"slices"
	"strings"
)

// Bounds of permissions.
const (
	MaxPermissions      = 500
	MaxPermissionLength = 128 // bytes
)

// PermissionVerify lets a service token ask for verdicts about other tokens.
const PermissionVerify = "tokens.verify"

// ValidatePermissions checks a list of permissions, each "resource.action" in lower-case letters, digits, "-" and
// "_", with further dots allowed.
func ValidatePermissions(field string, permissions []string) error {
	if len(permissions) > MaxPermissions {
		return Invalid(field, "must hold at most %d permissions", MaxPermissions)
	}
	for i, permission := range permissions {
		if !validPermission(permission) {
			return Invalid(fmt.Sprintf("%s[%d]", field, i), "must look like resource.action, in lower case")
		}
	}
	return nil
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
var reserved = []string{"tokens", "users", "groups", "roles", "policies", "keys", "audit"}

func reservedPermission(permission string) bool {
	resource, _, _ := strings.Cut(permission, ".")
	return slices.Contains(reserved, resource)
}

// rights is a set of permissions, ready to be asked.
type rights struct {
	all     bool // everything but the reserved resources
	granted []string
}

// newRights returns the rights of a token with the given kind and list, whose owner is or is not an administrator.
func newRights(kind Kind, permissions []string, administrator bool) rights {
	switch {
	case kind == KindService:
		return rights{granted: permissions}
	case !administrator:
		return rights{}
	case permissions == nil:
		return rights{all: true}
	default:
		return rights{granted: slices.DeleteFunc(slices.Clone(permissions), reservedPermission)}
	}
}

func (r rights) has(permission string) bool {
	if r.all && !reservedPermission(permission) {
		return true
	}
	return slices.Contains(r.granted, permission)
}
