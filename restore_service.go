package latchward

import (
	"context"
	"time"
)

// RestoreReason is why tokens are revoked that a backup holds in a state they are no longer in.
const RestoreReason = "restored from a backup made before it changed"

// Restoration says what a backup that goes back into service must not revive, and what the audit log tells about it.
type Restoration struct {
	Revoke        []TokenID // changed state or secret after the backup
	DisableUsers  []UserID  // disabled or removed after the backup
	DisableGroups []GroupID // likewise
	Facts         map[string]any
}

// Restore makes a database that was restored safe to serve: it revokes tokens, disables users and groups, and leaves an
// audit entry for each and one for the restore. All of it is one transaction. It returns the tokens it revoked. Only
// the local administrator may do it.
func (s *Service) Restore(ctx context.Context, r Restoration) (revoked []*Token, err error) {
	defer func() {
		if denies(err) {
			s.RecordDenial(ctx, Denial{Action: ActionRestore, TargetType: "audit", Reason: ErrorMessage(err)})
		}
	}()
	p, err := actor(ctx)
	if err != nil {
		return nil, err
	}
	if p.Type != PrincipalLocal {
		return nil, &Error{Code: CodeForbidden, Message: "Only the local administrator may restore a backup"}
	}
	now := s.timestamp()
	err = s.tx(ctx, func(tx Tx) error {
		if revoked, err = s.revokeAll(tx, p, r.Revoke, now); err != nil {
			return err
		}
		for _, id := range r.DisableUsers {
			if err := s.disableUser(tx, p, id, now); err != nil {
				return err
			}
		}
		for _, id := range r.DisableGroups {
			if err := s.disableGroup(tx, p, id, now); err != nil {
				return err
			}
		}
		return tx.AppendAudit(&AuditEntry{At: now, Actor: p, Action: ActionRestore, TargetType: "audit", After: r.Facts})
	})
	return revoked, err
}

func (s *Service) revokeAll(tx Tx, p Principal, ids []TokenID, now time.Time) (revoked []*Token, err error) {
	for _, id := range ids {
		t, err := tx.Token(id)
		if err != nil {
			return nil, err
		}
		if err := s.revoke(tx, p, t, Revocation{Note: RestoreReason}, now); err != nil {
			return nil, err
		}
		revoked = append(revoked, t)
	}
	return revoked, nil
}

func (s *Service) disableUser(tx Tx, p Principal, id UserID, now time.Time) error {
	u, err := tx.User(id)
	if err != nil {
		return err
	}
	before := userFacts(u)
	u.Active, u.UpdatedAt = false, now
	if err := tx.SaveUser(u); err != nil {
		return err
	}
	return s.auditUser(tx, p, ActionUserDisable, u, before, now)
}

func (s *Service) disableGroup(tx Tx, p Principal, id GroupID, now time.Time) error {
	g, err := tx.Group(id)
	if err != nil {
		return err
	}
	before := groupFacts(g)
	g.Active, g.UpdatedAt = false, now
	if err := tx.SaveGroup(g); err != nil {
		return err
	}
	return s.auditGroup(tx, p, ActionGroupDisable, g, before, now)
}
