package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/internal/usagepack"
)

// UsageOffset implements [latchward.UsageStore].
func (s *Store) UsageOffset(ctx context.Context, node string) (latchward.JournalOffset, error) {
	var offset latchward.JournalOffset
	_, err := one(ctx, s.reads, func(rows *sql.Rows) (none struct{}, err error) {
		return none, rows.Scan(&offset.Segment, &offset.At)
	}, `SELECT segment, at FROM usage_node WHERE node = ?`, node)
	if errors.Is(err, sql.ErrNoRows) {
		return latchward.JournalOffset{}, nil
	}
	return offset, s.translate(err)
}

// AddUsage implements [latchward.UsageStore]. Packs are made before the transaction begins, so that nobody waits for
// that.
func (s *Store) AddUsage(ctx context.Context, b latchward.UsageBatch) error {
	ready, err := s.preparePacks(ctx, b.Events)
	if err != nil {
		return s.translate(err)
	}
	return s.write(ctx, func(w *work) error {
		if err := moveOffset(w, &b); err != nil {
			return err
		}
		addition, err := s.newAddition(w, &b)
		if err != nil {
			return err
		}
		if err := s.writeRaw(w, addition.raw, ready); err != nil {
			return err
		}
		return addition.write(w, s.codec)
	})
}

// prepared is packs and the events that they were made of.
type prepared struct {
	raw   []*latchward.UsageEvent
	packs []usagepack.Pack
}

// preparePacks makes packs of all events but those of tokens that are gone.
func (s *Store) preparePacks(ctx context.Context, events []latchward.UsageEvent) (prepared, error) {
	if s.rows {
		return prepared{}, nil
	}
	exists, err := existingTokens(ctx, s.reads, events)
	if err != nil {
		return prepared{}, err
	}
	raw := make([]*latchward.UsageEvent, 0, len(events))
	for i := range events {
		if id := int64(events[i].TokenID); id == 0 || exists[id] {
			raw = append(raw, &events[i])
		}
	}
	return prepared{raw, s.codec.Pack(slices.Clone(raw))}, nil
}

// writeRaw writes raw events: as ready has them, unless a token was deleted since or an event turned out to be known.
func (s *Store) writeRaw(w *work, raw []*latchward.UsageEvent, ready prepared) error {
	if s.rows {
		return writeRows(w, raw)
	}
	if !slices.Equal(raw, ready.raw) {
		ready.packs = s.codec.Pack(slices.Clone(raw))
	}
	return writePacks(w, ready.packs)
}

// moveOffset moves the node's offset from b.From to b.To.
func moveOffset(w *work, b *latchward.UsageBatch) error {
	if b.From == (latchward.JournalOffset{}) {
		err := w.exec(`INSERT INTO usage_node (node, segment, at) VALUES (?, 0, 0) ON CONFLICT DO NOTHING`, b.Node)
		if err != nil {
			return err
		}
	}
	n, err := w.count(`UPDATE usage_node SET segment = ?, at = ? WHERE node = ? AND segment = ? AND at = ?`,
		b.To.Segment, b.To.At, b.Node, b.From.Segment, b.From.At)
	if err == nil && n == 0 {
		return conflict("", "The usage of this node was stored up to another offset.")
	}
	return err
}

// cellKey is what a cell counts.
type cellKey struct {
	hour, token      int64
	credential       latchward.CredentialType
	endpoint, method string
	class            int
}

// addition is a batch, summed up, so that each row is written once however many events fall into it.
type addition struct {
	raw       []*latchward.UsageEvent // of tokens that exist, and of JWTs
	cells     cells
	totals    tokenTotals
	endpoints map[string]int64 // the last hour of each
	lastUsed  map[int64]int64  // of tokens that exist
}

type cells map[cellKey]*latchward.UsageCell

func (s *Store) newAddition(w *work, b *latchward.UsageBatch) (*addition, error) {
	fresh, err := s.freshRequests(w, b.Events)
	if err != nil {
		return nil, err
	}
	exists, err := existingTokens(w.ctx, w, b.Events)
	if err != nil {
		return nil, err
	}
	a := &addition{
		cells: cells{}, totals: tokenTotals{},
		endpoints: map[string]int64{}, lastUsed: map[int64]int64{},
	}
	for i := range b.Events {
		e := &b.Events[i]
		if e.RequestID != "" {
			key := requestKey(e.RequestID)
			if !fresh[key] {
				continue
			}
			delete(fresh, key) // the next with this id is a repetition
		}
		a.add(e, b.Names[i], exists[int64(e.TokenID)])
	}
	return a, nil
}

// freshRequests notes the request ids of events and returns those that had not been noted before.
func (s *Store) freshRequests(w *work, events []latchward.UsageEvent) (map[string]bool, error) {
	var ids []string
	for i := range events {
		if id := events[i].RequestID; id != "" {
			ids = append(ids, requestKey(id))
		}
	}
	fresh := map[string]bool{}
	if len(ids) == 0 {
		return fresh, nil
	}
	list, err := json.Marshal(ids)
	if err != nil {
		return nil, err
	}
	noted, err := collect(w.ctx, w, scalar[string], `INSERT INTO usage_request (request_id, at)
		SELECT value, ? FROM json_each(?) WHERE true ON CONFLICT DO NOTHING RETURNING request_id`,
		s.now().UnixMilli(), string(list))
	for _, id := range noted {
		fresh[id] = true
	}
	return fresh, err
}

// requestKey returns a request id as JSON can carry it.
func requestKey(id string) string { return strings.ToValidUTF8(id, "\uFFFD") }

// existingTokens returns the tokens of events that are there and were not deleted.
func existingTokens(ctx context.Context, r runner, events []latchward.UsageEvent) (map[int64]bool, error) {
	wanted := map[int64]bool{}
	for i := range events {
		wanted[int64(events[i].TokenID)] = true
	}
	list, err := json.Marshal(slices.Collect(maps.Keys(wanted)))
	if err != nil {
		return nil, err
	}
	found, err := collect(ctx, r, scalar[int64], `SELECT id FROM api_tokens
		WHERE id IN (SELECT value FROM json_each(?)) AND deleted_at IS NULL`, string(list))
	exists := map[int64]bool{}
	for _, id := range found {
		exists[id] = true
	}
	return exists, err
}

func (a *addition) add(e *latchward.UsageEvent, name string, tokenExists bool) {
	token, at := int64(e.TokenID), e.At.UnixMilli()
	hour := hourOf(e.At)
	cell := latchward.UsageCell{
		Requests: 1, Duration: e.Duration, RequestBytes: e.RequestBytes, ResponseBytes: e.ResponseBytes,
	}
	if e.Status >= 400 {
		cell.Failed = 1
	}
	sum(a.cells, cellKey{hour, token, e.Credential, name, e.Method, e.Status / 100}, &cell)
	sum(a.totals, token, &cell)
	a.endpoints[name] = max(a.endpoints[name], hour)
	if token == 0 || tokenExists {
		a.raw = append(a.raw, e)
	}
	if tokenExists && e.Accepted() {
		a.lastUsed[token] = max(a.lastUsed[token], at)
	}
}

func sum[K comparable](sums map[K]*latchward.UsageCell, key K, cell *latchward.UsageCell) {
	known := sums[key]
	if known == nil {
		known = &latchward.UsageCell{}
		sums[key] = known
	}
	known.Add(*cell)
}
