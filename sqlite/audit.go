package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"net/netip"

	"github.com/latchward/latchward"
)

const (
	auditColumns = `id, at, actor_type, actor_id, actor_name, address, user_agent, request_id, action,
		target_type, target_id, target_name, before, after`
	insertAudit = `INSERT INTO audit_entries (at, actor_type, actor_id, actor_name, address, user_agent, request_id,
			action, target_type, target_id, target_name, before, after)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
)

// AppendAudit implements [latchward.Tx].
func (tx *transaction) AppendAudit(e *latchward.AuditEntry) error {
	before, err1 := objectOrNull(e.Before)
	after, err2 := objectOrNull(e.After)
	if err := errors.Join(err1, err2); err != nil {
		return &latchward.Error{Code: latchward.CodeInvalid, Message: "The change cannot be written as JSON.", Err: err}
	}
	origin := e.Actor.Origin
	result, err := tx.execResult(insertAudit,
		e.At.UnixMilli(), string(e.Actor.Type), e.Actor.ID, textOrNull(e.Actor.Name), addressOrNull(origin.Address),
		textOrNull(origin.UserAgent), textOrNull(origin.RequestID), e.Action,
		e.TargetType, e.TargetID, textOrNull(e.TargetName), before, after,
	)
	if err != nil {
		return err
	}
	e.ID, err = result.LastInsertId()
	return err
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
	if f.Action != "" {
		c.add("action = ?", f.Action)
	}
	if f.TargetType != "" {
		c.add("target_type = ?", f.TargetType)
	}
	if f.TargetID != 0 {
		c.add("target_id = ?", f.TargetID)
	}
	if f.Before != 0 {
		c.add("id < ?", f.Before)
	}
	text := `SELECT ` + auditColumns + ` FROM audit_entries WHERE ` + c.text.String() + ` ORDER BY id DESC LIMIT ?`
	return text, append(c.args, limitOf(f.Limit))
}

func scanAudit(rows *sql.Rows) (*latchward.AuditEntry, error) {
	var e latchward.AuditEntry
	actor, origin := &e.Actor, &e.Actor.Origin
	err := rows.Scan(&e.ID, timeColumn{&e.At}, &actor.Type, &actor.ID, textColumn{&actor.Name},
		parsedColumn(&origin.Address, netip.ParseAddr), textColumn{&origin.UserAgent}, textColumn{&origin.RequestID},
		&e.Action, &e.TargetType, &e.TargetID, textColumn{&e.TargetName}, jsonColumn(&e.Before), jsonColumn(&e.After))
	if err != nil {
		return nil, unreadable("audit entry", err)
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
