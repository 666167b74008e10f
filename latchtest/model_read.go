package latchtest

import (
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/latchward/latchward"
)

// checkAll compares all there is.
func (m *model) checkAll(rt *rapid.T) {
	_, _ = m.tokens(rt, latchward.TokenFilter{Limit: latchward.MaxPage}, nil, 0)
	m.users(rt, latchward.UserFilter{IncludeRemoved: true, Limit: latchward.MaxPage}, 0)
	_, _ = m.audit(rt, latchward.AuditFilter{Limit: latchward.MaxPage}, 0)
	m.facts(rt)
	m.rights(rt)
	_, _ = m.both(rt, "KeyFingerprints", func(s *side) (any, error) {
		prints, err := s.store.KeyFingerprints(m.ctx)
		return fmt.Sprint(prints), err
	})
	_, _ = m.both(rt, "KeyCounts", func(s *side) (any, error) {
		counts, err := s.store.KeyCounts(m.ctx)
		return fmt.Sprint(counts), err
	})
	_, _ = m.both(rt, "Adoption", func(s *side) (any, error) { return s.store.Adoption(m.ctx) })
	all := latchward.ByHour | latchward.ByToken | latchward.ByEndpoint | latchward.ByCredential | latchward.ByClass
	m.cells(rt, latchward.UsageQuery{By: all}, nil)
	m.eventsOf(rt, latchward.UsageEventQuery{Limit: latchward.MaxPage}, 0)
	m.endpointNames(rt)
	for _, node := range []string{"a", "b"} {
		_, _ = m.both(rt, "UsageOffset", func(s *side) (any, error) { return s.store.UsageOffset(m.ctx, node) })
	}
}

// facts compares what is known about every key id and every owner.
func (m *model) facts(rt *rapid.T) {
	for _, id := range m.keys {
		_, _ = m.both(rt, "TokenFacts of "+id.String(), func(s *side) (any, error) {
			facts, err := s.store.TokenFacts(m.ctx, id)
			facts.Token = s.plainToken(facts.Token)
			return facts, err
		})
	}
	for n := -len(m.reference.groups) - 1; n <= len(m.reference.users); n++ {
		_, _ = m.both(rt, fmt.Sprintf("OwnerFacts of %d", n), func(s *side) (any, error) {
			facts, err := s.store.OwnerFacts(m.ctx, s.owner(n))
			facts.Roles, facts.Groups = numbersOf(s.roles, facts.Roles), numbersOf(s.groups, facts.Groups)
			facts.Licenses = numbersOf(s.licenses, facts.Licenses)
			return facts, err
		})
	}
}

// tokens compares a page of a list: of everybody when owners are nil, continued behind a token unless that is 0. It
// returns how long the page is, and the last token on it. Roles, groups and licenses in f are numbers.
func (m *model) tokens(rt *rapid.T, f latchward.TokenFilter, owners []int, after int) (length, last int) {
	cursor := m.cursor(f.Sort, after)
	_, err := m.both(rt, fmt.Sprintf("Tokens(%+v) of %v after %d", f, owners, after), func(s *side) (any, error) {
		f := f
		f.Owners = s.owners(owners)
		f.Role, f.Group, f.License = s.holding(f.Role, f.Group, f.License)
		if cursor != nil {
			behind := *cursor
			behind.ID = s.tokenID(after)
			f.After = &behind
		}
		tokens, err := s.store.Tokens(m.ctx, f)
		if err != nil {
			return nil, err
		}
		plain := s.plainTokens(tokens)
		if length = len(plain); length > 0 {
			last = int(plain[length-1].ID)
		}
		count, err := s.store.CountTokens(m.ctx, f)
		return []any{plain, count}, err
	})
	if err != nil {
		rt.Fatalf("Tokens(%+v): %v", f, err)
	}
	return length, last
}

// cursor returns the place of a token, or nil when there is no such token any more.
func (m *model) cursor(sort latchward.TokenSort, after int) *latchward.TokenCursor {
	t, err := m.reference.store.Token(m.ctx, m.reference.tokenID(after))
	if err != nil {
		return nil
	}
	cursor := latchward.CursorOf(t, sort)
	return &cursor
}

// readTokens pages through a list in some order, narrowed by a condition or two.
func (m *model) readTokens(rt *rapid.T) {
	f := latchward.TokenFilter{
		Now:   momentAround(rt, "now"),
		Sort:  rapid.SampledFrom(append(latchward.TokenSorts(), "")).Draw(rt, "sort"),
		Desc:  rapid.Bool().Draw(rt, "desc"),
		Limit: rapid.IntRange(1, 4).Draw(rt, "limit"),
	}
	var owners []int
	for range rapid.IntRange(0, 2).Draw(rt, "conditions") {
		switch rapid.IntRange(0, 10).Draw(rt, "condition") {
		case 0:
			owners = m.someOwners(rt)
		case 1:
			f.Kind = rapid.SampledFrom([]latchward.Kind{latchward.KindPersonal, latchward.KindService}).Draw(rt, "kind")
		case 2:
			f.Query = rapid.SampledFrom([]string{"A", "%", "_", `\`, `"`, "é", "lw-B"}).Draw(rt, "query")
		case 3:
			f.Tag = rapid.SampledFrom([]string{"a", "A", "b%", "b", `"`}).Draw(rt, "tag")
		case 4:
			f.UnusedSince = momentAround(rt, "unused since")
		case 5:
			f.ExpiresBefore = momentAround(rt, "expires before")
			f.Now = f.ExpiresBefore // what has expired expires before any later moment too
		case 6, 8, 9:
			f.Status = rapid.SampledFrom([]latchward.Status{
				latchward.StatusActive, latchward.StatusInactive, latchward.StatusExpired, latchward.StatusRevoked,
			}).Draw(rt, "status")
		case 10:
			f.ServerKey = rapid.IntRange(1, 3).Draw(rt, "server key")
		case 7:
			f.Role, f.Group, f.License = m.someHolding(rt)
		}
	}
	for after, page := 0, -1; page != 0; {
		page, after = m.tokens(rt, f, owners, after)
	}
	n := pick(rt, "token", len(m.reference.tokens))
	_, _ = m.both(rt, fmt.Sprintf("Token %d", n), func(s *side) (any, error) {
		t, err := s.store.Token(m.ctx, s.tokenID(n))
		return s.plainToken(t), err
	})
}

// readIdleTokens asks at several moments, as they come and go.
func (m *model) readIdleTokens(rt *rapid.T) {
	first := momentAround(rt, "now")
	for halfDays := range 7 {
		now := first.Add(time.Duration(halfDays) * 12 * time.Hour)
		_, _ = m.both(rt, "IdleTokens at "+now.String(), func(s *side) (any, error) {
			ids, err := s.store.IdleTokens(m.ctx, now, latchward.MaxPage)
			if err != nil {
				return nil, err
			}
			for i, id := range ids {
				ids[i] = s.tokenNumber(id)
			}
			slices.Sort(ids)
			some, err := s.store.IdleTokens(m.ctx, now, 2)
			return []any{ids, len(some)}, err
		})
	}
}

func (m *model) users(rt *rapid.T, f latchward.UserFilter, after int) {
	_, _ = m.both(rt, fmt.Sprintf("Users(%+v) after %d", f, after), func(s *side) (any, error) {
		f := f
		if after > 0 {
			f.After = s.userID(after)
		}
		f.Role, f.Group, f.License = s.holding(f.Role, f.Group, f.License)
		count, err := s.store.CountUsers(m.ctx, f)
		if err != nil {
			return nil, err
		}
		users, err := s.store.Users(m.ctx, f)
		var plain []*latchward.User
		for _, u := range users {
			plain = append(plain, s.plainUser(u))
		}
		return []any{count, plain}, err
	})
}

// readDirectory asks for users by what a directory says of them, and for the members of a group.
func (m *model) readDirectory(rt *rapid.T) {
	all := rapid.Bool().Draw(rt, "removed, too")
	m.users(rt, latchward.UserFilter{
		DirectoryID: rapid.SampledFrom([]string{"1", "2"}).Draw(rt, "directory id"), IncludeRemoved: all, Limit: 9,
	}, 0)
	m.users(rt, latchward.UserFilter{
		UserName: rapid.SampledFrom([]string{"n", "N", "m"}).Draw(rt, "user name"), IncludeRemoved: all, Limit: 9,
	}, 0)
	group := pick(rt, "group", len(m.reference.groups))
	_, _ = m.both(rt, fmt.Sprintf("Members of %d", group), func(s *side) (any, error) {
		ids, err := s.store.Members(m.ctx, numbered(s.groups, group))
		return s.userNumbers(ids), err
	})
}

func (m *model) readUsers(rt *rapid.T) {
	role, group, license := m.someHolding(rt)
	m.users(rt, latchward.UserFilter{
		Role: role, Group: group, License: license,
		Query:          rapid.SampledFrom([]string{"", "A", "%", "_", `\`, "@b", "x"}).Draw(rt, "query"),
		UserName:       rapid.SampledFrom([]string{"", "", "", "n", "M", "%"}).Draw(rt, "user name"),
		DirectoryID:    rapid.SampledFrom([]string{"", "", "", "1", "2"}).Draw(rt, "directory id"),
		IncludeRemoved: rapid.Bool().Draw(rt, "removed"),
		Skip:           rapid.IntRange(0, 2).Draw(rt, "skip"),
		Limit:          rapid.IntRange(1, 4).Draw(rt, "limit"),
	}, rapid.IntRange(0, len(m.reference.users)).Draw(rt, "after"))
	m.readDirectory(rt)
	n := pick(rt, "user", len(m.reference.users))
	email := rapid.SampledFrom([]string{"", "a@b.c", "A@b.C", "d@e.f", "%"}).Draw(rt, "email")
	externalID := rapid.SampledFrom([]string{"", "x", "y", "X", "%"}).Draw(rt, "external id")
	for what, read := range map[string]func(s *side) (*latchward.User, error){
		"User":             func(s *side) (*latchward.User, error) { return s.store.User(m.ctx, s.userID(n)) },
		"UserByEmail":      func(s *side) (*latchward.User, error) { return s.store.UserByEmail(m.ctx, email) },
		"UserByExternalID": func(s *side) (*latchward.User, error) { return s.store.UserByExternalID(m.ctx, externalID) },
	} {
		_, _ = m.both(rt, fmt.Sprintf("%s(%d, %q, %q)", what, n, email, externalID), func(s *side) (any, error) {
			u, err := read(s)
			return s.plainUser(u), err
		})
	}
}
