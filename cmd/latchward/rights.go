package main

import (
	"context"
	"fmt"

	"github.com/latchward/latchward/rest"
)

type tokenRights struct {
	ID int64 `arg:"" help:"Id of the token."`
}

func (c *tokenRights) Run(ctx context.Context, s *session) error {
	return s.with(ctx, func(client *rest.Client) error { return s.rights(client.TokenRights(ctx, c.ID)) })
}

type userRights struct {
	User string `arg:"" help:"Id or e-mail of the user."`
}

func (c *userRights) Run(ctx context.Context, s *session) error {
	return s.onUser(ctx, c.User, func(client *rest.Client, id int64) error { return s.rights(client.UserRights(ctx, id)) })
}

// rights shows what somebody holds, and from where.
func (s *session) rights(reply rest.RightsReply, err error) error {
	if err != nil {
		return err
	}
	t := table{header: []string{"WHAT", "NAME", "FROM", "WITHHELD"}}
	for _, part := range []struct {
		what  string
		parts []rest.RightsPart
	}{
		{"permission", reply.Rights.Permissions}, {"role", reply.Rights.Roles}, {"group", reply.Rights.Groups},
		{"license", reply.Rights.Licenses},
	} {
		for _, p := range part.parts {
			t.add(part.what, p.Name, p.Source, optional(p.Withheld))
		}
	}
	return s.print(reply, t)
}

type explainCommand struct {
	Token      int64    `arg:"" help:"Id of the token."`
	Method     string   `help:"Method of the request." placeholder:"METHOD"`
	Path       string   `help:"Path of the request, without the base." placeholder:"PATH"`
	Address    string   `help:"Address of the client." placeholder:"IP"`
	Permission []string `help:"Permission that the request needs; may be repeated." placeholder:"NAME"`
	Query      string   `help:"What else it needs, such as '(a.b OR c.d) AND NOT e.f'." placeholder:"QUERY"`
	License    []string `help:"License that the request needs; may be repeated." placeholder:"NAME"`
}

// Help implements kong.HelpProvider.
func (explainCommand) Help() string {
	return `It costs no quota and records nothing.

Examples:
  latchward explain 3 --method GET --path /products/17
  latchward explain 3 --path /orders --query 'orders.read AND NOT legacy.x' --license pro`
}

func (c *explainCommand) Run(ctx context.Context, s *session) error {
	asked := rest.ExplainRequest{TokenID: rest.Some(c.Token)}
	for member, text := range map[*rest.Optional[string]]string{
		&asked.Method: c.Method, &asked.Path: c.Path, &asked.Address: c.Address, &asked.Query: c.Query,
	} {
		if text != "" {
			*member = rest.Some(text)
		}
	}
	givenList(&asked.Permissions, c.Permission)
	givenList(&asked.Licenses, c.License)
	return s.with(ctx, func(client *rest.Client) error {
		reply, err := client.Explain(ctx, asked)
		if err != nil {
			return err
		}
		return s.print(reply, explanation(&reply))
	})
}

func explanation(e *rest.Explanation) table {
	verdict := "It would be allowed."
	if !e.Allowed {
		verdict = fmt.Sprintf("It would be refused: %s.", e.Reason)
	}
	t := table{before: verdict + "\n", header: []string{"STEP", "", "FOUND"}}
	for _, step := range e.Steps {
		mark := "ok"
		if !step.OK {
			mark = "NO"
		}
		t.add(string(step.Reason), mark, step.Text)
	}
	for _, row := range [][2]string{
		{"Needed", e.Missing.Needed}, {"Lacking", list(e.Missing.Lacking, "")}, {"Held, but must not be", list(e.Missing.Unwanted, "")},
		{"Licenses missing", list(e.Missing.Licenses, "")},
	} {
		if row[1] != "" {
			t.before += row[0] + ": " + clean(row[1]) + "\n"
		}
	}
	t.before += "\n"
	return t
}
