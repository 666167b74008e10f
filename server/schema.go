package server

import (
	"context"

	"github.com/latchward/latchward/sqlite"
)

// SchemaStatus says which schema a database has and which this program works with.
type SchemaStatus = sqlite.SchemaStatus

// Schema returns which schema the database of a data folder has, and changes nothing. The error is of code conflict
// while a server has it open.
func Schema(ctx context.Context, c Config) (SchemaStatus, error) {
	if !exists(c.Data) {
		return SchemaStatus{}, noDatabase(&c)
	}
	return sqlite.Schema(ctx, c.path(databaseFile))
}

// Migrate brings the schema of the database up to date, making folder and database if they are missing. Starting a
// server does the same.
func Migrate(ctx context.Context, c Config) error {
	if err := openFolder(c.Data); err != nil {
		return err
	}
	store, err := sqlite.Open(ctx, c.path(databaseFile), sqlite.Options{})
	if err != nil {
		return err
	}
	return store.Close()
}
