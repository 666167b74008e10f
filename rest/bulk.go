package rest

import (
	"context"

	"github.com/latchward/latchward"
)

// Bulk asks for one change to all tokens that match: all of them are changed, or none. It takes what the action takes
// for a single token. First ask with dry_run, then with the count that told.
type Bulk struct {
	Action latchward.BulkAction `json:"action"`
	Filter BulkFilter           `json:"filter"`
	DryRun bool                 `json:"dry_run,omitzero" doc:"Tell what would change, and change nothing."`
	Count  Optional[int64]      `json:"count,omitzero" range:"0,100000" doc:"What the dry run told; required without one."`

	Revision    Optional[string] `json:"revision,omitzero" doc:"Of the dry run: the very same tokens must match."`
	SkipRefused bool             `json:"skip_refused,omitzero" doc:"Leave alone what may not be changed; else it refuses all."`
	Reason      Optional[string] `json:"reason,omitzero" doc:"Of a revocation, such as key_compromise; or a note."`
	Note        Optional[string] `json:"note,omitzero" doc:"Of a revocation, for people to read."`
	ExpiresAt   Optional[Time]   `json:"expires_at,omitzero" doc:"Of extend; later expiries, and none, stay."`
}

// BulkFilter selects tokens. At least one member must be there.
type BulkFilter struct {
	Owner         string           `json:"owner,omitzero" doc:"user:3, group:7, or the id of a user."`
	Status        latchward.Status `json:"status,omitzero"`
	Kind          latchward.Kind   `json:"kind,omitzero"`
	Role          string           `json:"role,omitzero" doc:"Name of a role of a service token itself."`
	Group         string           `json:"group,omitzero" doc:"Name of a group of which a service token is a member."`
	License       string           `json:"license,omitzero" doc:"Name of a license of a service token itself."`
	Text          string           `json:"q,omitzero" doc:"Part of the name, description or display prefix."`
	Tag           string           `json:"tag,omitzero"`
	UnusedSince   Time             `json:"unused_since,omitzero" doc:"Not used, created or enabled since."`
	NeverUsed     bool             `json:"never_used,omitzero" doc:"No request of it was ever accepted."`
	ExpiresBefore Time             `json:"expires_before,omitzero"`
	IdleBefore    Time             `json:"idle_before,omitzero" doc:"Goes idle before, or has gone idle."`
	RotationDue   Time             `json:"rotation_due_before,omitzero" doc:"Its policy wants it rotated before."`
	CreatedBefore Time             `json:"created_before,omitzero"`
	CreatedBy     string           `json:"created_by,omitzero" doc:"user:3, token:7 or local:0."`
	Permission    string           `json:"permission,omitzero" doc:"Holds this permission now, such as orders.read."`
}

// query is f as lists know it.
func (f *BulkFilter) query() TokenQuery {
	return TokenQuery{
		Owner: f.Owner, Status: f.Status, Kind: f.Kind, Role: f.Role, Group: f.Group, License: f.License, Text: f.Text,
		Tag: f.Tag, UnusedSince: f.UnusedSince, NeverUsed: f.NeverUsed, ExpiresBefore: f.ExpiresBefore,
		IdleBefore: f.IdleBefore, RotationDue: f.RotationDue, CreatedBefore: f.CreatedBefore, CreatedBy: f.CreatedBy,
	}
}

// BulkReply tells what was changed, or would be.
type BulkReply struct {
	Action   latchward.BulkAction `json:"action"`
	DryRun   bool                 `json:"dry_run"`
	Count    int64                `json:"count" doc:"Tokens that were changed, or would be."`
	Same     int64                `json:"same" doc:"Tokens that match and need no change."`
	Refused  int64                `json:"refused" doc:"Tokens that match and may not be changed."`
	Reasons  []BulkRefusal        `json:"reasons" doc:"Why, for the first 20 of those."`
	Sample   []Token              `json:"sample" doc:"The first 20 of those that change, as they will be."`
	Revision string               `json:"revision" doc:"Names what changes, for the call that does it."`
}

// BulkRefusal says why one token may not be changed.
type BulkRefusal struct {
	ID    int64  `json:"id"`
	Name  string `json:"name"`
	Error string `json:"error"`
	Field string `json:"field"`
}

func (h *handler) bulkTokens(ctx context.Context, in request[none, Bulk]) (BulkReply, error) {
	asked, err := h.bulk(ctx, &in.Body)
	if err != nil {
		return BulkReply{}, err
	}
	done, err := h.service.BulkTokens(ctx, asked)
	if err != nil {
		return BulkReply{}, err
	}
	reply := BulkReply{
		Action: done.Action, DryRun: done.Preview, Count: done.Count, Same: done.Same, Refused: done.Refused,
		Reasons: make([]BulkRefusal, len(done.Reasons)), Revision: done.Revision,
	}
	for i, r := range done.Reasons {
		reply.Reasons[i] = BulkRefusal{int64(r.ID), r.Name, latchward.ErrorMessage(r.Err), latchward.ErrorField(r.Err)}
	}
	reply.Sample, err = h.tokensOf(ctx, done.Sample)
	return reply, err
}

// bulk returns what the service is asked for.
func (h *handler) bulk(ctx context.Context, b *Bulk) (latchward.Bulk, error) {
	query := b.Filter.query()
	filter, err := h.tokenFilter(ctx, &query)
	if err != nil {
		return latchward.Bulk{}, err
	}
	why, err := Revocation{Reason: b.Reason, Note: b.Note}.cause()
	if err != nil {
		return latchward.Bulk{}, err
	}
	asked := latchward.Bulk{
		Action: b.Action, Filter: filter, Permission: b.Filter.Permission, Why: why, ExpiresAt: b.ExpiresAt.Value.Time,
		Revision: b.Revision.Value, SkipRefused: b.SkipRefused,
	}
	switch {
	case b.DryRun:
		return asked, noConfirmation(b.Count.Set, b.Revision.Set)
	case !b.Count.Set || b.Count.Null:
		return asked, latchward.Invalid("count", "must be what a dry run told; ask with dry_run first")
	default:
		asked.Count = &b.Count.Value
	}
	return asked, nil
}

// noConfirmation refuses to confirm in a dry run what only a dry run tells.
func noConfirmation(count, revision bool) error {
	switch {
	case count:
		return latchward.Invalid("count", "goes with the call that makes the change, not with dry_run")
	case revision:
		return latchward.Invalid("revision", "goes with the call that makes the change, not with dry_run")
	}
	return nil
}

// tokensOf returns tokens as the API shows them.
func (h *handler) tokensOf(ctx context.Context, tokens []*latchward.Token) ([]Token, error) {
	wire, now := make([]Token, len(tokens)), h.now()
	for i, t := range tokens {
		names, err := h.service.Names(ctx, t.Roles, t.Groups, t.Licenses)
		if err != nil {
			return nil, err
		}
		wire[i] = tokenOf(t, names, now)
	}
	return wire, nil
}
