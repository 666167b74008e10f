package memory

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/latchward/latchward"
)

// Account implements [latchward.Store].
func (s *Store) Account(_ context.Context, id latchward.UserID) (*latchward.Account, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return copyAccount(s.accounts[id])
}

func copyAccount(a *latchward.Account) (*latchward.Account, error) {
	if a == nil {
		return nil, notFound("account")
	}
	return a.Clone(), nil
}

// Accounts implements [latchward.Store].
func (s *Store) Accounts(_ context.Context, after latchward.UserID, limit int) ([]*latchward.Account, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var found []*latchward.Account
	for _, id := range slices.Sorted(maps.Keys(s.accounts)) {
		if id > after && len(found) < limit {
			found = append(found, s.accounts[id].Clone())
		}
	}
	return found, nil
}

// AccountByIdentity implements [latchward.Store].
func (s *Store) AccountByIdentity(_ context.Context, id latchward.LinkedIdentity) (*latchward.Account, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return copyAccount(s.accountWith(id))
}

// accountWith returns the account that has an identity, or nil.
func (s *Store) accountWith(id latchward.LinkedIdentity) *latchward.Account {
	for _, a := range s.accounts {
		if slices.Contains(a.Identities, id) {
			return a
		}
	}
	return nil
}

// Session implements [latchward.Store].
func (s *Store) Session(_ context.Context, id latchward.SessionID) (*latchward.Session, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.session(id)
}

func (s *Store) session(id latchward.SessionID) (*latchward.Session, error) {
	session := s.sessions[id]
	if session == nil {
		return nil, notFound("session")
	}
	c := *session
	return &c, nil
}

// Sessions implements [latchward.Store].
func (s *Store) Sessions(_ context.Context, user latchward.UserID) ([]*latchward.Session, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var found []*latchward.Session
	for _, session := range s.sessions {
		if session.UserID == user {
			c := *session
			found = append(found, &c)
		}
	}
	slices.SortFunc(found, func(a, b *latchward.Session) int {
		if !a.CreatedAt.Equal(b.CreatedAt) {
			return b.CreatedAt.Compare(a.CreatedAt)
		}
		return bytes.Compare(a.ID[:], b.ID[:])
	})
	return found, nil
}

// PruneSessions implements [latchward.Store].
func (s *Store) PruneSessions(_ context.Context, seenBefore time.Time, limit int) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for id, session := range s.sessions {
		if n < limit && session.SeenAt.Before(seenBefore) {
			delete(s.sessions, id)
			n++
		}
	}
	return n, nil
}

// Account implements [latchward.Tx].
func (tx *transaction) Account(id latchward.UserID) (*latchward.Account, error) {
	return copyAccount(tx.store.accounts[id])
}

// SaveAccount implements [latchward.Tx].
func (tx *transaction) SaveAccount(a *latchward.Account) error {
	s := tx.store
	if s.users[a.UserID] == nil {
		return notFound("user")
	}
	for _, id := range a.Identities {
		if other := s.accountWith(id); other != nil && other.UserID != a.UserID {
			return latchward.Errorf(latchward.CodeConflict, "another account has this identity")
		}
	}
	put(tx, s.accounts, a.UserID, a.Clone())
	return nil
}

// Session implements [latchward.Tx].
func (tx *transaction) Session(id latchward.SessionID) (*latchward.Session, error) {
	return tx.store.session(id)
}

// SaveSession implements [latchward.Tx].
func (tx *transaction) SaveSession(session *latchward.Session) error {
	if tx.store.users[session.UserID] == nil {
		return notFound("user")
	}
	c := *session
	put(tx, tx.store.sessions, c.ID, &c)
	return nil
}

// DeleteSession implements [latchward.Tx].
func (tx *transaction) DeleteSession(id latchward.SessionID) error {
	if tx.store.sessions[id] == nil {
		return notFound("session")
	}
	drop(tx, tx.store.sessions, id)
	return nil
}

// DeleteSessions implements [latchward.Tx].
func (tx *transaction) DeleteSessions(user latchward.UserID, except latchward.SessionID) (int, error) {
	n := 0
	for id, session := range tx.store.sessions {
		if session.UserID == user && id != except {
			drop(tx, tx.store.sessions, id)
			n++
		}
	}
	return n, nil
}
