package latchward

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// DefaultCacheSize is how many tokens a Service remembers unless told otherwise.
const DefaultCacheSize = 1_000_000

const (
	cacheShards      = 256
	negativePerShard = 128              // refusals remembered per shard: 32,768 in all
	negativeTTL      = 10 * time.Second // bounds how long a refusal survives a change made behind our back
	fillTimeout      = 5 * time.Second  // a fill runs under its own deadline, not its first caller's
)

// ownerCell holds what many tokens share: a change of an owner empties one cell instead of touching every token.
// A cell that is no longer in the cache's table is dead: its facts stay nil, and whoever holds it looks up a new one.
type ownerCell struct {
	owner Owner
	mu    sync.Mutex // one fill at a time
	facts atomic.Pointer[OwnerFacts]
	dead  atomic.Bool
}

// cache remembers facts by key id. A change always wins over a fill that began before it (bar 50): a change first
// moves the count of changes, then deletes; a fill stores what it read only if the count has not moved, checked under
// the lock that the deletion needs too.
type cache struct {
	store    Store
	perShard int
	changes  atomic.Uint64
	reads    atomic.Int64 // facts read from the store
	shards   [cacheShards]cacheShard

	ownersMu sync.RWMutex
	owners   map[string]*ownerCell

	shared shared
}

type cacheShard struct {
	known   factsTable // read without the lock
	mu      sync.Mutex
	missing map[KeyID]time.Time // key ids that the store does not know, until then
	flights map[KeyID]*flight
}

// flight is one read from the store, shared by all who ask for the same key id meanwhile.
type flight struct {
	done    chan struct{}
	changes uint64 // count of changes when the read began
	facts   *facts
	err     error
}

func newCache(store Store, size int) *cache {
	if size <= 0 {
		size = DefaultCacheSize
	}
	c := &cache{store: store, perShard: max(1, size/cacheShards), owners: map[string]*ownerCell{}}
	for i := range c.shards {
		c.shards[i].known.clear()
		c.shards[i].missing = map[KeyID]time.Time{}
		c.shards[i].flights = map[KeyID]*flight{}
	}
	return c
}

// shard returns where facts about a key id are kept: the top bits of its hash say.
func (c *cache) shard(hash uint64) *cacheShard { return &c.shards[hash>>56] }

var errNoSuchKeyID = &Error{Code: CodeNotFound, Message: "No token has this key id."}

// get returns the facts for a key id, from memory when they are there. Errors are of code not_found or unavailable.
func (c *cache) get(ctx context.Context, id KeyID, now time.Time) (*facts, error) {
	hash := hashKeyID(id)
	shard := c.shard(hash)
	if f := shard.known.get(id, hash); f != nil {
		return f, nil
	}
	return c.miss(ctx, shard, id, now)
}

func (c *cache) miss(ctx context.Context, shard *cacheShard, id KeyID, now time.Time) (*facts, error) {
	shard.mu.Lock()
	if f := shard.known.get(id, hashKeyID(id)); f != nil {
		shard.mu.Unlock()
		return f, nil
	}
	if until, ok := shard.missing[id]; ok && now.Before(until) {
		shard.mu.Unlock()
		return nil, errNoSuchKeyID
	}
	fl := shard.flights[id]
	// A flight that began before a change may carry what was true before it: whoever comes after the change must not
	// join it.
	if fl == nil || fl.changes != c.changes.Load() {
		fl = &flight{done: make(chan struct{}), changes: c.changes.Load()}
		shard.flights[id] = fl
		go c.fill(context.WithoutCancel(ctx), shard, id, fl, now)
	}
	shard.mu.Unlock()
	select {
	case <-fl.done:
		return fl.facts, fl.err
	case <-ctx.Done():
		return nil, &Error{Code: CodeUnavailable, Message: "The request ended before the token was looked up.", Err: ctx.Err()}
	}
}

func (c *cache) fill(ctx context.Context, shard *cacheShard, id KeyID, fl *flight, now time.Time) {
	ctx, cancel := context.WithTimeout(ctx, fillTimeout)
	defer cancel()
	fl.facts, fl.err = c.read(ctx, id)
	shard.mu.Lock()
	if shard.flights[id] == fl {
		delete(shard.flights, id)
	}
	if fl.changes == c.changes.Load() {
		shard.put(id, fl, now, c.perShard)
	}
	shard.mu.Unlock()
	close(fl.done)
}

func (c *cache) read(ctx context.Context, id KeyID) (*facts, error) {
	c.reads.Add(1)
	tf, err := c.store.TokenFacts(ctx, id)
	if err != nil {
		return nil, err
	}
	f, err := c.compile(id, tf)
	if err != nil {
		return nil, err
	}
	if _, err := c.ownerFacts(ctx, f); err != nil {
		return nil, err
	}
	return f, nil
}

// put remembers what a flight brought. Refusals live apart from facts, so that a flood of unknown tokens cannot push
// out known ones (bar 16); failures are not remembered (bar 18).
func (s *cacheShard) put(id KeyID, fl *flight, now time.Time, most int) {
	switch {
	case fl.err == nil:
		s.known.put(fl.facts, most)
	case ErrorCode(fl.err) == CodeNotFound:
		s.evictMissing()
		s.missing[id] = now.Add(negativeTTL)
	}
}

// evictMissing makes room for one more refusal by dropping a random one: Go's maps start a walk at a random place.
func (s *cacheShard) evictMissing() {
	if len(s.missing) < negativePerShard {
		return
	}
	for id := range s.missing {
		delete(s.missing, id)
		return
	}
}

// ownerFacts returns the facts about a token's owner, reading them once for all of the owner's tokens.
func (c *cache) ownerFacts(ctx context.Context, f *facts) (*OwnerFacts, error) {
	cell := f.owner.Load()
	if cell != nil {
		if known := cell.facts.Load(); known != nil {
			return known, nil
		}
	}
	if cell == nil || cell.dead.Load() {
		cell = c.ownerCell(f.token.Owner)
		f.owner.Store(cell)
	}
	return c.cellFacts(ctx, cell)
}

func (c *cache) ownerCell(owner Owner) *ownerCell {
	owner.Name = ""
	key := owner.String()
	c.ownersMu.RLock()
	cell := c.owners[key]
	c.ownersMu.RUnlock()
	if cell != nil {
		return cell
	}
	c.ownersMu.Lock()
	defer c.ownersMu.Unlock()
	if cell = c.owners[key]; cell == nil {
		if len(c.owners) >= c.perShard*cacheShards {
			c.dropOneOwner()
		}
		cell = &ownerCell{owner: owner}
		c.owners[key] = cell
	}
	return cell
}

// dropOneOwner must be called with ownersMu held.
func (c *cache) dropOneOwner() {
	for key, cell := range c.owners {
		cell.dead.Store(true)
		cell.facts.Store(nil)
		delete(c.owners, key)
		return
	}
}

// cellFacts returns what a cell holds and fills an empty one. What was read is kept only when no change came between.
func (c *cache) cellFacts(ctx context.Context, cell *ownerCell) (*OwnerFacts, error) {
	if known := cell.facts.Load(); known != nil {
		return known, nil
	}
	cell.mu.Lock()
	defer cell.mu.Unlock()
	if known := cell.facts.Load(); known != nil {
		return known, nil
	}
	before := c.changes.Load()
	c.reads.Add(1)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fillTimeout)
	defer cancel()
	read, err := c.store.OwnerFacts(ctx, cell.owner)
	if err != nil && ErrorCode(err) != CodeNotFound {
		return nil, err
	}
	known := &read // an owner that is gone may not act: the zero OwnerFacts
	c.ownersMu.RLock()
	defer c.ownersMu.RUnlock()
	if before == c.changes.Load() && !cell.dead.Load() {
		cell.facts.Store(known)
	}
	return known, nil
}

// apply forgets what a commit may have changed. Once it returns, no fill that began before stays.
func (c *cache) apply(commit Commit) {
	if len(commit.Changes) == 0 {
		return
	}
	c.changes.Add(1)
	for _, change := range commit.Changes {
		switch {
		case change.Kind == ChangeToken && len(change.Keys) > 0:
			for _, key := range change.Keys {
				c.forget(key)
			}
		case change.Kind == ChangeOwner && len(change.Keys) > 0:
			c.emptyOwners(change.Keys)
		default:
			c.flush()
		}
	}
}

func (c *cache) forget(key string) {
	id, err := ParseKeyID(key)
	if err != nil {
		c.flush()
		return
	}
	shard := c.shard(hashKeyID(id))
	shard.mu.Lock()
	shard.known.remove(id)
	delete(shard.missing, id)
	shard.mu.Unlock()
}

func (c *cache) emptyOwners(keys []string) {
	c.ownersMu.Lock()
	defer c.ownersMu.Unlock()
	for _, key := range keys {
		if cell := c.owners[key]; cell != nil {
			cell.facts.Store(nil)
		}
	}
}

func (c *cache) flush() {
	for i := range c.shards {
		shard := &c.shards[i]
		shard.mu.Lock()
		shard.known.clear()
		clear(shard.missing)
		shard.mu.Unlock()
	}
	c.ownersMu.Lock()
	defer c.ownersMu.Unlock()
	for _, cell := range c.owners {
		cell.facts.Store(nil)
	}
}

// size returns how many tokens are remembered.
func (c *cache) size() int {
	n := 0
	for i := range c.shards {
		c.shards[i].mu.Lock()
		n += c.shards[i].known.count
		c.shards[i].mu.Unlock()
	}
	return n
}
