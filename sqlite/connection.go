package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	modernc "modernc.org/sqlite"

	"github.com/latchward/latchward"
)

// Settings of every connection; docs/decisions/0004-sqlite-settings.md gives the reasons.
var everyConnection = []string{
	"busy_timeout(5000)", // milliseconds; only a foreign program can hold the file for so long
	"cell_size_check(1)", // finds damaged pages before they are believed
	"foreign_keys(1)",
	"temp_store(memory)", // sorting must not need the disk
	"trusted_schema(0)",
}

var writerConnection = []string{
	"journal_mode(wal)",
	"synchronous(full)",            // a commit that was acknowledged survives a power cut
	"fullfsync(1)",                 // the same on macOS, where fsync alone does not reach the disk
	"checkpoint_fullfsync(1)",      // likewise
	"journal_size_limit(67108864)", // bytes of log that stay after a checkpoint
	"cache_size(-16384)",           // KiB
}

var readerConnection = []string{"query_only(1)", "cache_size(-4096)"}

// wrapConnector lets tests stand between the store and the driver.
type wrapConnector func(driver.Connector) driver.Connector

func openDatabase(path string, wrap wrapConnector, connections int, pragmas ...string) (*sql.DB, error) {
	query := url.Values{"_pragma": append(slices.Clone(everyConnection), pragmas...), "_txlock": {"immediate"}}
	dsn := url.URL{Scheme: "file", Path: path, RawQuery: query.Encode()}
	connector, err := modernc.NewConnector(dsn.String())
	if err != nil {
		return nil, fmt.Errorf("opening the database %s: %w", path, err)
	}
	if wrap != nil {
		connector = wrap(connector)
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

// checkVersion refuses versions of SQLite that can corrupt a database: before 3.51.3 a checkpoint that met a reset of
// the write-ahead log could lose a commit, and 3.52.0 was withdrawn (bar 67).
func checkVersion(version string) error {
	number := []int{0, 0, 0}
	for i, part := range strings.SplitN(version, ".", 4) {
		n, err := strconv.Atoi(part)
		if err != nil || i >= len(number) {
			return fmt.Errorf("SQLite calls its version %q, which cannot be judged", version)
		}
		number[i] = n
	}
	if slices.Compare(number, []int{3, 51, 3}) < 0 || slices.Equal(number, []int{3, 52, 0}) {
		return latchward.Errorf(latchward.CodeUnavailable,
			"SQLite %s can corrupt databases: build with 3.51.3 or newer, but not 3.52.0", version)
	}
	return nil
}

// runner is what runs a query: the readers, or a transaction.
type runner interface {
	query(ctx context.Context, text string, args ...any) (*sql.Rows, error)
	note(err error) // is told how each query ended
}

// statements runs SQL that is prepared once per text. Only constant texts may be given to it.
type statements struct {
	preparer interface {
		PrepareContext(ctx context.Context, text string) (*sql.Stmt, error)
	}
	mu    sync.RWMutex
	ready map[string]*sql.Stmt
}

func (s *statements) prepare(ctx context.Context, text string) (*sql.Stmt, error) {
	s.mu.RLock()
	statement := s.ready[text]
	s.mu.RUnlock()
	if statement != nil {
		return statement, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if statement = s.ready[text]; statement != nil {
		return statement, nil
	}
	statement, err := s.preparer.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	if s.ready == nil {
		s.ready = map[string]*sql.Stmt{}
	}
	s.ready[text] = statement
	return statement, nil
}

func (s *statements) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var failures []error
	for _, statement := range s.ready {
		failures = append(failures, statement.Close())
	}
	s.ready = nil
	return errors.Join(failures...)
}

func (s *statements) query(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	statement, err := s.prepare(ctx, text)
	if err != nil {
		return nil, err
	}
	return statement.QueryContext(ctx, args...)
}

func (*statements) note(error) {}

func (s *statements) exec(ctx context.Context, text string, args ...any) (sql.Result, error) {
	statement, err := s.prepare(ctx, text)
	if err != nil {
		return nil, err
	}
	return statement.ExecContext(ctx, args...)
}

// unprepared runs SQL whose texts are too many to keep prepared.
type unprepared struct{ db *sql.DB }

func (u unprepared) query(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	return u.db.QueryContext(ctx, text, args...)
}

func (unprepared) note(error) {}

// collect returns what scan makes of each row. The rows are closed when it returns, so that no caller can hold the
// state of the database fixed, and its log growing, for as long as it likes.
func collect[T any](
	ctx context.Context, r runner, scan func(*sql.Rows) (T, error), text string, args ...any,
) (list []T, err error) {
	defer func() { r.note(err) }()
	rows, err := r.query(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		item, err := scan(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, item)
	}
	return list, rows.Err()
}

// one returns what scan makes of the only row, or sql.ErrNoRows.
func one[T any](
	ctx context.Context, r runner, scan func(*sql.Rows) (T, error), text string, args ...any,
) (T, error) {
	list, err := collect(ctx, r, scan, text, args...)
	if err == nil && len(list) == 0 {
		err = sql.ErrNoRows
	}
	if err != nil {
		var none T
		return none, err
	}
	return list[0], nil
}

// scalar scans a row of one column.
func scalar[T any](rows *sql.Rows) (value T, err error) {
	err = rows.Scan(&value)
	return value, err
}
