package latchward_test

import (
	"testing"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/latchtest"
)

// reopen starts another service on the store of f, as after a crash, with the key ring that was kept.
func (f *fixture) reopen(t *testing.T, kept *latchward.KeyRing) *fixture {
	t.Helper()
	again := &fixture{store: f.store, ctx: f.ctx, owner: f.owner}
	again.now.Store(f.now.Load())
	var err error
	again.Service, err = latchward.New(f.ctx, latchward.Options{Store: f.store, Keys: kept, Now: again.clock})
	if err != nil {
		t.Fatal(err)
	}
	return again
}

// bar 136: a drop that was cut short is completed by the next start: what it refused stays refused.
func TestDropIsResumed(t *testing.T) {
	f := newFixture(t, nil)
	old := f.create(t, latchward.NewToken{})
	two := must[*latchward.KeyRing](t)(f.Keys().Rotate(latchtest.Seeded(9), f.clock()))
	f.must(t, f.UseKeys(f.ctx, two), "")
	fresh := f.create(t, latchward.NewToken{})
	f.must(t, f.UseKeys(f.ctx, must[*latchward.KeyRing](t)(two.Drop(1))), "")

	for range 2 { // and another crash before it is settled
		f = f.reopen(t, two)
		f.wantReason(t, old.Secret, latchward.ReasonMalformed)
		f.wantReason(t, fresh.Secret, latchward.ReasonAllowed)
		if versions := f.Keys().Versions(); len(versions) != 1 || versions[0].Version != 2 {
			t.Errorf("the ring holds %+v", versions)
		}
	}
	f.must(t, f.SettleKeys(f.ctx), "")
	if known := must[map[int]string](t)(f.store.KeyFingerprints(f.ctx)); len(known) != 1 || known[2] == "" {
		t.Errorf("the store remembers %v", known)
	}
	f.intact(t)

	f = f.reopen(t, two) // somebody put the key back, and knows what for
	f.wantReason(t, old.Secret, latchward.ReasonAllowed)
	entry := f.entries(t, latchward.AuditFilter{Action: latchward.ActionKeyRotate})[0]
	if entry.Actor.Type != latchward.PrincipalSystem || entry.TargetID != 1 {
		t.Errorf("the return of the key is told as %+v", entry)
	}
	f.intact(t)
}

// bar 136: a rotation that was cut short is completed by the next start, and told of.
func TestRotationOfKeysIsResumed(t *testing.T) {
	f := newFixture(t, nil)
	old := f.create(t, latchward.NewToken{})
	before := f.auditCount(t)
	f = f.reopen(t, f.Keys())
	if f.auditCount(t) != before {
		t.Error("a start with the same keys is told of")
	}
	two := must[*latchward.KeyRing](t)(f.Keys().Rotate(latchtest.Seeded(9), f.clock()))
	f = f.reopen(t, two)
	f.wantReason(t, old.Secret, latchward.ReasonAllowed)
	if fresh := f.create(t, latchward.NewToken{}); fresh.Token.Secret.KeyID.Version() != 2 {
		t.Errorf("a new secret is under version %d", fresh.Token.Secret.KeyID.Version())
	}
	entries := f.entries(t, latchward.AuditFilter{Action: latchward.ActionKeyRotate})
	if len(entries) != 1 || entries[0].TargetID != 2 || entries[0].Actor.Type != latchward.PrincipalSystem {
		t.Errorf("entries %+v", entries)
	}
	f.intact(t)
}
