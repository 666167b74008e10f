package latchtest

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/latchward/latchward"
)

const (
	auditMatches = "AuditEntries returns the entries that match, newest first or, with f.Oldest, oldest first, " +
		"at most f.Limit of them."
	auditKept    = "Type, ID, Name and Origin are kept"
	auditAppends = "AppendAudit adds an entry and sets its ID, which must be one more than that of the newest."
	fingerprints = "KeyFingerprints returns the fingerprints of the server keys that were saved, by version."
	forgetsKey   = `SaveKeyFingerprint remembers that the server key of a version was in use; "" forgets it.`
	adoption     = "Adoption returns how many users are active, and how many of those own a token that was ever accepted, whatever " +
		"became of it but deletion."
	keyCounts = "KeyCounts returns how many tokens that are not revoked have their current secret " +
		"under each version of the server key; versions without any are left out."
	pingReturns = "Ping returns nil when the database answers and can be written to."
)

func auditPromises() []storePromise {
	return []storePromise{
		{"AuditEntries/KeepsEveryField", auditKept, auditKeepsFields},
		{"AuditEntries/NewestFirst", auditMatches, auditNewestFirst},
		{"AuditEntries/ByActionAndTarget", auditMatches, auditFilters},
		{"AuditEntries/PagesGiveEachEntryOnce", auditMatches, auditPages},
		{"AuditEntries/OldestFirst", auditMatches, auditOldestFirst},
		{"AuditEntries/ByActorOutcomeAndTime", auditMatches, auditMoreFilters},
		{"AuditEntries/ByText", auditMatches, auditByText},
		{"Tx.AppendAudit/SetsIDs", auditAppends, auditSetsIDs},
		{"Tx.AuditHead/ReturnsTheNewest", auditHead, auditHeads},
		{"Tx.EraseAudit/ClearsWhoActed", auditErases, auditErasesActor},
		{"Tx.EraseAudit/ClearsWhoWasChanged", auditErases, auditErasesTarget},
		{"Tx.EraseAudit/LeavesTheRest", auditLeaves, auditErasesNobodyElse},
		{"Tx.EraseAudit/IsPartOfTheTransaction", auditErases, auditErasesInTx},
	}
}

// append adds an audit entry and returns it as added.
func (t *trial) append(e latchward.AuditEntry) *latchward.AuditEntry {
	t.Helper()
	var added latchward.AuditEntry
	t.tx(func(tx latchward.Tx) error {
		added = e
		return tx.AppendAudit(&added)
	})
	if added.ID == 0 {
		t.Fatalf("AppendAudit set no ID")
	}
	return &added
}

func (t *trial) audit(f latchward.AuditFilter) []*latchward.AuditEntry {
	t.Helper()
	if f.Limit == 0 {
		f.Limit = latchward.MaxPage
	}
	entries, err := t.store.AuditEntries(t.ctx, f)
	t.must(err)
	return entries
}

// sameActions checks which actions the audit log tells of, newest first.
func (t *trial) sameActions(what string, want ...string) {
	t.Helper()
	var got []string
	for _, e := range t.audit(latchward.AuditFilter{}) {
		got = append(got, e.Action)
	}
	t.same(what, got, want)
}

func auditKeepsFields(t *trial) {
	entry := latchward.AuditEntry{
		At: epoch(),
		Actor: latchward.Principal{
			Type: latchward.PrincipalUser, ID: 7, Name: "Ada",
			Origin: latchward.Origin{
				Address: netip.MustParseAddr("2001:db8::7"), UserAgent: "curl/8 🐝", RequestID: "r-1",
			},
		},
		Action: latchward.ActionTokenUpdate, TargetType: "token", TargetID: 1<<53 + 1, TargetName: "Sensor",
		Before:  map[string]any{"name": "Old", "tags": []any{"a"}, "limit": 1.0, "none": nil},
		After:   map[string]any{"name": "New", "deep": map[string]any{"er": true}},
		Outcome: latchward.OutcomeDenied, Proof: proof(7),
	}
	bare := latchward.AuditEntry{At: epoch().Add(time.Millisecond), Action: latchward.ActionKeyRotate}
	v4 := latchward.AuditEntry{At: epoch(), Action: latchward.ActionKeyDrop, Actor: entry.Actor}
	v4.Actor.Origin.Address = netip.MustParseAddr("192.0.2.7")
	want := []*latchward.AuditEntry{t.append(entry), t.append(bare), t.append(v4)}
	for _, text := range awkward() {
		e := entry
		e.Actor.Name, e.TargetName, e.Actor.Origin.UserAgent = text, text, text
		e.Before, e.After = map[string]any{text: text}, map[string]any{"list": []any{text}}
		want = append(want, t.append(e))
	}
	t.same("AuditEntries", t.audit(latchward.AuditFilter{}), backwards(want))
	// What is typed in Go on its way in comes back as JSON has it, and what is not told of an actor does not come back.
	entry.Actor.Administrator, entry.Actor.Rights, entry.Actor.Groups = true, &latchward.Rights{}, []latchward.GroupID{1}
	entry.Before = map[string]any{"tags": []string{"a", "b"}, "count": int64(3), "none": []string(nil)}
	added := t.append(entry)
	added.Actor.Administrator, added.Actor.Rights, added.Actor.Groups = false, nil, nil
	t.same("an entry with typed members", t.audit(latchward.AuditFilter{Limit: 1}), []*latchward.AuditEntry{added})
}

func backwards(entries []*latchward.AuditEntry) []*latchward.AuditEntry {
	var list []*latchward.AuditEntry
	for i := range entries {
		list = append(list, entries[len(entries)-1-i])
	}
	return list
}

// auditNewestFirst adds entries whose times run backwards: what was added last is the newest.
func auditNewestFirst(t *trial) {
	var want []*latchward.AuditEntry
	for i := range 5 {
		want = append(want, t.append(latchward.AuditEntry{
			At: epoch().Add(-time.Duration(i) * time.Hour), Action: latchward.ActionTokenCreate, TargetID: int64(i),
		}))
	}
	t.same("AuditEntries", t.audit(latchward.AuditFilter{}), backwards(want))
}

func auditFilters(t *trial) {
	entry := func(action, targetType string, id int64) *latchward.AuditEntry {
		return t.append(latchward.AuditEntry{At: epoch(), Action: action, TargetType: targetType, TargetID: id})
	}
	a, b := entry("token.create", "token", 1), entry("token.create", "token", 2)
	c, d := entry("token.delete", "token", 1), entry("user.create", "user", 1)
	for _, q := range []struct {
		f    latchward.AuditFilter
		want []*latchward.AuditEntry
	}{
		{latchward.AuditFilter{Action: "token.create"}, []*latchward.AuditEntry{b, a}},
		{latchward.AuditFilter{Action: "token"}, nil},
		{latchward.AuditFilter{TargetType: "token"}, []*latchward.AuditEntry{c, b, a}},
		{latchward.AuditFilter{TargetID: 1}, []*latchward.AuditEntry{d, c, a}},
		{latchward.AuditFilter{TargetType: "token", TargetID: 1}, []*latchward.AuditEntry{c, a}},
		{latchward.AuditFilter{Action: "token.create", TargetType: "token", TargetID: 2}, []*latchward.AuditEntry{b}},
		{latchward.AuditFilter{Before: c.ID}, []*latchward.AuditEntry{b, a}},
	} {
		t.same(fmt.Sprintf("AuditEntries(%+v)", q.f), t.audit(q.f), q.want)
	}
}

func auditPages(t *trial) {
	var want []*latchward.AuditEntry
	for i := range 7 {
		want = append(want, t.append(latchward.AuditEntry{At: epoch(), Action: "a", TargetID: int64(i)}))
	}
	for limit := 1; limit <= 3; limit++ {
		var got []*latchward.AuditEntry
		f := latchward.AuditFilter{Limit: limit}
		for range len(want) + 1 {
			page := t.audit(f)
			if len(page) == 0 {
				break
			}
			if len(page) > limit {
				t.Errorf("AuditEntries returned %d entries, want at most %d", len(page), limit)
			}
			got = append(got, page...)
			f.Before = page[len(page)-1].ID
		}
		t.same(fmt.Sprintf("pages of %d", limit), got, backwards(want))
	}
}

func auditSetsIDs(t *trial) {
	entry := latchward.AuditEntry{At: epoch(), Action: latchward.ActionTokenCreate}
	first, second := t.append(entry), t.append(entry)
	t.failTx(func(tx latchward.Tx) error { return tx.AppendAudit(&latchward.AuditEntry{At: epoch()}) })
	third := t.append(entry)
	if first.ID != 1 || second.ID != 2 || third.ID != 3 {
		t.Errorf("AppendAudit set the ids %d, %d and, after one that failed, %d; want 1, 2, 3", first.ID, second.ID, third.ID)
	}
}

func keyPromises() []storePromise {
	return []storePromise{
		{"KeyFingerprints/ReturnsWhatWasSaved", fingerprints, fingerprintsSaved},
		{"Tx.SaveKeyFingerprint/EmptyForgets", forgetsKey, fingerprintsForgotten},
		{"KeyCounts/CountsCurrentSecretsByVersion", keyCounts, keyCountsByVersion},
		{"KeyCounts/LeavesRevokedTokensOut", keyCounts, keyCountsNotRevoked},
		{"Adoption/CountsActiveUsers", adoption, adoptionOfUsers},
		{"Adoption/CountsOwnersOfUsedTokens", adoption, adoptionOfTokens},
		{"Ping/ReturnsNil", pingReturns, pings},
	}
}

func (t *trial) saveFingerprint(version int, fingerprint string) {
	t.Helper()
	t.tx(func(tx latchward.Tx) error { return tx.SaveKeyFingerprint(version, fingerprint) })
}

func (t *trial) sameFingerprints(what string, want map[int]string) {
	t.Helper()
	got, err := t.store.KeyFingerprints(t.ctx)
	t.must(err)
	if len(got)+len(want) > 0 {
		t.same(what, got, want)
	}
}

func fingerprintsSaved(t *trial) {
	t.sameFingerprints("KeyFingerprints of an empty store", nil)
	t.saveFingerprint(1, "one")
	t.saveFingerprint(61, "sixty-one")
	t.saveFingerprint(2, "two")
	t.saveFingerprint(2, "another two")
	want := map[int]string{1: "one", 2: "another two", 61: "sixty-one"}
	t.sameFingerprints("KeyFingerprints", want)
	got, err := t.store.KeyFingerprints(t.ctx)
	t.must(err)
	clear(got)
	t.sameFingerprints("KeyFingerprints after its answer was cleared", want)
}

func fingerprintsForgotten(t *trial) {
	t.saveFingerprint(1, "one")
	t.saveFingerprint(2, "two")
	t.saveFingerprint(1, "")
	t.saveFingerprint(3, "")
	t.sameFingerprints("KeyFingerprints", map[int]string{2: "two"})
}

func (t *trial) sameKeyCounts(what string, want map[int]int64) {
	t.Helper()
	got, err := t.store.KeyCounts(t.ctx)
	t.must(err)
	if len(got)+len(want) > 0 {
		t.same(what, got, want)
	}
}

// under returns an edit that puts a token's secret under a version of the server key.
func (t *trial) under(version int) func(*latchward.Token) {
	return func(token *latchward.Token) { token.Secret = t.credentialUnder(version) }
}

func keyCountsByVersion(t *trial) {
	owner := t.user()
	t.sameKeyCounts("KeyCounts of an empty store", nil)
	t.token(owner, t.under(61))
	t.token(owner, t.under(36), func(token *latchward.Token) { token.Active = false })
	t.token(owner, t.under(10), func(token *latchward.Token) { token.ExpiresAt = epoch().AddDate(-1, 0, 0) })
	old := t.token(owner, t.under(36))
	t.sameKeyCounts("KeyCounts", map[int]int64{10: 1, 36: 2, 61: 1})
	t.rotate(old, epoch()) // to version 1; the rotated-out secret is not the current one
	t.sameKeyCounts("KeyCounts after a rotation", map[int]int64{1: 1, 10: 1, 36: 1, 61: 1})
}

func (t *trial) sameAdoption(what string, want latchward.Adoption) {
	t.Helper()
	got, err := t.store.Adoption(t.ctx)
	t.must(err)
	t.same(what, got, want)
}

func adoptionOfUsers(t *trial) {
	t.sameAdoption("Adoption of an empty store", latchward.Adoption{})
	t.user()
	t.user()
	t.user(func(u *latchward.User) { u.Active = false })
	t.user(func(u *latchward.User) { u.RemovedAt = epoch() })
	t.sameAdoption("Adoption without tokens", latchward.Adoption{Users: 2})
}

func adoptionOfTokens(t *trial) {
	used := func(token *latchward.Token) { token.LastUsedAt = epoch() }
	revoked := func(token *latchward.Token) { token.RevokedAt = epoch() }
	often, once, never, past := t.user(), t.user(), t.user(), t.user()
	t.token(often, used)
	t.token(often, used)
	t.token(often)
	t.token(once, used, revoked)
	t.token(never)
	t.deleteToken(t.token(past, used).ID)
	t.token(t.user(func(u *latchward.User) { u.Active = false }), used)
	t.sameAdoption("Adoption", latchward.Adoption{Users: 4, Adopters: 2})
}

func keyCountsNotRevoked(t *trial) {
	owner := t.user()
	t.token(owner, t.under(1))
	t.token(owner, t.under(1), func(token *latchward.Token) { token.RevokedAt = epoch() })
	t.token(owner, t.under(2), func(token *latchward.Token) { token.RevokedAt = epoch() })
	t.deleteToken(t.token(owner, t.under(3)).ID)
	t.sameKeyCounts("KeyCounts", map[int]int64{1: 1})
}

func pings(t *trial) {
	t.must(t.store.Ping(t.ctx))
	t.user() // it answers, so it can be written to
}
