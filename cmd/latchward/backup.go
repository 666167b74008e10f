package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

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
	bar, end := byteBar(s.err)
	backed, err := server.Backup(ctx, config, c.File, bar)
	end()
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

// byteBar returns what shows how much of something is written, if to is a terminal, and what ends its line.
func byteBar(to io.Writer) (show func(done, total int64), end func()) {
	file, ok := to.(*os.File)
	if !ok {
		return nil, func() {}
	}
	if info, err := file.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return nil, func() {}
	}
	shown := false
	show = func(done, total int64) {
		shown = true
		share := float64(done) / float64(max(1, total))
		full := int(share * barWidth)
		fmt.Fprintf(to, "\r[%s%s] %3.0f %%  %d MB", strings.Repeat("#", full), strings.Repeat("-", barWidth-full),
			100*share, done/1_000_000)
	}
	return show, func() {
		if shown {
			fmt.Fprintln(to)
		}
	}
}
