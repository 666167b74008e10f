package latchtest

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/latchward/latchward"
)

const (
	usageOffset = "UsageOffset returns the offset up to which the node's events were added; " +
		"the zero offset for an unknown node."
	addsUsage = "AddUsage adds raw rows, hourly rollups and totals, " +
		"and moves LastUsedAt of tokens with accepted events forward, all in one transaction."
	addsOnce   = "It must return an Error of code conflict, and add nothing, when the node's offset is not b.From."
	knownIDs   = "An event whose RequestID was added before is left out."
	goneTokens = "Events of tokens that no longer exist must be rolled up under the token's id " +
		"and must not fail the batch."
	rollupNames = "Names[i] is the endpoint under which Events[i] is rolled up; Events[i].Endpoint is what raw rows keep."
)

func addUsagePromises() []storePromise {
	return []storePromise{
		{"UsageOffset/ZeroForAnUnknownNode", usageOffset, offsetOfNothing},
		{"UsageOffset/IsWhereTheLastBatchEnded", usageOffset, offsetMoves},
		{"AddUsage/AddsRowsRollupsAndTotals", addsUsage, addsEverything},
		{"AddUsage/MovesLastUsedAtForward", addsUsage, movesLastUsed},
		{"AddUsage/OnlyAcceptedEventsMoveLastUsedAt", addsUsage, refusedDoNotMove},
		{"AddUsage/LastUsedAtHasMilliseconds", tokenTimes, lastUsedIsCut},
		{"AddUsage/RefusesAnotherOffset", addsOnce, refusesOffset},
		{"AddUsage/AddsNothingOnAnotherOffset", addsOnce, addsNothing},
		{"AddUsage/CountsARequestIDOnceInABatch", knownIDs, requestIDInBatch},
		{"AddUsage/CountsARequestIDOnceAmongBatches", knownIDs, requestIDAmongBatches},
		{"AddUsage/RollsUpUnderNames", rollupNames, rollsUpUnderNames},
		{"AddUsage/TakesEventsOfDeletedTokens", goneTokens, addsForDeleted},
		{"AddUsage/TakesEventsOfUnknownTokens", goneTokens, addsForUnknown},
	}
}

// event returns an accepted request of a token.
func event(token latchward.TokenID, at time.Time) latchward.UsageEvent {
	return latchward.UsageEvent{
		At: at, TokenID: token, Credential: latchward.CredentialToken, Reason: latchward.ReasonAllowed,
		Endpoint: "/products", Method: "GET", Status: 200, Duration: 12 * time.Millisecond,
		RequestBytes: 10, ResponseBytes: 1000, Address: netip.MustParseAddr("192.0.2.1"), UserAgent: "curl/8",
	}
}

// request returns event with a status and a request id.
func request(token latchward.TokenID, at time.Time, status int, id string) latchward.UsageEvent {
	e := event(token, at)
	e.Status, e.RequestID = status, id
	return e
}

// personal returns a request that came with the JWT of a person.
func personal(u *latchward.User, at time.Time) latchward.UsageEvent {
	e := event(0, at)
	e.UserID, e.Credential = u.ID, latchward.CredentialJWT
	return e
}

// add hands events to the store, as the next batch of one node.
func (t *trial) add(events ...latchward.UsageEvent) {
	t.Helper()
	b := t.batch(events...)
	t.must(t.store.AddUsage(t.ctx, b))
	t.offset = b.To
}

// batch returns the next batch of the trial's node.
func (t *trial) batch(events ...latchward.UsageEvent) latchward.UsageBatch {
	b := latchward.UsageBatch{Node: "node", From: t.offset, To: t.offset, Events: events}
	b.To.At += max(1, int64(len(events)))
	for _, e := range events {
		b.Names = append(b.Names, e.Endpoint)
	}
	return b
}

// cells returns the groups of rollups, and fails when one comes twice.
func (t *trial) cells(q latchward.UsageQuery) map[latchward.UsageKey]latchward.UsageCell {
	t.Helper()
	groups := map[latchward.UsageKey]latchward.UsageCell{}
	t.must(t.store.UsageCells(t.ctx, q, func(k latchward.UsageKey, c latchward.UsageCell) error {
		if _, twice := groups[k]; twice {
			t.Errorf("UsageCells(%+v) gave the group %+v twice", q, k)
		}
		groups[k] = c
		return nil
	}))
	return groups
}

// total returns the sum of all rollups of a query.
func (t *trial) total(q latchward.UsageQuery) latchward.UsageCell {
	t.Helper()
	q.By = 0
	return t.cells(q)[latchward.UsageKey{}]
}

func (t *trial) events(q latchward.UsageEventQuery) []latchward.UsageEvent {
	t.Helper()
	if q.Limit == 0 {
		q.Limit = latchward.MaxPage
	}
	var events []latchward.UsageEvent
	t.must(t.store.UsageEvents(t.ctx, q, func(e *latchward.UsageEvent) error {
		events = append(events, *e)
		return nil
	}))
	return events
}

func (t *trial) sameEvents(what string, q latchward.UsageEventQuery, want ...latchward.UsageEvent) {
	t.Helper()
	t.same(what, t.events(q), want)
}

// sameTotal checks how many requests the rollups, the raw rows and the counters of a token tell of.
func (t *trial) sameTotal(what string, id latchward.TokenID, rollups, rows, counters int64) {
	t.Helper()
	if got := t.total(latchward.UsageQuery{Token: id}).Requests; got != rollups {
		t.Errorf("%s: rollups tell of %d requests, want %d", what, got, rollups)
	}
	if got := int64(len(t.events(latchward.UsageEventQuery{Token: id}))); got != rows {
		t.Errorf("%s: there are %d raw rows, want %d", what, got, rows)
	}
	if got := t.counts(id, epoch())[id].Total; got != counters {
		t.Errorf("%s: the counter says %d, want %d", what, got, counters)
	}
}

func (t *trial) counts(id latchward.TokenID, now time.Time) map[latchward.TokenID]latchward.TokenCounts {
	t.Helper()
	counts, err := t.store.TokenCounts(t.ctx, []latchward.TokenID{id}, now)
	t.must(err)
	return counts
}

func offsetOfNothing(t *trial) {
	t.add(event(t.token(nil).ID, epoch()))
	t.sameOffset("node", t.offset)
	t.sameOffset("another", latchward.JournalOffset{})
}

func (t *trial) sameOffset(node string, want latchward.JournalOffset) {
	t.Helper()
	got, err := t.store.UsageOffset(t.ctx, node)
	t.must(err)
	t.same("the offset of "+node, got, want)
}

func offsetMoves(t *trial) {
	at := map[string]latchward.JournalOffset{}
	for i, to := range []latchward.JournalOffset{
		{At: 5}, {Segment: 1}, {Segment: 1, At: 1 << 40}, {Segment: 1 << 40, At: 3},
	} {
		for _, node := range []string{"a", "b"} {
			b := latchward.UsageBatch{Node: node, From: at[node], To: to}
			if node == "b" {
				b.To.At += int64(i) + 1
			}
			t.must(t.store.AddUsage(t.ctx, b))
			at[node] = b.To
		}
		t.sameOffset("a", at["a"])
		t.sameOffset("b", at["b"])
	}
}

func addsEverything(t *trial) {
	token := t.token(nil)
	t.add(event(token.ID, epoch()), event(token.ID, epoch().Add(time.Millisecond)))
	t.add(event(token.ID, epoch().Add(time.Second)))
	t.sameTotal("after three events", token.ID, 3, 3, 3)
	t.same("LastUsedAt", t.stored(token.ID).LastUsedAt, epoch().Add(time.Second))
}

func movesLastUsed(t *trial) {
	token, other := t.token(nil), t.token(nil)
	for _, c := range []struct{ first, second, want time.Duration }{
		{0, 0, 0}, {2 * time.Hour, time.Hour, 2 * time.Hour}, {-time.Hour, -time.Hour, 2 * time.Hour},
		{3 * time.Hour, 4 * time.Hour, 4 * time.Hour},
	} {
		t.add(event(token.ID, epoch().Add(c.first)), event(token.ID, epoch().Add(c.second)))
		token.LastUsedAt = epoch().Add(c.want)
		t.same("Token", t.stored(token.ID), token)
		t.same("TokenFacts", t.facts(token.Secret.KeyID).Token, token)
	}
	t.same("another token", t.stored(other.ID), other)
}

func refusedDoNotMove(t *trial) {
	token := t.token(nil)
	t.add(event(token.ID, epoch()))
	for _, reason := range latchward.Reasons() {
		e := event(token.ID, epoch().Add(time.Hour))
		e.Reason = reason
		if e.Accepted() {
			e.At = epoch()
		}
		t.add(e)
	}
	failed := request(token.ID, epoch().Add(time.Minute), 500, "")
	t.add(failed) // let through, whatever became of it then
	t.same("LastUsedAt", t.stored(token.ID).LastUsedAt, failed.At)
}

func lastUsedIsCut(t *trial) {
	token := t.token(nil)
	t.add(event(token.ID, epoch().Add(999_999*time.Nanosecond).In(time.FixedZone("east", 3600))))
	t.same("LastUsedAt", t.stored(token.ID).LastUsedAt, epoch())
}

func refusesOffset(t *trial) {
	token := t.token(nil)
	first := t.batch(event(token.ID, epoch()))
	t.must(t.store.AddUsage(t.ctx, first))
	for _, from := range []latchward.JournalOffset{
		first.From, {At: first.To.At + 1}, {Segment: 1}, {Segment: 1, At: first.To.At},
	} {
		again := first
		again.From = from
		err := t.store.AddUsage(t.ctx, again)
		t.code(fmt.Sprintf("AddUsage from %+v at %+v", from, first.To), err, latchward.CodeConflict)
	}
	unknown := first
	unknown.Node, unknown.From = "another", first.To
	t.code("AddUsage from an offset of another node", t.store.AddUsage(t.ctx, unknown), latchward.CodeConflict)
}

func addsNothing(t *trial) {
	token := t.token(nil)
	t.add(event(token.ID, epoch()))
	again := t.batch(request(token.ID, epoch().Add(time.Hour), 200, "r-1"))
	again.From = latchward.JournalOffset{}
	_ = t.store.AddUsage(t.ctx, again)
	t.sameTotal("after a refused batch", token.ID, 1, 1, 1)
	t.same("LastUsedAt", t.stored(token.ID).LastUsedAt, epoch())
	t.sameOffset("node", t.offset)
	t.add(again.Events...) // its request id was not used up
	t.sameTotal("after the batch was added", token.ID, 2, 2, 2)
}

func requestIDInBatch(t *trial) {
	token := t.token(nil)
	t.add(
		request(token.ID, epoch(), 200, "r-1"),
		request(token.ID, epoch().Add(time.Minute), 200, "r-1"),
		request(token.ID, epoch(), 200, "r-2"),
		request(token.ID, epoch(), 200, "R-1"),
		request(token.ID, epoch(), 200, ""), request(token.ID, epoch(), 200, ""),
	)
	t.sameTotal("after six events, one of them known", token.ID, 5, 5, 5)
	t.same("LastUsedAt", t.stored(token.ID).LastUsedAt, epoch())
}

func requestIDAmongBatches(t *trial) {
	token, other := t.token(nil), t.token(nil)
	t.add(request(token.ID, epoch(), 200, "r-1"))
	t.add(request(token.ID, epoch().Add(time.Minute), 200, "r-1"), request(token.ID, epoch(), 200, "r-2"))
	b := t.batch(request(other.ID, epoch().Add(time.Minute), 200, "r-2"), request(other.ID, epoch(), 200, "r-3"))
	b.Node, b.From = "another", latchward.JournalOffset{}
	t.must(t.store.AddUsage(t.ctx, b))
	t.sameTotal("the token", token.ID, 2, 2, 2)
	t.sameTotal("another token on another node", other.ID, 1, 1, 1)
	t.same("LastUsedAt", t.stored(token.ID).LastUsedAt, epoch())
	t.same("LastUsedAt of the other", t.stored(other.ID).LastUsedAt, epoch())
}

func rollsUpUnderNames(t *trial) {
	token := t.token(nil)
	first, second := event(token.ID, epoch()), event(token.ID, epoch().Add(-time.Millisecond))
	first.Endpoint, second.Endpoint = "/users/17", "/users/18"
	b := t.batch(first, second)
	b.Names = []string{"/users/{id}", "/users/{id}"}
	t.must(t.store.AddUsage(t.ctx, b))
	t.same("rollups", t.cells(latchward.UsageQuery{By: latchward.ByEndpoint}), rolled(latchward.ByEndpoint, b))
	t.sameEvents("raw rows", latchward.UsageEventQuery{Token: token.ID}, first, second)
}

func addsForDeleted(t *trial) {
	token, other := t.token(nil, named("Gone")), t.token(nil)
	t.deleteToken(token.ID)
	t.add(event(token.ID, epoch()), event(other.ID, epoch()))
	want := map[latchward.UsageKey]latchward.UsageCell{
		{Token: token.ID, TokenName: "Gone"}:   cellOf(event(token.ID, epoch())),
		{Token: other.ID, TokenName: "Sensor"}: cellOf(event(other.ID, epoch())),
	}
	t.same("rollups", t.cells(latchward.UsageQuery{By: latchward.ByToken}), want)
	t.sameEvents("raw rows", latchward.UsageEventQuery{}, event(other.ID, epoch()))
}

func addsForUnknown(t *trial) {
	token := t.token(nil)
	unknown := event(token.ID+1000, epoch())
	t.add(unknown, event(token.ID, epoch()))
	for _, id := range []latchward.TokenID{token.ID, unknown.TokenID} {
		if got := t.total(latchward.UsageQuery{Token: id}); got != cellOf(unknown) {
			t.Errorf("rollups of token %d: %+v, want %+v", id, got, cellOf(unknown))
		}
	}
	t.same("LastUsedAt", t.stored(token.ID).LastUsedAt, epoch())
}

// cellOf returns what one event adds to a rollup.
func cellOf(e latchward.UsageEvent) latchward.UsageCell {
	c := latchward.UsageCell{
		Requests: 1, Duration: e.Duration, RequestBytes: e.RequestBytes, ResponseBytes: e.ResponseBytes,
	}
	if e.Status >= 400 {
		c.Failed = 1
	}
	return c
}

// rolled returns what rollups of batches must say, without names of tokens.
func rolled(by latchward.UsageDimension, batches ...latchward.UsageBatch) map[latchward.UsageKey]latchward.UsageCell {
	groups := map[latchward.UsageKey]latchward.UsageCell{}
	for _, b := range batches {
		for i, e := range b.Events {
			k := latchward.UsageKey{}
			if by&latchward.ByHour != 0 {
				k.Hour = time.Date(e.At.Year(), e.At.Month(), e.At.Day(), e.At.Hour(), 0, 0, 0, time.UTC)
			}
			if by&latchward.ByToken != 0 {
				k.Token = e.TokenID
			}
			if by&latchward.ByEndpoint != 0 {
				k.Endpoint, k.Method = b.Names[i], e.Method
			}
			if by&latchward.ByCredential != 0 {
				k.Credential = e.Credential
			}
			if by&latchward.ByClass != 0 {
				k.Class = e.Status / 100
			}
			c := groups[k]
			c.Add(cellOf(e))
			groups[k] = c
		}
	}
	return groups
}

// stops checks that walk ends with the error of the function it calls, at the first call.
func (t *trial) stops(what string, walk func(f func() error) error) {
	t.Helper()
	calls := 0
	err := walk(func() error { calls++; return errStop })
	if !errors.Is(err, errStop) || calls != 1 {
		t.Errorf("%s called a failing f %d times and returned %v, want once and f's error", what, calls, err)
	}
}
