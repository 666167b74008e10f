package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pressly/goose/v3"

	"github.com/latchward/latchward"
)

//go:embed migrations/*.sql
var migrations embed.FS

const versionTable = "schema_version"

// SchemaStatus says which schema a database has and which this program brings it to.
type SchemaStatus struct {
	Current int64    // 0 for a database that is not there yet
	Latest  int64    // what this program works with
	Pending []string // names of the migrations in between, in the order in which [Open] runs them
}

// Schema returns which schema the database at path has, without changing it. Errors are those of [Open].
func Schema(ctx context.Context, path string) (SchemaStatus, error) {
	path, err := resolve(path)
	if err != nil {
		return SchemaStatus{}, err
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return schemaStatus(0)
	}
	lock, err := lockFile(path)
	if err != nil {
		return SchemaStatus{}, err
	}
	db, err := openDatabase(path, nil, 1, readerConnection...)
	if err != nil {
		return SchemaStatus{}, errors.Join(err, lock.release())
	}
	current, err := schemaVersion(ctx, db, path)
	if err := errors.Join(translate(err), db.Close(), lock.release()); err != nil {
		return SchemaStatus{}, err
	}
	return schemaStatus(current)
}

func schemaStatus(current int64) (SchemaStatus, error) {
	sources, err := sources()
	if err != nil {
		return SchemaStatus{}, err
	}
	status := SchemaStatus{Current: current}
	for _, source := range sources {
		status.Latest = source.Version
		if source.Version > current {
			status.Pending = append(status.Pending, filepath.Base(source.Path))
		}
	}
	return status, nil
}

// sources lists the migrations in the order of their versions.
func sources() ([]*goose.Source, error) {
	provider, err := newProvider(&sql.DB{}) // listing asks nothing of a database
	if err != nil {
		return nil, err
	}
	return provider.ListSources(), nil
}

func newProvider(db *sql.DB) (*goose.Provider, error) {
	folder, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectSQLite3, db, folder,
		goose.WithTableName(versionTable), goose.WithDisableGlobalRegistry(true), goose.WithGoMigrations(chainAudit(), bucketUsage()))
}

// migrate brings the schema up to date. Each migration is one transaction together with its row in the table of
// versions, so a process that is killed leaves the schema before or behind a migration and the next start goes on
// from there (bar 75).
func migrate(ctx context.Context, db *sql.DB, path string) error {
	current, err := schemaVersion(ctx, db, path)
	if err != nil {
		return err
	}
	status, err := schemaStatus(current)
	if err != nil {
		return err
	}
	if current > status.Latest {
		return latchward.Errorf(latchward.CodeConflict, "The database %s was made by a newer version of Latchward "+
			"(schema %d; this version knows schemas up to %d): use that version, or restore a backup from before the upgrade.",
			path, current, status.Latest)
	}
	if len(status.Pending) == 0 {
		return nil
	}
	provider, err := newProvider(db)
	if err != nil {
		return err
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrating the database %s: %w", path, err)
	}
	return nil
}

// schemaVersion returns the version of the schema, 0 for an empty database.
func schemaVersion(ctx context.Context, db *sql.DB, path string) (int64, error) {
	var tables, ours int
	err := db.QueryRowContext(ctx, `SELECT count(*), count(*) FILTER (WHERE name = ?) FROM sqlite_schema`,
		versionTable).Scan(&tables, &ours)
	switch {
	case err != nil || tables == 0:
		return 0, err
	case ours == 0:
		return 0, latchward.Errorf(latchward.CodeConflict, "The database %s is not Latchward's: name another file.", path)
	}
	var version int64
	err = db.QueryRowContext(ctx, `SELECT ifnull(max(version_id), 0) FROM `+versionTable).Scan(&version)
	return version, err
}
