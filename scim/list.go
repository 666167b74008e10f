package scim

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/latchward/latchward"
)

// Bounds of a page.
const (
	defaultCount = 100
	maxCount     = 1000
)

// search is what a list is asked for (RFC 7644 §3.4.2).
type search struct {
	filter filter // nil = all
	start  int    // 1 is the first
	count  int
	shown  projection
}

// listReply is one page of resources (RFC 7644 §3.4.2).
type listReply struct {
	Schemas      []string `json:"schemas"`
	TotalResults int64    `json:"totalResults"`
	StartIndex   int      `json:"startIndex"`
	ItemsPerPage int      `json:"itemsPerPage"`
	Resources    []object `json:"Resources"`
}

func (c *call) sendList(s *search, total int64, resources []object) error {
	if resources == nil {
		resources = []object{}
	}
	return write(c.w, http.StatusOK, listReply{[]string{listSchema}, total, s.start, len(resources), resources})
}

// searchIn reads the parameters of a list from a query. Those that order it are passed over: the configuration says
// that there is no such thing.
func searchIn(of *definition, q url.Values) (*search, error) {
	number := func(name string, otherwise int) (int, error) {
		if q.Get(name) == "" {
			return otherwise, nil
		}
		n, err := strconv.Atoi(q.Get(name))
		if err != nil {
			return 0, bad(invalidValue, "%s must be a whole number.", name)
		}
		return n, nil
	}
	start, err := number("startIndex", 1)
	if err != nil {
		return nil, err
	}
	count, err := number("count", defaultCount)
	if err != nil {
		return nil, err
	}
	s := &search{
		start: max(1, start), count: min(max(0, count), maxCount),
		shown: project(of, q["attributes"], q["excludedAttributes"]),
	}
	if q.Get("filter") != "" {
		s.filter, err = parseFilter(of, q.Get("filter"))
	}
	return s, err
}

// searchBody reads the same from the body of a POST (RFC 7644 §3.4.3).
func (c *call) searchBody(of *definition) (*search, error) {
	o, err := readObject(c.w, c.r)
	if err != nil {
		return nil, err
	}
	if err := wantSchema(o, searchSchema); err != nil {
		return nil, err
	}
	q := url.Values{}
	for _, name := range []string{"startIndex", "count", "filter", "attributes", "excludedAttributes"} {
		for _, value := range listOf(member(o, name)) {
			switch value := value.(type) {
			case string:
				q.Add(name, value)
			case json.Number:
				q.Add(name, value.String())
			default:
				return nil, bad(invalidValue, "%s has a value that it cannot have.", name)
			}
		}
	}
	return searchIn(of, q)
}

func (c *call) listUsers() error {
	s, err := searchIn(users, c.r.URL.Query())
	if err != nil {
		return err
	}
	return c.findUsers(s)
}

func (c *call) searchUsers() error {
	s, err := c.searchBody(users)
	if err != nil {
		return err
	}
	return c.findUsers(s)
}

func (c *call) findUsers(s *search) error {
	found, total, err := c.pageOfUsers(s)
	if err != nil {
		return err
	}
	known, resources := titles{}, make([]object, len(found))
	for i, u := range found {
		if resources[i], err = c.renderUser(u, s.shown, known); err != nil {
			return err
		}
	}
	return c.sendList(s, total, resources)
}

// pageOfUsers returns the users of a page, in the order of their ids, and how many there are in all.
func (c *call) pageOfUsers(s *search) (page []*latchward.User, total int64, err error) {
	if s.filter == nil {
		return c.allUsers(s)
	}
	take := func(u *latchward.User) {
		if !s.filter.matches(viewUser(u)) {
			return
		}
		if total++; total >= int64(s.start) && len(page) < s.count {
			page = append(page, u)
		}
	}
	candidates, few, err := c.candidates(s.filter)
	if few || err != nil {
		for _, u := range candidates {
			take(u)
		}
		return page, total, err
	}
	err = c.eachUser(latchward.UserFilter{}, take)
	return page, total, err
}

func (c *call) allUsers(s *search) ([]*latchward.User, int64, error) {
	total, err := c.service.CountUsers(c.r.Context(), latchward.UserFilter{})
	if err != nil || s.count == 0 {
		return nil, total, err
	}
	page, err := c.service.Users(c.r.Context(), latchward.UserFilter{Skip: s.start - 1, Limit: s.count})
	return page, total, err
}

// eachUser calls f with every user who matches, a page in memory at a time.
func (c *call) eachUser(f latchward.UserFilter, do func(*latchward.User)) error {
	for f.Limit = maxCount; ; {
		page, err := c.service.Users(c.r.Context(), f)
		for _, u := range page {
			do(u)
			f.After = u.ID
		}
		if err != nil || len(page) < f.Limit {
			return err
		}
	}
}

// candidates returns the few users who alone can match a filter, where an index tells: it is what directories ask most.
func (c *call) candidates(f filter) (found []*latchward.User, few bool, err error) {
	if name, ok := pinned(f, "userName", ""); ok {
		found, err = c.usersNamed(name)
		return found, true, err
	}
	if id, ok := pinned(f, "externalId", ""); ok && id != "" {
		found, err = c.service.Users(c.r.Context(), latchward.UserFilter{DirectoryID: id})
		return found, true, err
	}
	one := func(u *latchward.User, err error) ([]*latchward.User, bool, error) {
		if latchward.ErrorCode(err) == latchward.CodeNotFound || err == nil && u.Removed() {
			return nil, true, nil
		}
		return []*latchward.User{u}, true, err
	}
	if text, ok := pinned(f, "id", ""); ok {
		id, valid := parseID[latchward.UserID](text)
		if !valid {
			return nil, true, nil
		}
		return one(c.service.User(c.r.Context(), id))
	}
	if address, ok := pinned(f, "emails", "value"); ok && address != "" {
		return one(c.service.UserByEmail(c.r.Context(), address))
	}
	return nil, false, nil
}

// usersNamed returns the users whose userName is that, also where something stands in for it.
func (c *call) usersNamed(name string) ([]*latchward.User, error) {
	if name == "" {
		return nil, nil
	}
	ctx := c.r.Context()
	found, err := c.service.Users(ctx, latchward.UserFilter{UserName: name})
	if err != nil {
		return nil, err
	}
	id, _ := parseID[latchward.UserID](afterPrefix(name, "user-"))
	for _, look := range []func() (*latchward.User, error){
		func() (*latchward.User, error) { return c.service.UserByEmail(ctx, name) },
		func() (*latchward.User, error) { return c.service.UserByExternalID(ctx, name) },
		func() (*latchward.User, error) { return c.service.User(ctx, id) },
	} {
		u, err := look()
		if latchward.ErrorCode(err) == latchward.CodeNotFound || err == nil && u.Removed() {
			continue
		}
		if err != nil {
			return nil, err
		}
		again := slices.ContainsFunc(found, func(known *latchward.User) bool { return known.ID == u.ID })
		if !again && strings.EqualFold(userName(u), name) {
			found = append(found, u)
		}
	}
	slices.SortFunc(found, func(a, b *latchward.User) int { return cmp.Compare(a.ID, b.ID) })
	return found, nil
}
