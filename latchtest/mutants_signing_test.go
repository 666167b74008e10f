package latchtest

import (
	"slices"
	"strings"
	"time"

	"github.com/latchward/latchward"
)

// savesWrongSigningKey alters every signing key on the way into the store.
func savesWrongSigningKey(edit func(k *latchward.SigningKey)) func(a *altered) {
	return func(a *altered) {
		a.inTx = func(tx *alteredTx) {
			tx.saveSigningKey = func(k *latchward.SigningKey) error {
				wrong := *k
				edit(&wrong)
				return tx.Tx.SaveSigningKey(&wrong)
			}
		}
	}
}

func savesWrongDerived(edit func(d *latchward.DerivedRecord)) func(a *altered) {
	return func(a *altered) {
		a.inTx = func(tx *alteredTx) {
			tx.saveDerived = func(d *latchward.DerivedRecord) error {
				wrong := *d
				edit(&wrong)
				return tx.Tx.SaveDerivedToken(&wrong)
			}
		}
	}
}

// unnamed leaves changes of a kind out of every commit.
func unnamed(kind latchward.ChangeKind) func(a *altered) {
	return func(a *altered) {
		a.tx = func(f func(latchward.Tx) error) (latchward.Commit, error) {
			commit, err := a.right(f)
			commit.Changes = slices.DeleteFunc(commit.Changes, func(c latchward.Change) bool { return c.Kind == kind })
			return commit, err
		}
	}
}

func signingMutants() []mutant {
	const keeps = "SigningKeys/KeepsEveryFieldInOrder Tx.SigningKeys/ReturnsCopies"
	return []mutant{
		{keeps, "forgets sealed keys", savesWrongSigningKey(func(k *latchward.SigningKey) { k.Sealed = "" })},
		{keeps, "forgets when keys sign", savesWrongSigningKey(func(k *latchward.SigningKey) { k.ActiveFrom = k.CreatedAt })},
		{keeps, "forgets that keys retire", savesWrongSigningKey(func(k *latchward.SigningKey) { k.RetiresAt = time.Time{} })},
		{keeps, "forgets that keys are revoked", savesWrongSigningKey(func(k *latchward.SigningKey) {
			k.RevokedAt = time.Time{}
		})},
		{keeps, "cuts times of keys", savesWrongSigningKey(func(k *latchward.SigningKey) {
			k.CreatedAt = k.CreatedAt.Truncate(time.Second)
		})},
		{"SigningKeys/KeepsEveryFieldInOrder", "lists keys backwards", func(a *altered) {
			a.alteredSigning.signingKeys = func() ([]*latchward.SigningKey, error) {
				keys, err := a.Store.SigningKeys(background())
				slices.Reverse(keys)
				return keys, err
			}
		}},
		{"Tx.SigningKeys/ReturnsCopies", "hands out the keys that it keeps", func(a *altered) {
			var known []*latchward.SigningKey
			a.inTx = func(tx *alteredTx) {
				tx.alteredSigningTx.signingKeys = func() ([]*latchward.SigningKey, error) {
					var err error
					if known == nil {
						known, err = tx.Tx.SigningKeys()
					}
					return known, err
				}
			}
		}},
		{"Tx.SaveSigningKey/Replaces", "keeps the first state of keys", func(a *altered) {
			saved := map[string]bool{}
			a.inTx = func(tx *alteredTx) {
				tx.saveSigningKey = func(k *latchward.SigningKey) error {
					if saved[k.ID] {
						return nil
					}
					saved[k.ID] = true
					return tx.Tx.SaveSigningKey(k)
				}
			}
		}},
		{"Tx.SaveSigningKey/NamesTheKey Tx.DeleteSigningKey/NamesTheKey", "tells nobody of changes of signing keys",
			unnamed(latchward.ChangeSigning)},
		{"Tx.DeleteSigningKey/Disappears", "keeps deleted keys", func(a *altered) {
			a.inTx = func(tx *alteredTx) { tx.deleteSigningKey = func(string) error { return nil } }
		}},
		{"Tx.DeleteSigningKey/UnknownIsNotFound", "deletes unknown keys", func(a *altered) {
			a.inTx = func(tx *alteredTx) {
				tx.deleteSigningKey = func(id string) error {
					if err := tx.Tx.DeleteSigningKey(id); !is(err, latchward.CodeNotFound) {
						return err
					}
					return nil
				}
			}
		}},
	}
}

func derivedMutants() []mutant {
	const keeps = "DerivedTokens/KeepsEveryFieldInOrder"
	return []mutant{
		{keeps, "forgets whose token it was", savesWrongDerived(func(d *latchward.DerivedRecord) { d.Token++ })},
		{keeps, "forgets which secret it was", savesWrongDerived(func(d *latchward.DerivedRecord) { d.KeyID[9] = 'x' })},
		{keeps, "cuts the ends of tokens", savesWrongDerived(func(d *latchward.DerivedRecord) {
			d.EndsAt = d.EndsAt.Truncate(time.Second)
		})},
		{keeps, "forgets revocations", savesWrongDerived(func(d *latchward.DerivedRecord) { d.RevokedAt = time.Time{} })},
		{keeps, "cuts large lists", savesWrongDerived(func(d *latchward.DerivedRecord) {
			d.Status.List = int64(int32(d.Status.List))
		})},
		{keeps, "lists places backwards", func(a *altered) {
			a.derivedTokens = func(list int64) ([]*latchward.DerivedRecord, error) {
				found, err := a.Store.DerivedTokens(background(), list)
				slices.Reverse(found)
				return found, err
			}
		}},
		{"DerivedTokens/OfOneListOnly", "lists all lists", func(a *altered) {
			a.derivedTokens = func(int64) (all []*latchward.DerivedRecord, err error) {
				for _, list := range []int64{7, 1 << 40} {
					found, _ := a.Store.DerivedTokens(background(), list)
					all = append(all, found...)
				}
				return all, nil
			}
		}},
		{"RevokedDerivedTokens/ReturnsThoseThatHaveNotEnded", "lists what has ended", func(a *altered) {
			a.revokedDerived = func(after time.Time) ([]*latchward.DerivedRecord, error) {
				return a.Store.RevokedDerivedTokens(background(), after.Add(-time.Millisecond))
			}
		}},
		{"RevokedDerivedTokens/ReturnsThoseThatHaveNotEnded", "lists what is valid", func(a *altered) {
			a.revokedDerived = func(after time.Time) ([]*latchward.DerivedRecord, error) {
				found, err := a.Store.DerivedTokens(background(), 1<<40)
				found = slices.DeleteFunc(found, func(d *latchward.DerivedRecord) bool { return !d.EndsAt.After(after) })
				slices.SortFunc(found, func(x, y *latchward.DerivedRecord) int { return strings.Compare(x.ID, y.ID) })
				return found, err
			}
		}},
		{"PruneDerivedTokens/RemovesWhatEnded", "keeps what ended just now", func(a *altered) {
			a.pruneDerived = func(endedBy time.Time, limit int) (int, error) {
				return a.Store.PruneDerivedTokens(background(), endedBy.Add(-time.Millisecond), limit)
			}
		}},
		{"PruneDerivedTokens/AtMostLimit", "removes more than the limit", func(a *altered) {
			a.pruneDerived = func(endedBy time.Time, _ int) (int, error) {
				return a.Store.PruneDerivedTokens(background(), endedBy, 1000)
			}
		}},
		{"Tx.SaveDerivedToken/Replaces", "adds to what there is", savesWrongDerived(func(d *latchward.DerivedRecord) {
			if d.Status.Index == 5 {
				d.ID += "again"
			}
		})},
		{"Tx.SaveDerivedToken/RefusesATakenPlace", "gives a place twice", savesWrongDerived(func(d *latchward.DerivedRecord) {
			if d.ID == derivedToken(2).ID {
				d.Status.Index++
			}
		})},
		{"Tx.SaveDerivedToken/NamesRevokedOnes", "tells nobody of revocations", unnamed(latchward.ChangeDerived)},
	}
}
