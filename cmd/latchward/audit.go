package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/latchward/latchward/rest"
)

type auditCommand struct {
	Action string `help:"Only this action, such as token.revoke." placeholder:"ACTION"`
	Target string `help:"Only changes of this kind of thing: token, user or key." placeholder:"KIND"`
	ID     int64  `name:"id" help:"Only changes of the one with this id." placeholder:"ID"`
	Limit  int    `help:"At most this many." default:"50"`
	Cursor string `help:"Continue a list where it was cut." placeholder:"CURSOR"`
}

func (c *auditCommand) Run(ctx context.Context, s *session) error {
	return s.with(ctx, func(client *rest.Client) error {
		reply, err := client.Audit(ctx, rest.AuditQuery{
			Limit: c.Limit, Cursor: c.Cursor, Action: c.Action, TargetType: c.Target, TargetID: c.ID,
		})
		if err != nil {
			return err
		}
		t := table{header: []string{"TIME (UTC)", "WHO", "FROM", "ACTION", "WHAT", "CHANGED"}}
		for _, e := range reply.Entries {
			t.add(second(e.At), who(&e.Actor), optional(e.Actor.Address), e.Action,
				fmt.Sprintf("%s %d %s", e.Target.Type, e.Target.ID, e.Target.Name), changed(&e))
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
	return fmt.Sprintf("%s (%s %d)", a.Name, a.Type, a.ID)
}

// changed names the members that a change touched; those of a creation go without saying.
func changed(e *rest.AuditEntry) string {
	if e.Before == nil {
		return "-"
	}
	return strings.Join(slices.Sorted(maps.Keys(e.Before)), " ")
}
