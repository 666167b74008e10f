package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/rest"
)

type tokenCommands struct {
	Create  tokenCreate  `cmd:"" help:"Create a token and print its secret, which nobody will be told again."`
	List    tokenList    `cmd:"" help:"List tokens with their counters."`
	Show    tokenShow    `cmd:"" help:"Show a token."`
	Update  tokenUpdate  `cmd:"" help:"Change a token; what is not named stays."`
	Enable  tokenEnable  `cmd:"" help:"Let an inactive token work again."`
	Disable tokenDisable `cmd:"" help:"Stop a token from working, until it is enabled again."`
	Rights  tokenRights  `cmd:"" help:"Show what a token holds, and from where."`
	Rotate  tokenRotate  `cmd:"" help:"Give a token a new secret; the old one stops working at once, or after some grace."`
	Revoke  tokenRevoke  `cmd:"" help:"End a token for good and keep its record."`
	Bulk    bulkCommands `cmd:"" help:"Revoke, disable, enable or extend many tokens as one."`
	Delete  tokenDelete  `cmd:"" help:"Remove a token and its record."`
	Import  tokenImport  `cmd:"" help:"Import tokens that were made elsewhere; their old secrets go on working."`
	Usage   tokenUsage   `cmd:"" help:"Show what a token did, or all of them."`

	Derive     tokenDerive     `cmd:"" help:"Exchange a token for a JWT that holds the same or less, for minutes."`
	Introspect tokenIntrospect `cmd:"" help:"Tell what a token is good for, as resource servers learn it."`
}

type tokenCreate struct {
	Name string `arg:"" optional:"" help:"Name by which people recognise it."`
	tokenFields
	Kind  string `help:"personal (acts as its owner) or service (acts as itself)." enum:"personal,service" default:"personal"`
	Owner string `help:"Its owner: id or e-mail of a user, or group:NAME; by default whoever asks, or the first administrator." placeholder:"OWNER"`
	Quiet bool   `short:"q" help:"Print the secret alone."`
}

// Help implements kong.HelpProvider.
func (tokenCreate) Help() string {
	return `Examples:
  latchward token create "WordPress - example.com" --rate-limit 200 --endpoint '/products*' --endpoint '/stores*'
  latchward token create "Hive 7" --idle-days 0 --owner ben@example.com
  latchward token create "Telemetry service" --kind service --permission tokens.verify
  latchward token create "Scanner 1" --kind service --owner group:warehouse --role stock-keeper --license scanner
  export TOKEN=$(latchward token create "Nightly job" --expires 2027-01-01 --quiet)`
}

func (c *tokenCreate) Run(ctx context.Context, s *session) error {
	change, err := c.change()
	if err != nil {
		return err
	}
	asked := rest.NewToken{
		Name: rest.Some(c.Name), Kind: rest.Some(latchward.Kind(c.Kind)), Description: change.Description,
		RateLimit: change.RateLimit, ExpiresAt: change.ExpiresAt, AllowedEndpoints: change.AllowedEndpoints,
		AllowedNetworks: change.AllowedNetworks, Permissions: change.Permissions, NotBefore: change.NotBefore,
		IdleTimeoutDays: change.IdleTimeoutDays, Tags: change.Tags, Metadata: change.Metadata, Reuse: change.Reuse,
		Roles: change.Roles, Groups: change.Groups, Licenses: change.Licenses,
	}
	if c.Kind == string(latchward.KindService) && !asked.Permissions.Set {
		asked.Permissions = rest.Some([]string{})
	}
	return s.with(ctx, func(client *rest.Client) error {
		if c.Owner != "" {
			owner, err := ownerOf(ctx, client, c.Owner)
			if err != nil {
				return err
			}
			asked.Owner = rest.Some(owner)
		}
		reply, err := client.CreateToken(ctx, asked)
		if err != nil {
			return err
		}
		return s.issued(reply, c.Quiet)
	})
}

// issued shows a token with its secret.
func (s *session) issued(reply rest.TokenReply, quiet bool) error {
	for _, warning := range reply.Warnings {
		fmt.Fprintln(s.err, "latchward: note: "+warning)
	}
	if quiet {
		_, err := fmt.Fprintln(s.out, reply.Token.Secret.Expose())
		return err
	}
	if s.cli.Output == "json" {
		return s.print(reply)
	}
	if _, err := fmt.Fprintf(s.out, "%s\n\n%s\n\n", reply.Token.Secret.Expose(), reply.Message); err != nil {
		return err
	}
	return s.print(reply, tokenDetails(&reply.Token))
}

type tokenList struct {
	Status        string   `help:"Only active, inactive, expired or revoked ones." placeholder:"STATUS"`
	Kind          string   `help:"Only personal or service tokens." placeholder:"KIND"`
	Owner         string   `help:"Only those of this owner: id or e-mail of a user, or group:NAME." placeholder:"OWNER"`
	Role          string   `help:"Only service tokens with this role of their own." placeholder:"NAME"`
	Group         string   `help:"Only service tokens that are members of this group." placeholder:"NAME"`
	License       string   `help:"Only service tokens with a seat of this license." placeholder:"NAME"`
	Query         string   `help:"Only those with this in the name, description or beginning of the secret." placeholder:"TEXT"`
	Tag           string   `help:"Only those with this tag." placeholder:"TAG"`
	UnusedSince   *moments `help:"Only those not used since." placeholder:"WHEN"`
	NeverUsed     bool     `help:"Only those that were never used."`
	ExpiresBefore *moments `help:"Only those that expire before." placeholder:"WHEN"`
	IdleBefore    *moments `help:"Only those that go idle before." placeholder:"WHEN"`
	RotationDue   *moments `name:"rotation-due-before" help:"Only those that should be rotated before." placeholder:"WHEN"`
	CreatedBefore *moments `help:"Only those created before." placeholder:"WHEN"`
	CreatedBy     string   `help:"Only those that this one created: user:3, token:7 or local:0." placeholder:"WHO"`
	RevokeReason  string   `help:"Only those revoked for this reason: ${reasons}." placeholder:"REASON"`
	ServerKey     int      `help:"Only those that depend on this server key, see latchward keys status." placeholder:"VERSION"`
	Sort          string   `help:"Order by created_at, updated_at, last_used_at, expires_at or name." placeholder:"ORDER"`
	Order         string   `help:"asc or desc." placeholder:"asc|desc"`
	Limit         int      `help:"At most this many (default 1000)." placeholder:"N"`
	Cursor        string   `help:"Continue a list where it was cut." placeholder:"CURSOR"`
}

func (c *tokenList) Run(ctx context.Context, s *session) error {
	query := rest.TokenQuery{
		Limit: c.Limit, Cursor: c.Cursor, Sort: latchward.TokenSort(c.Sort), Order: rest.Order(c.Order),
		Status: latchward.Status(c.Status), Kind: latchward.Kind(c.Kind), Text: c.Query, Tag: c.Tag,
		Role: c.Role, Group: c.Group, License: c.License, ServerKey: c.ServerKey,
		UnusedSince: at(c.UnusedSince), NeverUsed: c.NeverUsed,
		ExpiresBefore: at(c.ExpiresBefore), IdleBefore: at(c.IdleBefore), RotationDue: at(c.RotationDue),
		CreatedBefore: at(c.CreatedBefore), CreatedBy: c.CreatedBy, RevokeReason: latchward.RevokeReason(c.RevokeReason),
	}
	return s.with(ctx, func(client *rest.Client) (err error) {
		if c.Owner != "" {
			owner, err := ownerOf(ctx, client, c.Owner)
			if err != nil {
				return err
			}
			query.Owner = fmt.Sprintf("%s:%d", owner.Type, owner.ID)
		}
		reply, err := client.Tokens(ctx, query)
		if err != nil {
			return err
		}
		if err := s.print(reply, tokenTable(reply.Tokens)); err != nil {
			return err
		}
		return s.more(reply.NextCursor)
	})
}

// more says how to see the rest of a list.
func (s *session) more(cursor *string) error {
	if cursor == nil || s.cli.Output == "json" {
		return nil
	}
	_, err := fmt.Fprintln(s.err, "latchward: there are more: repeat this with --cursor "+*cursor)
	return err
}

func tokenTable(tokens []rest.Token) table {
	t := table{header: []string{
		"ID", "NAME", "STATUS", "SECRET", "OWNER", "LIMIT", "LAST USED", "24 H", "7 DAYS", "TOTAL",
	}}
	for _, token := range tokens {
		counts := rest.TokenCounts{}
		if token.TokenCounts != nil {
			counts = *token.TokenCounts
		}
		t.add(number(token.ID), token.Name, statusText(&token), begins(token.Prefix), token.Owner.Name,
			number(token.RateLimit), moment(token.LastUsedAt, "never"),
			number(counts.Requests24h), number(counts.Requests7d), number(counts.TotalRequests))
	}
	return t
}

// idleText says after how much time without use a token goes idle, and how much of that is left.
func idleText(t *rest.Token) string {
	if t.IdleTimeoutDays == nil {
		return "never"
	}
	text := fmt.Sprintf("after %d days", *t.IdleTimeoutDays)
	if t.IdleInDays != nil {
		text += fmt.Sprintf(", in %d", *t.IdleInDays)
	}
	return text
}

// statusText is the status of a token with what there is to warn of.
func statusText(t *rest.Token) string {
	text := string(t.Status)
	for _, warning := range t.Warnings {
		text += ", " + strings.ReplaceAll(string(warning), "_", " ")
	}
	return text
}

// begins shows what a secret begins with, if that is known.
func begins(prefix string) string {
	if prefix == "" {
		return "-"
	}
	return prefix + "..."
}

type tokenShow struct {
	ID int64 `arg:"" help:"Id of the token."`
}

func (c *tokenShow) Run(ctx context.Context, s *session) error {
	return s.with(ctx, func(client *rest.Client) error { return s.token(client.Token(ctx, c.ID)) })
}

// token shows the reply of a call about one token.
func (s *session) token(reply rest.TokenReply, err error) error {
	if err != nil {
		return err
	}
	return s.print(reply, tokenDetails(&reply.Token))
}

func tokenDetails(t *rest.Token) table {
	details := table{header: []string{"ID", number(t.ID)}}
	idle := idleText(t)
	permissions := list(t.Permissions, "none")
	if t.Permissions == nil {
		permissions = "those of its owner"
	}
	status := statusText(t)
	if t.InactiveReason != nil {
		status += " (" + string(*t.InactiveReason) + ")"
	}
	for _, row := range [][2]string{
		{"Name", t.Name}, {"Description", optional(t.Description)}, {"Kind", string(t.Kind)}, {"Status", status},
		{"Secret", begins(t.Prefix)}, {"Owner", fmt.Sprintf("%s (%s %d)", t.Owner.Name, t.Owner.Type, t.Owner.ID)},
		{"Limit", number(t.RateLimit) + " requests a minute"}, {"Endpoints", list(t.AllowedEndpoints, "all")},
		{"Networks", list(t.AllowedNetworks, "all")}, {"Permissions", permissions}, {"Roles", list(t.Roles, "-")},
		{"Groups", list(t.Groups, "-")}, {"Licenses", list(t.Licenses, "-")}, {"Tags", list(t.Tags, "-")},
		{"Not before", moment(t.NotBefore, "-")}, {"Expires", moment(t.ExpiresAt, "never")}, {"Goes idle", idle},
		{"Last used", moment(t.LastUsedAt, "never")}, {"Created", moment(t.CreatedAt, "-")},
		{"Updated", moment(t.UpdatedAt, "-")},
	} {
		details.add(row[0], row[1])
	}
	if t.Imported != nil {
		details.add("Imported", *t.Imported)
	}
	if !t.RotationDueAt.IsZero() {
		details.add("Rotate by", moment(t.RotationDueAt, "-"))
	}
	if t.Retiring != nil {
		details.add("Old secret until", retiringText(t.Retiring))
	}
	if !t.RevokedAt.IsZero() {
		details.add("Revoked", moment(t.RevokedAt, "-")+", reason: "+optional(t.RevokeReason)+note(t.RevokeNote))
	}
	return details
}

func retiringText(r *rest.RetiringSecret) string {
	until := moment(r.EndsAt, "-")
	if r.AtFirstUse {
		until += " or the first use of the new one"
	}
	return until
}

// note is what was written about a reason, in brackets.
func note(text *string) string {
	if text == nil {
		return ""
	}
	return " (" + *text + ")"
}

type tokenUpdate struct {
	ID   int64   `arg:"" help:"Id of the token."`
	Name *string `help:"New name." placeholder:"TEXT"`
	tokenFields
	Clear []string `help:"Set back to what a new token has, by member of the API: description, rate_limit, expires_at, not_before, allowed_endpoints, allowed_networks, permissions, tags, metadata or name." placeholder:"MEMBER"`
}

// Help implements kong.HelpProvider.
func (tokenUpdate) Help() string {
	return `Examples:
  latchward token update 3 --rate-limit 300 --name "WordPress (new site)"
  latchward token update 3 --clear expires_at --clear allowed_endpoints`
}

func (c *tokenUpdate) Run(ctx context.Context, s *session) error {
	change, err := c.change()
	if err != nil {
		return err
	}
	given(&change.Name, c.Name)
	if err := clearMembers(&change, c.Clear); err != nil {
		return err
	}
	return s.with(ctx, func(client *rest.Client) error { return s.token(client.UpdateToken(ctx, c.ID, change)) })
}

type tokenEnable struct {
	ID int64 `arg:"" help:"Id of the token."`
}

func (c *tokenEnable) Run(ctx context.Context, s *session) error { return s.setActive(ctx, c.ID, true) }

type tokenDisable struct {
	ID int64 `arg:"" help:"Id of the token."`
}

func (c *tokenDisable) Run(ctx context.Context, s *session) error {
	return s.setActive(ctx, c.ID, false)
}

func (s *session) setActive(ctx context.Context, id int64, active bool) error {
	return s.with(ctx, func(client *rest.Client) error {
		return s.token(client.UpdateToken(ctx, id, rest.TokenChange{Active: &active}))
	})
}

type tokenRotate struct {
	ID         int64         `arg:"" help:"Id of the token."`
	Grace      time.Duration `help:"How long the old secret goes on verifying, such as 24h; none when missing." placeholder:"DURATION"`
	AtFirstUse bool          `help:"End the old secret when the new one is first accepted, after 7 days at the latest."`
	RequestKey string        `help:"Repeating with the same key replaces a new secret that was lost." placeholder:"TEXT"`
	Quiet      bool          `short:"q" help:"Print the new secret alone."`
}

func (c *tokenRotate) rotation() (rest.Rotation, error) {
	r := rest.Rotation{RequestKey: rest.RequestKey{RequestKey: c.RequestKey}}
	if c.Grace%time.Second != 0 {
		return r, latchward.Invalid("--grace", "must be whole seconds")
	}
	if c.Grace != 0 {
		r.GraceSeconds = rest.Some(int64(c.Grace / time.Second))
	}
	if c.AtFirstUse {
		r.OldDies = rest.Some(rest.OldDiesAtFirstUse)
	}
	return r, nil
}

func (c *tokenRotate) Run(ctx context.Context, s *session) error {
	return s.with(ctx, func(client *rest.Client) error {
		rotation, err := c.rotation()
		if err != nil {
			return err
		}
		reply, err := client.RotateToken(ctx, c.ID, rotation)
		if err != nil {
			return err
		}
		return s.issued(reply, c.Quiet)
	})
}

type tokenRevoke struct {
	ID int64 `arg:"" help:"Id of the token."`
	revocationFields
}

// revocationFields say why tokens are revoked.
type revocationFields struct {
	Reason string `help:"Why: ${reasons}; other texts become the note." placeholder:"REASON"`
	Note   string `help:"More about it, for the record." placeholder:"TEXT"`
}

func (f *revocationFields) revocation() (r rest.Revocation) {
	if f.Reason != "" {
		r.Reason = rest.Some(f.Reason)
	}
	if f.Note != "" {
		r.Note = rest.Some(f.Note)
	}
	return r
}

func (c *tokenRevoke) Run(ctx context.Context, s *session) error {
	return s.with(ctx, func(client *rest.Client) error { return s.token(client.RevokeToken(ctx, c.ID, c.revocation())) })
}

type tokenDelete struct {
	ID  int64 `arg:"" help:"Id of the token."`
	Yes bool  `short:"y" help:"Delete it although it is active."`
}

// Run refuses to delete a token that may be in use: disabling it first shows who misses it (S2-40).
func (c *tokenDelete) Run(ctx context.Context, s *session) error {
	return s.with(ctx, func(client *rest.Client) error {
		reply, err := client.Token(ctx, c.ID)
		if err != nil {
			return err
		}
		if reply.Token.Status == latchward.StatusActive && !c.Yes {
			return latchward.Errorf(latchward.CodeConflict, "token %d (%s) is active, last used %s: disable it first "+
				"and see who misses it, or add --yes", c.ID, clean(reply.Token.Name), moment(reply.Token.LastUsedAt, "never"))
		}
		message, err := client.DeleteToken(ctx, c.ID)
		return s.said(message, err)
	})
}

// said shows a reply that is nothing but a sentence.
func (s *session) said(message rest.Message, err error) error {
	if err != nil {
		return err
	}
	if s.cli.Output == "json" {
		return s.print(message)
	}
	_, err = fmt.Fprintln(s.out, message.Message)
	return err
}
