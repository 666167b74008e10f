package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/internal/usagepack"
)

// Cells of an hour are kept in buckets of tokens that follow each other, and once more in a bucket for all tokens, who
// are not told apart there. A bucket is one row: adding to it means writing it again, which takes less than writing a
// row for each of its cells as soon as two of them change.
const (
	tokensPerBucket = 64
	sharedBucket    = -1
)

func bucketOf(token latchward.TokenID) int64 { return int64(token) / tokensPerBucket }

const (
	cellsOfBucket  = `SELECT payload FROM usage_cells WHERE bucket = ? AND hour = ?`
	totalsOfBucket = `SELECT payload FROM usage_totals WHERE bucket = ?`
	putTotals      = `INSERT INTO usage_totals (bucket, payload) VALUES (?, ?)
		ON CONFLICT DO UPDATE SET payload = excluded.payload`
	putCells = `INSERT INTO usage_cells (bucket, hour, cells, payload) VALUES (?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET cells = excluded.cells, payload = excluded.payload`
	bucketOverHours = `SELECT hour, payload FROM usage_cells WHERE bucket = ? AND hour >= ? AND hour < ?`
	tokensOverHours = `SELECT hour, payload FROM usage_cells WHERE bucket >= 0 AND hour >= ? AND hour < ?`
	oldCells        = `SELECT id, cells FROM usage_cells INDEXED BY usage_cells_hour WHERE hour < ? AND bucket >= 0
		ORDER BY hour LIMIT 64`
	oldSharedCells = `SELECT id, cells FROM usage_cells WHERE bucket = -1 AND hour < ? ORDER BY hour LIMIT 64`
)

// bucketKey names a row of usage_cells.
type bucketKey struct{ hour, bucket int64 }

// buckets returns cells by where they are kept, sorted.
func (all cells) buckets() map[bucketKey][]usagepack.Cell {
	shared := cells{}
	buckets := map[bucketKey][]usagepack.Cell{}
	for key, cell := range all {
		at := bucketKey{key.hour, bucketOf(latchward.TokenID(key.token))}
		buckets[at] = append(buckets[at], packed(key, cell))
		key.token = 0
		sum(shared, key, cell)
	}
	for key, cell := range shared {
		at := bucketKey{key.hour, sharedBucket}
		buckets[at] = append(buckets[at], packed(key, cell))
	}
	for _, list := range buckets {
		usagepack.SortCells(list)
	}
	return buckets
}

func packed(key cellKey, cell *latchward.UsageCell) usagepack.Cell {
	return usagepack.Cell{
		Token: latchward.TokenID(key.token), Credential: key.credential, Endpoint: key.endpoint, Method: key.method,
		Class: key.class, UsageCell: *cell,
	}
}

// writeCells adds cells to those that are there.
func writeCells(w *work, codec *usagepack.Codec, all cells) error {
	buckets := all.buckets()
	for _, at := range slices.SortedFunc(maps.Keys(buckets), func(a, b bucketKey) int {
		return cmp.Or(cmp.Compare(a.bucket, b.bucket), cmp.Compare(a.hour, b.hour))
	}) {
		list, err := addTo(w, codec, buckets[at], cellsOfBucket, at.bucket, at.hour)
		if err != nil {
			return err
		}
		if err := w.exec(putCells, at.bucket, at.hour, len(list), codec.PackCells(list)); err != nil {
			return err
		}
	}
	return nil
}

// addTo returns cells together with those that a query finds in one row or none.
func addTo(w *work, codec *usagepack.Codec, list []usagepack.Cell, text string, args ...any) ([]usagepack.Cell, error) {
	payloads, err := collect(w.ctx, w, scalar[[]byte], text, args...)
	if err != nil || len(payloads) == 0 {
		return list, err
	}
	known, err := codec.Cells(payloads[0])
	if err != nil {
		return nil, unreadable("sum of usage", err)
	}
	return usagepack.MergeCells(known, list), nil
}

// tokenTotals are sums since ever, of tokens and, as token 0, of JWTs.
type tokenTotals map[int64]*latchward.UsageCell

// buckets returns totals by where they are kept, sorted.
func (t tokenTotals) buckets() map[int64][]usagepack.Cell {
	buckets := map[int64][]usagepack.Cell{}
	for _, token := range slices.Sorted(maps.Keys(t)) {
		id := latchward.TokenID(token)
		buckets[bucketOf(id)] = append(buckets[bucketOf(id)], usagepack.Cell{Token: id, UsageCell: *t[token]})
	}
	return buckets
}

// writeTotals adds totals to those that are there.
func writeTotals(w *work, codec *usagepack.Codec, totals tokenTotals) error {
	buckets := totals.buckets()
	for _, bucket := range slices.Sorted(maps.Keys(buckets)) {
		list, err := addTo(w, codec, buckets[bucket], totalsOfBucket, bucket)
		if err != nil {
			return err
		}
		if err := w.exec(putTotals, bucket, codec.PackCells(list)); err != nil {
			return err
		}
	}
	return nil
}

// UsageCells implements [latchward.UsageStore].
func (s *Store) UsageCells(
	ctx context.Context, q latchward.UsageQuery, f func(latchward.UsageKey, latchward.UsageCell) error,
) error {
	sums := summary{query: &q, sums: map[latchward.UsageKey]*latchward.UsageCell{}}
	err := s.snapshot(ctx, func(r runner) error { return sums.run(ctx, r, s.codec) })
	if err != nil {
		return s.translate(err)
	}
	for key, cell := range sums.sums {
		if err := f(key, *cell); err != nil {
			return err
		}
	}
	return nil
}

// summary is the answer to a query of rollups while it is added up.
type summary struct {
	query *latchward.UsageQuery
	only  map[latchward.TokenID]bool // tokens of owners; nil = all
	sums  map[latchward.UsageKey]*latchward.UsageCell
}

func (s *summary) run(ctx context.Context, r runner, codec *usagepack.Codec) error {
	if err := s.selectOwners(ctx, r); err != nil {
		return err
	}
	text, args := cellsQuery(s.query)
	_, err := collect(ctx, r, func(rows *sql.Rows) (none struct{}, err error) {
		var hour int64
		var payload sql.RawBytes
		if err = rows.Scan(&hour, &payload); err == nil {
			err = s.add(codec, time.UnixMilli(hour).UTC(), payload)
		}
		return none, err
	}, text, args...)
	if err != nil {
		return err
	}
	return s.name(ctx, r)
}

// cellsQuery returns which buckets tell what q asks for.
func cellsQuery(q *latchward.UsageQuery) (string, []any) {
	from, to := hoursOf(q)
	switch {
	case q.Token != 0:
		return bucketOverHours, []any{bucketOf(q.Token), from, to}
	case q.Owners == nil && q.By&latchward.ByToken == 0:
		return bucketOverHours, []any{sharedBucket, from, to}
	}
	return tokensOverHours, []any{from, to}
}

func (s *summary) selectOwners(ctx context.Context, r runner) error {
	if s.query.Owners == nil {
		return nil
	}
	users, groups := ownerIDs(s.query.Owners)
	ids, err := collect(ctx, r, scalar[latchward.TokenID], tokensOfOwners,
		idList(users), idList(users), idList(groups), idList(groups))
	s.only = map[latchward.TokenID]bool{}
	for _, id := range ids {
		s.only[id] = true
	}
	return err
}

func (s *summary) add(codec *usagepack.Codec, hour time.Time, payload []byte) error {
	reader, err := codec.ReadCells(payload)
	if err != nil {
		return unreadable("sum of usage", err)
	}
	var cell usagepack.Cell
	var last latchward.UsageKey // most cells of a bucket fall into the group of the one before
	var sum *latchward.UsageCell
	for {
		more, err := reader.Next(&cell)
		if err != nil {
			return unreadable("sum of usage", err)
		}
		if !more {
			return nil
		}
		if !s.selects(&cell) {
			continue
		}
		if key := s.group(hour, &cell); sum == nil || key != last {
			if sum = s.sums[key]; sum == nil {
				sum = &latchward.UsageCell{}
				s.sums[key] = sum
			}
			last = key
		}
		sum.Add(cell.UsageCell)
	}
}

func (s *summary) selects(c *usagepack.Cell) bool {
	return (s.query.Token == 0 || c.Token == s.query.Token) && (s.only == nil || s.only[c.Token]) &&
		(s.query.Credential == "" || c.Credential == s.query.Credential)
}

// group returns the members of a cell's key that were asked for.
func (s *summary) group(hour time.Time, c *usagepack.Cell) (key latchward.UsageKey) {
	by := s.query.By
	if by&latchward.ByHour != 0 {
		key.Hour = hour
	}
	if by&latchward.ByToken != 0 {
		key.Token = c.Token
	}
	if by&latchward.ByEndpoint != 0 {
		key.Endpoint, key.Method = c.Endpoint, c.Method
	}
	if by&latchward.ByCredential != 0 {
		key.Credential = c.Credential
	}
	if by&latchward.ByClass != 0 {
		key.Class = c.Class
	}
	return key
}

// name fills in the names of tokens.
func (s *summary) name(ctx context.Context, r runner) error {
	if s.query.By&latchward.ByToken == 0 || len(s.sums) == 0 {
		return nil
	}
	wanted := map[latchward.TokenID]bool{}
	for key := range s.sums {
		wanted[key.Token] = true
	}
	list, err := json.Marshal(slices.Collect(maps.Keys(wanted)))
	if err != nil {
		return err
	}
	names := map[latchward.TokenID]string{}
	_, err = collect(ctx, r, func(rows *sql.Rows) (none struct{}, err error) {
		var id latchward.TokenID
		var name string
		err = rows.Scan(&id, textColumn{&name})
		names[id] = name
		return none, err
	}, tokenNames, string(list))
	if err != nil {
		return err
	}
	named := make(map[latchward.UsageKey]*latchward.UsageCell, len(s.sums))
	for key, cell := range s.sums {
		key.TokenName = names[key.Token]
		named[key] = cell
	}
	s.sums = named
	return nil
}

// pruneCells removes up to limit cells from before a moment of the rows that text finds, and returns how many it
// removed.
func (s *Store) pruneCells(w *work, text string, before int64, limit int) (removed int, err error) {
	rows, err := collect(w.ctx, w, func(rows *sql.Rows) (p sizedPack, err error) {
		return p, rows.Scan(&p.id, &p.events)
	}, text, before)
	if err != nil {
		return 0, err
	}
	for _, row := range rows {
		n := min(int(row.events), limit-removed)
		if err := s.cutCells(w, row, n); err != nil {
			return removed, err
		}
		if removed += n; removed >= limit {
			break
		}
	}
	return removed, nil
}

// cutCells removes n cells of a row, and the row with the last of them.
func (s *Store) cutCells(w *work, row sizedPack, n int) error {
	if n == int(row.events) {
		return w.exec(`DELETE FROM usage_cells WHERE id = ?`, row.id)
	}
	payload, err := one(w.ctx, w, scalar[[]byte], `SELECT payload FROM usage_cells WHERE id = ?`, row.id)
	if err != nil {
		return err
	}
	list, err := s.codec.Cells(payload)
	if err != nil || len(list) < n {
		return unreadable("sum of usage", err)
	}
	return w.exec(`UPDATE usage_cells SET cells = ?, payload = ? WHERE id = ?`,
		len(list)-n, s.codec.PackCells(list[n:]), row.id)
}

// TokenCounts implements [latchward.UsageStore].
func (s *Store) TokenCounts(
	ctx context.Context, ids []latchward.TokenID, now time.Time,
) (map[latchward.TokenID]latchward.TokenCounts, error) {
	c := counting{
		codec: s.codec, counts: make(map[latchward.TokenID]latchward.TokenCounts, len(ids)),
		day: hourOf(now.Add(-24 * time.Hour)), week: hourOf(now.Add(-7 * 24 * time.Hour)),
	}
	buckets := map[int64]bool{}
	for _, id := range ids {
		c.counts[id] = latchward.TokenCounts{}
		buckets[bucketOf(id)] = true
	}
	err := s.snapshot(ctx, func(r runner) error {
		for bucket := range buckets {
			if err := c.bucket(ctx, r, bucket); err != nil {
				return err
			}
		}
		return nil
	})
	return c.counts, s.translate(err)
}

// counting adds up the counters of tokens.
type counting struct {
	codec     *usagepack.Codec
	counts    map[latchward.TokenID]latchward.TokenCounts
	day, week int64 // hours in which the windows begin
}

func (c *counting) bucket(ctx context.Context, r runner, bucket int64) error {
	_, err := collect(ctx, r, func(rows *sql.Rows) (none struct{}, err error) {
		var payload sql.RawBytes
		if err = rows.Scan(&payload); err == nil {
			err = c.add(payload, func(counts *latchward.TokenCounts, n int64) { counts.Total += n })
		}
		return none, err
	}, totalsOfBucket, bucket)
	if err != nil {
		return err
	}
	_, err = collect(ctx, r, func(rows *sql.Rows) (none struct{}, err error) {
		var hour int64
		var payload sql.RawBytes
		if err = rows.Scan(&hour, &payload); err == nil {
			err = c.add(payload, func(counts *latchward.TokenCounts, n int64) {
				counts.Requests7d += n
				if hour >= c.day {
					counts.Requests24h += n
				}
			})
		}
		return none, err
	}, bucketOverHours, bucket, c.week, int64(maxHour))
	return err
}

// add calls count for each cell of a token that is asked for, with its requests.
func (c *counting) add(payload []byte, count func(*latchward.TokenCounts, int64)) error {
	reader, err := c.codec.ReadCells(payload)
	if err != nil {
		return unreadable("sum of usage", err)
	}
	last, sum := latchward.TokenID(-1), int64(0) // cells of one token follow each other
	for {
		token, requests, more, err := reader.NextRequests()
		if err != nil {
			return unreadable("sum of usage", err)
		}
		if more && token == last {
			sum += requests
			continue
		}
		if counts, wanted := c.counts[last]; wanted {
			count(&counts, sum)
			c.counts[last] = counts
		}
		if last, sum = token, requests; !more {
			return nil
		}
	}
}
