package latchward_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/latchtest"
)

// RFC 8037 appendix A.3
func TestSigningKeyIDIsTheThumbprint(t *testing.T) {
	public, err := base64.RawURLEncoding.DecodeString("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
	if err != nil {
		t.Fatal(err)
	}
	if id := latchward.SigningKeyID(ed25519.PublicKey(public)); id != "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k" {
		t.Error(id)
	}
}

// states returns what the signing keys are for, the oldest first.
func (f *fixture) states(t *testing.T) (states []latchward.SigningKeyState) {
	t.Helper()
	keys, err := f.SigningKeys(f.ctx)
	f.must(t, err, "")
	for _, k := range keys {
		if k.Sealed != "" {
			t.Error("the sealed key is shown")
		}
		states = append(states, k.State)
	}
	return states
}

func (f *fixture) wantStates(t *testing.T, what string, want ...latchward.SigningKeyState) {
	t.Helper()
	if got := f.states(t); !slices.Equal(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// published returns the ids of the keys that verify.
func (f *fixture) published(t *testing.T) (ids []string) {
	t.Helper()
	keys, err := f.PublicKeys(context.Background())
	f.must(t, err, "")
	for _, k := range keys {
		if latchward.SigningKeyID(k.Key) != k.ID {
			t.Errorf("the id %s is not that of its key", k.ID)
		}
		ids = append(ids, k.ID)
	}
	return ids
}

func (f *fixture) rotateSigning(t *testing.T, r latchward.SigningRotation) {
	t.Helper()
	f.advance(time.Millisecond)
	f.must(t, f.RotateSigningKey(f.ctx, r), "")
}

// bar 137: the next key is published before it signs, the one before until what it signed has ended, and a rotation
// under way is not begun again.
func TestSigningKeysOverlap(t *testing.T) {
	f := newFixture(t, nil)
	f.wantStates(t, "before any need")
	f.rotateSigning(t, latchward.SigningRotation{})
	f.wantStates(t, "the first", latchward.SigningActive)
	f.rotateSigning(t, latchward.SigningRotation{})
	f.wantStates(t, "at once", latchward.SigningActive, latchward.SigningUpcoming)
	if n := len(f.published(t)); n != 2 {
		t.Errorf("%d keys are published", n)
	}
	f.must(t, f.RotateSigningKey(f.ctx, latchward.SigningRotation{}), latchward.CodeConflict)
	f.advance(2*latchward.SigningKeysMaxAge - time.Millisecond)
	f.wantStates(t, "just before", latchward.SigningActive, latchward.SigningUpcoming)
	f.advance(time.Millisecond)
	f.wantStates(t, "after verifiers had time", latchward.SigningRetired, latchward.SigningActive)
	f.advance(latchward.MaxDerivedLifetime + time.Minute - time.Millisecond)
	if n := len(f.published(t)); n != 2 {
		t.Errorf("%d keys are published while tokens may live", n)
	}
	f.advance(time.Millisecond)
	f.wantStates(t, "after the last token", latchward.SigningActive)
	if n := len(f.published(t)); n != 1 {
		t.Errorf("%d keys are published at the end", n)
	}
	f.intact(t)
}

// bar 137: an emergency ends keys at once, and their private part is gone.
func TestEmergencyRevokesSigningKeys(t *testing.T) {
	f := newFixture(t, nil)
	f.rotateSigning(t, latchward.SigningRotation{})
	f.rotateSigning(t, latchward.SigningRotation{})
	before := f.published(t)
	f.rotateSigning(t, latchward.SigningRotation{Emergency: true})
	f.wantStates(t, "all", latchward.SigningRevoked, latchward.SigningRevoked, latchward.SigningActive)
	after := f.published(t)
	if len(after) != 1 || slices.Contains(before, after[0]) {
		t.Errorf("published %v, then %v", before, after)
	}
	stored, err := f.store.SigningKeys(f.ctx)
	f.must(t, err, "")
	for _, k := range stored {
		if (k.Sealed == "") != slices.Contains(before, k.ID) {
			t.Errorf("key %s: sealed %t", k.ID, k.Sealed != "")
		}
	}
	f.must(t, f.RotateSigningKey(f.ctx, latchward.SigningRotation{Emergency: true, ID: before[0]}), latchward.CodeNotFound)
	f.must(t, f.RotateSigningKey(f.ctx, latchward.SigningRotation{ID: after[0]}), latchward.CodeInvalid)

	// One key alone: a retired one leaves the others as they are.
	f.rotateSigning(t, latchward.SigningRotation{})
	f.advance(2 * latchward.SigningKeysMaxAge)
	f.rotateSigning(t, latchward.SigningRotation{Emergency: true, ID: after[0]})
	want := []latchward.SigningKeyState{"revoked", "revoked", "revoked", "active"}
	f.wantStates(t, "one", want...)
	f.intact(t)
}

// B-02: whatever becomes of the server keys, no signing key is lost with one, and the database alone opens none.
func TestSigningKeysAreSealedUnderTheCurrentServerKey(t *testing.T) {
	keys := ring(t)
	f := newFixture(t, func(o *latchward.Options) { o.Keys = keys })
	f.rotateSigning(t, latchward.SigningRotation{})
	f.rotateSigning(t, latchward.SigningRotation{})
	before := f.published(t)
	next, err := keys.Rotate(latchtest.Seeded(8), f.clock())
	f.must(t, err, "")
	f.must(t, f.UseKeys(f.ctx, next), "")
	alone, err := next.Drop(1)
	f.must(t, err, "")
	f.must(t, f.UseKeys(f.ctx, alone), "")
	restarted, err := latchward.New(f.ctx, latchward.Options{Store: f.store, Keys: alone, Now: f.clock})
	f.must(t, err, "")
	public, err := restarted.PublicKeys(f.ctx)
	f.must(t, err, "")
	if len(public) != 2 || public[0].ID != before[0] || public[1].ID != before[1] {
		t.Errorf("after a restart: %v, want %v", public, before)
	}
}

// Whoever can write to the database alone cannot add a key, move one, or bring a revoked one back.
func TestSigningKeysAreNotBelievedFromTheDatabase(t *testing.T) {
	f := newFixture(t, nil)
	f.rotateSigning(t, latchward.SigningRotation{})
	good := f.published(t)[0]
	stored, err := f.store.SigningKeys(f.ctx)
	f.must(t, err, "")
	strangers := ring(t) // a ring of the same bytes as ours is ours; another one is not
	strangers, err = strangers.Rotate(latchtest.Seeded(99), f.clock())
	f.must(t, err, "")
	seed := strings.Repeat("x", ed25519.SeedSize)
	id := latchward.SigningKeyID(ed25519.NewKeyFromSeed([]byte(seed)).Public().(ed25519.PublicKey))
	sealed, err := strangers.Seal(latchtest.Seeded(3), "signing key", "signing_key:"+id, seed)
	f.must(t, err, "")
	renamed := *stored[0]
	renamed.ID = id
	for _, k := range []latchward.SigningKey{{ID: id, Sealed: sealed}, {ID: id, Sealed: seed}, {ID: id}, renamed} {
		k.CreatedAt, k.ActiveFrom = f.clock(), f.clock()
		_, err := f.store.Tx(f.ctx, func(tx latchward.Tx) error { return tx.SaveSigningKey(&k) })
		f.must(t, err, "")
		restarted, err := latchward.New(f.ctx, latchward.Options{Store: f.store, Keys: ring(t), Now: f.clock})
		f.must(t, err, "")
		public, err := restarted.PublicKeys(f.ctx)
		f.must(t, err, "")
		if len(public) != 1 || public[0].ID != good {
			t.Errorf("published %v, want %s alone", public, good)
		}
	}
}

// Of rotations at the same time one is made and the others are told so; a need at the same time makes one key.
func TestConcurrentSigningRotations(t *testing.T) {
	f := newFixture(t, nil)
	f.rotateSigning(t, latchward.SigningRotation{})
	f.advance(time.Millisecond)
	var made, refused atomic.Int64
	var done sync.WaitGroup
	for range 20 {
		done.Go(func() {
			switch err := f.RotateSigningKey(f.ctx, latchward.SigningRotation{}); latchward.ErrorCode(err) {
			case "":
				made.Add(1)
			case latchward.CodeConflict:
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	done.Wait()
	if made.Load() != 1 || refused.Load() != 19 {
		t.Errorf("%d were made and %d refused", made.Load(), refused.Load())
	}
	f.wantStates(t, "at the end", latchward.SigningActive, latchward.SigningUpcoming)
	f.intact(t)
}
