package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/latchward/latchward"
)

const (
	sumColumns = `sum(c.requests) AS requests, sum(c.failed) AS failed, sum(c.duration) AS duration,
		sum(c.request_bytes) AS request_bytes, sum(c.response_bytes) AS response_bytes`
	// usage_hourly begins with the hour: a token is looked for hour by hour, among those that there are.
	hoursOfToken = `(WITH RECURSIVE hours (at) AS (
			SELECT max(?, (SELECT min(hour) FROM usage_hourly))
			UNION ALL
			SELECT at + 3600000 FROM hours WHERE at + 3600000 < min(?, (SELECT max(hour) + 1 FROM usage_hourly))
		) SELECT at FROM hours) h CROSS JOIN usage_hourly c`
	tokensOfOwners = `(SELECT id FROM api_tokens
			WHERE user_id IN (SELECT value FROM json_each(?)) AND deleted_at IS NULL
		UNION ALL SELECT token_id FROM usage_subject WHERE user_id IN (SELECT value FROM json_each(?))
		UNION ALL SELECT id FROM api_tokens
			WHERE group_id IN (SELECT value FROM json_each(?)) AND deleted_at IS NULL
		UNION ALL SELECT token_id FROM usage_subject WHERE group_id IN (SELECT value FROM json_each(?)))`
	eventColumns = `e.token_id, e.endpoint, e.method, e.status_code, e.response_time_ms, e.request_size, e.response_size,
		e.ip_address, e.user_agent, e.created_at, e.user_id, e.credential, e.reason, e.request_id`
	tokenCounts = `SELECT i.value,
			(SELECT sum(requests) FROM usage_hourly_token WHERE token_id = i.value AND hour >= ?),
			(SELECT sum(requests) FROM usage_hourly_token WHERE token_id = i.value AND hour >= ?),
			u.requests
		FROM json_each(?) i JOIN usage_total u ON u.token_id = i.value`
)

// UsageCells implements [latchward.UsageStore].
func (s *Store) UsageCells(
	ctx context.Context, q latchward.UsageQuery, f func(latchward.UsageKey, latchward.UsageCell) error,
) error {
	text, args := cellsQuery(&q)
	type group struct {
		key  latchward.UsageKey
		cell latchward.UsageCell
	}
	groups, err := collect(ctx, unprepared{s.readers}, func(rows *sql.Rows) (g group, err error) {
		k, c := &g.key, &g.cell
		return g, rows.Scan(timeColumn{&k.Hour}, &k.Token, textColumn{&k.TokenName}, &k.Credential, &k.Endpoint, &k.Method,
			&k.Class, &c.Requests, &c.Failed, &c.Duration, &c.RequestBytes, &c.ResponseBytes)
	}, text, args...)
	if err != nil {
		return s.translate(err)
	}
	for _, g := range groups {
		if err := f(g.key, g.cell); err != nil {
			return err
		}
	}
	return nil
}

// cellColumns are the columns of a group, each with the dimension that asks for it and what stands for it otherwise.
var cellColumns = []struct {
	name      string
	by        latchward.UsageDimension
	otherwise string
}{
	{"hour", latchward.ByHour, "NULL"},
	{"token_id", latchward.ByToken, "0"},
	{"credential", latchward.ByCredential, "''"},
	{"endpoint", latchward.ByEndpoint, "''"},
	{"method", latchward.ByEndpoint, "''"},
	{"class", latchward.ByClass, "0"},
}

// cellsQuery sums up cells and then looks up names, once per group.
func cellsQuery(q *latchward.UsageQuery) (string, []any) {
	var columns, groups []string
	for _, c := range cellColumns {
		if q.By&c.by != 0 {
			columns, groups = append(columns, "c."+c.name), append(groups, "c."+c.name)
		} else {
			columns = append(columns, c.otherwise+" AS "+c.name)
		}
	}
	source, condition, args := cellsSource(q)
	sums := `SELECT ` + strings.Join(columns, ", ") + `, ` + sumColumns + ` FROM ` + source + ` WHERE ` + condition
	if len(groups) > 0 {
		sums += ` GROUP BY ` + strings.Join(groups, ", ")
	} else {
		sums += ` HAVING count(*) > 0` // a sum over nothing is a row of NULLs
	}
	return `SELECT g.hour, g.token_id, coalesce(t.name, s.name), g.credential, g.endpoint, g.method, g.class,
			g.requests, g.failed, g.duration, g.request_bytes, g.response_bytes
		FROM (` + sums + `) g
		LEFT JOIN api_tokens t ON t.id = g.token_id AND t.deleted_at IS NULL
		LEFT JOIN usage_subject s ON s.token_id = g.token_id`, args
}

// cellsSource returns where the cells that q selects are read from: the smallest table that tells them apart, by its
// key.
func cellsSource(q *latchward.UsageQuery) (source, condition string, args []any) {
	from, to := hoursOf(q)
	c := &conditions{}
	switch byEndpoint := q.By&latchward.ByEndpoint != 0; {
	case !byEndpoint && q.Token != 0:
		source = "usage_hourly_token c"
		c.begin("c.token_id = ? AND c.hour >= ? AND c.hour < ?", q.Token, from, to)
	case !byEndpoint:
		source = "usage_total t CROSS JOIN usage_hourly_token c"
		c.begin("c.token_id = t.token_id AND c.hour >= ? AND c.hour < ?", from, to)
	case q.Token != 0:
		source = hoursOfToken
		c.begin("c.hour = h.at AND c.token_id = ? AND c.hour < ?", from, to, q.Token, to)
	case q.Owners == nil && q.By&latchward.ByToken == 0:
		source = "usage_hourly_endpoint c"
		c.begin("c.hour >= ? AND c.hour < ?", from, to)
	default:
		source = "usage_hourly c"
		c.begin("c.hour >= ? AND c.hour < ?", from, to)
	}
	if q.Credential != "" {
		c.add("c.credential = ?", string(q.Credential))
	}
	if q.Owners != nil {
		users, groups := ownerIDs(q.Owners)
		c.add("c.token_id IN "+tokensOfOwners, idList(users), idList(users), idList(groups), idList(groups))
	}
	return source, c.text.String(), c.args
}

// hoursOf returns the hours that q selects: those that start in [from, to).
func hoursOf(q *latchward.UsageQuery) (from, to int64) {
	from, to = math.MinInt64, math.MaxInt64
	if !q.From.IsZero() {
		from = hourOf(q.From.Add(time.Hour - 1))
	}
	if !q.To.IsZero() {
		to = q.To.UnixMilli()
	}
	return from, to
}

// UsageEvents implements [latchward.UsageStore].
func (s *Store) UsageEvents(
	ctx context.Context, q latchward.UsageEventQuery, f func(*latchward.UsageEvent) error,
) error {
	var events []*latchward.UsageEvent
	err := s.snapshot(ctx, func(r runner) (err error) {
		events, err = s.newestEvents(ctx, r, &q)
		return err
	})
	if err != nil {
		return s.translate(err)
	}
	for _, e := range events {
		if err := f(e); err != nil {
			return err
		}
	}
	return nil
}

// newestEvents returns what q selects: of rows and of packs.
func (s *Store) newestEvents(ctx context.Context, r runner, q *latchward.UsageEventQuery) ([]*latchward.UsageEvent, error) {
	text, args := eventsQuery(q)
	rows, err := collect(ctx, r, scanEvent, text, args...)
	if err != nil {
		return nil, err
	}
	packs := search{codec: s.codec, from: eventsFrom(q), limit: math.MaxInt}
	if q.Limit > 0 {
		packs.limit = q.Limit
	}
	if packs.gone, err = deletedTokens(ctx, r, -1); err != nil {
		return nil, err
	}
	if q.Token != 0 {
		packs.token = &q.Token
	}
	if err := packs.run(ctx, r); err != nil {
		return nil, err
	}
	return packs.with(rows), nil
}

// with returns what was found together with rows, newest first, up to the limit.
func (s *search) with(rows []*latchward.UsageEvent) []*latchward.UsageEvent {
	events := rows
	for i := range s.found {
		events = append(events, &s.found[i].event)
	}
	if len(rows) > 0 && len(s.found) > 0 {
		slices.SortStableFunc(events, func(a, b *latchward.UsageEvent) int { return b.At.Compare(a.At) })
	}
	return events[:min(len(events), s.limit)]
}

func eventsFrom(q *latchward.UsageEventQuery) int64 {
	if q.From.IsZero() {
		return math.MinInt64
	}
	return q.From.UnixMilli()
}

func eventsQuery(q *latchward.UsageEventQuery) (string, []any) {
	const exists = "EXISTS (SELECT 1 FROM api_tokens t WHERE t.id = e.token_id AND t.deleted_at IS NULL)"
	condition, args := "(e.token_id IS NULL OR "+exists+")", []any{}
	if q.Token != 0 {
		condition, args = "e.token_id = ? AND "+exists, []any{q.Token}
	}
	text := `SELECT ` + eventColumns + ` FROM api_token_usage e WHERE ` + condition + ` AND e.created_at >= ?
		ORDER BY e.created_at DESC, e.id DESC LIMIT ?`
	return text, append(args, eventsFrom(q), limitOf(q.Limit))
}

func scanEvent(rows *sql.Rows) (*latchward.UsageEvent, error) {
	var e latchward.UsageEvent
	var token, user sql.NullInt64
	var elapsed float64
	err := rows.Scan(&token, &e.Endpoint, &e.Method, &e.Status, &elapsed, &e.RequestBytes, &e.ResponseBytes,
		parsedColumn(&e.Address, netip.ParseAddr), textColumn{&e.UserAgent}, timeColumn{&e.At}, &user,
		&e.Credential, &e.Reason, textColumn{&e.RequestID})
	if err != nil {
		return nil, unreadable("usage event", err)
	}
	e.TokenID, e.UserID = latchward.TokenID(token.Int64), latchward.UserID(user.Int64)
	e.Duration = time.Duration(math.Round(elapsed * float64(time.Millisecond)))
	return &e, nil
}

// TokenCounts implements [latchward.UsageStore].
func (s *Store) TokenCounts(
	ctx context.Context, ids []latchward.TokenID, now time.Time,
) (map[latchward.TokenID]latchward.TokenCounts, error) {
	counts := make(map[latchward.TokenID]latchward.TokenCounts, len(ids))
	list, err := json.Marshal(ids)
	if err != nil || len(ids) == 0 {
		return counts, err
	}
	_, err = collect(ctx, s.reads, func(rows *sql.Rows) (none struct{}, err error) {
		var id latchward.TokenID
		var day, week, total sql.NullInt64
		err = rows.Scan(&id, &day, &week, &total)
		counts[id] = latchward.TokenCounts{Requests24h: day.Int64, Requests7d: week.Int64, Total: total.Int64}
		return none, err
	}, tokenCounts, hourOf(now.Add(-24*time.Hour)), hourOf(now.Add(-7*24*time.Hour)), string(list))
	return counts, s.translate(err)
}

// hourOf returns the start of the hour that at is in, as it is kept.
func hourOf(at time.Time) int64 { return at.Truncate(time.Hour).UnixMilli() }

// EndpointNames implements [latchward.UsageStore].
func (s *Store) EndpointNames(ctx context.Context) ([]string, error) {
	names, err := collect(ctx, s.reads, scalar[string], `SELECT endpoint FROM usage_endpoint`)
	return names, s.translate(err)
}
