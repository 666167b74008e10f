//go:build !race

package sqlite

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/latchtest"
)

// sector is what a disk writes whole or not at all, in bytes.
const sector = 512

// onDisk is what the files hold when a change has been acknowledged: it was synced by then.
type onDisk struct{ database, log []byte }

// bar 66: whatever of the writes behind the last sync a power cut lets through, the acknowledged changes are all there,
// and the one under way is there wholly or not at all. Writes are lost and reordered by sectors, as a disk may. What a
// test cannot see without standing between SQLite and the disk is whether each commit is synced: that is what
// TestSettings is for.
func TestChangesSurvivePowerCut(t *testing.T) {
	states := logChanges(t, 40)
	random := rand.New(latchtest.Seeded(66))
	for round := range latchtest.Scale(10_000, 200) {
		acknowledged := random.IntN(len(states) - 1)
		before, after := states[acknowledged], states[acknowledged+1]
		cut := onDisk{before.database, tornLog(random, before.log, after.log)}
		if round%2 == 1 { // the log is synced before a checkpoint writes to the database
			cut = onDisk{torn(random, before.database, after.database), after.log}
		}
		path := newPath(t)
		write(t, path, cut.database)
		write(t, path+"-wal", cut.log)
		s := open(t, path, Options{})
		checkWhole(t, s)
		checkChain(t, s, int64(acknowledged))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(filepath.Dir(path)); err != nil {
			t.Fatal(err)
		}
		if t.Failed() {
			t.Fatalf("in round %d, behind change %d", round, acknowledged)
		}
	}
}

// logChanges makes changes, with a checkpoint in every few, and returns what was on the disk after each. The n-th change
// creates token n+1 and revokes token n, with one audit entry.
func logChanges(t *testing.T, changes int) []onDisk {
	t.Helper()
	path := newPath(t)
	s := open(t, path, Options{})
	last := addToken(t, s, addUser(t, s), 1)
	if _, err := s.writer.conn.ExecContext(t.Context(), "PRAGMA wal_autocheckpoint = 30"); err != nil {
		t.Fatal(err)
	}
	states, resets := []onDisk{read(t, path)}, 0
	for n := 2; n < changes+2; n++ {
		next := newToken(&latchward.User{ID: 1}, n)
		last.RevokedAt = time.UnixMilli(1)
		_, err := s.Tx(t.Context(), func(tx latchward.Tx) error {
			if err := tx.SaveToken(last); err != nil {
				return err
			}
			if err := tx.SaveToken(next); err != nil {
				return err
			}
			return tx.AppendAudit(&latchward.AuditEntry{Action: "test", TargetName: strconv.Itoa(n)})
		})
		if err != nil {
			t.Fatal(err)
		}
		states, last = append(states, read(t, path)), next
		if before := states[len(states)-2]; !bytes.Equal(before.log[:logHeader], states[len(states)-1].log[:logHeader]) {
			resets++
		}
	}
	if resets < 2 {
		t.Fatalf("the log was begun anew %d times: the test would not see what that can break", resets)
	}
	return states
}

func read(t *testing.T, path string) (state onDisk) {
	t.Helper()
	var err error
	if state.database, err = os.ReadFile(path); err != nil {
		t.Fatal(err)
	}
	if state.log, err = os.ReadFile(path + "-wal"); err != nil {
		t.Fatal(err)
	}
	return state
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, privateFile); err != nil {
		t.Fatal(err)
	}
}

// logHeader is the length of what stands before the first frame, in bytes (https://sqlite.org/fileformat2.html#walformat).
const logHeader = 32

// tornLog returns a log on its way to the next commit. Where that begins the log anew, SQLite syncs the header before it
// writes over old frames.
func tornLog(random *rand.Rand, from, to []byte) []byte {
	begun := slices.Clone(from)
	copy(begun, to[:logHeader])
	if random.IntN(4) == 0 {
		return torn(random, from, begun)
	}
	return torn(random, begun, to)
}

// torn returns a file on its way from one content to another: any sectors may have been written. What was not written
// behind the old end is zeros, or not there.
func torn(random *rand.Rand, from, to []byte) []byte {
	size := max(len(from), len(to))
	if grown := len(to) - len(from); grown > 0 {
		size -= random.IntN(grown + 1)
	}
	content := make([]byte, size)
	copy(content, from)
	chance := random.Float64()
	for at := 0; at < min(size, len(to)); at += sector {
		if end := min(at+sector, size, len(to)); random.Float64() < chance {
			copy(content[at:end], to[at:end])
		}
	}
	return content
}

// checkChain checks that what is there are the acknowledged changes of logChanges, or one more.
func checkChain(t *testing.T, s *Store, acknowledged int64) {
	t.Helper()
	entries, err := s.AuditEntries(t.Context(), latchward.AuditFilter{})
	if err != nil {
		t.Fatal(err)
	}
	changes := int64(len(entries))
	if changes != acknowledged && changes != acknowledged+1 {
		t.Errorf("%d changes are there, but %d were acknowledged", changes, acknowledged)
	}
	tokens, err := s.CountTokens(t.Context(), latchward.TokenFilter{})
	if err != nil || tokens != changes+1 {
		t.Errorf("after %d changes there are %d tokens, error %v", changes, tokens, err)
	}
	for id := int64(1); id <= tokens; id++ {
		token, err := s.Token(t.Context(), latchward.TokenID(id))
		if err != nil || token.Revoked() != (id < tokens) {
			t.Errorf("token %d of %d is revoked: %v, error %v", id, tokens, token.Revoked(), err)
		}
	}
}
