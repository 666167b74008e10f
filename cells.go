package latchward

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
)

// cell holds a fact that many tokens share: a change empties one cell instead of touching every token. A cell that is
// no longer in its table is dead: it stays empty, and whoever holds it looks up a new one.
type cell[V any] struct {
	key   string
	mu    sync.Mutex // one fill at a time
	value atomic.Pointer[V]
	dead  atomic.Bool
}

// cells are the shared facts of one kind, by key. A change always wins over a fill that began before it: a fill
// keeps what it read only if the count of changes has not moved, checked under the lock that emptying needs, too.
type cells[V any] struct {
	read    func(ctx context.Context, key string) (V, error) // not_found stands for the zero V
	most    int
	changes *atomic.Uint64
	reads   *atomic.Int64 // counts calls of read

	mu    sync.RWMutex
	byKey map[string]*cell[V]
}

func (c *cells[V]) cell(key string) *cell[V] {
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
			c.byKey = map[string]*cell[V]{}
		}
		known = &cell[V]{key: key}
		c.byKey[key] = known
	}
	return known
}

// dropOne must be called with mu held.
func (c *cells[V]) dropOne() {
	for key, old := range c.byKey {
		old.dead.Store(true)
		old.value.Store(nil)
		delete(c.byKey, key)
		return
	}
}

// get returns the fact with that key.
func (c *cells[V]) get(ctx context.Context, key string) (*V, error) { return c.fill(ctx, c.cell(key)) }

// fill returns what a cell holds, reading it first when the cell is empty.
func (c *cells[V]) fill(ctx context.Context, into *cell[V]) (*V, error) {
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

// empty forgets the facts with those keys, or all without any.
func (c *cells[V]) empty(keys []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(keys) == 0 {
		for _, known := range c.byKey {
			known.value.Store(nil)
		}
	}
	for _, key := range keys {
		if known := c.byKey[key]; known != nil {
			known.value.Store(nil)
		}
	}
}

// idKey is the key of a cell, and in a [Change], of what is known by a number.
func idKey[ID ~int64](id ID) string { return strconv.FormatInt(int64(id), 10) }

// readByID makes the read of cells from a store's method; a key that is no number finds nothing.
func readByID[ID ~int64, V any](read func(context.Context, ID) (*V, error)) func(context.Context, string) (V, error) {
	return func(ctx context.Context, key string) (V, error) {
		var zero V
		id, err := strconv.ParseInt(key, 10, 64)
		if err != nil {
			return zero, nil
		}
		found, err := read(ctx, ID(id))
		if err != nil {
			return zero, err
		}
		return *found, nil
	}
}
