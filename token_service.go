package latchward

import (
	"context"
	"slices"
	"strings"
	"time"
)

// IssuedToken is a token together with its secret, which nobody will ever be told again (S2-05).
type IssuedToken struct {
	Token    *Token
	Secret   Secret
	Warnings []string // sentences about what the caller may not have meant
}

// TokenPage is one page of a list of tokens.
type TokenPage struct {
	Tokens []*Token
	Counts map[TokenID]TokenCounts
	Next   *TokenCursor // nil at the end
}

func noSuchToken(TokenID) error { return &Error{Code: CodeNotFound, Message: "Token not found"} }

// Token returns one token.
func (s *Service) Token(ctx context.Context, id TokenID) (*Token, error) {
	p, err := tokenActor(ctx, PermissionTokensRead)
	if err != nil {
		return nil, err
	}
	if err := s.FlushUsage(ctx); err != nil {
		return nil, err
	}
	t, err := s.store.Token(ctx, id)
	if ErrorCode(err) == CodeNotFound {
		return nil, noSuchToken(id)
	}
	if err != nil {
		return nil, err
	}
	return t, authorize(p, t, PermissionTokensRead)
}

// Tokens returns the tokens that the principal may see and that match, with their counters (S2-21). f.Limit is 1 to
// MaxPage; 0 means MaxPage.
func (s *Service) Tokens(ctx context.Context, f TokenFilter) (TokenPage, error) {
	p, err := tokenActor(ctx, PermissionTokensRead)
	if err != nil {
		return TokenPage{}, err
	}
	if f.Limit, err = pageLimit(f.Limit); err != nil {
		return TokenPage{}, err
	}
	if err := s.restrict(p, &f); err != nil {
		return TokenPage{}, err
	}
	if err := s.FlushUsage(ctx); err != nil {
		return TokenPage{}, err
	}
	f.Limit++ // one more tells whether there is a next page
	tokens, err := s.store.Tokens(ctx, f)
	if err != nil {
		return TokenPage{}, err
	}
	page := TokenPage{Tokens: tokens}
	if len(tokens) == f.Limit {
		page.Tokens = tokens[:f.Limit-1]
		next := CursorOf(page.Tokens[len(page.Tokens)-1], f.Sort)
		page.Next = &next
	}
	page.Counts, err = s.store.TokenCounts(ctx, idsOf(page.Tokens), f.Now)
	return page, err
}

// restrict narrows f to what p may see and sets the moment at which statuses are judged.
func (s *Service) restrict(p Principal, f *TokenFilter) error {
	f.Now, f.Sort = s.timestamp(), orDefault(f.Sort, SortCreated)
	if p.May(PermissionTokensRead) {
		return nil
	}
	own := []Owner{{Type: OwnerUser, ID: p.ID}}
	for _, id := range p.Groups {
		own = append(own, Owner{Type: OwnerGroup, ID: int64(id)})
	}
	for _, wanted := range f.Owners {
		if !slices.ContainsFunc(own, wanted.Is) {
			return &Error{Code: CodeForbidden, Field: "owner", Message: "You may list your own and your groups' tokens only"}
		}
	}
	if f.Owners == nil {
		f.Owners = own
	}
	return nil
}

func idsOf(tokens []*Token) []TokenID {
	ids := make([]TokenID, len(tokens))
	for i, t := range tokens {
		ids[i] = t.ID
	}
	return ids
}

// UpdateToken changes what u names and leaves the rest (S2-23). The change holds for the next request. What is new to
// the token, nobody may give who does not hold it.
func (s *Service) UpdateToken(ctx context.Context, id TokenID, u TokenUpdate) (issued IssuedToken, err error) {
	defer s.noteDenial(ctx, PermissionTokensUpdate, int64(id), "", &err)
	p, err := tokenActor(ctx, PermissionTokensUpdate)
	if err != nil {
		return IssuedToken{}, err
	}
	now := s.timestamp()
	t, err := s.change(ctx, p, PermissionTokensUpdate, id, now, func(tx Tx, t *Token) (string, error) {
		if err := checkRevision(u.Revisions, t.Revision()); err != nil {
			return "", err
		}
		return update(tx, p, t, &u, now)
	})
	if err != nil {
		return IssuedToken{}, err
	}
	return IssuedToken{Token: t, Warnings: warnings(t, now)}, nil
}

// update changes t as u says, if p may and the policies allow it, and returns the action.
func update(tx Tx, p Principal, t *Token, u *TokenUpdate, now time.Time) (string, error) {
	before := t.Clone()
	action := u.apply(t, now)
	if err := t.Validate(); err != nil {
		return "", err
	}
	if err := (names{u.Roles, u.Groups, u.Licenses}).give(tx, t); err != nil {
		return "", err
	}
	if err := enactUpdate(tx, before, t, u, now); err != nil {
		return "", err
	}
	return action, grant(tx, p, t, heldByToken(before))
}

// apply changes t and returns the action that names the change best.
func (u *TokenUpdate) apply(t *Token, now time.Time) string {
	set(&t.Description, u.Description)
	set(&t.AllowedEndpoints, u.AllowedEndpoints)
	set(&t.AllowedNetworks, u.AllowedNetworks)
	set(&t.Permissions, u.Permissions)
	set(&t.IdleTimeoutDays, u.IdleTimeoutDays)
	set(&t.Tags, u.Tags)
	set(&t.Metadata, u.Metadata)
	set(&t.Reuse, u.Reuse)
	if u.Name != nil {
		t.Name = orDefault(strings.TrimSpace(*u.Name), generatedName(now))
	}
	if u.RateLimit != nil {
		t.RateLimit = orDefault(*u.RateLimit, DefaultRateLimit)
	}
	if u.ExpiresAt != nil {
		t.ExpiresAt = toMillisecond(*u.ExpiresAt)
	}
	if u.NotBefore != nil {
		t.NotBefore = toMillisecond(*u.NotBefore)
	}
	return u.applyActive(t, now)
}

func (u *TokenUpdate) applyActive(t *Token, now time.Time) string {
	switch {
	case u.Active == nil:
		return ActionTokenUpdate
	case *u.Active && t.Inactive(now) != "":
		t.Active, t.InactiveReason, t.EnabledAt = true, "", now
		return ActionTokenEnable
	case !*u.Active && t.Active:
		t.Active, t.InactiveReason = false, InactiveManual
		return ActionTokenDisable
	}
	return ActionTokenUpdate
}

func set[T any](field *T, value *T) {
	if value != nil {
		*field = *value
	}
}

// RevokeToken ends the token for good; it stays listed with date and reason. Revoking it again changes nothing
// and succeeds. The next request with any of its secrets is refused.
func (s *Service) RevokeToken(ctx context.Context, id TokenID, why Revocation) (revoked *Token, err error) {
	defer s.noteDenial(ctx, PermissionTokensRevoke, int64(id), "", &err)
	if err := why.validate(); err != nil {
		return nil, err
	}
	p, err := tokenActor(ctx, PermissionTokensRevoke)
	if err != nil {
		return nil, err
	}
	now := s.timestamp()
	err = s.tx(ctx, func(tx Tx) error {
		t, err := loadFor(tx, p, PermissionTokensRevoke, id)
		if err != nil {
			return err
		}
		revoked = t
		if t.Revoked() {
			return nil
		}
		return s.revoke(tx, p, t, why, now)
	})
	if err != nil {
		return nil, err
	}
	s.counters.revoked.Add(1)
	return revoked, nil
}

func (s *Service) revoke(tx Tx, p Principal, t *Token, why Revocation, now time.Time) error {
	before := auditFacts(t)
	t.RevokedAt, t.UpdatedAt = now, now
	t.RevokeReason, t.RevokeNote = orDefault(why.Reason, RevokeUnspecified), why.Note
	if err := tx.SaveToken(t); err != nil {
		return err
	}
	return s.audit(tx, p, ActionTokenRevoke, t, before, now)
}

// DeleteToken removes the token; rollups and audit entries stay with its id and name.
func (s *Service) DeleteToken(ctx context.Context, id TokenID) (err error) {
	defer s.noteDenial(ctx, PermissionTokensDelete, int64(id), "", &err)
	p, err := tokenActor(ctx, PermissionTokensDelete)
	if err != nil {
		return err
	}
	now := s.timestamp()
	return s.tx(ctx, func(tx Tx) error {
		t, err := loadFor(tx, p, PermissionTokensDelete, id)
		if err != nil {
			return err
		}
		if err := tx.DeleteToken(id); err != nil {
			return err
		}
		return tx.AppendAudit(&AuditEntry{
			At: now, Actor: p, Action: ActionTokenDelete,
			TargetType: "token", TargetID: int64(id), TargetName: t.Name, Before: auditFacts(t),
		})
	})
}

// StreamEnded leaves an audit entry that a request still open was ended because the verdict on it has become v.
func (s *Service) StreamEnded(ctx context.Context, v Verdict) error {
	if v.Token.ID == 0 {
		return nil
	}
	system := Principal{Type: PrincipalSystem, Name: "gateway", Administrator: true}
	return s.tx(ctx, func(tx Tx) error {
		return tx.AppendAudit(&AuditEntry{
			At: s.timestamp(), Actor: system, Action: ActionStreamEnd, TargetType: "token",
			TargetID: int64(v.Token.ID), TargetName: v.Token.Name, After: map[string]any{"reason": string(v.Reason), "path": v.Path},
		})
	})
}

func loadFor(tx Tx, p Principal, permission string, id TokenID) (*Token, error) {
	t, err := tx.Token(id)
	if ErrorCode(err) == CodeNotFound {
		return nil, noSuchToken(id)
	}
	if err != nil {
		return nil, err
	}
	return t, authorize(p, t, permission)
}

// change loads a token, lets edit change it, and saves it with an audit entry; edit names the action.
func (s *Service) change(
	ctx context.Context, p Principal, permission string, id TokenID, now time.Time,
	edit func(tx Tx, t *Token) (string, error),
) (*Token, error) {
	load := func(tx Tx) (*Token, error) { return loadFor(tx, p, permission, id) }
	return s.edit(ctx, p, now, load, edit)
}

// edit is change of a token that load finds to be p's to change.
func (s *Service) edit(
	ctx context.Context, p Principal, now time.Time, load func(tx Tx) (*Token, error),
	edit func(tx Tx, t *Token) (string, error),
) (*Token, error) {
	var changed *Token
	err := s.tx(ctx, func(tx Tx) error {
		t, err := load(tx)
		if err != nil {
			return err
		}
		if t.Revoked() {
			return &Error{Code: CodeConflict, Message: "The token is revoked; a revoked token cannot be changed, only deleted"}
		}
		before := auditFacts(t)
		action, err := edit(tx, t)
		if err != nil {
			return err
		}
		t.UpdatedAt = now
		if err := tx.SaveToken(t); err != nil {
			return err
		}
		changed = t
		if action == unaudited {
			return nil
		}
		return s.audit(tx, p, action, t, before, now)
	})
	return changed, err
}

// unaudited is the action of a change that repeats one which has its entry.
const unaudited = ""
