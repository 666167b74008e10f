package memory

import (
	"context"
	"net/netip"
	"slices"

	"github.com/latchward/latchward"
)

// AuditEntries implements [latchward.Store].
func (s *Store) AuditEntries(_ context.Context, f latchward.AuditFilter) ([]*latchward.AuditEntry, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	entries := slices.Backward(s.audit)
	if f.Oldest {
		entries = slices.All(s.audit)
	}
	var found []*latchward.AuditEntry
	for _, e := range entries {
		if matchesEntry(&f, e) {
			found = append(found, copyEntry(e))
		}
		if f.Limit > 0 && len(found) == f.Limit {
			break
		}
	}
	return found, nil
}

func matchesEntry(f *latchward.AuditFilter, e *latchward.AuditEntry) bool {
	return is(f.ActorType, e.Actor.Type) && is(f.ActorID, e.Actor.ID) &&
		is(f.Action, e.Action) && is(f.Outcome, e.Outcome) &&
		is(f.TargetType, e.TargetType) && is(f.TargetID, e.TargetID) &&
		(f.From.IsZero() || !e.At.Before(f.From)) && (f.Until.IsZero() || e.At.Before(f.Until)) &&
		(f.Before == 0 || e.ID < f.Before) && e.ID > f.After &&
		(f.Text == "" || contains(f.Text, entryTexts(e)...))
}

// is reports whether value is what is wanted; the zero value wants nothing.
func is[T comparable](wanted, value T) bool {
	var zero T
	return wanted == zero || wanted == value
}

func entryTexts(e *latchward.AuditEntry) []string {
	origin := &e.Actor.Origin
	texts := []string{e.Actor.Name, e.TargetName, origin.UserAgent, origin.RequestID}
	if origin.Address.IsValid() {
		texts = append(texts, origin.Address.String())
	}
	return texts
}

// AuditHead implements [latchward.Tx].
func (tx *transaction) AuditHead() (latchward.AuditHead, error) {
	if len(tx.store.audit) == 0 {
		return latchward.AuditHead{}, nil
	}
	newest := tx.store.audit[len(tx.store.audit)-1]
	return latchward.AuditHead{ID: newest.ID, Hash: slices.Clone(newest.Proof.Hash)}, nil
}

// AppendAudit implements [latchward.Tx].
func (tx *transaction) AppendAudit(e *latchward.AuditEntry) error {
	s := tx.store
	kept, err := keepEntry(e)
	if err != nil {
		return err
	}
	e.ID = int64(len(s.audit) + 1) // nothing ever leaves the log
	kept.ID = e.ID
	tx.setAudit(append(s.audit, kept))
	return nil
}

// setAudit replaces the log; entries themselves are never changed in place.
func (tx *transaction) setAudit(entries []*latchward.AuditEntry) {
	s, before := tx.store, tx.store.audit
	tx.undo = append(tx.undo, func() { s.audit = before })
	s.audit = entries
}

// EraseAudit implements [latchward.Tx].
func (tx *transaction) EraseAudit(user latchward.UserID) error {
	entries := slices.Clone(tx.store.audit)
	for i, e := range entries {
		actor := e.Actor.Type == latchward.PrincipalUser && e.Actor.ID == int64(user)
		target := e.TargetType == "user" && e.TargetID == int64(user)
		if !actor && !target {
			continue
		}
		erased := copyEntry(e)
		if actor {
			origin := &erased.Actor.Origin
			erased.Actor.Name, origin.Address, origin.UserAgent = "", netip.Addr{}, ""
			erased.Proof.ActorKey = nil
		}
		if target {
			erased.TargetName, erased.Proof.TargetKey = "", nil
			for _, name := range latchward.PersonalMembers() {
				delete(erased.Before, name)
				delete(erased.After, name)
			}
		}
		entries[i] = erased
	}
	tx.setAudit(entries)
	return nil
}

func copyEntry(e *latchward.AuditEntry) *latchward.AuditEntry {
	c := *e
	c.Before, c.After = copyObject(e.Before), copyObject(e.After)
	for _, field := range []*[]byte{
		&c.Proof.ActorKey, &c.Proof.ActorDigest, &c.Proof.TargetKey, &c.Proof.TargetDigest, &c.Proof.Hash, &c.Proof.Seal,
	} {
		*field = slices.Clone(*field)
	}
	return &c
}

// keepEntry returns an audit entry as it is kept: a copy, with of the actor only what a log names.
func keepEntry(e *latchward.AuditEntry) (*latchward.AuditEntry, error) {
	c := *e
	c.Actor = latchward.Principal{Type: e.Actor.Type, ID: e.Actor.ID, Name: e.Actor.Name, Origin: e.Actor.Origin}
	var err error
	if c.Before, err = plainObject("before", e.Before); err != nil {
		return nil, err
	}
	if c.After, err = plainObject("after", e.After); err != nil {
		return nil, err
	}
	return copyEntry(&c), nil
}
