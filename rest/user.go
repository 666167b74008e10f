package rest

import (
	"context"

	"github.com/latchward/latchward"
)

// User is a person as the API shows them.
type User struct {
	ID            int64    `json:"id"`
	ExternalID    *string  `json:"external_id" doc:"The sub by which the host application knows the person."`
	Email         *string  `json:"email"`
	Name          *string  `json:"name"`
	Administrator bool     `json:"administrator" doc:"May manage everything: has the role administrator."`
	Active        bool     `json:"active" doc:"While false, none of the person's tokens verifies."`
	CreatedAt     Time     `json:"created_at"`
	UpdatedAt     Time     `json:"updated_at"`
	RemovedAt     Time     `json:"removed_at" null:"true"`
	Roles         []string `json:"roles" doc:"Names."`
	Groups        []string `json:"groups" doc:"Names of those of which the user is a member."`
	Licenses      []string `json:"licenses" doc:"Names of those of which the user has a seat."`
}

// UserReply answers with one user.
type UserReply struct {
	User User `json:"user"`
	Revision
}

// UserList is one page of users, in the order of their ids.
type UserList struct {
	Users      []User  `json:"users"`
	NextCursor *string `json:"next_cursor" doc:"Where the next page begins; null at the end."`
}

// NewUser asks for a user. At least one of email, name and external_id must be given.
type NewUser struct {
	ExternalID    Optional[string]   `json:"external_id,omitzero"`
	Email         Optional[string]   `json:"email,omitzero"`
	Name          Optional[string]   `json:"name,omitzero"`
	Administrator bool               `json:"administrator,omitzero" doc:"Has that role, beside roles."`
	Roles         Optional[[]string] `json:"roles,omitzero" doc:"Names."`
	Groups        Optional[[]string] `json:"groups,omitzero" doc:"Names."`
	Licenses      Optional[[]string] `json:"licenses,omitzero" doc:"Names."`
}

// UserChange changes a user: what is left out stays, null clears.
type UserChange struct {
	ExternalID    Optional[string]   `json:"external_id,omitzero"`
	Email         Optional[string]   `json:"email,omitzero"`
	Name          Optional[string]   `json:"name,omitzero"`
	Administrator *bool              `json:"administrator,omitempty" null:"false"`
	Active        *bool              `json:"active,omitempty" null:"false"`
	Roles         Optional[[]string] `json:"roles,omitzero" doc:"Names."`
	Groups        Optional[[]string] `json:"groups,omitzero" doc:"Names."`
	Licenses      Optional[[]string] `json:"licenses,omitzero" doc:"Names."`
	Revision
}

// UserQuery selects users. The zero value of a field does not filter.
type UserQuery struct {
	Limit          int    `json:"limit,omitzero" range:"1,1000" doc:"At most this many; 1000 when missing."`
	Cursor         string `json:"cursor,omitzero" doc:"next_cursor of the page before."`
	Text           string `json:"q,omitzero" doc:"Part of the name, e-mail or external id."`
	Role           string `json:"role,omitzero" doc:"Name of a role that the user has directly."`
	Group          string `json:"group,omitzero" doc:"Name of a group of which the user is a member."`
	License        string `json:"license,omitzero" doc:"Name of a license of which the user has a seat."`
	IncludeRemoved bool   `json:"include_removed,omitzero"`
}

func (h *handler) userOf(ctx context.Context, u *latchward.User) (User, error) {
	names, err := h.service.Names(ctx, u.Roles, u.Groups, u.Licenses)
	return User{
		ID: int64(u.ID), ExternalID: textOrNull(u.ExternalID), Email: textOrNull(u.Email), Name: textOrNull(u.Name),
		Administrator: u.Administrator(), Active: u.Active,
		Roles: names.Roles, Groups: names.Groups, Licenses: names.Licenses,
		CreatedAt: Time{u.CreatedAt}, UpdatedAt: Time{u.UpdatedAt}, RemovedAt: Time{u.RemovedAt},
	}, err
}

func (h *handler) userReply(ctx context.Context, u *latchward.User, err error) (UserReply, error) {
	if err != nil {
		return UserReply{}, err
	}
	user, err := h.userOf(ctx, u)
	return UserReply{user, Revision{u.Revision()}}, err
}

func (h *handler) createUser(ctx context.Context, in request[none, NewUser]) (UserReply, error) {
	n := &in.Body
	u, err := h.service.CreateUser(ctx, latchward.NewUser{
		ExternalID: n.ExternalID.Value, Email: n.Email.Value, Name: n.Name.Value, Administrator: n.Administrator,
		Roles: n.Roles.Value, Groups: n.Groups.Value, Licenses: n.Licenses.Value,
	})
	return h.userReply(ctx, u, err)
}

func (h *handler) updateUser(ctx context.Context, in request[none, UserChange]) (UserReply, error) {
	c := &in.Body
	u, err := h.service.UpdateUser(ctx, latchward.UserID(in.ID), latchward.UserUpdate{
		ExternalID: c.ExternalID.change(), Email: c.Email.change(), Name: c.Name.change(),
		Administrator: c.Administrator, Active: c.Active,
		Roles: c.Roles.change(), Groups: c.Groups.change(), Licenses: c.Licenses.change(), Revisions: in.Revisions,
	})
	return h.userReply(ctx, u, err)
}

func (h *handler) user(ctx context.Context, in request[none, none]) (UserReply, error) {
	u, err := h.service.User(ctx, latchward.UserID(in.ID))
	return h.userReply(ctx, u, err)
}

func (h *handler) removeUser(ctx context.Context, in request[none, none]) (Message, error) {
	err := h.service.RemoveUser(ctx, latchward.UserID(in.ID))
	return Message{"User removed; all of the user's tokens are revoked"}, err
}

func (h *handler) users(ctx context.Context, in request[UserQuery, none]) (UserList, error) {
	q := in.Query
	f := latchward.UserFilter{Query: q.Text, IncludeRemoved: q.IncludeRemoved, Limit: q.Limit}
	q.Limit, q.Cursor = 0, ""
	list := h.list(ctx, "users", q)
	if err := list.after(in.Query.Cursor, &f.After); err != nil {
		return UserList{}, err
	}
	named, err := h.service.Find(ctx, q.Role, q.Group, q.License)
	if err != nil {
		return UserList{}, err
	}
	f.Role, f.Group, f.License = named.Role, named.Group, named.License
	users, more, err := page(f.Limit, func(limit int, after *latchward.User) ([]*latchward.User, error) {
		f := f
		if f.Limit = limit; after != nil {
			f.After = after.ID
		}
		return h.service.Users(ctx, f)
	})
	if err != nil {
		return UserList{}, err
	}
	reply := UserList{Users: make([]User, len(users))}
	for i, u := range users {
		if reply.Users[i], err = h.userOf(ctx, u); err != nil {
			return reply, err
		}
	}
	if more {
		reply.NextCursor, err = list.seal(users[len(users)-1].ID)
	}
	return reply, err
}

// page reads one page and whether there is another, by asking for one more record when the page is full.
func page[T any](limit int, read func(limit int, after *T) ([]*T, error)) (records []*T, more bool, err error) {
	if limit == 0 {
		limit = latchward.MaxPage
	}
	records, err = read(limit, nil)
	if err != nil || len(records) < limit {
		return records, false, err
	}
	next, err := read(1, records[len(records)-1])
	return records, len(next) > 0, err
}
