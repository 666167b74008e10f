package latchward

import (
	"cmp"
	"context"
	"crypto/hmac"
	"errors"
	"fmt"
	"slices"
)

// AuditReport is what checking the audit log found.
type AuditReport struct {
	Entries int64 // that were checked; up to the first bad one
	Erased  int64 // of these tell nothing of a person who was removed
	// Unproven is how many of the newest entries have no seal that the key ring can check. Only whoever has the server
	// keys can have written the others.
	Unproven int64
	Anchors  int         // that were compared
	Bad      *AuditFault // the first bad entry; nil = the log is as it was written
}

// AuditFault says what is wrong with an audit entry.
type AuditFault struct {
	ID      int64
	Problem string // a clause: "it is missing"
}

// UnreadableEntry is the error of a store about an audit entry that cannot be read as one.
type UnreadableEntry struct {
	ID  int64
	Err error
}

// Error implements error.
func (e *UnreadableEntry) Error() string {
	return fmt.Sprintf("audit entry %d is unreadable: %v", e.ID, e.Err)
}

// Unwrap returns the cause.
func (e *UnreadableEntry) Unwrap() error { return e.Err }

// VerifyAudit checks the whole audit log, entry by entry, and that it still holds what the anchors say. It needs
// audit.read. Anchors under server keys that were dropped are passed over. The error is of code invalid when an anchor
// is forged, or when all were passed over.
func (s *Service) VerifyAudit(ctx context.Context, anchors []AuditAnchor) (AuditReport, error) {
	if _, err := holder(ctx, PermissionAuditRead); err != nil {
		return AuditReport{}, err
	}
	v := auditVerification{keys: s.keys.Load()}
	for i, a := range anchors {
		switch genuine, held := a.genuine(v.keys); {
		case genuine:
			v.anchors = append(v.anchors, a)
		case held:
			return AuditReport{}, Invalid(fmt.Sprintf("anchors[%d]", i), "the anchor of entry %d is forged: its signature is wrong", a.ID)
		}
	}
	if len(anchors) > 0 && len(v.anchors) == 0 {
		return AuditReport{}, Invalid("anchors", "were all signed with server keys that were dropped: give newer ones")
	}
	slices.SortFunc(v.anchors, func(a, b AuditAnchor) int { return cmp.Compare(a.ID, b.ID) })
	v.report.Anchors = len(v.anchors)
	if err := s.eachEntry(ctx, AuditFilter{}, v.check); err != nil && !errors.Is(err, errBadEntry) {
		var unreadable *UnreadableEntry
		if !errors.As(err, &unreadable) {
			return AuditReport{}, err
		}
		_ = v.bad(unreadable.ID, "it cannot be read")
	}
	v.finish()
	return v.report, nil
}

// eachEntry calls f for each entry that matches, the oldest first. It holds a page at a time. Before the error about
// an unreadable entry f has been called for all that come before it.
func (s *Service) eachEntry(ctx context.Context, f AuditFilter, each func(*AuditEntry) error) error {
	f.Oldest, f.Limit = true, MaxPage
	for {
		page, err := s.store.AuditEntries(ctx, f)
		var unreadable *UnreadableEntry
		if errors.As(err, &unreadable) && (f.Before == 0 || unreadable.ID < f.Before) {
			f.Before = unreadable.ID
			if err := s.eachEntry(ctx, f, each); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
		for _, e := range page {
			if err := each(e); err != nil {
				return err
			}
			f.After = e.ID
		}
		if len(page) < f.Limit {
			return nil
		}
	}
}

// auditVerification goes through the log once.
type auditVerification struct {
	keys     *KeyRing
	anchors  []AuditAnchor // not yet met, lowest id first
	head     AuditHead
	sealed   bool // some entry was
	report   AuditReport
	unproven int64 // since the last seal that was checked
	claims   map[auditClaim]int64
}

// auditClaim is what an entry says that a later one must confirm: that a user was removed, or that a server key was
// dropped, under which it is sealed. Its number is that of the first such entry.
type auditClaim struct {
	user    int64
	version int
}

var errBadEntry = errors.New("there is a bad audit entry")

func (v *auditVerification) bad(id int64, problem string) error {
	if v.report.Bad == nil || id < v.report.Bad.ID {
		v.report.Bad = &AuditFault{ID: id, Problem: problem}
	}
	return errBadEntry
}

func (v *auditVerification) check(e *AuditEntry) error {
	if e.ID != v.head.ID+1 {
		return v.bad(v.head.ID+1, "it is missing")
	}
	if problem := e.follows(v.head); problem != "" {
		return v.bad(e.ID, problem)
	}
	if problem := v.checkSeal(e); problem != "" {
		return v.bad(e.ID, problem)
	}
	if problem := v.checkErased(e); problem != "" {
		return v.bad(e.ID, problem)
	}
	for len(v.anchors) > 0 && v.anchors[0].ID <= e.ID {
		if !v.anchors[0].holds(e) {
			return v.bad(e.ID, "an anchor says that it was another one")
		}
		v.anchors = v.anchors[1:]
	}
	v.confirm(e)
	v.head = AuditHead{ID: e.ID, Hash: e.Proof.Hash}
	v.report.Entries++
	return nil
}

// checkSeal says what is wrong with a seal. Only entries of an earlier version have none, and those come first.
func (v *auditVerification) checkSeal(e *AuditEntry) string {
	p := &e.Proof
	want := sealOf(v.keys, p.KeyVersion, sealPurpose, e.sum(v.head))
	v.unproven++
	switch {
	case p.KeyVersion == 0 && (v.sealed || len(p.Seal) > 0):
		return "it is not sealed: it was not written by Latchward"
	case p.KeyVersion == 0:
	case want == nil || !hmac.Equal(want, p.Seal): // of a key that was dropped, whose version may have come again
		v.sealed = true
		v.claim(auditClaim{version: p.KeyVersion}, e)
	default:
		v.sealed, v.unproven = true, 0
	}
	return ""
}

func (v *auditVerification) checkErased(e *AuditEntry) string {
	actor, target := e.actorErased(), e.targetErased()
	if actor && e.Actor.Type != PrincipalUser || target && e.TargetType != "user" {
		return "what it told was erased, and not of a person"
	}
	if actor {
		v.claim(auditClaim{user: e.Actor.ID}, e)
	}
	if target {
		v.claim(auditClaim{user: e.TargetID}, e)
	}
	if actor || target {
		v.report.Erased++
	}
	return ""
}

func (v *auditVerification) claim(c auditClaim, e *AuditEntry) {
	if v.claims == nil {
		v.claims = map[auditClaim]int64{}
	}
	if _, ok := v.claims[c]; !ok {
		v.claims[c] = e.ID
	}
}

// confirm takes back the claims that an entry confirms.
func (v *auditVerification) confirm(e *AuditEntry) {
	switch {
	case e.Outcome != OutcomeDone:
	case e.Action == ActionUserRemove:
		delete(v.claims, auditClaim{user: e.TargetID})
	case e.Action == ActionKeyDrop:
		delete(v.claims, auditClaim{version: int(e.TargetID)})
	}
}

// finish judges the claims that nothing confirmed, and anchors beyond the end. Behind a bad entry, and behind a cut,
// nothing is known, so there only a wrong seal counts.
func (v *auditVerification) finish() {
	v.report.Unproven = v.unproven
	cut := len(v.anchors) > 0 && v.anchors[len(v.anchors)-1].ID > v.head.ID
	whole := v.report.Bad == nil && !cut
	for c, entry := range v.claims {
		_, held := v.keys.Derive(c.version, sealPurpose)
		switch {
		case held:
			_ = v.bad(entry, "its seal is wrong: it was not written by Latchward")
		case whole && c.version != 0:
			_ = v.bad(entry, fmt.Sprintf("it is sealed under server key v%d, which nobody dropped", c.version))
		case whole:
			_ = v.bad(entry, "what it told of a person was erased, and nobody removed that person")
		}
	}
	if v.report.Bad == nil && cut {
		_ = v.bad(v.head.ID+1, "it is missing: the log was cut off after an anchor was made")
	}
	if v.report.Bad != nil {
		v.report.Entries = v.report.Bad.ID - 1
	}
}
