package sqlite

import (
	"database/sql"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/latchward/latchward"
)

type feedRow struct {
	n          uint64
	kind, keys string
}

func feed(t *testing.T, s *Store) []feedRow {
	t.Helper()
	rows, err := collect(t.Context(), s.reads, func(rows *sql.Rows) (r feedRow, err error) {
		return r, rows.Scan(&r.n, &r.kind, &r.keys)
	}, `SELECT n, kind, keys FROM change ORDER BY n`)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// The feed tells what each commit tells, by the same commit.
func TestChangeFeed(t *testing.T) {
	s := open(t, newPath(t), Options{})
	owner := addUser(t, s)
	token := addToken(t, s, owner, 1)
	rotated := *token
	rotated.Secret = credential(2)
	commit, err := s.Tx(t.Context(), func(tx latchward.Tx) error {
		if err := tx.RetireSecret(token.ID, latchward.RetiringSecret{Credential: token.Secret}); err != nil {
			return err
		}
		if err := tx.SaveToken(&rotated); err != nil {
			return err
		}
		return tx.SaveUser(owner)
	})
	if err != nil {
		t.Fatal(err)
	}
	_, _ = s.Tx(t.Context(), func(tx latchward.Tx) error { // changes nothing
		_ = tx.DeleteToken(token.ID)
		return fmt.Errorf("changed my mind")
	})
	ids := fmt.Sprintf(`["%s","%s"]`, token.Secret.KeyID, rotated.Secret.KeyID)
	want := []feedRow{
		{1, "owner", `["user:1"]`}, {2, "token", fmt.Sprintf(`["%s"]`, token.Secret.KeyID)},
		{3, "owner", `["user:1"]`}, {4, "token", ids},
	}
	if got := feed(t, s); !slices.Equal(got, want) || commit.Position.N != 4 {
		t.Errorf("the feed is %v and the position %v, want %v and 4", got, commit.Position, want)
	}
}

// The feed is bounded, but keeps what somebody who fell behind may still need, and always the last row.
func TestChangeFeedIsTrimmed(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s := open(t, newPath(t), Options{Now: func() time.Time { return now }})
	const many = 500
	err := s.write(t.Context(), func(w *work) error {
		if err := w.exec(`WITH RECURSIVE i (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < ?)
			INSERT INTO change (n, kind, keys, at) SELECT n, 'token', '["x"]', ? FROM i`, many, now.UnixMilli()); err != nil {
			return err
		}
		return w.exec(`INSERT INTO change (n, kind, keys, at) VALUES (?, 'token', '["x"]', ?)`,
			keepChanges+many/2, now.UnixMilli()) // so that half of them are more than enough
	})
	if err != nil {
		t.Fatal(err)
	}
	write := func() {
		t.Helper()
		for range trimEvery {
			addUser(t, s)
		}
	}
	write()
	if rows := feed(t, s); rows[0].n != 1 {
		t.Errorf("changes of the last hour were removed: the first is %d", rows[0].n)
	}
	now = now.Add(keepChangesTime + time.Millisecond)
	write()
	rows := feed(t, s)
	first, last := rows[0].n, rows[len(rows)-1].n
	if last != keepChanges+many/2+2*trimEvery {
		t.Errorf("the last change is %d", last)
	}
	if first <= many/2+trimEvery || first > last-keepChanges+1 {
		t.Errorf("the first change is %d and the last %d: want the last %d and at most %d more",
			first, last, keepChanges, trimEvery)
	}
}
