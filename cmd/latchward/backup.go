package main

import (
	"context"
	"fmt"

	"github.com/latchward/latchward/server"
)

type backupCommand struct {
	File string `arg:"" help:"File to make; only you can read it."`
}

// Help implements kong.HelpProvider.
func (backupCommand) Help() string {
	return `A server may run meanwhile. The server keys are not in the backup: keep a copy of their file elsewhere,
because a backup is worth nothing without it.

Examples:
  latchward backup latchward-2030-01-31.backup`
}

func (c *backupCommand) Run(ctx context.Context, s *session) error {
	config, err := s.config(map[string]string{})
	if err != nil {
		return err
	}
	ctx, stop := untilSignal(ctx) // what is half written is removed
	defer stop()
	bar := newProgress(s.err, megabytes)
	backed, err := server.Backup(ctx, config, c.File, bar.set)
	bar.end()
	if err != nil {
		return err
	}
	if s.cli.Output == "json" {
		return s.print(map[string]any{
			"file": c.File, "bytes": backed.Bytes, "tokens": backed.Tokens, "users": backed.Users, "position": backed.Position,
		})
	}
	_, err = fmt.Fprintf(s.out, "%s: %d tokens and %d users, up to change %d; %d bytes, checked\n",
		c.File, backed.Tokens, backed.Users, backed.Position, backed.Bytes)
	return err
}
