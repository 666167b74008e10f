package latchward

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// May reports whether p holds a permission over Latchward itself or over what it protects.
func (p Principal) May(permission string) bool { return p.Administrator || p.Rights.Has(permission) }

// Permit says whether p, a signed-in person, may make a request that needs the given permissions, query and licenses:
// allowed, license_missing or insufficient_permissions.
func (p Principal) Permit(permissions []string, query PermissionQuery, licenses []string, now time.Time) Reason {
	if p.Administrator && p.Rights == nil {
		p.Rights = NewRights(RightsFacts{}.asAdministrator())
	}
	return permit(p.Rights, permissions, query, licenses, now)
}

// covers reports whether p holds everything that a grant gives (C-09).
func (p Principal) covers(grant string) bool { return p.Administrator || p.Rights.Covers(grant) }

// owns reports whether an owner's tokens are p's own business: because p is the owner, or a member of the group that is.
func (p Principal) owns(owner Owner) bool {
	if p.Type != PrincipalUser {
		return false
	}
	switch owner.Type {
	case OwnerUser:
		return owner.ID == p.ID
	case OwnerGroup:
		return slices.Contains(p.Groups, GroupID(owner.ID))
	}
	return false
}

// actor returns who acts in ctx, if that is not an API token: those manage nothing but tokens, see [tokenActor].
func actor(ctx context.Context) (Principal, error) {
	p, err := anyActor(ctx)
	if err == nil && p.Type == PrincipalToken {
		err = errTokensManageNothing
	}
	return p, err
}

var errTokensManageNothing = &Error{
	Code: CodeForbidden, Message: "API tokens cannot manage tokens or users; sign in as a person",
}

func anyActor(ctx context.Context) (Principal, error) {
	p, ok := PrincipalFrom(ctx)
	if !ok {
		return p, &Error{Code: CodeUnauthenticated, Message: "Authentication required"}
	}
	return p, nil
}

// tokenActor returns who acts in ctx: a person, who may at least manage what they own, or a service token that holds
// the named permission.
func tokenActor(ctx context.Context, permission string) (Principal, error) {
	p, err := anyActor(ctx)
	if err == nil && p.Type == PrincipalToken && !p.May(permission) {
		err = errTokensManageNothing
	}
	return p, err
}

// holder returns who acts in ctx, if they hold the permission and are not an API token.
func holder(ctx context.Context, permission string) (Principal, error) {
	p, err := actor(ctx)
	if err == nil && !p.May(permission) {
		err = lacks(permission)
	}
	return p, err
}

// provisioner returns who acts in ctx, if they hold the permission over users or groups: a person, or a service token
// that was granted it by its name, as the directories of organizations are (B-18).
func provisioner(ctx context.Context, permission string) (Principal, error) {
	p, err := tokenActor(ctx, permission)
	if err == nil && !p.May(permission) {
		err = lacks(permission)
	}
	return p, err
}

func lacks(permission string) error {
	return Errorf(CodeForbidden, "This needs the permission %s", permission)
}

// authorize is the one place that says who may see or change which token: its owner, members of the group that owns
// it, and whoever holds the permission for everybody's. What somebody may not even see does not exist.
func authorize(p Principal, t *Token, permission string) error {
	switch {
	case p.owns(t.Owner) || p.May(permission):
		return nil
	case p.May(PermissionTokensRead):
		return lacks(permission)
	}
	return hidden("Token")
}

// held is what a principal has, as far as handing it on goes.
type held struct {
	permissions []string // granted directly
	roles       []RoleID
	groups      []GroupID
	licenses    []LicenseID
}

func heldByToken(t *Token) held { return held{t.Permissions, t.Roles, t.Groups, t.Licenses} }

func heldByUser(u *User) held { return held{nil, u.Roles, u.Groups, u.Licenses} }

// without returns what h has and before had not.
func (h held) without(before held) held {
	return held{
		missing(h.permissions, before.permissions), missing(h.roles, before.roles), missing(h.groups, before.groups),
		missing(h.licenses, before.licenses),
	}
}

func (h held) empty() bool {
	return len(h.permissions)+len(h.roles)+len(h.groups)+len(h.licenses) == 0
}

func missing[T comparable](list, from []T) []T {
	return slices.DeleteFunc(slices.Clone(list), func(v T) bool { return slices.Contains(from, v) })
}

// authorizeGiving says who may hand what on (C-09): nobody more than they hold. A role or group is more than its
// permissions, because programs ask for it by name; so it takes having it, or managing it and holding all it grants.
func authorizeGiving(tx Tx, p Principal, h held) error {
	if p.Administrator {
		return nil
	}
	for i, grant := range h.permissions {
		if !p.covers(grant) {
			return beyond(fmt.Sprintf("permissions[%d]", i), "the permission "+grant)
		}
	}
	for i, id := range h.roles {
		if err := authorizeRole(tx, p, id, fmt.Sprintf("roles[%d]", i)); err != nil {
			return err
		}
	}
	for i, id := range h.groups {
		if err := authorizeGroup(tx, p, id, fmt.Sprintf("groups[%d]", i)); err != nil {
			return err
		}
	}
	if len(h.licenses) > 0 && !p.May(PermissionLicensesUpdate) {
		return &Error{Code: CodeForbidden, Field: "licenses[0]", Message: "Handing out a seat needs the permission " + PermissionLicensesUpdate}
	}
	return nil
}

func beyond(field, what string) error {
	return &Error{Code: CodeForbidden, Field: field, Message: "You cannot hand on more than you hold: " + what}
}

func authorizeRole(tx Tx, p Principal, id RoleID, field string) error {
	role, err := loadRole(tx, id)
	if err != nil || p.Rights.HasRole(role.Name) {
		return err
	}
	if !p.May(PermissionRolesUpdate) {
		return beyond(field, "the role "+role.Name)
	}
	for _, grant := range role.Permissions {
		if !p.covers(grant) {
			return beyond(field, "the role "+role.Name+" grants "+grant)
		}
	}
	return nil
}

func authorizeGroup(tx Tx, p Principal, id GroupID, field string) error {
	group, err := tx.Group(id)
	if err != nil {
		return err
	}
	if !slices.Contains(p.Groups, id) && !p.May(PermissionGroupsUpdate) {
		return beyond(field, "the group "+group.Name)
	}
	for _, role := range group.Roles {
		if err := authorizeRole(tx, p, role, field); err != nil {
			return err
		}
	}
	return nil
}

// bind decides whether a service token that was given something is bound by what the user who owns it holds: it is,
// unless an administrator gave it more.
func bind(tx Tx, p Principal, t *Token) error {
	if t.Owner.Type != OwnerUser {
		t.Unbound = false
		return nil
	}
	if t.Unbound && !p.Administrator {
		return beyond("permissions", "only administrators change what a token holds beyond its owner")
	}
	owner, err := tx.User(UserID(t.Owner.ID))
	if err != nil {
		return err
	}
	inside, err := holdsAll(tx, owner, heldByToken(t))
	t.Unbound = !inside && p.Administrator
	return err
}

// holdsAll reports whether a user holds all of h. Administrators hold every role and group in this sense.
func holdsAll(tx Tx, u *User, h held) (bool, error) {
	own, err := allRoles(tx, heldByUser(u))
	if err != nil || slices.Contains(own, RoleAdministrator) {
		return err == nil, err
	}
	if len(missing(h.roles, own)) > 0 || len(missing(h.groups, u.Groups)) > 0 {
		return false, nil
	}
	grants, err := grantsOf(tx, heldByUser(u))
	if err != nil {
		return false, err
	}
	rights := NewRights(RightsFacts{Permissions: grants, Reserved: true})
	needed, err := grantsOf(tx, h)
	return !slices.ContainsFunc(needed, func(grant string) bool { return !rights.Covers(grant) }), err
}

// authorizeReserved keeps permissions over Latchward itself out of tokens, unless an administrator grants them.
func authorizeReserved(tx Tx, p Principal, h held) error {
	if p.Administrator {
		return nil
	}
	grants, err := grantsOf(tx, h)
	if err != nil {
		return err
	}
	for _, grant := range grants {
		if reservedPermission(grant) {
			return beyond("permissions", "only administrators give a token "+grant)
		}
	}
	return nil
}

// allRoles returns the roles of h, and those of its groups.
func allRoles(tx Tx, h held) ([]RoleID, error) {
	roles := slices.Clone(h.roles)
	for _, id := range h.groups {
		group, err := tx.Group(id)
		if err != nil {
			return nil, err
		}
		roles = append(roles, group.Roles...)
	}
	return roles, nil
}

// grantsOf returns all that h grants: directly, by its roles, and by the roles of its groups.
func grantsOf(tx Tx, h held) ([]string, error) {
	roles, err := allRoles(tx, h)
	if err != nil {
		return nil, err
	}
	grants := slices.Clone(h.permissions)
	for _, id := range roles {
		role, err := loadRole(tx, id)
		if err != nil {
			return nil, err
		}
		grants = append(grants, role.Permissions...)
	}
	return grants, nil
}

// authorizeOver says who has power over a user: nobody who does not hold those of the user's grants that matter.
func authorizeOver(tx Tx, p Principal, u *User, matters func(grant string) bool) error {
	if p.Administrator {
		return nil
	}
	grants, err := grantsOf(tx, heldByUser(u))
	if err != nil {
		return err
	}
	for _, grant := range grants {
		if matters(grant) && !p.covers(grant) {
			return Errorf(CodeForbidden, "The user holds more than you do: %s", grant)
		}
	}
	return nil
}

// authorizeSecret says who may learn a token's secret by creating or rotating it: its person, and otherwise only who
// holds all that the secret will open (C-09).
func authorizeSecret(tx Tx, p Principal, t *Token) error {
	if p.Administrator || t.Owner.Type == OwnerUser && p.owns(t.Owner) && !t.Unbound {
		return nil // bound by the owner's rights, which are p's
	}
	h := heldByToken(t)
	if t.Kind == KindPersonal {
		owner, err := tx.User(UserID(t.Owner.ID))
		if err != nil {
			return err
		}
		if h = heldByUser(owner); t.Permissions != nil {
			h = held{permissions: t.Permissions}
		}
	}
	grants, err := grantsOf(tx, h)
	if err != nil {
		return err
	}
	for _, grant := range grants {
		if !p.covers(grant) && !(t.Kind == KindPersonal && reservedPermission(grant)) {
			return beyond("owner", "the token would hold "+grant)
		}
	}
	return nil
}

// authorizeWithin keeps what a service token creates or changes inside its own restrictions (C-09, bar 104).
func authorizeWithin(tx Tx, p Principal, t *Token) error {
	if p.Type != PrincipalToken {
		return nil
	}
	parent, err := tx.Token(TokenID(p.ID))
	if err != nil {
		return actingTokenGone(err)
	}
	refuse := func(field string) error {
		return &Error{Code: CodeForbidden, Field: field, Message: "A token cannot give another one more than it has itself: " + field}
	}
	switch {
	case len(parent.AllowedEndpoints) > 0 && (len(t.AllowedEndpoints) == 0 || len(missing(t.AllowedEndpoints, parent.AllowedEndpoints)) > 0):
		return refuse("allowed_endpoints")
	case len(parent.AllowedNetworks) > 0 && !networksWithin(t, parent):
		return refuse("allowed_networks")
	case !parent.ExpiresAt.IsZero() && (t.ExpiresAt.IsZero() || t.ExpiresAt.After(parent.ExpiresAt)):
		return refuse("expires_at")
	case t.RateLimit > parent.RateLimit:
		return refuse("rate_limit")
	}
	return nil
}

// actingTokenGone makes of a failure to read the token that acts what its holder is told.
func actingTokenGone(err error) error {
	if ErrorCode(err) == CodeNotFound {
		return &Error{Code: CodeForbidden, Message: "The API token that acts is no longer there", Err: err}
	}
	return err
}

func networksWithin(t, parent *Token) bool {
	for _, network := range t.AllowedNetworks {
		inside := false
		for _, wide := range parent.AllowedNetworks {
			inside = inside || wide.Bits() <= network.Bits() && wide.Contains(network.Addr())
		}
		if !inside {
			return false
		}
	}
	return len(t.AllowedNetworks) > 0
}
