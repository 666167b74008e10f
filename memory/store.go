// Package memory keeps everything in maps: for tests, for trials, and as the model that databases are compared with.
// Nothing survives the process.
//
// It is meant to be obviously right rather than fast: one mutex, full scans for lists, and a copy of every record
// that goes in or out. What verification asks for on every miss is found by key all the same.
package memory

import (
	"context"
	"crypto/rand"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/latchward/latchward"
)

// Store is a [latchward.Store] in maps. Create it with [New]. All methods are safe for concurrent use, but the
// function given to [Store.Tx] must not call the store: a transaction keeps everybody else out until it ends.
type Store struct {
	mu       sync.RWMutex
	history  string
	position uint64

	// Records are replaced, never changed in place, except for LastUsedAt, which no transaction writes.
	tokens       map[latchward.TokenID]*record
	secrets      map[latchward.KeyID]latchward.TokenID // current and retired ones
	deleted      map[latchward.TokenID]*latchward.Token
	users        map[latchward.UserID]*latchward.User
	rights       rights
	policies     policies
	audit        []*latchward.AuditEntry // oldest first
	fingerprints map[int]string
	accounts     map[latchward.UserID]*latchward.Account
	sessions     map[latchward.SessionID]*latchward.Session
	signing      map[string]*latchward.SigningKey
	derived      map[string]*latchward.DerivedRecord
	foreign      foreign

	// The last ids given out. They never go back, so that no id is used twice.
	lastToken latchward.TokenID
	lastUser  latchward.UserID

	usage usage
}

var _ latchward.Store = (*Store)(nil)

// record is a token and the secrets it had before the current one.
type record struct {
	token   *latchward.Token
	retired []latchward.RetiringSecret
}

// New returns an empty store with a history of its own.
func New() *Store {
	return &Store{
		history:      rand.Text(),
		tokens:       map[latchward.TokenID]*record{},
		secrets:      map[latchward.KeyID]latchward.TokenID{},
		deleted:      map[latchward.TokenID]*latchward.Token{},
		users:        map[latchward.UserID]*latchward.User{},
		rights:       newRights(),
		policies:     policies{byID: map[latchward.PolicyID]*latchward.LifecyclePolicy{}},
		fingerprints: map[int]string{},
		accounts:     map[latchward.UserID]*latchward.Account{},
		sessions:     map[latchward.SessionID]*latchward.Session{},
		signing:      map[string]*latchward.SigningKey{},
		derived:      map[string]*latchward.DerivedRecord{},
		foreign:      newForeign(),
		usage:        newUsage(),
	}
}

// notFound is the answer about a record that does not exist.
func notFound(what string) error {
	return latchward.Errorf(latchward.CodeNotFound, "there is no such %s", what)
}

// TokenFacts implements [latchward.Store].
func (s *Store) TokenFacts(_ context.Context, id latchward.KeyID) (latchward.TokenFacts, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	tokenID, ok := s.secrets[id]
	if !ok {
		return latchward.TokenFacts{}, notFound("key id")
	}
	r := s.tokens[tokenID]
	facts := latchward.TokenFacts{Token: s.copyToken(r.token), Digest: r.token.Secret.Digest}
	if i := r.indexOf(id); i >= 0 {
		facts.Digest, facts.EndsAt = r.retired[i].Digest, r.retired[i].EndsAt
	}
	return facts, nil
}

// indexOf returns where among r's retired secrets the one with that key id is, or -1.
func (r *record) indexOf(id latchward.KeyID) int {
	return slices.IndexFunc(r.retired, func(s latchward.RetiringSecret) bool { return s.KeyID == id })
}

// keyIDs returns the key ids that lead to r.
func (r *record) keyIDs() []latchward.KeyID {
	ids := []latchward.KeyID{r.token.Secret.KeyID}
	for _, s := range r.retired {
		ids = append(ids, s.KeyID)
	}
	return ids
}

// OwnerFacts implements [latchward.Store].
func (s *Store) OwnerFacts(_ context.Context, owner latchward.Owner) (latchward.OwnerFacts, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	facts, known := s.ownerFacts(owner)
	if !known {
		return latchward.OwnerFacts{}, notFound("owner")
	}
	return facts, nil
}

func (s *Store) ownerFacts(owner latchward.Owner) (facts latchward.OwnerFacts, known bool) {
	if u := s.users[latchward.UserID(owner.ID)]; owner.Type == latchward.OwnerUser && u != nil {
		return latchward.OwnerFacts{
			Active: u.Active && !u.Removed(), Roles: slices.Clone(u.Roles), Groups: slices.Clone(u.Groups),
			Licenses: slices.Clone(u.Licenses), ExternalID: u.ExternalID, Name: u.DisplayName(),
		}, true
	}
	if g := s.rights.groups[latchward.GroupID(owner.ID)]; owner.Type == latchward.OwnerGroup && g != nil {
		return latchward.OwnerFacts{
			Active: g.Active && !g.Removed(), Roles: slices.Clone(g.Roles), Name: g.DisplayName(),
		}, true
	}
	return latchward.OwnerFacts{}, false
}

// Token implements [latchward.Store].
func (s *Store) Token(_ context.Context, id latchward.TokenID) (*latchward.Token, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.token(id)
}

func (s *Store) token(id latchward.TokenID) (*latchward.Token, error) {
	r := s.tokens[id]
	if r == nil {
		return nil, notFound("token")
	}
	return s.copyToken(r.token), nil
}

// User implements [latchward.Store].
func (s *Store) User(_ context.Context, id latchward.UserID) (*latchward.User, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.user(id)
}

func (s *Store) user(id latchward.UserID) (*latchward.User, error) {
	return copyUser(s.users[id])
}

// UserByExternalID implements [latchward.Store].
func (s *Store) UserByExternalID(_ context.Context, externalID string) (*latchward.User, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return copyUser(s.userWithExternalID(externalID))
}

// userWithExternalID returns the user with an external id, or nil; nobody has "".
func (s *Store) userWithExternalID(externalID string) *latchward.User {
	return s.findUser(externalID != "", func(u *latchward.User) bool { return u.ExternalID == externalID })
}

// UserByEmail implements [latchward.Store].
func (s *Store) UserByEmail(_ context.Context, email string) (*latchward.User, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return copyUser(s.userWithEmail(email))
}

// userWithEmail returns the user who can be reached by an e-mail, or nil; nobody has "", and removed users have none.
func (s *Store) userWithEmail(email string) *latchward.User {
	email = foldASCII(email)
	return s.findUser(email != "", func(u *latchward.User) bool {
		return foldASCII(u.Email) == email && !u.Removed()
	})
}

// userNamed returns the user whom a directory calls that, or nil; nobody has "", and removed users have none.
func (s *Store) userNamed(userName string) *latchward.User {
	userName = foldASCII(userName)
	return s.findUser(userName != "", func(u *latchward.User) bool {
		return foldASCII(u.Directory.UserName) == userName && !u.Removed()
	})
}

func (s *Store) findUser(possible bool, is func(*latchward.User) bool) *latchward.User {
	if possible {
		for _, u := range s.users {
			if is(u) {
				return u
			}
		}
	}
	return nil
}

// Users implements [latchward.Store].
func (s *Store) Users(_ context.Context, f latchward.UserFilter) ([]*latchward.User, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var found []*latchward.User
	for _, id := range slices.Sorted(maps.Keys(s.users)) {
		u := s.users[id]
		if id > f.After && matchesUser(&f, u) {
			c, _ := copyUser(u)
			found = append(found, c)
		}
	}
	return first(f.Limit, found[min(f.Skip, len(found)):]), nil
}

// CountUsers implements [latchward.Store].
func (s *Store) CountUsers(ctx context.Context, f latchward.UserFilter) (int64, error) {
	f.After, f.Skip, f.Limit = 0, 0, 0
	found, err := s.Users(ctx, f)
	return int64(len(found)), err
}

// Members implements [latchward.Store].
func (s *Store) Members(_ context.Context, group latchward.GroupID) ([]latchward.UserID, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.members(group), nil
}

func (s *Store) members(group latchward.GroupID) []latchward.UserID {
	var ids []latchward.UserID
	for id, u := range s.users {
		if slices.Contains(u.Groups, group) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

func matchesUser(f *latchward.UserFilter, u *latchward.User) bool {
	return (f.IncludeRemoved || !u.Removed()) && contains(f.Query, u.Name, u.Email, u.ExternalID) &&
		(f.UserName == "" || foldASCII(u.Directory.UserName) == foldASCII(f.UserName)) &&
		(f.DirectoryID == "" || u.Directory.ID == f.DirectoryID) &&
		has(u.Roles, f.Role) && has(u.Groups, f.Group) && has(u.Licenses, f.License)
}

// KeyFingerprints implements [latchward.Store].
func (s *Store) KeyFingerprints(context.Context) (map[int]string, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return maps.Clone(s.fingerprints), nil
}

// KeyCounts implements [latchward.Store].
func (s *Store) KeyCounts(context.Context) (map[int]int64, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	counts := map[int]int64{}
	for _, r := range s.tokens {
		if !r.token.Revoked() {
			counts[r.token.Secret.KeyID.Version()]++
		}
	}
	return counts, nil
}

// Adoption implements [latchward.Store].
func (s *Store) Adoption(context.Context) (latchward.Adoption, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	adopters := map[latchward.UserID]bool{}
	for _, r := range s.tokens {
		if r.token.Owner.Type == latchward.OwnerUser && !r.token.LastUsedAt.IsZero() {
			adopters[latchward.UserID(r.token.Owner.ID)] = true
		}
	}
	var count latchward.Adoption
	for id, u := range s.users {
		if !u.Active || u.Removed() {
			continue
		}
		count.Users++
		if adopters[id] {
			count.Adopters++
		}
	}
	return count, nil
}

// Ping implements [latchward.Store].
func (s *Store) Ping(context.Context) error { return nil }

// first returns at most limit of a list; a limit of 0 is none.
func first[T any](limit int, list []T) []T {
	if limit > 0 && len(list) > limit {
		return list[:limit]
	}
	return list
}

// contains reports whether query is part of any of the texts; ASCII letters match in either case.
func contains(query string, texts ...string) bool {
	query = foldASCII(query)
	return slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(foldASCII(text), query) })
}

// foldASCII returns text with its ASCII capitals as small letters.
func foldASCII(text string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r - 'A' + 'a'
		}
		return r
	}, text)
}
