package sqlite

import (
	"context"
	"database/sql"

	"github.com/pressly/goose/v3"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/internal/usagepack"
)

const (
	cellsAdded = `
-- Sums by hour, in buckets of 64 tokens that follow each other; -1 is all tokens, which are not told apart in it.
CREATE TABLE usage_cells (
  id      INTEGER PRIMARY KEY,
  bucket  INTEGER NOT NULL,
  hour    INTEGER NOT NULL,
  cells   INTEGER NOT NULL,
  payload BLOB NOT NULL,
  UNIQUE (bucket, hour)
) STRICT;
-- Sums since ever, likewise; pruning leaves them alone (S2-34).
CREATE TABLE usage_totals (
  bucket  INTEGER PRIMARY KEY,
  payload BLOB NOT NULL
) STRICT;
CREATE INDEX usage_cells_hour ON usage_cells (hour, bucket);
`
	hourlyRemoved = `
DROP TABLE usage_total;
DROP TABLE usage_hourly;
DROP TABLE usage_hourly_token;
DROP TABLE usage_hourly_endpoint;
`
	oldTotals   = `SELECT token_id, requests, failed, duration, request_bytes, response_bytes FROM usage_total`
	hourlyHours = `SELECT DISTINCT hour FROM usage_hourly ORDER BY hour`
	hourlyCells = `SELECT token_id, credential, endpoint, method, class, requests, failed, duration, request_bytes,
		response_bytes FROM usage_hourly WHERE hour = ?`
)

// bucketUsage is the migration that puts hourly sums, which were a row each in three tables, into buckets.
func bucketUsage() *goose.Migration {
	m := goose.NewGoMigration(11, &goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, cellsAdded); err != nil {
			return err
		}
		codec, err := usagepack.New()
		if err != nil {
			return err
		}
		if err := moveHours(ctx, tx, codec); err != nil {
			return err
		}
		if err := moveTotals(ctx, tx, codec); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, hourlyRemoved)
		return err
	}}, nil)
	m.Source = "00011_usage_cells.go"
	return m
}

func moveTotals(ctx context.Context, tx *sql.Tx, codec *usagepack.Codec) error {
	totals := tokenTotals{}
	_, err := collect(ctx, plainTx{tx}, func(rows *sql.Rows) (none struct{}, err error) {
		var token int64
		c := &latchward.UsageCell{}
		err = rows.Scan(&token, &c.Requests, &c.Failed, &c.Duration, &c.RequestBytes, &c.ResponseBytes)
		totals[token] = c
		return none, err
	}, oldTotals)
	if err != nil {
		return err
	}
	for bucket, list := range totals.buckets() {
		if _, err := tx.ExecContext(ctx, putTotals, bucket, codec.PackCells(list)); err != nil {
			return err
		}
	}
	return nil
}

func moveHours(ctx context.Context, tx *sql.Tx, codec *usagepack.Codec) error {
	hours, err := collect(ctx, plainTx{tx}, scalar[int64], hourlyHours)
	if err != nil {
		return err
	}
	for _, hour := range hours {
		all := cells{}
		_, err := collect(ctx, plainTx{tx}, func(rows *sql.Rows) (none struct{}, err error) {
			key, c := cellKey{hour: hour}, &latchward.UsageCell{}
			err = rows.Scan(&key.token, &key.credential, &key.endpoint, &key.method, &key.class,
				&c.Requests, &c.Failed, &c.Duration, &c.RequestBytes, &c.ResponseBytes)
			all[key] = c
			return none, err
		}, hourlyCells, hour)
		if err != nil {
			return err
		}
		for at, list := range all.buckets() {
			if _, err := tx.ExecContext(ctx, putCells, at.bucket, at.hour, len(list), codec.PackCells(list)); err != nil {
				return err
			}
		}
	}
	return nil
}
