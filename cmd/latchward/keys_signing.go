package main

import (
	"context"

	"github.com/latchward/latchward/rest"
)

type signingCommands struct {
	Status signingStatus `cmd:"" default:"1" help:"List the keys with which Latchward signs derived tokens and status lists."`
	Rotate signingRotate `cmd:"" help:"Sign with a new key soon; what was signed before lives to its end."`
}

type signingStatus struct{}

func (c *signingStatus) Run(ctx context.Context, s *session) error {
	return s.with(ctx, func(client *rest.Client) error { return s.signingKeys(client.SigningKeys(ctx)) })
}

func (s *session) signingKeys(reply rest.SigningKeyList, err error) error {
	if err != nil {
		return err
	}
	t := table{header: []string{"ID", "STATE", "SIGNS FROM", "UNTIL", "REVOKED"}}
	for _, k := range reply.Keys {
		state := string(k.State)
		if !k.Usable && k.RevokedAt.IsZero() {
			state += ", unusable"
		}
		t.add(k.ID, state, moment(k.ActiveFrom, "-"), moment(k.RetiresAt, "-"), moment(k.RevokedAt, "-"))
	}
	return s.print(reply, t)
}

type signingRotate struct {
	Emergency bool   `help:"A key is in wrong hands: refuse at once whatever was signed so far."`
	Key       string `help:"In an emergency: revoke this key alone." placeholder:"ID"`
}

func (c *signingRotate) Run(ctx context.Context, s *session) error {
	asked := rest.SigningRotation{}
	if c.Emergency {
		asked.Emergency = rest.Some(true)
	}
	if c.Key != "" {
		asked.ID = rest.Some(c.Key)
	}
	return s.with(ctx, func(client *rest.Client) error { return s.signingKeys(client.RotateSigningKey(ctx, asked)) })
}
