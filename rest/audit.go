package rest

import (
	"context"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/latchward/latchward"
)

// AuditEntry tells who changed what, when and from where, or tried to.
type AuditEntry struct {
	ID      int64                  `json:"id" doc:"1, 2, 3 and so on."`
	At      Time                   `json:"at"`
	Outcome latchward.AuditOutcome `json:"outcome" enum:"done,denied"`
	Actor   Actor                  `json:"actor"`
	Action  string                 `json:"action"`
	Target  Target                 `json:"target"`
	Before  map[string]any         `json:"before" doc:"Members that changed, as they were; null for a creation."`
	After   map[string]any         `json:"after" doc:"Members that changed, as they are; null for a deletion."`
	Hash    string                 `json:"hash" doc:"Of the entry and the hash before it: SHA-256 in hexadecimal."`
}

// Actor is who made a change, and from where.
type Actor struct {
	Type      latchward.PrincipalType `json:"type"`
	ID        int64                   `json:"id" doc:"Of the user or token; 0 for others."`
	Name      string                  `json:"name" doc:"Empty for somebody who was removed."`
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

// AuditSelection selects audit entries. The zero value of a field does not filter.
type AuditSelection struct {
	Actor      string                 `json:"actor,omitzero" doc:"user:3, token:7, local or system."`
	Action     string                 `json:"action,omitzero" doc:"Such as token.create."`
	Outcome    latchward.AuditOutcome `json:"outcome,omitzero" enum:"done,denied"`
	TargetType string                 `json:"target_type,omitzero" enum:"audit,group,key,license,permission,role,token,user"`
	TargetID   int64                  `json:"target_id,omitzero" range:"1,"`
	From       Time                   `json:"from,omitzero" doc:"Not before this moment."`
	To         Time                   `json:"to,omitzero" doc:"Before this moment."`
	Text       string                 `json:"q,omitzero" doc:"Part of a name, an address, a user agent or a request id."`
}

// AuditQuery selects a page of audit entries.
type AuditQuery struct {
	Limit  int    `json:"limit,omitzero" range:"1,1000" doc:"At most this many; 1000 when missing."`
	Cursor string `json:"cursor,omitzero" doc:"next_cursor of the page before."`
	AuditSelection
}

func (q *AuditSelection) filter() (latchward.AuditFilter, error) {
	f := latchward.AuditFilter{
		Action: q.Action, Outcome: q.Outcome, TargetType: q.TargetType, TargetID: q.TargetID,
		From: q.From.Time, Until: q.To.Time, Text: q.Text,
	}
	if q.Actor == "" {
		return f, nil
	}
	kind, number, numbered := strings.Cut(q.Actor, ":")
	f.ActorType = latchward.PrincipalType(kind)
	alone := f.ActorType == latchward.PrincipalLocal || f.ActorType == latchward.PrincipalSystem
	person := f.ActorType == latchward.PrincipalUser || f.ActorType == latchward.PrincipalToken
	id, err := strconv.ParseInt(number, 10, 64)
	if alone && !numbered || person && err == nil && id > 0 {
		f.ActorID = id
		return f, nil
	}
	return f, latchward.Invalid("actor", "must look like user:3 or token:7, or be local or system")
}

func (h *handler) audit(ctx context.Context, in request[AuditQuery, none]) (AuditList, error) {
	q := in.Query
	f, err := q.filter()
	if err != nil {
		return AuditList{}, err
	}
	f.Limit = q.Limit
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
		ID: e.ID, At: Time{e.At}, Outcome: e.Outcome, Action: e.Action, Before: e.Before, After: e.After,
		Hash:   hex.EncodeToString(e.Proof.Hash),
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

// AuditCheck asks whether the audit log is as it was written.
type AuditCheck struct {
	Anchors []string `json:"anchors,omitzero" range:"0,1000" doc:"Lines of a log, or just the anchors in them: the log must still hold what they say."`
}

// AuditReport is what checking the audit log found.
type AuditReport struct {
	Intact   bool        `json:"intact"`
	Entries  int64       `json:"entries" doc:"That were found in order."`
	Erased   int64       `json:"erased" doc:"Of these tell nothing of a person who was removed."`
	Unproven int64       `json:"unproven" doc:"How many of the newest have no seal that a server key here can check."`
	Anchors  int         `json:"anchors" doc:"That were compared."`
	Bad      *AuditFault `json:"bad" doc:"The first bad entry."`
	Anchor   *string     `json:"anchor" doc:"Of the newest entry, to be kept elsewhere; null for an empty log and a bad one."`
}

// AuditFault says what is wrong with an audit entry.
type AuditFault struct {
	ID      int64  `json:"id"`
	Problem string `json:"problem"`
}

func (h *handler) verifyAudit(ctx context.Context, in request[none, AuditCheck]) (AuditReport, error) {
	var anchors []latchward.AuditAnchor
	for i, text := range in.Body.Anchors {
		found := latchward.AuditAnchors([]byte(text))
		if len(found) == 0 {
			return AuditReport{}, latchward.Invalid("anchors["+strconv.Itoa(i)+"]", "there is no anchor in it")
		}
		anchors = append(anchors, found...)
	}
	// The newest anchor is taken before the check, so that it is part of what was checked.
	newest, err := h.service.AuditAnchor(ctx)
	var unreadable *latchward.UnreadableEntry
	if err != nil && !errors.As(err, &unreadable) {
		return AuditReport{}, err
	}
	report, err := h.service.VerifyAudit(ctx, anchors)
	if err != nil {
		return AuditReport{}, err
	}
	reply := AuditReport{
		Intact: report.Bad == nil, Entries: report.Entries, Erased: report.Erased, Unproven: report.Unproven,
		Anchors: report.Anchors,
	}
	switch {
	case report.Bad != nil:
		reply.Bad = &AuditFault{report.Bad.ID, report.Bad.Problem}
	case newest.ID > 0:
		reply.Anchor = textOrNull(newest.String())
	}
	return reply, nil
}

// auditRoutes are those about the audit log.
func (h *handler) auditRoutes(audit string) []route {
	return []route{
		{http.MethodGet, audit, persons, "listAudit", "Who changed what, or tried to", operate(h.audit)},
		{http.MethodGet, audit + "/export", persons, "exportAudit", "The audit log as a file", h.exportOperation()},
		{http.MethodPost, audit + "/verify", persons, "verifyAudit", "Is the audit log as it was written?",
			withoutBody(operate(h.verifyAudit))},
	}
}
