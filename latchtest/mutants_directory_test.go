package latchtest

import (
	"slices"
	"strings"

	"github.com/latchward/latchward"
)

// directoryMutants break what stores promise about what directories say of users.
func directoryMutants() []mutant {
	const (
		byName, byID, skips = "Users/ByUserNameInAnyCase", "Users/ByDirectoryID", "Users/Skips"
		counts, lists       = "CountUsers/CountsWhatMatches", "Members/ReturnsUsersByID"
		takes               = "Tx.SaveUser/RefusesAUserNameInUseInAnyCase"
	)
	return []mutant{
		{byName, "ignores the user name", asksWrongUsers(func(f *latchward.UserFilter) { f.UserName = "" })},
		{byName, "tells cases apart", listsWrongUsers(
			func(f *latchward.UserFilter, users []*latchward.User) []*latchward.User {
				return slices.DeleteFunc(users, func(u *latchward.User) bool {
					return f.UserName != "" && u.Directory.UserName != f.UserName
				})
			})},
		{byName, "finds removed users", asksWrongUsers(func(f *latchward.UserFilter) {
			f.IncludeRemoved = f.IncludeRemoved || f.UserName != ""
		})},
		{byID, "ignores the directory's id", asksWrongUsers(func(f *latchward.UserFilter) { f.DirectoryID = "" })},
		{byID, "finds one only", listsWrongUsers(
			func(f *latchward.UserFilter, users []*latchward.User) []*latchward.User {
				if f.DirectoryID != "" {
					return users[:min(1, len(users))]
				}
				return users
			})},
		{skips, "skips nobody", asksWrongUsers(func(f *latchward.UserFilter) { f.Skip = 0 })},
		{skips, "skips before it filters", asksWrongUsers(func(f *latchward.UserFilter) {
			f.After, f.Skip = f.After+latchward.UserID(f.Skip), 0
		})},
		{counts, "counts a page only", countsWrongUsers(func(*latchward.UserFilter) {})},
		{counts, "counts everybody", func(a *altered) {
			a.countUsers = func(latchward.UserFilter) (int64, error) {
				return a.Store.CountUsers(background(), latchward.UserFilter{})
			}
		}},
		{lists, "lists tokens, too", membersWrong(func(ids []latchward.UserID) []latchward.UserID { return append(ids, 1) })},
		{lists, "lists them backwards", membersWrong(func(ids []latchward.UserID) []latchward.UserID {
			slices.Reverse(ids)
			return ids
		})},
		{"Tx.Members/ReturnsUsersByID", "does not see its own writes", func(a *altered) {
			a.inTx = func(tx *alteredTx) {
				tx.members = func(g latchward.GroupID) ([]latchward.UserID, error) {
					ids, err := tx.Tx.Members(g)
					return ids[:max(0, len(ids)-1)], err
				}
			}
		}},
		{takes, "saves nothing and calls it success", func(a *altered) {
			a.inTx = func(tx *alteredTx) {
				tx.saveUser = func(u *latchward.User) error { return unless(tx.Tx.SaveUser(u), latchward.CodeConflict) }
			}
		}},
		{takes, "names another field", func(a *altered) {
			a.inTx = func(tx *alteredTx) {
				tx.saveUser = func(u *latchward.User) error {
					err := tx.Tx.SaveUser(u)
					if latchward.ErrorField(err) == "user_name" {
						return &latchward.Error{Code: latchward.CodeConflict, Field: "email"}
					}
					return err
				}
			}
		}},
		{"Tx.SaveUser/RemovedUsersLeaveTheirUserName", "keeps the user name of a removed user", func(a *altered) {
			a.inTx = func(tx *alteredTx) {
				tx.saveUser = func(u *latchward.User) error {
					other, err := tx.Tx.User(1)
					if err == nil && other.ID != u.ID && strings.EqualFold(other.Directory.UserName, u.Directory.UserName) {
						return &latchward.Error{Code: latchward.CodeConflict, Field: "user_name"}
					}
					return tx.Tx.SaveUser(u)
				}
			}
		}},
	}
}

// countsWrongUsers counts what Users lists.
func countsWrongUsers(edit func(f *latchward.UserFilter)) func(a *altered) {
	return func(a *altered) {
		a.countUsers = func(f latchward.UserFilter) (int64, error) {
			edit(&f)
			users, err := a.Store.Users(background(), f)
			return int64(len(users)), err
		}
	}
}

func membersWrong(edit func(ids []latchward.UserID) []latchward.UserID) func(a *altered) {
	return func(a *altered) {
		a.members = func(g latchward.GroupID) ([]latchward.UserID, error) {
			ids, err := a.Store.Members(background(), g)
			return edit(ids), err
		}
	}
}
