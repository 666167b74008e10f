package server

import (
	"cmp"
	"context"
	"errors"
	"os"
	"slices"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/rest"
	"github.com/latchward/latchward/sqlite"
)

// RestoreOptions says how a backup is restored.
type RestoreOptions struct {
	File               string
	AuditExport        string // export of the audit log as NDJSON that tells what changed since; "" = none
	DryRun             bool   // only say what would happen
	AcceptResurrection bool   // where nobody knows what was revoked since, let all tokens be as the backup has them
}

// Restored says what a restore did, or would do.
type Restored struct {
	Backed
	Known         latchward.AuditSince // what the audit export tells; the zero value without one
	Unknown       string               // why nobody knows what changed after the backup; "" when that is known
	Revoked       []*latchward.Token
	DisableUsers  int
	DisableGroups int
	Deactivated   int    // tokens, because of Unknown
	Replaced      string // file that holds the database that was replaced; "" if there was none
}

// Restore puts a backup into the place of the database of a data folder, on which no server may be running. No token
// comes back that was revoked, rotated, disabled or deleted after the backup (bar 134): where the replaced database
// or an export of the audit log still tells, those that changed are revoked, and where neither does, all start inactive. A key ring that does not fit
// is refused as it is at a start. Errors are those of [sqlite.Restore] and [latchward.New].
func Restore(ctx context.Context, c Config, o RestoreOptions) (Restored, error) {
	if err := openFolder(c.Data); err != nil {
		return Restored{}, err
	}
	r, err := sqlite.Restore(ctx, c.path(databaseFile), o.File, time.Now())
	if err != nil {
		return Restored{}, err
	}
	done, err := prepareRestored(ctx, c, r, o)
	if err != nil || o.DryRun {
		return done, errors.Join(err, r.Abandon())
	}
	if done.Replaced, err = r.Finish(); err != nil {
		return done, err
	}
	return done, setJournalAside(&c, done.Replaced)
}

// setJournalAside puts usage that waits for the replaced database beside that. Where a backup of another one was
// restored, the ids in it mean other tokens.
func setJournalAside(c *Config, replaced string) error {
	waiting := c.path(journalFolder)
	if !exists(waiting) {
		return nil
	}
	if replaced == "" {
		replaced = c.path(databaseFile) + ".lost"
	}
	return os.Rename(waiting, replaced+".usage-journal")
}

// prepareRestored changes the copy of a backup such that it revives nothing.
func prepareRestored(ctx context.Context, c Config, r *sqlite.Restoration, o RestoreOptions) (done Restored, err error) {
	k := &core{config: c, log: newLogger(&c), store: r.Store}
	head, err := newestEntry(ctx, r.Store) // before there is an entry of this program's
	if err != nil {
		return done, err
	}
	if err := k.openService(ctx); err != nil {
		return done, err
	}
	done.Backed = r.Backed
	if o.AuditExport != "" {
		if done.Known, err = k.readExport(ctx, r, head, o.AuditExport); err != nil {
			return done, err
		}
	}
	done.DisableUsers, done.DisableGroups = len(r.Since.Users), len(r.Since.Groups)
	if r.Unknown != nil {
		done.Unknown = latchward.ErrorMessage(r.Unknown)
		if !o.AcceptResurrection {
			if done.Deactivated, err = r.Deactivate(ctx); err != nil {
				return done, err
			}
		}
	}
	done.Revoked, err = k.service.Restore(latchward.WithPrincipal(ctx, localAdministrator()), latchward.Restoration{
		Revoke: r.Since.Tokens, DisableUsers: r.Since.Users, DisableGroups: r.Since.Groups,
		Facts: map[string]any{
			"position": r.Backed.Position, "tokens": r.Backed.Tokens, "revoked": len(r.Since.Tokens),
			"deactivated": done.Deactivated, "unknown": done.Unknown, "accept_resurrection": o.AcceptResurrection,
			"audit_export_until": done.Known.Newest,
		},
	})
	return done, err
}

func newestEntry(ctx context.Context, store *sqlite.Store) (latchward.AuditHead, error) {
	newest, err := store.AuditEntries(ctx, latchward.AuditFilter{Limit: 1})
	if err != nil || len(newest) == 0 {
		return latchward.AuditHead{}, err
	}
	return latchward.AuditHead{ID: newest[0].ID, Hash: newest[0].Proof.Hash}, nil
}

// readExport adds what an audit export tells to what is known to have happened since the backup.
func (k *core) readExport(
	ctx context.Context, r *sqlite.Restoration, head latchward.AuditHead, path string,
) (latchward.AuditSince, error) {
	file, err := os.Open(path)
	if err != nil {
		return latchward.AuditSince{}, invalidf("audit_export", "%v", err)
	}
	defer file.Close()
	known, err := k.service.AuditSince(ctx, head, rest.ReadAuditExport(file))
	if err != nil {
		return known, err
	}
	r.Since.Tokens = union(r.Since.Tokens, known.Tokens)
	r.Since.Users = union(r.Since.Users, known.Users)
	r.Since.Groups = union(r.Since.Groups, known.Groups)
	r.Unknown = nil
	return known, r.TakeIDs(ctx, known.IDs)
}

func union[ID cmp.Ordered](a, b []ID) []ID {
	return slices.Compact(slices.Sorted(slices.Values(slices.Concat(a, b))))
}
