package latchward

import (
	"context"
	"slices"
	"strings"
	"time"
)

// CreateToken issues a token. Who may: everybody for themselves and for their groups, for others who holds
// tokens.create, and nobody more than they hold (C-09). Errors: invalid, naming the field; forbidden; conflict, when no
// seat of a license is left; exhausted, when the actor creates too many.
func (s *Service) CreateToken(ctx context.Context, n NewToken) (issued IssuedToken, err error) {
	defer s.noteDenial(ctx, PermissionTokensCreate, 0, n.Name, &err)
	p, err := tokenActor(ctx, PermissionTokensCreate)
	if err != nil {
		return IssuedToken{}, err
	}
	issued, err = s.createToken(ctx, p, n)
	switch code := ErrorCode(err); {
	case err == nil:
		s.counters.created.Add(1)
	case code == CodeInternal || code == CodeUnavailable:
		s.counters.createFailed.Add(1)
	}
	return issued, err
}

func (s *Service) createToken(ctx context.Context, p Principal, n NewToken) (IssuedToken, error) {
	now := s.timestamp()
	t, err := s.newToken(ctx, p, n, now)
	if err != nil {
		return IssuedToken{}, err
	}
	if err := validateRequestKey(n.RequestKey); err != nil {
		return IssuedToken{}, err
	}
	if err := s.throttleCreation(ctx, p); err != nil {
		return IssuedToken{}, err
	}
	secret, err := s.newSecret(t)
	if err != nil {
		return IssuedToken{}, err
	}
	var notes []string
	err = s.tx(ctx, func(tx Tx) error {
		fresh := *t // f may run twice: what the first run set must not be there in the second
		repeated, err := s.issueAgain(tx, p, &fresh, now)
		if err != nil {
			return err
		}
		if !repeated {
			notes, err = s.issue(tx, p, &fresh, &n)
		}
		if err != nil {
			return err
		}
		*t = fresh
		if repeated {
			notes = nil
			return nil
		}
		return s.audit(tx, p, ActionTokenCreate, t, nil, now)
	})
	if err != nil {
		return IssuedToken{}, err
	}
	return IssuedToken{Token: t, Secret: secret, Warnings: append(notes, warnings(t, now)...)}, nil
}

// issueAgain gives the token that p created earlier with the same request key the new secret of fresh, and makes fresh
// that token; false when there is none.
func (s *Service) issueAgain(tx Tx, p Principal, fresh *Token, now time.Time) (bool, error) {
	if fresh.IssueKey == "" {
		return false, nil
	}
	t, err := tx.TokenByIssueKey(fresh.IssueKey)
	if ErrorCode(err) == CodeNotFound {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if t.Revoked() {
		return false, &Error{Code: CodeConflict, Message: "The token that this request made before is revoked; use another Idempotency-Key"}
	}
	if err := authorizeSecret(tx, p, t); err != nil {
		return false, err
	}
	if err := authorizeWithin(tx, p, t); err != nil { // others may have widened it since
		return false, err
	}
	if err := tx.RetireSecret(t.ID, RetiringSecret{Credential: t.Secret, EndsAt: now}); err != nil {
		return false, err
	}
	t.Secret, t.Prefix = fresh.Secret, fresh.Prefix
	*fresh = *t
	return true, tx.SaveToken(t)
}

// issue checks a new token against everything else that there is, policies included, and saves it. It returns what
// there is to say about it.
func (s *Service) issue(tx Tx, p Principal, t *Token, n *NewToken) ([]string, error) {
	owner, err := ownerName(tx, t.Owner)
	if err != nil {
		return nil, err
	}
	if err := (names{&n.Roles, &n.Groups, &n.Licenses}).give(tx, t); err != nil {
		return nil, err
	}
	notes, err := enact(tx, t, n, s.idleDays)
	if err != nil {
		return nil, err
	}
	if err := grant(tx, p, t, held{}); err != nil {
		return nil, err
	}
	if err := authorizeSecret(tx, p, t); err != nil {
		return nil, err
	}
	if err := tx.SaveToken(t); err != nil {
		return nil, err
	}
	t.Owner.Name = owner
	return notes, nil
}

// ownerName returns the name of an owner who is there, for people to read.
func ownerName(tx Tx, owner Owner) (string, error) {
	var name string
	var removed bool
	var err error
	if owner.Type == OwnerGroup {
		var group *Group
		if group, err = tx.Group(GroupID(owner.ID)); err == nil {
			name, removed = group.DisplayName(), group.Removed()
		}
	} else {
		var user *User
		if user, err = tx.User(UserID(owner.ID)); err == nil {
			name, removed = user.DisplayName(), user.Removed()
		}
	}
	if ErrorCode(err) == CodeNotFound || err == nil && removed {
		return "", Invalid("owner", "there is no such %s", owner.Type)
	}
	return name, err
}

// grant says whether p may hand on whatever t has not had before.
func grant(tx Tx, p Principal, t *Token, before held) error {
	if err := t.Validate(); err != nil {
		return err
	}
	added := heldByToken(t).without(before)
	if err := takeSeats(tx, added.licenses); err != nil {
		return err
	}
	if err := authorizeWithin(tx, p, t); err != nil {
		return err
	}
	if t.Kind == KindPersonal {
		if (t.Permissions == nil) == (before.permissions == nil) && slices.Equal(t.Permissions, before.permissions) {
			return nil
		}
		return authorizeSecret(tx, p, t) // p may have issued it, narrowed, for somebody who holds more
	}
	if err := authorizeGiving(tx, p, added); err != nil {
		return err
	}
	if err := authorizeReserved(tx, p, added); err != nil {
		return err
	}
	if t.ID != 0 && added.empty() && before.without(heldByToken(t)).empty() {
		return nil
	}
	return bind(tx, p, t)
}

func (s *Service) newToken(ctx context.Context, p Principal, n NewToken, now time.Time) (*Token, error) {
	t := &Token{
		Name: strings.TrimSpace(n.Name), Description: n.Description, Kind: orDefault(n.Kind, KindPersonal), Active: true,
		RateLimit: orDefault(n.RateLimit, DefaultRateLimit), AllowedEndpoints: n.AllowedEndpoints,
		AllowedNetworks: n.AllowedNetworks, Permissions: n.Permissions,
		ExpiresAt: toMillisecond(n.ExpiresAt), NotBefore: toMillisecond(n.NotBefore), IdleTimeoutDays: s.idleDays,
		Tags: n.Tags, Metadata: n.Metadata, Reuse: n.Reuse, IssueKey: issueKey(p, n.RequestKey), CreatedBy: p.String(),
		CreatedAt: now, UpdatedAt: now,
	}
	if t.Name == "" {
		t.Name = generatedName(now)
	}
	if n.IdleTimeoutDays != nil {
		t.IdleTimeoutDays = *n.IdleTimeoutDays
	}
	if t.Kind == KindService && t.Permissions == nil {
		t.Permissions = []string{}
	}
	owner, err := s.ownerFor(ctx, p, n.Owner)
	if err != nil {
		return nil, err
	}
	t.Owner = owner
	if err := t.Validate(); err != nil {
		return nil, err
	}
	if !p.owns(owner) && !p.May(PermissionTokensCreate) {
		return nil, forOthers()
	}
	return t, nil
}

func forOthers() error {
	return &Error{
		Code: CodeForbidden, Field: "owner", Message: "Creating tokens for somebody else needs the permission " + PermissionTokensCreate,
	}
}

func toMillisecond(at time.Time) time.Time {
	if at.IsZero() {
		return at
	}
	return at.UTC().Truncate(time.Millisecond)
}

func generatedName(now time.Time) string { return now.Format("Token 2006-01-02 15:04") }

// ownerFor returns the owner a new token gets. The local administrator is nobody, so somebody must be named.
func (s *Service) ownerFor(ctx context.Context, p Principal, wanted *Owner) (Owner, error) {
	switch {
	case wanted != nil:
		return Owner{Type: wanted.Type, ID: wanted.ID}, nil
	case p.Type == PrincipalUser:
		return Owner{Type: OwnerUser, ID: p.ID}, nil
	case p.Type == PrincipalToken:
		acting, err := s.store.Token(ctx, TokenID(p.ID))
		if err != nil {
			return Owner{}, actingTokenGone(err)
		}
		return acting.Owner, nil
	}
	users, err := s.store.Users(ctx, UserFilter{Role: RoleAdministrator, Limit: MaxPage})
	if err != nil {
		return Owner{}, err
	}
	for _, u := range users {
		if u.Active {
			return Owner{Type: OwnerUser, ID: int64(u.ID)}, nil
		}
	}
	return Owner{}, Invalid("owner", "name the user who will own the token; there is no administrator to own it")
}

func (s *Service) throttleCreation(ctx context.Context, p Principal) error {
	if p.Type != PrincipalUser {
		return nil
	}
	budget := []Budget{{Key: BudgetKey{Kind: BudgetOwner, ID: p.ID}, Limits: []Limit{s.creation}}}
	state, _, err := s.creations.Take(ctx, s.instant(s.now()), 1, budget)
	if err != nil {
		return err
	}
	if !state.Admitted {
		return Errorf(CodeExhausted, "At most %d tokens a minute may be created", s.creation.N)
	}
	return nil
}

// newSecret gives t a new current secret and returns its text.
func (s *Service) newSecret(t *Token) (Secret, error) {
	secret, credential, err := NewSecret(s.random, s.prefix, s.keys.Load())
	if err != nil {
		return Secret{}, &Error{Code: CodeUnavailable, Message: "No secret could be generated.", Err: err}
	}
	t.Secret, t.Prefix = credential, TokenPrefix(s.prefix, credential.KeyID)
	return secret, nil
}

func warnings(t *Token, now time.Time) []string {
	var texts []string
	if t.Expired(now) {
		texts = append(texts, "expires_at is in the past: the token is expired already")
	}
	if t.Unbound {
		texts = append(texts, "the token holds more than its owner, and keeps it whatever becomes of the owner")
	}
	for _, grant := range t.Permissions {
		if t.Kind == KindPersonal && reservedPermission(grant) {
			texts = append(texts, "permissions: "+grant+" counts for service tokens only")
		}
	}
	return texts
}
