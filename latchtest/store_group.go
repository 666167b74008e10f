package latchtest

import (
	"fmt"
	"slices"

	"github.com/latchward/latchward"
)

const (
	namesGroup   = "The commit must name the group as changed, also as an owner."
	losesMembers = "A removed group must lose its members."
	groupsQuery  = "part of the name or title; ASCII letters match in either case"
)

func groupPromises() []storePromise {
	k := groups()
	return []storePromise{
		{"Group/ReturnsRemovedGroups", k.copies, groupRemoved},
		{"Groups/ByQuery", groupsQuery, groupsByQuery},
		{"Groups/ByRole", k.lists, groupsByRole},
		{"Groups/LeavesRemovedGroupsOut", k.lists, groupsRemoved},
		{"Groups/PagesGiveEachGroupOnce", k.lists, groupsPages},
		{"Tx.GroupByName/RemovedGroupsHaveNone", k.byName, groupByNameOfRemoved},
		{"Tx.SaveGroup/RemovedGroupsLoseTheirMembers", losesMembers, removedGroupLosesMembers},
		{"Tx.SaveGroup/NamesTheOwner", namesGroup, saveGroupNamesOwner},
	}
}

// group saves a new group.
func (t *trial) group(edits ...func(*latchward.Group)) *latchward.Group {
	t.Helper()
	g := groups().bare(t.recordName())
	g.Active = true
	for _, edit := range edits {
		edit(g)
	}
	return groups().save(t, g)
}

func removedGroup(g *latchward.Group) { g.Active, g.RemovedAt = false, epoch() }

func groupRemoved(t *trial) {
	g := t.group(removedGroup)
	t.same("a removed group", groups().stored(t, g.ID), g)
}

func (t *trial) groups(f latchward.GroupFilter) []*latchward.Group {
	t.Helper()
	if f.Limit == 0 {
		f.Limit = latchward.MaxPage
	}
	list, err := t.store.Groups(t.ctx, f)
	t.must(err)
	return list
}

func groupNames(list []*latchward.Group) []string {
	var names []string
	for _, g := range list {
		names = append(names, g.Name)
	}
	slices.Sort(names)
	return names
}

func groupsByQuery(t *trial) {
	t.group(func(g *latchward.Group) { g.Name = "night_shift" })
	t.group(func(g *latchward.Group) { g.Name, g.Title = "day", "By NIGHT, too" })
	t.group(func(g *latchward.Group) { g.Name, g.Title, g.Description = "rest", "100%", "night" })
	for query, want := range map[string][]string{
		"night": {"day", "night_shift"}, "Night": {"day", "night_shift"}, "%": {"rest"}, "_": {"night_shift"}, "x": nil,
	} {
		t.same("groups that match "+query, groupNames(t.groups(latchward.GroupFilter{Query: query})), want)
	}
}

func groupsByRole(t *trial) {
	h := t.holder() // users and tokens that have the role are no groups
	want := t.group(func(g *latchward.Group) { g.Roles = []latchward.RoleID{h.role.ID} })
	t.group(func(g *latchward.Group) { g.Roles = []latchward.RoleID{latchward.RoleAuditor} })
	t.same("groups with a role", t.groups(latchward.GroupFilter{Role: h.role.ID}), []*latchward.Group{h.group, want})
	t.same("groups with a role that nobody has", t.groups(latchward.GroupFilter{Role: latchward.RoleAdministrator}),
		[]*latchward.Group(nil))
}

func groupsRemoved(t *trial) {
	gone := t.group(removedGroup)
	g := t.group(func(g *latchward.Group) { g.Active = false })
	t.same("Groups", t.groups(latchward.GroupFilter{}), []*latchward.Group{g})
	t.same("Groups with removed ones", t.groups(latchward.GroupFilter{IncludeRemoved: true}), []*latchward.Group{gone, g})
}

func groupsPages(t *trial) {
	var want []*latchward.Group
	for i := range 7 {
		g := t.group(func(g *latchward.Group) { g.Name = fmt.Sprintf("g%d", 9-i) })
		if i%3 == 1 {
			removedGroup(g)
			groups().save(t, g)
			continue
		}
		want = append(want, g)
	}
	for limit := 1; limit <= 3; limit++ {
		var got []*latchward.Group
		f := latchward.GroupFilter{Limit: limit}
		for range len(want) + 1 {
			page := t.groups(f)
			if len(page) == 0 {
				break
			}
			if len(page) > limit {
				t.Errorf("Groups returned %d groups, want at most %d", len(page), limit)
			}
			got = append(got, page...)
			f.After = page[len(page)-1].ID
		}
		t.same(fmt.Sprintf("pages of %d", limit), got, want)
	}
}

func groupByNameOfRemoved(t *trial) {
	byName := func(name string) (g *latchward.Group, err error) {
		t.tx(func(tx latchward.Tx) error { g, err = tx.GroupByName(name); return nil })
		return g, err
	}
	gone := t.group(removedGroup, func(g *latchward.Group) { g.Name = "night" })
	_, err := byName("night")
	t.code("GroupByName of a removed group", err, latchward.CodeNotFound)
	g := t.group(func(g *latchward.Group) { g.Name = "night" }) // the name is free again
	got, err := byName("night")
	t.code("GroupByName of what has a removed group's name", err, "")
	t.same("GroupByName of what has a removed group's name", got, g)
	groups().save(t, gone) // the tombstone can still be saved
}

func removedGroupLosesMembers(t *trial) {
	h := t.holder()
	owned := t.token(h.user, ownedBy(h.group))
	removedGroup(h.group)
	groups().save(t, h.group)
	t.sameHeld("after a group was removed", h, h.user.Roles, h.user.Groups[:1], h.user.Licenses)
	t.same("a removed group", groups().stored(t, h.group.ID), h.group)
	t.same("its token", t.stored(owned.ID), owned)
	h.group.RemovedAt = epoch().AddDate(0, 0, 1)
	groups().save(t, h.group)
	t.same("a removed group after it was saved again", groups().stored(t, h.group.ID), h.group)
}

func saveGroupNamesOwner(t *trial) {
	g := t.group()
	commit := t.tx(func(tx latchward.Tx) error { saved := *g; return tx.SaveGroup(&saved) })
	t.names("SaveGroup", commit, latchward.ChangeOwner, groupOwner(g).String())
}

func groupOwner(g *latchward.Group) latchward.Owner {
	return latchward.Owner{Type: latchward.OwnerGroup, ID: int64(g.ID), Name: g.DisplayName()}
}

// ownedBy makes a token a service token of a group.
func ownedBy(g *latchward.Group) func(*latchward.Token) {
	return func(token *latchward.Token) {
		token.Kind, token.Permissions, token.Owner = latchward.KindService, []string{}, groupOwner(g)
	}
}
