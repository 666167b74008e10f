package main

import (
	"context"
	"fmt"

	"github.com/latchward/latchward/server"
)

type migrateCommands struct {
	Status migrateStatus `cmd:"" help:"Show which schema the database has. No server may be running on it."`
	Up     migrateUp     `cmd:"" help:"Bring the schema up to date, as starting a server does; makes a database if there is none."`
}

type migrateStatus struct{}

func (migrateStatus) Run(ctx context.Context, s *session) error {
	c, err := s.config(map[string]string{})
	if err != nil {
		return err
	}
	status, err := server.Schema(ctx, c)
	if err != nil {
		return err
	}
	return s.schema(status)
}

type migrateUp struct{}

func (migrateUp) Run(ctx context.Context, s *session) error {
	c, err := s.config(map[string]string{})
	if err != nil {
		return err
	}
	if err := server.Migrate(ctx, c); err != nil {
		return err
	}
	status, err := server.Schema(ctx, c)
	if err != nil {
		return err
	}
	return s.schema(status)
}

func (s *session) schema(status server.SchemaStatus) error {
	if s.cli.Output == "json" {
		return s.print(map[string]any{
			"current": status.Current, "latest": status.Latest, "pending": append([]string{}, status.Pending...),
		})
	}
	text := fmt.Sprintf("schema %d of %d", status.Current, status.Latest)
	for _, name := range status.Pending {
		text += "\npending: " + name
	}
	_, err := fmt.Fprintln(s.out, text)
	return err
}
