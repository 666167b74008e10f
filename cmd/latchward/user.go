package main

import (
	"context"
	"fmt"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/rest"
)

type userCommands struct {
	Add     userAdd     `cmd:"" help:"Add a user."`
	List    userList    `cmd:"" help:"List users."`
	Show    userShow    `cmd:"" help:"Show a user."`
	Update  userUpdate  `cmd:"" help:"Change a user; what is not named stays."`
	Disable userDisable `cmd:"" help:"Stop a user, and all tokens of the user, from working."`
	Enable  userEnable  `cmd:"" help:"Let a disabled user, and the tokens, work again."`
	Code    userCode    `cmd:"" name:"password-code" help:"Let a user set a password on the sign-in page, once within a day."`
	Reset   userReset   `cmd:"" name:"reset-second-factor" help:"Turn codes off for a user who lost the authenticator app."`
	SignOut userSignOut `cmd:"" name:"sign-out" help:"End all sessions of a user."`
	Rights  userRights  `cmd:"" help:"Show what a user holds, and from where."`
	Remove  userRemove  `cmd:"" help:"Remove a user and revoke all tokens of the user."`
}

type userAdd struct {
	Email      string  `arg:"" help:"E-mail of the user."`
	Name       string  `help:"Name of the user." placeholder:"TEXT"`
	Admin      bool    `help:"The user may manage everything."`
	ExternalID *string `help:"The sub of the user's JWTs; by default the e-mail." placeholder:"SUB"`
	heldFields
}

// Help implements kong.HelpProvider.
func (userAdd) Help() string {
	return `Examples:
  latchward user add --admin ada@example.com
  export ADMIN_JWT=$(latchward jwt --subject ada@example.com)
  latchward user add ben@example.com --name "Ben Beekeeper" --external-id auth0|5f7c8ec7`
}

func (c *userAdd) Run(ctx context.Context, s *session) error {
	asked := rest.NewUser{
		Email: rest.Some(c.Email), Name: rest.Some(c.Name), ExternalID: rest.Some(c.Email), Administrator: c.Admin,
	}
	given(&asked.ExternalID, c.ExternalID)
	c.set(&asked.Roles, &asked.Groups, &asked.Licenses)
	return s.with(ctx, func(client *rest.Client) error { return s.user(client.CreateUser(ctx, asked)) })
}

// user shows the reply of a call about one user.
func (s *session) user(reply rest.UserReply, err error) error {
	if err != nil {
		return err
	}
	return s.print(reply, userTable([]rest.User{reply.User}))
}

func userTable(users []rest.User) table {
	t := table{header: []string{
		"ID", "NAME", "E-MAIL", "EXTERNAL ID", "ADMINISTRATOR", "STATUS", "CREATED", "ROLES", "GROUPS", "LICENSES",
	}}
	for _, u := range users {
		status := "active"
		switch {
		case !u.RemovedAt.IsZero():
			status = "removed"
		case !u.Active:
			status = "disabled"
		}
		t.add(number(u.ID), optional(u.Name), optional(u.Email), optional(u.ExternalID), yes(u.Administrator), status,
			moment(u.CreatedAt, "-"), list(u.Roles, "-"), list(u.Groups, "-"), list(u.Licenses, "-"))
	}
	return t
}

type userList struct {
	Query   string `help:"Only those with this in the name, e-mail or external id." placeholder:"TEXT"`
	Role    string `help:"Only those who have this role themselves." placeholder:"NAME"`
	Group   string `help:"Only members of this group." placeholder:"NAME"`
	License string `help:"Only those with a seat of this license." placeholder:"NAME"`
	Removed bool   `help:"Removed users, too."`
	Limit   int    `help:"At most this many (default 1000)." placeholder:"N"`
	Cursor  string `help:"Continue a list where it was cut." placeholder:"CURSOR"`
}

func (c *userList) Run(ctx context.Context, s *session) error {
	return s.with(ctx, func(client *rest.Client) error {
		reply, err := client.Users(ctx, rest.UserQuery{
			Text: c.Query, IncludeRemoved: c.Removed, Limit: c.Limit, Cursor: c.Cursor,
			Role: c.Role, Group: c.Group, License: c.License,
		})
		if err != nil {
			return err
		}
		if err := s.print(reply, userTable(reply.Users)); err != nil {
			return err
		}
		return s.more(reply.NextCursor)
	})
}

type userShow struct {
	User string `arg:"" help:"Id or e-mail of the user."`
}

func (c *userShow) Run(ctx context.Context, s *session) error {
	return s.onUser(ctx, c.User, func(client *rest.Client, id int64) error { return s.user(client.User(ctx, id)) })
}

// onUser calls f with the id of a user given by id or e-mail.
func (s *session) onUser(ctx context.Context, user string, f func(*rest.Client, int64) error) error {
	return s.with(ctx, func(client *rest.Client) error {
		id, err := userID(ctx, client, user)
		if err != nil {
			return err
		}
		return f(client, id)
	})
}

type userUpdate struct {
	User       string  `arg:"" help:"Id or e-mail of the user."`
	Name       *string `help:"New name." placeholder:"TEXT"`
	Email      *string `help:"New e-mail." placeholder:"E-MAIL"`
	ExternalID *string `help:"New sub of the user's JWTs." placeholder:"SUB"`
	Admin      *bool   `help:"Whether the user may manage everything." negatable:""`
	heldFields
}

func (c *userUpdate) Run(ctx context.Context, s *session) error {
	change := rest.UserChange{Administrator: c.Admin}
	given(&change.Name, c.Name)
	given(&change.Email, c.Email)
	given(&change.ExternalID, c.ExternalID)
	c.set(&change.Roles, &change.Groups, &change.Licenses)
	return s.changeUser(ctx, c.User, change)
}

func (s *session) changeUser(ctx context.Context, user string, change rest.UserChange) error {
	return s.onUser(ctx, user, func(client *rest.Client, id int64) error {
		return s.user(client.UpdateUser(ctx, id, change))
	})
}

type userDisable struct {
	User string `arg:"" help:"Id or e-mail of the user."`
}

func (c *userDisable) Run(ctx context.Context, s *session) error {
	active := false
	return s.changeUser(ctx, c.User, rest.UserChange{Active: &active})
}

type userEnable struct {
	User string `arg:"" help:"Id or e-mail of the user."`
}

func (c *userEnable) Run(ctx context.Context, s *session) error {
	active := true
	return s.changeUser(ctx, c.User, rest.UserChange{Active: &active})
}

type userCode struct {
	User  string `arg:"" help:"Id or e-mail of the user."`
	Quiet bool   `short:"q" help:"Print the code alone."`
}

func (c *userCode) Run(ctx context.Context, s *session) error {
	return s.onUser(ctx, c.User, func(client *rest.Client, id int64) error {
		reply, err := client.IssuePasswordCode(ctx, id)
		if err != nil {
			return err
		}
		if c.Quiet {
			_, err = fmt.Fprintln(s.out, reply.Code.Expose())
			return err
		}
		codes := table{header: []string{"CODE", "GOOD UNTIL"}}
		codes.add(reply.Code.Expose(), moment(reply.EndsAt, "-"))
		return s.print(reply, codes)
	})
}

type userReset struct {
	User string `arg:"" help:"Id or e-mail of the user."`
}

func (c *userReset) Run(ctx context.Context, s *session) error {
	return s.onUser(ctx, c.User, func(client *rest.Client, id int64) error {
		return s.said(client.ResetSecondFactor(ctx, id))
	})
}

type userSignOut struct {
	User string `arg:"" help:"Id or e-mail of the user."`
}

func (c *userSignOut) Run(ctx context.Context, s *session) error {
	return s.onUser(ctx, c.User, func(client *rest.Client, id int64) error { return s.said(client.EndSessions(ctx, id)) })
}

type userRemove struct {
	User string `arg:"" help:"Id or e-mail of the user."`
	Yes  bool   `short:"y" help:"Yes, revoke all tokens of the user for good."`
}

func (c *userRemove) Run(ctx context.Context, s *session) error {
	return s.onUser(ctx, c.User, func(client *rest.Client, id int64) error {
		if !c.Yes {
			return latchward.Errorf(latchward.CodeConflict, "removing user %d revokes all tokens of the user for good: "+
				"add --yes if that is meant, or disable the user", id)
		}
		return s.said(client.RemoveUser(ctx, id))
	})
}
