package sqlite

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/latchward/latchward"
)

// Tx implements [latchward.Store]. f is called once. The changes are in the feed by the same commit.
func (s *Store) Tx(ctx context.Context, f func(tx latchward.Tx) error) (latchward.Commit, error) {
	tx := &transaction{store: s, changed: map[latchward.ChangeKind]map[string]struct{}{}}
	err := s.write(ctx, func(w *work) error {
		tx.work = w
		if err := f(tx); err != nil {
			return err
		}
		return tx.appendChanges()
	})
	if err != nil || tx.position == 0 {
		tx.position = s.head.Load()
	}
	s.advance(tx.position)
	position := latchward.Position{History: s.history, N: tx.position}
	return latchward.Commit{Position: position, Changes: tx.changes()}, err
}

// transaction is a [latchward.Tx].
type transaction struct {
	*work
	store    *Store
	changed  map[latchward.ChangeKind]map[string]struct{}
	position uint64 // number of its last change; 0 without any
}

func (tx *transaction) change(kind latchward.ChangeKind, keys ...string) {
	if tx.changed[kind] == nil {
		tx.changed[kind] = map[string]struct{}{}
	}
	for _, key := range keys {
		tx.changed[kind][key] = struct{}{}
	}
}

// changes returns what was changed, in a fixed order.
func (tx *transaction) changes() []latchward.Change {
	var list []latchward.Change
	for _, kind := range slices.Sorted(maps.Keys(tx.changed)) {
		list = append(list, latchward.Change{Kind: kind, Keys: slices.Sorted(maps.Keys(tx.changed[kind]))})
	}
	return list
}

// appendChanges writes the changes to the feed.
func (tx *transaction) appendChanges() error {
	at, changes := tx.store.now().UnixMilli(), tx.changes()
	for _, change := range changes {
		keys, err := json.Marshal(change.Keys)
		if err != nil {
			return err
		}
		result, err := tx.execResult(`INSERT INTO change (kind, keys, at) VALUES (?, ?, ?)`,
			string(change.Kind), string(keys), at)
		if err != nil {
			return err
		}
		n, err := result.LastInsertId()
		if err != nil {
			return err
		}
		tx.position = uint64(n)
	}
	if tx.position > keepChanges && tx.position%trimEvery < uint64(len(changes)) {
		return tx.trimChanges()
	}
	return nil
}

// Whoever follows the feed may fall behind by this much.
const (
	keepChanges     = 100_000
	keepChangesTime = time.Hour
	trimEvery       = 100 // changes
)

// trimChanges removes changes that are both many and old enough.
func (tx *transaction) trimChanges() error {
	return tx.exec(`DELETE FROM change WHERE n IN (SELECT n FROM change WHERE n <= ? AND at < ? ORDER BY n LIMIT 1000)`,
		tx.position-keepChanges, tx.store.now().Add(-keepChangesTime).UnixMilli())
}

// advance moves the head forward. Commits may come here in another order than they were made.
func (s *Store) advance(position uint64) {
	for head := s.head.Load(); head < position; head = s.head.Load() {
		s.head.CompareAndSwap(head, position)
	}
}
