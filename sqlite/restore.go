package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"io/fs"
	"net/url"
	"os"
	"time"

	"github.com/latchward/latchward"
)

// Restoration is a backup on its way into the place of a database. Start it with [Restore]; then change Store as the
// restored database must be changed, and end with [Restoration.Finish] or [Restoration.Abandon]. Until Finish the
// database in whose place it comes is as it was. It is not safe for concurrent use.
type Restoration struct {
	Store   *Store // a copy of the backup, with the schema of this program and a history of its own
	Backed  Backed // what the backup holds
	Since   Since  // what happened in the database after the backup was made
	Unknown error  // why Since is not known, or nil
	Now     time.Time

	path, part string
	lock       *fileLock
	history    string // of the backup
}

// Since says what of a backup a database knows to hold no longer.
type Since struct {
	// Tokens changed state or secret: they were revoked, deleted, disabled, enabled, rotated, began to end earlier or
	// start later, or a secret that was rotated out ended before its time. Those that the backup has as revoked are not
	// among them.
	Tokens []latchward.TokenID
	Users  []latchward.UserID  // active in the backup, and disabled or removed since
	Groups []latchward.GroupID // likewise
}

// Restore begins to put the backup in a file into the place of the database at path, which may be missing. It checks
// the whole backup, copies it beside the database and compares the two. All sessions of the backup are ended, and ids
// that the database gave since are not given again.
//
// The error has [ErrLocked] in its chain while a process has the database open, is of code not_found when there is no
// backup, and of code conflict when the file is not a whole database of Latchward or one of a newer version.
func Restore(ctx context.Context, path, backup string, now time.Time) (*Restoration, error) {
	path, err := resolve(path)
	if err != nil {
		return nil, err
	}
	lock, err := lockFile(path)
	if err != nil {
		return nil, err
	}
	r := &Restoration{Now: now, path: path, lock: lock}
	if err := r.begin(ctx, backup); err != nil {
		return nil, errors.Join(err, r.Abandon())
	}
	return r, nil
}

func (r *Restoration) begin(ctx context.Context, backup string) error {
	if err := r.copyBackup(backup); err != nil {
		return err
	}
	var err error
	if r.Backed, err = inspect(ctx, r.part); latchward.ErrorCode(err) == latchward.CodeUnavailable && ctx.Err() == nil {
		return &latchward.Error{Code: latchward.CodeConflict, Message: "The backup " + backup + " is damaged.", Err: err}
	} else if err != nil {
		return err
	}
	if err := r.beginHistory(ctx); err != nil {
		return translate(err)
	}
	if r.Store, err = Open(ctx, r.part, Options{}); err != nil {
		return err
	}
	ids := map[string]int64{}
	if r.Unknown = r.checkReplaced(ctx); r.Unknown == nil {
		ids, r.Unknown = r.compare(ctx)
	}
	r.Unknown = translate(r.Unknown)
	if err := ctx.Err(); err != nil {
		return translate(err)
	}
	return r.Store.write(ctx, func(w *work) error { return dropRevivable(w, ids) })
}

// copyBackup copies the backup beside the database. A file that was copied while it was in use lacks what is in the log
// beside it, if that is still there.
func (r *Restoration) copyBackup(backup string) error {
	backup, err := existing(backup)
	if err != nil {
		return err
	}
	if backup == r.path {
		return latchward.Errorf(latchward.CodeConflict, "%s is the database itself: name a backup", backup)
	}
	if info, err := os.Stat(backup + "-wal"); err == nil && info.Size() > 0 {
		return latchward.Errorf(latchward.CodeConflict, "%s is not a backup: part of it is in %s-wal", backup, backup)
	}
	if r.part, err = newPart(r.path); err != nil {
		return err
	}
	from, err := os.Open(backup)
	if err != nil {
		return cannotOpen(backup, err)
	}
	defer from.Close()
	to, err := os.OpenFile(r.part, os.O_WRONLY, privateFile)
	if err != nil {
		return cannotWrite(r.part, err)
	}
	_, err = io.Copy(to, from)
	if err = errors.Join(err, to.Close()); err != nil {
		return cannotWrite(r.part, err)
	}
	return nil
}

// beginHistory makes the copy the start of another history, since the changes that follow are not those that followed
// the backup. The histories it comes from stay known, for the next restore.
func (r *Restoration) beginHistory(ctx context.Context) error {
	db, err := openDatabase(r.part, nil, 1)
	if err != nil {
		return err
	}
	defer db.Close()
	err = db.QueryRowContext(ctx, `SELECT value FROM instance WHERE name = 'history'`).Scan(&r.history)
	if errors.Is(err, sql.ErrNoRows) { // no store ever opened it
		return nil
	}
	if err == nil {
		_, err = db.ExecContext(ctx, `UPDATE instance SET name = 'history ' || value WHERE name = 'history'`)
	}
	return err
}

// checkReplaced returns why the database that is replaced cannot say what happened since the backup. Where it can, its
// log is folded into it.
func (r *Restoration) checkReplaced(ctx context.Context) error {
	if _, err := os.Stat(r.path); errors.Is(err, fs.ErrNotExist) {
		return latchward.Errorf(latchward.CodeConflict, "there is no database to compare it with")
	}
	replaced, err := inspect(ctx, r.path)
	if err != nil {
		return err
	}
	if info, err := os.Stat(r.path + "-wal"); err == nil && info.Size() > 0 {
		return latchward.Errorf(latchward.CodeConflict, "another program has the database open")
	}
	db, err := openDatabase(r.path, nil, 1, readerConnection...)
	if err != nil {
		return err
	}
	defer db.Close()
	var same, descends bool
	err = db.QueryRowContext(ctx, `SELECT count(*) FILTER (WHERE name = 'history' AND value = ?1),
		count(*) FILTER (WHERE name = 'history ' || ?1) FROM instance`, r.history).Scan(&same, &descends)
	switch {
	case err != nil:
		return err
	case !same && !descends:
		return latchward.Errorf(latchward.CodeConflict, "the database in this place is another one")
	case same && replaced.Position < r.Backed.Position:
		return latchward.Errorf(latchward.CodeConflict, "the database in this place is older than the backup")
	}
	return nil
}

// The queries of compare. Main is the backup.
const (
	tokensSince = `SELECT b.id FROM main.api_tokens b
		LEFT JOIN replaced.api_tokens r ON r.id = b.id AND r.deleted_at IS NULL
		WHERE b.deleted_at IS NULL AND b.revoked_at IS NULL AND (r.id IS NULL OR r.revoked_at IS NOT NULL
			OR r.active <> b.active
			OR (r.key_id IS NOT b.key_id OR r.token <> b.token) AND r.key_id NOT IN ( -- the same secret in another form
				WITH RECURSIVE forms(id) AS (SELECT b.key_id UNION SELECT f.became FROM forms
					JOIN replaced.foreign_secrets f ON f.key_id = forms.id AND f.token_id = b.id AND f.became IS NOT NULL)
				SELECT id FROM forms WHERE id <> b.key_id)
			OR r.expires_at < ifnull(b.expires_at, 9223372036854775807) OR r.not_before > ifnull(b.not_before, 0)
			OR EXISTS (SELECT 1 FROM main.api_token_secrets s
				LEFT JOIN replaced.api_token_secrets rs ON rs.key_id = s.key_id AND rs.token_id = s.token_id
				WHERE s.token_id = b.id AND s.ends_at > ? AND s.ends_at > ifnull(rs.ends_at, 0)))
		ORDER BY b.id`
	usersSince = `SELECT b.id FROM main.users b LEFT JOIN replaced.users r ON r.id = b.id
		WHERE b.active = 1 AND b.removed_at IS NULL AND (r.id IS NULL OR r.active = 0 OR r.removed_at IS NOT NULL)
		ORDER BY b.id`
	groupsSince = `SELECT b.id FROM main.groups b LEFT JOIN replaced.groups r ON r.id = b.id
		WHERE b.active = 1 AND b.removed_at IS NULL AND (r.id IS NULL OR r.active = 0 OR r.removed_at IS NOT NULL)
		ORDER BY b.id`
	idsGiven = `SELECT name, seq FROM replaced.sqlite_sequence
		WHERE name IN ('api_tokens', 'users', 'groups', 'roles', 'licenses')`
)

// compare fills Since and returns the last ids that the database gave, by table.
func (r *Restoration) compare(ctx context.Context) (ids map[string]int64, err error) {
	db, err := openDatabase(r.part, nil, 1, readerConnection...)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	// Nobody has it open and it has no log: it does not change, and no file beside it is needed to read it.
	replaced := url.URL{Scheme: "file", Path: r.path, RawQuery: "immutable=1"}
	if _, err := db.ExecContext(ctx, `ATTACH ? AS replaced`, replaced.String()); err != nil {
		return nil, err
	}
	from, ids := unprepared{db}, map[string]int64{}
	var errs [4]error
	r.Since.Tokens, errs[0] = collect(ctx, from, scalar[latchward.TokenID], tokensSince, r.Now.UnixMilli())
	r.Since.Users, errs[1] = collect(ctx, from, scalar[latchward.UserID], usersSince)
	r.Since.Groups, errs[2] = collect(ctx, from, scalar[latchward.GroupID], groupsSince)
	_, errs[3] = collect(ctx, from, func(rows *sql.Rows) (none struct{}, err error) {
		var table string
		var id int64
		err = rows.Scan(&table, &id)
		ids[table] = id
		return none, err
	}, idsGiven)
	if err := errors.Join(errs[:]...); err != nil {
		r.Since = Since{} // half a comparison is none
		return nil, err
	}
	return ids, nil
}

// dropRevivable ends what would let people in again who were shut out, and takes ids as given that were.
func dropRevivable(w *work, ids map[string]int64) error {
	for _, text := range []string{
		`DELETE FROM sessions`,
		`DELETE FROM signing_keys`, // one of them may have been revoked since
		`DELETE FROM derived_tokens`,
		`UPDATE accounts SET code_digest = NULL, code_ends_at = NULL, devices = NULL`,
	} {
		if err := w.exec(text); err != nil {
			return err
		}
	}
	return takeIDs(w, ids)
}

// TakeIDs lets no record have an id again that was seen, by the type of target that audit entries name.
func (r *Restoration) TakeIDs(ctx context.Context, seen map[string]int64) error {
	tables := map[string]string{
		"token": "api_tokens", "user": "users", "group": "groups", "role": "roles", "license": "licenses",
	}
	ids := map[string]int64{}
	for kind, id := range seen {
		if table := tables[kind]; table != "" {
			ids[table] = id
		}
	}
	return r.Store.write(ctx, func(w *work) error { return takeIDs(w, ids) })
}

// takeIDs takes ids as given, and all below them, by table.
func takeIDs(w *work, ids map[string]int64) error {
	for table, id := range ids {
		n, err := w.count(`UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = ?`, id, table)
		if err == nil && n == 0 {
			err = w.exec(`INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)`, table, id)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Deactivate makes every token that is neither revoked nor inactive inactive, and returns how many that were.
func (r *Restoration) Deactivate(ctx context.Context) (n int, err error) {
	err = r.Store.write(ctx, func(w *work) error {
		n, err = w.count(`UPDATE api_tokens SET active = 0, inactive_reason = ?
			WHERE active = 1 AND revoked_at IS NULL AND deleted_at IS NULL`, string(latchward.InactiveManual))
		return err
	})
	return n, err
}

// Finish closes Store and puts it into the place of the database, which stays beside it under the name that is
// returned; "" if there was none. After a crash one or the other is there, whole.
func (r *Restoration) Finish() (aside string, err error) {
	err = r.Store.Close()
	if err == nil {
		err = r.replace(&aside)
	}
	return aside, errors.Join(err, r.Abandon())
}

func (r *Restoration) replace(aside *string) error {
	if info, err := os.Stat(r.part + "-wal"); err == nil && info.Size() > 0 {
		return cannotWrite(r.path, errors.New("its log could not be folded into it"))
	}
	if err := syncFile(r.part); err != nil {
		return cannotWrite(r.path, err)
	}
	if _, err := os.Stat(r.path); err == nil {
		*aside = r.path + ".replaced-" + r.Now.UTC().Format("20060102T150405.000Z")
		if err := r.keepAside(*aside); err != nil {
			return cannotWrite(*aside, err)
		}
	}
	if err := errors.Join(os.Rename(r.part, r.path), syncFolder(r.path)); err != nil {
		return cannotWrite(r.path, err)
	}
	return nil
}

// keepAside gives the database another name. A log is there only if the database is damaged; SQLite would take it for
// one of the restored database.
func (r *Restoration) keepAside(aside string) error {
	if err := errors.Join(os.Link(r.path, aside), tighten(aside)); err != nil {
		return err
	}
	err := os.Rename(r.path+"-wal", aside+"-wal")
	return errors.Join(ignoreMissing(err), ignoreMissing(os.Remove(r.path+"-shm")))
}

// Abandon closes Store, removes it unless it was put into place, and lets others open the database.
func (r *Restoration) Abandon() error {
	var failures []error
	if r.Store != nil {
		failures = append(failures, r.Store.Close())
	}
	if r.part != "" {
		for _, suffix := range []string{"", "-wal", "-shm", lockSuffix} {
			failures = append(failures, ignoreMissing(os.Remove(r.part+suffix)))
		}
	}
	return errors.Join(append(failures, r.lock.release())...)
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
