package latchtest

import (
	"errors"
	"fmt"
	"time"

	"github.com/latchward/latchward"
)

const (
	saves       = "SaveToken inserts the token when its ID is 0, setting the ID, and else replaces all but LastUsedAt."
	neverReused = "Ids must never be used again, also after a deletion."
	keyIDTaken  = "A key id that another secret has is an Error of code conflict."
	namesKeyIDs = "The commit must name every key id that leads to the token, before and after, as changed."
	retires     = "RetireSecret remembers a secret of the token that is no longer the current one; " +
		"the commit names it as changed."
	deletes = "DeleteToken makes the token disappear together with its secrets, " +
		"and remembers its name and owner for rollups."
	namesDeleted = "The commit must name every key id that led to it as changed."
	byIssueKey   = `TokenByIssueKey returns a copy of the token with that issue key, which is not "".`
	txTokens     = "Tokens returns copies of the tokens that match, in the order of f, at most f.Limit of them."
	tokensOf     = "TokensOf returns copies of all tokens of an owner that are not revoked, ordered by id."
)

func saveTokenPromises() []storePromise {
	return []storePromise{
		{"Tx.Token/ReturnsACopy", tokenCopy, txTokenIsACopy},
		{"Tx.Token/UnknownIsNotFound", notFound, txTokenOfNothing},
		{"Tx.SaveToken/SetsIDs", saves, saveSetsIDs},
		{"Tx.SaveToken/ReplacesEveryField", saves, saveReplaces},
		{"Tx.SaveToken/LeavesLastUsedAtAlone", saves, saveLeavesLastUsed},
		{"Tx.SaveToken/UnknownIsNotFound", notFound, saveOfNothing},
		{"Tx.SaveToken/NeverReusesIDs", neverReused, saveNeverReuses},
		{"Tx.SaveToken/RefusesAKeyIDInUse", keyIDTaken, saveRefusesCurrent},
		{"Tx.SaveToken/RefusesARotatedOutKeyID", keyIDTaken, saveRefusesRetired},
		{"Tx.SaveToken/NamesNewTokens", namesKeyIDs, saveNamesNew},
		{"Tx.SaveToken/NamesKeyIDsBeforeAndAfter", namesKeyIDs, saveNamesBoth},
		{"Tx.SaveToken/NamesRotatedOutKeyIDs", namesKeyIDs, saveNamesRetired},
		{"Tx.SaveToken/ForgetsAReplacedKeyID", saves, saveForgetsReplaced},
	}
}

func endTokenPromises() []storePromise {
	return []storePromise{
		{"Tx.RetireSecret/BeforeTheNewOneIsSaved", retires, retireBefore},
		{"Tx.RetireSecret/AfterTheNewOneIsSaved", retires, retireAfter},
		{"Tx.RetireSecret/NamesTheKeyID", retires, retireNames},
		{"Tx.RetireSecret/UnknownIsNotFound", notFound, retireOfNothing},
		{"Tx.DeleteToken/MakesItDisappear", deletes, deleteDisappears},
		{"Tx.DeleteToken/LeavesOthersAlone", deletes, deleteSparesOthers},
		{"Tx.DeleteToken/NamesEveryKeyID", namesDeleted, deleteNames},
		{"Tx.DeleteToken/UnknownIsNotFound", notFound, deleteOfNothing},
		{"Tx.Tokens/ReturnsWhatMatchesNow", txTokens, txTokensNow},
		{"Tx.Tokens/PagesInOrder", txTokens, txTokensPages},
		{"Tx.Tokens/ReturnsCopies", txTokens, txTokensAreCopies},
		{"Tx.TokensOf/ReturnsTheOwnersTokensByID", tokensOf, tokensOfOwner},
		{"Tx.TokenByIssueKey/ReturnsACopy", byIssueKey, issueKeyFinds},
		{"Tx.TokenByIssueKey/UnknownIsNotFound", notFound, issueKeyOfNothing},
		{"Tx.TokensOf/LeavesRevokedOnesOut", tokensOf, tokensOfNotRevoked},
		{"Tx.TokensOf/ReturnsCopies", tokensOf, tokensOfAreCopies},
	}
}

func txTokenIsACopy(t *trial) {
	token := t.token(nil, full)
	t.tx(func(tx latchward.Tx) error {
		for range 2 {
			got, err := tx.Token(token.ID)
			if err != nil {
				return err
			}
			if got == nil {
				return errors.New("Tx.Token returned neither a token nor an error")
			}
			t.same("Tx.Token", got, token)
			scribble(got)
		}
		return nil
	})
	t.same("Token after a copy was scribbled on", t.stored(token.ID), token)
}

func txTokenOfNothing(t *trial) {
	token := t.token(nil)
	t.tx(func(tx latchward.Tx) error {
		_, err := tx.Token(token.ID + 1000)
		t.code("Tx.Token of an unknown id", err, latchward.CodeNotFound)
		return nil
	})
}

func saveSetsIDs(t *trial) {
	owner := t.user()
	first, second := t.token(owner), t.token(owner)
	if first.ID == second.ID || first.ID < 1 || second.ID < 1 {
		t.Errorf("SaveToken set the ids %d and %d, want two different ones above 0", first.ID, second.ID)
	}
}

func saveReplaces(t *trial) {
	token, other := t.token(nil), t.token(nil)
	full(token)
	h := t.holder()
	h.give(token)
	token.Secret, token.CreatedAt = t.credential(), epoch().Add(-time.Minute)
	owner := t.user(func(u *latchward.User) { u.Name = "Bob" })
	token.Owner = ownerOf(owner)
	t.saveToken(*token)
	t.same("a token after every field was set", t.stored(token.ID), token)
	bare := t.draft(owner)
	bare.ID = token.ID
	t.saveToken(*bare)
	t.same("a token after every field was cleared", t.stored(token.ID), bare)
	t.same("another token", t.stored(other.ID), other)
}

func saveLeavesLastUsed(t *trial) {
	token, used := t.token(nil), epoch().Add(time.Minute)
	t.add(event(token.ID, used))
	for _, at := range []time.Time{{}, epoch(), epoch().Add(time.Hour)} {
		token.LastUsedAt = at
		t.saveToken(*token)
		token.LastUsedAt = used
		t.same("a used token after it was saved", t.stored(token.ID), token)
		t.same("its facts after it was saved", t.facts(token.Secret.KeyID).Token, token)
	}
}

func saveOfNothing(t *trial) {
	token := t.token(nil)
	_, err := t.store.Tx(t.ctx, func(tx latchward.Tx) error {
		unknown := *token
		unknown.ID, unknown.Secret = token.ID+1000, t.credential()
		return tx.SaveToken(&unknown)
	})
	t.code("SaveToken with an unknown id", err, latchward.CodeNotFound)
}

func saveNeverReuses(t *trial) {
	owner := t.user()
	seen := map[latchward.TokenID]bool{}
	for range 5 {
		token := t.token(owner)
		if seen[token.ID] {
			t.Errorf("id %d was given to a second token", token.ID)
		}
		seen[token.ID] = true
		t.deleteToken(token.ID)
	}
}

// conflict saves a token in a transaction that must be refused for its key id.
func (t *trial) conflict(what string, token latchward.Token) {
	t.Helper()
	_, err := t.store.Tx(t.ctx, func(tx latchward.Tx) error {
		saved := token
		return tx.SaveToken(&saved)
	})
	t.code(what, err, latchward.CodeConflict)
}

func saveRefusesCurrent(t *trial) {
	owner := t.user()
	first, second, third := t.token(owner), t.token(owner), t.draft(owner)
	changed := *second
	changed.Secret.KeyID, third.Secret.KeyID = first.Secret.KeyID, first.Secret.KeyID
	t.conflict("a new token with the key id of another", *third)
	t.conflict("a changed token with the key id of another", changed)
	t.same("the token with that key id", t.facts(first.Secret.KeyID).Token, first)
	t.same("the token that was not changed", t.stored(second.ID), second)
	t.saveToken(*first) // with its own it may be saved again
}

func saveRefusesRetired(t *trial) {
	owner := t.user()
	first := t.token(owner)
	second, third := t.token(owner), t.draft(owner)
	t.rotate(first, epoch())
	second.Secret.KeyID, third.Secret.KeyID = first.Secret.KeyID, first.Secret.KeyID
	t.conflict("a new token with a rotated-out key id", *third)
	t.conflict("a changed token with a rotated-out key id", *second)
}

func saveNamesNew(t *trial) {
	token, commit := t.saveTokenCommit(*t.draft(t.user()))
	t.names("SaveToken of a new token", commit, latchward.ChangeToken, token.Secret.KeyID.String())
}

func saveNamesBoth(t *trial) {
	token := t.token(nil)
	changed := *token
	changed.Secret = t.credential()
	_, commit := t.saveTokenCommit(changed)
	t.names("SaveToken with a new secret", commit, latchward.ChangeToken,
		token.Secret.KeyID.String(), changed.Secret.KeyID.String())
}

func saveNamesRetired(t *trial) {
	first := t.token(nil)
	second, _ := t.rotate(first, epoch())
	third, commit := t.rotate(second, epoch())
	all := []string{first.Secret.KeyID.String(), second.Secret.KeyID.String(), third.Secret.KeyID.String()}
	t.names("rotating again", commit, latchward.ChangeToken, all...)
	_, commit = t.saveTokenCommit(*third)
	t.names("SaveToken of a rotated token", commit, latchward.ChangeToken, all...)
}

func saveForgetsReplaced(t *trial) {
	token := t.token(nil)
	changed := *token
	changed.Secret = t.credential()
	t.saveToken(changed)
	t.same("the token by its new secret", t.facts(changed.Secret.KeyID).Token, &changed)
	_, err := t.store.TokenFacts(t.ctx, token.Secret.KeyID)
	t.code("TokenFacts of a secret that was replaced and not retired", err, latchward.CodeNotFound)
}

func retireBefore(t *trial) {
	token := t.token(nil)
	retiring := latchward.RetiringSecret{Credential: token.Secret, EndsAt: epoch()}
	rotated := *token
	rotated.Secret = t.credential()
	t.tx(func(tx latchward.Tx) error {
		saved := rotated
		return errors.Join(tx.RetireSecret(token.ID, retiring), tx.SaveToken(&saved))
	})
	t.sameRotation(&rotated, retiring)
}

func retireAfter(t *trial) {
	token := t.token(nil)
	retiring := latchward.RetiringSecret{Credential: token.Secret, EndsAt: epoch()}
	rotated := *token
	rotated.Secret = t.credential()
	t.tx(func(tx latchward.Tx) error {
		saved := rotated
		return errors.Join(tx.SaveToken(&saved), tx.RetireSecret(token.ID, retiring))
	})
	t.sameRotation(&rotated, retiring)
}

func (t *trial) sameRotation(token *latchward.Token, retired latchward.RetiringSecret) {
	t.Helper()
	t.same("facts by the new secret", t.facts(token.Secret.KeyID),
		latchward.TokenFacts{Token: token, Digest: token.Secret.Digest})
	t.same("facts by the rotated-out secret", t.facts(retired.KeyID),
		latchward.TokenFacts{Token: token, Digest: retired.Digest, EndsAt: retired.EndsAt})
}

func retireNames(t *trial) {
	token := t.token(nil)
	retiring := latchward.RetiringSecret{Credential: t.credential(), EndsAt: epoch()}
	commit := t.tx(func(tx latchward.Tx) error { return tx.RetireSecret(token.ID, retiring) })
	t.names("RetireSecret", commit, latchward.ChangeToken, retiring.KeyID.String())
	t.same("facts by the retired secret", t.facts(retiring.KeyID).EndsAt, retiring.EndsAt)
}

func retireOfNothing(t *trial) {
	token := t.token(nil)
	_, err := t.store.Tx(t.ctx, func(tx latchward.Tx) error {
		return tx.RetireSecret(token.ID+1000, latchward.RetiringSecret{Credential: t.credential(), EndsAt: epoch()})
	})
	t.code("RetireSecret of an unknown token", err, latchward.CodeNotFound)
}

func deleteDisappears(t *trial) {
	owner := t.user()
	old := t.token(owner, idleAfter(30))
	token, _ := t.rotate(old, epoch())
	t.deleteToken(token.ID)
	for _, secret := range []latchward.Credential{old.Secret, token.Secret} {
		_, err := t.store.TokenFacts(t.ctx, secret.KeyID)
		t.code("TokenFacts of a deleted token", err, latchward.CodeNotFound)
	}
	_, err := t.store.Token(t.ctx, token.ID)
	t.code("Token of a deleted token", err, latchward.CodeNotFound)
	t.onlyNames("after the only token was deleted", latchward.TokenFilter{})
	t.sameIdle("after the only token was deleted", epoch().AddDate(1, 0, 0))
	counts, err := t.store.KeyCounts(t.ctx)
	t.must(err)
	t.same("KeyCounts after the only token was deleted", counts, map[int]int64{})
	t.tx(func(tx latchward.Tx) error {
		_, err := tx.Token(token.ID)
		t.code("Tx.Token of a deleted token", err, latchward.CodeNotFound)
		owned, err := tx.TokensOf(ownerOf(owner))
		t.sameTokens("TokensOf after the only token was deleted", owned)
		return err
	})
}

func deleteSparesOthers(t *trial) {
	owner := t.user()
	token, other := t.token(owner), t.token(owner)
	t.deleteToken(token.ID)
	t.same("the other token", t.stored(other.ID), other)
	t.same("the other token's facts", t.facts(other.Secret.KeyID).Token, other)
	t.same("the owner", t.storedUser(owner.ID), owner)
}

func deleteNames(t *trial) {
	first := t.token(nil)
	second, _ := t.rotate(first, epoch())
	third, _ := t.rotate(second, epoch())
	t.names("DeleteToken", t.deleteToken(third.ID), latchward.ChangeToken,
		first.Secret.KeyID.String(), second.Secret.KeyID.String(), third.Secret.KeyID.String())
}

func deleteOfNothing(t *trial) {
	token := t.token(nil)
	t.deleteToken(token.ID)
	for _, id := range []latchward.TokenID{token.ID, token.ID + 1000} {
		_, err := t.store.Tx(t.ctx, func(tx latchward.Tx) error { return tx.DeleteToken(id) })
		t.code("DeleteToken of an unknown token", err, latchward.CodeNotFound)
	}
}

// ofOwner returns what TokensOf returns.
func (t *trial) ofOwner(owner latchward.Owner) []*latchward.Token {
	t.Helper()
	var owned []*latchward.Token
	t.tx(func(tx latchward.Tx) error {
		var err error
		owned, err = tx.TokensOf(owner)
		return err
	})
	return owned
}

func tokensOfOwner(t *trial) {
	owner, other := t.user(), t.user()
	first := t.token(owner)
	foreign := t.token(other)
	second := t.token(owner, func(token *latchward.Token) { token.Active = false })
	third := t.token(owner, func(token *latchward.Token) { token.ExpiresAt = epoch().AddDate(-1, 0, 0) })
	t.sameTokens("TokensOf", t.ofOwner(ownerOf(owner)), first, second, third)
	t.sameTokens("TokensOf another", t.ofOwner(ownerOf(other)), foreign)
}

func tokensOfNotRevoked(t *trial) {
	owner := t.user()
	t.token(owner, func(token *latchward.Token) { token.RevokedAt = epoch() })
	token := t.token(owner)
	t.sameTokens("TokensOf", t.ofOwner(ownerOf(owner)), token)
}

func tokensOfAreCopies(t *trial) {
	owner := t.user()
	token := t.token(owner, full, func(token *latchward.Token) { token.RevokedAt = time.Time{} })
	for range 2 {
		owned := t.ofOwner(ownerOf(owner))
		if len(owned) != 1 {
			t.Fatalf("TokensOf returned %d tokens, want 1", len(owned))
		}
		t.same("TokensOf", owned[0], token)
		scribble(owned[0])
	}
}

func issueKeyFinds(t *trial) {
	t.token(nil, func(token *latchward.Token) { token.IssueKey = "other" })
	token := t.token(nil, full, func(token *latchward.Token) { token.IssueKey = "wanted" })
	for range 2 {
		t.tx(func(tx latchward.Tx) error {
			got, err := tx.TokenByIssueKey("wanted")
			t.must(err)
			t.same("TokenByIssueKey", got, token)
			scribble(got)
			return nil
		})
	}
}

func issueKeyOfNothing(t *trial) {
	t.token(nil)
	t.token(nil, func(token *latchward.Token) { token.IssueKey = "wanted" })
	t.tx(func(tx latchward.Tx) error {
		for _, key := range []string{"", "Wanted", "wante", "%"} {
			_, err := tx.TokenByIssueKey(key)
			t.code(fmt.Sprintf("TokenByIssueKey(%q)", key), err, latchward.CodeNotFound)
		}
		return nil
	})
}
