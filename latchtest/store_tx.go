package latchtest

import (
	"errors"

	"github.com/latchward/latchward"
)

const (
	txCommits = "Tx runs f and commits all that f saved, or nothing when f or the commit fails."
	txNames   = "The returned Commit must name every change even when an error is returned."
	txSees    = "It sees its own writes."
	position  = "Position is a place in one history of changes."
	notFound  = "A missing record is an Error of code not_found."
)

func txPromises() []storePromise {
	return []storePromise{
		{"Tx/CommitsAllThatFSaved", txCommits, txCommitsAll},
		{"Tx/SavesNothingNewWhenFFails", txCommits, txSavesNothingNew},
		{"Tx/ChangesNothingWhenFFails", txCommits, txChangesNothing},
		{"Tx/DeletesNothingWhenFFails", txCommits, txDeletesNothing},
		{"Tx/KeepsNothingWhenFPanics", txCommits, txKeepsNothingOfAPanic},
		{"Tx/ReturnsTheErrorOfF", txCommits, txReturnsTheError},
		{"Tx/NamesTokensWhenFFails", txNames, txNamesTokensOnFailure},
		{"Tx/NamesOwnersWhenFFails", txNames, txNamesOwnersOnFailure},
		{"Tx/PositionsGrowInOneHistory", position, txPositionsGrow},
		{"Tx/SeesItsOwnTokens", txSees, txSeesItsOwnTokens},
		{"Tx/SeesItsOwnUsers", txSees, txSeesItsOwnUsers},
	}
}

// world is one of everything that a transaction can change.
type world struct {
	user    *latchward.User
	token   *latchward.Token
	retired latchward.RetiringSecret // of token
}

// newWorld saves one of everything: a token with a rotated-out secret and a recorded request, an audit entry, and the
// fingerprint of server key 1.
func (t *trial) newWorld() world {
	t.Helper()
	w := world{user: t.user(func(u *latchward.User) { u.ExternalID, u.Email = "ada", "ada@example.com" })}
	w.token = t.token(w.user)
	w.retired = latchward.RetiringSecret{Credential: w.token.Secret, EndsAt: epoch()}
	w.token, _ = t.rotate(w.token, epoch())
	t.tx(func(tx latchward.Tx) error {
		return errors.Join(
			tx.AppendAudit(&latchward.AuditEntry{At: epoch(), Action: latchward.ActionTokenCreate}),
			tx.SaveKeyFingerprint(1, "one"),
		)
	})
	t.add(event(w.token.ID, epoch()))
	return w
}

func txCommitsAll(t *trial) {
	var user latchward.User
	var token latchward.Token
	draft := t.draft(&latchward.User{})
	retired := latchward.RetiringSecret{Credential: t.credential(), EndsAt: epoch()}
	t.tx(func(tx latchward.Tx) error {
		user = latchward.User{Name: "Ada", Active: true, CreatedAt: epoch(), UpdatedAt: epoch()}
		if err := tx.SaveUser(&user); err != nil {
			return err
		}
		token = *draft
		token.Owner = ownerOf(&user)
		return errors.Join(
			tx.SaveToken(&token),
			tx.RetireSecret(token.ID, retired),
			tx.AppendAudit(&latchward.AuditEntry{At: epoch(), Action: latchward.ActionTokenCreate}),
			tx.SaveKeyFingerprint(1, "one"),
		)
	})
	t.same("the user", t.storedUser(user.ID), &user)
	t.same("the token", t.stored(token.ID), &token)
	t.same("the end of the retired secret", t.facts(retired.KeyID).EndsAt, retired.EndsAt)
	t.sameActions("the audit log", latchward.ActionTokenCreate)
	t.sameFingerprints("the fingerprints", map[int]string{1: "one"})
}

func txSavesNothingNew(t *trial) {
	w := t.newWorld()
	secret, other := t.draft(w.user), t.credential()
	t.failTx(func(tx latchward.Tx) error {
		token, bob := *secret, *w.user
		bob.ID, bob.ExternalID, bob.Email = 0, "bob", "bob@example.com"
		return errors.Join(
			tx.SaveUser(&bob),
			tx.SaveToken(&token),
			tx.RetireSecret(w.token.ID, latchward.RetiringSecret{Credential: other, EndsAt: epoch()}),
			tx.AppendAudit(&latchward.AuditEntry{At: epoch(), Action: latchward.ActionTokenUpdate}),
			tx.SaveKeyFingerprint(2, "two"),
		)
	})
	_, err := t.store.UserByExternalID(t.ctx, "bob")
	t.code("UserByExternalID of a user who was not committed", err, latchward.CodeNotFound)
	_, err = t.store.UserByEmail(t.ctx, "bob@example.com")
	t.code("UserByEmail of a user who was not committed", err, latchward.CodeNotFound)
	for _, id := range []latchward.KeyID{secret.Secret.KeyID, other.KeyID} {
		_, err = t.store.TokenFacts(t.ctx, id)
		t.code("TokenFacts of a secret that was not committed", err, latchward.CodeNotFound)
	}
	t.sameWorld(w)
}

func txChangesNothing(t *trial) {
	w := t.newWorld()
	t.failTx(func(tx latchward.Tx) error {
		user, token := *w.user, *w.token
		user.Name, user.Email, user.ExternalID, user.Active = "Eve", "eve@example.com", "eve", false
		token.Name, token.Secret, token.RevokedAt = "Stolen", t.credential(), epoch()
		return errors.Join(tx.SaveUser(&user), tx.SaveToken(&token), tx.SaveKeyFingerprint(1, "changed"))
	})
	t.sameWorld(w)
}

func txDeletesNothing(t *trial) {
	w := t.newWorld()
	t.failTx(func(tx latchward.Tx) error {
		return errors.Join(tx.DeleteToken(w.token.ID), tx.SaveKeyFingerprint(1, ""))
	})
	t.sameWorld(w)
	t.sameEvents("its requests", latchward.UsageEventQuery{Token: w.token.ID}, event(w.token.ID, epoch()))
}

// sameWorld checks that everything that newWorld saved is as it was.
func (t *trial) sameWorld(w world) {
	t.Helper()
	token := *w.token
	token.LastUsedAt = epoch()
	t.same("the user", t.storedUser(w.user.ID), w.user)
	t.same("the token", t.stored(token.ID), &token)
	t.same("the current secret", t.facts(token.Secret.KeyID),
		latchward.TokenFacts{Token: &token, Digest: token.Secret.Digest})
	t.same("the retired secret", t.facts(w.retired.KeyID),
		latchward.TokenFacts{Token: &token, Digest: w.retired.Digest, EndsAt: w.retired.EndsAt})
	t.sameActions("the audit log", latchward.ActionTokenCreate)
	t.sameFingerprints("the fingerprints", map[int]string{1: "one"})
	t.sameTokens("the list", t.list(latchward.TokenFilter{}), &token)
}

func txKeepsNothingOfAPanic(t *trial) {
	w := t.newWorld()
	func() {
		defer func() { _ = recover() }()
		_, err := t.store.Tx(t.ctx, func(tx latchward.Tx) error {
			if err := tx.DeleteToken(w.token.ID); err != nil {
				return err
			}
			panic("in the middle of a transaction")
		})
		if err == nil {
			t.Errorf("Tx succeeded although f panicked")
		}
	}()
	t.sameWorld(w)
	t.user() // others can still write
}

func txReturnsTheError(t *trial) {
	_, err := t.store.Tx(t.ctx, func(latchward.Tx) error { return errStop })
	if !errors.Is(err, errStop) {
		t.Errorf("Tx returned %v, want the error that f returned", err)
	}
}

func txNamesTokensOnFailure(t *trial) {
	w := t.newWorld()
	fresh := t.draft(w.user)
	commit := t.failTx(func(tx latchward.Tx) error { return tx.DeleteToken(w.token.ID) })
	t.names("DeleteToken", commit, latchward.ChangeToken, w.token.Secret.KeyID.String(), w.retired.KeyID.String())
	commit = t.failTx(func(tx latchward.Tx) error {
		rotated, added := *w.token, *fresh
		rotated.Secret = t.credential()
		return errors.Join(tx.SaveToken(&rotated), tx.SaveToken(&added))
	})
	t.names("SaveToken", commit, latchward.ChangeToken, w.token.Secret.KeyID.String(), w.retired.KeyID.String(),
		fresh.Secret.KeyID.String())
	commit = t.failTx(func(tx latchward.Tx) error {
		return tx.RetireSecret(w.token.ID, latchward.RetiringSecret{Credential: fresh.Secret, EndsAt: epoch()})
	})
	t.names("RetireSecret", commit, latchward.ChangeToken, fresh.Secret.KeyID.String())
}

func txNamesOwnersOnFailure(t *trial) {
	u := t.user()
	commit := t.failTx(func(tx latchward.Tx) error {
		disabled := *u
		disabled.Active = false
		return tx.SaveUser(&disabled)
	})
	t.names("SaveUser", commit, latchward.ChangeOwner, ownerOf(u).String())
}

func txPositionsGrow(t *trial) {
	w := t.newWorld()
	at := t.tx(func(tx latchward.Tx) error { u := *w.user; return tx.SaveUser(&u) }).Position
	if at.History == "" {
		t.Errorf("position %v is in no history", at)
	}
	for _, change := range []func(tx latchward.Tx) error{
		func(tx latchward.Tx) error { token := *w.token; return tx.SaveToken(&token) },
		func(tx latchward.Tx) error { return tx.RetireSecret(w.token.ID, w.retired) },
		func(tx latchward.Tx) error { u := *w.user; return tx.SaveUser(&u) },
		func(tx latchward.Tx) error { return tx.DeleteToken(w.token.ID) },
	} {
		next := t.tx(change).Position
		if next.History != at.History || next.N <= at.N {
			t.Errorf("position %v follows %v: it must be later in the same history", next, at)
		}
		at = next
	}
}

func txSeesItsOwnTokens(t *trial) {
	w := t.newWorld()
	draft := t.draft(w.user)
	t.tx(func(tx latchward.Tx) error {
		fresh, renamed := *draft, *w.token
		renamed.Name = "Renamed"
		if err := errors.Join(tx.SaveToken(&fresh), tx.SaveToken(&renamed)); err != nil {
			return err
		}
		renamed.LastUsedAt = epoch()
		for _, want := range []*latchward.Token{&fresh, &renamed} {
			got, err := tx.Token(want.ID)
			if err != nil {
				return err
			}
			t.same("Tx.Token of what was just saved", got, want)
		}
		owned, err := tx.TokensOf(ownerOf(w.user))
		t.sameTokens("Tx.TokensOf after two were saved", owned, &renamed, &fresh)
		if err := errors.Join(err, tx.DeleteToken(fresh.ID)); err != nil {
			return err
		}
		_, err = tx.Token(fresh.ID)
		t.code("Tx.Token of what was just deleted", err, latchward.CodeNotFound)
		return nil
	})
}

func txSeesItsOwnUsers(t *trial) {
	t.tx(func(tx latchward.Tx) error {
		u := latchward.User{ExternalID: "ada", Name: "Ada", Active: true, CreatedAt: epoch(), UpdatedAt: epoch()}
		if err := tx.SaveUser(&u); err != nil {
			return err
		}
		got, err := tx.User(u.ID)
		t.code("Tx.User of who was just saved", err, "")
		t.same("Tx.User", got, &u)
		got, err = tx.UserByExternalID("ada")
		t.code("Tx.UserByExternalID of who was just saved", err, "")
		t.same("Tx.UserByExternalID", got, &u)
		return nil
	})
	if u, err := t.store.UserByExternalID(t.ctx, "ada"); err != nil || u == nil {
		t.Errorf("who was saved and seen was not committed: %v, error %v", u, err)
	}
}
