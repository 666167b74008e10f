package memory

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/latchward/latchward"
)

// foreign is what the store keeps about secrets that were made elsewhere.
type foreign struct {
	forms   map[string]struct{}
	secrets map[latchward.KeyID]latchward.ForeignSecret
}

func newForeign() foreign {
	return foreign{forms: map[string]struct{}{}, secrets: map[latchward.KeyID]latchward.ForeignSecret{}}
}

// ForeignForms implements [latchward.ForeignStore].
func (s *Store) ForeignForms(context.Context) ([]string, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Sorted(maps.Keys(s.foreign.forms)), nil
}

// ForeignSecrets implements [latchward.ForeignStore].
func (s *Store) ForeignSecrets(
	_ context.Context, lookupPrefixes []string, limit int,
) ([]latchward.ForeignSecret, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var found []latchward.ForeignSecret
	for _, secret := range s.foreign.secrets {
		if secret.Became.IsZero() && slices.Contains(lookupPrefixes, secret.LookupPrefix) {
			found = append(found, secret)
		}
	}
	slices.SortFunc(found, func(a, b latchward.ForeignSecret) int {
		return strings.Compare(a.KeyID.String(), b.KeyID.String())
	})
	return found[:min(limit, len(found))], nil
}

// TokenOfSecret implements [latchward.ForeignTx].
func (tx *transaction) TokenOfSecret(ids []latchward.KeyID) (latchward.TokenID, error) {
	for _, id := range ids {
		if token, ok := tx.store.secrets[id]; ok {
			return token, nil
		}
		if secret, ok := tx.store.foreign.secrets[id]; ok {
			return secret.TokenID, nil
		}
	}
	return 0, notFound("secret")
}

// CountForeignSecrets implements [latchward.ForeignTx].
func (tx *transaction) CountForeignSecrets(lookupPrefix string) (int, error) {
	n := 0
	for _, secret := range tx.store.foreign.secrets {
		if secret.Became.IsZero() && secret.LookupPrefix == lookupPrefix {
			n++
		}
	}
	return n, nil
}

// SaveForeignForm implements [latchward.ForeignTx].
func (tx *transaction) SaveForeignForm(form string) error {
	if _, known := tx.store.foreign.forms[form]; !known {
		put(tx, tx.store.foreign.forms, form, struct{}{})
		tx.changed(latchward.ChangeForeign)
	}
	return nil
}

// SaveForeignSecret implements [latchward.ForeignTx].
func (tx *transaction) SaveForeignSecret(secret latchward.ForeignSecret) error {
	if tx.store.tokens[secret.TokenID] == nil {
		return notFound("token")
	}
	put(tx, tx.store.foreign.secrets, secret.KeyID, secret)
	tx.changed(latchward.ChangeForeign)
	return nil
}

// dropForeign forgets the foreign secrets of a token.
func (tx *transaction) dropForeign(id latchward.TokenID) {
	for key, secret := range tx.store.foreign.secrets {
		if secret.TokenID == id {
			drop(tx, tx.store.foreign.secrets, key)
		}
	}
}
