package latchtest

import (
	"fmt"
	"net/netip"
	"time"

	"pgregory.net/rapid"

	"github.com/latchward/latchward"
)

func (s *side) plainEntries(entries []*latchward.AuditEntry) []*latchward.AuditEntry {
	var plain []*latchward.AuditEntry
	for _, e := range entries {
		c := *e
		c.ID = int64(number(s.entries, e.ID))
		plain = append(plain, &c)
	}
	return plain
}

func someActor(rt *rapid.T) latchward.Principal {
	return latchward.Principal{
		Type: someActorType(rt), ID: rapid.Int64Range(1, 2).Draw(rt, "actor"), Name: someText(rt, "actor's name"),
		Origin: latchward.Origin{
			Address: rapid.SampledFrom([]netip.Addr{
				{}, netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1"),
			}).Draw(rt, "address"),
			UserAgent: someText(rt, "user agent"), RequestID: someText(rt, "request id"),
		},
	}
}

func someActorType(rt *rapid.T) latchward.PrincipalType {
	return rapid.SampledFrom([]latchward.PrincipalType{latchward.PrincipalUser, latchward.PrincipalToken}).Draw(rt, "type")
}

func someOutcome(rt *rapid.T) latchward.AuditOutcome {
	return rapid.SampledFrom(latchward.AuditOutcomes()).Draw(rt, "outcome")
}

func (p *plan) appendAudit(rt *rapid.T) step {
	e := latchward.AuditEntry{
		At:         epoch().Add(time.Duration(rapid.IntRange(-9, 9).Draw(rt, "ms")) * time.Millisecond),
		Actor:      someActor(rt),
		Action:     rapid.SampledFrom([]string{"create", "delete"}).Draw(rt, "action"),
		Outcome:    someOutcome(rt),
		TargetType: rapid.SampledFrom([]string{"token", "user", "user"}).Draw(rt, "target type"),
		TargetID:   rapid.Int64Range(1, 2).Draw(rt, "target"),
		TargetName: someText(rt, "target name"),
		Before:     rapid.SampledFrom([]map[string]any{{"name": "é🐝"}, {"email": "e", "name": "n"}, nil}).Draw(rt, "before"),
		After:      map[string]any{"name": someText(rt, "after"), "active": true},
		Proof:      proof(byte(rapid.IntRange(0, 255).Draw(rt, "proof"))),
	}
	return step{"audit", func(s *side, tx latchward.Tx) (any, error) {
		entry := e
		err := tx.AppendAudit(&entry)
		s.entries = added(s.entries, entry.ID)
		if err != nil {
			return nil, err
		}
		head, err := tx.AuditHead()
		head.ID = int64(number(s.entries, head.ID))
		return head, err
	}}
}

func (p *plan) eraseAudit(rt *rapid.T) step {
	user := latchward.UserID(rapid.Int64Range(1, 2).Draw(rt, "erased"))
	return step{fmt.Sprintf("erase %d", user), func(_ *side, tx latchward.Tx) (any, error) {
		return nil, tx.EraseAudit(user)
	}}
}

// audit compares a page of the log, continued behind an entry unless that is 0. It returns how long the page is, and
// the last entry on it.
func (m *model) audit(rt *rapid.T, f latchward.AuditFilter, behind int) (length, last int) {
	_, err := m.both(rt, fmt.Sprintf("AuditEntries(%+v) behind %d", f, behind), func(s *side) (any, error) {
		f := f
		switch {
		case behind > 0 && f.Oldest:
			f.After = s.entries[behind-1]
		case behind > 0:
			f.Before = s.entries[behind-1]
		}
		entries, err := s.store.AuditEntries(m.ctx, f)
		plain := s.plainEntries(entries)
		if length = len(plain); length > 0 {
			last = int(plain[length-1].ID)
		}
		return plain, err
	})
	if err != nil {
		rt.Fatalf("AuditEntries(%+v): %v", f, err)
	}
	return length, last
}

func (m *model) readAuditEntries(rt *rapid.T) {
	f := latchward.AuditFilter{
		Limit: rapid.IntRange(1, 4).Draw(rt, "limit"), Oldest: rapid.Bool().Draw(rt, "the oldest first"),
	}
	switch rapid.IntRange(0, 8).Draw(rt, "condition") {
	case 0:
		f.Action = "create"
	case 1:
		f.TargetType = "token"
	case 2:
		f.TargetID = 1
	case 3:
		f.ActorType = someActorType(rt)
	case 4:
		f.ActorID = 1
	case 5:
		f.Outcome = someOutcome(rt)
	case 6:
		f.From = epoch().Add(time.Duration(rapid.IntRange(-5, 5).Draw(rt, "from")) * time.Millisecond)
	case 7:
		f.Until = epoch().Add(time.Duration(rapid.IntRange(-5, 5).Draw(rt, "until")) * time.Millisecond)
	case 8:
		f.Text = someText(rt, "text")
	}
	for behind, page := 0, -1; page != 0; {
		page, behind = m.audit(rt, f, behind)
	}
	if newest := len(m.reference.entries); newest > 0 && len(m.tested.entries) == newest {
		m.auditBehind(rt, rapid.IntRange(1, newest).Draw(rt, "behind"))
	}
}

// auditBehind compares what comes after an entry, the newest first.
func (m *model) auditBehind(rt *rapid.T, entry int) {
	_, _ = m.both(rt, fmt.Sprintf("AuditEntries after %d", entry), func(s *side) (any, error) {
		entries, err := s.store.AuditEntries(m.ctx, latchward.AuditFilter{After: s.entries[entry-1], Limit: 3})
		return s.plainEntries(entries), err
	})
}
