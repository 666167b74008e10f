package latchward

import (
	"context"
	"time"
)

// EffectiveRights are what a principal holds and where each part comes from (S5-14).
type EffectiveRights struct {
	Kind        Kind         // of a token; "" for a user
	Permissions []RightsPart // each grant with every source of it
	Roles       []RightsPart
	Groups      []RightsPart
	Licenses    []RightsPart
	Rights      *Rights // what it all comes to
}

// RightsPart is one thing that a principal has been given.
type RightsPart struct {
	Name   string
	Source string // "token", "owner", "role NAME" or "group NAME"; "group NAME, role NAME" for what both together give
	// Withheld says why it does not count now, "" when it does: "owner lacks it", "not in the token's list",
	// "reserved", "disabled", "not valid yet" or "no longer valid".
	Withheld string
}

// TokenRights returns what a token holds. Who may see the token may ask.
func (s *Service) TokenRights(ctx context.Context, id TokenID) (EffectiveRights, error) {
	t, err := s.Token(ctx, id)
	if err != nil {
		return EffectiveRights{}, err
	}
	owner, err := s.cache.owners.get(ctx, t.Owner.key())
	if err != nil {
		return EffectiveRights{}, err
	}
	now := s.timestamp()
	if t.Kind == KindPersonal {
		return s.personalRights(ctx, t, owner, now)
	}
	e, err := s.cache.directory.explain(ctx, heldByToken(t), "token", now)
	if err != nil {
		return e, err
	}
	e.Kind = t.Kind
	if e.Rights, err = s.rightsOf(ctx, t, owner); err != nil {
		return e, err
	}
	e.withholdUnlessHeld("owner lacks it")
	return e, nil
}

// rightsOf compiles what t may do.
func (s *Service) rightsOf(ctx context.Context, t *Token, owner *ownerRecord) (*Rights, error) {
	compiled, err := s.cache.directory.rightsOfOwner(ctx, owner)
	if err != nil || inherits(t) {
		return compiled.token, err
	}
	own := givenTo(t)
	return s.cache.directory.compileToken(ctx, &own, compiled)
}

// personalRights are the owner's, as far as the token's own list lets them through.
func (s *Service) personalRights(ctx context.Context, t *Token, owner *ownerRecord, now time.Time) (EffectiveRights, error) {
	e, err := s.cache.directory.explain(ctx, owner.held(), "owner", now)
	if err != nil {
		return e, err
	}
	e.Kind = t.Kind
	if e.Rights, err = s.rightsOf(ctx, t, owner); err != nil {
		return e, err
	}
	for i := range e.Permissions {
		if p := &e.Permissions[i]; reservedPermission(p.Name) {
			p.Withheld = "reserved"
		}
	}
	if t.Permissions == nil {
		return e, nil
	}
	e.withholdUnlessHeld("not in the token's list")
	for i := range e.Roles {
		e.Roles[i].Withheld = "not in the token's list"
	}
	for i := range e.Groups {
		e.Groups[i].Withheld = "not in the token's list"
	}
	for _, grant := range t.Permissions {
		part := RightsPart{Name: grant, Source: "token"}
		if !e.Rights.Covers(grant) {
			part.Withheld = "owner lacks it"
		}
		e.Permissions = append(e.Permissions, part)
	}
	return e, nil
}

// UserRights returns what a user holds. Everybody may ask about themselves; about others it needs users.read.
func (s *Service) UserRights(ctx context.Context, id UserID) (EffectiveRights, error) {
	u, err := s.User(ctx, id)
	if err != nil {
		return EffectiveRights{}, err
	}
	e, err := s.cache.directory.explain(ctx, heldByUser(u), "owner", s.timestamp())
	if err != nil {
		return e, err
	}
	owner, err := s.cache.owners.get(ctx, Owner{Type: OwnerUser, ID: int64(id)})
	if err != nil {
		return e, err
	}
	compiled, err := s.cache.directory.rightsOfOwner(ctx, owner)
	if err == nil {
		e.Rights = compiled.person
	}
	return e, err
}

// withholdUnlessHeld marks the grants that come to nothing.
func (e *EffectiveRights) withholdUnlessHeld(why string) {
	for i := range e.Permissions {
		if p := &e.Permissions[i]; p.Withheld == "" && !e.Rights.Covers(p.Name) {
			p.Withheld = why
		}
	}
}

// explain lists what h has, with where it comes from; source is where h itself has it from.
func (d *directory) explain(ctx context.Context, h held, source string, now time.Time) (EffectiveRights, error) {
	var e EffectiveRights
	for _, grant := range h.permissions {
		e.Permissions = append(e.Permissions, RightsPart{Name: grant, Source: source})
	}
	if err := d.explainRoles(ctx, &e, h.roles, source, ""); err != nil {
		return e, err
	}
	for _, id := range h.groups {
		group, err := d.groups.get(ctx, id)
		if err != nil {
			return e, err
		}
		withheld := ""
		if !group.Active || group.Removed() {
			withheld = "disabled"
		}
		e.Groups = append(e.Groups, RightsPart{group.Name, source, withheld})
		if err := d.explainRoles(ctx, &e, group.Roles, "group "+group.Name, withheld); err != nil {
			return e, err
		}
	}
	return e, d.explainLicenses(ctx, &e, h.licenses, source, now)
}

func (d *directory) explainRoles(ctx context.Context, e *EffectiveRights, roles []RoleID, source, withheld string) error {
	for _, id := range roles {
		role, err := d.roles.get(ctx, id)
		if err != nil {
			return err
		}
		if role.ID == 0 {
			continue // deleted a moment ago
		}
		role = asDefined(role)
		e.Roles = append(e.Roles, RightsPart{role.Name, source, withheld})
		from := "role " + role.Name
		if source != "token" && source != "owner" {
			from = source + ", " + from
		}
		for _, grant := range role.Permissions {
			e.Permissions = append(e.Permissions, RightsPart{grant, from, withheld})
		}
	}
	return nil
}

func (d *directory) explainLicenses(
	ctx context.Context, e *EffectiveRights, licenses []LicenseID, source string, now time.Time,
) error {
	for _, id := range licenses {
		license, err := d.licenses.get(ctx, id)
		if err != nil {
			return err
		}
		if license.ID == 0 {
			continue
		}
		part := RightsPart{Name: license.Name, Source: source}
		switch {
		case now.Before(license.ValidFrom):
			part.Withheld = "not valid yet"
		case !license.Valid(now):
			part.Withheld = "no longer valid"
		}
		e.Licenses = append(e.Licenses, part)
	}
	return nil
}
