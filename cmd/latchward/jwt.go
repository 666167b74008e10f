package main

import (
	"context"
	"fmt"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/server"
)

type jwtCommand struct {
	Subject string        `help:"External id of the person (sub); created as a user at first sight." default:"local"`
	Admin   bool          `help:"The person is an administrator, whatever the user record says."`
	Name    string        `help:"Name of the person." placeholder:"TEXT"`
	Email   string        `help:"E-mail of the person." placeholder:"E-MAIL"`
	Expires time.Duration `help:"How long it is valid." default:"12h"`
}

// Help implements kong.HelpProvider.
func (jwtCommand) Help() string {
	return `Signs with jwt.secret, or with the secret that the server made in its data folder. Where an identity provider
signs (jwt.jwks_url), get a JWT there.

Examples:
  export ADMIN_JWT=$(latchward jwt --admin)
  curl -H "Authorization: Bearer $ADMIN_JWT" http://localhost:3010/api/api-tokens`
}

func (c *jwtCommand) Run(_ context.Context, s *session) error {
	if c.Expires < time.Second || c.Expires > 365*24*time.Hour {
		return latchward.Invalid("--expires", "must be a duration from 1s to 8760h")
	}
	config, err := s.config(map[string]string{})
	if err != nil {
		return err
	}
	jwt, err := server.MintJWT(config, server.Person{
		Subject: c.Subject, Email: c.Email, Name: c.Name, Administrator: c.Admin, ExpiresIn: c.Expires,
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(s.out, jwt.Expose())
	return err
}
