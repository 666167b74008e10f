package latchtest

import (
	"context"
	"slices"

	"github.com/latchward/latchward"
)

// alteredForeign and alteredForeignTx are what a store may do wrong with secrets that were made elsewhere.
type alteredForeign struct {
	foreignForms   func() ([]string, error)
	foreignSecrets func([]string, int) ([]latchward.ForeignSecret, error)
}

type alteredForeignTx struct {
	tokenOfSecret       func([]latchward.KeyID) (latchward.TokenID, error)
	countForeignSecrets func(string) (int, error)
	saveForeignForm     func(string) error
	saveForeignSecret   func(latchward.ForeignSecret) error
}

func (a *altered) ForeignForms(ctx context.Context) ([]string, error) {
	return or0(a.foreignForms, func() ([]string, error) { return a.Store.ForeignForms(ctx) })
}

func (a *altered) ForeignSecrets(ctx context.Context, prefixes []string, n int) ([]latchward.ForeignSecret, error) {
	return or2(ctx, a.foreignSecrets, a.Store.ForeignSecrets, prefixes, n)
}

func (tx *alteredTx) TokenOfSecret(ids []latchward.KeyID) (latchward.TokenID, error) {
	return or0(bind(tx.tokenOfSecret, ids), bind(tx.Tx.TokenOfSecret, ids))
}

func (tx *alteredTx) CountForeignSecrets(prefix string) (int, error) {
	return or0(bind(tx.countForeignSecrets, prefix), bind(tx.Tx.CountForeignSecrets, prefix))
}

func (tx *alteredTx) SaveForeignForm(form string) error {
	return orTx(tx.saveForeignForm, tx.Tx.SaveForeignForm, form)
}

func (tx *alteredTx) SaveForeignSecret(secret latchward.ForeignSecret) error {
	return orTx(tx.saveForeignSecret, tx.Tx.SaveForeignSecret, secret)
}

// savesWrongForeign alters every foreign secret on the way into the store.
func savesWrongForeign(edit func(s *latchward.ForeignSecret)) func(a *altered) {
	return func(a *altered) {
		a.inTx = func(tx *alteredTx) {
			tx.saveForeignSecret = func(s latchward.ForeignSecret) error {
				edit(&s)
				return tx.Tx.SaveForeignSecret(s)
			}
		}
	}
}

// findsWrongForeign alters what is asked of ForeignSecrets.
func findsWrongForeign(edit func(prefixes []string, limit int) ([]string, int)) func(a *altered) {
	return func(a *altered) {
		a.foreignSecrets = func(prefixes []string, limit int) ([]latchward.ForeignSecret, error) {
			prefixes, limit = edit(prefixes, limit)
			return a.Store.ForeignSecrets(background(), prefixes, limit)
		}
	}
}

func inForeignTx(wrong func(tx *alteredTx)) func(a *altered) {
	return func(a *altered) { a.inTx = wrong }
}

func foreignMutants() []mutant {
	const finds = "ForeignSecrets/FindsByPrefixInOrder"
	return []mutant{
		{"ForeignForms/ReturnsAllInOrder", "lists forms backwards", func(a *altered) {
			a.foreignForms = func() ([]string, error) {
				forms, err := a.Store.ForeignForms(background())
				slices.Reverse(forms)
				return forms, err
			}
		}},
		{"ForeignSecrets/KeepsEveryField", "loses what is sealed", savesWrongForeign(func(s *latchward.ForeignSecret) {
			s.Sealed = ""
		})},
		{"ForeignSecrets/KeepsEveryField Tx.SaveForeignSecret/ReplacesByKeyID", "gives all to one token",
			savesWrongForeign(func(s *latchward.ForeignSecret) { s.TokenID = 1 })},
		{finds, "forgets what secrets became", savesWrongForeign(func(s *latchward.ForeignSecret) {
			if !s.Became.IsZero() {
				s.Became, s.LookupPrefix = latchward.KeyID{}, "acme"
			}
		})},
		{finds, "looks at the first prefix only", findsWrongForeign(func(prefixes []string, n int) ([]string, int) {
			return prefixes[:min(1, len(prefixes))], n
		})},
		{finds, "has no limit", findsWrongForeign(func(prefixes []string, _ int) ([]string, int) { return prefixes, 1000 })},
		{finds, "finds in any order", func(a *altered) {
			a.foreignSecrets = func(prefixes []string, n int) ([]latchward.ForeignSecret, error) {
				found, err := a.Store.ForeignSecrets(background(), prefixes, n)
				slices.Reverse(found)
				return found, err
			}
		}},
		{"Tx.TokenOfSecret/FindsWhateverItIs", "looks at the first key id only", inForeignTx(func(tx *alteredTx) {
			tx.tokenOfSecret = func(ids []latchward.KeyID) (latchward.TokenID, error) {
				return tx.Tx.TokenOfSecret(ids[:min(1, len(ids))])
			}
		})},
		{"Tx.TokenOfSecret/UnknownIsNotFound", "finds nothing and calls it success", inForeignTx(func(tx *alteredTx) {
			tx.tokenOfSecret = func(ids []latchward.KeyID) (latchward.TokenID, error) {
				id, err := tx.Tx.TokenOfSecret(ids)
				if is(err, latchward.CodeNotFound) {
					err = nil
				}
				return id, err
			}
		})},
		{"Tx.CountForeignSecrets/CountsThoseToBeTried", "counts one too many", inForeignTx(func(tx *alteredTx) {
			tx.countForeignSecrets = func(prefix string) (int, error) {
				n, err := tx.Tx.CountForeignSecrets(prefix)
				return n + 1, err
			}
		})},
		{"Tx.SaveForeignForm/NamesNewForms Tx.SaveForeignSecret/NamesTheForms", "names no forms",
			namesNone(latchward.ChangeForeign)},
		{"Tx.SaveForeignSecret/ReplacesByKeyID", "keeps the first of its key id", inForeignTx(func(tx *alteredTx) {
			tx.saveForeignSecret = func(s latchward.ForeignSecret) error {
				if _, err := tx.Tx.TokenOfSecret([]latchward.KeyID{s.KeyID}); err == nil {
					return nil
				}
				return tx.Tx.SaveForeignSecret(s)
			}
		})},
		{"Tx.SaveForeignSecret/WithoutATokenIsNotFound", "saves for nobody and calls it success",
			inForeignTx(func(tx *alteredTx) {
				tx.saveForeignSecret = func(s latchward.ForeignSecret) error {
					if err := tx.Tx.SaveForeignSecret(s); !is(err, latchward.CodeNotFound) {
						return err
					}
					return nil
				}
			})},
		{"Tx.SaveForeignSecret/IsUndone", "keeps what a failed transaction saved", func(a *altered) {
			a.tx = func(f func(latchward.Tx) error) (latchward.Commit, error) {
				var failure error
				commit, err := a.Store.Tx(background(), func(tx latchward.Tx) error {
					failure = f(tx)
					return nil
				})
				if failure != nil {
					err = failure
				}
				return commit, err
			}
		}},
		{"Tx.SaveForeignSecret/GoesWithItsToken", "finds secrets of tokens that are gone", func(a *altered) {
			all := map[latchward.KeyID]latchward.ForeignSecret{}
			a.inTx = func(tx *alteredTx) {
				tx.saveForeignSecret = func(s latchward.ForeignSecret) error {
					all[s.KeyID] = s
					return tx.Tx.SaveForeignSecret(s)
				}
			}
			a.foreignSecrets = func(prefixes []string, _ int) (found []latchward.ForeignSecret, _ error) {
				for _, s := range all {
					if slices.Contains(prefixes, s.LookupPrefix) {
						found = append(found, s)
					}
				}
				return found, nil
			}
		}},
	}
}
