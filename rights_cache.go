package latchward

import (
	"context"
	"slices"
	"sync/atomic"
)

// directory holds what many principals share. A change of a role that 100,000 tokens hold empties one cell and moves the
// generation: one read from the store, and each token compiles its rights anew when it is next used.
type directory struct {
	roles      cells[RoleID, Role]
	groups     cells[GroupID, Group]
	licenses   cells[LicenseID, License]
	generation atomic.Uint64 // moves after every change of a role, group or license
}

const maxDirectory = 100_000 // roles, groups and licenses remembered, of each

func (d *directory) open(store Store, changes *atomic.Uint64, reads *atomic.Int64) {
	d.roles = cells[RoleID, Role]{
		read: readBy(store.Role), parse: parseID[RoleID], most: maxDirectory, changes: changes, reads: reads,
	}
	d.groups = cells[GroupID, Group]{
		read: readBy(store.Group), parse: parseID[GroupID], most: maxDirectory, changes: changes, reads: reads,
	}
	d.licenses = cells[LicenseID, License]{
		read: readBy(store.License), parse: parseID[LicenseID], most: maxDirectory, changes: changes, reads: reads,
	}
}

// apply forgets what changed; it reports whether it knows changes of that kind.
func (d *directory) apply(change Change) bool {
	switch change.Kind {
	case ChangeRole:
		d.roles.forget(change.Keys)
	case ChangeGroup:
		d.groups.forget(change.Keys)
	case ChangeLicense:
		d.licenses.forget(change.Keys)
	default:
		return false
	}
	d.generation.Add(1) // after: whoever sees the new generation finds no old fact
	return true
}

func (d *directory) flush() {
	d.roles.forget(nil)
	d.groups.forget(nil)
	d.licenses.forget(nil)
	d.generation.Add(1)
}

// resolve returns what h comes to. Whatever is gone or disabled gives nothing.
func (d *directory) resolve(ctx context.Context, h held) (RightsFacts, error) {
	facts := RightsFacts{Permissions: slices.Clone(h.permissions)}
	roles := slices.Clone(h.roles)
	for _, id := range h.groups {
		group, err := d.groups.get(ctx, id)
		if err != nil {
			return facts, err
		}
		if group.Active && !group.Removed() {
			facts.Groups = append(facts.Groups, group.Name)
			roles = append(roles, group.Roles...)
		}
	}
	slices.Sort(roles)
	for _, id := range slices.Compact(roles) {
		role, err := d.roles.get(ctx, id)
		if err != nil {
			return facts, err
		}
		if role.ID != 0 {
			role = asDefined(role)
			facts.Roles, facts.Permissions = append(facts.Roles, role.Name), append(facts.Permissions, role.Permissions...)
		}
	}
	for _, id := range h.licenses {
		license, err := d.licenses.get(ctx, id)
		if err != nil {
			return facts, err
		}
		if license.ID != 0 {
			facts.Licenses = append(facts.Licenses, HeldLicense{license.Name, license.ValidFrom, license.ValidUntil})
		}
	}
	return facts, nil
}

// ownerRights are what one owner's tokens share.
type ownerRights struct {
	generation uint64
	person     *Rights // of the owner, signed in
	token      *Rights // of the owner's personal tokens: no permissions over Latchward itself
	// administrator is person with the role of administrators, for sign-ins whose provider vouches for that.
	administrator *Rights
}

// ownerRecord is what is remembered about an owner.
type ownerRecord struct {
	OwnerFacts
	owner    Owner // without a name
	compiled atomic.Pointer[ownerRights]
}

func (o *ownerRecord) held() held { return held{nil, o.Roles, o.Groups, o.Licenses} }

// rightsOfOwner returns what an owner may do. It allocates nothing while no role, group or license changes.
func (d *directory) rightsOfOwner(ctx context.Context, o *ownerRecord) (*ownerRights, error) {
	generation := d.generation.Load() // before anything is read: what changes meanwhile makes the result out of date
	if known := o.compiled.Load(); known != nil && known.generation == generation {
		return known, nil
	}
	facts, err := d.resolve(ctx, o.held())
	if err != nil {
		return nil, err
	}
	compiled := &ownerRights{generation: generation, token: NewRights(facts)}
	facts.Reserved = true
	compiled.person, compiled.administrator = NewRights(facts), NewRights(facts.asAdministrator())
	o.compiled.Store(compiled)
	return compiled, nil
}

// asAdministrator returns f with the role of administrators.
func (f RightsFacts) asAdministrator() RightsFacts {
	role := builtInRole(RoleAdministrator)
	f.Reserved = true
	f.Roles = append(slices.Clone(f.Roles), role.Name)
	f.Permissions = append(slices.Clone(f.Permissions), role.Permissions...)
	return f
}

// tokenRights are what one token may do, by what its owner may.
type tokenRights struct {
	generation uint64
	owner      *ownerRights
	rights     *Rights
}

// rightsOfToken returns what a token may do. A personal token that is not narrowed shares its owner's.
func (d *directory) rightsOfToken(ctx context.Context, f *facts, o *ownerRecord) (*Rights, error) {
	owner, err := d.rightsOfOwner(ctx, o)
	if err != nil {
		return nil, err
	}
	if f.inherits {
		return owner.token, nil
	}
	generation := d.generation.Load()
	if known := f.extras.rights.Load(); known != nil && known.generation == generation && known.owner == owner {
		return known.rights, nil
	}
	rights, err := d.compileToken(ctx, &f.extras.given, owner)
	if err != nil {
		return nil, err
	}
	f.extras.rights.Store(&tokenRights{generation, owner, rights})
	return rights, nil
}

// given is what a token that does not inherit was given.
type given struct {
	held
	service bool
	bound   bool // holds nothing that its owner does not
}

func givenTo(t *Token) given {
	service := t.Kind == KindService
	return given{heldByToken(t), service, !service || t.Owner.Type == OwnerUser && !t.Unbound}
}

func (d *directory) compileToken(ctx context.Context, g *given, owner *ownerRights) (*Rights, error) {
	if !g.service {
		// A narrowed token has neither roles nor groups: whoever asks for those by name must not let it past its list.
		return NewRights(RightsFacts{
			Permissions: g.permissions, Bound: owner.token, Licenses: owner.token.licenses,
		}), nil
	}
	facts, err := d.resolve(ctx, g.held)
	if err != nil {
		return nil, err
	}
	facts.Reserved = true
	if g.bound {
		facts.boundBy(owner.person) // a demoted owner's tokens shrink
	}
	return NewRights(facts), nil
}

// boundBy takes from f what owner does not hold. Administrators hold every role and group in this sense.
func (f *RightsFacts) boundBy(owner *Rights) {
	f.Bound = owner
	if owner.HasRole(administratorName) {
		return
	}
	f.Roles = slices.DeleteFunc(f.Roles, func(name string) bool { return !owner.HasRole(name) })
	f.Groups = slices.DeleteFunc(f.Groups, func(name string) bool { return !owner.HasGroup(name) })
}
