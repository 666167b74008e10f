package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
)

// record returns what scan makes of the only row, or not_found.
func record[T any](
	ctx context.Context, r runner, what string, scan func(*sql.Rows) (*T, error), text string, args ...any,
) (*T, error) {
	found, err := one(ctx, r, scan, text, args...)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, notFound(what)
	}
	return found, err
}

// save inserts a record when its id is 0, and else updates the one that has it. The id is the last argument of
// update. It returns the id.
func (tx *transaction) save(what string, id int64, insert, update string, args []any) (int64, error) {
	if id != 0 {
		n, err := tx.count(update, append(args, id)...)
		if err == nil && n == 0 {
			err = notFound(what)
		}
		return id, err
	}
	result, err := tx.execResult(insert, args...)
	if err != nil {
		return 0, err
	}
	return result.LastInsertId()
}

// drop deletes the record that text finds, or returns not_found.
func (tx *transaction) drop(what, text string, args ...any) error {
	n, err := tx.count(text, args...)
	if err == nil && n == 0 {
		return notFound(what)
	}
	return err
}

// checkName refuses a name that another record has. text asks for that by name and id.
func (tx *transaction) checkName(what, text, name string, id int64) error {
	taken, err := one(tx.ctx, tx, scalar[bool], text, name, id)
	if err == nil && taken {
		return conflict("name", "Another "+what+" has this name.")
	}
	return err
}

// decimal returns an id as changes name it.
func decimal[ID ~int64](id ID) string { return strconv.FormatInt(int64(id), 10) }
