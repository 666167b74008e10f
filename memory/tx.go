package memory

import (
	"context"
	"maps"
	"slices"

	"github.com/latchward/latchward"
)

// Tx implements [latchward.Store]. Writers and readers wait until f has returned.
func (s *Store) Tx(_ context.Context, f func(tx latchward.Tx) error) (latchward.Commit, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	tx := &transaction{store: s}
	defer tx.rollBack() // also when f panics
	err := f(tx)
	if err == nil {
		tx.commit()
	}
	return latchward.Commit{
		Position: latchward.Position{History: s.history, N: s.position},
		Changes:  tx.changes,
	}, err
}

// transaction writes at once and remembers how to take every write back.
type transaction struct {
	store   *Store
	undo    []func()
	changes []latchward.Change
}

func (tx *transaction) commit() {
	tx.undo = nil
	if len(tx.changes) > 0 {
		tx.store.position++
	}
}

func (tx *transaction) rollBack() {
	for _, back := range slices.Backward(tx.undo) {
		back()
	}
	tx.undo = nil
}

// put writes to one of the store's maps.
func put[K comparable, V any](tx *transaction, m map[K]V, key K, value V) {
	drop(tx, m, key)
	m[key] = value
}

// drop deletes from one of the store's maps.
func drop[K comparable, V any](tx *transaction, m map[K]V, key K) {
	old, had := m[key]
	tx.undo = append(tx.undo, func() {
		delete(m, key)
		if had {
			m[key] = old
		}
	})
	delete(m, key)
}

func (tx *transaction) changed(kind latchward.ChangeKind, keys ...string) {
	tx.changes = append(tx.changes, latchward.Change{Kind: kind, Keys: keys})
}

// changedToken notes that what is known about every key id of the records is no longer what it was.
func (tx *transaction) changedToken(records ...*record) {
	keys := map[string]struct{}{}
	for _, r := range records {
		if r != nil {
			for _, id := range r.keyIDs() {
				keys[id.String()] = struct{}{}
			}
		}
	}
	tx.changed(latchward.ChangeToken, slices.Sorted(maps.Keys(keys))...)
}

// Token implements [latchward.Tx].
func (tx *transaction) Token(id latchward.TokenID) (*latchward.Token, error) {
	return tx.store.token(id)
}

// SaveToken implements [latchward.Tx].
func (tx *transaction) SaveToken(t *latchward.Token) error {
	s := tx.store
	before := s.tokens[t.ID]
	if t.ID != 0 && before == nil {
		return notFound("token")
	}
	if s.taken(before, t.Secret.KeyID) {
		return latchward.Errorf(latchward.CodeConflict, "another secret has this key id; make a new one")
	}
	if _, known := s.ownerFacts(t.Owner); !known {
		return latchward.Invalid("owner", "there is no such owner")
	}
	if err := s.rights.checkHeld(t.Roles, t.Groups, t.Licenses); err != nil {
		return err
	}
	kept, err := keepToken(t)
	if err != nil {
		return err
	}
	after := &record{token: kept}
	if before == nil {
		s.lastToken++
		t.ID, kept.ID = s.lastToken, s.lastToken
	} else {
		after.retired = before.retired
		kept.LastUsedAt = before.token.LastUsedAt
	}
	tx.replace(before, after)
	tx.changedToken(before, after)
	return nil
}

// taken reports whether a key id belongs to any other secret than the current one of r.
func (s *Store) taken(r *record, id latchward.KeyID) bool {
	_, known := s.secrets[id]
	return known && (r == nil || r.token.Secret.KeyID != id)
}

// replace puts after where before was, with the key ids that lead to it. before may be nil.
func (tx *transaction) replace(before, after *record) {
	s, id := tx.store, after.token.ID
	if before != nil {
		for _, key := range before.keyIDs() {
			drop(tx, s.secrets, key)
		}
	}
	for _, key := range after.keyIDs() {
		put(tx, s.secrets, key, id)
	}
	put(tx, s.tokens, id, after)
}

// TokenByIssueKey implements [latchward.Tx].
func (tx *transaction) TokenByIssueKey(key string) (*latchward.Token, error) {
	for _, r := range tx.store.tokens {
		if key != "" && r.token.IssueKey == key {
			return tx.store.copyToken(r.token), nil
		}
	}
	return nil, notFound("token")
}

// RetireSecret implements [latchward.Tx].
func (tx *transaction) RetireSecret(id latchward.TokenID, secret latchward.RetiringSecret) error {
	s := tx.store
	before := s.tokens[id]
	if before == nil {
		return notFound("token")
	}
	if holder, known := s.secrets[secret.KeyID]; known && holder != id {
		return latchward.Errorf(latchward.CodeConflict, "a secret of another token has this key id")
	}
	retired := slices.Clone(before.retired)
	if i := before.indexOf(secret.KeyID); i >= 0 {
		retired[i] = secret
	} else {
		retired = append(retired, secret)
	}
	tx.replace(before, &record{token: before.token, retired: retired})
	tx.changed(latchward.ChangeToken, secret.KeyID.String())
	return nil
}

// DeleteToken implements [latchward.Tx].
func (tx *transaction) DeleteToken(id latchward.TokenID) error {
	s := tx.store
	r := s.tokens[id]
	if r == nil {
		return notFound("token")
	}
	for _, key := range r.keyIDs() {
		drop(tx, s.secrets, key)
	}
	drop(tx, s.tokens, id)
	tx.dropForeign(id)
	put(tx, s.deleted, id, &latchward.Token{ID: id, Name: r.token.Name, Owner: r.token.Owner})
	tx.changedToken(r)
	return nil
}

// TokensOf implements [latchward.Tx].
func (tx *transaction) TokensOf(owner latchward.Owner) ([]*latchward.Token, error) {
	var found []*latchward.Token
	for _, id := range slices.Sorted(maps.Keys(tx.store.tokens)) {
		if t := tx.store.tokens[id].token; t.Owner.Is(owner) && !t.Revoked() {
			found = append(found, tx.store.copyToken(t))
		}
	}
	return found, nil
}

// User implements [latchward.Tx].
func (tx *transaction) User(id latchward.UserID) (*latchward.User, error) { return tx.store.user(id) }

// UserByExternalID implements [latchward.Tx].
func (tx *transaction) UserByExternalID(externalID string) (*latchward.User, error) {
	return copyUser(tx.store.userWithExternalID(externalID))
}

// SaveUser implements [latchward.Tx].
func (tx *transaction) SaveUser(u *latchward.User) error {
	s := tx.store
	if u.ID != 0 && s.users[u.ID] == nil {
		return notFound("user")
	}
	if other := s.userWithExternalID(u.ExternalID); other != nil && other.ID != u.ID {
		return userConflict("external_id", "another user has this external id")
	}
	if other := s.userWithEmail(u.Email); other != nil && other.ID != u.ID && !u.Removed() {
		return userConflict("email", "another user has this e-mail")
	}
	if other := s.userNamed(u.Directory.UserName); other != nil && other.ID != u.ID && !u.Removed() {
		return userConflict("user_name", "another user has this user name")
	}
	if err := s.rights.checkHeld(u.Roles, u.Groups, u.Licenses); err != nil {
		return err
	}
	if u.ID == 0 {
		s.lastUser++
		u.ID = s.lastUser
	}
	kept, err := copyUser(u)
	put(tx, s.users, u.ID, kept)
	tx.changed(latchward.ChangeOwner, latchward.Owner{Type: latchward.OwnerUser, ID: int64(u.ID)}.String())
	return err
}

// Members implements [latchward.Tx].
func (tx *transaction) Members(group latchward.GroupID) ([]latchward.UserID, error) {
	return tx.store.members(group), nil
}

func userConflict(field, message string) error {
	return &latchward.Error{Code: latchward.CodeConflict, Field: field, Message: message}
}

// SaveKeyFingerprint implements [latchward.Tx].
func (tx *transaction) SaveKeyFingerprint(version int, fingerprint string) error {
	if fingerprint == "" {
		drop(tx, tx.store.fingerprints, version)
	} else {
		put(tx, tx.store.fingerprints, version, fingerprint)
	}
	return nil
}
