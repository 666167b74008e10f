package rest

import (
	"context"

	"github.com/latchward/latchward"
)

// User is a person as the API shows them.
type User struct {
	ID            int64   `json:"id"`
	ExternalID    *string `json:"external_id" doc:"The sub by which the host application knows the person."`
	Email         *string `json:"email"`
	Name          *string `json:"name"`
	Administrator bool    `json:"administrator" doc:"May manage everything."`
	Active        bool    `json:"active" doc:"While false, none of the person's tokens verifies."`
	CreatedAt     Time    `json:"created_at"`
	UpdatedAt     Time    `json:"updated_at"`
	RemovedAt     Time    `json:"removed_at" null:"true"`
}

// UserReply answers with one user.
type UserReply struct {
	User User `json:"user"`
}

// UserList is one page of users, in the order of their ids.
type UserList struct {
	Users      []User  `json:"users"`
	NextCursor *string `json:"next_cursor" doc:"Where the next page begins; null at the end."`
}

// NewUser asks for a user. At least one of email, name and external_id must be given.
type NewUser struct {
	ExternalID    Optional[string] `json:"external_id,omitzero"`
	Email         Optional[string] `json:"email,omitzero"`
	Name          Optional[string] `json:"name,omitzero"`
	Administrator bool             `json:"administrator,omitzero"`
}

// UserChange changes a user: what is left out stays, null clears.
type UserChange struct {
	ExternalID    Optional[string] `json:"external_id,omitzero"`
	Email         Optional[string] `json:"email,omitzero"`
	Name          Optional[string] `json:"name,omitzero"`
	Administrator *bool            `json:"administrator,omitempty" null:"false"`
	Active        *bool            `json:"active,omitempty" null:"false"`
}

// UserQuery selects users. The zero value of a field does not filter.
type UserQuery struct {
	Limit          int    `json:"limit,omitzero" range:"1,1000" doc:"At most this many; 1000 when missing."`
	Cursor         string `json:"cursor,omitzero" doc:"next_cursor of the page before."`
	Text           string `json:"q,omitzero" doc:"Part of the name, e-mail or external id."`
	IncludeRemoved bool   `json:"include_removed,omitzero"`
}

func userOf(u *latchward.User) User {
	return User{
		ID: int64(u.ID), ExternalID: textOrNull(u.ExternalID), Email: textOrNull(u.Email), Name: textOrNull(u.Name),
		Administrator: u.Administrator(), Active: u.Active,
		CreatedAt: Time{u.CreatedAt}, UpdatedAt: Time{u.UpdatedAt}, RemovedAt: Time{u.RemovedAt},
	}
}

func userReply(u *latchward.User, err error) (UserReply, error) {
	if err != nil {
		return UserReply{}, err
	}
	return UserReply{userOf(u)}, nil
}

func (h *handler) createUser(ctx context.Context, in request[none, NewUser]) (UserReply, error) {
	return userReply(h.service.CreateUser(ctx, latchward.NewUser{
		ExternalID: in.Body.ExternalID.Value, Email: in.Body.Email.Value, Name: in.Body.Name.Value,
		Administrator: in.Body.Administrator,
	}))
}

func (h *handler) updateUser(ctx context.Context, in request[none, UserChange]) (UserReply, error) {
	return userReply(h.service.UpdateUser(ctx, latchward.UserID(in.ID), latchward.UserUpdate{
		ExternalID: in.Body.ExternalID.change(), Email: in.Body.Email.change(), Name: in.Body.Name.change(),
		Administrator: in.Body.Administrator, Active: in.Body.Active,
	}))
}

func (h *handler) user(ctx context.Context, in request[none, none]) (UserReply, error) {
	return userReply(h.service.User(ctx, latchward.UserID(in.ID)))
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
	if in.Query.Cursor != "" {
		if err := list.open(in.Query.Cursor, &f.After); err != nil {
			return UserList{}, err
		}
	}
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
		reply.Users[i] = userOf(u)
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
