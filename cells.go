package latchward

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
)

// cell holds a fact that many tokens share: a change empties one cell instead of touching every token. A cell that is
// no longer in its table is dead: it stays empty, and whoever holds it looks up a new one.
type cell[K comparable, V any] struct {
	key   K
	mu    sync.Mutex // one fill at a time
	value atomic.Pointer[V]
	dead  atomic.Bool
}

// cells are the shared facts of one kind, by key. A change always wins over a fill that began before it: a fill
// keeps what it read only if the count of changes has not moved, checked under the lock that emptying needs, too.
type cells[K comparable, V any] struct {
	read    func(ctx context.Context, key K) (V, error) // not_found stands for the zero V
	parse   func(key string) (K, error)                 // of a Change
	most    int
	changes *atomic.Uint64
	reads   *atomic.Int64 // counts calls of read

	mu    sync.RWMutex
	byKey map[K]*cell[K, V]
}

func (c *cells[K, V]) cell(key K) *cell[K, V] {
	c.mu.RLock()
	known := c.byKey[key]
	c.mu.RUnlock()
	if known != nil {
		return known
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if known = c.byKey[key]; known == nil {
		if len(c.byKey) >= c.most {
			c.dropOne()
		}
		if c.byKey == nil {
			c.byKey = map[K]*cell[K, V]{}
		}
		known = &cell[K, V]{key: key}
		c.byKey[key] = known
	}
	return known
}

// dropOne must be called with mu held.
func (c *cells[K, V]) dropOne() {
	for key, old := range c.byKey {
		old.dead.Store(true)
		old.value.Store(nil)
		delete(c.byKey, key)
		return
	}
}

// get returns the fact with that key.
func (c *cells[K, V]) get(ctx context.Context, key K) (*V, error) { return c.fill(ctx, c.cell(key)) }

// fill returns what a cell holds, reading it first when the cell is empty.
func (c *cells[K, V]) fill(ctx context.Context, into *cell[K, V]) (*V, error) {
	if known := into.value.Load(); known != nil {
		return known, nil
	}
	into.mu.Lock()
	defer into.mu.Unlock()
	if known := into.value.Load(); known != nil {
		return known, nil
	}
	before := c.changes.Load()
	c.reads.Add(1)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fillTimeout)
	defer cancel()
	read, err := c.read(ctx, into.key)
	if err != nil && ErrorCode(err) != CodeNotFound {
		return nil, err
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	if before == c.changes.Load() && !into.dead.Load() {
		into.value.Store(&read)
	}
	return &read, nil
}

// forget empties the cells with those keys of a [Change], or all without any.
func (c *cells[K, V]) forget(keys []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, text := range keys {
		key, err := c.parse(text)
		if err != nil {
			c.empty()
			return
		}
		if known := c.byKey[key]; known != nil {
			known.value.Store(nil)
		}
	}
	if len(keys) == 0 {
		c.empty()
	}
}

// empty must be called with mu held.
func (c *cells[K, V]) empty() {
	for _, known := range c.byKey {
		known.value.Store(nil)
	}
}

// parseID reads the key, in a [Change], of what is known by a number.
func parseID[ID ~int64](key string) (ID, error) {
	id, err := strconv.ParseInt(key, 10, 64)
	return ID(id), err
}

// readBy makes the read of cells from a method of a store.
func readBy[ID, V any](find func(context.Context, ID) (*V, error)) func(context.Context, ID) (V, error) {
	return func(ctx context.Context, id ID) (V, error) {
		found, err := find(ctx, id)
		if err != nil {
			var zero V
			return zero, err
		}
		return *found, nil
	}
}
