package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/latchward/latchward"
)

// Backed says what a backup holds. It was read from the finished file, after SQLite had checked all of it.
type Backed struct {
	Tokens   int64  // that were not deleted, revoked ones included
	Users    int64  // who were not removed
	Position uint64 // number of the last change it holds; everything up to that, and nothing behind it, is in it
	Bytes    int64  // size of the file
}

// backupInterval is how often the progress of a backup is told.
const backupInterval = 100 * time.Millisecond

// Backup copies the database at path as it is at one moment into a new file that only this user can read (bar 133).
// A process that has the database open goes on meanwhile: SQLite copies what one reader sees (VACUUM INTO). The file
// gets its name once it is complete, checked and on the disk. progress, if not nil, is told from another goroutine how
// many bytes of about how many are written.
//
// The error is of code not_found when there is no database and conflict when there is a file of that name.
func Backup(ctx context.Context, path, to string, progress func(done, total int64)) (Backed, error) {
	path, err := existing(path)
	if err != nil {
		return Backed{}, err
	}
	if to, err = filepath.Abs(to); err != nil {
		return Backed{}, cannotWrite(to, err)
	}
	if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
		return Backed{}, latchward.Errorf(latchward.CodeConflict, "there is a file %s already: name a new one", to)
	}
	lock, err := lockFile(path)
	if err == nil { // nobody has it, and nobody may replace it meanwhile
		defer lock.release()
	} else if !errors.Is(err, ErrLocked) {
		return Backed{}, err
	}
	return backupInto(ctx, path, to, progress)
}

// existing resolves the name of a database that must be there.
func existing(path string) (string, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return "", latchward.Errorf(latchward.CodeNotFound, "there is no file %s", path)
	}
	return resolve(path)
}

func backupInto(ctx context.Context, path, to string, progress func(done, total int64)) (Backed, error) {
	part, err := newPart(to)
	if err != nil {
		return Backed{}, err
	}
	defer os.Remove(part)
	if err := vacuumInto(ctx, path, part, progress); err != nil {
		return Backed{}, translate(err)
	}
	backed, err := inspect(ctx, part)
	if err != nil {
		return Backed{}, err
	}
	if err := errors.Join(syncFile(part), os.Rename(part, to), syncFolder(to)); err != nil {
		return Backed{}, cannotWrite(to, err)
	}
	return backed, nil
}

// newPart makes an empty file beside one that is to be written, for this user alone.
func newPart(to string) (string, error) {
	file, err := os.CreateTemp(filepath.Dir(to), filepath.Base(to)+".part-*") // mode 0600
	if err != nil {
		return "", cannotWrite(to, err)
	}
	return file.Name(), file.Close()
}

func vacuumInto(ctx context.Context, path, part string, progress func(done, total int64)) error {
	db, err := openDatabase(path, nil, 1)
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := schemaVersion(ctx, db, path); err != nil {
		return err
	}
	var total int64
	err = db.QueryRowContext(ctx, `SELECT (pages.page_count - free.freelist_count) * size.page_size
		FROM pragma_page_count pages, pragma_freelist_count free, pragma_page_size size`).Scan(&total)
	if err != nil {
		return err
	}
	defer watch(part, total, progress)()
	_, err = db.ExecContext(ctx, `VACUUM INTO ?`, part)
	return err
}

// watch tells how a file grows until stop is called, which waits for the last word.
func watch(path string, total int64, progress func(done, total int64)) (stop func()) {
	if progress == nil {
		return func() {}
	}
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(backupInterval)
		defer ticker.Stop()
		for {
			select {
			case <-end:
				return
			case <-ticker.C:
				if info, err := os.Stat(path); err == nil {
					progress(min(info.Size(), total), total)
				}
			}
		}
	}()
	return func() { close(end); <-ended }
}

// inspect checks every page and index of a database that nobody has open, and says what it holds.
func inspect(ctx context.Context, path string) (Backed, error) {
	db, err := openDatabase(path, nil, 1, readerConnection...)
	if err != nil {
		return Backed{}, err
	}
	defer db.Close()
	version, err := schemaVersion(ctx, db, path)
	if err == nil && version == 0 {
		err = latchward.Errorf(latchward.CodeConflict, "%s holds no database of Latchward", path)
	}
	if err == nil {
		err = checkIntegrity(ctx, db, "main", path)
	}
	if err != nil {
		return Backed{}, translate(err)
	}
	var b Backed
	err = db.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM api_tokens WHERE deleted_at IS NULL),
		(SELECT count(*) FROM users WHERE removed_at IS NULL), (SELECT ifnull(max(n), 0) FROM change)`).
		Scan(&b.Tokens, &b.Users, &b.Position)
	if err != nil {
		return Backed{}, translate(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return Backed{}, cannotOpen(path, err)
	}
	b.Bytes = info.Size()
	return b, nil
}

// checkIntegrity returns an Error of code unavailable when SQLite finds damage.
func checkIntegrity(ctx context.Context, db interface {
	QueryRowContext(ctx context.Context, text string, args ...any) *sql.Row
}, schema, path string) error {
	var verdict string
	err := db.QueryRowContext(ctx, `PRAGMA `+schema+`.integrity_check(1)`).Scan(&verdict)
	if err == nil && verdict != "ok" {
		err = unavailable("The database "+path+" is damaged.", errors.New(verdict))
	}
	return err
}

// syncFile makes what is in a file survive a power cut.
func syncFile(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}

func cannotWrite(path string, err error) error {
	return &latchward.Error{
		Code: latchward.CodeUnavailable, Err: err,
		Message: "The file " + path + " cannot be written: check that its folder exists, is this user's and has room.",
	}
}
