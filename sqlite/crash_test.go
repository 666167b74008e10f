//go:build !race

package sqlite

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/latchtest"
)

// bar 75: a process killed before any statement of any migration leaves what the next start completes.
func TestMigrationsSurviveKill(t *testing.T) {
	want := schemaTexts(t, open(t, newPath(t), Options{}))
	for statement := 1; ; statement++ {
		path := newPath(t)
		err := newChild(t, "migrate", path, fmt.Sprintf("%s=%d", statementVariable, statement)).Run()
		if err == nil {
			if least := len(want); statement <= least {
				t.Errorf("only %d statements were run to make %d tables and indexes", statement-1, least)
			}
			return
		}
		if !killed(err) {
			t.Fatalf("killed before statement %d, the process ended with %v", statement, err)
		}
		s := open(t, path, Options{})
		if got := schemaTexts(t, s); !slices.Equal(got, want) {
			t.Fatalf("killed before statement %d, the schema became\n%q\nwant\n%q", statement, got, want)
		}
		addToken(t, s, addUser(t, s), 1)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func schemaTexts(t *testing.T, s *Store) []string {
	t.Helper()
	texts, err := collect(t.Context(), s.reads, scalar[string],
		`SELECT sql FROM sqlite_schema WHERE sql <> '' ORDER BY name`)
	if err != nil {
		t.Fatal(err)
	}
	return texts
}

func killed(err error) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	status, ok := exit.Sys().(interface{ Signal() unix.Signal })
	return ok && status.Signal() == unix.SIGKILL
}

// bar 65, C-06: a process killed at any moment loses nothing that it acknowledged and leaves nothing half done.
func TestChangesSurviveKill(t *testing.T) {
	path, random := newPath(t), rand.New(latchtest.Seeded(65))
	s := open(t, path, Options{})
	addToken(t, s, addUser(t, s), 1)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	acknowledged := 0
	for round := range latchtest.Scale(4000, 20) {
		// By turns at a moment of the parent's choice and before any statement, also in the middle of a transaction.
		killBehind, killBefore := 1+random.IntN(150), 0
		if round%2 == 1 {
			killBehind, killBefore = -1, 1+random.IntN(2000)
		}
		stages, offset, lines := loadAndKill(t, path, round+1, killBehind, killBefore)
		acknowledged += lines
		s := open(t, path, Options{})
		checkWhole(t, s)
		for id, stage := range stages {
			checkStage(t, s, id, stage)
		}
		checkUsage(t, s, offset)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
	t.Logf("%d changes were acknowledged", acknowledged)
}

// loadAndKill runs a child under load until it is killed behind a line or before a statement, and returns what it had
// acknowledged: the stage of each token and the offset of usage.
func loadAndKill(
	t *testing.T, path string, round, killBehind, killBefore int,
) (stages map[int64]int64, offset int64, lines int) {
	t.Helper()
	cmd := newChild(t, "load", path,
		fmt.Sprintf("%s=%d", roundVariable, round), fmt.Sprintf("%s=%d", statementVariable, killBefore))
	output, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	stages = map[int64]int64{}
	for scanner := bufio.NewScanner(output); scanner.Scan(); lines++ {
		if lines == killBehind {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
		var id, value int64
		if _, err := fmt.Sscan(scanner.Text(), &id, &value); err != nil {
			t.Fatalf("the child wrote %q: %v", scanner.Text(), err)
		}
		if id == 0 {
			offset = value
		} else {
			stages[id] = value
		}
	}
	if err := cmd.Wait(); !killed(err) {
		t.Fatalf("the child ended with %v", err)
	}
	return stages, offset, lines
}

// checkWhole checks what holds between tables, whatever was acknowledged.
func checkWhole(t *testing.T, s *Store) {
	t.Helper()
	for query, want := range map[string]string{
		`PRAGMA integrity_check`:                        "ok",
		`SELECT count(*) FROM pragma_foreign_key_check`: "0",
		// Token 1 was saved without an audit entry.
		`SELECT (SELECT count(*) FROM audit_entries) - (SELECT count(*) FROM change WHERE kind = 'token') + 1`: "0",
		`SELECT count(*) FROM api_token_secrets s LEFT JOIN api_tokens t ON t.id = s.token_id
			WHERE t.id IS NULL OR t.deleted_at IS NOT NULL OR t.key_id = s.key_id`: "0",
	} {
		got, err := one(t.Context(), s.reads, scalar[string], query)
		if err != nil || got != want {
			t.Errorf("%s returned %q, error %v, want %q", query, got, err, want)
		}
	}
}

// checkStage checks that a token is where it was acknowledged to be, or one step on, and wholly so.
func checkStage(t *testing.T, s *Store, id, acknowledged int64) {
	t.Helper()
	stage := stageOf(t, s, id)
	if stage != acknowledged && stage != acknowledged+1 {
		t.Errorf("token %d is at stage %d, but %d was acknowledged", id, stage, acknowledged)
	}
	entries, err := s.AuditEntries(t.Context(), latchward.AuditFilter{TargetType: "token", TargetID: id})
	if err != nil || int64(len(entries)) != stage {
		t.Errorf("token %d at stage %d has %d audit entries, error %v", id, stage, len(entries), err)
	}
}

func stageOf(t *testing.T, s *Store, id int64) int64 {
	t.Helper()
	token, err := s.Token(t.Context(), latchward.TokenID(id))
	if latchward.ErrorCode(err) == latchward.CodeNotFound {
		return deleted
	}
	if err != nil {
		t.Fatal(err)
	}
	old := token.Secret.KeyID
	old[0] = '1'
	facts, err := s.TokenFacts(t.Context(), old)
	if err != nil {
		t.Fatal(err)
	}
	isRotated := token.Secret.KeyID != old
	if isRotated == facts.EndsAt.IsZero() || isRotated == (facts.Digest == token.Secret.Digest) {
		t.Errorf("token %d has %v, and its first secret %+v", id, token.Secret, facts)
	}
	switch {
	case token.Revoked():
		return revoked
	case isRotated:
		return rotated
	}
	return created
}

// checkUsage checks that rows, sums, totals and last_used_at all tell of the same events.
func checkUsage(t *testing.T, s *Store, acknowledged int64) {
	t.Helper()
	offset, err := s.UsageOffset(t.Context(), "node")
	if err != nil || offset.At < acknowledged || offset.At > acknowledged+usageBatch && acknowledged > 0 {
		t.Errorf("usage is stored up to %d, error %v, but %d was acknowledged", offset.At, err, acknowledged)
	}
	checkRaw(t, s, offset.At)
	if n := counted(t, s); n != offset.At {
		t.Errorf("rollups tell of %d requests, want %d", n, offset.At)
	}
	counts, err := s.TokenCounts(t.Context(), []latchward.TokenID{0, 1}, time.UnixMilli(0))
	if total := counts[0].Total + counts[1].Total; err != nil || total != offset.At {
		t.Errorf("totals tell of %d requests, error %v, want %d", total, err, offset.At)
	}
	for query, want := range map[string]int64{
		rawEvents:                            offset.At,
		`SELECT count(*) FROM usage_request`: offset.At,
		`SELECT ifnull(last_used_at, 0) FROM api_tokens WHERE id = 1`: max(0, offset.At-1),
		`SELECT ifnull(max(hour), 0) FROM usage_endpoint`:             offset.At / time.Hour.Milliseconds(),
	} {
		got, err := one(t.Context(), s.reads, scalar[int64], query)
		if err != nil || got != want {
			t.Errorf("%s returned %d, error %v, want %d", query, got, err, want)
		}
	}
}

// checkRaw checks that the n-th of so many events is the one of millisecond n, and half of them are a token's.
func checkRaw(t *testing.T, s *Store, want int64) {
	t.Helper()
	n, ofToken := want, int64(0)
	err := s.UsageEvents(t.Context(), latchward.UsageEventQuery{}, func(e *latchward.UsageEvent) error {
		if at := e.At.UnixMilli(); at != n {
			return fmt.Errorf("the event of %d is where that of %d belongs", at, n)
		}
		if n--; e.TokenID != 0 {
			ofToken++
		}
		return nil
	})
	if err != nil || n != 0 || ofToken != want/2 {
		t.Errorf("of %d raw events %d are missing and %d are of the token, error %v", want, n, ofToken, err)
	}
}
