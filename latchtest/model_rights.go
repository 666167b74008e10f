package latchtest

import (
	"fmt"
	"strconv"

	"pgregory.net/rapid"

	"github.com/latchward/latchward"
)

// numbersOf returns the numbers of ids.
func numbersOf[ID ~int64](all, ids []ID) []ID {
	var numbers []ID
	for _, id := range ids {
		numbers = append(numbers, ID(number(all, id)))
	}
	return numbers
}

func (s *side) plainRole(r *latchward.Role) *latchward.Role {
	if r == nil {
		return nil
	}
	plain := *r
	plain.ID = latchward.RoleID(number(s.roles, r.ID))
	return &plain
}

func (s *side) plainGroup(g *latchward.Group) *latchward.Group {
	if g == nil {
		return nil
	}
	plain := *g
	plain.ID = latchward.GroupID(number(s.groups, g.ID))
	plain.Roles = numbersOf(s.roles, g.Roles)
	return &plain
}

func (s *side) plainLicense(l *latchward.License) *latchward.License {
	if l == nil {
		return nil
	}
	plain := *l
	plain.ID = latchward.LicenseID(number(s.licenses, l.ID))
	return &plain
}

// plainList returns what both sides must agree on about a list.
func plainList[R any](list []*R, plain func(*R) *R) []*R {
	var all []*R
	for _, r := range list {
		all = append(all, plain(r))
	}
	return all
}

// owners returns owners by their numbers; nil stays nil.
func (s *side) owners(numbers []int) []latchward.Owner {
	if numbers == nil {
		return nil
	}
	owners := []latchward.Owner{}
	for _, n := range numbers {
		owners = append(owners, s.owner(n))
	}
	return owners
}

// someOwner draws a user who was made, or, for -n, the group n.
func (p *plan) someOwner(rt *rapid.T) int {
	n := rapid.IntRange(-p.groups, p.users).Draw(rt, "owner")
	if n == 0 {
		return 1
	}
	return n
}

// someOwners draws owners to narrow a question to; nil does not narrow.
func (m *model) someOwners(rt *rapid.T) []int {
	if rapid.IntRange(0, 3).Draw(rt, "of everybody") == 3 {
		return nil
	}
	made := newPlan(m)
	owners := []int{}
	for range rapid.IntRange(0, 2).Draw(rt, "owners") {
		owners = append(owners, made.someOwner(rt))
	}
	return owners
}

// someHolding draws the number of a role, a group or a license to narrow a list to, mostly none.
func (m *model) someHolding(rt *rapid.T) (latchward.RoleID, latchward.GroupID, latchward.LicenseID) {
	made := newPlan(m)
	switch rapid.IntRange(0, 5).Draw(rt, "holding") {
	case 1:
		return latchward.RoleID(pick(rt, "role", made.roles)), 0, 0
	case 2:
		return 0, latchward.GroupID(pick(rt, "group", made.groups)), 0
	case 3:
		return 0, 0, latchward.LicenseID(pick(rt, "license", made.licenses))
	}
	return 0, 0, 0
}

// holding returns the ids for numbers; 0 stays 0.
func (s *side) holding(
	role latchward.RoleID, group latchward.GroupID, license latchward.LicenseID,
) (latchward.RoleID, latchward.GroupID, latchward.LicenseID) {
	if role != 0 {
		role = numbered(s.roles, int(role))
	}
	if group != 0 {
		group = numbered(s.groups, int(group))
	}
	if license != 0 {
		license = numbered(s.licenses, int(license))
	}
	return role, group, license
}

// rights compares everything about roles, groups, licenses and the registry.
func (m *model) rights(rt *rapid.T) {
	_, _ = m.both(rt, "Roles", func(s *side) (any, error) {
		list, err := s.store.Roles(m.ctx)
		return plainList(list, s.plainRole), err
	})
	m.groups(rt, latchward.GroupFilter{IncludeRemoved: true, Limit: latchward.MaxPage}, 0)
	_, _ = m.both(rt, "Licenses", func(s *side) (any, error) {
		list, err := s.store.Licenses(m.ctx)
		return plainList(list, s.plainLicense), err
	})
	_, _ = m.both(rt, "Seats", func(s *side) (any, error) {
		seats, err := s.store.Seats(m.ctx)
		plain := map[int]int64{}
		for id, taken := range seats {
			plain[number(s.licenses, id)] = taken
		}
		return plain, err
	})
	_, _ = m.both(rt, "Permissions", func(s *side) (any, error) { return s.store.Permissions(m.ctx) })
}

func (m *model) groups(rt *rapid.T, f latchward.GroupFilter, after int) {
	_, _ = m.both(rt, fmt.Sprintf("Groups(%+v) after %d", f, after), func(s *side) (any, error) {
		f := f
		if after > 0 {
			f.After = numbered(s.groups, after)
		}
		f.Role, _, _ = s.holding(f.Role, 0, 0)
		list, err := s.store.Groups(m.ctx, f)
		return plainList(list, s.plainGroup), err
	})
}

// readGroups asks for groups, and for one of everything by its id.
func (m *model) readGroups(rt *rapid.T) {
	role, _, _ := m.someHolding(rt)
	m.groups(rt, latchward.GroupFilter{
		Query:          rapid.SampledFrom([]string{"", "A", "%", "_", `\`, "n1"}).Draw(rt, "query"),
		Role:           role,
		IncludeRemoved: rapid.Bool().Draw(rt, "removed"),
		Limit:          rapid.IntRange(1, 3).Draw(rt, "limit"),
	}, rapid.IntRange(0, len(m.reference.groups)).Draw(rt, "after"))
	made := newPlan(m)
	r, g, l := pick(rt, "role", made.roles), pick(rt, "group", made.groups), pick(rt, "license", made.licenses)
	_, _ = m.both(rt, fmt.Sprintf("Role %d, Group %d, License %d", r, g, l), func(s *side) (any, error) {
		role, err1 := s.store.Role(m.ctx, numbered(s.roles, r))
		group, err2 := s.store.Group(m.ctx, numbered(s.groups, g))
		license, err3 := s.store.License(m.ctx, numbered(s.licenses, l))
		return []any{
			s.plainRole(role), errorText(err1), s.plainGroup(group), errorText(err2),
			s.plainLicense(license), errorText(err3),
		}, nil
	})
}

// sameKey returns what the store under test calls what the reference names as changed; "" for what was not committed.
func (m *model) sameKey(kind latchward.ChangeKind, key string) string {
	switch kind {
	case latchward.ChangeOwner:
		return m.sameOwner(key)
	case latchward.ChangeRole:
		return sameID(m.reference.roles, m.tested.roles, key)
	case latchward.ChangeGroup:
		return sameID(m.reference.groups, m.tested.groups, key)
	case latchward.ChangeLicense:
		return sameID(m.reference.licenses, m.tested.licenses, key)
	}
	return key
}

// sameOwner is sameKey for owners.
func (m *model) sameOwner(key string) string {
	for n := -len(m.reference.groups); n <= len(m.reference.users); n++ {
		if n != 0 && m.reference.owner(n).String() == key {
			return m.tested.owner(n).String()
		}
	}
	return ""
}

func sameID[ID ~int64](reference, tested []ID, key string) string {
	id, err := strconv.ParseInt(key, 10, 64)
	n := number(reference, ID(id))
	if err != nil || n < 1 {
		return ""
	}
	return strconv.FormatInt(int64(numbered(tested, n)), 10)
}
