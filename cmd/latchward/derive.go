package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/oauth"
	"github.com/latchward/latchward/rest"
)

type tokenDerive struct {
	Audience    []string      `help:"For whom the JWT is to be; by default Latchward itself." placeholder:"URL" sep:"none"`
	Permissions []string      `name:"permission" help:"What it is to hold; by default all that the token does." placeholder:"PERMISSION" sep:"none"`
	Endpoints   []string      `name:"endpoint" help:"What it may call, among what the token may." placeholder:"PATTERN" sep:"none"`
	Lifetime    time.Duration `help:"How long it is to live, such as 60s; by default as long as the server lets it." placeholder:"TIME"`
	Quiet       bool          `short:"q" help:"Print the JWT alone."`
}

// Help implements kong.HelpProvider.
func (tokenDerive) Help() string {
	return `The token is its secret in LATCHWARD_TOKEN, or the first line on standard input. Deriving is a request of the token and
takes one unit of its limits. The JWT is refused as soon as the token is.

Examples:
  latchward token derive --permission orders.read --audience https://billing.example < token.txt
  curl -H "Authorization: Bearer $(latchward token derive -q < token.txt)" http://127.0.0.1:3010/api/products`
}

func (c *tokenDerive) Run(ctx context.Context, s *session) error {
	if c.Lifetime < 0 || c.Lifetime%time.Second != 0 {
		return latchward.Invalid("lifetime", "must be whole seconds")
	}
	secret, err := s.secret()
	if err != nil {
		return err
	}
	return s.with(ctx, func(client *rest.Client) error {
		reply, err := oauth.Derive(ctx, client.As(latchward.Secret{}), secret, oauth.Derivation{
			Audience: c.Audience, Permissions: c.Permissions, Endpoints: c.Endpoints, Lifetime: c.Lifetime,
		})
		switch {
		case err != nil:
			return err
		case c.Quiet:
			_, err = fmt.Fprintln(s.out, reply.AccessToken)
			return err
		}
		details := table{header: []string{"Token", reply.AccessToken}}
		details.add("Holds", list(splitScope(reply.Scope), "nothing"))
		details.add("Ends in", number(reply.ExpiresIn)+" s")
		return s.print(reply, details)
	})
}

func splitScope(scope string) []string {
	if scope == "" {
		return nil
	}
	return strings.Split(scope, " ")
}
