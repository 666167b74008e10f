package latchtest

import (
	"fmt"

	"pgregory.net/rapid"

	"github.com/latchward/latchward"
)

// drawnHeld is what a record is to have, by numbers.
type drawnHeld struct {
	roles, groups, licenses []int
	strict                  bool // also what does not exist
}

func (p *plan) someHeld(rt *rapid.T) drawnHeld {
	some := func(label string, made int) (numbers []int) {
		for range rapid.IntRange(0, 2).Draw(rt, label) {
			numbers = append(numbers, pick(rt, label, made))
		}
		return numbers
	}
	return drawnHeld{
		some("roles", p.roles), some("groups", p.groups), some("licenses", p.licenses),
		rapid.IntRange(0, 4).Draw(rt, "strict") == 4,
	}
}

// of returns h with the side's ids, without what cannot be had unless h is strict: a refusal ends a transaction.
func (h drawnHeld) of(
	s *side, tx latchward.Tx,
) (roles []latchward.RoleID, groups []latchward.GroupID, licenses []latchward.LicenseID) {
	for _, n := range h.roles {
		id := numbered(s.roles, n)
		if _, err := tx.Role(id); err == nil || h.strict {
			roles = append(roles, id)
		}
	}
	for _, n := range h.groups {
		id := numbered(s.groups, n)
		if g, err := tx.Group(id); h.strict || err == nil && !g.Removed() {
			groups = append(groups, id)
		}
	}
	for _, n := range h.licenses {
		id := numbered(s.licenses, n)
		if _, err := tx.License(id); err == nil || h.strict {
			licenses = append(licenses, id)
		}
	}
	return roles, groups, licenses
}

// someIdentifier is seldom one that another record has.
func someIdentifier(rt *rapid.T) string {
	return fmt.Sprintf("n%d", rapid.IntRange(1, 8).Draw(rt, "name"))
}

func someRole(rt *rapid.T) latchward.Role {
	return latchward.Role{
		Name: someIdentifier(rt), Title: someText(rt, "title"), Description: someText(rt, "description"),
		Permissions: rapid.SampledFrom([][]string{{}, {"x.y"}, {"x.*", "x.y", "*", "x.y"}}).Draw(rt, "permissions"),
		CreatedAt:   epoch(), UpdatedAt: momentAround(rt, "updated at"),
	}
}

func (p *plan) newRole(rt *rapid.T) step {
	r := someRole(rt)
	p.roles++
	return step{"new role " + r.Name, func(s *side, tx latchward.Tx) (any, error) {
		saved := r
		err := tx.SaveRole(&saved)
		s.roles = added(s.roles, saved.ID)
		return nil, err
	}}
}

func (p *plan) saveRole(rt *rapid.T) step {
	n, r := pick(rt, "role", p.roles), someRole(rt)
	return step{fmt.Sprintf("save role %d as %s", n, r.Name), func(s *side, tx latchward.Tx) (any, error) {
		before, err := tx.Role(numbered(s.roles, n))
		if err != nil {
			return nil, err
		}
		saved := r
		saved.ID = before.ID
		return s.plainRole(before), tx.SaveRole(&saved)
	}}
}

func (p *plan) deleteRole(rt *rapid.T) step {
	n := pick(rt, "role", p.roles)
	return step{fmt.Sprintf("delete role %d", n), func(s *side, tx latchward.Tx) (any, error) {
		return nil, tx.DeleteRole(numbered(s.roles, n))
	}}
}

func someGroup(rt *rapid.T) latchward.Group {
	g := latchward.Group{
		Name: someIdentifier(rt), Title: someText(rt, "title"), Description: someText(rt, "description"),
		Active: rapid.Bool().Draw(rt, "active"), CreatedAt: epoch(), UpdatedAt: momentAround(rt, "updated at"),
	}
	g.DirectoryID = rapid.SampledFrom([]string{"", "1"}).Draw(rt, "directory id")
	if rapid.IntRange(0, 3).Draw(rt, "removed") == 3 {
		g.RemovedAt = epoch()
	}
	return g
}

func (p *plan) newGroup(rt *rapid.T) step {
	g, h := someGroup(rt), p.someHeld(rt)
	p.groups++
	return step{"new group " + g.Name, func(s *side, tx latchward.Tx) (any, error) {
		saved := g
		saved.Roles, _, _ = h.of(s, tx)
		err := tx.SaveGroup(&saved)
		s.groups = added(s.groups, saved.ID)
		return nil, err
	}}
}

func (p *plan) saveGroup(rt *rapid.T) step {
	n, g, h := pick(rt, "group", p.groups), someGroup(rt), p.someHeld(rt)
	return step{fmt.Sprintf("save group %d as %s", n, g.Name), func(s *side, tx latchward.Tx) (any, error) {
		before, err := tx.Group(numbered(s.groups, n))
		if err != nil {
			return nil, err
		}
		saved := g
		saved.ID = before.ID
		saved.Roles, _, _ = h.of(s, tx)
		return s.plainGroup(before), tx.SaveGroup(&saved)
	}}
}

func someLicense(rt *rapid.T) latchward.License {
	return latchward.License{
		Name: someIdentifier(rt), Title: someText(rt, "title"), Description: someText(rt, "description"),
		MaxSeats:  rapid.Int64Range(0, latchward.MaxLicenseSeats).Draw(rt, "seats"),
		ValidFrom: someTime(rt, "valid from"), ValidUntil: someTime(rt, "valid until"),
		CreatedAt: epoch(), UpdatedAt: momentAround(rt, "updated at"),
	}
}

func (p *plan) newLicense(rt *rapid.T) step {
	l := someLicense(rt)
	p.licenses++
	return step{"new license " + l.Name, func(s *side, tx latchward.Tx) (any, error) {
		saved := l
		err := tx.SaveLicense(&saved)
		s.licenses = added(s.licenses, saved.ID)
		return nil, err
	}}
}

func (p *plan) saveLicense(rt *rapid.T) step {
	n, l := pick(rt, "license", p.licenses), someLicense(rt)
	return step{fmt.Sprintf("save license %d as %s", n, l.Name), func(s *side, tx latchward.Tx) (any, error) {
		before, err := tx.License(numbered(s.licenses, n))
		if err != nil {
			return nil, err
		}
		saved := l
		saved.ID = before.ID
		return s.plainLicense(before), tx.SaveLicense(&saved)
	}}
}

func (p *plan) deleteLicense(rt *rapid.T) step {
	n := pick(rt, "license", p.licenses)
	return step{fmt.Sprintf("delete license %d", n), func(s *side, tx latchward.Tx) (any, error) {
		return nil, tx.DeleteLicense(numbered(s.licenses, n))
	}}
}

func (p *plan) savePermission(rt *rapid.T) step {
	entry := latchward.Permission{
		Name:  rapid.SampledFrom([]string{"x.y", "x.y", "x.yy", "a.b"}).Draw(rt, "name"),
		Title: someText(rt, "title"), Description: someText(rt, "description"), BuiltIn: rapid.Bool().Draw(rt, "built in"),
		CreatedAt: epoch(), UpdatedAt: momentAround(rt, "updated at"),
	}
	return step{"save permission " + entry.Name, func(_ *side, tx latchward.Tx) (any, error) {
		saved := entry
		return nil, tx.SavePermission(&saved)
	}}
}

func (p *plan) deletePermission(rt *rapid.T) step {
	name := rapid.SampledFrom([]string{"x.y", "x.y", "x.yy", "a.b"}).Draw(rt, "name")
	return step{"delete permission " + name, func(_ *side, tx latchward.Tx) (any, error) {
		return nil, tx.DeletePermission(name)
	}}
}

// readRights reads one of everything by its id and by a name.
func (p *plan) readRights(rt *rapid.T) step {
	r, g, l := pick(rt, "role", p.roles), pick(rt, "group", p.groups), pick(rt, "license", p.licenses)
	name := someIdentifier(rt)
	return step{fmt.Sprintf("read %d, %d, %d and %s", r, g, l, name), func(s *side, tx latchward.Tx) (any, error) {
		role, err1 := tx.Role(numbered(s.roles, r))
		group, err2 := tx.Group(numbered(s.groups, g))
		license, err3 := tx.License(numbered(s.licenses, l))
		roleNamed, err4 := tx.RoleByName(name)
		groupNamed, err5 := tx.GroupByName(name)
		licenseNamed, err6 := tx.LicenseByName(name)
		seats, err7 := tx.Seats(numbered(s.licenses, l))
		permission, err8 := tx.Permission("x.y")
		members, err9 := tx.Members(numbered(s.groups, g))
		var errors []string
		for _, err := range []error{err1, err2, err3, err4, err5, err6, err7, err8, err9} {
			errors = append(errors, errorText(err))
		}
		return []any{
			errors, s.plainRole(role), s.plainGroup(group), s.plainLicense(license),
			s.plainRole(roleNamed), s.plainGroup(groupNamed), s.plainLicense(licenseNamed), seats, permission,
			s.userNumbers(members),
		}, nil
	}}
}
