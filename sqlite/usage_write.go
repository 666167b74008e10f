package sqlite

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/internal/usagepack"
)

// bulk is a statement that writes many rows at a time, which takes about two thirds of the time of one statement per
// row.
type bulk struct {
	table   string
	columns []string
	after   string
}

const bulkRows = 50

// write writes rows, whose values come one after the other in args.
func (b *bulk) write(w *work, args []any) error {
	many, single, width := b.text(bulkRows), b.text(1), len(b.columns)
	for ; len(args) >= bulkRows*width; args = args[bulkRows*width:] {
		if err := w.exec(many, args[:bulkRows*width]...); err != nil {
			return err
		}
	}
	for ; len(args) > 0; args = args[width:] {
		if err := w.exec(single, args[:width]...); err != nil {
			return err
		}
	}
	return nil
}

func (b *bulk) text(rows int) string {
	row := "(" + strings.TrimSuffix(strings.Repeat("?,", len(b.columns)), ",") + ")"
	values := strings.TrimSuffix(strings.Repeat(row+",", rows), ",")
	return "INSERT INTO " + b.table + " (" + strings.Join(b.columns, ", ") + ") VALUES " + values + b.after
}

// write adds everything but the raw events to the database.
func (a *addition) write(w *work, codec *usagepack.Codec) error {
	if err := writeCells(w, codec, a.cells); err != nil {
		return err
	}
	if err := writeTotals(w, codec, a.totals); err != nil {
		return err
	}
	if err := a.writeEndpoints(w); err != nil {
		return err
	}
	return a.writeLastUsed(w)
}

// writeRows adds raw events to the table of S2-36.
func writeRows(w *work, raw []*latchward.UsageEvent) error {
	args := make([]any, 0, len(raw)*14)
	for _, e := range raw {
		args = append(args, idOrNull(int64(e.TokenID)), e.Endpoint, e.Method, e.Status, milliseconds(e.Duration),
			e.RequestBytes, e.ResponseBytes, addressOrNull(e.Address), textOrNull(e.UserAgent), e.At.UnixMilli(),
			idOrNull(int64(e.UserID)), string(e.Credential), string(e.Reason), textOrNull(e.RequestID))
	}
	rows := bulk{table: "api_token_usage", columns: []string{"token_id", "endpoint", "method", "status_code",
		"response_time_ms", "request_size", "response_size", "ip_address", "user_agent", "created_at",
		"user_id", "credential", "reason", "request_id"}}
	return rows.write(w, args)
}

// idOrNull keeps a reference; 0 is none.
func idOrNull(id int64) any {
	if id == 0 {
		return nil
	}
	return id
}

// milliseconds keeps a duration up to 104 days exactly: its nanoseconds fit into the 53 bits of a float's fraction.
func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func (a *addition) writeEndpoints(w *work) error {
	var args []any
	for _, endpoint := range slices.Sorted(maps.Keys(a.endpoints)) {
		args = append(args, endpoint, a.endpoints[endpoint])
	}
	rows := bulk{table: "usage_endpoint", columns: []string{"endpoint", "hour"},
		after: ` ON CONFLICT DO UPDATE SET hour = excluded.hour WHERE hour < excluded.hour`}
	return rows.write(w, args)
}

// moveLastUsed looks up each token in its turn.
const moveLastUsed = `UPDATE api_tokens SET last_used_at = u.at
	FROM (SELECT value ->> 0 AS id, value ->> 1 AS at FROM json_each(?)) u
	WHERE api_tokens.id = u.id AND ifnull(last_used_at < u.at, 1)`

// writeLastUsed moves last_used_at forward, once per token and batch however many requests there were (C-08).
func (a *addition) writeLastUsed(w *work) error {
	if len(a.lastUsed) == 0 {
		return nil
	}
	moves := make([][2]int64, 0, len(a.lastUsed))
	for _, token := range slices.Sorted(maps.Keys(a.lastUsed)) {
		moves = append(moves, [2]int64{token, a.lastUsed[token]})
	}
	list, err := json.Marshal(moves)
	if err != nil {
		return err
	}
	return w.exec(moveLastUsed, string(list))
}
