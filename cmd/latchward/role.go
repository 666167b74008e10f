package main

import (
	"context"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/rest"
)

type roleCommands struct {
	List   roleList   `cmd:"" help:"List roles."`
	Show   roleShow   `cmd:"" help:"Show a role."`
	Create roleCreate `cmd:"" help:"Make a role."`
	Update roleUpdate `cmd:"" help:"Change a role, for everybody who has it; what is not named stays."`
	Delete roleDelete `cmd:"" help:"Take a role from everybody who has it."`
}

type roleList struct{}

func (c *roleList) Run(ctx context.Context, s *session) error {
	return s.with(ctx, func(client *rest.Client) error {
		reply, err := client.Roles(ctx)
		if err != nil {
			return err
		}
		return s.print(reply, roleTable(reply.Roles))
	})
}

func roleTable(roles []rest.Role) table {
	t := table{header: []string{"ID", "NAME", "TITLE", "BUILT IN", "PERMISSIONS"}}
	for _, r := range roles {
		t.add(number(r.ID), r.Name, optional(r.Title), yes(r.BuiltIn), list(r.Permissions, "none"))
	}
	return t
}

// role shows the reply of a call about one role.
func (s *session) role(reply rest.RoleReply, err error) error {
	if err != nil {
		return err
	}
	return s.print(reply, roleTable([]rest.Role{reply.Role}))
}

// onRole calls f with the id of a role given by name or id.
func (s *session) onRole(ctx context.Context, role string, f func(*rest.Client, int64) error) error {
	return s.with(ctx, func(client *rest.Client) error {
		id, err := idOf(role, "role", func() ([]named, error) {
			reply, err := client.Roles(ctx)
			return namedOf(reply.Roles, func(r rest.Role) named { return named{r.ID, r.Name} }), err
		})
		if err != nil {
			return err
		}
		return f(client, id)
	})
}

type roleShow struct {
	Role string `arg:"" help:"Name or id of the role."`
}

func (c *roleShow) Run(ctx context.Context, s *session) error {
	return s.onRole(ctx, c.Role, func(client *rest.Client, id int64) error { return s.role(client.Role(ctx, id)) })
}

type roleCreate struct {
	Name        string   `arg:"" help:"Name by which programs ask for it, such as editor."`
	Title       *string  `help:"Name for people to read." placeholder:"TEXT"`
	Description *string  `help:"What it is for." placeholder:"TEXT"`
	Permission  []string `help:"Grant: resource.action, resource.*, *.action or *; may be repeated." placeholder:"GRANT"`
}

func (c *roleCreate) Run(ctx context.Context, s *session) error {
	asked := rest.NewRole{Name: c.Name}
	given(&asked.Title, c.Title)
	given(&asked.Description, c.Description)
	givenList(&asked.Permissions, c.Permission)
	return s.with(ctx, func(client *rest.Client) error { return s.role(client.CreateRole(ctx, asked)) })
}

type roleUpdate struct {
	Role          string   `arg:"" help:"Name or id of the role."`
	Name          *string  `help:"New name." placeholder:"NAME"`
	Title         *string  `help:"New title." placeholder:"TEXT"`
	Description   *string  `help:"New description." placeholder:"TEXT"`
	Permission    []string `help:"All that it grants from now on; may be repeated." placeholder:"GRANT"`
	NoPermissions bool     `help:"It grants nothing from now on."`
}

func (c *roleUpdate) Run(ctx context.Context, s *session) error {
	change := rest.RoleChange{Name: c.Name}
	given(&change.Title, c.Title)
	given(&change.Description, c.Description)
	if err := givenOrNone(&change.Permissions, "permissions", c.Permission, c.NoPermissions); err != nil {
		return err
	}
	return s.onRole(ctx, c.Role, func(client *rest.Client, id int64) error {
		return s.role(client.UpdateRole(ctx, id, change))
	})
}

type roleDelete struct {
	Role string `arg:"" help:"Name or id of the role."`
}

func (c *roleDelete) Run(ctx context.Context, s *session) error {
	return s.onRole(ctx, c.Role, func(client *rest.Client, id int64) error { return s.said(client.DeleteRole(ctx, id)) })
}

// givenOrNone sets a list to what was named, or to nothing if that was asked for.
func givenOrNone(member *rest.Optional[[]string], what string, values []string, none bool) error {
	if none && len(values) > 0 {
		return latchward.Invalid(what, "name some, or say that there are to be none, but not both")
	}
	givenList(member, values)
	if none {
		*member = rest.Some([]string{})
	}
	return nil
}
