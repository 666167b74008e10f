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

// cache remembers facts by key id. A change always wins over a fill that began before it (bar 50): a change first
// moves the count of changes, then deletes; a fill stores what it read only if the count has not moved, checked under
// the lock that the deletion needs too.
type cache struct {
	store    Store
	perShard int
	changes  atomic.Uint64
	reads    atomic.Int64 // facts read from the store
	shards   [cacheShards]cacheShard

	owners    cells[Owner, ownerRecord] // keys carry no name
	directory directory
	policies  cells[struct{}, policySet] // one cell
	shared    shared
	foreign   foreignCache
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
	c := &cache{store: store, perShard: max(1, size/cacheShards)}
	c.owners = cells[Owner, ownerRecord]{
		read: c.readOwner, parse: ParseOwner, most: c.perShard * cacheShards, changes: &c.changes, reads: &c.reads,
	}
	c.directory.open(store, &c.changes, &c.reads)
	c.foreign.open(store, &c.changes)
	c.policies = cells[struct{}, policySet]{
		read: readPolicies(store), parse: func(string) (only struct{}, err error) { return only, nil }, most: 1,
		changes: &c.changes, reads: &c.reads,
	}
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

// remembered returns the facts for a key id if they are in memory, and else whether it is in memory that there are none.
func (c *cache) remembered(id KeyID, now time.Time) (f *facts, missing bool) {
	hash := hashKeyID(id)
	shard := c.shard(hash)
	if f = shard.known.get(id, hash); f != nil {
		return f, false
	}
	shard.mu.Lock()
	defer shard.mu.Unlock()
	until, ok := shard.missing[id]
	return nil, ok && now.Before(until)
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
	owner, err := c.ownerOf(ctx, f)
	if err != nil {
		return nil, err
	}
	if _, err := c.directory.rightsOfToken(ctx, f, owner); err != nil {
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

// ownerOf returns what is known about a token's owner, reading it once for all of the owner's tokens.
func (c *cache) ownerOf(ctx context.Context, f *facts) (*ownerRecord, error) {
	cell := f.owner.Load()
	if known := cell.value.Load(); known != nil {
		return known, nil
	}
	if cell.dead.Load() {
		cell = c.owners.cell(cell.key)
		f.owner.Store(cell)
	}
	return c.owners.fill(ctx, cell)
}

// readOwner reads what is known about an owner; one who is gone may not act.
func (c *cache) readOwner(ctx context.Context, owner Owner) (ownerRecord, error) {
	known, err := c.store.OwnerFacts(ctx, owner)
	if ErrorCode(err) == CodeNotFound {
		err = nil
	}
	return ownerRecord{OwnerFacts: known, owner: owner}, err
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
			c.owners.forget(change.Keys)
		case change.Kind == ChangeForeign:
			c.foreign.forget()
		case change.Kind == ChangePolicy:
			c.policies.forget(nil)
		case c.directory.apply(change), change.Kind == ChangeSigning, change.Kind == ChangeDerived:
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

func (c *cache) flush() {
	for i := range c.shards {
		shard := &c.shards[i]
		shard.mu.Lock()
		shard.known.clear()
		clear(shard.missing)
		shard.mu.Unlock()
	}
	c.owners.forget(nil)
	c.policies.forget(nil)
	c.directory.flush()
	c.foreign.forget()
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
