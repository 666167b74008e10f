package memory

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/latchward/latchward"
)

// usage is what was recorded about requests.
type usage struct {
	offsets map[string]latchward.JournalOffset // by node
	events  []latchward.UsageEvent             // in the order they were added
	seen    map[string]struct{}                // request ids of events
	hours   map[latchward.UsageKey]*latchward.UsageCell
	totals  map[latchward.TokenID]int64
}

func newUsage() usage {
	return usage{
		offsets: map[string]latchward.JournalOffset{},
		seen:    map[string]struct{}{},
		hours:   map[latchward.UsageKey]*latchward.UsageCell{},
		totals:  map[latchward.TokenID]int64{},
	}
}

// UsageOffset implements [latchward.UsageStore].
func (s *Store) UsageOffset(_ context.Context, node string) (latchward.JournalOffset, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.usage.offsets[node], nil
}

// AddUsage implements [latchward.UsageStore].
func (s *Store) AddUsage(_ context.Context, b latchward.UsageBatch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.usage.offsets[b.Node] != b.From {
		return latchward.Errorf(latchward.CodeConflict, "usage of this node was stored up to another offset")
	}
	s.usage.offsets[b.Node] = b.To
	for i := range b.Events {
		if e := copyEvent(&b.Events[i]); s.usage.fresh(e.RequestID) {
			s.usage.add(e, b.Names[i])
			s.used(&e)
		}
	}
	return nil
}

// fresh reports whether an event with that request id was not added before, and notes it.
func (u *usage) fresh(requestID string) bool {
	if requestID == "" {
		return true
	}
	_, known := u.seen[requestID]
	u.seen[requestID] = struct{}{}
	return !known
}

func (u *usage) add(e latchward.UsageEvent, name string) {
	u.events = append(u.events, e)
	if e.TokenID != 0 {
		u.totals[e.TokenID]++
	}
	key := latchward.UsageKey{
		Hour: e.At.UTC().Truncate(time.Hour), Token: e.TokenID, Credential: e.Credential,
		Endpoint: name, Method: e.Method, Class: e.Status / 100,
	}
	if u.hours[key] == nil {
		u.hours[key] = &latchward.UsageCell{}
	}
	u.hours[key].Add(cellOf(&e))
}

func cellOf(e *latchward.UsageEvent) latchward.UsageCell {
	cell := latchward.UsageCell{
		Requests: 1, Duration: e.Duration, RequestBytes: e.RequestBytes, ResponseBytes: e.ResponseBytes,
	}
	if e.Status >= 400 {
		cell.Failed = 1
	}
	return cell
}

// used moves the token's LastUsedAt forward.
func (s *Store) used(e *latchward.UsageEvent) {
	r, at := s.tokens[e.TokenID], e.At.UTC().Truncate(time.Millisecond)
	if r != nil && e.Accepted() && at.After(r.token.LastUsedAt) {
		r.token.LastUsedAt = at
	}
}

// UsageCells implements [latchward.UsageStore].
func (s *Store) UsageCells(
	_ context.Context, q latchward.UsageQuery, f func(latchward.UsageKey, latchward.UsageCell) error,
) error {
	for key, cell := range s.usageCells(&q) {
		if err := f(key, cell); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) usageCells(q *latchward.UsageQuery) map[latchward.UsageKey]latchward.UsageCell {
	s.mu.RLock()
	defer s.mu.RUnlock()
	groups := map[latchward.UsageKey]latchward.UsageCell{}
	for key, cell := range s.usage.hours {
		if s.selects(q, key) {
			group := s.group(q.By, key)
			sum := groups[group]
			sum.Add(*cell)
			groups[group] = sum
		}
	}
	return groups
}

func (s *Store) selects(q *latchward.UsageQuery, key latchward.UsageKey) bool {
	return (q.From.IsZero() || !key.Hour.Before(q.From)) &&
		(q.To.IsZero() || key.Hour.Before(q.To)) &&
		(q.Token == 0 || key.Token == q.Token) &&
		(q.Credential == "" || key.Credential == q.Credential) &&
		(q.Owners == nil || slices.ContainsFunc(q.Owners, s.lastKnown(key.Token).Owner.Is))
}

// lastKnown returns what is known about the token of a rollup: what it is, or what it was when it was deleted.
func (s *Store) lastKnown(id latchward.TokenID) *latchward.Token {
	if r := s.tokens[id]; r != nil {
		return r.token
	}
	if t := s.deleted[id]; t != nil {
		return t
	}
	return &latchward.Token{}
}

// group returns key with only the members that were asked for.
func (s *Store) group(by latchward.UsageDimension, key latchward.UsageKey) latchward.UsageKey {
	var group latchward.UsageKey
	if by&latchward.ByHour != 0 {
		group.Hour = key.Hour
	}
	if by&latchward.ByToken != 0 {
		group.Token, group.TokenName = key.Token, s.lastKnown(key.Token).Name
	}
	if by&latchward.ByEndpoint != 0 {
		group.Endpoint, group.Method = key.Endpoint, key.Method
	}
	if by&latchward.ByCredential != 0 {
		group.Credential = key.Credential
	}
	if by&latchward.ByClass != 0 {
		group.Class = key.Class
	}
	return group
}

// UsageEvents implements [latchward.UsageStore].
func (s *Store) UsageEvents(
	_ context.Context, q latchward.UsageEventQuery, f func(*latchward.UsageEvent) error,
) error {
	for _, e := range s.usageEvents(&q) {
		if err := f(&e); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) usageEvents(q *latchward.UsageEventQuery) []latchward.UsageEvent {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var found []latchward.UsageEvent
	for _, e := range slices.Backward(s.usage.events) {
		if !s.orphan(&e) && (q.Token == 0 || e.TokenID == q.Token) && !e.At.Before(q.From) {
			found = append(found, e)
		}
	}
	slices.SortStableFunc(found, func(a, b latchward.UsageEvent) int { return b.At.Compare(a.At) })
	return first(q.Limit, found)
}

// orphan reports whether the token of an event is no longer there.
func (s *Store) orphan(e *latchward.UsageEvent) bool {
	return e.TokenID != 0 && s.tokens[e.TokenID] == nil
}

// TokenCounts implements [latchward.UsageStore].
func (s *Store) TokenCounts(
	_ context.Context, ids []latchward.TokenID, now time.Time,
) (map[latchward.TokenID]latchward.TokenCounts, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	day := now.Add(-24 * time.Hour).Truncate(time.Hour)
	week := now.Add(-7 * 24 * time.Hour).Truncate(time.Hour)
	counts := map[latchward.TokenID]latchward.TokenCounts{}
	for _, id := range ids {
		counts[id] = latchward.TokenCounts{Total: s.usage.totals[id]}
	}
	for key, cell := range s.usage.hours {
		if c, wanted := counts[key.Token]; wanted {
			if !key.Hour.Before(day) {
				c.Requests24h += cell.Requests
			}
			if !key.Hour.Before(week) {
				c.Requests7d += cell.Requests
			}
			counts[key.Token] = c
		}
	}
	return counts, nil
}

// EndpointNames implements [latchward.UsageStore].
func (s *Store) EndpointNames(context.Context) ([]string, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	names := map[string]struct{}{}
	for key := range s.usage.hours {
		names[key.Endpoint] = struct{}{}
	}
	return slices.Collect(maps.Keys(names)), nil
}

// ForgetUsage implements [latchward.UsageStore].
func (s *Store) ForgetUsage(_ context.Context, limit int) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.usage.removeEvents(limit, s.orphan), nil
}

// PruneUsage implements [latchward.UsageStore].
func (s *Store) PruneUsage(_ context.Context, r latchward.UsageRetention, limit int) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	removed := s.usage.removeEvents(limit, func(e *latchward.UsageEvent) bool { return e.At.Before(r.Events) })
	return removed + s.usage.removeHours(limit, r.Hours), nil
}

// removeEvents removes up to limit events, and forgets their request ids with them.
func (u *usage) removeEvents(limit int, goes func(*latchward.UsageEvent) bool) int {
	removed := 0
	u.events = slices.DeleteFunc(u.events, func(e latchward.UsageEvent) bool {
		if removed >= limit || !goes(&e) {
			return false
		}
		removed++
		delete(u.seen, e.RequestID)
		return true
	})
	return removed
}

// removeHours removes up to limit rollups of hours before a moment, oldest first.
func (u *usage) removeHours(limit int, before time.Time) int {
	var old []latchward.UsageKey
	for key := range u.hours {
		if key.Hour.Before(before) {
			old = append(old, key)
		}
	}
	slices.SortFunc(old, func(a, b latchward.UsageKey) int { return cmp.Compare(a.Hour.Unix(), b.Hour.Unix()) })
	old = old[:min(limit, len(old))]
	for _, key := range old {
		delete(u.hours, key)
	}
	return len(old)
}
