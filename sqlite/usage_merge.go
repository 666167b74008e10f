package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/internal/usagepack"
)

// defaultMergeAt is how many packs of about the same size become one.
const defaultMergeAt = 16

// tiers are the sizes that packs are told apart by, in events: so each event is written again no more than once per
// tier, and packs of more than the last are left alone.
var tiers = []int{1, 16, 256, usagepack.MaxEvents / 2}

const (
	packsOfTier = `SELECT id, events FROM usage_pack WHERE events >= ? AND events < ? AND events < 4096 ORDER BY id`
	packsStill  = `SELECT count(*), ifnull(sum(events), 0) FROM usage_pack WHERE id IN (SELECT value FROM json_each(?))`
)

type sizedPack struct{ id, events int64 }

// mergePacks makes few large packs of many small ones: every flush leaves one behind, however little there was to
// store.
func (s *Store) mergePacks(ctx context.Context) error {
	for i := range len(tiers) - 1 {
		packs, err := collect(ctx, s.reads, func(rows *sql.Rows) (p sizedPack, err error) {
			return p, rows.Scan(&p.id, &p.events)
		}, packsOfTier, tiers[i], tiers[i+1])
		if err != nil {
			return s.translate(err)
		}
		for ; len(packs) >= s.mergeAt; packs = packs[s.mergeAt:] {
			if err := s.merge(ctx, packs[:s.mergeAt]); err != nil {
				return err
			}
		}
	}
	return nil
}

// merge puts packs together. What was put together is written only if the packs are what they were when it was read.
func (s *Store) merge(ctx context.Context, packs []sizedPack) error {
	var ids []int64
	var total int64
	var events []*latchward.UsageEvent
	for _, p := range packs {
		bytes, err := one(ctx, s.reads, scalar[[]byte], payload, p.id)
		if err != nil {
			return s.translate(err)
		}
		err = s.codec.Events(bytes, nil, func(e *latchward.UsageEvent) error {
			e = new(*e)
			events = append(events, e)
			return nil
		})
		if err != nil {
			return unreadablePack(err)
		}
		ids, total = append(ids, p.id), total+p.events
	}
	merged := s.codec.Pack(events)
	return s.write(ctx, func(w *work) error { return replacePacks(w, ids, total, merged) })
}

func replacePacks(w *work, ids []int64, events int64, merged []usagepack.Pack) error {
	list, err := json.Marshal(ids)
	if err != nil {
		return err
	}
	still, err := one(w.ctx, w, func(rows *sql.Rows) (p sizedPack, err error) {
		return p, rows.Scan(&p.id, &p.events)
	}, packsStill, string(list))
	if err != nil || still != (sizedPack{int64(len(ids)), events}) {
		return err // whoever changed them leaves them for the next time
	}
	if err := w.exec(`DELETE FROM usage_pack WHERE id IN (SELECT value FROM json_each(?))`, string(list)); err != nil {
		return err
	}
	for i := range merged {
		if err := writePack(w, ids[i], &merged[i]); err != nil {
			return err
		}
	}
	return nil
}
