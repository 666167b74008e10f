package sqlite

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/latchward/latchward"
)

// keepRequestIDs is for how long a request id is recognised after it was added. Whoever reports usage gives up
// repeating long before.
const keepRequestIDs = 24 * time.Hour

const (
	nextDeleted  = `SELECT id FROM api_tokens WHERE deleted_at IS NOT NULL ORDER BY deleted_at LIMIT ?`
	forgetEvents = `DELETE FROM api_token_usage WHERE id IN (SELECT id FROM api_token_usage WHERE token_id = ? LIMIT ?)`
)

// deletedTokens returns up to so many tokens that were deleted and of which usage may be left; all when limit is
// negative.
func deletedTokens(ctx context.Context, r runner, limit int) (map[latchward.TokenID]bool, error) {
	ids, err := collect(ctx, r, scalar[latchward.TokenID], nextDeleted, limit)
	tokens := make(map[latchward.TokenID]bool, len(ids))
	for _, id := range ids {
		tokens[id] = true
	}
	return tokens, err
}

// forgetAtOnce is how many deleted tokens one walk through the packs removes.
const forgetAtOnce = 1000

// ForgetUsage implements [latchward.UsageStore]. A deleted token's row goes behind the last of its raw usage, so that
// the cascade in the schema never has more to do than a batch.
func (s *Store) ForgetUsage(ctx context.Context, limit int) (removed int, err error) {
	s.tidying.Lock()
	defer s.tidying.Unlock()
	tokens, err := deletedTokens(ctx, s.reads, forgetAtOnce)
	if err != nil || len(tokens) == 0 {
		return 0, s.translate(err)
	}
	if removed, err = s.forgetPacks(ctx, tokens, limit); err != nil {
		return removed, err
	}
	for _, id := range slices.Sorted(maps.Keys(tokens)) {
		if removed >= limit {
			break
		}
		n, err := s.forgetToken(ctx, id, limit-removed)
		removed += n
		if err != nil {
			return removed, err
		}
	}
	return removed, nil
}

// forgetToken removes up to limit rows of usage of a deleted token, and its own row if those were the last.
func (s *Store) forgetToken(ctx context.Context, id latchward.TokenID, limit int) (removed int, err error) {
	err = s.write(ctx, func(w *work) error {
		removed, err = w.count(forgetEvents, id, limit)
		if err != nil || removed == limit {
			return err
		}
		return w.exec(`DELETE FROM api_tokens WHERE id = ? AND deleted_at IS NOT NULL`, id)
	})
	if err != nil {
		return 0, err
	}
	return removed, nil
}

// pruned lists what retention removes, each with the rows that go first. Names of endpoints go last: they stay for as
// long as sums name them.
var pruned = []struct {
	text  string
	limit func(r *latchward.UsageRetention, now time.Time) time.Time
}{
	{`DELETE FROM api_token_usage WHERE id IN (
		SELECT id FROM api_token_usage WHERE created_at < ? ORDER BY created_at LIMIT ?)`, eventsEnd},
	{`DELETE FROM usage_endpoint WHERE endpoint IN (
		SELECT endpoint FROM usage_endpoint WHERE hour < ? LIMIT ?)`, hoursEnd},
	{`DELETE FROM usage_request WHERE request_id IN (
		SELECT request_id FROM usage_request WHERE at < ? ORDER BY at LIMIT ?)`, requestsEnd},
}

func eventsEnd(r *latchward.UsageRetention, _ time.Time) time.Time { return r.Events }
func hoursEnd(r *latchward.UsageRetention, _ time.Time) time.Time  { return r.Hours }
func requestsEnd(_ *latchward.UsageRetention, now time.Time) time.Time {
	return now.Add(-keepRequestIDs)
}

// PruneUsage implements [latchward.UsageStore]. Each kind of row is a transaction of its own. Small packs are merged.
func (s *Store) PruneUsage(ctx context.Context, r latchward.UsageRetention, limit int) (removed int, err error) {
	s.tidying.Lock()
	defer s.tidying.Unlock()
	err = s.write(ctx, func(w *work) error {
		removed, err = s.prunePacks(w, r.Events.UnixMilli(), limit)
		return err
	})
	if err != nil {
		return 0, err
	}
	for _, text := range []string{oldCells, oldSharedCells} {
		err = s.write(ctx, func(w *work) error {
			n, err := s.pruneCells(w, text, r.Hours.UnixMilli(), limit)
			removed += n
			return err
		})
		if err != nil {
			return removed, err
		}
	}
	for _, p := range pruned {
		err = s.write(ctx, func(w *work) error {
			n, err := w.count(p.text, p.limit(&r, s.now()).UnixMilli(), limit)
			removed += n
			return err
		})
		if err != nil {
			return removed, err
		}
	}
	return removed, s.mergePacks(ctx)
}
