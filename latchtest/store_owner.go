package latchtest

import (
	"github.com/latchward/latchward"
)

const ownersAny = "owned by one of these; nil = by anybody"

func groupOwnerPromises() []storePromise {
	return []storePromise{
		{"OwnerFacts/FindsGroups", factsOfOwner, ownerFactsOfGroups},
		{"OwnerFacts/DisabledAndRemovedGroupsMayNotAct", "may act: neither disabled nor removed", ownerFactsOfInactiveGroups},
		{"OwnerFacts/TellsUsersFromGroups", factsOfOwner, ownerFactsOfNamesakes},
		{"Token/BelongsToAGroup", tokenCopy, tokenOfGroup},
		{"Tx.TokensOf/ReturnsTheGroupsTokens", tokensOf, tokensOfGroup},
		{"Tokens/ByOwners", ownersAny, listByOwners},
		{"UsageCells/ByOwners", cellsOwner, cellsByOwners},
	}
}

func ownerFactsOfGroups(t *trial) {
	plain, titled := t.group(), t.group(func(g *latchward.Group) {
		g.Title, g.Roles = "Night shift", []latchward.RoleID{latchward.RoleManager, latchward.RoleAuditor}
	})
	for _, g := range []*latchward.Group{plain, titled} {
		got, err := t.store.OwnerFacts(t.ctx, groupOwner(g))
		t.must(err)
		t.same("OwnerFacts", got, latchward.OwnerFacts{Active: true, Roles: g.Roles, Name: g.DisplayName()})
	}
}

func ownerFactsOfInactiveGroups(t *trial) {
	for _, edit := range []func(g *latchward.Group){
		removedGroup,
		func(g *latchward.Group) { g.Active = false },
		func(g *latchward.Group) { g.RemovedAt = epoch() },
	} {
		g := t.group(edit)
		got, err := t.store.OwnerFacts(t.ctx, groupOwner(g))
		t.must(err)
		if got.Active {
			t.Errorf("group active %v, removed %v: OwnerFacts says that it may act", g.Active, g.Removed())
		}
	}
}

// namesakes returns a user and a group with the same id.
func (t *trial) namesakes() (*latchward.User, *latchward.Group) {
	t.Helper()
	u, g := t.user(), t.group()
	for range 100 {
		switch {
		case int64(u.ID) < int64(g.ID):
			u = t.user()
		case int64(u.ID) > int64(g.ID):
			g = t.group()
		}
	}
	return u, g
}

func ownerFactsOfNamesakes(t *trial) {
	u, g := t.namesakes()
	for _, owner := range []latchward.Owner{ownerOf(u), groupOwner(g)} {
		got, err := t.store.OwnerFacts(t.ctx, owner)
		t.must(err)
		t.same("OwnerFacts of "+owner.String(), got, latchward.OwnerFacts{Active: true, Name: owner.Name})
	}
	_, err := t.store.OwnerFacts(t.ctx, latchward.Owner{Type: latchward.OwnerGroup, ID: int64(g.ID) + 1000})
	t.code("OwnerFacts of an unknown group", err, latchward.CodeNotFound)
}

func tokenOfGroup(t *trial) {
	u, g := t.namesakes()
	token := t.token(u, ownedBy(g))
	read := func(what string) {
		t.Helper()
		t.same("Token "+what, t.stored(token.ID), token)
		t.same("TokenFacts "+what, t.facts(token.Secret.KeyID).Token, token)
		t.same("Tokens "+what, t.list(latchward.TokenFilter{}), []*latchward.Token{token})
	}
	read("of a group")
	g.Title = "Night shift"
	groups().save(t, g)
	token.Owner.Name = g.Title
	read("after the group got a title")
	token.Owner = ownerOf(u)
	t.saveToken(*token)
	read("that was given to a user")
	token.Owner = groupOwner(g)
	t.saveToken(*token)
	read("that was given to a group")
}

func tokensOfGroup(t *trial) {
	u, g := t.namesakes()
	first, foreign := t.token(u, ownedBy(g)), t.token(u)
	t.token(u, ownedBy(g), func(token *latchward.Token) { token.RevokedAt = epoch() })
	second := t.token(u, ownedBy(g))
	t.sameTokens("TokensOf a group", t.ofOwner(groupOwner(g)), first, second)
	t.sameTokens("TokensOf a user", t.ofOwner(ownerOf(u)), foreign)
	t.sameTokens("TokensOf nobody", t.ofOwner(latchward.Owner{Type: "nobody", ID: int64(u.ID)}))
}

func listByOwners(t *trial) {
	u, g := t.namesakes()
	other, more := t.user(), t.group()
	t.token(u, named("user's"))
	t.token(u, ownedBy(g), named("group's"))
	t.token(other, named("other's"))
	t.token(u, ownedBy(more), named("other group's"))
	user, group := ownerOf(u), groupOwner(g)
	for _, c := range []struct {
		owners []latchward.Owner
		want   []string
	}{
		{[]latchward.Owner{user}, []string{"user's"}},
		{[]latchward.Owner{group}, []string{"group's"}},
		{[]latchward.Owner{user, group}, []string{"group's", "user's"}},
		{[]latchward.Owner{group, user, group}, []string{"group's", "user's"}},
		{[]latchward.Owner{user, ownerOf(other)}, []string{"other's", "user's"}},
		{[]latchward.Owner{group, groupOwner(more)}, []string{"group's", "other group's"}},
		{[]latchward.Owner{}, nil},
		{[]latchward.Owner{{Type: "nobody", ID: user.ID}}, nil},
		{nil, []string{"group's", "other group's", "other's", "user's"}},
	} {
		t.onlyNames("of several owners", latchward.TokenFilter{Owners: c.owners}, c.want...)
		var paged []string
		for _, token := range t.pages(latchward.TokenFilter{Owners: c.owners, Sort: latchward.SortName, Limit: 1}, 9) {
			paged = append(paged, token.Name)
		}
		t.same("pages of several owners", paged, c.want)
	}
}

func cellsByOwners(t *trial) {
	u, g := t.namesakes()
	mine, deleted, foreign := t.token(u, ownedBy(g)), t.token(u, ownedBy(g)), t.token(u)
	t.add(event(mine.ID, epoch()), event(deleted.ID, epoch()), event(foreign.ID, epoch()), personal(u, epoch()))
	t.deleteToken(deleted.ID)
	for _, c := range []struct {
		owners []latchward.Owner
		want   int64
	}{
		{[]latchward.Owner{groupOwner(g)}, 2},
		{[]latchward.Owner{ownerOf(u)}, 1},
		{[]latchward.Owner{ownerOf(u), groupOwner(g)}, 3},
		{[]latchward.Owner{}, 0},
		{nil, 4},
	} {
		for _, by := range []latchward.UsageDimension{0, latchward.ByEndpoint} {
			if got := t.total(latchward.UsageQuery{Owners: c.owners, By: by}).Requests; got != c.want {
				t.Errorf("%v by %d: %d requests, want %d", c.owners, by, got, c.want)
			}
		}
	}
}
