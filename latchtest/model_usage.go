package latchtest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/latchward/latchward"
)

// addUsage hands both sides a batch of a node, which seldom begins at a wrong offset.
func (m *model) addUsage(rt *rapid.T) {
	node := rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "node")
	b := latchward.UsageBatch{Node: node, From: m.offsets[node], To: m.offsets[node]}
	for range rapid.IntRange(0, 5).Draw(rt, "events") {
		e := m.event(rt)
		b.Events = append(b.Events, e)
		name := e.Endpoint
		if rapid.IntRange(0, 3).Draw(rt, "other") == 3 {
			name = latchward.OtherEndpoint
		}
		b.Names = append(b.Names, name)
	}
	b.To.At += int64(len(b.Events)) + 1
	b.To.Segment += int64(rapid.IntRange(0, 1).Draw(rt, "segments"))
	if rapid.IntRange(0, 3).Draw(rt, "wrong offset") == 3 {
		b.From.At += 1000
	}
	_, err := m.both(rt, fmt.Sprintf("AddUsage of %d events", len(b.Events)), func(s *side) (any, error) {
		return nil, s.store.AddUsage(m.ctx, s.batch(b))
	})
	if err == nil {
		m.offsets[node] = b.To
	}
}

// event draws a request of a token, which may have been deleted, or of a person. No two have the same time.
func (m *model) event(rt *rapid.T) latchward.UsageEvent {
	hours := rapid.SampledFrom([]int{-169, -168, -25, -24, -13, -12, -1, 0, 1, 12, 13}).Draw(rt, "hours")
	at := epoch().Truncate(time.Hour).Add(time.Duration(hours)*time.Hour + time.Duration(len(m.moments))*time.Millisecond)
	m.moments = append(m.moments, at)
	e := event(0, at)
	n := rapid.IntRange(0, len(m.reference.tokens)).Draw(rt, "token")
	e.TokenID = latchward.TokenID(n)
	if n == 0 {
		e.Credential, e.UserID = latchward.CredentialJWT, latchward.UserID(min(1, len(m.reference.users)))
	}
	e.Reason = rapid.SampledFrom([]latchward.Reason{
		latchward.ReasonAllowed, latchward.ReasonAllowed, latchward.ReasonRateLimited,
	}).Draw(rt, "reason")
	e.Endpoint = rapid.SampledFrom([]string{"/a", "/b", "/A", "/é"}).Draw(rt, "endpoint")
	e.Method = rapid.SampledFrom([]string{"GET", "POST"}).Draw(rt, "method")
	e.Status = rapid.SampledFrom([]int{200, 302, 404, 429, 500}).Draw(rt, "status")
	e.Duration = time.Duration(rapid.IntRange(0, 5000).Draw(rt, "duration")) * time.Millisecond
	e.RequestBytes = int64(rapid.IntRange(0, 3).Draw(rt, "request bytes")) << 33
	e.ResponseBytes = int64(rapid.IntRange(0, 3).Draw(rt, "response bytes")) << 33
	e.RequestID = m.requestID(rt, n)
	return e
}

// momentOfEvent is that of an event that was made.
func (m *model) momentOfEvent(rt *rapid.T, label string) time.Time {
	if len(m.moments) == 0 {
		return epoch()
	}
	return rapid.SampledFrom(m.moments).Draw(rt, label)
}

// requestID draws no id, a new one, or one that was drawn before, unless a store may have forgotten it: what it knows
// of deleted tokens, and of events that were removed, is its business.
func (m *model) requestID(rt *rapid.T, token int) string {
	if token > 0 {
		if _, err := m.reference.store.Token(m.ctx, m.reference.tokenID(token)); err != nil {
			return ""
		}
	}
	kind := rapid.SampledFrom([]string{"none", "new", "known", "other case"}).Draw(rt, "request id")
	id := fmt.Sprintf("r-%d", len(m.moments))
	switch {
	case kind == "none":
		return ""
	case kind == "new" || len(m.requestIDs) == 0:
	case kind == "known":
		return rapid.SampledFrom(m.requestIDs).Draw(rt, "known")
	default:
		id = strings.ToUpper(rapid.SampledFrom(m.requestIDs).Draw(rt, "known in small letters"))
	}
	m.requestIDs = append(m.requestIDs, id)
	return id
}

// batch returns b with the side's ids.
func (s *side) batch(b latchward.UsageBatch) latchward.UsageBatch {
	b.Events = slices.Clone(b.Events)
	for i := range b.Events {
		e := &b.Events[i]
		if e.TokenID != 0 {
			e.TokenID = s.tokenID(int(e.TokenID))
		}
		if e.UserID != 0 {
			e.UserID = s.userID(int(e.UserID))
		}
	}
	return b
}

// forgetUsage removes, step by step, what is left of deleted tokens. How much that is, is the store's business.
func (m *model) forgetUsage(rt *rapid.T) {
	m.requestIDs = nil
	limit := rapid.IntRange(1, 3).Draw(rt, "limit")
	_, _ = m.both(rt, "ForgetUsage", func(s *side) (any, error) {
		for {
			n, err := s.store.ForgetUsage(m.ctx, limit)
			if n > limit {
				return nil, fmt.Errorf("removed %d events, more than %d", n, limit)
			}
			if err != nil || n == 0 {
				return nil, err
			}
		}
	})
}

func (m *model) pruneUsage(rt *rapid.T) {
	m.requestIDs = nil
	var r latchward.UsageRetention
	if rapid.Bool().Draw(rt, "events") {
		r.Events = m.momentOfEvent(rt, "keep events")
	}
	if rapid.IntRange(0, 2).Draw(rt, "hours") == 2 {
		r.Hours, m.pruned = momentAround(rt, "keep hours").Truncate(time.Hour), true
	}
	_, _ = m.both(rt, fmt.Sprintf("PruneUsage(%+v)", r), func(s *side) (any, error) {
		for {
			n, err := s.store.PruneUsage(m.ctx, r, 2)
			if err != nil || n == 0 {
				return nil, err
			}
		}
	})
}

// cells compares rollups: of everybody when owners are nil.
func (m *model) cells(rt *rapid.T, q latchward.UsageQuery, owners []int) {
	_, _ = m.both(rt, fmt.Sprintf("UsageCells(%+v) of %v", q, owners), func(s *side) (any, error) {
		q := q
		q.Owners = s.owners(owners)
		if q.Token != 0 {
			q.Token = s.tokenID(int(q.Token))
		}
		groups, calls := map[latchward.UsageKey]latchward.UsageCell{}, 0
		err := s.store.UsageCells(m.ctx, q, func(k latchward.UsageKey, c latchward.UsageCell) error {
			k.Token = s.tokenNumber(k.Token)
			groups[k] = c
			calls++
			return nil
		})
		return []any{groups, calls}, err
	})
}

func (m *model) readUsageCells(rt *rapid.T) {
	q := latchward.UsageQuery{
		Token:      latchward.TokenID(rapid.IntRange(0, len(m.reference.tokens)).Draw(rt, "token")),
		Credential: rapid.SampledFrom([]latchward.CredentialType{"", "", "token", "jwt"}).Draw(rt, "credential"),
		By:         latchward.UsageDimension(rapid.IntRange(0, 31).Draw(rt, "by")),
	}
	if rapid.Bool().Draw(rt, "from") {
		q.From = momentAround(rt, "from")
	}
	if rapid.Bool().Draw(rt, "to") {
		q.To = momentAround(rt, "to")
	}
	m.cells(rt, q, m.someOwners(rt))
}

func (m *model) eventsOf(rt *rapid.T, q latchward.UsageEventQuery, token int) {
	_, _ = m.both(rt, fmt.Sprintf("UsageEvents(%+v) of %d", q, token), func(s *side) (any, error) {
		q := q
		if token > 0 {
			q.Token = s.tokenID(token)
		}
		var events []latchward.UsageEvent
		err := s.store.UsageEvents(m.ctx, q, func(e *latchward.UsageEvent) error {
			plain := *e
			plain.TokenID, plain.UserID = s.tokenNumber(e.TokenID), s.userNumber(e.UserID)
			events = append(events, plain)
			return nil
		})
		return events, err
	})
}

func (m *model) readUsageEvents(rt *rapid.T) {
	q := latchward.UsageEventQuery{Limit: rapid.IntRange(1, 5).Draw(rt, "limit")}
	if rapid.Bool().Draw(rt, "from") {
		q.From = m.momentOfEvent(rt, "from")
	}
	m.eventsOf(rt, q, rapid.IntRange(0, len(m.reference.tokens)).Draw(rt, "token"))
}

// readTokenCounts compares the counters of the tokens that there are; after hours were pruned only what must outlive
// them.
func (m *model) readTokenCounts(rt *rapid.T) {
	hours := rapid.SampledFrom([]int{0, 1, 12, 144, 156}).Draw(rt, "hours")
	now := epoch().Add(time.Duration(hours) * time.Hour)
	_, _ = m.both(rt, "TokenCounts at "+now.String(), func(s *side) (any, error) {
		var ids []latchward.TokenID
		for _, id := range s.tokens {
			if _, err := s.store.Token(m.ctx, id); err == nil {
				ids = append(ids, id)
			}
		}
		counts, err := s.store.TokenCounts(m.ctx, ids, now)
		plain := map[latchward.TokenID]latchward.TokenCounts{}
		for id, c := range counts {
			if m.pruned {
				c = latchward.TokenCounts{Total: c.Total}
			}
			if c != (latchward.TokenCounts{}) {
				plain[s.tokenNumber(id)] = c
			}
		}
		return plain, err
	})
}

// endpointNames compares which endpoints there are. After hours were pruned a store may remember more.
func (m *model) endpointNames(rt *rapid.T) {
	want, err := m.reference.store.EndpointNames(m.ctx)
	got, gotErr := m.tested.store.EndpointNames(m.ctx)
	if err != nil || gotErr != nil {
		rt.Fatalf("EndpointNames: error %v, want %v", gotErr, err)
	}
	slices.Sort(got)
	slices.Sort(want)
	if m.pruned {
		got = slices.DeleteFunc(got, func(name string) bool { return !slices.Contains(want, name) })
	}
	if diff := difference(got, want); diff != "" {
		rt.Fatalf("EndpointNames: (-want +got)\n%s", diff)
	}
}
