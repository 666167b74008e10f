package sqlite

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/latchtest"
)

// bar 73: many readers, several writers and usage at the same time, and nobody is told that the database is busy. One
// connection more than the readers have is asked for, so that waiting for one is part of it.
func TestNobodyIsTurnedAway(t *testing.T) {
	s := open(t, newPath(t), Options{Readers: 3})
	owner := addUser(t, s)
	token := addToken(t, s, owner, 0)
	rounds := latchtest.Scale(5000, 50)
	var group sync.WaitGroup
	every := func(action func(i int) error) {
		group.Go(func() {
			for i := range rounds {
				if err := action(i); err != nil {
					t.Errorf("round %d: %v", i, err)
					return
				}
			}
		})
	}
	for range 4 {
		every(func(int) error { _, err := s.TokenFacts(t.Context(), token.Secret.KeyID); return err })
	}
	for writer := range 2 {
		every(func(i int) error {
			_, err := s.Tx(t.Context(), func(tx latchward.Tx) error {
				return tx.SaveToken(newToken(owner, 1+writer+2*i))
			})
			return err
		})
	}
	every(func(i int) error { return s.AddUsage(t.Context(), batchOf(token.ID, int64(i)*10, 10, "")) })
	every(func(int) error {
		_, err1 := s.Tokens(t.Context(), latchward.TokenFilter{Limit: 100})
		err2 := s.UsageCells(t.Context(), latchward.UsageQuery{By: latchward.ByEndpoint},
			func(latchward.UsageKey, latchward.UsageCell) error { return nil })
		_, err3 := s.ForgetUsage(t.Context(), 10)
		return errors.Join(err1, err2, err3, s.Ping(t.Context()))
	})
	group.Wait()
	if count, err := s.CountTokens(t.Context(), latchward.TokenFilter{}); err != nil || count != int64(1+2*rounds) {
		t.Errorf("%d tokens, error %v, want %d", count, err, 1+2*rounds)
	}
	if n := counted(t, s); n != int64(10*rounds) {
		t.Errorf("%d requests were counted, want %d", n, 10*rounds)
	}
}

// Writers get their turn in the order in which they came: usage cannot keep a revocation waiting for more than the
// batch that is under way.
func TestWritersTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, newPath(t), Options{})
		var order []int
		const waiters = 20
		_, err := s.Tx(t.Context(), func(latchward.Tx) error {
			for i := range waiters {
				go func() {
					if err := s.write(t.Context(), func(*work) error { order = append(order, i); return nil }); err != nil {
						t.Error(err)
					}
				}()
				synctest.Wait() // until it waits
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if len(order) != waiters || !slices.IsSorted(order) {
			t.Errorf("turns were taken in the order %v", order)
		}
	})
}
