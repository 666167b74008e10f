package main

import (
	"context"
	"strconv"
	"strings"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/rest"
)

type keysCommands struct {
	Status keysStatus `cmd:"" help:"List the server keys and how many tokens depend on each."`
	Rotate keysRotate `cmd:"" help:"Make new secrets under a new server key; old ones stay valid."`
	Drop   keysDrop   `cmd:"" help:"Forget a retired server key: secrets made under it are refused from then on."`

	Signing signingCommands `cmd:"" help:"Show and rotate the keys with which Latchward signs."`
}

type keysStatus struct{}

func (c *keysStatus) Run(ctx context.Context, s *session) error {
	return s.with(ctx, func(client *rest.Client) error { return s.keys(client.KeyStatus(ctx)) })
}

func (s *session) keys(reply rest.KeyList, err error) error {
	if err != nil {
		return err
	}
	t := table{header: []string{"VERSION", "STATE", "CREATED", "FINGERPRINT", "TOKENS", "RETIRING"}}
	for _, k := range reply.Keys {
		state := "retired"
		if k.Current {
			state = "current"
		}
		t.add("v"+strconv.Itoa(k.Version), state, moment(k.CreatedAt, "-"), k.Fingerprint, number(k.Tokens), number(k.Retiring))
	}
	return s.print(reply, t)
}

type keysRotate struct{}

func (c *keysRotate) Run(ctx context.Context, s *session) error {
	return s.with(ctx, func(client *rest.Client) error { return s.keys(client.RotateKey(ctx)) })
}

type keysDrop struct {
	Version string `arg:"" help:"Version of the key, as keys status shows it."`
	Yes     bool   `short:"y" help:"Yes, refuse all tokens that depend on it."`
}

// Run shows which tokens would stop working before it lets that happen.
func (c *keysDrop) Run(ctx context.Context, s *session) error {
	version, err := strconv.Atoi(strings.TrimPrefix(c.Version, "v"))
	if err != nil {
		return latchward.Invalid("version", "must be that of a key, as keys status shows it")
	}
	return s.with(ctx, func(client *rest.Client) error {
		if !c.Yes {
			if err := s.dependents(ctx, client, version); err != nil {
				return err
			}
		}
		return s.keys(client.DropKey(ctx, version))
	})
}

// dependentsShown is how many tokens that depend on a key are shown before it is dropped.
const dependentsShown = 20

// dependents lists the tokens that need a key, the first of them, and returns an error if there are any.
func (s *session) dependents(ctx context.Context, client *rest.Client, version int) error {
	status, err := client.KeyStatus(ctx)
	if err != nil {
		return err
	}
	var dependent int64
	for _, k := range status.Keys {
		if k.Version == version {
			dependent = k.Tokens + k.Retiring
		}
	}
	if dependent == 0 {
		return nil
	}
	page, err := client.Tokens(ctx, rest.TokenQuery{ServerKey: version, Limit: dependentsShown})
	if err != nil {
		return err
	}
	t := tokenTable(page.Tokens)
	if err := t.write(s.err); err != nil {
		return err
	}
	return latchward.Errorf(latchward.CodeConflict, "%d tokens depend on server key v%d and would be refused (latchward token "+
		"list --server-key %d): rotate them first, or add --yes", dependent, version, version)
}
