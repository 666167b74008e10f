package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/rest"
)

type meCommands struct {
	Show   meShow   `cmd:"" default:"1" help:"Show what the token is, and what it may do."`
	Usage  meUsage  `cmd:"" help:"Show what the token did."`
	Rotate meRotate `cmd:"" help:"Give the token a new secret, if its policy lets holders do so, and print it."`
	Revoke meRevoke `cmd:"" help:"End the token for good. Nothing tells whether there was one."`
}

// Help implements kong.HelpProvider.
func (meCommands) Help() string {
	return `The token is its secret in LATCHWARD_TOKEN, or the first line on standard input: as an argument, other users of the
machine would see it.

Examples:
  LATCHWARD_TOKEN=$TOKEN latchward me --server https://tokens.example.com
  latchward me revoke < found.txt`
}

// tokenVariable is where the commands about one's own token find it.
const tokenVariable = "LATCHWARD_TOKEN"

// secret reads the token that a command is about.
func (s *session) secret() (latchward.Secret, error) {
	text := os.Getenv(tokenVariable)
	if text == "" && !terminal(s.in) {
		line, err := bufio.NewReader(io.LimitReader(s.in, rest.MaxBody)).ReadString('\n')
		if err != nil && err != io.EOF {
			return latchward.Secret{}, fmt.Errorf("reading the token from standard input: %w", err)
		}
		text = line
	}
	if text = strings.TrimSpace(text); text == "" {
		return latchward.Secret{}, latchward.Invalid(tokenVariable, "%s must hold the token, or standard input must", tokenVariable)
	}
	return latchward.SecretFromText(text), nil
}

// asHolder calls f with a client that presents the token which the command is about.
func (s *session) asHolder(ctx context.Context, f func(*rest.Client) error) error {
	secret, err := s.secret()
	if err != nil {
		return err
	}
	return s.with(ctx, func(client *rest.Client) error { return f(client.As(secret)) })
}

type meShow struct{}

func (c *meShow) Run(ctx context.Context, s *session) error {
	return s.asHolder(ctx, func(client *rest.Client) error {
		reply, err := client.HeldToken(ctx)
		if err != nil {
			return err
		}
		for _, warning := range reply.Token.Warnings {
			fmt.Fprintln(s.err, "latchward: note: "+warning)
		}
		return s.print(reply, heldDetails(&reply.Token))
	})
}

func heldDetails(t *rest.HeldToken) table {
	details := table{header: []string{"ID", number(t.ID)}}
	permissions := list(t.Rights.Permissions, "none")
	if t.Rights.Bound != nil {
		permissions += ", as far as its owner holds them"
	}
	var licenses []string
	for _, l := range t.Rights.Licenses {
		licenses = append(licenses, l.Name)
	}
	for _, row := range [][2]string{
		{"Name", t.Name}, {"Kind", string(t.Kind)}, {"Owner", fmt.Sprintf("%s %d", t.Owner.Type, t.Owner.ID)},
		{"Secret", begins(t.Prefix)}, {"Secret ends", moment(t.SecretEndsAt, "-")}, {"Permissions", permissions},
		{"Roles", list(t.Rights.Roles, "-")}, {"Groups", list(t.Rights.Groups, "-")}, {"Licenses", list(licenses, "-")},
		{"Endpoints", list(t.AllowedEndpoints, "all")}, {"Networks", list(t.AllowedNetworks, "all")},
		{"Expires", moment(t.ExpiresAt, "never")}, {"Goes idle", moment(t.IdleAt, "never")},
		{"Last used", moment(t.LastUsedAt, "never")},
	} {
		details.add(row[0], row[1])
	}
	for _, l := range t.Limits {
		details.add("Limit", fmt.Sprintf("%d of %d left in %d seconds (%s)", l.Remaining, l.Limit, l.Window, l.Name))
	}
	if t.Retiring != nil {
		details.add("Old secret until", retiringText(t.Retiring))
	}
	return details
}

type meUsage struct {
	Days int `help:"How far back, in days." default:"7"`
}

func (c *meUsage) Run(ctx context.Context, s *session) error {
	return s.asHolder(ctx, func(client *rest.Client) error {
		reply, err := client.HeldUsage(ctx, c.Days)
		if err != nil {
			return err
		}
		return s.print(reply, usageTables(&reply)...)
	})
}

type meRotate struct {
	Grace      *time.Duration `help:"How long the old secret goes on working, such as 24h, at most 90 days; by default until the new one is used." placeholder:"TIME"`
	AtFirstUse bool           `help:"End the old secret when the new one is first used, and after the grace at the latest."`
	RequestKey string         `help:"A text of your choice; repeating the command with the same key leaves one entry in the audit log." placeholder:"TEXT"`
	Quiet      bool           `short:"q" help:"Print the new secret alone."`
}

func (c *meRotate) Run(ctx context.Context, s *session) error {
	rotation := rest.Rotation{RequestKey: rest.RequestKey{RequestKey: c.RequestKey}}
	if c.Grace != nil {
		if *c.Grace%time.Second != 0 {
			return latchward.Invalid("--grace", "must be whole seconds")
		}
		rotation.GraceSeconds = rest.Some(int64(*c.Grace / time.Second))
	}
	if c.AtFirstUse {
		rotation.OldDies = rest.Some(rest.OldDiesAtFirstUse)
	}
	return s.asHolder(ctx, func(client *rest.Client) error {
		reply, err := client.RotateHeld(ctx, rotation)
		if err != nil {
			return err
		}
		return s.rotated(reply, c.Quiet)
	})
}

// rotated shows a token with its new secret.
func (s *session) rotated(reply rest.RotatedReply, quiet bool) error {
	if quiet {
		_, err := fmt.Fprintln(s.out, reply.Token.Secret.Expose())
		return err
	}
	if s.cli.Output == "json" {
		return s.print(reply)
	}
	until := "now"
	if reply.Token.Retiring != nil {
		until = retiringText(reply.Token.Retiring)
	}
	_, err := fmt.Fprintf(s.out, "%s\n\n%s\nThe old secret works until %s.\n", reply.Token.Secret.Expose(), reply.Message, until)
	return err
}

type meRevoke struct{}

func (c *meRevoke) Run(ctx context.Context, s *session) error {
	secret, err := s.secret()
	if err != nil {
		return err
	}
	return s.with(ctx, func(client *rest.Client) error { return s.said(client.RevokeHeld(ctx, secret)) })
}
