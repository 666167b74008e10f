package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/rest"
	"github.com/latchward/latchward/server"
)

type restoreCommand struct {
	File               string `arg:"" help:"Backup to restore."`
	AuditExport        string `help:"Export of the audit log, as ndjson, that tells what changed after the backup: the newest there is." placeholder:"FILE"`
	DryRun             bool   `help:"Only say what would happen."`
	AcceptResurrection bool   `help:"Where nobody knows which tokens were revoked since, let all be as in the backup."`
}

// Help implements kong.HelpProvider.
func (restoreCommand) Help() string {
	return `No server may be running, and the server keys must be in place. Tokens that changed state or secret after the
backup are revoked, as the database that is replaced tells, or an export of the audit log; where there is neither, all
tokens start inactive. That database is
kept beside the restored one.

Examples:
  latchward restore latchward-2030-01-31.backup --dry-run
  latchward restore latchward-2030-01-31.backup --audit-export audit.ndjson`
}

func (c *restoreCommand) Run(ctx context.Context, s *session) error {
	config, err := s.config(map[string]string{})
	if err != nil {
		return err
	}
	config.LogLevel = "error"
	ctx, stop := untilSignal(ctx) // what is half done is undone
	defer stop()
	done, err := server.Restore(ctx, config, server.RestoreOptions{
		File: c.File, AuditExport: c.AuditExport, DryRun: c.DryRun, AcceptResurrection: c.AcceptResurrection,
	})
	if err != nil {
		return err
	}
	if s.cli.Output == "json" {
		return s.print(c.reply(done))
	}
	return c.report(s, done)
}

func (c *restoreCommand) reply(done server.Restored) map[string]any {
	revoked := []map[string]any{}
	for _, t := range done.Revoked {
		revoked = append(revoked, map[string]any{"id": t.ID, "name": t.Name, "token_prefix": t.Prefix})
	}
	return map[string]any{
		"dry_run": c.DryRun, "tokens": done.Tokens, "users": done.Users, "position": done.Position, "unknown": done.Unknown,
		"revoked": revoked, "deactivated": done.Deactivated, "disabled_users": done.DisableUsers,
		"disabled_groups": done.DisableGroups, "replaced": done.Replaced, "audit_export_until": done.Known.Newest,
	}
}

// report says what was done, and what remains to be done.
func (c *restoreCommand) report(s *session, done server.Restored) error {
	if len(done.Revoked) > 0 {
		t := table{title: "Revoked, because they changed after the backup:", header: []string{"ID", "NAME", "SECRET", "OWNER"}}
		for _, token := range done.Revoked {
			t.add(strconv.FormatInt(int64(token.ID), 10), token.Name, begins(token.Prefix), token.Owner.Name)
		}
		if err := t.write(s.out); err != nil {
			return err
		}
	}
	verb := "restored"
	if c.DryRun {
		verb = "would be restored; nothing was changed"
	}
	_, err := fmt.Fprintf(s.out, "%s: %d tokens and %d users, up to change %d, %s\n%s", c.File, done.Tokens, done.Users,
		done.Position, verb, c.consequences(done))
	return err
}

func (c *restoreCommand) consequences(done server.Restored) (text string) {
	add := func(wanted bool, format string, args ...any) {
		if wanted {
			text += fmt.Sprintf(format, args...) + "\n"
		}
	}
	add(c.AuditExport != "", "the audit export tells of %d entries after the backup, up to %s; what came later it cannot tell",
		done.Known.Entries, moment(rest.Time{Time: done.Known.At}, "the backup itself"))
	add(len(done.Revoked) > 0, "revoked: %d tokens (%s)", len(done.Revoked), latchward.RestoreReason)
	add(done.DisableUsers > 0, "disabled: %d users who were disabled or removed after the backup", done.DisableUsers)
	add(done.DisableGroups > 0, "disabled: %d groups that were disabled or removed after the backup", done.DisableGroups)
	add(done.Unknown != "", "what changed after the backup is not known: %s", done.Unknown)
	add(done.Unknown != "" && !c.AcceptResurrection, "inactive: %d tokens, for you to enable one by one", done.Deactivated)
	add(done.Unknown != "" && c.AcceptResurrection, "tokens that were revoked or rotated since are valid again")
	add(done.Replaced != "", "the replaced database is %s", done.Replaced)
	return text
}
