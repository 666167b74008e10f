package latchward

import (
	"context"
	"errors"
	"time"
)

// AuditEntries returns audit entries, newest first unless f says otherwise. It needs audit.read.
func (s *Service) AuditEntries(ctx context.Context, f AuditFilter) ([]*AuditEntry, error) {
	_, err := holder(ctx, PermissionAuditRead)
	if err != nil {
		return nil, err
	}
	if f.Limit, err = pageLimit(f.Limit); err != nil {
		return nil, err
	}
	if err := f.Validate(); err != nil {
		return nil, err
	}
	return s.store.AuditEntries(ctx, f)
}

// AuditExport is an export that was allowed and noted in the log.
type AuditExport struct {
	Newest  int64 // id of the newest entry in it; 0 = there is none
	service *Service
	filter  AuditFilter
}

// ExportAudit begins an export of all entries that match, and leaves an entry about it, which is not part of it. It
// needs audit.export. f.Limit, f.Before and f.Oldest do not count.
func (s *Service) ExportAudit(ctx context.Context, f AuditFilter) (export *AuditExport, err error) {
	defer s.noteDenial(ctx, PermissionAuditExport, 0, "", &err)
	p, err := holder(ctx, PermissionAuditExport)
	if err != nil {
		return nil, err
	}
	if err := f.Validate(); err != nil {
		return nil, err
	}
	now := s.timestamp()
	err = s.tx(ctx, func(tx Tx) error {
		entry := &AuditEntry{At: now, Actor: p, Action: ActionAuditExport, TargetType: "audit", After: f.facts()}
		err := tx.AppendAudit(entry)
		f.Before = entry.ID
		return err
	})
	if err != nil {
		return nil, err
	}
	f.Oldest, f.Limit = false, 1
	newest, err := s.store.AuditEntries(ctx, f)
	if err != nil {
		return nil, err
	}
	export = &AuditExport{service: s, filter: f}
	if len(newest) > 0 {
		export.Newest = newest[0].ID
	}
	return export, nil
}

// Each calls f for each entry, the oldest first, and ends with f's first error. It holds a page of entries at a time.
func (x *AuditExport) Each(ctx context.Context, f func(*AuditEntry) error) error {
	return x.service.eachEntry(ctx, x.filter, f)
}

// facts are what an export's own entry says about what was exported.
func (f *AuditFilter) facts() map[string]any {
	facts := map[string]any{}
	for name, text := range map[string]string{
		"actor_type": string(f.ActorType), "action": f.Action, "outcome": string(f.Outcome), "target_type": f.TargetType,
	} {
		if text != "" {
			facts[name] = text
		}
	}
	for name, id := range map[string]int64{"actor_id": f.ActorID, "target_id": f.TargetID} {
		if id != 0 {
			facts[name] = id
		}
	}
	for name, at := range map[string]time.Time{"from": f.From, "to": f.Until} {
		if !at.IsZero() {
			facts[name] = auditTime(at)
		}
	}
	if f.Text != "" {
		facts["text"] = true // which may be a person's name
	}
	return facts
}

// sealOld seals what an earlier version wrote and the upgrade chained. After it nothing without a seal is believed.
func (s *Service) sealOld(ctx context.Context) error {
	newest, err := s.store.AuditEntries(ctx, AuditFilter{Limit: 1})
	var unreadable *UnreadableEntry
	if errors.As(err, &unreadable) {
		return nil // for VerifyAudit to tell of: a bad entry is no reason not to start
	}
	if err != nil || len(newest) == 0 || newest[0].Proof.KeyVersion != 0 {
		return err
	}
	system := Principal{Type: PrincipalSystem, Name: "upgrade", Administrator: true}
	return s.tx(ctx, func(tx Tx) error {
		return tx.AppendAudit(&AuditEntry{
			At: s.timestamp(), Actor: system, Action: ActionAuditSeal, TargetType: "audit",
			After: map[string]any{"entries": newest[0].ID},
		})
	})
}
