package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// errClosed says that the store was closed.
var errClosed = errors.New("the store is closed")

// writer is the one connection that writes, used by one transaction at a time. Waiters get their turn in the order in
// which they came, so that batches of usage cannot keep a revocation waiting for more than the one under way.
type writer struct {
	db       *sql.DB
	conn     *sql.Conn
	prepared statements
	turn     chan struct{} // holds one element while a transaction runs
	closed   chan struct{}
}

func (w *writer) connect(ctx context.Context) (err error) {
	w.conn, err = w.db.Conn(ctx)
	w.prepared.preparer = w.conn
	return err
}

func (w *writer) acquire(ctx context.Context) error {
	select {
	case <-w.closed:
		return errClosed
	default:
	}
	select {
	case w.turn <- struct{}{}:
		return nil
	case <-w.closed:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *writer) release() { <-w.turn }

// close waits for the turn and keeps it.
func (w *writer) close() (err error) {
	w.turn <- struct{}{}
	close(w.closed)
	err = w.prepared.close() // or SQLite keeps the connection, and with it the log
	if w.conn != nil {
		err = errors.Join(err, w.conn.Close())
	}
	return errors.Join(err, w.db.Close())
}

// work is one transaction. Its statements are never interrupted: SQLite rolls back a transaction whose statement is,
// and what follows would be committed on its own.
type work struct {
	ctx      context.Context
	prepared *statements
	broken   error // why nothing of this transaction may be committed
}

var errOver = errors.New("the transaction is over")

// write runs f in a transaction and commits what it wrote, or nothing when f or the commit fails. An error of code
// unavailable leaves open which of the two it was.
func (s *Store) write(ctx context.Context, f func(w *work) error) error {
	if err := s.writer.acquire(ctx); err != nil {
		return s.translate(err)
	}
	defer s.writer.release()
	if err := s.failed(); err != nil {
		return err
	}
	w := &work{ctx: context.WithoutCancel(ctx), prepared: &s.writer.prepared}
	return s.translate(w.run(ctx, f))
}

func (w *work) run(ctx context.Context, f func(w *work) error) error {
	if err := w.exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	committed := false
	defer func() { // also when f panics
		if !committed {
			_, _ = w.prepared.exec(w.ctx, "ROLLBACK") // fails when SQLite has rolled back already
		}
		w.broken = errOver
	}()
	err := f(w)
	if err == nil {
		err = w.broken
	}
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = w.exec("COMMIT")
		committed = err == nil
	}
	return err
}

// exec runs a statement that returns no rows.
func (w *work) exec(text string, args ...any) error {
	_, err := w.execResult(text, args...)
	return err
}

func (w *work) execResult(text string, args ...any) (sql.Result, error) {
	if w.broken != nil {
		return nil, w.broken
	}
	result, err := w.prepared.exec(w.ctx, text, args...)
	w.note(err)
	return result, err
}

// count runs a statement and returns how many rows it changed.
func (w *work) count(text string, args ...any) (int, error) {
	result, err := w.execResult(text, args...)
	if err != nil {
		return 0, err
	}
	n, err := result.RowsAffected()
	return int(n), err
}

func (w *work) query(_ context.Context, text string, args ...any) (*sql.Rows, error) {
	if w.broken != nil {
		return nil, w.broken
	}
	return w.prepared.query(w.ctx, text, args...)
}

// note makes sure that a transaction in which a statement failed is not committed, whatever f makes of the failure:
// SQLite may have rolled it back, and what follows would be committed on its own.
func (w *work) note(err error) {
	if err != nil && w.broken == nil {
		w.broken = fmt.Errorf("an earlier statement of the transaction failed: %w", err)
	}
}
