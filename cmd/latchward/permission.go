package main

import (
	"context"

	"github.com/latchward/latchward/rest"
)

type permissionCommands struct {
	List   permissionList   `cmd:"" help:"List what can be granted."`
	Save   permissionSave   `cmd:"" help:"Add a permission to the registry, or explain one anew."`
	Delete permissionDelete `cmd:"" help:"Take a permission out of the registry and of every role and token that names it."`
}

type permissionList struct{}

func (c *permissionList) Run(ctx context.Context, s *session) error {
	return s.with(ctx, func(client *rest.Client) error {
		reply, err := client.Permissions(ctx)
		if err != nil {
			return err
		}
		return s.print(reply, permissionTable(reply.Permissions))
	})
}

func permissionTable(permissions []rest.Permission) table {
	t := table{header: []string{"NAME", "TITLE", "BUILT IN"}}
	for _, p := range permissions {
		t.add(p.Name, optional(p.Title), yes(p.BuiltIn))
	}
	return t
}

type permissionSave struct {
	Name        string  `arg:"" help:"Name: resource.action."`
	Title       *string `help:"Name for people to read." placeholder:"TEXT"`
	Description *string `help:"What it allows." placeholder:"TEXT"`
}

func (c *permissionSave) Run(ctx context.Context, s *session) error {
	var text rest.PermissionText
	given(&text.Title, c.Title)
	given(&text.Description, c.Description)
	return s.with(ctx, func(client *rest.Client) error {
		reply, err := client.SavePermission(ctx, c.Name, text)
		if err != nil {
			return err
		}
		return s.print(reply, permissionTable([]rest.Permission{reply.Permission}))
	})
}

type permissionDelete struct {
	Name string `arg:"" help:"Name of the permission."`
}

func (c *permissionDelete) Run(ctx context.Context, s *session) error {
	return s.with(ctx, func(client *rest.Client) error { return s.said(client.DeletePermission(ctx, c.Name)) })
}
