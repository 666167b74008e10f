package server

import (
	"context"

	"github.com/latchward/latchward/sqlite"
)

// Backed says what a backup holds.
type Backed = sqlite.Backed

// Backup copies the database of a data folder into a new file, whether or not a server runs on it. The key ring is not
// in it. progress, if not nil, is told from another goroutine how many bytes of about how many are written. Errors are
// those of [sqlite.Backup].
func Backup(ctx context.Context, c Config, to string, progress func(done, total int64)) (Backed, error) {
	if !exists(c.path(databaseFile)) {
		return Backed{}, noDatabase(&c)
	}
	return sqlite.Backup(ctx, c.path(databaseFile), to, progress)
}
