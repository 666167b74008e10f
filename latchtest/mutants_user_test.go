package latchtest

import (
	"maps"
	"slices"
	"strings"

	"github.com/latchward/latchward"
)

// savesWrongUser alters every user on the way into the store.
func savesWrongUser(edit func(u *latchward.User)) func(a *altered) {
	return func(a *altered) {
		a.inTx = func(tx *alteredTx) {
			tx.saveUser = func(u *latchward.User) error {
				wrong := *u
				edit(&wrong)
				err := tx.Tx.SaveUser(&wrong)
				u.ID = wrong.ID
				return err
			}
		}
	}
}

// picksUsers alters which users a condition finds.
func picksUsers(a *altered, is func(u *latchward.User) bool) (*latchward.User, error) {
	users, err := a.Store.Users(background(), latchward.UserFilter{IncludeRemoved: true})
	for _, u := range users {
		if is(u) {
			return u, err
		}
	}
	return nil, latchward.Errorf(latchward.CodeNotFound, "nobody")
}

// asksWrongUsers alters the filter of Users.
func asksWrongUsers(edit func(f *latchward.UserFilter)) func(a *altered) {
	return func(a *altered) {
		a.users = func(f latchward.UserFilter) ([]*latchward.User, error) {
			edit(&f)
			return a.Store.Users(background(), f)
		}
	}
}

// listsWrongUsers alters what Users returns.
func listsWrongUsers(edit func(f *latchward.UserFilter, users []*latchward.User) []*latchward.User) func(a *altered) {
	return func(a *altered) {
		a.users = func(f latchward.UserFilter) ([]*latchward.User, error) {
			users, err := a.Store.Users(background(), f)
			return edit(&f, users), err
		}
	}
}

func userMutants() []mutant {
	nobody := latchward.Errorf(latchward.CodeNotFound, "nobody")
	return []mutant{
		{"User/ReturnsRemovedUsers", "hides removed users", func(a *altered) {
			a.user = func(id latchward.UserID) (*latchward.User, error) {
				u, err := a.Store.User(background(), id)
				if err == nil && u.Removed() {
					return nil, nobody
				}
				return u, err
			}
		}},
		{"User/ReturnsACopy", "hands out what it keeps", func(a *altered) { a.user = remember(a.Store.User) }},
		{"User/UnknownIsNotFound", "finds nobody and calls it success", func(a *altered) { a.user = found(a.Store.User) }},
		{"UserByExternalID/FindsTheUser", "finds external ids in any case", func(a *altered) {
			a.userByExternalID = func(text string) (*latchward.User, error) {
				users, err := a.Store.Users(background(), latchward.UserFilter{Query: text})
				if err != nil || len(users) == 0 {
					return nil, nobody
				}
				return users[len(users)-1], nil
			}
		}},
		{"UserByExternalID/FindsRemovedUsers", "hides removed users", func(a *altered) {
			a.userByExternalID = func(text string) (*latchward.User, error) {
				return picksUsers(a, func(u *latchward.User) bool { return u.ExternalID == text && !u.Removed() })
			}
		}},
		{"UserByExternalID/UnknownIsNotFound", "finds people who have none", func(a *altered) {
			a.userByExternalID = func(text string) (*latchward.User, error) {
				return picksUsers(a, func(u *latchward.User) bool { return u.ExternalID == text })
			}
		}},
		{"UserByEmail/FindsTheUserInAnyCase", "tells cases apart", func(a *altered) {
			a.userByEmail = func(email string) (*latchward.User, error) {
				return picksUsers(a, func(u *latchward.User) bool { return u.Email == email && email != "" })
			}
		}},
		{"UserByEmail/RemovedUsersHaveNone", "finds removed users", func(a *altered) {
			a.userByEmail = func(email string) (*latchward.User, error) {
				return picksUsers(a, func(u *latchward.User) bool { return strings.EqualFold(u.Email, email) && email != "" })
			}
		}},
		{"UserByEmail/RemovedUsersHaveNone", "refuses the e-mail of a removed user", func(a *altered) {
			a.inTx = func(tx *alteredTx) {
				tx.saveUser = func(u *latchward.User) error {
					for id := range latchward.UserID(10) {
						other, err := tx.Tx.User(id)
						if err == nil && id != u.ID && u.Email != "" && strings.EqualFold(other.Email, u.Email) {
							return &latchward.Error{Code: latchward.CodeConflict, Field: "email"}
						}
					}
					return tx.Tx.SaveUser(u)
				}
			}
		}},
		{"UserByEmail/UnknownIsNotFound", "finds people who have none", func(a *altered) {
			a.userByEmail = func(email string) (*latchward.User, error) {
				return picksUsers(a, func(u *latchward.User) bool { return strings.EqualFold(u.Email, email) })
			}
		}},
		{"Users/ReturnsWholeUsersByID Users/PagesGiveEachUserOnce", "orders users by name", listsWrongUsers(
			func(_ *latchward.UserFilter, users []*latchward.User) []*latchward.User {
				slices.SortFunc(users, func(a, b *latchward.User) int { return strings.Compare(b.Name, a.Name) })
				slices.Reverse(users)
				return users
			})},
		{"Users/ReturnsWholeUsersByID", "hands out what it keeps", func(a *altered) {
			a.users = remember(a.Store.Users)
		}},
		{"Users/ByQuery", "ignores the query", asksWrongUsers(func(f *latchward.UserFilter) { f.Query = "" })},
		{"Users/ByQuery", "looks in names only",
			listsWrongUsers(func(f *latchward.UserFilter, users []*latchward.User) []*latchward.User {
				return slices.DeleteFunc(users, func(u *latchward.User) bool {
					return !strings.Contains(strings.ToLower(u.Name), strings.ToLower(f.Query))
				})
			})},
		{"Users/ByQuery", "takes % for anything",
			asksWrongUsers(func(f *latchward.UserFilter) { f.Query = strings.Trim(f.Query, "%") })},
		{"Users/LeavesRemovedUsersOut", "lists removed users",
			asksWrongUsers(func(f *latchward.UserFilter) { f.IncludeRemoved = true })},
		{"Users/LeavesRemovedUsersOut", "never lists removed users",
			asksWrongUsers(func(f *latchward.UserFilter) { f.IncludeRemoved = false })},
		{"Users/LeavesRemovedUsersOut", "leaves inactive users out", listsWrongUsers(
			func(_ *latchward.UserFilter, users []*latchward.User) []*latchward.User {
				return slices.DeleteFunc(users, func(u *latchward.User) bool { return !u.Active })
			})},
		{"Users/PagesGiveEachUserOnce", "ignores the limit", asksWrongUsers(func(f *latchward.UserFilter) { f.Limit = 0 })},
		{"Users/PagesGiveEachUserOnce", "ignores the cursor",
			asksWrongUsers(func(f *latchward.UserFilter) { f.After = 0 })},
		{"Users/PagesGiveEachUserOnce", "limits before it filters", asksWrongUsersLate},
		{"Tx.User/ReturnsACopy", "hands out what it keeps", func(a *altered) {
			a.inTx = func(tx *alteredTx) { tx.user = remember(asContext(tx.Tx.User)) }
		}},
		{"Tx.User/UnknownIsNotFound", "finds nobody and calls it success", func(a *altered) {
			a.inTx = func(tx *alteredTx) { tx.user = found(asContext(tx.Tx.User)) }
		}},
		{"Tx.UserByExternalID/ReturnsACopy", "hands out what it keeps", func(a *altered) {
			a.inTx = func(tx *alteredTx) { tx.userByExternalID = remember(asContext(tx.Tx.UserByExternalID)) }
		}},
		{"Tx.UserByExternalID/UnknownIsNotFound", "finds nobody and calls it success", func(a *altered) {
			a.inTx = func(tx *alteredTx) { tx.userByExternalID = found(asContext(tx.Tx.UserByExternalID)) }
		}},
	}
}

// asksWrongUsersLate leaves removed users out of a page after it was cut.
func asksWrongUsersLate(a *altered) {
	a.users = func(f latchward.UserFilter) ([]*latchward.User, error) {
		f.IncludeRemoved = true
		users, err := a.Store.Users(background(), f)
		return slices.DeleteFunc(users, (*latchward.User).Removed), err
	}
}

func saveUserMutants() []mutant {
	conflictAs := func(from, to string) func(a *altered) {
		return func(a *altered) {
			a.inTx = func(tx *alteredTx) {
				tx.saveUser = func(u *latchward.User) error {
					err := tx.Tx.SaveUser(u)
					if latchward.ErrorField(err) == from {
						return &latchward.Error{Code: latchward.CodeConflict, Field: to}
					}
					return err
				}
			}
		}
	}
	return []mutant{
		{"Tx.SaveUser/SetsIDs", "sets no ids", func(a *altered) {
			a.inTx = func(tx *alteredTx) {
				tx.saveUser = func(u *latchward.User) error { saved := *u; return tx.Tx.SaveUser(&saved) }
			}
		}},
		{"Tx.SaveUser/SetsIDs", "sets one id for all", func(a *altered) {
			a.inTx = func(tx *alteredTx) {
				tx.saveUser = func(u *latchward.User) error { err := tx.Tx.SaveUser(u); u.ID = 1; return err }
			}
		}},
		{"Tx.SaveUser/ReplacesEveryField", "only inserts", func(a *altered) {
			a.inTx = func(tx *alteredTx) {
				tx.saveUser = func(u *latchward.User) error {
					if u.ID != 0 {
						return nil
					}
					return tx.Tx.SaveUser(u)
				}
			}
		}},
		{"Tx.SaveUser/UnknownIsNotFound", "saves nothing and calls it success", func(a *altered) {
			a.inTx = func(tx *alteredTx) {
				tx.saveUser = func(u *latchward.User) error { return unless(tx.Tx.SaveUser(u), latchward.CodeNotFound) }
			}
		}},
		{"Tx.SaveUser/RefusesAnExternalIDInUse", "names no field", conflictAs("external_id", "")},
		{"Tx.SaveUser/RefusesAnEmailInUseInAnyCase", "names another field", conflictAs("email", "external_id")},
		{"Tx.SaveUser/RefusesAnEmailInUseInAnyCase", "saves nothing and calls it success", func(a *altered) {
			a.inTx = func(tx *alteredTx) {
				tx.saveUser = func(u *latchward.User) error { return unless(tx.Tx.SaveUser(u), latchward.CodeConflict) }
			}
		}},
		{"Tx.SaveUser/ManyMayHaveNone", "lets one user have no e-mail", func(a *altered) {
			a.inTx = func(tx *alteredTx) {
				tx.saveUser = func(u *latchward.User) error {
					if other, err := tx.Tx.User(1); err == nil && other.Email == u.Email && other.ID != u.ID {
						return &latchward.Error{Code: latchward.CodeConflict, Field: "email"}
					}
					return tx.Tx.SaveUser(u)
				}
			}
		}},
		{"Tx.SaveUser/NamesTheOwner", "names no owners", namesNone(latchward.ChangeOwner)},
	}
}

// appendsWrong alters every audit entry on its way into the store.
func appendsWrong(edit func(e *latchward.AuditEntry)) func(a *altered) {
	return func(a *altered) {
		a.inTx = func(tx *alteredTx) {
			tx.appendAudit = func(e *latchward.AuditEntry) error {
				wrong := *e
				edit(&wrong)
				err := tx.Tx.AppendAudit(&wrong)
				e.ID = wrong.ID
				return err
			}
		}
	}
}

// asksWrongAudit alters the filter of AuditEntries.
func asksWrongAudit(edit func(f *latchward.AuditFilter)) func(a *altered) {
	return func(a *altered) {
		a.auditEntries = func(f latchward.AuditFilter) ([]*latchward.AuditEntry, error) {
			edit(&f)
			return a.Store.AuditEntries(background(), f)
		}
	}
}

func auditMutants() []mutant {
	return []mutant{
		{"AuditEntries/NewestFirst AuditEntries/PagesGiveEachEntryOnce", "returns the oldest first", func(a *altered) {
			a.auditEntries = func(f latchward.AuditFilter) ([]*latchward.AuditEntry, error) {
				entries, err := a.Store.AuditEntries(background(), f)
				slices.Reverse(entries)
				return entries, err
			}
		}},
		{"AuditEntries/NewestFirst", "orders entries by their time", func(a *altered) {
			a.auditEntries = func(f latchward.AuditFilter) ([]*latchward.AuditEntry, error) {
				entries, err := a.Store.AuditEntries(background(), f)
				slices.SortFunc(entries, func(a, b *latchward.AuditEntry) int { return b.At.Compare(a.At) })
				return entries, err
			}
		}},
		{"AuditEntries/ByActionAndTarget", "ignores the action",
			asksWrongAudit(func(f *latchward.AuditFilter) { f.Action = "" })},
		{"AuditEntries/ByActionAndTarget", "ignores the type",
			asksWrongAudit(func(f *latchward.AuditFilter) { f.TargetType = "" })},
		{"AuditEntries/ByActionAndTarget", "ignores the target",
			asksWrongAudit(func(f *latchward.AuditFilter) { f.TargetID = 0 })},
		{"AuditEntries/ByActionAndTarget AuditEntries/PagesGiveEachEntryOnce", "ignores the cursor",
			asksWrongAudit(func(f *latchward.AuditFilter) { f.Before = 0 })},
		{"AuditEntries/PagesGiveEachEntryOnce", "ignores the limit",
			asksWrongAudit(func(f *latchward.AuditFilter) { f.Limit = 0 })},
		{"AuditEntries/PagesGiveEachEntryOnce", "repeats the cursor", asksWrongAudit(func(f *latchward.AuditFilter) {
			if f.Before > 0 {
				f.Before++
			}
		})},
		{"Tx.AppendAudit/SetsIDs", "sets no ids", func(a *altered) {
			a.inTx = func(tx *alteredTx) {
				tx.appendAudit = func(e *latchward.AuditEntry) error { added := *e; return tx.Tx.AppendAudit(&added) }
			}
		}},
	}
}

func keyMutants() []mutant {
	countsWrong := func(edit func(a *altered, counts map[int]int64)) func(a *altered) {
		return func(a *altered) {
			a.keyCounts = func() (map[int]int64, error) {
				counts, err := a.Store.KeyCounts(background())
				edit(a, counts)
				return counts, err
			}
		}
	}
	adoptionWrong := func(edit func(a *altered, count *latchward.Adoption)) func(a *altered) {
		return func(a *altered) {
			a.adoption = func() (latchward.Adoption, error) {
				count, err := a.Store.Adoption(background())
				edit(a, &count)
				return count, err
			}
		}
	}
	return []mutant{
		{"KeyFingerprints/ReturnsWhatWasSaved", "keeps the first fingerprint", func(a *altered) {
			first := map[int]string{}
			a.inTx = func(tx *alteredTx) {
				tx.saveFingerprint = func(version int, fingerprint string) error {
					if first[version] == "" {
						first[version] = fingerprint
					}
					return tx.Tx.SaveKeyFingerprint(version, first[version])
				}
			}
		}},
		{"KeyFingerprints/ReturnsWhatWasSaved", "hands out what it keeps", func(a *altered) {
			var kept map[int]string
			a.keyFingerprints = func() (map[int]string, error) {
				got, err := a.Store.KeyFingerprints(background())
				if kept == nil && len(got) == 3 {
					kept = got
				}
				if kept != nil {
					return kept, nil
				}
				return got, err
			}
		}},
		{"Tx.SaveKeyFingerprint/EmptyForgets", "keeps empty fingerprints", keepsEmptyFingerprints},
		{"KeyCounts/CountsCurrentSecretsByVersion", "counts active tokens only",
			countsWrong(func(_ *altered, counts map[int]int64) {
				counts[36]--
			})},
		{"KeyCounts/CountsCurrentSecretsByVersion", "returns versions without any",
			countsWrong(func(_ *altered, counts map[int]int64) {
				counts[5] += 0
			})},
		{"KeyCounts/LeavesRevokedTokensOut", "counts revoked tokens", countsWrong(func(a *altered, counts map[int]int64) {
			clear(counts)
			tokens, _ := a.Store.Tokens(background(), latchward.TokenFilter{})
			for _, t := range tokens {
				counts[t.Secret.KeyID.Version()]++
			}
		})},
		{"Adoption/CountsActiveUsers", "counts users who may not act", adoptionWrong(func(a *altered, count *latchward.Adoption) {
			users, _ := a.Store.Users(background(), latchward.UserFilter{IncludeRemoved: true, Limit: latchward.MaxPage})
			count.Users = int64(len(users))
		})},
		{"Adoption/CountsOwnersOfUsedTokens", "counts tokens", adoptionWrong(func(a *altered, count *latchward.Adoption) {
			tokens, _ := a.Store.Tokens(background(), latchward.TokenFilter{Limit: latchward.MaxPage})
			count.Adopters = 0
			for _, t := range tokens {
				if !t.LastUsedAt.IsZero() {
					count.Adopters++
				}
			}
		})},
		{"Ping/ReturnsNil", "does not answer", func(a *altered) { a.ping = func() error { return errWrong } }},
	}
}

func keepsEmptyFingerprints(a *altered) {
	forgotten := map[int]string{}
	a.inTx = func(tx *alteredTx) {
		tx.saveFingerprint = func(version int, fingerprint string) error {
			if fingerprint == "" {
				forgotten[version] = ""
			}
			return tx.Tx.SaveKeyFingerprint(version, fingerprint)
		}
	}
	a.keyFingerprints = func() (map[int]string, error) {
		got, err := a.Store.KeyFingerprints(background())
		maps.Copy(got, forgotten)
		return got, err
	}
}
