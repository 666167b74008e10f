package latchtest

import (
	"slices"
	"strings"
	"time"

	"github.com/latchward/latchward"
)

// cellsAsked alters the query of UsageCells.
func cellsAsked(edit func(q *latchward.UsageQuery)) func(a *altered) {
	return func(a *altered) {
		a.usageCells = func(q latchward.UsageQuery, f func(latchward.UsageKey, latchward.UsageCell) error) error {
			edit(&q)
			return a.Store.UsageCells(background(), q, f)
		}
	}
}

// cellsTold alters what UsageCells tells.
func cellsTold(edit func(a *altered, k *latchward.UsageKey, c *latchward.UsageCell)) func(a *altered) {
	return func(a *altered) {
		a.usageCells = func(q latchward.UsageQuery, f func(latchward.UsageKey, latchward.UsageCell) error) error {
			return a.Store.UsageCells(background(), q, func(k latchward.UsageKey, c latchward.UsageCell) error {
				edit(a, &k, &c)
				return f(k, c)
			})
		}
	}
}

func cellMutants() []mutant {
	list := []mutant{
		{"UsageCells/OnceForEachGroup UsageCells/StopsAtAnError", "gives each row", func(a *altered) {
			a.usageCells = func(q latchward.UsageQuery, f func(latchward.UsageKey, latchward.UsageCell) error) error {
				err := a.Store.UsageCells(background(), q, f)
				_ = a.Store.UsageCells(background(), q, f)
				return err
			}
		}},
		{"UsageCells/SumsAreExact", "keeps whole milliseconds",
			addsWrong(func(_ *altered, e *latchward.UsageEvent, _ *string) bool {
				e.Duration = e.Duration.Round(time.Millisecond)
				return true
			})},
		{"UsageCells/SumsAreExact", "keeps sizes in 32 bits",
			addsWrong(func(_ *altered, e *latchward.UsageEvent, _ *string) bool {
				e.RequestBytes = int64(int32(e.RequestBytes))
				return true
			})},
		{"UsageCells/SucceededAndFailedAreAll", "takes 4xx for success",
			cellsTold(func(_ *altered, k *latchward.UsageKey, c *latchward.UsageCell) {
				if k.Class == 4 {
					c.Failed = 0
				}
			})},
		{"UsageCells/NamesTokens", "remembers the first name", func(a *altered) {
			names := map[latchward.TokenID]string{}
			cellsTold(func(_ *altered, k *latchward.UsageKey, _ *latchward.UsageCell) { k.TokenName = names[k.Token] })(a)
			addsWrong(func(a *altered, e *latchward.UsageEvent, _ *string) bool {
				if t, err := a.Store.Token(background(), e.TokenID); err == nil && names[t.ID] == "" {
					names[t.ID] = t.Name
				}
				return true
			})(a)
		}},
		{"UsageCells/NoGroupWithoutUsage", "gives an empty group", func(a *altered) {
			a.usageCells = func(q latchward.UsageQuery, f func(latchward.UsageKey, latchward.UsageCell) error) error {
				groups := 0
				err := a.Store.UsageCells(background(), q, func(k latchward.UsageKey, c latchward.UsageCell) error {
					groups++
					return f(k, c)
				})
				if groups == 0 && err == nil {
					err = f(latchward.UsageKey{}, latchward.UsageCell{})
				}
				return err
			}
		}},
		{"UsageCells/ByHours", "ignores from", cellsAsked(func(q *latchward.UsageQuery) { q.From = time.Time{} })},
		{"UsageCells/ByHours", "ignores to", cellsAsked(func(q *latchward.UsageQuery) { q.To = time.Time{} })},
		{"UsageCells/ByHours", "takes the hour that from is in",
			cellsAsked(func(q *latchward.UsageQuery) { q.From = q.From.Truncate(time.Hour) })},
		{"UsageCells/ByToken", "ignores the token", cellsAsked(func(q *latchward.UsageQuery) { q.Token = 0 })},
		{"UsageCells/ByOwner", "ignores the owner", cellsAsked(func(q *latchward.UsageQuery) { q.Owners = nil })},
		{"UsageCells/ByCredential", "ignores the credential",
			cellsAsked(func(q *latchward.UsageQuery) { q.Credential = "" })},
		{"UsageCells/IncludesDeletedTokens UsageCells/ByOwner AddUsage/TakesEventsOfDeletedTokens", "hides deleted tokens",
			hidesDeleted},
		{"UsageCells/IncludesDeletedTokens AddUsage/TakesEventsOfDeletedTokens", "forgets names of deleted tokens",
			cellsTold(
				func(a *altered, k *latchward.UsageKey, _ *latchward.UsageCell) {
					if _, err := a.Store.Token(background(), k.Token); err != nil {
						k.TokenName = ""
					}
				})},
		{"UsageCells/IncludesDeletedTokens", "forgets deleted tokens with their events", func(a *altered) {
			forgotten := false
			a.forgetUsage = func(limit int) (int, error) {
				forgotten = true
				return a.Store.ForgetUsage(background(), limit)
			}
			a.usageCells = func(q latchward.UsageQuery, f func(latchward.UsageKey, latchward.UsageCell) error) error {
				if forgotten {
					return nil
				}
				return a.Store.UsageCells(background(), q, f)
			}
		}},
		{"UsageCells/StopsAtAnError", "goes on after an error", func(a *altered) {
			a.usageCells = func(q latchward.UsageQuery, f func(latchward.UsageKey, latchward.UsageCell) error) error {
				return a.Store.UsageCells(background(), q, func(k latchward.UsageKey, c latchward.UsageCell) error {
					_ = f(k, c)
					return nil
				})
			}
		}},
	}
	for by := latchward.ByHour; by <= latchward.ByClass; by <<= 1 {
		list = append(list, mutant{"UsageCells/OnceForEachGroup", "cannot group by everything",
			cellsAsked(func(q *latchward.UsageQuery) { q.By &^= by })})
	}
	for _, field := range fieldsBut[latchward.UsageKey]() {
		list = append(list, mutant{"UsageCells/OnceForEachGroup", "leaves out " + field, cellsTold(
			func(_ *altered, k *latchward.UsageKey, _ *latchward.UsageCell) { lose(k, field) })})
	}
	for _, field := range fieldsBut[latchward.UsageCell]() {
		list = append(list, mutant{"UsageCells/OnceForEachGroup", "leaves out " + field, cellsTold(
			func(_ *altered, _ *latchward.UsageKey, c *latchward.UsageCell) { lose(c, field) })})
	}
	return list
}

// hidesDeleted leaves deleted tokens out of rollups.
func hidesDeleted(a *altered) {
	a.usageCells = func(q latchward.UsageQuery, f func(latchward.UsageKey, latchward.UsageCell) error) error {
		by := q.By
		q.By |= latchward.ByToken
		return a.Store.UsageCells(background(), q, func(k latchward.UsageKey, c latchward.UsageCell) error {
			if _, err := a.Store.Token(background(), k.Token); err != nil && k.Token != 0 {
				return nil
			}
			if by&latchward.ByToken == 0 {
				k.Token, k.TokenName = 0, ""
			}
			return f(k, c)
		})
	}
}

// eventsAsked alters the query of UsageEvents.
func eventsAsked(edit func(q *latchward.UsageEventQuery)) func(a *altered) {
	return func(a *altered) {
		a.usageEvents = func(q latchward.UsageEventQuery, f func(*latchward.UsageEvent) error) error {
			edit(&q)
			return a.Store.UsageEvents(background(), q, f)
		}
	}
}

// eventsWrong alters what UsageEvents tells.
func eventsWrong(edit func(e *latchward.UsageEvent)) func(a *altered) {
	return func(a *altered) {
		a.usageEvents = func(q latchward.UsageEventQuery, f func(*latchward.UsageEvent) error) error {
			return a.Store.UsageEvents(background(), q, func(e *latchward.UsageEvent) error {
				wrong := *e
				edit(&wrong)
				return f(&wrong)
			})
		}
	}
}

func eventMutants() []mutant {
	return []mutant{
		{"UsageEvents/NewestFirst UsageEvents/AtMostLimit", "tells events as they were added", func(a *altered) {
			var added []latchward.UsageEvent
			a.addUsage = func(b latchward.UsageBatch) error {
				added = append(added, b.Events...)
				return a.Store.AddUsage(background(), b)
			}
			a.usageEvents = func(q latchward.UsageEventQuery, f func(*latchward.UsageEvent) error) error {
				for _, e := range added[:min(len(added), q.Limit)] {
					if err := f(&e); err != nil {
						return err
					}
				}
				return nil
			}
		}},
		{"UsageEvents/AtMostLimit", "ignores the limit", eventsAsked(func(q *latchward.UsageEventQuery) { q.Limit = 0 })},
		{"UsageEvents/ByTokenAndTime", "ignores the token",
			eventsAsked(func(q *latchward.UsageEventQuery) { q.Token = 0 })},
		{"UsageEvents/ByTokenAndTime", "ignores from",
			eventsAsked(func(q *latchward.UsageEventQuery) { q.From = time.Time{} })},
		{"UsageEvents/ByTokenAndTime", "begins a moment late", eventsAsked(func(q *latchward.UsageEventQuery) {
			q.From = q.From.Add(time.Millisecond)
		})},
		{"UsageEvents/HidesDeletedTokensAtOnce Tx.DeleteToken/MakesItDisappear", "deletes nothing", func(a *altered) {
			a.inTx = func(tx *alteredTx) { tx.deleteToken = func(latchward.TokenID) error { return nil } }
		}},
		{"UsageEvents/StopsAtAnError", "goes on after an error", func(a *altered) {
			a.usageEvents = func(q latchward.UsageEventQuery, f func(*latchward.UsageEvent) error) error {
				return a.Store.UsageEvents(background(), q, func(e *latchward.UsageEvent) error {
					_ = f(e)
					return nil
				})
			}
		}},
	}
}

// countsWrong alters what TokenCounts returns.
func countsWrong(edit func(a *altered, counts map[latchward.TokenID]latchward.TokenCounts)) func(a *altered) {
	return func(a *altered) {
		a.tokenCounts = func(ids []latchward.TokenID, now time.Time) (map[latchward.TokenID]latchward.TokenCounts, error) {
			counts, err := a.Store.TokenCounts(background(), ids, now)
			edit(a, counts)
			return counts, err
		}
	}
}

func countsAt(shift time.Duration) func(a *altered) {
	return func(a *altered) {
		a.tokenCounts = func(ids []latchward.TokenID, now time.Time) (map[latchward.TokenID]latchward.TokenCounts, error) {
			return a.Store.TokenCounts(background(), ids, now.Add(shift))
		}
	}
}

func countMutants() []mutant {
	return []mutant{
		{"TokenCounts/CountsInWindows", "begins windows an hour late", countsAt(time.Hour)},
		{"TokenCounts/CountsInWindows", "begins windows an hour early", countsAt(-time.Hour)},
		{"TokenCounts/OnlyOfTheGivenTokens", "counts other tokens too", countsWrong(
			func(a *altered, counts map[latchward.TokenID]latchward.TokenCounts) {
				more, _ := a.Store.TokenCounts(background(), []latchward.TokenID{1, 2, 3, 4}, epoch())
				for id, c := range more {
					counts[id] = c
				}
			})},
		{"EndpointNames/EachOnce", "names endpoints twice", func(a *altered) {
			a.endpointNames = func() ([]string, error) {
				names, err := a.Store.EndpointNames(background())
				return append(names, names...), err
			}
		}},
		{"EndpointNames/EachOnce", "names endpoints in small letters", func(a *altered) {
			a.endpointNames = func() ([]string, error) {
				names, err := a.Store.EndpointNames(background())
				for i := range names {
					names[i] = strings.ToLower(names[i])
				}
				slices.Sort(names)
				return slices.Compact(names), err
			}
		}},
	}
}

// prunesWrong alters what PruneUsage is asked for.
func prunesWrong(edit func(r *latchward.UsageRetention, limit *int)) func(a *altered) {
	return func(a *altered) {
		a.pruneUsage = func(r latchward.UsageRetention, limit int) (int, error) {
			edit(&r, &limit)
			return a.Store.PruneUsage(background(), r, limit)
		}
	}
}

func removalMutants() []mutant {
	return []mutant{
		{"ForgetUsage/RemovesAllInBoundedSteps", "removes all at once", func(a *altered) {
			a.forgetUsage = func(int) (int, error) { return a.Store.ForgetUsage(background(), 1000) }
		}},
		{"ForgetUsage/RemovesAllInBoundedSteps ForgetUsage/LeavesOthersAlone", "removes nothing", func(a *altered) {
			a.forgetUsage = func(int) (int, error) { return 0, nil }
		}},
		{"ForgetUsage/LeavesOthersAlone", "removes events of other tokens", func(a *altered) {
			a.forgetUsage = func(limit int) (int, error) {
				return a.Store.PruneUsage(background(), latchward.UsageRetention{Events: epoch().AddDate(1, 0, 0)}, limit)
			}
		}},
		{"PruneUsage/RemovesOldEvents", "keeps events",
			prunesWrong(func(r *latchward.UsageRetention, _ *int) { r.Events = time.Time{} })},
		{"PruneUsage/RemovesOldEvents", "removes events a moment early",
			prunesWrong(func(r *latchward.UsageRetention, _ *int) {
				r.Events = r.Events.Add(time.Millisecond)
			})},
		{"PruneUsage/RemovesOldEvents", "removes the hours of events",
			prunesWrong(func(r *latchward.UsageRetention, _ *int) {
				r.Hours = later(r.Hours, r.Events.Add(24*time.Hour))
			})},
		{"PruneUsage/RemovesOldHours", "keeps hours",
			prunesWrong(func(r *latchward.UsageRetention, _ *int) { r.Hours = time.Time{} })},
		{"PruneUsage/RemovesOldHours", "removes hours a moment early",
			prunesWrong(func(r *latchward.UsageRetention, _ *int) {
				r.Hours = r.Hours.Add(time.Millisecond)
			})},
		{"PruneUsage/RemovesOldHours", "removes the events of hours",
			prunesWrong(func(r *latchward.UsageRetention, _ *int) {
				r.Events = later(r.Events, r.Hours)
			})},
		{"PruneUsage/RemovesUpToLimit", "ignores the limit",
			prunesWrong(func(_ *latchward.UsageRetention, limit *int) { *limit = 1000 })},
		{"PruneUsage/RemovesUpToLimit", "stops early", func(a *altered) {
			calls := 0
			a.pruneUsage = func(r latchward.UsageRetention, limit int) (int, error) {
				if calls++; calls > 2 {
					return 0, nil
				}
				return a.Store.PruneUsage(background(), r, limit)
			}
		}},
		{"PruneUsage/KeepsTotals", "counts what is left", countsWrong(
			func(a *altered, counts map[latchward.TokenID]latchward.TokenCounts) {
				for id, c := range counts {
					c.Total = c.Requests7d
					counts[id] = c
				}
			})},
	}
}
