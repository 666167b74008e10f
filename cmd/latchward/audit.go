package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/rest"
)

type auditCommands struct {
	List   auditList   `cmd:"" default:"withargs" help:"Show who changed what, or tried to, the latest first."`
	Verify auditVerify `cmd:"" help:"Check that the audit log is as it was written; the first bad entry is named."`
	Export auditExport `cmd:"" help:"Write the audit log as lines of JSON or as CSV, the oldest entry first."`
}

// auditFlags select audit entries.
type auditFlags struct {
	Actor   string `help:"Only what this one did: user:3, token:7, local or system." placeholder:"WHO"`
	Action  string `help:"Only this action, such as token.revoke." placeholder:"ACTION"`
	Target  string `help:"Only changes of this kind of thing, such as token or user." placeholder:"KIND"`
	ID      int64  `name:"id" help:"Only changes of the one with this id." placeholder:"ID"`
	Outcome string `help:"Only what was done, or what was denied." placeholder:"done|denied"`
	From    string `help:"Not before this day or moment, such as 2026-11-22 or 2026-11-22T10:00:00Z." placeholder:"TIME"`
	To      string `help:"Before this day or moment." placeholder:"TIME"`
	Text    string `help:"Only with this in a name, an address, a user agent or a request id." placeholder:"TEXT"`
}

func (f *auditFlags) selection() (rest.AuditSelection, error) {
	s := rest.AuditSelection{
		Actor: f.Actor, Action: f.Action, TargetType: f.Target, TargetID: f.ID,
		Outcome: latchward.AuditOutcome(f.Outcome), Text: f.Text,
	}
	var err error
	if s.From, err = readMoment("from", f.From); err == nil {
		s.To, err = readMoment("to", f.To)
	}
	return s, err
}

// readMoment reads a moment, or a day, which begins at midnight UTC; "" is none.
func readMoment(flag, text string) (rest.Time, error) {
	if text == "" {
		return rest.Time{}, nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339, "2006-01-02 15:04"} {
		if at, err := time.Parse(layout, text); err == nil {
			return rest.Time{Time: at.UTC()}, nil
		}
	}
	return rest.Time{}, latchward.Invalid("--"+flag, "must be a day like 2026-11-22 or a moment like 2026-11-22T10:00:00Z")
}

type auditList struct {
	auditFlags
	Limit  int    `help:"At most this many." default:"50"`
	Cursor string `help:"Continue a list where it was cut." placeholder:"CURSOR"`
}

func (c *auditList) Run(ctx context.Context, s *session) error {
	selection, err := c.selection()
	if err != nil {
		return err
	}
	return s.with(ctx, func(client *rest.Client) error {
		reply, err := client.Audit(ctx, rest.AuditQuery{Limit: c.Limit, Cursor: c.Cursor, AuditSelection: selection})
		if err != nil {
			return err
		}
		t := table{header: []string{"TIME (UTC)", "WHO", "FROM", "ACTION", "OUTCOME", "WHAT", "CHANGED"}}
		for _, e := range reply.Entries {
			t.add(second(e.At), who(&e.Actor), optional(e.Actor.Address), e.Action, string(e.Outcome), what(&e.Target), changed(&e))
		}
		if err := s.print(reply, t); err != nil {
			return err
		}
		return s.more(reply.NextCursor)
	})
}

func who(a *rest.Actor) string {
	if a.ID == 0 {
		return a.Name
	}
	return strings.TrimSpace(fmt.Sprintf("%s (%s %d)", a.Name, a.Type, a.ID))
}

func what(t *rest.Target) string {
	text := t.Type
	if t.ID != 0 {
		text += " " + strconv.FormatInt(t.ID, 10)
	}
	return strings.TrimSpace(text + " " + t.Name)
}

// changed names the members that a change touched; those of a creation go without saying. Of a denial it says why.
func changed(e *rest.AuditEntry) string {
	switch {
	case e.Outcome == latchward.OutcomeDenied && e.After["times"] != nil:
		return fmt.Sprintf("%v (%v more times)", e.After["reason"], e.After["times"])
	case e.Outcome == latchward.OutcomeDenied:
		return fmt.Sprint(e.After["reason"])
	case e.Before == nil:
		return "-"
	}
	return strings.Join(slices.Sorted(maps.Keys(e.Before)), " ")
}
