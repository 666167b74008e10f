package latchward

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// BulkTokens changes all tokens that match, or tells which would be changed. It takes what the action takes for a
// single token: everybody may change what is theirs; whoever holds the permission, everybody's. It is one transaction
// with one audit entry for each token, and holds for the next request with any of them. Errors: conflict, when other
// tokens match than a preview told, or when one of them may not be changed; invalid; forbidden.
func (s *Service) BulkTokens(ctx context.Context, b Bulk) (result BulkResult, err error) {
	defer s.noteDenial(ctx, b.Action.permission(), 0, "", &err)
	p, err := tokenActor(ctx, b.Action.permission())
	if err != nil {
		return BulkResult{}, err
	}
	run := bulkRun{service: s, Bulk: &b, principal: p, now: s.timestamp()}
	if err := run.begin(ctx); err != nil {
		return BulkResult{}, err
	}
	err = s.tx(ctx, run.do)
	if err != nil && !errors.Is(err, errPreview) {
		return BulkResult{}, err
	}
	if b.Action == BulkRevoke && !run.result.Preview {
		s.counters.revoked.Add(run.result.Count)
	}
	return run.result, nil
}

// errPreview takes back what a preview did.
var errPreview = errors.New("this was a preview")

// bulkRun is one change of many tokens.
type bulkRun struct {
	service *Service
	*Bulk
	principal Principal
	now       time.Time
	holders   map[TokenID]bool // of the permission; nil = anybody
	ids       []TokenID        // that are changed
	result    BulkResult
}

const bulkPage = 500 // tokens read at a time

// begin checks what is asked, and finds out what needs no transaction.
func (r *bulkRun) begin(ctx context.Context) error {
	if err := r.validate(r.now); err != nil {
		return err
	}
	r.ExpiresAt = toMillisecond(r.ExpiresAt)
	f := &r.Filter
	f.Sort, f.Desc, f.After, f.Limit, f.Now = SortCreated, false, nil, bulkPage, r.now
	if !r.principal.May(r.Action.permission()) {
		if err := r.service.restrict(r.principal, f); err != nil {
			return err
		}
	}
	if err := r.service.FlushUsage(ctx); err != nil {
		return err
	}
	if r.Permission == "" {
		return nil
	}
	r.holders = map[TokenID]bool{}
	return eachPage(*f, func(f TokenFilter) ([]*Token, error) { return r.service.store.Tokens(ctx, f) },
		func(t *Token) error { return r.noteHolder(ctx, t) })
}

func (r *bulkRun) noteHolder(ctx context.Context, t *Token) error {
	owner, err := r.service.cache.owners.get(ctx, t.Owner.key())
	if err != nil {
		return err
	}
	rights, err := r.service.rightsOf(ctx, t, owner)
	if err == nil && rights.Has(r.Permission) {
		r.holders[t.ID] = true
	}
	return err
}

// eachPage calls f with every token of a list.
func eachPage(filter TokenFilter, list func(TokenFilter) ([]*Token, error), f func(*Token) error) error {
	for {
		tokens, err := list(filter)
		if err != nil {
			return err
		}
		for _, t := range tokens {
			if err := f(t); err != nil {
				return err
			}
		}
		if len(tokens) < filter.Limit {
			return nil
		}
		next := CursorOf(tokens[len(tokens)-1], filter.Sort)
		filter.After = &next
	}
}

// do changes what matches, in one transaction.
func (r *bulkRun) do(tx Tx) error {
	r.ids, r.result = nil, BulkResult{Action: r.Action, Preview: r.Count == nil} // it may run twice
	if err := eachPage(r.Filter, tx.Tokens, func(t *Token) error { return r.one(tx, t) }); err != nil {
		return err
	}
	r.result.Count, r.result.Revision = int64(len(r.ids)), r.fingerprint(r.ids)
	switch {
	case r.result.Preview:
		return errPreview
	case r.result.Count != *r.Count:
		return Errorf(CodeConflict, "%d tokens would change now, not %d: preview it again", r.result.Count, *r.Count)
	case r.Revision != "" && r.Revision != r.result.Revision:
		return Errorf(CodeConflict, "As many tokens would change as before, but others: preview it again")
	case r.result.Refused > 0 && !r.SkipRefused:
		first, code := r.result.Reasons[0], CodeConflict
		if ErrorCode(first.Err) == CodeForbidden {
			code = CodeForbidden
		}
		return Errorf(code, "%d tokens may not be changed, such as %d: %s; narrow the filter, or skip them",
			r.result.Refused, first.ID, ErrorMessage(first.Err))
	}
	return nil
}

// one changes a token, or counts it. An error loses the transaction.
func (r *bulkRun) one(tx Tx, t *Token) error {
	if r.holders != nil && !r.holders[t.ID] {
		return nil
	}
	if r.same(t) {
		r.result.Same++
		return nil
	}
	before := auditFacts(t)
	action, err := r.edit(tx, t)
	switch ErrorCode(err) {
	case "":
	case CodeForbidden, CodeNotFound, CodeConflict, CodeInvalid: // found before anything was written
		r.refuse(t, err)
		return nil
	default:
		return err
	}
	if r.ids = append(r.ids, t.ID); len(r.ids) > MaxBulk {
		return Errorf(CodeConflict, "More than %d tokens match: narrow the filter", MaxBulk)
	}
	if len(r.result.Sample) < BulkSample {
		r.result.Sample = append(r.result.Sample, t)
	}
	if r.result.Preview {
		return nil
	}
	if err := tx.SaveToken(t); err != nil {
		return fmt.Errorf("saving token %d: %w", t.ID, err)
	}
	return r.service.audit(tx, r.principal, action, t, before, r.now)
}

func (r *bulkRun) refuse(t *Token, err error) {
	if r.result.Refused++; len(r.result.Reasons) < BulkSample {
		r.result.Reasons = append(r.result.Reasons, BulkRefusal{t.ID, t.Name, err})
	}
}

// same reports whether t is what it would become. Nothing becomes of revoked tokens.
func (r *bulkRun) same(t *Token) bool {
	switch {
	case t.Revoked():
		return true
	case r.Action == BulkDisable:
		return !t.Active
	case r.Action == BulkEnable:
		return t.Inactive(r.now) == ""
	case r.Action == BulkExtend:
		return t.ExpiresAt.IsZero() || !t.ExpiresAt.Before(r.ExpiresAt)
	}
	return false
}

// edit does to t what a call about it alone would do, and returns the action.
func (r *bulkRun) edit(tx Tx, t *Token) (string, error) {
	if err := authorize(r.principal, t, r.Action.permission()); err != nil {
		return "", err
	}
	if r.Action == BulkRevoke {
		t.RevokedAt, t.UpdatedAt, t.RevokeReason, t.RevokeNote = r.now, r.now, r.Why.Reason, r.Why.Note
		return ActionTokenRevoke, nil
	}
	var u TokenUpdate
	switch active := r.Action == BulkEnable; r.Action {
	case BulkExtend:
		u.ExpiresAt = &r.ExpiresAt
	default:
		u.Active = &active
	}
	t.UpdatedAt = r.now
	return update(tx, r.principal, t, &u, r.now)
}
