package memory

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/latchward/latchward"
)

// rights is what gives rights to people and tokens. Records are replaced, never changed in place.
type rights struct {
	roles       map[latchward.RoleID]*latchward.Role
	groups      map[latchward.GroupID]*latchward.Group
	licenses    map[latchward.LicenseID]*latchward.License
	permissions map[string]*latchward.Permission

	// The last ids given out.
	lastRole    latchward.RoleID
	lastGroup   latchward.GroupID
	lastLicense latchward.LicenseID
}

// newRights returns the rights that every store begins with.
func newRights() rights {
	r := rights{
		roles:       map[latchward.RoleID]*latchward.Role{},
		groups:      map[latchward.GroupID]*latchward.Group{},
		licenses:    map[latchward.LicenseID]*latchward.License{},
		permissions: map[string]*latchward.Permission{},
	}
	for _, role := range latchward.BuiltInRoles() {
		r.roles[role.ID], r.lastRole = role, max(r.lastRole, role.ID)
	}
	return r
}

func copyRole(r *latchward.Role) (*latchward.Role, error) {
	if r == nil {
		return nil, notFound("role")
	}
	c := *r
	c.Permissions = slices.Clone(r.Permissions)
	return &c, nil
}

func copyGroup(g *latchward.Group) (*latchward.Group, error) {
	if g == nil {
		return nil, notFound("group")
	}
	c := *g
	c.Roles = idSet(g.Roles)
	return &c, nil
}

func copyLicense(l *latchward.License) (*latchward.License, error) {
	if l == nil {
		return nil, notFound("license")
	}
	c := *l
	return &c, nil
}

// idSet returns a copy of ids in their order, each once.
func idSet[ID ~int64](ids []ID) []ID {
	set := slices.Clone(ids)
	slices.Sort(set)
	return slices.Compact(set)
}

// Role implements [latchward.Store].
func (s *Store) Role(_ context.Context, id latchward.RoleID) (*latchward.Role, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return copyRole(s.rights.roles[id])
}

// Roles implements [latchward.Store].
func (s *Store) Roles(context.Context) ([]*latchward.Role, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var all []*latchward.Role
	for _, id := range slices.Sorted(maps.Keys(s.rights.roles)) {
		c, _ := copyRole(s.rights.roles[id])
		all = append(all, c)
	}
	return all, nil
}

// roleNamed returns the role with a name, or nil.
func (r *rights) roleNamed(name string) *latchward.Role {
	for _, role := range r.roles {
		if role.Name == name {
			return role
		}
	}
	return nil
}

// Group implements [latchward.Store].
func (s *Store) Group(_ context.Context, id latchward.GroupID) (*latchward.Group, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return copyGroup(s.rights.groups[id])
}

// Groups implements [latchward.Store].
func (s *Store) Groups(_ context.Context, f latchward.GroupFilter) ([]*latchward.Group, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var found []*latchward.Group
	for _, id := range slices.Sorted(maps.Keys(s.rights.groups)) {
		g := s.rights.groups[id]
		if id > f.After && (f.IncludeRemoved || !g.Removed()) && contains(f.Query, g.Name, g.Title) &&
			has(g.Roles, f.Role) {
			c, _ := copyGroup(g)
			found = append(found, c)
		}
	}
	return first(f.Limit, found), nil
}

// has reports whether ids hold the wanted one; 0 wants none.
func has[ID ~int64](ids []ID, wanted ID) bool { return wanted == 0 || slices.Contains(ids, wanted) }

// groupNamed returns the group with a name that is not removed, or nil.
func (r *rights) groupNamed(name string) *latchward.Group {
	for _, g := range r.groups {
		if g.Name == name && !g.Removed() {
			return g
		}
	}
	return nil
}

// License implements [latchward.Store].
func (s *Store) License(_ context.Context, id latchward.LicenseID) (*latchward.License, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return copyLicense(s.rights.licenses[id])
}

// Licenses implements [latchward.Store].
func (s *Store) Licenses(context.Context) ([]*latchward.License, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var all []*latchward.License
	for _, id := range slices.Sorted(maps.Keys(s.rights.licenses)) {
		c, _ := copyLicense(s.rights.licenses[id])
		all = append(all, c)
	}
	return all, nil
}

// licenseNamed returns the license with a name, or nil.
func (r *rights) licenseNamed(name string) *latchward.License {
	for _, l := range r.licenses {
		if l.Name == name {
			return l
		}
	}
	return nil
}

// Seats implements [latchward.Store].
func (s *Store) Seats(context.Context) (map[latchward.LicenseID]int64, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.seats(), nil
}

func (s *Store) seats() map[latchward.LicenseID]int64 {
	taken := map[latchward.LicenseID]int64{}
	take := func(licenses []latchward.LicenseID) {
		for _, id := range licenses {
			taken[id]++
		}
	}
	for _, u := range s.users {
		if !u.Removed() {
			take(u.Licenses)
		}
	}
	for _, r := range s.tokens {
		if !r.token.Revoked() {
			take(r.token.Licenses)
		}
	}
	return taken
}

// Permissions implements [latchward.Store].
func (s *Store) Permissions(context.Context) ([]*latchward.Permission, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var all []*latchward.Permission
	for _, p := range s.rights.permissions {
		c := *p
		all = append(all, &c)
	}
	slices.SortFunc(all, func(a, b *latchward.Permission) int {
		return strings.Compare(a.Name, b.Name)
	})
	return all, nil
}
