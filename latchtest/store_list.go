package latchtest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/latchward/latchward"
)

const (
	listMatches = "Tokens returns the tokens that match, in the order of f, at most f.Limit of them."
	listQuery   = "part of the name, description or display prefix; ASCII letters match in either case"
	listTag     = "exactly one of the tags"
	listUnused  = "not used, created or enabled since"
	listExpires = "expires before, or has expired"
	listByKey   = "ServerKey is the version of a server key that the token depends on: it is not revoked, and a secret of it that " +
		"verifies at Now, or the current one, was made under that key."
	listTies    = "TokenSort is what a list of tokens is ordered by; ties go by id."
	countTokens = "CountTokens returns how many tokens match, whatever f.After and f.Limit say."
	idleTokens  = "IdleTokens returns up to limit tokens that are stored as active, are not revoked, and " +
		"have been idle since before now (see Token.Idle)."
)

func tokenListPromises() []storePromise {
	return []storePromise{
		{"Tokens/ReturnsWholeTokens", listMatches, listWhole},
		{"Tokens/ReturnsCopies", listMatches, listCopies},
		{"Tokens/ByOwner", listMatches, listByOwner},
		{"Tokens/ByKind", listMatches, listByKind},
		{"Tokens/ByStatusAtNow", listMatches, listByStatus},
		{"Tokens/ByQueryInAnyCase", listQuery, listByQuery},
		{"Tokens/ByQueryAsItIsWritten", listQuery, listByLiteralQuery},
		{"Tokens/ByTagExactly", listTag, listByTag},
		{"Tokens/ByUnusedSince", listUnused, listByUnusedSince},
		{"Tokens/ByExpiresBefore", listExpires, listByExpiresBefore},
		{"Tokens/ByNeverUsed", "no request of it was ever accepted", listByNeverUsed},
		{"Tokens/ByIdleBefore", "goes idle before if it stays unused, or has gone idle", listByIdleBefore},
		{"Tokens/ByRotationDue", "its secret should be replaced before", listByRotationDue},
		{"Tokens/ByCreation", "who, as Principal.String gives it", listByCreation},
		{"Tokens/ByRevokeReason", "was revoked for this reason", listByRevokeReason},
		{"Tokens/ByServerKey", listByKey, listByServerKey},
		{"Tokens/ByEverythingAtOnce", listMatches, listByEverything},
		{"Tokens/AtMostLimit", listMatches, listLimit},
		{"Tokens/InEveryOrder", listTies, listOrders},
		{"Tokens/PagesGiveEachTokenOnce", listTies, listPages},
		{"CountTokens/CountsAllThatMatch", countTokens, countsTokens},
		{"IdleTokens/StrictlyAfterTheTimeout", idleTokens, idleStrictly},
		{"IdleTokens/AfterTheLatestOfCreationUseAndEnabling", idleTokens, idleSinceLatest},
		{"IdleTokens/OnlyActiveOnes", idleTokens, idleOnlyActive},
		{"IdleTokens/AtMostLimit", idleTokens, idleLimit},
	}
}

// named returns an edit that sets a token's name and whatever else edits say.
func named(name string, edits ...func(*latchward.Token)) func(*latchward.Token) {
	return func(token *latchward.Token) {
		token.Name = name
		for _, edit := range edits {
			edit(token)
		}
	}
}

// onlyNames checks which tokens match, in whatever order, and that CountTokens agrees.
func (t *trial) onlyNames(what string, f latchward.TokenFilter, want ...string) {
	t.Helper()
	var got []string
	for _, token := range t.list(f) {
		got = append(got, token.Name)
	}
	slices.Sort(got)
	slices.Sort(want)
	t.same(what, got, want)
	count, err := t.store.CountTokens(t.ctx, f)
	t.must(err)
	if count != int64(len(want)) {
		t.Errorf("%s: CountTokens returned %d, want %d", what, count, len(want))
	}
}

func listWhole(t *trial) {
	want := []*latchward.Token{t.token(nil, full), t.token(nil)}
	t.same("Tokens", t.list(latchward.TokenFilter{}), want)
}

func listCopies(t *trial) {
	token := t.token(nil, full)
	for range 2 {
		list := t.list(latchward.TokenFilter{})
		if len(list) != 1 {
			t.Fatalf("Tokens returned %d tokens, want 1", len(list))
		}
		t.same("a token of the list", list[0], token)
		scribble(list[0])
	}
}

func listByOwner(t *trial) {
	ada, bob, eve := t.user(), t.user(func(u *latchward.User) { u.Name = "Bob" }), t.user()
	t.token(ada, named("a1"))
	t.token(ada, named("a2"))
	t.token(bob, named("b"))
	for _, c := range []struct {
		user *latchward.User
		want []string
	}{{ada, []string{"a1", "a2"}}, {bob, []string{"b"}}, {eve, nil}} {
		owner := ownerOf(c.user)
		owner.Name = "whatever"
		t.onlyNames("of owner "+owner.String(), latchward.TokenFilter{Owners: []latchward.Owner{owner}}, c.want...)
	}
	t.onlyNames("of everybody", latchward.TokenFilter{}, "a1", "a2", "b")
}

func listByKind(t *trial) {
	owner := t.user()
	t.token(owner, named("p"))
	t.token(owner, named("s", func(token *latchward.Token) { token.Kind = latchward.KindService }))
	t.onlyNames("personal", latchward.TokenFilter{Kind: latchward.KindPersonal}, "p")
	t.onlyNames("service", latchward.TokenFilter{Kind: latchward.KindService}, "s")
}

// listByStatus covers each way to each status, and which of two wins (X-05, S2-18, S3-03).
func listByStatus(t *trial) {
	owner, now := t.user(), epoch().AddDate(0, 0, 30)
	idle := func(token *latchward.Token) { token.IdleTimeoutDays = 30 }
	expired := func(token *latchward.Token) { token.ExpiresAt = now }
	disabled := func(token *latchward.Token) { token.Active, token.InactiveReason = false, latchward.InactiveManual }
	revoked := func(token *latchward.Token) { token.RevokedAt = epoch() }
	swept := func(token *latchward.Token) { token.Active, token.InactiveReason = false, latchward.InactiveIdle }
	early := func(token *latchward.Token) { token.CreatedAt = epoch().Add(-time.Millisecond) }
	enabled := func(token *latchward.Token) { token.EnabledAt = epoch() }
	later := func(token *latchward.Token) { token.ExpiresAt = now.Add(time.Millisecond) }
	t.token(owner, named("plain"))
	t.token(owner, named("not quite idle", idle))
	t.token(owner, named("idle", idle, early))
	t.token(owner, named("enabled again", idle, early, enabled))
	t.token(owner, named("expired", expired))
	t.token(owner, named("not quite expired", later))
	t.token(owner, named("not yet valid", func(token *latchward.Token) { token.NotBefore = now.Add(time.Hour) }))
	t.token(owner, named("disabled", disabled))
	t.token(owner, named("swept", swept))
	t.token(owner, named("disabled and expired", disabled, expired))
	t.token(owner, named("idle and expired", idle, early, expired))
	t.token(owner, named("revoked", revoked))
	t.token(owner, named("all at once", revoked, disabled, expired, idle, early))
	status := func(status latchward.Status, want ...string) {
		t.Helper()
		t.onlyNames(string(status), latchward.TokenFilter{Status: status, Now: now}, want...)
	}
	status(latchward.StatusActive, "plain", "not quite idle", "enabled again", "not quite expired", "not yet valid")
	status(latchward.StatusInactive, "idle", "disabled", "swept", "disabled and expired", "idle and expired")
	status(latchward.StatusExpired, "expired")
	status(latchward.StatusRevoked, "revoked", "all at once")
}

func listByQuery(t *trial) {
	owner := t.user()
	t.token(owner, named("Weather Station"))
	t.token(owner, named("x", func(token *latchward.Token) { token.Description = "talks to WEATHER" }))
	t.token(owner, named("y", func(token *latchward.Token) { token.Prefix = "lw_1Weather" }))
	t.token(owner, named("Straße"))
	query := func(query string, want ...string) {
		t.Helper()
		t.onlyNames(query, latchward.TokenFilter{Query: query}, want...)
	}
	query("weather", "Weather Station", "x", "y")
	query("WEATHER", "Weather Station", "x", "y")
	query("r sTAT", "Weather Station")
	query("traße", "Straße")
	query("rASSE")
	query("Weather Station x")
}

// listByLiteralQuery looks for the characters that mean something to LIKE and GLOB.
func listByLiteralQuery(t *trial) {
	owner := t.user()
	for _, text := range []string{
		"100%", "1000", "a_b", "axb", `c\d`, `c\\d`, "e*f", "e?f", "exf", "[gh]", "g", `"q"`, "it's", "s",
	} {
		t.token(owner, named(text, func(token *latchward.Token) { token.Prefix = "lw-" }))
	}
	for query, want := range map[string][]string{
		"100%": {"100%"}, "%": {"100%"}, "_": {"a_b"}, "a_b": {"a_b"}, `\`: {`c\d`, `c\\d`}, `c\d`: {`c\d`},
		`\\`: {`c\\d`}, "e*f": {"e*f"}, "e?f": {"e?f"}, "[gh]": {"[gh]"}, `"`: {`"q"`}, "'": {"it's"}, "%%": nil,
	} {
		t.onlyNames(query, latchward.TokenFilter{Query: query}, want...)
	}
}

func listByTag(t *trial) {
	owner := t.user()
	tags := func(tags ...string) func(*latchward.Token) {
		return func(token *latchward.Token) { token.Tags = tags }
	}
	t.token(owner, named("1", tags("roof", "north")))
	t.token(owner, named("2", tags("roofs")))
	t.token(owner, named("3", tags("Roof")))
	t.token(owner, named("4", tags(`a"b`, "c,d", "e\\f", "100%", "é")))
	t.token(owner, named("5"))
	for tag, want := range map[string][]string{
		"roof": {"1"}, "roofs": {"2"}, "Roof": {"3"}, "roo": nil, `a"b`: {"4"}, "c,d": {"4"}, "c": nil, "e\\f": {"4"},
		"100%": {"4"}, "%": nil, "_oof": nil, "é": {"4"}, `roof","north`: nil,
	} {
		t.onlyNames("tag "+tag, latchward.TokenFilter{Tag: tag}, want...)
	}
}

func listByUnusedSince(t *trial) {
	owner := t.user()
	created := func(after time.Duration) func(*latchward.Token) {
		return func(token *latchward.Token) { token.CreatedAt = epoch().Add(after) }
	}
	t.token(owner, named("created before", created(-time.Millisecond)))
	t.token(owner, named("created then"))
	t.token(owner, named("enabled since", created(-time.Hour), func(token *latchward.Token) { token.EnabledAt = epoch() }))
	used := t.token(owner, named("used since", created(-time.Hour)))
	before := t.token(owner, named("used before", created(-time.Hour)))
	t.add(event(used.ID, epoch()), event(before.ID, epoch().Add(-time.Millisecond)))
	t.onlyNames("unused since", latchward.TokenFilter{UnusedSince: epoch()}, "created before", "used before")
}

func listByExpiresBefore(t *trial) {
	owner := t.user()
	expires := func(after time.Duration) func(*latchward.Token) {
		return func(token *latchward.Token) { token.ExpiresAt = epoch().Add(after) }
	}
	t.token(owner, named("never"))
	t.token(owner, named("expired", expires(-time.Hour)))
	t.token(owner, named("just before", expires(time.Hour-time.Millisecond)))
	t.token(owner, named("just then", expires(time.Hour)))
	t.onlyNames("expires before", latchward.TokenFilter{ExpiresBefore: epoch().Add(time.Hour), Now: epoch()},
		"expired", "just before")
}

func listByServerKey(t *trial) {
	owner := t.user()
	t.token(owner, named("one"))
	t.token(owner, named("two"), t.under(2))
	t.token(owner, named("expired"), t.under(2), func(token *latchward.Token) { token.ExpiresAt = epoch().Add(-time.Hour) })
	t.token(owner, named("revoked"), t.under(2), func(token *latchward.Token) { token.RevokedAt = epoch() })
	t.token(owner, named("next"), t.under(3))
	t.token(owner, named("last"), t.under(61))
	t.rotate(t.token(owner, named("ended"), t.under(2)), epoch())
	t.rotate(t.token(owner, named("retiring"), t.under(2)), epoch().Add(time.Millisecond))
	for version, want := range map[int][]string{
		0: {"one", "two", "expired", "revoked", "next", "last", "ended", "retiring"}, 1: {"one", "ended", "retiring"},
		2: {"two", "expired", "retiring"}, 3: {"next"}, 60: nil, 61: {"last"}, 62: nil, -1: nil,
	} {
		t.onlyNames(fmt.Sprintf("under server key v%d", version), latchward.TokenFilter{ServerKey: version, Now: epoch()}, want...)
	}
}

func listByEverything(t *trial) {
	owner, other := t.user(), t.user()
	match := named("match one", func(token *latchward.Token) {
		token.Kind, token.Tags, token.CreatedAt = latchward.KindService, []string{"x", "y"}, epoch().Add(-time.Hour)
		token.ExpiresAt = epoch().Add(time.Hour)
	})
	t.token(owner, match)
	t.token(other, match, named("match owner"))
	t.token(owner, match, named("match kind", func(token *latchward.Token) { token.Kind = latchward.KindPersonal }))
	t.token(owner, match, named("query"))
	t.token(owner, match, named("match tag", func(token *latchward.Token) { token.Tags = []string{"x"} }))
	t.token(owner, match, named("match status", func(token *latchward.Token) { token.Active = false }))
	t.token(owner, match, named("match unused", func(token *latchward.Token) { token.CreatedAt = epoch() }))
	t.token(owner, match, named("match expires", func(token *latchward.Token) { token.ExpiresAt = time.Time{} }))
	t.onlyNames("all filters together", latchward.TokenFilter{
		Owners: []latchward.Owner{ownerOf(owner)}, Kind: latchward.KindService,
		Status: latchward.StatusActive, Query: "MATCH", Tag: "y",
		UnusedSince: epoch(), ExpiresBefore: epoch().Add(2 * time.Hour), Now: epoch(),
	}, "match one")
}

func listLimit(t *trial) {
	owner := t.user()
	first, second := t.token(owner), t.token(owner)
	t.token(owner)
	t.sameTokens("the first two", t.list(latchward.TokenFilter{Limit: 2}), first, second)
}

// mixture saves tokens that share values of every sort key, two by two and more.
func (t *trial) mixture() []*latchward.Token {
	t.Helper()
	owner := t.user()
	var tokens []*latchward.Token
	for i, name := range []string{"b", "B", "a", "a", "é", "Z", "b", "~", "10", "9"} {
		n := time.Duration(i)
		token := t.token(owner, named(name, func(token *latchward.Token) {
			token.CreatedAt = epoch().Add(n / 3 * time.Millisecond)
			token.UpdatedAt = epoch().Add(n * 7 % 5 * time.Millisecond)
			if i%3 != 0 {
				token.ExpiresAt = epoch().Add(n * 3 % 4 * time.Hour)
			}
		}))
		if i%4 != 0 {
			token.LastUsedAt = epoch().Add(n * 11 % 3 * time.Minute)
			t.add(event(token.ID, token.LastUsedAt))
		}
		tokens = append(tokens, token)
	}
	return tokens
}

// orders returns every order of a list of tokens.
func orders() []latchward.TokenFilter {
	var filters []latchward.TokenFilter
	for _, sort := range append(latchward.TokenSorts(), "") {
		filters = append(filters, latchward.TokenFilter{Sort: sort}, latchward.TokenFilter{Sort: sort, Desc: true})
	}
	return filters
}

// sorted returns tokens in f's order, by the words of the documentation.
func sorted(f latchward.TokenFilter, tokens []*latchward.Token) []*latchward.Token {
	tokens = slices.Clone(tokens)
	slices.SortFunc(tokens, func(a, b *latchward.Token) int {
		byKey := map[latchward.TokenSort]int{
			latchward.SortCreated:  a.CreatedAt.Compare(b.CreatedAt),
			latchward.SortUpdated:  a.UpdatedAt.Compare(b.UpdatedAt),
			latchward.SortLastUsed: a.LastUsedAt.Compare(b.LastUsedAt),
			latchward.SortExpires:  a.ExpiresAt.Compare(b.ExpiresAt),
			latchward.SortName:     strings.Compare(a.Name, b.Name),
		}[cmp.Or(f.Sort, latchward.SortCreated)]
		return cmp.Or(byKey, cmp.Compare(a.ID, b.ID))
	})
	if f.Desc {
		slices.Reverse(tokens)
	}
	return tokens
}

func listOrders(t *trial) {
	tokens := t.mixture()
	for _, f := range orders() {
		t.sameTokens(fmt.Sprintf("sort %q, descending %v", f.Sort, f.Desc), t.list(f), sorted(f, tokens)...)
	}
}

func listPages(t *trial) {
	tokens := t.mixture()
	for _, f := range orders() {
		for f.Limit = 1; f.Limit <= 4; f.Limit++ {
			what := fmt.Sprintf("sort %q, descending %v, pages of %d", f.Sort, f.Desc, f.Limit)
			t.sameTokens(what, t.pages(f, len(tokens)), sorted(f, tokens)...)
		}
	}
}

// pages reads a list page by page, at most one page more than there can be.
func (t *trial) pages(f latchward.TokenFilter, most int) []*latchward.Token {
	t.Helper()
	var all []*latchward.Token
	for range most + 1 {
		page := t.list(f)
		if len(page) == 0 {
			break
		}
		all = append(all, page...)
		cursor := latchward.CursorOf(page[len(page)-1], f.Sort)
		f.After = &cursor
	}
	return all
}

func countsTokens(t *trial) {
	tokens := t.mixture()
	first := latchward.CursorOf(tokens[4], latchward.SortCreated)
	for _, f := range []latchward.TokenFilter{{}, {Limit: 1}, {After: &first, Limit: 2}, {After: &first, Desc: true}} {
		count, err := t.store.CountTokens(t.ctx, f)
		t.must(err)
		if count != int64(len(tokens)) {
			t.Errorf("CountTokens(%+v) returned %d, want %d", f, count, len(tokens))
		}
	}
}
