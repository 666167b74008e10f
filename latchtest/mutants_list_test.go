package latchtest

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/latchward/latchward"
)

// asksWrong alters the filter of Tokens and CountTokens.
func asksWrong(edit func(f *latchward.TokenFilter)) func(a *altered) {
	return func(a *altered) {
		a.tokens = func(f latchward.TokenFilter) ([]*latchward.Token, error) {
			edit(&f)
			return a.Store.Tokens(background(), f)
		}
		a.countTokens = func(f latchward.TokenFilter) (int64, error) {
			edit(&f)
			return a.Store.CountTokens(background(), f)
		}
	}
}

// filtersWrong replaces one condition of Tokens and CountTokens by another.
func filtersWrong(edit func(f *latchward.TokenFilter) func(*latchward.Token) bool) func(a *altered) {
	return func(a *altered) {
		a.tokens = func(f latchward.TokenFilter) ([]*latchward.Token, error) {
			goes := edit(&f)
			tokens, err := a.Store.Tokens(background(), f)
			return slices.DeleteFunc(tokens, goes), err
		}
		a.countTokens = func(f latchward.TokenFilter) (int64, error) {
			tokens, err := a.tokens(f)
			return int64(len(tokens)), err
		}
	}
}

// listsWrong alters the tokens of a list.
func listsWrong(edit func(f *latchward.TokenFilter, tokens []*latchward.Token)) func(a *altered) {
	return func(a *altered) {
		a.tokens = func(f latchward.TokenFilter) ([]*latchward.Token, error) {
			tokens, err := a.Store.Tokens(background(), f)
			edit(&f, tokens)
			return tokens, err
		}
	}
}

func listMutants() []mutant {
	const all = "Tokens/ByEverythingAtOnce "
	return []mutant{
		{all + "Tokens/ByOwner", "ignores the owner", asksWrong(func(f *latchward.TokenFilter) { f.Owners = nil })},
		{all + "Tokens/ByKind", "ignores the kind", asksWrong(func(f *latchward.TokenFilter) { f.Kind = "" })},
		{all + "Tokens/ByStatusAtNow", "ignores the status", asksWrong(func(f *latchward.TokenFilter) { f.Status = "" })},
		{all + "Tokens/ByQueryInAnyCase", "ignores the query", asksWrong(func(f *latchward.TokenFilter) { f.Query = "" })},
		{all + "Tokens/ByTagExactly", "ignores the tag", asksWrong(func(f *latchward.TokenFilter) { f.Tag = "" })},
		{all + "Tokens/ByUnusedSince", "ignores unused since",
			asksWrong(func(f *latchward.TokenFilter) { f.UnusedSince = time.Time{} })},
		{all + "Tokens/ByExpiresBefore", "ignores expires before",
			asksWrong(func(f *latchward.TokenFilter) { f.ExpiresBefore = time.Time{} })},
		{"Tokens/ByNeverUsed", "ignores never used", asksWrong(func(f *latchward.TokenFilter) { f.NeverUsed = false })},
		{"Tokens/ByIdleBefore", "ignores idle before", asksWrong(func(f *latchward.TokenFilter) { f.IdleBefore = time.Time{} })},
		{"Tokens/ByIdleBefore", "takes a moment too many for idle", asksWrong(func(f *latchward.TokenFilter) {
			f.IdleBefore = f.IdleBefore.Add(time.Millisecond)
		})},
		{"Tokens/ByRotationDue", "ignores rotations", asksWrong(func(f *latchward.TokenFilter) { f.RotationDue = time.Time{} })},
		{"Tokens/ByRotationDue", "takes a moment too many for due", asksWrong(func(f *latchward.TokenFilter) {
			f.RotationDue = f.RotationDue.Add(time.Millisecond)
		})},
		{"Tokens/ByCreation", "ignores when", asksWrong(func(f *latchward.TokenFilter) { f.CreatedBefore = time.Time{} })},
		{"Tokens/ByCreation", "ignores who", asksWrong(func(f *latchward.TokenFilter) { f.CreatedBy = "" })},
		{"Tokens/ByRevokeReason", "ignores the reason", asksWrong(func(f *latchward.TokenFilter) { f.RevokeReason = "" })},
		{"Tx.Tokens/ReturnsWhatMatchesNow", "does not see its own writes", func(a *altered) {
			a.inTx = func(tx *alteredTx) {
				tx.saveToken = func(t *latchward.Token) error {
					kept := *t
					if kept.ID == 0 && len(kept.Tags) == 1 && kept.Name == "0" {
						kept.Tags = []string{"y"}
					}
					err := tx.Tx.SaveToken(&kept)
					t.ID = kept.ID
					return err
				}
			}
		}},
		{"Tx.Tokens/PagesInOrder", "ignores the limit", func(a *altered) {
			a.inTx = func(tx *alteredTx) {
				tx.tokens = func(f latchward.TokenFilter) ([]*latchward.Token, error) {
					f.Limit = 0
					return tx.Tx.Tokens(f)
				}
			}
		}},
		{"Tx.Tokens/ReturnsCopies", "hands out what it keeps", func(a *altered) {
			var kept []*latchward.Token
			a.inTx = func(tx *alteredTx) {
				tx.tokens = func(f latchward.TokenFilter) (list []*latchward.Token, err error) {
					if kept == nil {
						kept, err = tx.Tx.Tokens(f)
					}
					return kept, err
				}
			}
		}},
		{"Tokens/ByServerKey", "ignores the server key", asksWrong(func(f *latchward.TokenFilter) { f.ServerKey = 0 })},
		{"Tokens/ByServerKey", "takes what has ended for verifying",
			asksWrong(func(f *latchward.TokenFilter) { f.Now = f.Now.Add(-time.Millisecond) })},
		{"Tokens/ByStatusAtNow", "judges a moment early",
			asksWrong(func(f *latchward.TokenFilter) { f.Now = f.Now.Add(-time.Millisecond) })},
		{"Tokens/ByStatusAtNow", "judges a moment late",
			asksWrong(func(f *latchward.TokenFilter) { f.Now = f.Now.Add(time.Millisecond) })},
		{"Tokens/ByStatusAtNow", "does not derive what is idle",
			filtersWrong(func(f *latchward.TokenFilter) func(*latchward.Token) bool {
				status, now := f.Status, f.Now
				f.Status = ""
				return func(t *latchward.Token) bool {
					t.IdleTimeoutDays = 0
					return status != "" && t.Status(now) != status
				}
			})},
		{"Tokens/ByUnusedSince", "takes a moment too many for unused", asksWrong(func(f *latchward.TokenFilter) {
			f.UnusedSince = f.UnusedSince.Add(time.Millisecond)
		})},
		{"Tokens/ByExpiresBefore", "takes a moment too many for expired", asksWrong(func(f *latchward.TokenFilter) {
			f.ExpiresBefore = f.ExpiresBefore.Add(time.Millisecond)
		})},
		{"Tokens/ByQueryInAnyCase", "tells cases apart",
			filtersWrong(func(f *latchward.TokenFilter) func(*latchward.Token) bool {
				query := f.Query
				return func(t *latchward.Token) bool {
					return !strings.Contains(strings.Join([]string{t.Name, t.Description, t.Prefix}, "\x00"), query)
				}
			})},
		{"Tokens/ByQueryInAnyCase", "looks in names only",
			filtersWrong(func(f *latchward.TokenFilter) func(*latchward.Token) bool {
				query := strings.ToLower(f.Query)
				return func(t *latchward.Token) bool { return !strings.Contains(strings.ToLower(t.Name), query) }
			})},
		{"Tokens/ByQueryAsItIsWritten", "takes % for anything", asksWrong(func(f *latchward.TokenFilter) {
			f.Query = strings.Trim(f.Query, "%")
		})},
		{"Tokens/ByQueryAsItIsWritten", "drops backslashes", asksWrong(func(f *latchward.TokenFilter) {
			f.Query = strings.ReplaceAll(f.Query, `\`, "")
		})},
		{"Tokens/ByTagExactly", "finds parts of tags",
			filtersWrong(func(f *latchward.TokenFilter) func(*latchward.Token) bool {
				tag := f.Tag
				f.Tag = ""
				return func(t *latchward.Token) bool { return !strings.Contains(strings.Join(t.Tags, `","`), tag) }
			})},
		{"Tokens/ByTagExactly", "finds tags in any case",
			filtersWrong(func(f *latchward.TokenFilter) func(*latchward.Token) bool {
				tag := f.Tag
				f.Tag = ""
				return func(t *latchward.Token) bool {
					return !slices.ContainsFunc(t.Tags, func(has string) bool { return strings.EqualFold(has, tag) })
				}
			})},
		{"Tokens/AtMostLimit Tokens/PagesGiveEachTokenOnce", "ignores the limit",
			asksWrong(func(f *latchward.TokenFilter) { f.Limit = 0 })},
		{"Tokens/InEveryOrder Tokens/PagesGiveEachTokenOnce", "ignores the direction",
			asksWrong(func(f *latchward.TokenFilter) { f.Desc = false })},
		{"Tokens/InEveryOrder", "ignores the order", asksWrong(func(f *latchward.TokenFilter) { f.Sort = "" })},
		{"Tokens/InEveryOrder", "orders ties one way only",
			listsWrong(func(f *latchward.TokenFilter, tokens []*latchward.Token) {
				slices.SortStableFunc(tokens, func(a, b *latchward.Token) int {
					x, y := latchward.CursorOf(a, f.Sort), latchward.CursorOf(b, f.Sort)
					if x.Time.Equal(y.Time) && x.Name == y.Name {
						return int(a.ID - b.ID)
					}
					return 0
				})
			})},
		{"Tokens/InEveryOrder", "orders names by letters",
			listsWrong(func(f *latchward.TokenFilter, tokens []*latchward.Token) {
				if f.Sort == latchward.SortName {
					slices.SortFunc(tokens, func(a, b *latchward.Token) int {
						return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name))
					})
				}
			})},
		{"Tokens/PagesGiveEachTokenOnce", "ignores the cursor",
			asksWrong(func(f *latchward.TokenFilter) { f.After = nil })},
		{"Tokens/PagesGiveEachTokenOnce", "skips ties with the cursor", asksWrong(func(f *latchward.TokenFilter) {
			if f.After != nil {
				after := *f.After
				after.ID = map[bool]latchward.TokenID{false: math.MaxInt64, true: 0}[f.Desc]
				f.After = &after
			}
		})},
		{"Tokens/ReturnsWholeTokens", "lists no metadata",
			listsWrong(func(_ *latchward.TokenFilter, tokens []*latchward.Token) {
				for _, t := range tokens {
					t.Metadata = nil
				}
			})},
		{"Tokens/ReturnsCopies", "hands out what it keeps", func(a *altered) {
			known := map[latchward.TokenID]*latchward.Token{}
			a.tokens = func(f latchward.TokenFilter) ([]*latchward.Token, error) {
				tokens, err := a.Store.Tokens(background(), f)
				for i, t := range tokens {
					if known[t.ID] == nil {
						known[t.ID] = t
					}
					tokens[i] = known[t.ID]
				}
				return tokens, err
			}
		}},
		{"CountTokens/CountsAllThatMatch", "counts one page", func(a *altered) {
			a.countTokens = func(f latchward.TokenFilter) (int64, error) {
				tokens, err := a.Store.Tokens(background(), f)
				return int64(len(tokens)), err
			}
		}},
	}
}

// idleWrong replaces the condition of IdleTokens.
func idleWrong(idle func(t *latchward.Token, now time.Time) bool) func(a *altered) {
	return func(a *altered) {
		a.idleTokens = func(now time.Time, limit int) ([]latchward.TokenID, error) {
			tokens, err := a.Store.Tokens(background(), latchward.TokenFilter{})
			var ids []latchward.TokenID
			for _, t := range tokens {
				if idle(t, now) && len(ids) < limit {
					ids = append(ids, t.ID)
				}
			}
			return ids, err
		}
	}
}

func idleMutants() []mutant {
	eligible := func(t *latchward.Token) bool { return t.Active && !t.Revoked() }
	return []mutant{
		{"IdleTokens/StrictlyAfterTheTimeout", "is a moment early", idleWrong(func(t *latchward.Token, now time.Time) bool {
			return eligible(t) && t.Idle(now.Add(time.Millisecond))
		})},
		{"IdleTokens/StrictlyAfterTheTimeout", "is a moment late", idleWrong(func(t *latchward.Token, now time.Time) bool {
			return eligible(t) && t.Idle(now.Add(-time.Millisecond))
		})},
		{"IdleTokens/StrictlyAfterTheTimeout", "takes never for at once",
			idleWrong(func(t *latchward.Token, now time.Time) bool {
				return eligible(t) && now.After(t.IdleSince().AddDate(0, 0, t.IdleTimeoutDays))
			})},
		{"IdleTokens/AfterTheLatestOfCreationUseAndEnabling", "forgets uses",
			idleWrong(func(t *latchward.Token, now time.Time) bool {
				t.LastUsedAt = time.Time{}
				return eligible(t) && t.Idle(now)
			})},
		{"IdleTokens/AfterTheLatestOfCreationUseAndEnabling", "forgets re-enabling",
			idleWrong(func(t *latchward.Token, now time.Time) bool {
				t.EnabledAt = time.Time{}
				return eligible(t) && t.Idle(now)
			})},
		{"IdleTokens/OnlyActiveOnes", "finds inactive ones", idleWrong(func(t *latchward.Token, now time.Time) bool {
			return !t.Revoked() && t.Idle(now)
		})},
		{"IdleTokens/OnlyActiveOnes", "finds revoked ones", idleWrong(func(t *latchward.Token, now time.Time) bool {
			return t.Active && t.Idle(now)
		})},
		{"IdleTokens/OnlyActiveOnes", "leaves expired ones out", idleWrong(func(t *latchward.Token, now time.Time) bool {
			return eligible(t) && t.Idle(now) && !t.Expired(now)
		})},
		{"IdleTokens/AtMostLimit", "ignores the limit", func(a *altered) {
			a.idleTokens = func(now time.Time, _ int) ([]latchward.TokenID, error) {
				return a.Store.IdleTokens(background(), now, 1000)
			}
		}},
	}
}
