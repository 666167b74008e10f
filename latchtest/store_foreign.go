package latchtest

import (
	"slices"
	"strings"
	"time"

	"github.com/latchward/latchward"
)

const (
	foreignForms   = "ForeignForms returns all forms that were saved, in the order of their bytes."
	foreignSecrets = "ForeignSecrets returns the secrets that have one of the lookup prefixes and became nothing else " +
		"yet, ordered by key id, at most limit of them."
	tokenOfSecret = "TokenOfSecret returns the token to which one of the key ids leads: as its current secret, as one " +
		"that was rotated out, or as a foreign secret, whatever that became."
	countsForeign = "CountForeignSecrets returns how many secrets have this lookup prefix and became nothing else " +
		"yet."
	savesForm          = "The commit must name the forms as changed, unless it was known already."
	savesForeign       = "SaveForeignSecret inserts the secret, or replaces the one with its key id."
	savesForeignToken  = "There must be such a token, else it is an Error of code not_found."
	savesForeignCommit = "The commit must name the forms as changed."
	foreignGoes        = "All of them disappear with their token."
)

func foreignPromises() []storePromise {
	return []storePromise{
		{"ForeignForms/ReturnsAllInOrder", foreignForms, formsInOrder},
		{"ForeignSecrets/KeepsEveryField", foreignSecrets, foreignKeepsFields},
		{"ForeignSecrets/FindsByPrefixInOrder", foreignSecrets, foreignByPrefix},
		{"Tx.TokenOfSecret/FindsWhateverItIs", tokenOfSecret, tokenOfAnySecret},
		{"Tx.TokenOfSecret/UnknownIsNotFound", notFound, tokenOfNoSecret},
		{"Tx.CountForeignSecrets/CountsThoseToBeTried", countsForeign, foreignCounted},
		{"Tx.SaveForeignForm/NamesNewForms", savesForm, formsNamed},
		{"Tx.SaveForeignSecret/ReplacesByKeyID", savesForeign, foreignReplaced},
		{"Tx.SaveForeignSecret/WithoutATokenIsNotFound", savesForeignToken, foreignOfNothing},
		{"Tx.SaveForeignSecret/NamesTheForms", savesForeignCommit, foreignNamed},
		{"Tx.SaveForeignSecret/IsUndone", "commits all that f saved, or nothing when f or the commit fails", foreignUndone},
		{"Tx.SaveForeignSecret/GoesWithItsToken", foreignGoes, foreignGoesAway},
	}
}

// foreign saves a foreign secret of a new token.
func (t *trial) foreign(prefix string, edits ...func(*latchward.ForeignSecret)) latchward.ForeignSecret {
	t.Helper()
	secret := latchward.ForeignSecret{
		KeyID: t.credential().KeyID, TokenID: t.token(nil).ID, LookupPrefix: prefix, Sealed: "sealed for " + prefix,
	}
	for _, edit := range edits {
		edit(&secret)
	}
	t.saveForeign(secret)
	return secret
}

func (t *trial) saveForeign(secret latchward.ForeignSecret) latchward.Commit {
	t.Helper()
	return t.tx(func(tx latchward.Tx) error { return tx.SaveForeignSecret(secret) })
}

func (t *trial) sameForeign(what string, prefixes []string, limit int, want ...latchward.ForeignSecret) {
	t.Helper()
	slices.SortFunc(want, func(a, b latchward.ForeignSecret) int {
		return strings.Compare(a.KeyID.String(), b.KeyID.String())
	})
	got, err := t.store.ForeignSecrets(t.ctx, prefixes, limit)
	t.must(err)
	if len(got) != len(want) {
		t.Errorf("%s: %d secrets, want %d", what, len(got), len(want))
		return
	}
	for i := range want {
		t.same(what, got[i], want[i])
	}
}

func became(id latchward.KeyID) func(*latchward.ForeignSecret) {
	return func(s *latchward.ForeignSecret) { s.Became, s.LookupPrefix, s.Sealed = id, "", "" }
}

func formsInOrder(t *trial) {
	got, err := t.store.ForeignForms(t.ctx)
	t.must(err)
	if len(got) != 0 {
		t.Errorf("an empty store has the forms %q", got)
	}
	for _, form := range []string{"sha512/1", "Zeta", "lookup/8", "sha256/12", "lookup/8", "sha256/2"} {
		t.tx(func(tx latchward.Tx) error { return tx.SaveForeignForm(form) })
	}
	got, err = t.store.ForeignForms(t.ctx)
	t.must(err)
	t.same("ForeignForms", got, []string{"Zeta", "lookup/8", "sha256/12", "sha256/2", "sha512/1"})
}

func foreignKeepsFields(t *trial) {
	t.token(nil)
	secret := t.foreign(`it's_"A"`, func(s *latchward.ForeignSecret) { s.Sealed = strings.Repeat("s3aled+/", 100) })
	t.sameForeign("ForeignSecrets", []string{secret.LookupPrefix}, 10, secret)
}

func foreignByPrefix(t *trial) {
	last := t.foreign("acme", func(s *latchward.ForeignSecret) { s.KeyID = latchward.KeyID([]byte("9zzzzzzzzzz")) })
	first, longer, other := t.foreign("acme"), t.foreign("acme-1"), t.foreign("ACME")
	t.foreign("", became(t.credential().KeyID))
	t.sameForeign("by one prefix", []string{"acme"}, 10, first, last)
	t.sameForeign("by two", []string{"acme", "acme-1", "none"}, 10, first, last, longer)
	t.sameForeign("by its letters", []string{"ACME"}, 10, other)
	t.sameForeign("by no prefix", nil, 10)
	t.sameForeign("by what nobody has", []string{"acm", "acme-", "%", ""}, 10)
	t.sameForeign("at most one", []string{"acme"}, 1, first)
}

func (t *trial) tokenOfSecret(ids ...latchward.KeyID) (id latchward.TokenID, err error) {
	t.tx(func(tx latchward.Tx) error {
		id, err = tx.TokenOfSecret(ids)
		return nil
	})
	return id, err
}

func tokenOfAnySecret(t *trial) {
	old := t.token(nil)
	token, _ := t.rotate(old, epoch().Add(time.Hour))
	tried := t.foreign("acme", func(s *latchward.ForeignSecret) { s.TokenID = t.token(nil).ID })
	moved := t.foreign("", became(t.credential().KeyID))
	for want, ids := range map[latchward.TokenID][]latchward.KeyID{
		token.ID: {token.Secret.KeyID, old.Secret.KeyID}, tried.TokenID: {tried.KeyID}, moved.TokenID: {moved.KeyID},
	} {
		for _, id := range ids {
			got, err := t.tokenOfSecret(t.credential().KeyID, id)
			t.must(err)
			t.same("TokenOfSecret", got, want)
		}
	}
}

func tokenOfNoSecret(t *trial) {
	secret := t.foreign("acme")
	t.deleteToken(secret.TokenID)
	for _, ids := range [][]latchward.KeyID{nil, {t.credential().KeyID}, {secret.KeyID, t.credential().KeyID}} {
		_, err := t.tokenOfSecret(ids...)
		t.code("TokenOfSecret of unknown key ids", err, latchward.CodeNotFound)
	}
}

func foreignCounted(t *trial) {
	t.foreign("acme")
	t.foreign("acme")
	t.foreign("acme-1")
	t.foreign("", became(t.credential().KeyID))
	for prefix, want := range map[string]int{"acme": 2, "acme-1": 1, "acm": 0, "": 0} {
		var got int
		t.tx(func(tx latchward.Tx) (err error) {
			got, err = tx.CountForeignSecrets(prefix)
			return err
		})
		t.same("CountForeignSecrets of "+prefix, got, want)
	}
}

func formsNamed(t *trial) {
	commit := t.tx(func(tx latchward.Tx) error { return tx.SaveForeignForm("lookup/8") })
	t.names("SaveForeignForm", commit, latchward.ChangeForeign, "")
	commit = t.tx(func(tx latchward.Tx) error { return tx.SaveForeignForm("lookup/8") })
	if len(commit.Changes) != 0 {
		t.Errorf("saving a form again changes %v", commit.Changes)
	}
}

func foreignReplaced(t *trial) {
	secret := t.foreign("acme")
	secret.LookupPrefix, secret.Sealed, secret.TokenID = "acme-2", "anew", t.token(nil).ID
	t.saveForeign(secret)
	t.sameForeign("by the prefix before", []string{"acme"}, 10)
	t.sameForeign("a secret saved again", []string{"acme-2"}, 10, secret)
	became(t.credential().KeyID)(&secret)
	t.saveForeign(secret)
	t.sameForeign("a secret that became another", []string{"acme-2", ""}, 10)
}

func foreignOfNothing(t *trial) {
	token := t.token(nil)
	t.deleteToken(token.ID)
	for _, id := range []latchward.TokenID{token.ID, token.ID + 1000, 0} {
		secret := latchward.ForeignSecret{KeyID: t.credential().KeyID, TokenID: id, LookupPrefix: "acme", Sealed: "s"}
		_, err := t.store.Tx(t.ctx, func(tx latchward.Tx) error { return tx.SaveForeignSecret(secret) })
		t.code("SaveForeignSecret of a token that is not there", err, latchward.CodeNotFound)
	}
}

func foreignNamed(t *trial) {
	secret := t.foreign("acme")
	t.names("SaveForeignSecret again", t.saveForeign(secret), latchward.ChangeForeign, "")
	secret.KeyID = t.credential().KeyID
	t.names("SaveForeignSecret", t.saveForeign(secret), latchward.ChangeForeign, "")
}

func foreignUndone(t *trial) {
	kept := t.foreign("acme")
	t.failTx(func(tx latchward.Tx) error {
		changed := kept
		changed.LookupPrefix = "acme-2"
		other := changed
		other.KeyID = t.credential().KeyID
		for _, err := range []error{
			tx.SaveForeignSecret(changed), tx.SaveForeignSecret(other), tx.SaveForeignForm("lookup/9"),
		} {
			if err != nil {
				return err
			}
		}
		return nil
	})
	t.sameForeign("after a transaction that failed", []string{"acme", "acme-2"}, 10, kept)
	forms, err := t.store.ForeignForms(t.ctx)
	t.must(err)
	if len(forms) != 0 {
		t.Errorf("a transaction that failed left the forms %q", forms)
	}
}

func foreignGoesAway(t *trial) {
	secret := t.foreign("acme")
	stays := t.foreign("acme")
	t.deleteToken(secret.TokenID)
	t.sameForeign("after a token was deleted", []string{"acme"}, 10, stays)
}
