package sqlite

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	lib "modernc.org/sqlite/lib"

	"github.com/latchward/latchward"
)

// bar 68, 69: what the machine does to the database is "unavailable", told apart by number.
func TestErrorsByNumber(t *testing.T) {
	for number, want := range map[int]latchward.Code{
		lib.SQLITE_FULL:                  latchward.CodeUnavailable,
		lib.SQLITE_READONLY:              latchward.CodeUnavailable,
		lib.SQLITE_READONLY_DBMOVED:      latchward.CodeUnavailable,
		lib.SQLITE_PERM:                  latchward.CodeUnavailable,
		lib.SQLITE_IOERR:                 latchward.CodeUnavailable,
		lib.SQLITE_IOERR_FSYNC:           latchward.CodeUnavailable,
		lib.SQLITE_IOERR_SHMSIZE:         latchward.CodeUnavailable,
		lib.SQLITE_BUSY:                  latchward.CodeUnavailable,
		lib.SQLITE_BUSY_SNAPSHOT:         latchward.CodeUnavailable,
		lib.SQLITE_LOCKED:                latchward.CodeUnavailable,
		lib.SQLITE_CORRUPT:               latchward.CodeUnavailable,
		lib.SQLITE_NOTADB:                latchward.CodeUnavailable,
		lib.SQLITE_CANTOPEN:              latchward.CodeUnavailable,
		lib.SQLITE_CANTOPEN_ISDIR:        latchward.CodeUnavailable,
		lib.SQLITE_INTERRUPT:             latchward.CodeUnavailable,
		lib.SQLITE_NOMEM:                 latchward.CodeUnavailable,
		lib.SQLITE_CONSTRAINT_UNIQUE:     latchward.CodeConflict,
		lib.SQLITE_CONSTRAINT_PRIMARYKEY: latchward.CodeConflict,
		lib.SQLITE_CONSTRAINT_FOREIGNKEY: latchward.CodeConflict,
		lib.SQLITE_CONSTRAINT_CHECK:      latchward.CodeInternal,
		lib.SQLITE_ERROR:                 latchward.CodeInternal,
		lib.SQLITE_MISUSE:                latchward.CodeInternal,
	} {
		cause := fmt.Errorf("wrapped: %w", numberedError(number))
		err := translate(cause)
		if got := latchward.ErrorCode(err); got != want {
			t.Errorf("number %d: code %s, want %s", number, got, want)
		}
		if !errors.Is(err, cause) {
			t.Errorf("number %d: the cause is not in the chain of %v", number, err)
		}
		if message := latchward.ErrorMessage(err); strings.Contains(message, "text that") || message == "" {
			t.Errorf("number %d: outsiders read %q", number, message)
		}
	}
}

func TestErrorsOfTheContext(t *testing.T) {
	for _, cause := range []error{context.Canceled, context.DeadlineExceeded, errClosed} {
		if err := translate(cause); latchward.ErrorCode(err) != latchward.CodeUnavailable || !errors.Is(err, cause) {
			t.Errorf("%v became %v, want code unavailable with the cause in it", cause, err)
		}
	}
	own := errors.New("of the caller")
	if err := translate(own); err != own {
		t.Errorf("the caller's error became %v", err)
	}
}

// bar 69: once a sync has failed, nothing is acknowledged any more until the database is opened again.
func TestFailedSyncIsFinal(t *testing.T) {
	for _, number := range []int{lib.SQLITE_IOERR_FSYNC, lib.SQLITE_IOERR_WRITE, lib.SQLITE_CORRUPT} {
		f, path := &faults{}, newPath(t)
		s := open(t, path, Options{wrap: f.wrap})
		owner := addUser(t, s)
		f.set(failOn(numberedError(number), "COMMIT"))
		if err := tryToWrite(s); latchward.ErrorCode(err) != latchward.CodeUnavailable {
			t.Fatalf("error %d: the write returned %v", number, err)
		}
		f.set(failOn(errors.New("the database was asked"), "BEGIN"))
		for what, err := range map[string]error{
			"Tx": tryToWrite(s), "Ping": s.Ping(t.Context()), "AddUsage": s.AddUsage(t.Context(), latchward.UsageBatch{}),
		} {
			if latchward.ErrorCode(err) != latchward.CodeUnavailable || !errors.Is(err, numberedError(number)) {
				t.Errorf("error %d: %s returned %v afterwards, want the failure", number, what, err)
			}
		}
		if _, err := s.User(t.Context(), owner.ID); err != nil {
			t.Errorf("error %d: reading returned %v afterwards", number, err)
		}
		f.set(nil)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		addUser(t, open(t, path, Options{}))
	}
}

func tryToWrite(s *Store) error {
	_, err := s.Tx(context.Background(), func(tx latchward.Tx) error {
		return tx.SaveUser(&latchward.User{Name: "Eve"})
	})
	return err
}

// bar 68: a full disk, a lock held by a stranger and a read-only file pass.
func TestOtherFailuresPass(t *testing.T) {
	f := &faults{}
	s := open(t, newPath(t), Options{wrap: f.wrap})
	for _, number := range []int{lib.SQLITE_FULL, lib.SQLITE_IOERR_SHMSIZE, lib.SQLITE_BUSY, lib.SQLITE_READONLY} {
		for _, statement := range []string{"BEGIN", "INSERT", "COMMIT"} {
			f.set(failOn(numberedError(number), statement))
			if err := tryToWrite(s); latchward.ErrorCode(err) != latchward.CodeUnavailable {
				t.Errorf("error %d at %s: the write returned %v", number, statement, err)
			}
			f.set(nil)
			if err := tryToWrite(s); err != nil {
				t.Errorf("error %d at %s: the next write returned %v", number, statement, err)
			}
		}
	}
	users, err := s.Users(t.Context(), latchward.UserFilter{})
	if err != nil || len(users) != 12 {
		t.Errorf("%d users are there (error %v), want the 12 whose writes succeeded", len(users), err)
	}
}

// A function that ignores a failed statement must not get the rest committed: SQLite may have rolled back behind it.
func TestIgnoredFailureIsNotCommitted(t *testing.T) {
	f := &faults{}
	s := open(t, newPath(t), Options{wrap: f.wrap})
	f.set(failOn(numberedError(lib.SQLITE_FULL), "INSERT INTO AUDIT"))
	_, err := s.Tx(t.Context(), func(tx latchward.Tx) error {
		_ = tx.SaveUser(&latchward.User{Name: "before"})
		_ = tx.AppendAudit(&latchward.AuditEntry{})
		_ = tx.SaveUser(&latchward.User{Name: "after"})
		return nil
	})
	if latchward.ErrorCode(err) != latchward.CodeUnavailable {
		t.Errorf("Tx returned %v, want the failure that f ignored", err)
	}
	if users, err := s.Users(t.Context(), latchward.UserFilter{}); err != nil || len(users) != 0 {
		t.Errorf("%d users are there (error %v), want none", len(users), err)
	}
}

func TestCancelledTransactionIsNotCommitted(t *testing.T) {
	s := open(t, newPath(t), Options{})
	ctx, cancel := context.WithCancel(t.Context())
	_, err := s.Tx(ctx, func(tx latchward.Tx) error {
		cancel()
		return tx.SaveUser(&latchward.User{Name: "Eve"})
	})
	if latchward.ErrorCode(err) != latchward.CodeUnavailable {
		t.Errorf("Tx returned %v, want code unavailable", err)
	}
	if users, err := s.Users(t.Context(), latchward.UserFilter{}); err != nil || len(users) != 0 {
		t.Errorf("%d users are there (error %v), want none", len(users), err)
	}
	addUser(t, s)
}

func TestWaitingForTheWriterEndsWithTheContext(t *testing.T) {
	s := open(t, newPath(t), Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Tx(t.Context(), func(latchward.Tx) error {
		if err := s.Ping(ctx); latchward.ErrorCode(err) != latchward.CodeUnavailable {
			t.Errorf("waiting returned %v, want code unavailable", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestClosedStore(t *testing.T) {
	s := open(t, newPath(t), Options{})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, readErr := s.User(t.Context(), 1)
	for what, err := range map[string]error{"Tx": tryToWrite(s), "User": readErr, "Ping": s.Ping(t.Context())} {
		if latchward.ErrorCode(err) != latchward.CodeUnavailable {
			t.Errorf("%s of a closed store returned %v, want code unavailable", what, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Errorf("closing again returned %v", err)
	}
}

func TestTransactionEndsWithItsFunction(t *testing.T) {
	s := open(t, newPath(t), Options{})
	var leaked latchward.Tx
	if _, err := s.Tx(t.Context(), func(tx latchward.Tx) error { leaked = tx; return nil }); err != nil {
		t.Fatal(err)
	}
	if err := leaked.SaveUser(&latchward.User{Name: "late"}); !errors.Is(err, errOver) {
		t.Errorf("a transaction that was over returned %v", err)
	}
}

// what cannot be read must not turn into what allows everything.
func TestUnreadableTokenIsAnError(t *testing.T) {
	s := open(t, newPath(t), Options{})
	token := addToken(t, s, addUser(t, s), 1)
	for _, column := range []string{"allowed_endpoints", "allowed_networks", "permissions", "token"} {
		err := s.write(t.Context(), func(w *work) error { return w.exec(`UPDATE api_tokens SET ` + column + ` = 'oops'`) })
		if err != nil {
			t.Fatal(err)
		}
		facts, err := s.TokenFacts(t.Context(), token.Secret.KeyID)
		if latchward.ErrorCode(err) != latchward.CodeUnavailable {
			t.Errorf("a broken %s gave %v, error %v, want code unavailable", column, facts, err)
		}
		token.ID = 0
		err = s.write(t.Context(), func(w *work) error { return w.exec(`DELETE FROM api_tokens`) })
		if err != nil {
			t.Fatal(err)
		}
		token = addToken(t, s, addUser(t, s), 1)
	}
}

// bar 73: nobody gets SQLITE_BUSY, and readers do not wait for a transaction that is under way.
func TestReadersDoNotWaitForTheWriter(t *testing.T) {
	s := open(t, newPath(t), Options{})
	owner := addUser(t, s)
	_, err := s.Tx(t.Context(), func(tx latchward.Tx) error {
		changed := *owner
		changed.Name = "Changed"
		if err := tx.SaveUser(&changed); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		seen, err := s.User(ctx, owner.ID)
		if err == nil && seen.Name != owner.Name {
			t.Errorf("a reader saw %q before the commit", seen.Name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// bar 73: whoever is called with results cannot keep the log from being copied away.
func TestCallbacksHoldNothing(t *testing.T) {
	s := open(t, newPath(t), Options{})
	token := addToken(t, s, addUser(t, s), 1)
	addUsage(t, s, batchOf(token.ID, 0, 1, ""))
	calls := 0
	check := func() error {
		calls++
		addUser(t, s)
		var busy, pages, copied int
		err := s.writer.conn.QueryRowContext(t.Context(), "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &pages, &copied)
		if busy != 0 {
			t.Errorf("a checkpoint during a callback was kept from finishing")
		}
		return err
	}
	err1 := s.UsageCells(t.Context(), latchward.UsageQuery{},
		func(latchward.UsageKey, latchward.UsageCell) error { return check() })
	err2 := s.UsageEvents(t.Context(), latchward.UsageEventQuery{}, func(*latchward.UsageEvent) error { return check() })
	if err := errors.Join(err1, err2); err != nil || calls != 2 {
		t.Errorf("%d callbacks, error %v, want 2 and none", calls, err)
	}
}
