package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"net/netip"
	"time"

	"github.com/latchward/latchward"
)

const (
	auditColumns = `at, actor_type, actor_id, actor_name, address, user_agent, request_id, action, outcome,
		target_type, target_id, target_name, before, after,
		actor_key, actor_digest, target_key, target_digest, key_version, hash, seal`
	insertAudit = `INSERT INTO audit_entries (` + auditColumns + `)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	auditHead  = `SELECT id, hash FROM audit_entries ORDER BY id DESC LIMIT 1`
	eraseActor = `UPDATE audit_entries SET actor_name = NULL, address = NULL, user_agent = NULL, actor_key = NULL
		WHERE actor_type = 'user' AND actor_id = ?`
)

// eraseTarget returns the statement that takes what tells who a user is out of entries about them.
func eraseTarget() string {
	paths := ""
	for _, name := range latchward.PersonalMembers() {
		paths += `, '$.` + name + `'`
	}
	return `UPDATE audit_entries SET target_name = NULL, target_key = NULL, before = json_remove(before` + paths + `),
			after = json_remove(after` + paths + `)
		WHERE target_type = 'user' AND target_id = ?`
}

// AppendAudit implements [latchward.Tx].
func (tx *transaction) AppendAudit(e *latchward.AuditEntry) error {
	before, err1 := objectOrNull(e.Before)
	after, err2 := objectOrNull(e.After)
	if err := errors.Join(err1, err2); err != nil {
		return &latchward.Error{Code: latchward.CodeInvalid, Message: "The change cannot be written as JSON.", Err: err}
	}
	origin, proof := e.Actor.Origin, &e.Proof
	result, err := tx.execResult(insertAudit,
		e.At.UnixMilli(), string(e.Actor.Type), e.Actor.ID, textOrNull(e.Actor.Name), addressOrNull(origin.Address),
		textOrNull(origin.UserAgent), textOrNull(origin.RequestID), e.Action, string(e.Outcome),
		e.TargetType, e.TargetID, textOrNull(e.TargetName), before, after,
		proof.ActorKey, proof.ActorDigest, proof.TargetKey, proof.TargetDigest, proof.KeyVersion, proof.Hash, proof.Seal,
	)
	if err != nil {
		return err
	}
	e.ID, err = result.LastInsertId()
	return err
}

// AuditHead implements [latchward.Tx].
func (tx *transaction) AuditHead() (latchward.AuditHead, error) {
	heads, err := collect(tx.ctx, tx, scanHead, auditHead)
	if err != nil || len(heads) == 0 {
		return latchward.AuditHead{}, err
	}
	return heads[0], nil
}

func scanHead(rows *sql.Rows) (latchward.AuditHead, error) {
	var head latchward.AuditHead
	err := rows.Scan(&head.ID, &head.Hash)
	return head, err
}

// EraseAudit implements [latchward.Tx].
func (tx *transaction) EraseAudit(user latchward.UserID) error {
	return errors.Join(tx.exec(eraseActor, int64(user)), tx.exec(eraseTarget(), int64(user)))
}

// AuditEntries implements [latchward.Store].
func (s *Store) AuditEntries(ctx context.Context, f latchward.AuditFilter) ([]*latchward.AuditEntry, error) {
	text, args := auditQuery(&f)
	entries, err := collect(ctx, unprepared{s.readers}, scanAudit, text, args...)
	return entries, s.translate(err)
}

func auditQuery(f *latchward.AuditFilter) (string, []any) {
	c := &conditions{}
	c.begin("1")
	for _, is := range []struct {
		condition string
		value     any
		asked     bool
	}{
		{"actor_type = ?", string(f.ActorType), f.ActorType != ""},
		{"actor_id = ?", f.ActorID, f.ActorID != 0},
		{"action = ?", f.Action, f.Action != ""},
		{"outcome = ?", string(f.Outcome), f.Outcome != ""},
		{"target_type = ?", f.TargetType, f.TargetType != ""},
		{"target_id = ?", f.TargetID, f.TargetID != 0},
		{"at >= ?", millisAtOrAfter(f.From), !f.From.IsZero()},
		{"at < ?", millisAtOrAfter(f.Until), !f.Until.IsZero()},
		{"id < ?", f.Before, f.Before != 0},
		{"id > ?", f.After, f.After != 0},
	} {
		if is.asked {
			c.add(is.condition, is.value)
		}
	}
	if f.Text != "" {
		c.addQuery(f.Text, "actor_name", "target_name", "address", "user_agent", "request_id")
	}
	order := " DESC"
	if f.Oldest {
		order = ""
	}
	text := `SELECT id, ` + auditColumns + ` FROM audit_entries WHERE ` + c.text.String() + ` ORDER BY id` + order + ` LIMIT ?`
	return text, append(c.args, limitOf(f.Limit))
}

// millisAtOrAfter returns the first whole millisecond that is not before a moment: what is kept has nothing finer.
func millisAtOrAfter(at time.Time) int64 {
	millis := at.UnixMilli()
	if time.UnixMilli(millis).Before(at) {
		millis++
	}
	return millis
}

func scanAudit(rows *sql.Rows) (*latchward.AuditEntry, error) {
	var e latchward.AuditEntry
	actor, origin, proof := &e.Actor, &e.Actor.Origin, &e.Proof
	err := rows.Scan(&e.ID, timeColumn{&e.At}, &actor.Type, &actor.ID, textColumn{&actor.Name},
		parsedColumn(&origin.Address, netip.ParseAddr), textColumn{&origin.UserAgent}, textColumn{&origin.RequestID},
		&e.Action, &e.Outcome, &e.TargetType, &e.TargetID, textColumn{&e.TargetName}, jsonColumn(&e.Before), jsonColumn(&e.After),
		&proof.ActorKey, &proof.ActorDigest, &proof.TargetKey, &proof.TargetDigest, &proof.KeyVersion, &proof.Hash, &proof.Seal)
	if err != nil {
		return nil, unreadable("audit entry", &latchward.UnreadableEntry{ID: e.ID, Err: err})
	}
	return &e, nil
}

// addressOrNull keeps an address as text; an invalid one is none.
func addressOrNull(address netip.Addr) any {
	if !address.IsValid() {
		return nil
	}
	return address.String()
}
