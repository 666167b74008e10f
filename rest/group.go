package rest

import (
	"context"

	"github.com/latchward/latchward"
)

// Group is a set of users and service tokens as the API shows it.
type Group struct {
	ID          int64    `json:"id"`
	Name        string   `json:"name" doc:"By which programs ask for it."`
	Title       *string  `json:"title" doc:"For people to read."`
	Description *string  `json:"description"`
	Roles       []string `json:"roles" doc:"Names of the roles that its members have through it."`
	Active      bool     `json:"active" doc:"While false, it gives nothing and none of its tokens verifies."`
	CreatedAt   Time     `json:"created_at"`
	UpdatedAt   Time     `json:"updated_at"`
	RemovedAt   Time     `json:"removed_at" null:"true"`
}

// GroupReply answers with one group.
type GroupReply struct {
	Group Group `json:"group"`
	Revision
}

// GroupList is one page of groups, in the order of their ids.
type GroupList struct {
	Groups     []Group `json:"groups"`
	NextCursor *string `json:"next_cursor" doc:"Where the next page begins; null at the end."`
}

// NewGroup asks for a group.
type NewGroup struct {
	Name        string             `json:"name" doc:"Lower-case letters, digits, -, _ and ."`
	Title       Optional[string]   `json:"title,omitzero"`
	Description Optional[string]   `json:"description,omitzero"`
	Roles       Optional[[]string] `json:"roles,omitzero" doc:"Names."`
}

// GroupChange changes a group: what is left out stays, null clears.
type GroupChange struct {
	Name        *string            `json:"name,omitempty" null:"false"`
	Title       Optional[string]   `json:"title,omitzero"`
	Description Optional[string]   `json:"description,omitzero"`
	Roles       Optional[[]string] `json:"roles,omitzero" doc:"Names."`
	Active      *bool              `json:"active,omitempty" null:"false"`
	Revision
}

// GroupQuery selects groups. The zero value of a field does not filter.
type GroupQuery struct {
	Limit          int    `json:"limit,omitzero" range:"1,1000" doc:"At most this many; 1000 when missing."`
	Cursor         string `json:"cursor,omitzero" doc:"next_cursor of the page before."`
	Text           string `json:"q,omitzero" doc:"Part of the name or title."`
	Role           string `json:"role,omitzero" doc:"Name of a role that it has."`
	IncludeRemoved bool   `json:"include_removed,omitzero"`
}

func (h *handler) groupOf(ctx context.Context, g *latchward.Group) (Group, error) {
	names, err := h.service.Names(ctx, g.Roles, nil, nil)
	return Group{
		ID: int64(g.ID), Name: g.Name, Title: textOrNull(g.Title), Description: textOrNull(g.Description),
		Roles: names.Roles, Active: g.Active,
		CreatedAt: Time{g.CreatedAt}, UpdatedAt: Time{g.UpdatedAt}, RemovedAt: Time{g.RemovedAt},
	}, err
}

func (h *handler) groupReply(ctx context.Context, g *latchward.Group, err error) (GroupReply, error) {
	if err != nil {
		return GroupReply{}, err
	}
	group, err := h.groupOf(ctx, g)
	return GroupReply{group, Revision{g.Revision()}}, err
}

func (h *handler) group(ctx context.Context, in request[none, none]) (GroupReply, error) {
	g, err := h.service.Group(ctx, latchward.GroupID(in.ID))
	return h.groupReply(ctx, g, err)
}

func (h *handler) createGroup(ctx context.Context, in request[none, NewGroup]) (GroupReply, error) {
	g, err := h.service.CreateGroup(ctx, latchward.NewGroup{
		Name: in.Body.Name, Title: in.Body.Title.Value, Description: in.Body.Description.Value, Roles: in.Body.Roles.Value,
	})
	return h.groupReply(ctx, g, err)
}

func (h *handler) updateGroup(ctx context.Context, in request[none, GroupChange]) (GroupReply, error) {
	g, err := h.service.UpdateGroup(ctx, latchward.GroupID(in.ID), latchward.GroupUpdate{
		Name: in.Body.Name, Title: in.Body.Title.change(), Description: in.Body.Description.change(),
		Roles: in.Body.Roles.change(), Active: in.Body.Active, Revisions: in.Revisions,
	})
	return h.groupReply(ctx, g, err)
}

func (h *handler) removeGroup(ctx context.Context, in request[none, none]) (Message, error) {
	err := h.service.RemoveGroup(ctx, latchward.GroupID(in.ID))
	return Message{"Group removed; its tokens are revoked and it has no members any more"}, err
}

func (h *handler) addMember(ctx context.Context, in request[none, none]) (UserReply, error) {
	u, err := h.service.AddMember(ctx, latchward.GroupID(in.ID), latchward.UserID(in.Second))
	return h.userReply(ctx, u, err)
}

func (h *handler) removeMember(ctx context.Context, in request[none, none]) (UserReply, error) {
	u, err := h.service.RemoveMember(ctx, latchward.GroupID(in.ID), latchward.UserID(in.Second))
	return h.userReply(ctx, u, err)
}

func (h *handler) groups(ctx context.Context, in request[GroupQuery, none]) (GroupList, error) {
	q := in.Query
	f := latchward.GroupFilter{Query: q.Text, IncludeRemoved: q.IncludeRemoved, Limit: q.Limit}
	q.Limit, q.Cursor = 0, ""
	list := h.list(ctx, "groups", q)
	if err := list.after(in.Query.Cursor, &f.After); err != nil {
		return GroupList{}, err
	}
	named, err := h.service.Find(ctx, q.Role, "", "")
	if err != nil {
		return GroupList{}, err
	}
	f.Role = named.Role
	groups, more, err := page(f.Limit, func(limit int, after *latchward.Group) ([]*latchward.Group, error) {
		f := f
		if f.Limit = limit; after != nil {
			f.After = after.ID
		}
		return h.service.Groups(ctx, f)
	})
	if err != nil {
		return GroupList{}, err
	}
	reply := GroupList{Groups: make([]Group, len(groups))}
	for i, g := range groups {
		if reply.Groups[i], err = h.groupOf(ctx, g); err != nil {
			return reply, err
		}
	}
	if more {
		reply.NextCursor, err = list.seal(groups[len(groups)-1].ID)
	}
	return reply, err
}
