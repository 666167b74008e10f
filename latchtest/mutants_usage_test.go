package latchtest

import (
	"slices"
	"strings"
	"time"

	"github.com/latchward/latchward"
)

// addsWrong alters every event on its way into the store; false leaves it out.
func addsWrong(edit func(a *altered, e *latchward.UsageEvent, name *string) bool) func(a *altered) {
	return func(a *altered) {
		a.addUsage = func(b latchward.UsageBatch) error {
			wrong := latchward.UsageBatch{Node: b.Node, From: b.From, To: b.To}
			for i, e := range b.Events {
				if name := b.Names[i]; edit(a, &e, &name) {
					wrong.Events, wrong.Names = append(wrong.Events, e), append(wrong.Names, name)
				}
			}
			return a.Store.AddUsage(background(), wrong)
		}
	}
}

// usedWrong alters LastUsedAt as Token tells it, by the events that were added.
func usedWrong(move func(before time.Time, e *latchward.UsageEvent) time.Time) func(a *altered) {
	return func(a *altered) {
		used := map[latchward.TokenID]time.Time{}
		a.addUsage = func(b latchward.UsageBatch) error {
			err := a.Store.AddUsage(background(), b)
			for i := range b.Events {
				if err == nil {
					used[b.Events[i].TokenID] = move(used[b.Events[i].TokenID], &b.Events[i])
				}
			}
			return err
		}
		a.token = func(id latchward.TokenID) (*latchward.Token, error) {
			t, err := a.Store.Token(background(), id)
			if err == nil {
				t.LastUsedAt = used[id]
			}
			return t, err
		}
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func addUsageMutants() []mutant {
	return []mutant{
		{"UsageOffset/ZeroForAnUnknownNode UsageOffset/IsWhereTheLastBatchEnded", "has one offset for all nodes",
			oneOffset},
		{"UsageOffset/IsWhereTheLastBatchEnded", "keeps no segments", func(a *altered) {
			a.usageOffset = func(node string) (latchward.JournalOffset, error) {
				at, err := a.Store.UsageOffset(background(), node)
				at.Segment = 0
				return at, err
			}
		}},
		{"AddUsage/AddsRowsRollupsAndTotals AddUsage/OnlyAcceptedEventsMoveLastUsedAt", "adds nothing", func(a *altered) {
			a.addUsage = func(b latchward.UsageBatch) error {
				b.Events, b.Names = nil, nil
				return a.Store.AddUsage(background(), b)
			}
		}},
		{"AddUsage/AddsRowsRollupsAndTotals AddUsage/MovesLastUsedAtForward", "never moves LastUsedAt",
			usedWrong(func(before time.Time, _ *latchward.UsageEvent) time.Time { return before })},
		{"AddUsage/MovesLastUsedAtForward", "moves LastUsedAt back", usedWrong(
			func(_ time.Time, e *latchward.UsageEvent) time.Time { return e.At })},
		{"AddUsage/MovesLastUsedAtForward", "keeps the first LastUsedAt", usedWrong(
			func(before time.Time, e *latchward.UsageEvent) time.Time {
				if before.IsZero() {
					return e.At
				}
				return before
			})},
		{"AddUsage/OnlyAcceptedEventsMoveLastUsedAt", "moves LastUsedAt for refused events", usedWrong(
			func(before time.Time, e *latchward.UsageEvent) time.Time { return later(before, e.At) })},
		{"AddUsage/OnlyAcceptedEventsMoveLastUsedAt", "moves LastUsedAt for successful events only", usedWrong(
			func(before time.Time, e *latchward.UsageEvent) time.Time {
				if e.Accepted() && e.Status < 400 {
					return later(before, e.At)
				}
				return before
			})},
		{"AddUsage/LastUsedAtHasMilliseconds", "keeps LastUsedAt in nanoseconds", usedWrong(
			func(before time.Time, e *latchward.UsageEvent) time.Time { return later(before, e.At.UTC()) })},
		{"AddUsage/LastUsedAtHasMilliseconds", "keeps LastUsedAt in the zone of the event", usedWrong(
			func(before time.Time, e *latchward.UsageEvent) time.Time {
				return later(before, e.At.Truncate(time.Millisecond))
			})},
		{"AddUsage/AddsNothingOnAnotherOffset", "moves LastUsedAt before it looks at the offset", func(a *altered) {
			last := time.Time{}
			a.addUsage = func(b latchward.UsageBatch) error {
				for _, e := range b.Events {
					last = later(last, e.At)
				}
				return a.Store.AddUsage(background(), b)
			}
			a.token = func(id latchward.TokenID) (*latchward.Token, error) {
				t, err := a.Store.Token(background(), id)
				if err == nil {
					t.LastUsedAt = last
				}
				return t, err
			}
		}},
		{"AddUsage/AddsNothingOnAnotherOffset", "uses up request ids of a refused batch", func(a *altered) {
			seen := map[string]bool{}
			inner := *a
			addsWrong(func(_ *altered, e *latchward.UsageEvent, _ *string) bool {
				known := seen[e.RequestID]
				seen[e.RequestID] = e.RequestID != ""
				return !known
			})(&inner)
			a.addUsage = inner.addUsage
		}},
		{"AddUsage/CountsARequestIDOnceInABatch AddUsage/CountsARequestIDOnceAmongBatches", "does not look at request ids",
			addsWrong(func(_ *altered, e *latchward.UsageEvent, _ *string) bool { e.RequestID = ""; return true })},
		{"AddUsage/CountsARequestIDOnceInABatch", "takes no request id for one", addsWrong(
			func(_ *altered, e *latchward.UsageEvent, _ *string) bool { e.RequestID += "x"; return true })},
		{"AddUsage/CountsARequestIDOnceInABatch", "takes request ids in any case", addsWrong(
			func(_ *altered, e *latchward.UsageEvent, _ *string) bool {
				e.RequestID = strings.ToLower(e.RequestID)
				return true
			})},
		{"AddUsage/CountsARequestIDOnceAmongBatches", "knows the request ids of a batch only", func(a *altered) {
			a.addUsage = func(b latchward.UsageBatch) error {
				b.Events = slices.Clone(b.Events)
				for i := range b.Events {
					b.Events[i].RequestID += time.Duration(b.From.At).String() + b.Node
				}
				return a.Store.AddUsage(background(), b)
			}
		}},
		{"AddUsage/RollsUpUnderNames", "rolls up under endpoints", addsWrong(
			func(_ *altered, e *latchward.UsageEvent, name *string) bool { *name = e.Endpoint; return true })},
		{"AddUsage/RollsUpUnderNames", "keeps names in raw rows", addsWrong(
			func(_ *altered, e *latchward.UsageEvent, name *string) bool { e.Endpoint = *name; return true })},
		{"AddUsage/TakesEventsOfDeletedTokens AddUsage/TakesEventsOfUnknownTokens", "leaves events of unknown tokens out",
			addsWrong(func(a *altered, e *latchward.UsageEvent, _ *string) bool {
				_, err := a.Store.Token(background(), e.TokenID)
				return err == nil
			})},
		{"AddUsage/TakesEventsOfDeletedTokens AddUsage/TakesEventsOfUnknownTokens", "refuses batches about unknown tokens",
			func(a *altered) {
				a.addUsage = func(b latchward.UsageBatch) error {
					for _, e := range b.Events {
						if _, err := a.Store.Token(background(), e.TokenID); err != nil {
							return err
						}
					}
					return a.Store.AddUsage(background(), b)
				}
			}},
	}
}

// oneOffset takes all nodes for one.
func oneOffset(a *altered) {
	a.usageOffset = func(string) (latchward.JournalOffset, error) { return a.Store.UsageOffset(background(), "") }
	a.addUsage = func(b latchward.UsageBatch) error {
		b.Node = ""
		b.From, _ = a.Store.UsageOffset(background(), "")
		return a.Store.AddUsage(background(), b)
	}
}
