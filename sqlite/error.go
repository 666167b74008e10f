package sqlite

import (
	"context"
	"errors"

	lib "modernc.org/sqlite/lib"

	"github.com/latchward/latchward"
)

// coded is an error of the driver. Errors are told apart by SQLite's numbers, never by their texts.
type coded interface {
	error
	Code() int // an extended result code
}

// translate returns what callers of the store are told about err, and remembers it when it means that the database
// can no longer be relied on.
func (s *Store) translate(err error) error {
	var c coded
	if errors.As(err, &c) && fatal(c.Code()) {
		s.fail(err)
	}
	err = translate(err)
	if latchward.ErrorCode(err) == latchward.CodeInternal && s.isClosed() {
		return unavailable("The database is closed.", err) // database/sql has no name for this
	}
	return err
}

func (s *Store) isClosed() bool {
	if s.writer == nil { // not open yet
		return false
	}
	select {
	case <-s.writer.closed:
		return true
	default:
		return false
	}
}

// translate returns what callers are told about err. Errors of their own functions pass through.
func translate(err error) error {
	var known *latchward.Error
	var c coded
	switch {
	case err == nil || errors.As(err, &known):
		return err
	case errors.As(err, &c):
		return fromCode(c.Code(), err)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return unavailable("The request ended before the database answered.", err)
	case errors.Is(err, errClosed):
		return unavailable("The database is closed.", err)
	}
	return err
}

// fromCode returns the Error for a result code (https://sqlite.org/rescode.html).
func fromCode(code int, err error) error {
	switch code {
	case lib.SQLITE_CONSTRAINT_UNIQUE, lib.SQLITE_CONSTRAINT_PRIMARYKEY:
		return &latchward.Error{Code: latchward.CodeConflict, Message: "There is a record like this already.", Err: err}
	case lib.SQLITE_CONSTRAINT_FOREIGNKEY:
		return &latchward.Error{Code: latchward.CodeConflict, Message: "It refers to a record that does not exist.", Err: err}
	}
	if message := unavailableMessage(code & 0xff); message != "" {
		return unavailable(message, err)
	}
	return &latchward.Error{Code: latchward.CodeInternal, Message: "The database refused a statement.", Err: err}
}

// unavailableMessage says what to do about a primary result code that comes from the machine, not from the statement.
func unavailableMessage(primary int) string {
	switch primary {
	case lib.SQLITE_FULL:
		return "The disk that holds the database is full: free some space and try again."
	case lib.SQLITE_READONLY, lib.SQLITE_PERM, lib.SQLITE_AUTH:
		return "The database cannot be written to: make its file and folder writable for this user."
	case lib.SQLITE_IOERR:
		return "The disk that holds the database fails: check it, then restart."
	case lib.SQLITE_CORRUPT, lib.SQLITE_NOTADB:
		return "The database file is damaged: restore a backup."
	case lib.SQLITE_CANTOPEN:
		return "The database file cannot be opened: check that its folder exists and belongs to this user."
	case lib.SQLITE_BUSY, lib.SQLITE_LOCKED, lib.SQLITE_PROTOCOL:
		return "Another program holds the database: try again."
	case lib.SQLITE_INTERRUPT, lib.SQLITE_ABORT:
		return "The request ended before the database answered."
	case lib.SQLITE_NOMEM:
		return "There is not enough memory for the database: try again."
	}
	return ""
}

// fatal reports whether nothing may be acknowledged any more after an error. What failed to reach the disk may be
// gone from the page cache as well, so a later sync that succeeds proves nothing: only reading everything anew does.
// A full disk is not fatal, in whatever guise.
func fatal(code int) bool {
	switch code {
	case lib.SQLITE_IOERR_SHMSIZE: // no space for the index of the write-ahead log
		return false
	case lib.SQLITE_IOERR_NOMEM:
		return false
	}
	primary := code & 0xff
	return primary == lib.SQLITE_IOERR || primary == lib.SQLITE_CORRUPT || primary == lib.SQLITE_NOTADB
}

// fail makes the store refuse to write until it is opened again.
func (s *Store) fail(cause error) { s.failure.CompareAndSwap(nil, &cause) }

// failed returns the error that every write gets once the store has failed, or nil.
func (s *Store) failed() error {
	cause := s.failure.Load()
	if cause == nil {
		return nil
	}
	return unavailable("The database failed and takes no more changes: check the disk, then restart.", *cause)
}

func unavailable(message string, err error) error {
	return &latchward.Error{Code: latchward.CodeUnavailable, Message: message, Err: err}
}

func notFound(what string) error {
	return &latchward.Error{Code: latchward.CodeNotFound, Message: "There is no such " + what + "."}
}

func conflict(field, message string) error {
	return &latchward.Error{Code: latchward.CodeConflict, Field: field, Message: message}
}
