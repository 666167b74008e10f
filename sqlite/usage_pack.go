package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"math"
	"slices"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/internal/usagepack"
)

const (
	insertPack = `INSERT INTO usage_pack (id, from_at, to_at, events, tokens, payload) VALUES (?, ?, ?, ?, ?, ?)`
	updatePack = `UPDATE usage_pack SET from_at = ?, to_at = ?, events = ?, tokens = ?, payload = ? WHERE id = ?`
	payload    = `SELECT payload FROM usage_pack WHERE id = ?`
	// Packs whose newest event comes before that of another, the next first.
	packsBefore = `SELECT id, to_at, tokens FROM usage_pack WHERE (to_at, id) < (?, ?) AND to_at >= ?
		ORDER BY to_at DESC, id DESC LIMIT 64`
	packsAfter = `SELECT id, to_at, tokens FROM usage_pack WHERE id > ? ORDER BY id LIMIT 256`
	oldPacks   = `SELECT id FROM usage_pack WHERE from_at < ? ORDER BY from_at LIMIT 64`
)

// packRow is what tells where to look.
type packRow struct {
	id, to int64
	tokens usagepack.Tokens
}

func scanPack(rows *sql.Rows) (p packRow, err error) {
	return p, rows.Scan(&p.id, &p.to, (*[]byte)(&p.tokens))
}

// writePacks adds packs behind those that are there.
func writePacks(w *work, packs []usagepack.Pack) error {
	for i := range packs {
		if err := writePack(w, nil, &packs[i]); err != nil {
			return err
		}
	}
	return nil
}

// writePack adds a pack; an id of nil is the next.
func writePack(w *work, id any, p *usagepack.Pack) error {
	return w.exec(insertPack, id, p.From, p.To, p.Events, []byte(p.Tokens), p.Payload)
}

// snapshot runs f on one state of the database, in which packs are not merged meanwhile. f must end soon: until then
// the log of the database grows.
func (s *Store) snapshot(ctx context.Context, f func(r runner) error) error {
	conn, err := s.readers.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "BEGIN"); err != nil {
		return err
	}
	defer func() {
		if _, err := conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK"); err != nil {
			_ = conn.Raw(func(any) error { return driver.ErrBadConn }) // nobody gets a connection that is in a transaction
		}
	}()
	return f(pinned{conn})
}

// pinned runs queries on one connection.
type pinned struct{ conn *sql.Conn }

func (p pinned) query(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	return p.conn.QueryContext(ctx, text, args...)
}

func (pinned) note(error) {}

// search looks for the newest events in packs.
type search struct {
	codec *usagepack.Codec
	token *latchward.TokenID         // nil = all that are not hidden
	gone  map[latchward.TokenID]bool // deleted tokens, of which events are left
	from  int64
	limit int
	found []foundEvent // newest first, except for what was added since the last cut
}

// foundEvent is an event and where it was found. Of two at the same millisecond the one that came later is the newer.
type foundEvent struct {
	at, pack int64
	index    int
	event    latchward.UsageEvent
}

func (s *search) run(ctx context.Context, r runner) error {
	defer s.cut()
	to, id := int64(math.MaxInt64), int64(math.MaxInt64)
	for {
		packs, err := collect(ctx, r, scanPack, packsBefore, to, id, s.from)
		if err != nil || len(packs) == 0 {
			return err
		}
		for _, p := range packs {
			if s.isComplete(p.to) {
				return nil
			}
			if err := s.open(ctx, r, p); err != nil {
				return err
			}
		}
		last := packs[len(packs)-1]
		to, id = last.to, last.id
	}
}

// isComplete reports whether a pack that ends at to cannot hold anything newer than what was found.
func (s *search) isComplete(to int64) bool {
	return len(s.found) == s.limit && (s.limit == 0 || s.found[s.limit-1].at > to)
}

func (s *search) open(ctx context.Context, r runner, p packRow) error {
	if s.token != nil && !p.tokens.Has(*s.token) {
		return nil
	}
	bytes, err := one(ctx, r, scalar[[]byte], payload, p.id)
	if err != nil {
		return err
	}
	index := 0
	err = s.codec.Events(bytes, s.token, func(e *latchward.UsageEvent) error {
		if at := e.At.UnixMilli(); at >= s.from && !s.gone[e.TokenID] {
			s.found = append(s.found, foundEvent{at, p.id, index, *e})
		}
		index++
		return nil
	})
	if len(s.found) >= s.limit {
		s.cut()
	}
	return unreadablePack(err)
}

func unreadablePack(err error) error {
	if err != nil {
		return unreadable("pack of usage events", err)
	}
	return nil
}

// cut sorts what was found and leaves out what is too much.
func (s *search) cut() {
	slices.SortFunc(s.found, func(a, b foundEvent) int {
		return cmp.Or(cmp.Compare(b.at, a.at), cmp.Compare(b.pack, a.pack), cmp.Compare(b.index, a.index))
	})
	s.found = s.found[:min(len(s.found), s.limit)]
}

// rewritePack leaves out of a pack up to limit events that drop names, and returns how many it left out.
func (s *Store) rewritePack(w *work, id int64, limit int, drop func(*latchward.UsageEvent) bool) (removed int, err error) {
	bytes, err := one(w.ctx, w, scalar[[]byte], payload, id)
	if err != nil {
		return 0, err
	}
	var kept []*latchward.UsageEvent
	err = s.codec.Events(bytes, nil, func(e *latchward.UsageEvent) error {
		if removed < limit && drop(e) {
			removed++
			return nil
		}
		e = new(*e)
		kept = append(kept, e)
		return nil
	})
	if err != nil || removed == 0 {
		return 0, unreadablePack(err)
	}
	if len(kept) == 0 {
		return removed, w.exec(`DELETE FROM usage_pack WHERE id = ?`, id)
	}
	p := s.codec.Pack(kept)[0]
	return removed, w.exec(updatePack, p.From, p.To, p.Events, []byte(p.Tokens), p.Payload, id)
}

// forgetPacks removes up to limit events of tokens from packs and returns how many it removed.
func (s *Store) forgetPacks(ctx context.Context, tokens map[latchward.TokenID]bool, limit int) (removed int, err error) {
	after := int64(0)
	for {
		packs, err := collect(ctx, s.reads, scanPack, packsAfter, after)
		if err != nil || len(packs) == 0 {
			return removed, s.translate(err)
		}
		for _, p := range packs {
			after = p.id
			if !p.tokens.HasAny(tokens) {
				continue
			}
			err := s.write(ctx, func(w *work) error {
				n, err := s.rewritePack(w, p.id, limit-removed, func(e *latchward.UsageEvent) bool { return tokens[e.TokenID] })
				removed += n
				return err
			})
			if err != nil || removed >= limit {
				return removed, err
			}
		}
	}
}

// prunePacks removes up to limit events from before a moment and returns how many it removed.
func (s *Store) prunePacks(w *work, before int64, limit int) (removed int, err error) {
	ids, err := collect(w.ctx, w, scalar[int64], oldPacks, before)
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		n, err := s.rewritePack(w, id, limit-removed, func(e *latchward.UsageEvent) bool { return e.At.UnixMilli() < before })
		removed += n
		if err != nil || removed >= limit {
			return removed, err
		}
	}
	return removed, nil
}
