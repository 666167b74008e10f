// Package sqlite keeps everything in one SQLite file: the store that needs nothing installed and nobody to look
// after it.
//
// One process has the file open at a time, and in it one connection writes while several read. A change that was
// acknowledged survives kill -9 and a power cut; docs/decisions/0004-sqlite-settings.md says how.
package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/internal/usagepack"
)

const defaultReaders = 8

// Options configures a [Store]. The zero value of every field is a default.
type Options struct {
	Readers int              // connections that read at the same time; 0 = 8
	Now     func() time.Time // for when changes and request ids were written; nil = time.Now

	// UsageRows keeps each usage event as a row of api_token_usage, for whoever wants to ask about them in SQL. A row takes
	// some ten times the processor time and five times the space that an event takes in a pack, which is what is written
	// otherwise. Both are read, whatever is written.
	UsageRows bool

	mergeAt int // packs of about the same size that become one; 0 = defaultMergeAt
	wrap    wrapConnector
}

// Store is a [latchward.Store] in a SQLite file. Create it with [Open] and close it with [Store.Close]. All methods are
// safe for concurrent use, but the function given to [Store.Tx] must not write through the store: a transaction keeps
// other writers out until it ends. Readers never wait for writers nor writers for readers.
type Store struct {
	path    string
	now     func() time.Time
	lock    *fileLock
	writer  *writer
	readers *sql.DB
	reads   *statements

	history string        // names this database in positions
	head    atomic.Uint64 // number of the last change that was committed
	failure atomic.Pointer[error]

	codec   *usagepack.Codec
	rows    bool
	mergeAt int
	tidying sync.Mutex // held by who removes or merges usage

	closeOnce sync.Once
}

var _ latchward.Store = (*Store)(nil)

// Open opens the database at path, creates it if there is none, and brings its schema up to date. Its folder must
// exist. The file, those beside it and the lock file (path with .lock) are readable for this user alone.
//
// It refuses, with code conflict, a database that is open elsewhere ([ErrLocked]), that a newer version of Latchward
// has written, or that is not Latchward's.
func Open(ctx context.Context, path string, o Options) (*Store, error) {
	path, err := resolve(path)
	if err != nil {
		return nil, err
	}
	lock, err := lockFile(path)
	if err != nil {
		return nil, err
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.mergeAt == 0 {
		o.mergeAt = defaultMergeAt
	}
	s := &Store{path: path, now: o.Now, lock: lock, rows: o.UsageRows, mergeAt: o.mergeAt}
	if err := s.open(ctx, o); err != nil {
		return nil, errors.Join(s.refuse(err), s.Close())
	}
	return s, nil
}

// refuse returns why the database cannot be opened. Whoever starts a server may learn the path of a damaged file, which
// nobody who sends requests does. Damage to the schema shows as statements that make no sense.
func (s *Store) refuse(err error) error {
	err = s.translate(err)
	code := latchward.ErrorCode(err)
	if code == latchward.CodeInternal || code == "" || code == latchward.CodeUnavailable && s.failed() != nil {
		return unavailable("The database "+s.path+" cannot be relied on: check the disk, or restore a backup.", err)
	}
	return err
}

func (s *Store) open(ctx context.Context, o Options) error {
	if err := makePrivate(s.path); err != nil {
		return err
	}
	var err error
	if s.codec, err = usagepack.New(); err != nil {
		return err
	}
	db, err := openDatabase(s.path, o.wrap, 1, writerConnection...)
	if err != nil {
		return err
	}
	s.writer = &writer{db: db, turn: make(chan struct{}, 1), closed: make(chan struct{})}
	if err := s.prepareFile(ctx, db); err != nil {
		return err
	}
	if err := s.writer.connect(ctx); err != nil {
		return err
	}
	readers := o.Readers
	if readers < 1 {
		readers = defaultReaders
	}
	db, err = openDatabase(s.path, o.wrap, readers, readerConnection...)
	if err != nil {
		return err
	}
	s.readers, s.reads = db, &statements{preparer: db}
	return s.loadPosition(ctx)
}

// prepareFile checks what SQLite makes of the file and migrates it.
func (s *Store) prepareFile(ctx context.Context, db *sql.DB) error {
	var version, mode string
	if err := db.QueryRowContext(ctx, "SELECT sqlite_version()").Scan(&version); err != nil {
		return err
	}
	if err := checkVersion(version); err != nil {
		return err
	}
	if err := db.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&mode); err != nil {
		return err
	}
	if mode != "wal" {
		return latchward.Errorf(latchward.CodeUnavailable,
			"the folder of %s cannot hold a write-ahead log: put the database on a local disk", s.path)
	}
	return migrate(ctx, db, s.path)
}

func (s *Store) loadPosition(ctx context.Context) error {
	err := s.write(ctx, func(w *work) error {
		return w.exec(`INSERT INTO instance (name, value) VALUES ('history', ?) ON CONFLICT DO NOTHING`, rand.Text())
	})
	if err != nil {
		return err
	}
	s.history, err = one(ctx, s.reads, scalar[string], `SELECT value FROM instance WHERE name = 'history'`)
	if err != nil {
		return err
	}
	head, err := one(ctx, s.reads, scalar[int64], `SELECT ifnull(max(n), 0) FROM change`)
	s.head.Store(uint64(head))
	return err
}

// Close waits for the transaction that is under way and closes the database. Whoever calls the store afterwards gets
// an Error of code unavailable; closing again does nothing.
func (s *Store) Close() (err error) {
	s.closeOnce.Do(func() { err = s.close() })
	return err
}

func (s *Store) close() error {
	var failures []error
	if s.readers != nil {
		failures = append(failures, s.reads.close(), s.readers.Close())
	}
	// Last, because the last connection to be closed copies the log into the database.
	if s.writer != nil {
		failures = append(failures, s.writer.close())
	}
	// Behind both, so that nobody opens the file before it is closed.
	failures = append(failures, s.lock.release())
	if err := errors.Join(failures...); err != nil {
		return fmt.Errorf("closing the database %s: %w", s.path, err)
	}
	return nil
}

// Ping implements [latchward.Store]. It writes, since only a write proves that the disk takes one.
func (s *Store) Ping(ctx context.Context) error {
	return s.write(ctx, func(w *work) error {
		return w.exec(`INSERT INTO instance (name, value) VALUES ('written_at', ?)
			ON CONFLICT DO UPDATE SET value = excluded.value`, s.now().UTC().Format(time.RFC3339Nano))
	})
}
