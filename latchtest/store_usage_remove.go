package latchtest

import (
	"time"

	"github.com/latchward/latchward"
)

func usageRemovalPromises() []storePromise {
	return []storePromise{
		{"ForgetUsage/RemovesAllInBoundedSteps", forgetRemove, forgetsInSteps},
		{"ForgetUsage/LeavesOthersAlone", forgetRemove, forgetSparesOthers},
		{"PruneUsage/RemovesOldEvents", pruneRemoves, prunesEvents},
		{"PruneUsage/RemovesOldHours", pruneRemoves, prunesHours},
		{"PruneUsage/RemovesUpToLimit", pruneRemoves, prunesInSteps},
		{"PruneUsage/KeepsTotals", totalsStay, pruneKeepsTotals},
	}
}

// drain calls remove until it has nothing left to remove, and returns what it removed in all. More than most calls
// are too many.
func (t *trial) drain(most int, remove func() (int, error)) int {
	t.Helper()
	total := 0
	for range most {
		n, err := remove()
		t.must(err)
		if n < 0 {
			t.Fatalf("removed %d", n)
		}
		if n == 0 {
			return total
		}
		total += n
	}
	t.Errorf("still removing after %d calls", most)
	return total
}

func (t *trial) forgetAll() int {
	t.Helper()
	return t.drain(100, func() (int, error) { return t.store.ForgetUsage(t.ctx, 100) })
}

// many adds n requests of a token, a minute apart, the newest at epoch.
func (t *trial) many(token *latchward.Token, n int) []latchward.UsageEvent {
	t.Helper()
	var events []latchward.UsageEvent
	for i := range n {
		events = append(events, event(token.ID, epoch().Add(-time.Duration(i)*time.Minute)))
	}
	t.add(events...)
	return events
}

func forgetsInSteps(t *trial) {
	one, two := t.token(nil), t.token(nil)
	t.many(one, 5)
	t.many(two, 5)
	t.deleteToken(one.ID)
	t.deleteToken(two.ID)
	calls := 0
	removed := t.drain(20, func() (int, error) {
		calls++
		n, err := t.store.ForgetUsage(t.ctx, 3)
		if n > 3 {
			t.Errorf("ForgetUsage removed %d events, want at most 3", n)
		}
		return n, err
	})
	if removed != 10 || calls < 5 {
		t.Errorf("ForgetUsage removed %d events in %d calls, want 10 in 5 or more", removed, calls)
	}
	if total := t.total(latchward.UsageQuery{}).Requests; total != 10 {
		t.Errorf("rollups tell of %d requests afterwards, want 10", total)
	}
}

func forgetSparesOthers(t *trial) {
	token, gone := t.token(nil), t.token(nil)
	events := append(t.many(token, 3), personal(t.user(), epoch().Add(-time.Hour)))
	t.add(events[3])
	t.many(gone, 4)
	if removed := t.forgetAll(); removed != 0 {
		t.Errorf("ForgetUsage removed %d events before any token was deleted", removed)
	}
	t.deleteToken(gone.ID)
	if removed := t.forgetAll(); removed != 4 {
		t.Errorf("ForgetUsage removed %d events, want the 4 of the deleted token", removed)
	}
	t.sameEvents("what is left", latchward.UsageEventQuery{}, events...)
}

func (t *trial) pruneAll(r latchward.UsageRetention) int {
	t.Helper()
	return t.drain(100, func() (int, error) { return t.store.PruneUsage(t.ctx, r, 100) })
}

func prunesEvents(t *trial) {
	token := t.token(nil)
	events := t.many(token, 6)
	before := t.cells(latchward.UsageQuery{By: latchward.ByHour})
	if removed := t.pruneAll(latchward.UsageRetention{}); removed != 0 {
		t.Errorf("PruneUsage removed %d rows when nothing was to go", removed)
	}
	if removed := t.pruneAll(latchward.UsageRetention{Events: events[3].At}); removed != 2 {
		t.Errorf("PruneUsage removed %d rows, want the 2 events that are older", removed)
	}
	t.sameEvents("what is left", latchward.UsageEventQuery{Token: token.ID}, events[:4]...)
	t.same("rollups", t.cells(latchward.UsageQuery{By: latchward.ByHour}), before)
}

func prunesHours(t *trial) {
	batches, _ := t.usageMix()
	all := latchward.ByHour | latchward.ByToken | latchward.ByEndpoint | latchward.ByCredential | latchward.ByClass
	keep := epoch().Add(-5 * time.Hour).Truncate(time.Hour)
	want := map[latchward.UsageKey]latchward.UsageCell{}
	for k, c := range t.cells(latchward.UsageQuery{By: all}) {
		if !k.Hour.Before(keep) {
			want[k] = c
		}
	}
	if removed := t.pruneAll(latchward.UsageRetention{Hours: keep}); removed < len(rolled(all, batches...))-len(want) {
		t.Errorf("PruneUsage removed %d rows, want at least the older groups", removed)
	}
	t.same("rollups", t.cells(latchward.UsageQuery{By: all}), want)
	if events := t.events(latchward.UsageEventQuery{}); len(events) != 48 {
		t.Errorf("%d events are left, want 48", len(events))
	}
}

func prunesInSteps(t *trial) {
	token := t.token(nil)
	t.many(token, 10)
	for i := range 10 {
		e := event(token.ID, epoch().Add(-time.Duration(i)*time.Hour))
		e.Method = "PUT"
		t.add(e)
	}
	later := epoch().AddDate(1, 0, 0)
	retention := latchward.UsageRetention{Events: later, Hours: later}
	all := latchward.UsageQuery{By: latchward.ByHour | latchward.ByEndpoint}
	events, cells := len(t.events(latchward.UsageEventQuery{})), len(t.cells(all))
	t.drain(50, func() (int, error) {
		n, err := t.store.PruneUsage(t.ctx, retention, 3)
		nowEvents, nowCells := len(t.events(latchward.UsageEventQuery{})), len(t.cells(all))
		if events-nowEvents > 3 || cells-nowCells > 3 {
			t.Errorf("PruneUsage removed %d events and %d rollups, want at most 3 of each", events-nowEvents, cells-nowCells)
		}
		if n < events-nowEvents+cells-nowCells {
			t.Errorf("PruneUsage returned %d, but %d events and %d rollups went", n, events-nowEvents, cells-nowCells)
		}
		events, cells = nowEvents, nowCells
		return n, err
	})
	if events+cells != 0 {
		t.Errorf("%d events and %d rollups are left, want none", events, cells)
	}
}

func pruneKeepsTotals(t *trial) {
	token := t.token(nil)
	t.many(token, 10)
	later := epoch().AddDate(1, 0, 0)
	t.pruneAll(latchward.UsageRetention{Events: later, Hours: later})
	t.sameTotal("after everything was pruned", token.ID, 0, 0, 10)
	t.same("LastUsedAt", t.stored(token.ID).LastUsedAt, epoch())
	t.many(token, 1)
	t.sameTotal("after one more", token.ID, 1, 1, 11)
}
