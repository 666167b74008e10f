package sqlite

import (
	"testing"

	"github.com/latchward/latchward"
)

// bar 134: one of the signing keys of a backup may have been revoked since, so none of them comes back; nor does what is
// known of derived tokens.
func TestRestoreDropsSigningKeys(t *testing.T) {
	path := newPath(t)
	s := open(t, path, Options{})
	commit(t, s, func(tx latchward.Tx) error {
		err := tx.SaveSigningKey(&latchward.SigningKey{ID: "a", Sealed: "sealed", CreatedAt: restoredAt, ActiveFrom: restoredAt})
		if err != nil {
			return err
		}
		return tx.SaveDerivedToken(&latchward.DerivedRecord{
			ID: "d", Status: latchward.StatusEntry{List: 1}, Token: 1, KeyID: credential(1).KeyID, EndsAt: restoredAt,
		})
	})
	backup := newPath(t)
	if _, err := Backup(t.Context(), path, backup, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := Restore(t.Context(), path, backup, restoredAt)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Finish(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path, Options{})
	keys, err1 := s.SigningKeys(t.Context())
	tokens, err2 := s.DerivedTokens(t.Context(), 1)
	if err1 != nil || err2 != nil || len(keys) != 0 || len(tokens) != 0 {
		t.Errorf("%d keys and %d tokens, %v, %v", len(keys), len(tokens), err1, err2)
	}
}
