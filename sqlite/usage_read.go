package sqlite

import (
	"context"
	"database/sql"
	"math"
	"net/netip"
	"slices"
	"time"

	"github.com/latchward/latchward"
)

const (
	tokensOfOwners = `SELECT id FROM api_tokens
			WHERE user_id IN (SELECT value FROM json_each(?)) AND deleted_at IS NULL
		UNION ALL SELECT token_id FROM usage_subject WHERE user_id IN (SELECT value FROM json_each(?))
		UNION ALL SELECT id FROM api_tokens
			WHERE group_id IN (SELECT value FROM json_each(?)) AND deleted_at IS NULL
		UNION ALL SELECT token_id FROM usage_subject WHERE group_id IN (SELECT value FROM json_each(?))`
	eventColumns = `e.token_id, e.endpoint, e.method, e.status_code, e.response_time_ms, e.request_size, e.response_size,
		e.ip_address, e.user_agent, e.created_at, e.user_id, e.credential, e.reason, e.request_id`
	tokenNames = `SELECT i.value, coalesce(t.name, s.name) FROM json_each(?) i
		LEFT JOIN api_tokens t ON t.id = i.value AND t.deleted_at IS NULL
		LEFT JOIN usage_subject s ON s.token_id = i.value`
	maxHour = math.MaxInt64
)

// hoursOf returns the hours that q selects: those that start in [from, to).
func hoursOf(q *latchward.UsageQuery) (from, to int64) {
	from, to = math.MinInt64, maxHour
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

// hourOf returns the start of the hour that at is in, as it is kept.
func hourOf(at time.Time) int64 { return at.Truncate(time.Hour).UnixMilli() }

// EndpointNames implements [latchward.UsageStore].
func (s *Store) EndpointNames(ctx context.Context) ([]string, error) {
	names, err := collect(ctx, s.reads, scalar[string], `SELECT endpoint FROM usage_endpoint`)
	return names, s.translate(err)
}
