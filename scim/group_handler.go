package scim

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/latchward/latchward"
)

// maxShownMembers is how many members a page of groups shows: it ends with the group that reaches it.
const maxShownMembers = 50_000

// group returns the group in the path.
func (c *call) group() (*latchward.Group, error) {
	id, ok := parseID[latchward.GroupID](c.id)
	if !ok {
		return nil, noSuch(groups, cut(c.id, 40))
	}
	g, err := c.service.Group(c.r.Context(), id)
	if latchward.ErrorCode(err) == latchward.CodeNotFound {
		return nil, noSuch(groups, c.id)
	}
	return g, err
}

// renderGroup returns what is shown of a group with those members, and its revision.
func (c *call) renderGroup(g *latchward.Group, members []latchward.UserID, p projection) (object, string) {
	revision := g.RevisionWith(members)
	o := object{"schemas": []any{groupSchema}}
	for _, name := range []string{"id", "externalId", "displayName"} {
		if value := viewGroup(g, nil)(name); value != nil {
			o[name] = value
		}
	}
	if p.shows(find(groups.attributes, "members")) && len(members) > 0 {
		o["members"] = membersOf(members, c.base)
	}
	o["meta"] = metaOf(groups, g.CreatedAt, g.UpdatedAt, c.address(groups, idOf(g.ID)), version(revision))
	return p.of(groups, o), revision
}

// sendGroup answers with a group; whoever has seen it as it is learns that alone.
func (c *call) sendGroup(status int, g *latchward.Group, seen ...string) error {
	members, err := c.service.Members(c.r.Context(), g.ID)
	if err != nil {
		return err
	}
	q := c.r.URL.Query()
	o, revision := c.renderGroup(g, members, project(groups, q["attributes"], q["excludedAttributes"]))
	header := c.w.Header()
	header.Set("ETag", version(revision))
	if slices.Contains(seen, revision) {
		status = http.StatusNotModified
	}
	switch status {
	case http.StatusNoContent, http.StatusNotModified:
		c.w.WriteHeader(status)
		return nil
	case http.StatusCreated:
		header.Set("Location", c.address(groups, idOf(g.ID)))
	default:
		header.Set("Content-Location", c.address(groups, idOf(g.ID)))
	}
	return write(c.w, status, o)
}

func (c *call) getGroup() error {
	g, err := c.group()
	if err != nil {
		return err
	}
	seen, err := tags(c.r, "If-None-Match")
	if err != nil {
		return err
	}
	return c.sendGroup(http.StatusOK, g, seen...)
}

func (c *call) createGroup() error {
	o, err := readObject(c.w, c.r)
	if err != nil {
		return err
	}
	if err := wantSchema(o, groupSchema); err != nil {
		return err
	}
	w, err := wantedGroup(o)
	if err != nil {
		return err
	}
	if err := c.checkTitle(*w.title, 0); err != nil {
		return err
	}
	n := latchward.NewGroup{Title: *w.title, DirectoryID: *w.id}
	if w.members != nil {
		n.Members = *w.members
	}
	g, err := c.addGroup(n)
	if err != nil {
		return err
	}
	return c.sendGroup(http.StatusCreated, g)
}

// addGroup creates a group under the first name for its title that is free.
func (c *call) addGroup(n latchward.NewGroup) (g *latchward.Group, err error) {
	for _, n.Name = range namesFor(n.Title) {
		g, err = c.service.CreateGroup(c.r.Context(), n)
		if latchward.ErrorCode(err) != latchward.CodeConflict || latchward.ErrorField(err) != "name" {
			break
		}
	}
	return g, err
}

// checkTitle refuses a name that another group is shown under: directories find groups by it, and a request that was
// sent twice must not make two.
func (c *call) checkTitle(title string, but latchward.GroupID) error {
	taken := false
	err := c.eachGroup(func(g *latchward.Group) bool {
		taken = g.ID != but && strings.EqualFold(g.DisplayName(), title)
		return !taken
	})
	if err == nil && taken {
		err = &fault{status: http.StatusConflict, kind: uniqueness, text: "Another group has this displayName."}
	}
	return err
}

// eachGroup calls f with every group, as long as it returns true.
func (c *call) eachGroup(f func(*latchward.Group) bool) error {
	filter := latchward.GroupFilter{Limit: maxCount}
	for {
		page, err := c.service.Groups(c.r.Context(), filter)
		for _, g := range page {
			if !f(g) {
				return nil
			}
			filter.After = g.ID
		}
		if err != nil || len(page) < filter.Limit {
			return err
		}
	}
}

func (c *call) replaceGroup() error {
	o, err := readObject(c.w, c.r)
	if err != nil {
		return err
	}
	if err := wantSchema(o, groupSchema); err != nil {
		return err
	}
	return c.changeGroup(http.StatusOK, func(*latchward.Group) (*groupWanted, error) { return wantedGroup(o) })
}

// patchGroup answers without a body, unless it was asked for attributes: a group may have many members.
func (c *call) patchGroup() error {
	o, err := readObject(c.w, c.r)
	if err != nil {
		return err
	}
	list, err := operations(o)
	if err != nil {
		return err
	}
	status := http.StatusNoContent
	if c.r.URL.Query().Has("attributes") {
		status = http.StatusOK
	}
	return c.changeGroup(status, func(g *latchward.Group) (*groupWanted, error) {
		return patchedGroup(list, g, func() ([]latchward.UserID, error) {
			return c.service.Members(c.r.Context(), g.ID)
		})
	})
}

// changeGroup changes a group and its members in one. What is said of members holds whoever else changes them;
// everything else is as in changeUser.
func (c *call) changeGroup(status int, edit func(g *latchward.Group) (*groupWanted, error)) error {
	conditions, err := tags(c.r, "If-Match")
	if err != nil {
		return err
	}
	for range rounds {
		g, err := c.group()
		if err != nil {
			return err
		}
		w, err := edit(g)
		if err != nil {
			return err
		}
		change, changes := w.update(g)
		if !changes {
			return c.sendUnchanged(status, g, conditions)
		}
		if change.Title != nil {
			if err := c.checkTitle(*change.Title, g.ID); err != nil {
				return err
			}
		}
		if change.Revisions = conditions; conditions == nil {
			change.Revisions = []string{g.Revision()}
		}
		if g, err = c.service.UpdateGroup(c.r.Context(), g.ID, change); err == nil {
			return c.sendGroup(status, g)
		}
		if conditions != nil || !errors.Is(err, latchward.ErrChanged) {
			return err
		}
	}
	return errBusy
}

// sendUnchanged answers a change that changes nothing, if its condition holds.
func (c *call) sendUnchanged(status int, g *latchward.Group, conditions []string) error {
	if conditions == nil {
		return c.sendGroup(status, g)
	}
	members, err := c.service.Members(c.r.Context(), g.ID)
	if err != nil {
		return err
	}
	if !slices.Contains(conditions, g.RevisionWith(members)) {
		return errStale
	}
	return c.sendGroup(status, g)
}

func (c *call) deleteGroup() error {
	if err := c.unconditional(); err != nil {
		return err
	}
	g, err := c.group()
	if err != nil {
		return err
	}
	if err := c.service.RemoveGroup(c.r.Context(), g.ID); err != nil {
		return err
	}
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

func (c *call) listGroups() error {
	s, err := searchIn(groups, c.r.URL.Query())
	if err != nil {
		return err
	}
	return c.findGroups(s)
}

func (c *call) searchGroups() error {
	s, err := c.searchBody(groups)
	if err != nil {
		return err
	}
	return c.findGroups(s)
}

func (c *call) findGroups(s *search) error {
	var page []*latchward.Group
	var total int64
	var failed error
	err := c.eachGroup(func(g *latchward.Group) bool {
		members := func() []latchward.UserID {
			ids, err := c.service.Members(c.r.Context(), g.ID)
			failed = errors.Join(failed, err)
			return ids
		}
		if s.filter == nil || s.filter.matches(viewGroup(g, members)) {
			if total++; total >= int64(s.start) && len(page) < s.count {
				page = append(page, g)
			}
		}
		return failed == nil
	})
	if err = errors.Join(err, failed); err != nil {
		return err
	}
	shown := 0
	resources := []object{}
	for _, g := range page {
		members, err := c.service.Members(c.r.Context(), g.ID)
		if err != nil {
			return err
		}
		o, _ := c.renderGroup(g, members, s.shown)
		resources = append(resources, o)
		if shown += len(listOf(o["members"])); shown >= maxShownMembers {
			break
		}
	}
	return c.sendList(s, total, resources)
}
