package latchtest

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/latchward/latchward"
)

const (
	cellsOnce    = "UsageCells calls f once for each group, in no particular order."
	cellsKey     = "Members that were not asked for are zero."
	cellsHours   = "hours that start in [From, To)"
	cellsOwner   = "tokens that one of these has, or had when they were deleted; nil = everybody's"
	cellsDeleted = "Rollups of deleted tokens must be included."
	cellsName    = "filled in by stores together with Token, also for deleted tokens"
	eventsNewest = "UsageEvents calls f for each matching event, newest first."
	eventsGone   = "Events of a deleted token must not be returned."
	countsReturn = "TokenCounts returns the counters of the given tokens at now; tokens without usage may be missing."
	countsWhole  = "The hour in which a window of 24 hours or 7 days begins counts whole."
	namesReturn  = "EndpointNames returns every endpoint that rollups name, each once, in no particular order."
	forgetRemove = "ForgetUsage removes up to limit raw events of tokens that were deleted " +
		"and returns how many it removed."
	pruneRemoves = "PruneUsage removes up to limit rows of each kind that r lets go and returns how many it removed."
	totalsStay   = "UsageRetention says from when on details are kept; totals are kept for ever."
)

func usageCellPromises() []storePromise {
	return []storePromise{
		{"UsageCells/OnceForEachGroup", cellsOnce, cellsByEveryDimension},
		{"UsageCells/SumsAreExact", cellsOnce, cellsAreExact},
		{"UsageCells/SucceededAndFailedAreAll", cellsOnce, cellsAddUp},
		{"UsageCells/NamesTokens", cellsName, cellsNameTokens},
		{"UsageCells/NoGroupWithoutUsage", cellsOnce, cellsOfNothing},
		{"UsageCells/ByHours", cellsHours, cellsByHours},
		{"UsageCells/ByToken", cellsKey, cellsByToken},
		{"UsageCells/ByOwner", cellsOwner, cellsByOwner},
		{"UsageCells/ByCredential", cellsKey, cellsByCredential},
		{"UsageCells/IncludesDeletedTokens", cellsDeleted, cellsOfDeleted},
		{"UsageCells/StopsAtAnError", cellsOnce, cellsStop},
	}
}

// usageMix adds batches that differ in every dimension, and returns them with the tokens they speak of.
func (t *trial) usageMix() ([]latchward.UsageBatch, []*latchward.Token) {
	t.Helper()
	owner := t.user()
	tokens := []*latchward.Token{t.token(owner, named("one")), t.token(owner, named("two"))}
	ids := []latchward.TokenID{tokens[0].ID, tokens[1].ID, 0}
	var batches []latchward.UsageBatch
	for i := range 4 {
		var events []latchward.UsageEvent
		for j := range 12 {
			n := i*12 + j
			e := event(ids[n%3], epoch().Add(-time.Duration(n)*17*time.Minute))
			if e.TokenID == 0 {
				e = personal(owner, e.At)
			}
			e.Endpoint, e.Method = []string{"/a", "/b", "/B"}[n%5%3], []string{"GET", "POST"}[n/3%2]
			e.Status = []int{200, 204, 301, 404, 429, 499, 500}[n%7]
			e.Duration = time.Duration(n*1001) * time.Microsecond
			e.RequestBytes, e.ResponseBytes = int64(n), int64(n)<<32
			events = append(events, e)
		}
		b := t.batch(events...)
		t.must(t.store.AddUsage(t.ctx, b))
		t.offset = b.To
		batches = append(batches, b)
	}
	return batches, tokens
}

func cellsByEveryDimension(t *trial) {
	batches, tokens := t.usageMix()
	for by := range latchward.ByClass << 1 {
		want := map[latchward.UsageKey]latchward.UsageCell{}
		for k, c := range rolled(by, batches...) {
			k.TokenName = nameOf(k.Token, tokens)
			want[k] = c
		}
		t.same(fmt.Sprintf("dimensions %05b", by), t.cells(latchward.UsageQuery{By: by}), want)
	}
}

func nameOf(id latchward.TokenID, tokens []*latchward.Token) string {
	for _, token := range tokens {
		if token.ID == id {
			return token.Name
		}
	}
	return ""
}

// cellsAreExact adds many short requests: whoever rounds each of them to milliseconds gets another sum.
func cellsAreExact(t *trial) {
	token := t.token(nil)
	var events []latchward.UsageEvent
	for range 100 {
		e := event(token.ID, epoch())
		e.Duration, e.RequestBytes, e.ResponseBytes = 1499*time.Microsecond, 1<<40+1, 1<<50+1
		events = append(events, e)
	}
	t.add(events...)
	want := latchward.UsageCell{
		Requests: 100, Duration: 149_900 * time.Microsecond, RequestBytes: 100<<40 + 100, ResponseBytes: 100<<50 + 100,
	}
	t.same("the sum of 100 requests", t.total(latchward.UsageQuery{}), want)
}

// cellsAddUp checks S2-28: success is a status below 400, and success and failure together are all.
func cellsAddUp(t *trial) {
	token := t.token(nil)
	var events []latchward.UsageEvent
	for i, status := range []int{200, 302, 399, 400, 401, 404, 429, 499, 500, 503, 599} {
		events = append(events, request(token.ID, epoch().Add(time.Duration(i)*time.Millisecond), status, ""))
	}
	t.add(events...)
	total := t.total(latchward.UsageQuery{})
	t.same("requests and failed ones", []int64{total.Requests, total.Failed}, []int64{11, 8})
	for k, c := range t.cells(latchward.UsageQuery{By: latchward.ByClass}) {
		failed := map[int]int64{2: 0, 3: 0, 4: 5, 5: 3}[k.Class]
		if requests := map[int]int64{2: 1, 3: 2, 4: 5, 5: 3}[k.Class]; c.Requests != requests || c.Failed != failed {
			t.Errorf("class %d: %d requests, %d failed; want %d and %d", k.Class, c.Requests, c.Failed, requests, failed)
		}
	}
}

func cellsNameTokens(t *trial) {
	token := t.token(nil, named("Old"))
	t.add(event(token.ID, epoch()))
	token.Name = "New"
	t.saveToken(*token)
	t.same("rollups after the token got another name", t.cells(latchward.UsageQuery{By: latchward.ByToken}),
		map[latchward.UsageKey]latchward.UsageCell{{Token: token.ID, TokenName: "New"}: cellOf(event(token.ID, epoch()))})
}

func cellsOfNothing(t *trial) {
	token := t.token(nil)
	t.same("rollups of an empty store", t.cells(latchward.UsageQuery{}), map[latchward.UsageKey]latchward.UsageCell{})
	t.add(event(token.ID, epoch()))
	later := latchward.UsageQuery{From: epoch().Add(time.Hour)}
	t.same("rollups of later hours", t.cells(later), map[latchward.UsageKey]latchward.UsageCell{})
	t.same("rollups of all hours", t.total(latchward.UsageQuery{}), cellOf(event(token.ID, epoch())))
}

func cellsByHours(t *trial) {
	token, hour := t.token(nil), epoch().Truncate(time.Hour)
	t.add(
		event(token.ID, hour.Add(-time.Millisecond)), event(token.ID, hour),
		event(token.ID, hour.Add(time.Hour-time.Millisecond)), event(token.ID, hour.Add(time.Hour)),
	)
	for _, c := range []struct {
		from, to time.Time
		want     int64
	}{
		{time.Time{}, time.Time{}, 4}, {hour, time.Time{}, 3}, {time.Time{}, hour, 1}, {hour, hour.Add(time.Hour), 2},
		{hour.Add(time.Millisecond), hour.Add(time.Hour), 0}, {hour, hour.Add(time.Millisecond), 2}, {hour, hour, 0},
	} {
		if got := t.total(latchward.UsageQuery{From: c.from, To: c.to}).Requests; got != c.want {
			t.Errorf("from %v to %v: %d requests, want %d", c.from, c.to, got, c.want)
		}
	}
}

func cellsByToken(t *trial) {
	one, two := t.token(nil), t.token(nil)
	t.add(event(one.ID, epoch()), event(two.ID, epoch()), event(two.ID, epoch()), personal(t.user(), epoch()))
	for id, want := range map[latchward.TokenID]int64{0: 4, one.ID: 1, two.ID: 2, two.ID + 1000: 0} {
		if got := t.total(latchward.UsageQuery{Token: id}).Requests; got != want {
			t.Errorf("token %d: %d requests, want %d", id, got, want)
		}
	}
}

func cellsByOwner(t *trial) {
	ada, bob := t.user(), t.user()
	one, two, other := t.token(ada), t.token(ada), t.token(bob)
	t.add(event(one.ID, epoch()), event(two.ID, epoch()), event(other.ID, epoch()), personal(ada, epoch()))
	t.deleteToken(two.ID)
	for _, c := range []struct {
		user *latchward.User
		want int64
	}{{ada, 2}, {bob, 1}, {t.user(), 0}} {
		owner := ownerOf(c.user)
		owner.Name = "whatever"
		if got := t.total(latchward.UsageQuery{Owners: []latchward.Owner{owner}}).Requests; got != c.want {
			t.Errorf("%s: %d requests, want %d", owner, got, c.want)
		}
	}
}

func cellsByCredential(t *trial) {
	token := t.token(nil)
	t.add(event(token.ID, epoch()), personal(t.user(), epoch()), personal(t.user(), epoch()))
	for credential, want := range map[latchward.CredentialType]int64{
		"": 3, latchward.CredentialToken: 1, latchward.CredentialJWT: 2,
	} {
		if got := t.total(latchward.UsageQuery{Credential: credential}).Requests; got != want {
			t.Errorf("credential %q: %d requests, want %d", credential, got, want)
		}
	}
}

// cellsOfDeleted checks X-13: rollups outlive the token, with the name and owner it had.
func cellsOfDeleted(t *trial) {
	owner := t.user()
	token := t.token(owner, named("Before"))
	t.add(event(token.ID, epoch()))
	token.Name = "Gone 🐝"
	t.saveToken(*token)
	t.deleteToken(token.ID)
	self := []latchward.Owner{ownerOf(owner)}
	want := map[latchward.UsageKey]latchward.UsageCell{
		{Token: token.ID, TokenName: "Gone 🐝"}: cellOf(event(token.ID, epoch())),
	}
	for range 2 {
		for _, q := range []latchward.UsageQuery{{}, {Token: token.ID}, {Owners: self}} {
			q.By = latchward.ByToken
			t.same("rollups of a deleted token", t.cells(q), want)
		}
		t.forgetAll()
	}
}

func cellsStop(t *trial) {
	t.usageMix()
	t.stops("UsageCells", func(f func() error) error {
		return t.store.UsageCells(t.ctx, latchward.UsageQuery{By: latchward.ByHour},
			func(latchward.UsageKey, latchward.UsageCell) error { return f() })
	})
}

func usageEventPromises() []storePromise {
	return []storePromise{
		{"UsageEvents/KeepsEveryField", eventsNewest, eventsKeepFields},
		{"UsageEvents/NewestFirst", eventsNewest, eventsNewestFirst},
		{"UsageEvents/AtMostLimit", eventsNewest, eventsLimit},
		{"UsageEvents/ByTokenAndTime", eventsNewest, eventsFilters},
		{"UsageEvents/HidesDeletedTokensAtOnce", eventsGone, eventsOfDeleted},
		{"UsageEvents/StopsAtAnError", eventsNewest, eventsStop},
	}
}

func eventsKeepFields(t *trial) {
	token, person := t.token(nil), t.user()
	v6 := latchward.UsageEvent{
		At: epoch(), TokenID: token.ID, Credential: latchward.CredentialToken, Reason: latchward.ReasonRateLimited,
		Endpoint: "/übermäßig/🐝", Method: "PROPFIND", Status: 429, Duration: 60_123 * time.Millisecond,
		RequestBytes: 1 << 40, ResponseBytes: 1<<50 + 1, Address: netip.MustParseAddr("2001:db8::1"),
		UserAgent: `quo"ted 'agent' \ 🐝`, RequestID: "r-1",
	}
	bare := latchward.UsageEvent{
		At: epoch().Add(-time.Millisecond), TokenID: token.ID, Credential: latchward.CredentialToken,
		Reason: latchward.ReasonAllowed, Endpoint: "/", Method: "GET", Status: 204,
	}
	jwt := personal(person, epoch().Add(-2*time.Millisecond))
	t.add(v6, bare, jwt)
	t.sameEvents("UsageEvents", latchward.UsageEventQuery{}, v6, bare, jwt)
}

func eventsNewestFirst(t *trial) {
	token := t.token(nil)
	at := func(ms int) latchward.UsageEvent {
		return event(token.ID, epoch().Add(time.Duration(ms)*time.Millisecond))
	}
	t.add(at(3), at(1))
	t.add(at(2), at(5), at(4))
	t.sameEvents("UsageEvents", latchward.UsageEventQuery{}, at(5), at(4), at(3), at(2), at(1))
}

func eventsLimit(t *trial) {
	token := t.token(nil)
	first, second := event(token.ID, epoch().Add(2*time.Millisecond)), event(token.ID, epoch().Add(time.Millisecond))
	t.add(event(token.ID, epoch()), first, second)
	t.sameEvents("the newest two", latchward.UsageEventQuery{Limit: 2}, first, second)
	t.sameEvents("the newest two of a token", latchward.UsageEventQuery{Token: token.ID, Limit: 2}, first, second)
}

func eventsFilters(t *trial) {
	one, two := t.token(nil), t.token(nil)
	a, b := event(one.ID, epoch()), event(two.ID, epoch().Add(-time.Millisecond))
	c, d := personal(t.user(), epoch().Add(-time.Second)), event(one.ID, epoch().Add(-time.Hour))
	t.add(a, b, c, d)
	t.sameEvents("all", latchward.UsageEventQuery{}, a, b, c, d)
	t.sameEvents("of a token", latchward.UsageEventQuery{Token: one.ID}, a, d)
	t.sameEvents("from a moment on", latchward.UsageEventQuery{From: epoch().Add(-time.Second)}, a, b, c)
	both := latchward.UsageEventQuery{Token: one.ID, From: d.At.Add(time.Millisecond)}
	t.sameEvents("of a token from a moment on", both, a)
	t.sameEvents("of an unknown token", latchward.UsageEventQuery{Token: two.ID + 1000})
}

func eventsOfDeleted(t *trial) {
	token, other := t.token(nil), t.token(nil)
	t.add(event(token.ID, epoch()), event(other.ID, epoch()))
	t.deleteToken(token.ID)
	t.sameEvents("of a deleted token", latchward.UsageEventQuery{Token: token.ID})
	t.sameEvents("of all tokens", latchward.UsageEventQuery{}, event(other.ID, epoch()))
}

func eventsStop(t *trial) {
	t.usageMix()
	t.stops("UsageEvents", func(f func() error) error {
		q := latchward.UsageEventQuery{Limit: 10}
		return t.store.UsageEvents(t.ctx, q, func(*latchward.UsageEvent) error { return f() })
	})
}

func usageCountPromises() []storePromise {
	return []storePromise{
		{"TokenCounts/CountsInWindows", countsWhole, countsWindows},
		{"TokenCounts/OnlyOfTheGivenTokens", countsReturn, countsOfGiven},
		{"EndpointNames/EachOnce", namesReturn, endpointNamesOnce},
	}
}

func countsWindows(t *trial) {
	token, now := t.token(nil), epoch()
	day, week := now.Add(-24*time.Hour).Truncate(time.Hour), now.AddDate(0, 0, -7).Truncate(time.Hour)
	t.add(
		request(token.ID, now, 200, ""), request(token.ID, now, 500, ""),
		event(token.ID, day), event(token.ID, day.Add(-time.Millisecond)),
		event(token.ID, week), event(token.ID, week.Add(-time.Millisecond)), event(token.ID, now.AddDate(-2, 0, 0)),
	)
	want := latchward.TokenCounts{Requests24h: 3, Requests7d: 5, Total: 7}
	t.same("TokenCounts", t.counts(token.ID, now)[token.ID], want)
	want.Requests24h = 2
	t.same("TokenCounts an hour later", t.counts(token.ID, now.Add(time.Hour))[token.ID],
		latchward.TokenCounts{Requests24h: 2, Requests7d: 4, Total: 7})
}

func countsOfGiven(t *trial) {
	one, two, three, idle := t.token(nil), t.token(nil), t.token(nil), t.token(nil)
	t.add(event(one.ID, epoch()), event(two.ID, epoch()), event(two.ID, epoch()), event(three.ID, epoch()))
	got, err := t.store.TokenCounts(t.ctx, []latchward.TokenID{one.ID, two.ID, idle.ID}, epoch())
	t.must(err)
	delete(got, idle.ID)
	t.same("TokenCounts", got, map[latchward.TokenID]latchward.TokenCounts{
		one.ID: {Requests24h: 1, Requests7d: 1, Total: 1}, two.ID: {Requests24h: 2, Requests7d: 2, Total: 2},
	})
	got, err = t.store.TokenCounts(t.ctx, nil, epoch())
	if err != nil || len(got) != 0 {
		t.Errorf("TokenCounts of no tokens returned %v, error %v", got, err)
	}
}

func endpointNamesOnce(t *trial) {
	t.usageMix()
	names, err := t.store.EndpointNames(t.ctx)
	t.must(err)
	slices.Sort(names)
	t.same("EndpointNames", names, []string{"/B", "/a", "/b"})
}
