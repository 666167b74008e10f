package main

import (
	"context"

	"github.com/latchward/latchward/rest"
)

type groupCommands struct {
	List         groupList         `cmd:"" help:"List groups."`
	Show         groupShow         `cmd:"" help:"Show a group and its members."`
	Create       groupCreate       `cmd:"" help:"Make a group."`
	Update       groupUpdate       `cmd:"" help:"Change a group, for all its members; what is not named stays."`
	AddMember    groupAddMember    `cmd:"" name:"add-member" help:"Make a user a member."`
	RemoveMember groupRemoveMember `cmd:"" name:"remove-member" help:"Take a user out of a group."`
	Disable      groupDisable      `cmd:"" help:"Stop a group from giving anything, and its tokens from working."`
	Enable       groupEnable       `cmd:"" help:"Let a disabled group, and its tokens, work again."`
	Remove       groupRemove       `cmd:"" help:"Remove a group and revoke the tokens that it owns."`
}

type groupList struct {
	Query  string `help:"Only those with this in the name or title." placeholder:"TEXT"`
	Role   string `help:"Only those that have this role." placeholder:"NAME"`
	Limit  int    `help:"At most this many (default 1000)." placeholder:"N"`
	Cursor string `help:"Continue a list where it was cut." placeholder:"CURSOR"`
}

func (c *groupList) Run(ctx context.Context, s *session) error {
	return s.with(ctx, func(client *rest.Client) error {
		reply, err := client.Groups(ctx, rest.GroupQuery{Text: c.Query, Role: c.Role, Limit: c.Limit, Cursor: c.Cursor})
		if err != nil {
			return err
		}
		if err := s.print(reply, groupTable(reply.Groups)); err != nil {
			return err
		}
		return s.more(reply.NextCursor)
	})
}

func groupTable(groups []rest.Group) table {
	t := table{header: []string{"ID", "NAME", "TITLE", "ROLES", "STATUS", "CREATED"}}
	for _, g := range groups {
		status := "active"
		switch {
		case !g.RemovedAt.IsZero():
			status = "removed"
		case !g.Active:
			status = "disabled"
		}
		t.add(number(g.ID), g.Name, optional(g.Title), list(g.Roles, "none"), status, moment(g.CreatedAt, "-"))
	}
	return t
}

// group shows the reply of a call about one group.
func (s *session) group(reply rest.GroupReply, err error) error {
	if err != nil {
		return err
	}
	return s.print(reply, groupTable([]rest.Group{reply.Group}))
}

// onGroup calls f with the id of a group given by name or id.
func (s *session) onGroup(ctx context.Context, group string, f func(*rest.Client, int64) error) error {
	return s.with(ctx, func(client *rest.Client) error {
		id, err := groupID(ctx, client, group)
		if err != nil {
			return err
		}
		return f(client, id)
	})
}

type groupShow struct {
	Group string `arg:"" help:"Name or id of the group."`
}

func (c *groupShow) Run(ctx context.Context, s *session) error {
	return s.onGroup(ctx, c.Group, func(client *rest.Client, id int64) error {
		reply, err := client.Group(ctx, id)
		if err != nil || s.cli.Output == "json" {
			return s.group(reply, err)
		}
		members, err := client.Users(ctx, rest.UserQuery{Group: reply.Group.Name})
		if err != nil {
			return err
		}
		people := userTable(members.Users)
		people.before = "\n"
		return s.print(reply, groupTable([]rest.Group{reply.Group}), people)
	})
}

type groupCreate struct {
	Name        string   `arg:"" help:"Name by which programs ask for it, such as warehouse."`
	Title       *string  `help:"Name for people to read." placeholder:"TEXT"`
	Description *string  `help:"What it is for." placeholder:"TEXT"`
	Role        []string `help:"Role of all its members; may be repeated." placeholder:"NAME"`
}

func (c *groupCreate) Run(ctx context.Context, s *session) error {
	asked := rest.NewGroup{Name: c.Name}
	given(&asked.Title, c.Title)
	given(&asked.Description, c.Description)
	givenList(&asked.Roles, c.Role)
	return s.with(ctx, func(client *rest.Client) error { return s.group(client.CreateGroup(ctx, asked)) })
}

type groupUpdate struct {
	Group       string   `arg:"" help:"Name or id of the group."`
	Name        *string  `help:"New name." placeholder:"NAME"`
	Title       *string  `help:"New title." placeholder:"TEXT"`
	Description *string  `help:"New description." placeholder:"TEXT"`
	Role        []string `help:"All roles that its members have from now on; may be repeated." placeholder:"NAME"`
	NoRoles     bool     `help:"Its members have no roles from it from now on."`
}

func (c *groupUpdate) Run(ctx context.Context, s *session) error {
	change := rest.GroupChange{Name: c.Name}
	given(&change.Title, c.Title)
	given(&change.Description, c.Description)
	if err := givenOrNone(&change.Roles, "roles", c.Role, c.NoRoles); err != nil {
		return err
	}
	return s.changeGroup(ctx, c.Group, change)
}

func (s *session) changeGroup(ctx context.Context, group string, change rest.GroupChange) error {
	return s.onGroup(ctx, group, func(client *rest.Client, id int64) error {
		return s.group(client.UpdateGroup(ctx, id, change))
	})
}

type groupAddMember struct {
	Group string `arg:"" help:"Name or id of the group."`
	User  string `arg:"" help:"Id or e-mail of the user."`
}

func (c *groupAddMember) Run(ctx context.Context, s *session) error {
	return s.onMember(ctx, c.Group, c.User, func(client *rest.Client, group, user int64) error {
		return s.user(client.AddMember(ctx, group, user))
	})
}

type groupRemoveMember struct {
	Group string `arg:"" help:"Name or id of the group."`
	User  string `arg:"" help:"Id or e-mail of the user."`
}

func (c *groupRemoveMember) Run(ctx context.Context, s *session) error {
	return s.onMember(ctx, c.Group, c.User, func(client *rest.Client, group, user int64) error {
		return s.user(client.RemoveMember(ctx, group, user))
	})
}

func (s *session) onMember(
	ctx context.Context, group, user string, f func(client *rest.Client, group, user int64) error,
) error {
	return s.onGroup(ctx, group, func(client *rest.Client, groupID int64) error {
		id, err := userID(ctx, client, user)
		if err != nil {
			return err
		}
		return f(client, groupID, id)
	})
}

type groupDisable struct {
	Group string `arg:"" help:"Name or id of the group."`
}

func (c *groupDisable) Run(ctx context.Context, s *session) error {
	active := false
	return s.changeGroup(ctx, c.Group, rest.GroupChange{Active: &active})
}

type groupEnable struct {
	Group string `arg:"" help:"Name or id of the group."`
}

func (c *groupEnable) Run(ctx context.Context, s *session) error {
	active := true
	return s.changeGroup(ctx, c.Group, rest.GroupChange{Active: &active})
}

type groupRemove struct {
	Group string `arg:"" help:"Name or id of the group."`
}

func (c *groupRemove) Run(ctx context.Context, s *session) error {
	return s.onGroup(ctx, c.Group, func(client *rest.Client, id int64) error { return s.said(client.RemoveGroup(ctx, id)) })
}
