package main

import (
	"context"
	"os"
	"strings"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/oauth"
	"github.com/latchward/latchward/rest"
)

type tokenIntrospect struct{}

// verifyVariable is where commands find the service token with which they ask about others.
const verifyVariable = "LATCHWARD_VERIFY_TOKEN"

// Help implements kong.HelpProvider.
func (tokenIntrospect) Help() string {
	return `The token is its secret in LATCHWARD_TOKEN, or the first line on standard input: as an argument, other users of the
machine would see it. To ask a server by its address, a service token that holds tokens.verify must be in
LATCHWARD_VERIFY_TOKEN; on a data folder none is needed.

Examples:
  latchward token introspect < token.txt
  LATCHWARD_VERIFY_TOKEN=$VERIFY_TOKEN latchward token introspect --server https://tokens.example.com < token.txt`
}

func (c *tokenIntrospect) Run(ctx context.Context, s *session) error {
	secret, err := s.secret()
	if err != nil {
		return err
	}
	return s.with(ctx, func(client *rest.Client) error {
		if own := os.Getenv(verifyVariable); own != "" {
			client = client.As(latchward.SecretFromText(own))
		}
		told, err := oauth.Introspect(ctx, client, secret)
		if err != nil {
			return err
		}
		if !told.Active {
			told.Restrictions = nil // of a token that is no good, nothing is told
		}
		return s.print(told, introspectionDetails(&told))
	})
}

func introspectionDetails(told *oauth.Introspection) table {
	if !told.Active {
		return table{header: []string{"Active", "no"}}
	}
	details := table{header: []string{"Active", "yes"}}
	for _, row := range [][2]string{
		{"Token", number(int64(told.TokenID)) + " " + told.TokenName}, {"Kind", string(told.Kind)}, {"Owner", told.Owner},
		{"Subject", told.Subject}, {"Permissions", list(told.Permissions, "none")}, {"Roles", list(told.Roles, "-")},
		{"Groups", list(told.Groups, "-")}, {"Licenses", list(told.Licenses, "-")},
		{"Endpoints", list(told.Endpoints, "all")}, {"Networks", list(told.Networks, "all")},
		{"Created", unix(told.IssuedAt)}, {"Valid from", unix(told.NotBefore)}, {"Ends", unix(told.ExpiresAt)},
	} {
		details.add(row[0], strings.TrimSpace(row[1]))
	}
	return details
}

// unix shows a moment in seconds since 1970; 0 is none.
func unix(seconds int64) string {
	if seconds == 0 {
		return "-"
	}
	return moment(rest.Time{Time: time.Unix(seconds, 0).UTC()}, "-")
}
