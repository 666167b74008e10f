package latchtest

import (
	"errors"
	"time"

	"github.com/latchward/latchward"
)

const (
	accountCopy       = "Account returns a copy of the account of a user."
	accountsListed    = "Accounts returns copies of the accounts of users behind after, ordered by user, at most limit of them."
	accountOfIdentity = "AccountByIdentity returns a copy of the account that has exactly this identity."
	savesAccount      = "SaveAccount keeps the account of a user in place of the one before; there must be such a user, " +
		"else it is an Error of code not_found."
	identityTaken = "An identity that another account has is an Error of code conflict."
)

func accountPromises() []storePromise {
	return []storePromise{
		{"Account/KeepsEveryField", accountCopy, accountKeepsFields},
		{"Account/ReturnsACopy", accountCopy, accountIsACopy},
		{"Account/UnknownIsNotFound", notFound, accountOfNothing},
		{"Accounts/ReturnsWholeAccountsByUser", accountsListed, accountsWhole},
		{"Accounts/PagesGiveEachAccountOnce", accountsListed, accountsPages},
		{"AccountByIdentity/FindsExactlyThisOne", accountOfIdentity, identityFinds},
		{"AccountByIdentity/ForgetsRemovedIdentities", accountOfIdentity, identityForgotten},
		{"AccountByIdentity/UnknownIsNotFound", notFound, identityOfNothing},
		{"Tx.Account/ReturnsACopy", accountCopy, txAccountIsACopy},
		{"Tx.Account/UnknownIsNotFound", notFound, txAccountOfNothing},
	}
}

func saveAccountPromises() []storePromise {
	return []storePromise{
		{"Tx.SaveAccount/ReplacesEveryField", savesAccount, saveAccountReplaces},
		{"Tx.SaveAccount/WithoutAUserIsNotFound", savesAccount, saveAccountOfNobody},
		{"Tx.SaveAccount/RefusesATakenIdentity", identityTaken, saveAccountTaken},
		{"Tx.SaveAccount/IsUndone", "Tx runs f and commits all that f saved, or nothing when f or the commit fails.",
			saveAccountUndone},
	}
}

func digestNumbered(n byte) (d [32]byte) {
	copy(d[:], "digest\x00\xff ")
	d[31] = n
	return d
}

// wholeAccount has every field of an account.
func wholeAccount(id latchward.UserID) *latchward.Account {
	at := func(ms int) time.Time { return epoch().Add(time.Duration(ms) * time.Millisecond) }
	return &latchward.Account{
		UserID: id, Password: "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$ZGlnZXN0", TOTP: "sealed", NewTOTP: "sealed, too",
		TOTPStep:      1 << 40,
		RecoveryCodes: []latchward.AccountDigest{digestNumbered(1), digestNumbered(2)},
		Devices: []latchward.AccountDevice{{Digest: digestNumbered(3), EndsAt: at(1)}, {Digest: digestNumbered(4),
			EndsAt: at(2)}},
		PasswordCode: latchward.PasswordCode{Digest: digestNumbered(5), EndsAt: at(3)},
		Identities:   []latchward.LinkedIdentity{{Issuer: "https://b", Subject: "2"}, {Issuer: "https://a", Subject: "1"}},
		Passkeys: []latchward.Passkey{
			{ID: "b", Name: "Phone 'ö'", Credential: []byte("{\"a\":\"\xc3\xb6\"}"), CreatedAt: at(4), UsedAt: at(5)},
			{ID: "a", Name: "Key", Credential: []byte("{}"), CreatedAt: at(6)},
		},
		UpdatedAt: at(7),
	}
}

func (t *trial) saveAccount(a *latchward.Account) *latchward.Account {
	t.Helper()
	t.tx(func(tx latchward.Tx) error { return tx.SaveAccount(a.Clone()) })
	return a
}

func (t *trial) storedAccount(id latchward.UserID) *latchward.Account {
	t.Helper()
	a, err := t.store.Account(t.ctx, id)
	t.must(err)
	if a == nil {
		t.Fatalf("Account returned neither an account nor an error")
	}
	return a
}

func scribbleAccount(a *latchward.Account) {
	a.Password = "scribble"
	for i := range a.RecoveryCodes {
		a.RecoveryCodes[i] = digestNumbered(99)
	}
	for i := range a.Devices {
		a.Devices[i].EndsAt = time.UnixMilli(0)
	}
	for i := range a.Identities {
		a.Identities[i].Subject = "scribble"
	}
	for i := range a.Passkeys {
		a.Passkeys[i].Name, a.Passkeys[i].Credential[0] = "scribble", 'X'
	}
}

func accountKeepsFields(t *trial) {
	whole := t.saveAccount(wholeAccount(t.user().ID))
	t.same("an account with every field", t.storedAccount(whole.UserID), whole)
	bare := t.saveAccount(&latchward.Account{UserID: t.user().ID, UpdatedAt: epoch()})
	t.same("an account with none", t.storedAccount(bare.UserID), bare)
}

func accountIsACopy(t *trial) {
	a := wholeAccount(t.user().ID)
	t.tx(func(tx latchward.Tx) error {
		saved := a.Clone()
		err := tx.SaveAccount(saved)
		scribbleAccount(saved)
		return err
	})
	scribbleAccount(t.storedAccount(a.UserID))
	t.same("Account after copies were scribbled on", t.storedAccount(a.UserID), a)
}

func accountOfNothing(t *trial) {
	u := t.user()
	for _, id := range []latchward.UserID{u.ID, u.ID + 1000, 0, -1} {
		_, err := t.store.Account(t.ctx, id)
		t.code("Account of a user without one", err, latchward.CodeNotFound)
	}
}

func accountsWhole(t *trial) {
	first, second := t.user(), t.user()
	b := wholeAccount(second.ID)
	b.Identities = nil
	t.saveAccount(b)
	a := t.saveAccount(wholeAccount(first.ID))
	for range 2 {
		got, err := t.store.Accounts(t.ctx, 0, 10)
		t.must(err)
		t.same("Accounts", got, []*latchward.Account{a, b})
		if len(got) > 0 {
			scribbleAccount(got[0])
		}
	}
}

func accountsPages(t *trial) {
	var want, got []latchward.UserID
	for range 5 {
		want = append(want, t.saveAccount(&latchward.Account{UserID: t.user().ID, UpdatedAt: epoch()}).UserID)
		t.user() // without an account
	}
	for after := latchward.UserID(0); ; {
		page, err := t.store.Accounts(t.ctx, after, 2)
		t.must(err)
		if len(page) == 0 || len(got) > 10 {
			break
		}
		if len(page) > 2 {
			t.Errorf("a page of %d accounts, want at most 2", len(page))
		}
		for _, a := range page {
			got, after = append(got, a.UserID), a.UserID
		}
	}
	t.same("users of all pages", got, want)
}

func identityFinds(t *trial) {
	a := t.saveAccount(wholeAccount(t.user().ID))
	other := wholeAccount(t.user().ID)
	other.Identities = []latchward.LinkedIdentity{{Issuer: "https://a", Subject: "2"}, {Issuer: "https://b", Subject: "1"}}
	t.saveAccount(other)
	for _, id := range a.Identities {
		got, err := t.store.AccountByIdentity(t.ctx, id)
		t.must(err)
		t.same("AccountByIdentity", got, a)
	}
}

func identityForgotten(t *trial) {
	a := t.saveAccount(wholeAccount(t.user().ID))
	gone := a.Identities[0]
	kept := a.Clone()
	kept.Identities = kept.Identities[1:]
	t.saveAccount(kept)
	_, err := t.store.AccountByIdentity(t.ctx, gone)
	t.code("AccountByIdentity of a removed identity", err, latchward.CodeNotFound)
	b := t.saveAccount(&latchward.Account{UserID: t.user().ID, Identities: []latchward.LinkedIdentity{gone},
		UpdatedAt: epoch()})
	got, err := t.store.AccountByIdentity(t.ctx, gone)
	t.must(err)
	t.same("AccountByIdentity after it was given to another account", got, b)
}

func identityOfNothing(t *trial) {
	t.saveAccount(wholeAccount(t.user().ID))
	for _, id := range []latchward.LinkedIdentity{
		{}, {Issuer: "https://a"}, {Subject: "1"}, {Issuer: "https://A", Subject: "1"}, {Issuer: "https://a", Subject: "2"},
	} {
		_, err := t.store.AccountByIdentity(t.ctx, id)
		t.code("AccountByIdentity of an unknown one", err, latchward.CodeNotFound)
	}
}

func txAccountIsACopy(t *trial) {
	a := t.saveAccount(wholeAccount(t.user().ID))
	t.tx(func(tx latchward.Tx) error {
		for range 2 {
			got, err := tx.Account(a.UserID)
			if err != nil {
				return err
			}
			if got == nil {
				return errors.New("Tx.Account returned neither an account nor an error")
			}
			t.same("Tx.Account", got, a)
			scribbleAccount(got)
		}
		return nil
	})
	t.same("Account after a copy was scribbled on", t.storedAccount(a.UserID), a)
}

func txAccountOfNothing(t *trial) {
	u := t.user()
	t.tx(func(tx latchward.Tx) error {
		_, err := tx.Account(u.ID)
		t.code("Tx.Account of a user without one", err, latchward.CodeNotFound)
		return nil
	})
}

func saveAccountReplaces(t *trial) {
	a := t.saveAccount(wholeAccount(t.user().ID))
	other := t.saveAccount(&latchward.Account{UserID: t.user().ID, Password: "other", UpdatedAt: epoch()})
	bare := t.saveAccount(&latchward.Account{UserID: a.UserID, UpdatedAt: epoch().Add(time.Second)})
	t.same("an account after it was emptied", t.storedAccount(a.UserID), bare)
	t.saveAccount(a)
	t.same("an account after it was filled", t.storedAccount(a.UserID), a)
	t.same("another account", t.storedAccount(other.UserID), other)
}

func saveAccountOfNobody(t *trial) {
	u := t.user()
	_, err := t.store.Tx(t.ctx, func(tx latchward.Tx) error {
		return tx.SaveAccount(&latchward.Account{UserID: u.ID + 1000, UpdatedAt: epoch()})
	})
	t.code("SaveAccount of nobody", err, latchward.CodeNotFound)
}

func saveAccountTaken(t *trial) {
	a := t.saveAccount(wholeAccount(t.user().ID))
	u := t.user()
	b := &latchward.Account{UserID: u.ID, Identities: []latchward.LinkedIdentity{a.Identities[1]}, UpdatedAt: epoch()}
	_, err := t.store.Tx(t.ctx, func(tx latchward.Tx) error { return tx.SaveAccount(b) })
	t.code("SaveAccount with an identity of another account", err, latchward.CodeConflict)
	t.tx(func(tx latchward.Tx) error { // the transaction goes on
		t.code("SaveAccount again", tx.SaveAccount(b), latchward.CodeConflict)
		b.Identities = nil
		return tx.SaveAccount(b)
	})
	t.same("the account without the identity", t.storedAccount(u.ID), b)
}

func saveAccountUndone(t *trial) {
	a := t.saveAccount(wholeAccount(t.user().ID))
	t.failTx(func(tx latchward.Tx) error {
		return tx.SaveAccount(&latchward.Account{UserID: a.UserID, UpdatedAt: epoch()})
	})
	t.same("an account after a change that was undone", t.storedAccount(a.UserID), a)
}
