package latchward

import (
	"slices"
	"strings"
	"time"
)

// Rights are what a subject may do at one moment of the rules: its permissions, and the roles, groups and licenses
// that programs may ask for by name. They never change once made, and are shared. The nil *Rights holds nothing.
type Rights struct {
	granted  grants
	bound    *Rights // holds only what this holds, too; nil = no bound
	reserved bool    // may hold permissions over Latchward itself
	roles    []string
	groups   []string
	licenses []HeldLicense
}

// HeldLicense is a license that a subject has a seat of.
type HeldLicense struct {
	Name  string
	From  time.Time // holds from this instant on; zero = always did
	Until time.Time // holds no more from this instant on; zero = always will
}

// RightsFacts is what [Rights] are made of.
type RightsFacts struct {
	Permissions []string // grants, see ValidateGrants
	Bound       *Rights  // what is held must be held by these, too; nil = no bound
	Reserved    bool     // permissions over Latchward itself count, too
	Roles       []string
	Groups      []string
	Licenses    []HeldLicense
}

// NewRights returns the rights that f describes. It keeps f's slices.
func NewRights(f RightsFacts) *Rights {
	return &Rights{
		granted: newGrants(f.Permissions), bound: f.Bound, reserved: f.Reserved,
		roles: f.Roles, groups: f.Groups, licenses: f.Licenses,
	}
}

// Facts returns what r was made of; the caller must not change it.
func (r *Rights) Facts() RightsFacts {
	if r == nil {
		return RightsFacts{}
	}
	return RightsFacts{
		Permissions: r.granted.texts, Bound: r.bound, Reserved: r.reserved,
		Roles: r.roles, Groups: r.groups, Licenses: r.licenses,
	}
}

// Has reports whether r holds a permission. It allocates nothing.
func (r *Rights) Has(permission string) bool {
	return r != nil && r.granted.has(permission) &&
		(r.reserved || !reservedPermission(permission)) && (r.bound == nil || r.bound.Has(permission))
}

// HasRole reports whether r has the role with that name.
func (r *Rights) HasRole(name string) bool { return r != nil && slices.Contains(r.roles, name) }

// HasGroup reports whether r is a member of the group with that name.
func (r *Rights) HasGroup(name string) bool { return r != nil && slices.Contains(r.groups, name) }

// HasLicense reports whether r has a seat of the license with that name, and the license is valid at now.
func (r *Rights) HasLicense(name string, now time.Time) bool {
	if r == nil {
		return false
	}
	return slices.ContainsFunc(r.licenses, func(l HeldLicense) bool {
		return l.Name == name && !now.Before(l.From) && (l.Until.IsZero() || now.Before(l.Until))
	})
}

func (r *Rights) hasAll(permissions []string) bool {
	for _, permission := range permissions {
		if !r.Has(permission) {
			return false
		}
	}
	return true
}

func (r *Rights) hasLicenses(names []string, now time.Time) bool {
	for _, name := range names {
		if !r.HasLicense(name, now) {
			return false
		}
	}
	return true
}

// Covers reports whether r holds everything that a grant gives, now and for permissions yet to be thought of: what
// somebody must hold to hand the grant on (C-09).
func (r *Rights) Covers(grant string) bool {
	return r != nil && r.granted.covers(grant) &&
		(r.reserved || !reservedPermission(grant)) && (r.bound == nil || r.bound.Covers(grant))
}

// grants is a set of grants, ready to be asked. A wildcard is asked for by the part that it fixes: none of them costs
// a walk over the list.
type grants struct {
	texts     []string
	exact     map[string]struct{}
	resources map[string]struct{} // of "resource.*"
	actions   map[string]struct{} // of "*.action"
	all       bool                // "*"
}

func newGrants(texts []string) grants {
	g := grants{texts: texts}
	for _, text := range texts {
		resource, action := cutPermission(text)
		switch {
		case text == "*":
			g.all = true
		case action == "*":
			put(&g.resources, resource)
		case resource == "*":
			put(&g.actions, action)
		default:
			put(&g.exact, text)
		}
	}
	return g
}

func put(set *map[string]struct{}, text string) {
	if *set == nil {
		*set = map[string]struct{}{}
	}
	(*set)[text] = struct{}{}
}

// cutPermission parts a permission or grant at its first dot: what follows belongs to the action.
func cutPermission(text string) (resource, action string) {
	resource, action, _ = strings.Cut(text, ".")
	return resource, action
}

func (g *grants) has(permission string) bool {
	if _, ok := g.exact[permission]; ok {
		return true
	}
	resource, action := cutPermission(permission)
	if _, ok := g.resources[resource]; ok {
		return true
	}
	if reservedResource(resource) {
		return false // only by its name
	}
	_, ok := g.actions[action]
	return ok || g.all
}

func (g *grants) covers(grant string) bool {
	resource, action := cutPermission(grant)
	switch {
	case grant == "*":
		return g.all
	case action == "*":
		_, ok := g.resources[resource]
		return ok || g.all && !reservedResource(resource)
	case resource == "*":
		_, ok := g.actions[action]
		return ok || g.all
	default:
		return g.has(grant)
	}
}
