package latchtest

import (
	"fmt"
	"time"

	"github.com/latchward/latchward"
)

const (
	signingListed   = "SigningKeys returns all signing keys, ordered by creation and id."
	savesSigning    = "SaveSigningKey inserts or replaces the key with that id."
	namesSigning    = "The commit must name it as changed."
	deletesSigning  = "DeleteSigningKey makes the key disappear."
	derivedListed   = "DerivedTokens returns the derived tokens of a status list, ordered by their place in it."
	derivedRevoked  = "RevokedDerivedTokens returns the derived tokens that are revoked and end after an instant, ordered by id."
	derivedPruned   = "PruneDerivedTokens removes derived tokens that ended by an instant, at most limit of them, and returns how many it removed."
	savesDerived    = "SaveDerivedToken inserts or replaces the derived token with that id."
	derivedConflict = "A place in a status list that another one has is an Error of code conflict."
	namesDerived    = "The commit must name one that is revoked as changed."
)

func signingPromises() []storePromise {
	return []storePromise{
		{"SigningKeys/KeepsEveryFieldInOrder", signingListed, signingKeepsFields},
		{"Tx.SigningKeys/ReturnsCopies", signingListed, signingCopies},
		{"Tx.SaveSigningKey/Replaces", savesSigning, signingReplaces},
		{"Tx.SaveSigningKey/NamesTheKey", namesSigning, signingNamed},
		{"Tx.DeleteSigningKey/Disappears", deletesSigning, signingDeleted},
		{"Tx.DeleteSigningKey/NamesTheKey", namesSigning, signingDeletionNamed},
		{"Tx.DeleteSigningKey/UnknownIsNotFound", notFound, signingOfNothing},
		{"DerivedTokens/KeepsEveryFieldInOrder", derivedListed, derivedKeepsFields},
		{"DerivedTokens/OfOneListOnly", derivedListed, derivedOfOneList},
		{"RevokedDerivedTokens/ReturnsThoseThatHaveNotEnded", derivedRevoked, derivedRevokedLive},
		{"PruneDerivedTokens/RemovesWhatEnded", derivedPruned, derivedPrunes},
		{"PruneDerivedTokens/AtMostLimit", derivedPruned, derivedPrunesFew},
		{"Tx.SaveDerivedToken/Replaces", savesDerived, derivedReplaces},
		{"Tx.SaveDerivedToken/RefusesATakenPlace", derivedConflict, derivedTaken},
		{"Tx.SaveDerivedToken/NamesRevokedOnes", namesDerived, derivedNamed},
	}
}

// wholeSigningKey has every field of a signing key, which is the nth.
func wholeSigningKey(n int) *latchward.SigningKey {
	at := func(ms int) time.Time { return epoch().Add(time.Duration(1000*n+ms) * time.Millisecond) }
	return &latchward.SigningKey{
		ID: fmt.Sprintf("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygr-%d", n), Sealed: fmt.Sprintf("sealed %d", n),
		CreatedAt: at(0), ActiveFrom: at(1), RetiresAt: at(2), RevokedAt: at(3),
	}
}

func (t *trial) signingKey(k *latchward.SigningKey) latchward.Commit {
	t.Helper()
	return t.tx(func(tx latchward.Tx) error {
		saved := *k
		return tx.SaveSigningKey(&saved)
	})
}

func (t *trial) signingKeys() []*latchward.SigningKey {
	t.Helper()
	keys, err := t.store.SigningKeys(t.ctx)
	t.must(err)
	return keys
}

func signingKeepsFields(t *trial) {
	bare := &latchward.SigningKey{ID: "a", CreatedAt: epoch(), ActiveFrom: epoch()}
	second, first, same := wholeSigningKey(2), wholeSigningKey(1), wholeSigningKey(1)
	same.ID = "z" + same.ID
	for _, k := range []*latchward.SigningKey{second, same, bare, first} {
		t.signingKey(k)
	}
	t.same("SigningKeys", t.signingKeys(), []*latchward.SigningKey{bare, first, same, second})
}

func signingCopies(t *trial) {
	k := wholeSigningKey(1)
	t.signingKey(k)
	t.tx(func(tx latchward.Tx) error {
		for range 2 {
			keys, err := tx.SigningKeys()
			if err != nil {
				return err
			}
			t.same("SigningKeys", keys, []*latchward.SigningKey{k})
			for _, found := range keys {
				found.Sealed = "scribble"
			}
		}
		return nil
	})
	for _, found := range t.signingKeys() {
		found.ID = "scribble"
	}
	t.same("SigningKeys after copies were scribbled on", t.signingKeys(), []*latchward.SigningKey{k})
}

func signingReplaces(t *trial) {
	k := wholeSigningKey(1)
	t.signingKey(k)
	k.Sealed, k.RetiresAt, k.RevokedAt = "", time.Time{}, epoch().Add(time.Hour)
	t.signingKey(k)
	t.same("SigningKeys", t.signingKeys(), []*latchward.SigningKey{k})
}

func signingNamed(t *trial) {
	k := wholeSigningKey(1)
	t.names("SaveSigningKey", t.signingKey(k), latchward.ChangeSigning, k.ID)
}

func (t *trial) deleteSigningKey(id string) latchward.Commit {
	t.Helper()
	return t.tx(func(tx latchward.Tx) error { return tx.DeleteSigningKey(id) })
}

func signingDeleted(t *trial) {
	first, second := wholeSigningKey(1), wholeSigningKey(2)
	t.signingKey(first)
	t.signingKey(second)
	t.deleteSigningKey(first.ID)
	t.same("SigningKeys", t.signingKeys(), []*latchward.SigningKey{second})
}

func signingDeletionNamed(t *trial) {
	k := wholeSigningKey(1)
	t.signingKey(k)
	t.names("DeleteSigningKey", t.deleteSigningKey(k.ID), latchward.ChangeSigning, k.ID)
}

func signingOfNothing(t *trial) {
	_, err := t.store.Tx(t.ctx, func(tx latchward.Tx) error { return tx.DeleteSigningKey("nothing") })
	t.code("DeleteSigningKey of nothing", err, latchward.CodeNotFound)
}

// derived returns the nth derived token, with every field.
func derivedToken(n int) *latchward.DerivedRecord {
	id, err := latchward.ParseKeyID(fmt.Sprintf("1abcdefgh%02d", n))
	if err != nil {
		panic(err)
	}
	return &latchward.DerivedRecord{
		ID: fmt.Sprintf("derived-%02d_", n), Status: latchward.StatusEntry{List: 1 << 40, Index: 1000 - n},
		Token: latchward.TokenID(n), KeyID: id, EndsAt: epoch().Add(time.Duration(n) * time.Millisecond),
		RevokedAt: epoch(),
	}
}

func unrevoked(d *latchward.DerivedRecord) *latchward.DerivedRecord {
	d.RevokedAt = time.Time{}
	return d
}

func (t *trial) saveDerived(list ...*latchward.DerivedRecord) latchward.Commit {
	t.Helper()
	return t.tx(func(tx latchward.Tx) error {
		for _, d := range list {
			saved := *d
			if err := tx.SaveDerivedToken(&saved); err != nil {
				return err
			}
			saved.ID = "scribble"
		}
		return nil
	})
}

func (t *trial) derivedOf(list int64) []*latchward.DerivedRecord {
	t.Helper()
	found, err := t.store.DerivedTokens(t.ctx, list)
	t.must(err)
	return found
}

func derivedKeepsFields(t *trial) {
	first, second := derivedToken(1), unrevoked(derivedToken(2))
	t.saveDerived(first, second)
	want := []*latchward.DerivedRecord{second, first} // the later has the lower place
	t.same("DerivedTokens", t.derivedOf(1<<40), want)
	for _, d := range t.derivedOf(1 << 40) {
		d.ID = "scribble"
	}
	t.same("DerivedTokens after its answer was scribbled on", t.derivedOf(1<<40), want)
}

func derivedOfOneList(t *trial) {
	here, there := derivedToken(1), derivedToken(2)
	there.Status = latchward.StatusEntry{List: 7, Index: here.Status.Index} // the same place of another list
	t.saveDerived(here, there)
	t.same("DerivedTokens", t.derivedOf(7), []*latchward.DerivedRecord{there})
	t.same("DerivedTokens of an empty list", len(t.derivedOf(8)), 0)
}

func derivedRevokedLive(t *trial) {
	t.saveDerived(derivedToken(3), derivedToken(2), unrevoked(derivedToken(4)), derivedToken(1))
	found, err := t.store.RevokedDerivedTokens(t.ctx, derivedToken(1).EndsAt)
	t.must(err)
	t.same("RevokedDerivedTokens", found, []*latchward.DerivedRecord{derivedToken(2), derivedToken(3)})
}

func derivedPrunes(t *trial) {
	t.saveDerived(derivedToken(1), unrevoked(derivedToken(2)), derivedToken(3))
	n, err := t.store.PruneDerivedTokens(t.ctx, derivedToken(2).EndsAt, 10)
	t.must(err)
	t.same("number of removed tokens", n, 2)
	t.same("DerivedTokens", t.derivedOf(1<<40), []*latchward.DerivedRecord{derivedToken(3)})
}

func derivedPrunesFew(t *trial) {
	t.saveDerived(derivedToken(1), derivedToken(2), derivedToken(3))
	n, err := t.store.PruneDerivedTokens(t.ctx, derivedToken(3).EndsAt, 2)
	t.must(err)
	t.same("number of removed tokens", n, 2)
	t.same("number of tokens that are left", len(t.derivedOf(1<<40)), 1)
}

func derivedReplaces(t *trial) {
	d := unrevoked(derivedToken(1))
	t.saveDerived(d)
	d.RevokedAt, d.Status.Index, d.EndsAt = epoch().Add(time.Hour), 5, epoch().Add(2*time.Hour)
	t.saveDerived(d)
	t.same("DerivedTokens", t.derivedOf(1<<40), []*latchward.DerivedRecord{d})
}

func derivedTaken(t *trial) {
	first, second := derivedToken(1), derivedToken(2)
	second.Status = first.Status
	t.saveDerived(first)
	_, err := t.store.Tx(t.ctx, func(tx latchward.Tx) error { return tx.SaveDerivedToken(second) })
	t.code("SaveDerivedToken in the place of another", err, latchward.CodeConflict)
	t.same("DerivedTokens", t.derivedOf(1<<40), []*latchward.DerivedRecord{first})
}

func derivedNamed(t *trial) {
	t.names("SaveDerivedToken", t.saveDerived(unrevoked(derivedToken(1)), derivedToken(2)), latchward.ChangeDerived, derivedToken(2).ID)
}
