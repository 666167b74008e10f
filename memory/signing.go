package memory

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/latchward/latchward"
)

// SigningKeys implements [latchward.Store].
func (s *Store) SigningKeys(context.Context) ([]*latchward.SigningKey, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.signingKeys(), nil
}

func (s *Store) signingKeys() []*latchward.SigningKey {
	var keys []*latchward.SigningKey
	for _, k := range s.signing {
		found := *k
		keys = append(keys, &found)
	}
	latchward.SortSigningKeys(keys)
	return keys
}

// SigningKeys implements [latchward.Tx].
func (tx *transaction) SigningKeys() ([]*latchward.SigningKey, error) {
	return tx.store.signingKeys(), nil
}

// SaveSigningKey implements [latchward.Tx].
func (tx *transaction) SaveSigningKey(k *latchward.SigningKey) error {
	saved := *k
	put(tx, tx.store.signing, k.ID, &saved)
	tx.changed(latchward.ChangeSigning, k.ID)
	return nil
}

// DeleteSigningKey implements [latchward.Tx].
func (tx *transaction) DeleteSigningKey(id string) error {
	if tx.store.signing[id] == nil {
		return notFound("signing key")
	}
	drop(tx, tx.store.signing, id)
	tx.changed(latchward.ChangeSigning, id)
	return nil
}

// derived returns copies of the derived tokens that match.
func (s *Store) derivedTokens(match func(*latchward.DerivedRecord) bool) []*latchward.DerivedRecord {
	var found []*latchward.DerivedRecord
	for _, d := range s.derived {
		if match(d) {
			record := *d
			found = append(found, &record)
		}
	}
	return found
}

// DerivedTokens implements [latchward.Store].
func (s *Store) DerivedTokens(_ context.Context, list int64) ([]*latchward.DerivedRecord, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	found := s.derivedTokens(func(d *latchward.DerivedRecord) bool { return d.Status.List == list })
	slices.SortFunc(found, func(a, b *latchward.DerivedRecord) int { return cmp.Compare(a.Status.Index, b.Status.Index) })
	return found, nil
}

// RevokedDerivedTokens implements [latchward.Store].
func (s *Store) RevokedDerivedTokens(_ context.Context, after time.Time) ([]*latchward.DerivedRecord, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	found := s.derivedTokens(func(d *latchward.DerivedRecord) bool {
		return !d.RevokedAt.IsZero() && d.EndsAt.After(after)
	})
	slices.SortFunc(found, func(a, b *latchward.DerivedRecord) int { return strings.Compare(a.ID, b.ID) })
	return found, nil
}

// PruneDerivedTokens implements [latchward.Store].
func (s *Store) PruneDerivedTokens(_ context.Context, endedBy time.Time, limit int) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for id, d := range s.derived {
		if n < limit && !d.EndsAt.After(endedBy) {
			delete(s.derived, id)
			n++
		}
	}
	return n, nil
}

// SaveDerivedToken implements [latchward.Tx].
func (tx *transaction) SaveDerivedToken(d *latchward.DerivedRecord) error {
	for id, other := range tx.store.derived {
		if id != d.ID && other.Status == d.Status {
			return latchward.Errorf(latchward.CodeConflict, "Another derived token has this place in the status list.")
		}
	}
	saved := *d
	put(tx, tx.store.derived, d.ID, &saved)
	if !d.RevokedAt.IsZero() {
		tx.changed(latchward.ChangeDerived, d.ID)
	}
	return nil
}
