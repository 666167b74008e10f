package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql"

	"github.com/pressly/goose/v3"

	"github.com/latchward/latchward"
)

// auditColumnsAdded is what the chain of the audit log needs.
const auditColumnsAdded = `
ALTER TABLE audit_entries ADD COLUMN outcome TEXT NOT NULL DEFAULT 'done';
ALTER TABLE audit_entries ADD COLUMN actor_key BLOB; -- NULL once the actor is erased
ALTER TABLE audit_entries ADD COLUMN actor_digest BLOB;
ALTER TABLE audit_entries ADD COLUMN target_key BLOB; -- NULL once the target is erased
ALTER TABLE audit_entries ADD COLUMN target_digest BLOB;
ALTER TABLE audit_entries ADD COLUMN key_version INTEGER NOT NULL DEFAULT 0; -- of the server key of the seal
ALTER TABLE audit_entries ADD COLUMN hash BLOB;
ALTER TABLE audit_entries ADD COLUMN seal BLOB;
CREATE INDEX audit_entries_actor ON audit_entries (actor_type, actor_id);
`

// chainAudit is the migration that makes a chain of the audit log. It is written in Go, because SQLite cannot compute
// the hashes of the entries that are there.
func chainAudit() *goose.Migration {
	m := goose.NewGoMigration(4, &goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, auditColumnsAdded); err != nil {
			return err
		}
		return chainEntries(ctx, tx)
	}}, nil)
	m.Source = "00004_audit_chain.go"
	return m
}

// chainEntries chains what an earlier version wrote, without seals: the server key is not known here.
func chainEntries(ctx context.Context, tx *sql.Tx) error {
	var head latchward.AuditHead
	for {
		f := latchward.AuditFilter{After: head.ID, Oldest: true, Limit: latchward.MaxPage}
		text, args := auditQuery(&f)
		page, err := collect(ctx, plainTx{tx}, scanAudit, text, args...)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, e := range page {
			head.ID = e.ID - 1 // verification tells of gaps; they are no reason not to start
			if head, err = chainEntry(ctx, tx, e, head); err != nil {
				return err
			}
		}
	}
}

// plainTx is a [runner] in a transaction of a migration.
type plainTx struct{ tx *sql.Tx }

func (t plainTx) query(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	return t.tx.QueryContext(ctx, text, args...)
}

func (plainTx) note(error) {}

func chainEntry(
	ctx context.Context, tx *sql.Tx, e *latchward.AuditEntry, previous latchward.AuditHead,
) (latchward.AuditHead, error) {
	if err := e.Chain(previous, rand.Reader); err != nil {
		return previous, err
	}
	p := &e.Proof
	_, err := tx.ExecContext(ctx, `UPDATE audit_entries SET actor_name = ?, user_agent = ?, request_id = ?, target_name = ?,
			actor_key = ?, actor_digest = ?, target_key = ?, target_digest = ?, hash = ? WHERE id = ?`,
		textOrNull(e.Actor.Name), textOrNull(e.Actor.Origin.UserAgent), textOrNull(e.Actor.Origin.RequestID),
		textOrNull(e.TargetName), p.ActorKey, p.ActorDigest, p.TargetKey, p.TargetDigest, p.Hash, e.ID)
	return latchward.AuditHead{ID: e.ID, Hash: p.Hash}, err
}
