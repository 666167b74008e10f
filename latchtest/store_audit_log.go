package latchtest

import (
	"bytes"
	"fmt"
	"net/netip"
	"time"

	"github.com/latchward/latchward"
)

const (
	auditHead = "AuditHead returns id and hash of the newest entry, and the zero AuditHead when there is none."

	auditErases = "EraseAudit takes what tells who a user is out of all entries: it must clear the name, address, user " +
		"agent and ActorKey of those whose actor the user is, and the TargetName, TargetKey and all members that " +
		"[PersonalMembers] names of those whose target the user is."
	auditLeaves = "It must leave everything else as it is."
)

// proof is one that is unlike every other.
func proof(seed byte) latchward.AuditProof {
	some := func(field byte, n int) []byte { return bytes.Repeat([]byte{seed ^ field<<4}, n) }
	return latchward.AuditProof{
		ActorKey: some(1, 16), ActorDigest: some(2, 32), TargetKey: some(3, 16), TargetDigest: some(4, 32),
		KeyVersion: int(seed), Hash: some(5, 32), Seal: some(6, 16),
	}
}

func auditOldestFirst(t *trial) {
	var want []*latchward.AuditEntry
	for i := range 5 {
		at := epoch().Add(-time.Duration(i) * time.Hour)
		want = append(want, t.append(latchward.AuditEntry{At: at, Action: "a", TargetID: int64(i)}))
	}
	t.same("all", t.audit(latchward.AuditFilter{Oldest: true}), want)
	t.same("behind the second", t.audit(latchward.AuditFilter{Oldest: true, After: want[1].ID}), want[2:])
	t.same("a page", t.audit(latchward.AuditFilter{Oldest: true, After: want[1].ID, Limit: 2}), want[2:4])
	t.same("between", t.audit(latchward.AuditFilter{Oldest: true, After: want[0].ID, Before: want[4].ID}), want[1:4])
	t.same("the newest first", t.audit(latchward.AuditFilter{After: want[2].ID}), backwards(want[3:]))
}

func auditMoreFilters(t *trial) {
	entry := func(kind latchward.PrincipalType, id int64, outcome latchward.AuditOutcome, ms int) *latchward.AuditEntry {
		return t.append(latchward.AuditEntry{
			At: epoch().Add(time.Duration(ms) * time.Millisecond), Action: "a", Outcome: outcome,
			Actor: latchward.Principal{Type: kind, ID: id},
		})
	}
	const user, token = latchward.PrincipalUser, latchward.PrincipalToken
	a := entry(user, 1, latchward.OutcomeDone, 0)
	b := entry(user, 2, latchward.OutcomeDenied, 1)
	c := entry(token, 1, latchward.OutcomeDone, 2)
	ms := func(n int) time.Time { return epoch().Add(time.Duration(n) * time.Millisecond) }
	for _, q := range []struct {
		f    latchward.AuditFilter
		want []*latchward.AuditEntry
	}{
		{latchward.AuditFilter{ActorType: user}, []*latchward.AuditEntry{b, a}},
		{latchward.AuditFilter{ActorID: 1}, []*latchward.AuditEntry{c, a}},
		{latchward.AuditFilter{ActorType: user, ActorID: 1}, []*latchward.AuditEntry{a}},
		{latchward.AuditFilter{Outcome: latchward.OutcomeDenied}, []*latchward.AuditEntry{b}},
		{latchward.AuditFilter{Outcome: latchward.OutcomeDone}, []*latchward.AuditEntry{c, a}},
		{latchward.AuditFilter{From: ms(1)}, []*latchward.AuditEntry{c, b}},
		{latchward.AuditFilter{From: ms(1).Add(1)}, []*latchward.AuditEntry{c}},
		{latchward.AuditFilter{Until: ms(1)}, []*latchward.AuditEntry{a}},
		{latchward.AuditFilter{Until: ms(1).Add(1)}, []*latchward.AuditEntry{b, a}},
		{latchward.AuditFilter{From: ms(1), Until: ms(2)}, []*latchward.AuditEntry{b}},
	} {
		t.same(fmt.Sprintf("AuditEntries(%+v)", q.f), t.audit(q.f), q.want)
	}
}

func auditByText(t *trial) {
	e := latchward.AuditEntry{At: epoch(), Action: "needle", TargetName: "Kühl%haus 7"}
	e.Actor = latchward.Principal{Name: "Ada_L", Origin: latchward.Origin{
		Address: netip.MustParseAddr("192.0.2.77"), UserAgent: "curl/8", RequestID: "req-1",
	}}
	e.After = map[string]any{"name": "needle"}
	full := t.append(e)
	t.append(latchward.AuditEntry{At: epoch(), Action: "b"})
	for text, found := range map[string]bool{
		"ada_l": true, "DA_": true, "L%H": true, "kühl": true, "KÜHL": false, "2.0.2.7": true, "CURL": true, "Q-1": true,
		"needle": false, "Ada%": false, "d_L": false, "haus  7": false,
	} {
		var want []*latchward.AuditEntry
		if found {
			want = append(want, full)
		}
		t.same("entries with "+text, t.audit(latchward.AuditFilter{Text: text}), want)
	}
}

func auditHeads(t *trial) {
	heads := func() (head latchward.AuditHead) {
		t.tx(func(tx latchward.Tx) (err error) { head, err = tx.AuditHead(); return err })
		return head
	}
	t.same("the head of an empty log", heads(), latchward.AuditHead{})
	t.append(latchward.AuditEntry{At: epoch(), Proof: proof(1)})
	second := t.append(latchward.AuditEntry{At: epoch().Add(-time.Hour), Proof: proof(2)})
	want := latchward.AuditHead{ID: second.ID, Hash: proof(2).Hash}
	t.same("the head", heads(), want)
	clear(heads().Hash)
	t.same("the head after its hash was overwritten", heads(), want)
	t.tx(func(tx latchward.Tx) error {
		e := latchward.AuditEntry{At: epoch(), Proof: proof(3)}
		if err := tx.AppendAudit(&e); err != nil {
			return err
		}
		head, err := tx.AuditHead()
		t.same("the head within the transaction", head, latchward.AuditHead{ID: e.ID, Hash: proof(3).Hash})
		return err
	})
}

// about is an entry full of what tells who somebody is.
func about(kind latchward.PrincipalType, actor int64, targetType string, target int64) latchward.AuditEntry {
	members := func() map[string]any {
		return map[string]any{"name": "Bob", "email": "b@example.com", "external_id": "bob", "active": true, "names": "x"}
	}
	return latchward.AuditEntry{
		At: epoch(), Action: latchward.ActionUserUpdate, Outcome: latchward.OutcomeDone,
		Actor: latchward.Principal{Type: kind, ID: actor, Name: "Ada", Origin: latchward.Origin{
			Address: netip.MustParseAddr("192.0.2.7"), UserAgent: "curl/8", RequestID: "req-1",
		}},
		TargetType: targetType, TargetID: target, TargetName: "Bob", Before: members(), After: members(), Proof: proof(9),
	}
}

func (t *trial) erase(user latchward.UserID) {
	t.Helper()
	t.tx(func(tx latchward.Tx) error { return tx.EraseAudit(user) })
}

func auditErasesActor(t *trial) {
	kept := t.append(about(latchward.PrincipalUser, 7, "user", 8))
	t.erase(7)
	kept.Actor.Name, kept.Actor.Origin = "", latchward.Origin{RequestID: "req-1"}
	kept.Proof.ActorKey = nil
	t.same("an entry of the user's", t.audit(latchward.AuditFilter{}), []*latchward.AuditEntry{kept})
	t.erase(7)
	t.same("erased once more", t.audit(latchward.AuditFilter{}), []*latchward.AuditEntry{kept})
}

func auditErasesTarget(t *trial) {
	kept := t.append(about(latchward.PrincipalUser, 7, "user", 8))
	created := about(latchward.PrincipalUser, 7, "user", 8)
	created.Before = nil
	bare := t.append(created)
	t.erase(8)
	kept.TargetName, kept.Proof.TargetKey = "", nil
	rest := map[string]any{"active": true, "names": "x"}
	kept.Before, kept.After = rest, rest
	bare.TargetName, bare.Proof.TargetKey, bare.After = "", nil, rest
	t.same("entries about the user", t.audit(latchward.AuditFilter{}), []*latchward.AuditEntry{bare, kept})
}

func auditErasesNobodyElse(t *trial) {
	const user, token = latchward.PrincipalUser, latchward.PrincipalToken
	want := []*latchward.AuditEntry{
		t.append(about(user, 1, "user", 2)), t.append(about(token, 7, "token", 7)), t.append(about(user, 77, "group", 7)),
	}
	t.erase(7)
	t.same("entries of others", t.audit(latchward.AuditFilter{Oldest: true}), want)
}

func auditErasesInTx(t *trial) {
	want := []*latchward.AuditEntry{t.append(about(latchward.PrincipalUser, 7, "user", 7))}
	t.failTx(func(tx latchward.Tx) error { return tx.EraseAudit(7) })
	t.same("after a transaction that failed", t.audit(latchward.AuditFilter{}), want)
	t.tx(func(tx latchward.Tx) error {
		e := about(latchward.PrincipalUser, 7, "user", 7)
		if err := tx.AppendAudit(&e); err != nil {
			return err
		}
		return tx.EraseAudit(7)
	})
	for _, e := range t.audit(latchward.AuditFilter{}) {
		if e.Actor.Name+e.TargetName != "" {
			t.Errorf("entry %d still tells of %q and %q", e.ID, e.Actor.Name, e.TargetName)
		}
	}
}
