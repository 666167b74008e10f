package sqlite

import (
	"context"
	"database/sql"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/latchtest"
)

func allEvents(t testing.TB, s *Store, q latchward.UsageEventQuery) []latchward.UsageEvent {
	t.Helper()
	var events []latchward.UsageEvent
	err := s.UsageEvents(t.Context(), q, func(e *latchward.UsageEvent) error {
		events = append(events, *e)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return events
}

func prune(t testing.TB, s *Store, r latchward.UsageRetention) {
	t.Helper()
	if _, err := s.PruneUsage(t.Context(), r, 1000); err != nil {
		t.Fatal(err)
	}
}

// What earlier versions, and a store that was told to, kept as rows is read together with packs.
func TestRowsAndPacksAreReadTogether(t *testing.T) {
	path, id := newPath(t), latchward.TokenID(0)
	var want []latchward.UsageEvent
	for round := range 4 {
		s := open(t, path, Options{UsageRows: round%2 == 0})
		if round == 0 {
			id = addToken(t, s, addUser(t, s), 1).ID
		}
		b := batchOf(id, int64(round*10), 10, "")
		addUsage(t, s, b)
		for i := range b.Events {
			b.Events[i].At = b.Events[i].At.UTC()
			want = append([]latchward.UsageEvent{b.Events[i]}, want...)
		}
		for _, limit := range []int{0, 1, 15, 100} {
			part := want
			if limit > 0 {
				part = want[:min(limit, len(want))]
			}
			got := allEvents(t, s, latchward.UsageEventQuery{Token: id, Limit: limit})
			if diff := cmp.Diff(part, got, cmpopts.EquateComparable(part[0].Address)); diff != "" {
				t.Errorf("round %d, limit %d: (-want +got)\n%s", round, limit, diff)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, path, Options{})
	prune(t, s, latchward.UsageRetention{Events: want[5].At})
	if got := len(allEvents(t, s, latchward.UsageEventQuery{})); got != 6 {
		t.Errorf("%d events are left of rows and packs, want 6", got)
	}
}

// Every flush leaves a pack; merged they are few, and what can be asked stays the same.
func TestSmallPacksAreMerged(t *testing.T) {
	s := open(t, newPath(t), Options{})
	owner := addUser(t, s)
	ids := []latchward.TokenID{addToken(t, s, owner, 1).ID, addToken(t, s, owner, 2).ID, 0}
	const flushes = 600
	for i := range flushes {
		addUsage(t, s, batchOf(ids[i%3], int64(i*2), 2, ""))
	}
	queries := []latchward.UsageEventQuery{{}, {Limit: 7}, {Token: ids[0]}, {Token: ids[1], Limit: 50},
		{Token: ids[1], From: time.UnixMilli(1_790_000_000_000 + flushes)}}
	var before [][]latchward.UsageEvent
	for _, q := range queries {
		before = append(before, allEvents(t, s, q))
	}
	prune(t, s, latchward.UsageRetention{})
	prune(t, s, latchward.UsageRetention{})
	packs := number(t, s, `SELECT count(*) FROM usage_pack`)
	if most := int64((len(tiers) - 1) * defaultMergeAt); packs >= most || number(t, s, rawEvents) != 2*flushes {
		t.Errorf("%d flushes are %d packs, want less than %d", flushes, packs, most)
	}
	for i, q := range queries {
		after := allEvents(t, s, q)
		if diff := cmp.Diff(before[i], after, cmpopts.EquateComparable(latchward.UsageEvent{}.Address)); diff != "" {
			t.Errorf("%+v: (-before +after)\n%s", q, diff)
		}
	}
}

// Full packs are written once: merging would double what an event costs.
func TestFullPacksAreLeftAlone(t *testing.T) {
	s := open(t, newPath(t), Options{mergeAt: 2})
	id := addToken(t, s, addUser(t, s), 1).ID
	for i := range int64(3) {
		addUsage(t, s, batchOf(id, i*4096, 4096, ""))
	}
	prune(t, s, latchward.UsageRetention{})
	if packs := number(t, s, `SELECT count(*) FROM usage_pack`); packs != 3 {
		t.Errorf("there are %d packs, want 3", packs)
	}
}

// A reader sees each event once, whatever is merged and added meanwhile.
func TestMergingUnderReaders(t *testing.T) {
	s := open(t, newPath(t), Options{mergeAt: 2})
	id := addToken(t, s, addUser(t, s), 1).ID
	var group sync.WaitGroup
	done := make(chan struct{})
	group.Go(func() {
		defer close(done)
		for i := range int64(latchtest.Scale(5000, 200)) {
			addUsage(t, s, batchOf(id, i*3, 3, ""))
			prune(t, s, latchward.UsageRetention{})
		}
	})
	last := 0
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		events := allEvents(t, s, latchward.UsageEventQuery{Token: id})
		if len(events)%3 != 0 || len(events) < last {
			t.Fatalf("%d events behind %d", len(events), last)
		}
		for i, e := range events {
			if want := int64(len(events) - 1 - i); e.At.UnixMilli() != 1_790_000_000_000+want {
				t.Fatalf("of %d events the one at %d is of %d", len(events), i, e.At.UnixMilli())
			}
		}
		last = len(events)
	}
	group.Wait()
}

// A token that is deleted while its usage is packed leaves no raw event behind.
func TestTokenDeletedWhilePacking(t *testing.T) {
	f := &faults{}
	s := open(t, newPath(t), Options{wrap: f.wrap})
	owner := addUser(t, s)
	gone, stays := addToken(t, s, owner, 1), addToken(t, s, owner, 2)
	b, c := batchOf(gone.ID, 0, 5, ""), batchOf(stays.ID, 5, 5, "")
	b.To, b.Events, b.Names = c.To, append(b.Events, c.Events...), append(b.Names, c.Names...)
	var once sync.Once
	f.after = func(statement string) {
		if strings.HasPrefix(statement, "SELECT id FROM api_tokens\n\t\tWHERE id IN") {
			once.Do(func() {
				if _, err := s.Tx(t.Context(), func(tx latchward.Tx) error { return tx.DeleteToken(gone.ID) }); err != nil {
					t.Error(err)
				}
			})
		}
	}
	addUsage(t, s, b)
	f.mu.Lock()
	f.after = nil
	f.mu.Unlock()
	if n := number(t, s, rawEvents); n != 5 || number(t, s, `SELECT count(*) FROM api_tokens WHERE deleted_at > 0`) != 1 {
		t.Errorf("%d raw events are kept, want the 5 of the token that stays", n)
	}
	if n := counted(t, s); n != 10 {
		t.Errorf("%d requests were counted, want 10", n)
	}
}

// bar 70: a pack of which a byte changed is refused; the rest of the database goes on.
func TestDamagedPack(t *testing.T) {
	s := open(t, newPath(t), Options{})
	id := addToken(t, s, addUser(t, s), 1).ID
	addUsage(t, s, batchOf(id, 0, 100, ""))
	err := s.write(t.Context(), func(w *work) error {
		return w.exec(`UPDATE usage_pack SET payload = CAST(substr(payload, 1, 40) || x'00' || substr(payload, 42) AS BLOB)`)
	})
	if err != nil {
		t.Fatal(err)
	}
	ignore := func(*latchward.UsageEvent) error { return nil }
	err = s.UsageEvents(t.Context(), latchward.UsageEventQuery{}, ignore)
	if latchward.ErrorCode(err) != latchward.CodeUnavailable {
		t.Errorf("reading a damaged pack returned %v, want code unavailable", err)
	}
	if _, err := s.Token(t.Context(), id); err != nil {
		t.Error(err)
	}
}

// Packs are found by their index and newest first; a search ends when nothing newer can come.
func TestPlansOfPacks(t *testing.T) {
	s := open(t, newPath(t), Options{})
	for text, want := range map[string]string{
		packsBefore: "SEARCH usage_pack USING INDEX usage_pack_to (to_at>? AND to_at<?)",
		packsAfter:  "SEARCH usage_pack USING INTEGER PRIMARY KEY (rowid>?)",
		oldPacks:    "SEARCH usage_pack USING COVERING INDEX usage_pack_from (from_at<?)",
		packsOfTier: "USING COVERING INDEX usage_pack_small",
	} {
		got := plan(t, s, text)
		if !strings.Contains(got, want) {
			t.Errorf("%s:\n%s\nwant\n%s", text, got, want)
		}
	}
	owner := addUser(t, s)
	busy, quiet := addToken(t, s, owner, 1).ID, addToken(t, s, owner, 2).ID
	addUsage(t, s, batchOf(quiet, 0, 1, ""))
	for i := range int64(100) {
		addUsage(t, s, batchOf(busy, 1+i*60, 60, ""))
	}
	for _, c := range []struct {
		q    latchward.UsageEventQuery
		most int
	}{
		{latchward.UsageEventQuery{Token: busy, Limit: 50}, 1}, {latchward.UsageEventQuery{Limit: 50}, 1},
		{latchward.UsageEventQuery{Token: quiet, Limit: 50}, 1}, {latchward.UsageEventQuery{Token: busy, Limit: 150}, 3},
	} {
		if got := opened(t, s, c.q); got > c.most {
			t.Errorf("%+v opened %d packs, want at most %d", c.q, got, c.most)
		}
	}
}

// opened returns how many packs are read to answer q.
func opened(t *testing.T, s *Store, q latchward.UsageEventQuery) (n int) {
	t.Helper()
	err := s.snapshot(t.Context(), func(r runner) error {
		counting := &countingRunner{runner: r}
		_, err := s.newestEvents(t.Context(), counting, &q)
		n = counting.payloads
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

type countingRunner struct {
	runner
	payloads int
}

func (c *countingRunner) query(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	if text == payload {
		c.payloads++
	}
	return c.runner.query(ctx, text, args...)
}
