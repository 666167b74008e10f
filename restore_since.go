package latchward

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"
)

// AuditSince is what an export of the audit log tells about the time after a backup was made.
type AuditSince struct {
	Tokens  []TokenID        // changed state or secret, of those that are not revoked in the backup
	Users   []UserID         // active in the backup, and disabled or removed since
	Groups  []GroupID        // likewise
	Entries int64            // that came after the backup
	Newest  int64            // id of the last entry: what came later is not known
	At      time.Time        // when that was
	IDs     map[string]int64 // the highest that were seen, by type of target
}

// AuditSince reads an export of the whole audit log, or of its end, on a service over a restored backup whose newest
// entry was head. It checks chain and seals of what comes after. The error is of code conflict when the export does not
// go on from there or is not as Latchward wrote it.
func (s *Service) AuditSince(
	ctx context.Context, head AuditHead, export iter.Seq2[*AuditEntry, error],
) (since AuditSince, err error) {
	v := auditVerification{keys: s.keys.Load(), head: head, sealed: true}
	found := sinceFound{tokens: map[TokenID]bool{}, users: map[UserID]bool{}, groups: map[GroupID]bool{}}
	since.IDs = map[string]int64{}
	for e, err := range export {
		if err != nil {
			return since, err
		}
		since.IDs[e.TargetType] = max(since.IDs[e.TargetType], e.TargetID)
		switch {
		case e.ID < head.ID:
			continue
		case e.ID == head.ID:
			if string(e.Proof.Hash) != string(head.Hash) {
				return since, notSince(e.ID, "the backup has another one")
			}
			continue
		}
		if v.check(e) != nil {
			return since, notSince(v.report.Bad.ID, v.report.Bad.Problem)
		}
		found.note(e)
		since.Newest, since.At = e.ID, e.At
	}
	if v.finish(); v.report.Bad != nil {
		return since, notSince(v.report.Bad.ID, v.report.Bad.Problem)
	}
	since.Entries = v.report.Entries
	return since, s.inBackup(ctx, &since, &found)
}

func notSince(id int64, problem string) error {
	return &Error{Code: CodeConflict, Message: fmt.Sprintf("The audit export does not tell what came after the backup: "+
		"entry %d: %s", id, problem)}
}

// sinceFound is what entries tell: tokens to be revoked, users and groups by whether they were disabled at the end.
type sinceFound struct {
	tokens map[TokenID]bool
	users  map[UserID]bool
	groups map[GroupID]bool
}

func (f *sinceFound) note(e *AuditEntry) {
	if e.Outcome != OutcomeDone {
		return
	}
	active, told := e.After["active"].(bool)
	switch e.TargetType {
	case "token":
		if e.Action == ActionTokenDelete || endsToken(e) {
			f.tokens[TokenID(e.TargetID)] = true
		}
	case "user":
		if told || e.Action == ActionUserRemove {
			f.users[UserID(e.TargetID)] = !active
		}
	case "group":
		if told || e.Action == ActionGroupRemove {
			f.groups[GroupID(e.TargetID)] = !active
		}
	}
}

// endsToken reports whether a change of a token is one of state or secret: it was revoked, disabled, enabled or rotated,
// or it, or its old secret, is to live for a shorter time.
func endsToken(e *AuditEntry) bool {
	for _, member := range []string{"active", "revoked_at", "token_prefix", "retiring_until"} {
		if _, ok := e.After[member]; ok {
			return true
		}
	}
	until, bounded := instantMember(e.After, "expires_at")
	before, was := instantMember(e.Before, "expires_at")
	if bounded && (!was || until.Before(before)) {
		return true
	}
	from, bounded := instantMember(e.After, "not_before")
	before, was = instantMember(e.Before, "not_before")
	return bounded && (!was || from.After(before))
}

func instantMember(object map[string]any, name string) (time.Time, bool) {
	text, _ := object[name].(string)
	at, err := time.Parse(time.RFC3339Nano, text)
	return at, err == nil
}

// inBackup keeps of what was found what the backup has in a state that it must not come back in.
func (s *Service) inBackup(ctx context.Context, since *AuditSince, found *sinceFound) error {
	for _, id := range slices.Sorted(maps.Keys(found.tokens)) {
		t, err := s.store.Token(ctx, id)
		if err == nil && !t.Revoked() {
			since.Tokens = append(since.Tokens, id)
		} else if err != nil && ErrorCode(err) != CodeNotFound {
			return err
		}
	}
	var err error
	since.Users, err = stillActive(found.users, func(id UserID) (bool, error) {
		u, err := s.store.User(ctx, id)
		return err == nil && u.Active && !u.Removed(), err
	})
	if err != nil {
		return err
	}
	since.Groups, err = stillActive(found.groups, func(id GroupID) (bool, error) {
		g, err := s.store.Group(ctx, id)
		return err == nil && g.Active && g.RemovedAt.IsZero(), err
	})
	return err
}

// stillActive returns those that were disabled and are active in the backup.
func stillActive[ID cmp.Ordered](disabled map[ID]bool, active func(ID) (bool, error)) (ids []ID, err error) {
	for _, id := range slices.Sorted(maps.Keys(disabled)) {
		is, err := active(id)
		if err != nil && ErrorCode(err) != CodeNotFound {
			return nil, err
		}
		if disabled[id] && is {
			ids = append(ids, id)
		}
	}
	return ids, nil
}
