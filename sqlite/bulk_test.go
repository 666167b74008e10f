package sqlite

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/latchtest"
)

func bulkService(ctx context.Context, s *Store) (*latchward.Service, error) {
	ring, err := latchward.GenerateKeyRing(latchtest.Seeded(1), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	if err != nil {
		return nil, err
	}
	return latchward.New(ctx, latchward.Options{Store: s, Keys: ring, CreationLimit: 1_000_000})
}

// fleet makes a database with a user who owns n tokens, and returns their secrets.
func fleet(t testing.TB, path string, n int) []latchward.Secret {
	t.Helper()
	ctx := latchtest.Local(t.Context())
	s, err := Open(ctx, path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	service, err := bulkService(ctx, s)
	if err != nil {
		t.Fatal(err)
	}
	ben, err := service.CreateUser(ctx, latchward.NewUser{Name: "Ben"})
	if err != nil {
		t.Fatal(err)
	}
	owner := &latchward.Owner{Type: latchward.OwnerUser, ID: int64(ben.ID)}
	var secrets []latchward.Secret
	for range n {
		issued, err := service.CreateToken(ctx, latchward.NewToken{Owner: owner})
		if err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, issued.Secret)
	}
	return secrets
}

// revokeFleet revokes all tokens of a database, or tells how many it would.
func revokeFleet(ctx context.Context, s *Store, count *int64) (latchward.BulkResult, error) {
	service, err := bulkService(ctx, s)
	if err != nil {
		return latchward.BulkResult{}, err
	}
	return service.BulkTokens(ctx, latchward.Bulk{
		Action: latchward.BulkRevoke, Filter: latchward.TokenFilter{Kind: latchward.KindPersonal}, Count: count,
	})
}

// bulkInChild revokes all tokens and kills itself before a statement. It writes how many statements there were.
func bulkInChild(path string) error {
	ctx := latchtest.Local(context.Background())
	last := childNumber(statementVariable)
	var statements atomic.Int64
	f := &faults{before: func(string) error {
		if statements.Add(1) == int64(last) {
			_ = unix.Kill(os.Getpid(), unix.SIGKILL)
			select {} // the signal is on its way
		}
		return nil
	}}
	s, err := Open(ctx, path, Options{wrap: f.wrap})
	if err != nil {
		return err
	}
	count := int64(childNumber(roundVariable))
	if _, err := revokeFleet(ctx, s, &count); err != nil {
		return err
	}
	fmt.Println(statements.Load())
	return s.Close()
}

// bar 61: a process that is killed in the middle of a change of many tokens has changed all of them or none, and the
// audit log says the same.
func TestBulkIsAllOrNothing(t *testing.T) {
	tokens, kills := 40, 20
	if os.Getenv("LATCHWARD_SCALE") == "full" {
		tokens, kills = 10_000, 40
	}
	const seed = 61
	random := rand.New(rand.NewPCG(seed, seed))
	origin := filepath.Join(t.TempDir(), "origin.db")
	fleet(t, origin, tokens)
	round := roundVariable + "=" + strconv.Itoa(tokens)
	all := copyOf(t, origin)
	cmd := newChild(t, "bulk", all, statementVariable+"=0", round)
	cmd.Stdout = nil
	output, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	statements, err := strconv.Atoi(strings.TrimSpace(string(output)))
	if err != nil {
		t.Fatal(err)
	}
	if got := revokedIn(t, all); got != tokens {
		t.Fatalf("an undisturbed change revoked %d of %d", got, tokens)
	}
	seen := map[int]int{}
	for i := range kills {
		before := statements - 2*i // around the end, where it is decided
		if i >= 8 {
			before = 1 + random.IntN(statements)
		}
		path := copyOf(t, origin)
		_ = newChild(t, "bulk", path, statementVariable+"="+strconv.Itoa(before), round).Run()
		got := revokedIn(t, path)
		if seen[got]++; got != 0 && got != tokens {
			t.Errorf("seed %d: killed before statement %d of %d: %d of %d tokens are revoked", seed, before, statements, got, tokens)
		}
	}
	if seen[0] == 0 {
		t.Errorf("no kill came before the end: %v", seen)
	}
}

// copyOf returns the path of a copy of a closed database.
func copyOf(t *testing.T, path string) string {
	t.Helper()
	from, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = from.Close() }()
	copied := filepath.Join(t.TempDir(), "copy.db")
	to, err := os.OpenFile(copied, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(to, from); err != nil {
		t.Fatal(err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	return copied
}

// revokedIn returns how many tokens of a database are revoked, which as many audit entries must tell.
func revokedIn(t *testing.T, path string) int {
	t.Helper()
	s, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	n, err := s.CountTokens(t.Context(), latchward.TokenFilter{Status: latchward.StatusRevoked})
	if err != nil {
		t.Fatal(err)
	}
	entries, err := s.AuditEntries(t.Context(), latchward.AuditFilter{Action: latchward.ActionTokenRevoke})
	if err != nil || int64(len(entries)) != n {
		t.Errorf("%d tokens are revoked, %d entries tell so, error %v", n, len(entries), err)
	}
	return int(n)
}

// BenchmarkBulkRevoke10000 takes the time of revoking 10,000 tokens, and of verifying others meanwhile (bar 61).
func BenchmarkBulkRevoke10000(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		path := filepath.Join(b.TempDir(), "bulk.db")
		secrets := fleet(b, path, 10_000)
		ctx := latchtest.Local(b.Context())
		s, err := Open(ctx, path, Options{})
		if err != nil {
			b.Fatal(err)
		}
		service, err := bulkService(ctx, s)
		if err != nil {
			b.Fatal(err)
		}
		calm := latency(ctx, service, secrets, func() { time.Sleep(2 * time.Second) })
		count := int64(len(secrets))
		b.StartTimer()
		began := time.Now()
		busy := latency(ctx, service, secrets, func() {
			_, err = service.BulkTokens(ctx, latchward.Bulk{
				Action: latchward.BulkRevoke, Filter: latchward.TokenFilter{Kind: latchward.KindPersonal}, Count: &count,
			})
		})
		took := time.Since(began)
		b.StopTimer()
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(took.Seconds(), "s/10000")
		b.ReportMetric(float64(calm.Microseconds()), "µs-p99-calm")
		b.ReportMetric(float64(busy.Microseconds()), "µs-p99-busy")
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}
