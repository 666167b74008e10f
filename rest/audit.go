package rest

import (
	"context"

	"github.com/latchward/latchward"
)

// AuditEntry tells who changed what, when and from where.
type AuditEntry struct {
	ID     int64          `json:"id"`
	At     Time           `json:"at"`
	Actor  Actor          `json:"actor"`
	Action string         `json:"action"`
	Target Target         `json:"target"`
	Before map[string]any `json:"before" doc:"Members that changed, as they were; null for a creation."`
	After  map[string]any `json:"after" doc:"Members that changed, as they are; null for a deletion."`
}

// Actor is who made a change, and from where.
type Actor struct {
	Type      latchward.PrincipalType `json:"type"`
	ID        int64                   `json:"id" doc:"Of the user or token; 0 for others."`
	Name      string                  `json:"name"`
	Address   *string                 `json:"address"`
	UserAgent *string                 `json:"user_agent"`
	RequestID *string                 `json:"request_id"`
}

// Target is what was changed, under the name it had then.
type Target struct {
	Type string `json:"type"`
	ID   int64  `json:"id"`
	Name string `json:"name"`
}

// AuditList is one page of audit entries, newest first.
type AuditList struct {
	Entries    []AuditEntry `json:"entries"`
	NextCursor *string      `json:"next_cursor" doc:"Where the next page begins; null at the end."`
}

// AuditQuery selects audit entries. The zero value of a field does not filter.
type AuditQuery struct {
	Limit      int    `json:"limit,omitzero" range:"1,1000" doc:"At most this many; 1000 when missing."`
	Cursor     string `json:"cursor,omitzero" doc:"next_cursor of the page before."`
	Action     string `json:"action,omitzero" doc:"Such as token.create."`
	TargetType string `json:"target_type,omitzero" enum:"token,user,role,group,license,permission,key"`
	TargetID   int64  `json:"target_id,omitzero" range:"1,"`
}

func (h *handler) audit(ctx context.Context, in request[AuditQuery, none]) (AuditList, error) {
	q := in.Query
	f := latchward.AuditFilter{Action: q.Action, TargetType: q.TargetType, TargetID: q.TargetID, Limit: q.Limit}
	q.Limit, q.Cursor = 0, ""
	list := h.list(ctx, "audit", q)
	if in.Query.Cursor != "" {
		if err := list.open(in.Query.Cursor, &f.Before); err != nil {
			return AuditList{}, err
		}
	}
	entries, more, err := page(f.Limit, func(limit int, after *latchward.AuditEntry) ([]*latchward.AuditEntry, error) {
		f := f
		if f.Limit = limit; after != nil {
			f.Before = after.ID
		}
		return h.service.AuditEntries(ctx, f)
	})
	if err != nil {
		return AuditList{}, err
	}
	reply := AuditList{Entries: make([]AuditEntry, len(entries))}
	for i, e := range entries {
		reply.Entries[i] = auditEntryOf(e)
	}
	if more {
		reply.NextCursor, err = list.seal(entries[len(entries)-1].ID)
	}
	return reply, err
}

func auditEntryOf(e *latchward.AuditEntry) AuditEntry {
	entry := AuditEntry{
		ID: e.ID, At: Time{e.At}, Action: e.Action, Before: e.Before, After: e.After,
		Target: Target{Type: e.TargetType, ID: e.TargetID, Name: e.TargetName},
		Actor: Actor{
			Type: e.Actor.Type, ID: e.Actor.ID, Name: e.Actor.Name,
			UserAgent: textOrNull(e.Actor.Origin.UserAgent), RequestID: textOrNull(e.Actor.Origin.RequestID),
		},
	}
	if address := e.Actor.Origin.Address; address.IsValid() {
		entry.Actor.Address = textOrNull(address.String())
	}
	return entry
}
