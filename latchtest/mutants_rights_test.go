package latchtest

import (
	"slices"
	"strings"
	"time"

	"github.com/latchward/latchward"
)

// asksWrongGroups alters the filter of Groups.
func asksWrongGroups(edit func(f *latchward.GroupFilter)) func(a *altered) {
	return func(a *altered) {
		a.groups = func(f latchward.GroupFilter) ([]*latchward.Group, error) {
			edit(&f)
			return a.Store.Groups(background(), f)
		}
	}
}

// savesWrongGroup alters every group on the way into the store.
func savesWrongGroup(edit func(g *latchward.Group)) func(a *altered) {
	return groupHooks().saves(groups(), func(right func(*latchward.Group) error, g *latchward.Group) error {
		wrong := *g
		edit(&wrong)
		err := right(&wrong)
		g.ID = wrong.ID
		return err
	})
}

func groupMutants() []mutant {
	return []mutant{
		{"Group/ReturnsRemovedGroups", "hides removed groups", func(a *altered) {
			a.group = func(id latchward.GroupID) (*latchward.Group, error) {
				g, err := a.Store.Group(background(), id)
				if err == nil && g.Removed() {
					return nil, latchward.Errorf(latchward.CodeNotFound, "wrong")
				}
				return g, err
			}
		}},
		{"Groups/ByQuery", "ignores the query", asksWrongGroups(func(f *latchward.GroupFilter) { f.Query = "" })},
		{"Groups/ByQuery", "takes % for anything",
			asksWrongGroups(func(f *latchward.GroupFilter) { f.Query = strings.Trim(f.Query, "%") })},
		{"Groups/ByQuery", "looks in names only", func(a *altered) {
			a.groups = func(f latchward.GroupFilter) ([]*latchward.Group, error) {
				list, err := a.Store.Groups(background(), f)
				return slices.DeleteFunc(list, func(g *latchward.Group) bool {
					return !strings.Contains(g.Name, strings.ToLower(f.Query))
				}), err
			}
		}},
		{"Groups/ByRole", "ignores the role", asksWrongGroups(func(f *latchward.GroupFilter) { f.Role = 0 })},
		{"Groups/LeavesRemovedGroupsOut", "lists removed groups",
			asksWrongGroups(func(f *latchward.GroupFilter) { f.IncludeRemoved = true })},
		{"Groups/LeavesRemovedGroupsOut", "never lists removed groups",
			asksWrongGroups(func(f *latchward.GroupFilter) { f.IncludeRemoved = false })},
		{"Groups/PagesGiveEachGroupOnce", "ignores the limit",
			asksWrongGroups(func(f *latchward.GroupFilter) { f.Limit = 0 })},
		{"Groups/PagesGiveEachGroupOnce", "ignores the cursor",
			asksWrongGroups(func(f *latchward.GroupFilter) { f.After = 0 })},
		{"Tx.GroupByName/RemovedGroupsHaveNone", "finds removed groups", findsRemovedGroups},
		{"Group/ReturnsRemovedGroups Tx.SaveGroup/RemovedGroupsLoseTheirMembers OwnerFacts/DisabledAndRemovedGroupsMayNotAct",
			"removes no groups", savesWrongGroup(func(g *latchward.Group) { g.Active, g.RemovedAt = true, time.Time{} })},
		{"Tx.SaveGroup/RemovedGroupsLoseTheirMembers", "keeps the members of removed groups",
			func(a *altered) { keepsHeld(a, "Groups") }},
		{"Tx.SaveGroup/NamesTheOwner", "does not name the owner", namesNone(latchward.ChangeOwner)},
		{"Tx.SaveGroup/KeepsSets", "loses the last role", savesWrongGroup(func(g *latchward.Group) {
			g.Roles = g.Roles[:min(1, len(g.Roles))]
		})},
		{"Tx.SaveGroup/RefusesWhatDoesNotExist", "leaves unknown roles out", savesWrongGroup(func(g *latchward.Group) {
			g.Roles = slices.DeleteFunc(slices.Clone(g.Roles), func(id latchward.RoleID) bool { return id >= 1000 })
		})},
	}
}

// findsRemovedGroups finds a group by its name, whatever became of it.
func findsRemovedGroups(a *altered) {
	a.inTx = func(tx *alteredTx) {
		tx.groupByName = func(name string) (*latchward.Group, error) {
			for id := latchward.GroupID(1); id < 10; id++ {
				if g, err := tx.Tx.Group(id); err == nil && g.Name == name {
					return g, nil
				}
			}
			return tx.Tx.GroupByName(name)
		}
	}
}

func seatMutants() []mutant {
	seatsWrong := func(edit func(a *altered, seats map[latchward.LicenseID]int64)) func(a *altered) {
		return func(a *altered) {
			a.seats = func() (map[latchward.LicenseID]int64, error) {
				seats, err := a.Store.Seats(background())
				edit(a, seats)
				return seats, err
			}
		}
	}
	return []mutant{
		{"Seats/CountsUsersAndTokens", "counts users only", seatsWrong(func(a *altered, seats map[latchward.LicenseID]int64) {
			clear(seats)
			users, _ := a.Store.Users(background(), latchward.UserFilter{})
			for _, u := range users {
				for _, id := range u.Licenses {
					seats[id]++
				}
			}
		})},
		{"Seats/LeavesRemovedAndRevokedOut", "counts whoever has it", seatsWrong(countEveryHolder)},
		{"Seats/LeavesLicensesWithoutAnyOut", "returns licenses without any",
			seatsWrong(func(a *altered, seats map[latchward.LicenseID]int64) {
				licenses, _ := a.Store.Licenses(background())
				for _, l := range licenses {
					seats[l.ID] += 0
				}
			})},
		{"Tx.Seats/CountsUsersAndTokens Tx.Seats/SeesItsOwnWrites", "finds all seats free", func(a *altered) {
			a.inTx = func(tx *alteredTx) { tx.seats = func(latchward.LicenseID) (int64, error) { return 0, nil } }
		}},
	}
}

// countEveryHolder counts removed users and revoked tokens, too.
func countEveryHolder(a *altered, seats map[latchward.LicenseID]int64) {
	clear(seats)
	users, _ := a.Store.Users(background(), latchward.UserFilter{IncludeRemoved: true})
	tokens, _ := a.Store.Tokens(background(), latchward.TokenFilter{})
	for _, u := range users {
		for _, id := range u.Licenses {
			seats[id]++
		}
	}
	for _, t := range tokens {
		for _, id := range t.Licenses {
			seats[id]++
		}
	}
}

func heldMutants() []mutant {
	const users, tokens = "Users/ByWhatTheyHave", "Tokens/ByWhatTheyHave"
	unknownOut := func(ids []latchward.RoleID) []latchward.RoleID {
		return slices.DeleteFunc(slices.Clone(ids), func(id latchward.RoleID) bool { return id >= 1000 })
	}
	return []mutant{
		{"Roles/BeginWithTheBuiltInOnes", "begins with nothing", func(a *altered) {
			roleHooks().list(a, func([]*latchward.Role) []*latchward.Role { return nil })
		}},
		{users, "ignores the role", asksWrongUsers(func(f *latchward.UserFilter) { f.Role = 0 })},
		{users, "ignores the group", asksWrongUsers(func(f *latchward.UserFilter) { f.Group = 0 })},
		{users, "ignores the license", asksWrongUsers(func(f *latchward.UserFilter) { f.License = 0 })},
		{tokens, "ignores the role", asksWrong(func(f *latchward.TokenFilter) { f.Role = 0 })},
		{tokens, "ignores the group", asksWrong(func(f *latchward.TokenFilter) { f.Group = 0 })},
		{tokens, "ignores the license", asksWrong(func(f *latchward.TokenFilter) { f.License = 0 })},
		{"Tx.SaveUser/KeepsSets", "loses the last role", savesWrongUser(func(u *latchward.User) {
			u.Roles = u.Roles[:min(1, len(u.Roles))]
		})},
		{"Tx.SaveToken/KeepsSets", "loses the last role", savesWrong(func(t *latchward.Token) {
			t.Roles = t.Roles[:min(1, len(t.Roles))]
		})},
		{"Tx.SaveUser/RefusesWhatDoesNotExist", "leaves unknown roles out",
			savesWrongUser(func(u *latchward.User) { u.Roles = unknownOut(u.Roles) })},
		{"Tx.SaveToken/RefusesWhatDoesNotExist", "leaves unknown roles out",
			savesWrong(func(t *latchward.Token) { t.Roles = unknownOut(t.Roles) })},
	}
}

func groupOwnerMutants() []mutant {
	noGroups := func(owners []latchward.Owner) []latchward.Owner {
		return slices.DeleteFunc(slices.Clone(owners), func(o latchward.Owner) bool { return o.Type == latchward.OwnerGroup })
	}
	return []mutant{
		{"OwnerFacts/FindsGroups", "knows no roles of groups",
			ownerWrong(func(_ *altered, _ latchward.Owner, f *latchward.OwnerFacts) { f.Roles = nil })},
		{"OwnerFacts/DisabledAndRemovedGroupsMayNotAct", "lets every group act",
			ownerWrong(func(_ *altered, o latchward.Owner, f *latchward.OwnerFacts) { f.Active = true })},
		{"OwnerFacts/TellsUsersFromGroups OwnerFacts/FindsGroups", "takes groups for users", func(a *altered) {
			a.ownerFacts = func(owner latchward.Owner) (latchward.OwnerFacts, error) {
				owner.Type = latchward.OwnerUser
				return a.Store.OwnerFacts(background(), owner)
			}
		}},
		{"Token/BelongsToAGroup", "takes groups for users",
			readsWrong(func(t *latchward.Token) { t.Owner.Type = latchward.OwnerUser })},
		{"Tx.TokensOf/ReturnsTheGroupsTokens", "finds no tokens of groups", func(a *altered) {
			a.inTx = func(tx *alteredTx) {
				tx.tokensOf = func(owner latchward.Owner) ([]*latchward.Token, error) {
					if owner.Type == latchward.OwnerGroup {
						return nil, nil
					}
					return tx.Tx.TokensOf(owner)
				}
			}
		}},
		{"Tokens/ByOwners", "looks at the first owner only", asksWrong(func(f *latchward.TokenFilter) {
			f.Owners = f.Owners[:min(1, len(f.Owners))]
		})},
		{"Tokens/ByOwners", "takes no owners for all", asksWrong(func(f *latchward.TokenFilter) {
			if len(f.Owners) == 0 {
				f.Owners = nil
			}
		})},
		{"UsageCells/ByOwners", "knows no groups",
			cellsAsked(func(q *latchward.UsageQuery) {
				if q.Owners != nil {
					q.Owners = noGroups(q.Owners)
				}
			})},
	}
}
