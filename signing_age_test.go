package latchward_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/latchtest"
	"github.com/latchward/latchward/memory"
	"github.com/latchward/latchward/oauth"
)

// bar 137: a key is rotated when it is old, once, and forgotten when nobody needs it.
func TestSigningKeysAreRotatedByAge(t *testing.T) {
	for _, age := range []time.Duration{24 * time.Hour, -1} {
		synctest.Test(t, func(t *testing.T) {
			ctx, stop := context.WithCancel(latchtest.Local(t.Context()))
			store := memory.New()
			s, err := latchward.New(ctx, latchward.Options{
				Store: store, Keys: ring(t), Now: time.Now, JWT: oauth.Format(), SigningKeyAge: age,
			})
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- s.Run(ctx) }()
			if err := s.RotateSigningKey(ctx, latchward.SigningRotation{}); err != nil {
				t.Fatal(err)
			}
			count := func() int {
				t.Helper()
				keys, err := store.SigningKeys(ctx)
				if err != nil {
					t.Fatal(err)
				}
				return len(keys)
			}
			for _, c := range []struct {
				wait time.Duration
				want int
			}{{23 * time.Hour, 1}, {62 * time.Minute, 2}, {10 * time.Minute, 2}, {63 * time.Minute, 1}, {20 * time.Hour, 1}} {
				time.Sleep(c.wait)
				synctest.Wait()
				if want := c.want; count() != want && age > 0 || age < 0 && count() != 1 {
					t.Errorf("age %s, after %s: %d keys, want %d", age, c.wait, count(), want)
				}
			}
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}

// fullLists is a store in which the first status lists of each period are full.
type fullLists struct {
	latchward.Store
	full int64 // how many
}

func (s *fullLists) DerivedTokens(ctx context.Context, list int64) ([]*latchward.DerivedRecord, error) {
	if list%8 < s.full {
		return make([]*latchward.DerivedRecord, latchward.StatusListSize/2), nil
	}
	return s.Store.DerivedTokens(ctx, list)
}

// Tokens go into the next list when one is full, and nowhere when all are.
func TestFullStatusLists(t *testing.T) {
	store := &fullLists{full: 3}
	f := newFixture(t, func(o *latchward.Options) {
		store.Store, o.JWT = o.Store, oauth.Format()
		o.Store = store
	})
	issued := f.create(t, latchward.NewToken{})
	first := f.clock().Unix() / 3600 * 8
	if got := f.derive(t, issued.Secret).Claims.Status.List; got != first+3 {
		t.Errorf("list %d, want %d", got, first+3)
	}
	f.advance(time.Hour)
	if got := f.derive(t, issued.Secret).Claims.Status.List; got != first+11 {
		t.Errorf("an hour later: list %d, want %d", got, first+11)
	}
	store.full = 8
	f.advance(time.Hour)
	_, err := f.DeriveToken(f.ctx, latchward.DeriveRequest{Secret: issued.Secret, Issuer: derivedIssuer})
	f.must(t, err, latchward.CodeExhausted)
}
