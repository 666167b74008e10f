package main

import (
	"context"
	"fmt"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/rest"
)

type bulkCommands struct {
	Revoke  bulkRevoke  `cmd:"" help:"End all tokens that match for good."`
	Disable bulkDisable `cmd:"" help:"Stop all tokens that match from working."`
	Enable  bulkEnable  `cmd:"" help:"Let all inactive tokens that match work again."`
	Extend  bulkExtend  `cmd:"" help:"Let all tokens that match expire later."`
}

// bulkFields select tokens and confirm what a dry run told.
type bulkFields struct {
	Owner         string   `help:"Those of this owner: id or e-mail of a user, or group:NAME." placeholder:"OWNER"`
	Status        string   `help:"Active, inactive or expired ones." placeholder:"STATUS"`
	Kind          string   `help:"Personal or service tokens." placeholder:"KIND"`
	Role          string   `help:"Service tokens with this role of their own." placeholder:"NAME"`
	Group         string   `help:"Service tokens that are members of this group." placeholder:"NAME"`
	License       string   `help:"Service tokens with a seat of this license." placeholder:"NAME"`
	Query         string   `help:"Those with this in the name, description or beginning of the secret." placeholder:"TEXT"`
	Tag           string   `help:"Those with this tag." placeholder:"TAG"`
	Holds         string   `name:"holding" help:"Those that hold this permission now." placeholder:"PERMISSION"`
	UnusedSince   *moments `help:"Those not used, created or enabled since." placeholder:"WHEN"`
	NeverUsed     bool     `help:"Those that were never used."`
	ExpiresBefore *moments `help:"Those that expire before." placeholder:"WHEN"`
	IdleBefore    *moments `help:"Those that go idle before." placeholder:"WHEN"`
	RotationDue   *moments `name:"rotation-due-before" help:"Those that should be rotated before." placeholder:"WHEN"`
	CreatedBefore *moments `help:"Those created before." placeholder:"WHEN"`
	CreatedBy     string   `help:"Those that this one created: user:3, token:7 or local:0." placeholder:"WHO"`

	DryRun      bool    `help:"Show how many and which would change, and change nothing; so does leaving out --count."`
	Count       *int64  `help:"Do it, if as many tokens as this would change: what the dry run told." placeholder:"N"`
	Revision    *string `help:"And if they are the very same: what the dry run told." placeholder:"TEXT"`
	SkipRefused bool    `help:"Leave alone the tokens that may not be changed; else one of them refuses all."`
}

// Help implements kong.HelpProvider.
func (bulkFields) Help() string {
	return `All of them are changed, or none. First see how many there are, then repeat the command with that count:
  latchward token bulk revoke --owner ben@example.com --reason affiliation_changed
  latchward token bulk revoke --owner ben@example.com --reason affiliation_changed --count 37
  latchward token bulk disable --unused-since 2026-01-01 --kind personal
  latchward token bulk extend --tag nightly --expires-before 2027-01-01 --expires 2027-06-30`
}

func at(m *moments) rest.Time {
	if m == nil {
		return rest.Time{}
	}
	return m.Time
}

// bulk asks for a change and shows what came of it.
func (f *bulkFields) bulk(ctx context.Context, s *session, b rest.Bulk) error {
	b.Filter = rest.BulkFilter{
		Status: latchward.Status(f.Status), Kind: latchward.Kind(f.Kind), Role: f.Role, Group: f.Group, License: f.License,
		Text: f.Query, Tag: f.Tag, Permission: f.Holds, UnusedSince: at(f.UnusedSince), NeverUsed: f.NeverUsed,
		ExpiresBefore: at(f.ExpiresBefore), IdleBefore: at(f.IdleBefore), RotationDue: at(f.RotationDue),
		CreatedBefore: at(f.CreatedBefore), CreatedBy: f.CreatedBy,
	}
	b.SkipRefused, b.DryRun = f.SkipRefused, f.DryRun || f.Count == nil
	if !b.DryRun {
		given(&b.Count, f.Count)
		given(&b.Revision, f.Revision)
	}
	return s.with(ctx, func(client *rest.Client) error {
		if f.Owner != "" {
			owner, err := ownerOf(ctx, client, f.Owner)
			if err != nil {
				return err
			}
			b.Filter.Owner = fmt.Sprintf("%s:%d", owner.Type, owner.ID)
		}
		reply, err := client.BulkTokens(ctx, b)
		if err != nil {
			return err
		}
		return s.print(reply, bulkTable(&reply, f.Count != nil))
	})
}

// bulkTable shows a sample below what happened, or would.
func bulkTable(r *rest.BulkReply, counted bool) table {
	t := tokenTable(r.Sample)
	verb := "changed"
	if r.DryRun {
		verb = "would change"
	}
	t.before = fmt.Sprintf("%s: %d tokens %s, %d need no change, %d may not be changed\n", r.Action, r.Count, verb, r.Same, r.Refused)
	for _, refused := range r.Reasons {
		t.before += fmt.Sprintf("  %d %s: %s\n", refused.ID, clean(refused.Name), clean(refused.Error))
	}
	if r.DryRun && !counted && r.Count > 0 {
		t.before += fmt.Sprintf("Nothing was changed. To do it, repeat this with --count %d --revision %s\n", r.Count, r.Revision)
	}
	if int64(len(r.Sample)) < r.Count {
		t.title = fmt.Sprintf("The first %d:", len(r.Sample))
	}
	return t
}

type bulkRevoke struct {
	bulkFields
	revocationFields
}

func (c *bulkRevoke) Run(ctx context.Context, s *session) error {
	why := c.revocation()
	return c.bulk(ctx, s, rest.Bulk{Action: latchward.BulkRevoke, Reason: why.Reason, Note: why.Note})
}

type bulkDisable struct{ bulkFields }

func (c *bulkDisable) Run(ctx context.Context, s *session) error {
	return c.bulk(ctx, s, rest.Bulk{Action: latchward.BulkDisable})
}

type bulkEnable struct{ bulkFields }

func (c *bulkEnable) Run(ctx context.Context, s *session) error {
	return c.bulk(ctx, s, rest.Bulk{Action: latchward.BulkEnable})
}

type bulkExtend struct {
	bulkFields
	Expires *moments `required:"" help:"Date or time from which on they are expired; later ones stay." placeholder:"WHEN"`
}

func (c *bulkExtend) Run(ctx context.Context, s *session) error {
	return c.bulk(ctx, s, rest.Bulk{Action: latchward.BulkExtend, ExpiresAt: rest.Some(c.Expires.Time)})
}
