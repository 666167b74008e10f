package sqlite

import (
	"context"
	"database/sql/driver"
	"strings"
	"sync"
)

// faults stands between the store and the driver.
type faults struct {
	mu     sync.Mutex
	before func(statement string) error // runs before each statement; an error is returned instead of running it
	after  func(statement string)       // runs after each statement that succeeded
}

func (f *faults) wrap(c driver.Connector) driver.Connector { return &faultyConnector{c, f} }

// set makes before run from now on.
func (f *faults) set(before func(statement string) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.before = before
}

func (f *faults) run(statement string, run func() error) error {
	f.mu.Lock()
	before, after := f.before, f.after
	f.mu.Unlock()
	if before != nil {
		if err := before(statement); err != nil {
			return err
		}
	}
	err := run()
	if err == nil && after != nil {
		after(statement)
	}
	return err
}

// failOn returns what fails every statement that begins with one of the words.
func failOn(err error, words ...string) func(string) error {
	return func(statement string) error {
		for _, word := range words {
			if strings.HasPrefix(strings.ToUpper(statement), word) {
				return err
			}
		}
		return nil
	}
}

// numberedError is an error as the driver returns it.
type numberedError int

func (numberedError) Error() string { return "text that nobody may rely on" }
func (e numberedError) Code() int   { return int(e) }

type faultyConnector struct {
	driver.Connector
	faults *faults
}

func (c *faultyConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &faultyConn{conn.(sqliteConn), c.faults}, nil
}

// sqliteConn is what of the driver's connection database/sql uses.
type sqliteConn interface {
	driver.Conn
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.ConnBeginTx
	driver.SessionResetter
	driver.Validator
}

type faultyConn struct {
	sqliteConn
	faults *faults
}

func (c *faultyConn) ExecContext(
	ctx context.Context, text string, args []driver.NamedValue,
) (r driver.Result, err error) {
	err = c.faults.run(text, func() error { r, err = c.sqliteConn.ExecContext(ctx, text, args); return err })
	return r, err
}

func (c *faultyConn) QueryContext(
	ctx context.Context, text string, args []driver.NamedValue,
) (r driver.Rows, err error) {
	err = c.faults.run(text, func() error { r, err = c.sqliteConn.QueryContext(ctx, text, args); return err })
	return r, err
}

func (c *faultyConn) BeginTx(ctx context.Context, o driver.TxOptions) (tx driver.Tx, err error) {
	err = c.faults.run("BEGIN", func() error { tx, err = c.sqliteConn.BeginTx(ctx, o); return err })
	return &faultyTx{tx, c.faults}, err
}

func (c *faultyConn) PrepareContext(ctx context.Context, text string) (driver.Stmt, error) {
	statement, err := c.sqliteConn.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	return &faultyStatement{statement.(sqliteStatement), text, c.faults}, nil
}

type faultyTx struct {
	driver.Tx
	faults *faults
}

func (tx *faultyTx) Commit() error { return tx.faults.run("COMMIT", tx.Tx.Commit) }

type sqliteStatement interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

type faultyStatement struct {
	sqliteStatement
	text   string
	faults *faults
}

func (s *faultyStatement) ExecContext(ctx context.Context, args []driver.NamedValue) (r driver.Result, err error) {
	err = s.faults.run(s.text, func() error { r, err = s.sqliteStatement.ExecContext(ctx, args); return err })
	return r, err
}

func (s *faultyStatement) QueryContext(ctx context.Context, args []driver.NamedValue) (r driver.Rows, err error) {
	err = s.faults.run(s.text, func() error { r, err = s.sqliteStatement.QueryContext(ctx, args); return err })
	return r, err
}
