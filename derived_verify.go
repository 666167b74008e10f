package latchward

import (
	"context"
	"crypto/ed25519"
	"slices"
	"strings"
	"sync"
	"time"
)

// isDerived reports whether a secret calls itself a derived token: then it is one of ours or nothing.
func (s *Service) isDerived(secret Secret) bool {
	text := secret.Expose()
	return s.options.JWT != nil && !strings.HasPrefix(text, s.prefix) && strings.Count(text, ".") == 2 &&
		s.options.JWT.IsDerived(secret)
}

// verifyDerived judges a derived token: what it says, and all that is judged of the secret it was derived with. Only
// what one of our keys has signed leads to a look-up.
func (s *Service) verifyDerived(ctx context.Context, r *VerifyRequest, v *Verdict) error {
	c, err := s.readDerived(ctx, r.Secret, v.At)
	if err != nil {
		return malformedIsVerdict(err, v)
	}
	v.Reason = c.judge(r.Audience, v.At)
	if v.Reason == ReasonAllowed && s.derived.revoked(c.ID) {
		v.Reason = ReasonRevoked
	}
	if v.Reason != ReasonAllowed {
		return nil
	}
	f, owner, err := s.parentOf(ctx, c.KeyID, v.At)
	if err != nil {
		return notFoundIsVerdict(err, v)
	}
	v.Reason = decideProven(f, owner, r, v.At.UnixNano())
	v.Token, v.Subject, v.Derived = f.token(owner), f.subject(owner), c.ID
	if v.Reason != ReasonAllowed {
		return nil
	}
	parent, err := s.cache.directory.rightsOfToken(ctx, f, owner)
	if err != nil {
		return err
	}
	v.Rights = c.Rights(parent, v.At)
	v.Token.Permissions, v.Token.MethodMatters = c.Permissions, v.Token.MethodMatters || methodsMatter(c.Endpoints)
	if v.Reason = c.permit(f, v.Rights, r, v.At); v.Reason == ReasonAllowed {
		return s.take(ctx, f, r, v)
	}
	return nil
}

// readDerived returns the claims of a JWT that one of our keys has signed. The error is of code unauthenticated for any
// other.
func (s *Service) readDerived(ctx context.Context, jwt Secret, now time.Time) (*DerivedClaims, error) {
	held, err := s.signingKeys(ctx)
	if err != nil {
		return nil, err
	}
	return s.options.JWT.ReadDerived(jwt, func(id string) ed25519.PublicKey { return held.find(id, now) })
}

func malformedIsVerdict(err error, v *Verdict) error {
	if ErrorCode(err) == CodeUnauthenticated {
		v.Reason = ReasonMalformed
		return nil
	}
	return err
}

// parentOf returns the facts about the secret that a token was derived with. The error is of code not_found when it is
// no longer on record, or was made under a server key that was dropped.
func (s *Service) parentOf(ctx context.Context, id KeyID, now time.Time) (*facts, *ownerRecord, error) {
	if s.keys.Load().key(id.Version()) == nil {
		return nil, nil, errNoSuchKeyID
	}
	f, err := s.cache.get(ctx, id, now)
	if err != nil {
		return nil, nil, err
	}
	owner, err := s.cache.ownerOf(ctx, f)
	return f, owner, err
}

// judge judges what c says about itself; "" as the audience is Latchward.
func (c *DerivedClaims) judge(audience string, now time.Time) Reason {
	switch {
	case !now.Before(c.ExpiresAt):
		return ReasonExpired
	case !slices.Contains(c.Audience, orDefault(audience, c.Issuer)):
		return ReasonMalformed
	}
	return ReasonAllowed
}

// permit is permitRequest with the endpoints of c beside those of the API token, in the same order.
func (c *DerivedClaims) permit(f *facts, rights *Rights, r *VerifyRequest, now time.Time) Reason {
	reason := permitRequest(f, rights, r, now)
	if (reason == ReasonAllowed || reason == ReasonInsufficientPermissions) && !c.AllowsEndpoint(r.Method, r.Path) {
		return ReasonEndpointNotAllowed
	}
	return reason
}

// AllowsEndpoint reports whether c lets its holder make a request: method and path are as [Patterns.Match] wants them.
func (c *DerivedClaims) AllowsEndpoint(method, path string) bool {
	if len(c.Endpoints) == 0 {
		return true
	}
	patterns, err := ParsePatterns("endpoints", c.Endpoints)
	return err == nil && len(patterns) > 0 && patterns.Match(method, path) // what cannot be read denies
}

func methodsMatter(endpoints []string) bool {
	return slices.ContainsFunc(endpoints, func(pattern string) bool { return strings.Contains(pattern, " ") })
}

// Rights returns what the holder of c may do: what c says, and of that what bound holds, if there is one. It never
// includes permissions over Latchward itself.
func (c *DerivedClaims) Rights(bound *Rights, now time.Time) *Rights {
	facts := RightsFacts{Permissions: c.Permissions, Bound: bound, Roles: c.Roles, Groups: c.Groups}
	if bound == nil {
		for _, name := range c.Licenses {
			facts.Licenses = append(facts.Licenses, HeldLicense{Name: name, Until: c.ExpiresAt})
		}
		return NewRights(facts)
	}
	held := func(has func(string) bool) func(string) bool { return func(name string) bool { return !has(name) } }
	facts.Roles = slices.DeleteFunc(slices.Clone(c.Roles), held(bound.HasRole))
	facts.Groups = slices.DeleteFunc(slices.Clone(c.Groups), held(bound.HasGroup))
	for _, l := range bound.licenses {
		if slices.Contains(c.Licenses, l.Name) {
			facts.Licenses = append(facts.Licenses, l)
		}
	}
	return NewRights(facts)
}

// derivedState remembers which derived tokens are revoked, and what the status lists show.
type derivedState struct {
	mu      sync.Mutex           // guards the next two
	ended   map[string]time.Time // ids of revoked ones, with when they can be forgotten
	changes uint64               // of ended
	open    openList
	serving sync.Mutex // guards served
	served  map[int64]*servedList
}

func (d *derivedState) generation() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.changes
}

func (d *derivedState) revoked(id string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, revoked := d.ended[id]
	return revoked
}

// apply notes which derived tokens a commit may have revoked. Nothing else is ever done to one.
func (d *derivedState) apply(commit Commit, now time.Time) {
	for _, change := range commit.Changes {
		if change.Kind == ChangeDerived {
			d.revoke(change.Keys, now.Add(signingBehind))
		}
	}
}

func (d *derivedState) revoke(ids []string, until time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ended == nil {
		d.ended = map[string]time.Time{}
	}
	for _, id := range ids {
		d.ended[id] = until
	}
	d.changes++
}

// loadDerived remembers what was revoked before the start.
func (s *Service) loadDerived(ctx context.Context) error {
	now := s.now()
	revoked, err := s.store.RevokedDerivedTokens(ctx, now)
	if err != nil {
		return err
	}
	for _, d := range revoked {
		s.derived.revoke([]string{d.ID}, d.EndsAt)
	}
	return nil
}

// tendDerived forgets derived tokens that have ended.
func (s *Service) tendDerived(ctx context.Context) error {
	now := s.now()
	s.derived.mu.Lock()
	for id, until := range s.derived.ended {
		if !now.Before(until) {
			delete(s.derived.ended, id)
		}
	}
	s.derived.mu.Unlock()
	for {
		n, err := s.store.PruneDerivedTokens(ctx, now.Add(-time.Minute), MaxPage)
		if err != nil || n < MaxPage {
			return err
		}
	}
}

// revokeDerived ends a derived token alone: it is refused from the next request on, and the status list says so.
func (s *Service) revokeDerived(ctx context.Context, c *DerivedClaims, from Origin, now time.Time) error {
	p := Principal{Type: PrincipalToken, ID: int64(c.Token), Origin: from}
	record := c.record()
	record.RevokedAt = now
	return s.tx(ctx, func(tx Tx) error {
		t, err := tx.Token(c.Token)
		if err != nil {
			return err
		}
		if p.Name = t.Name; s.derived.revoked(c.ID) {
			return nil
		}
		if err := tx.SaveDerivedToken(record); err != nil {
			return err
		}
		after := map[string]any{"derived": c.ID, "ends_at": auditTime(c.ExpiresAt)}
		return s.auditChange(tx, p, ActionDerivedRevoke, target{"token", int64(t.ID), t.Name}, nil, after, now)
	})
}

// record is what is kept of c.
func (c *DerivedClaims) record() *DerivedRecord {
	return &DerivedRecord{ID: c.ID, Status: c.Status, Token: c.Token, KeyID: c.KeyID, EndsAt: c.ExpiresAt}
}
