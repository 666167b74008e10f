package latchward

import (
	"context"
	"fmt"
)

// SweepIdle records as inactive every token whose idle timeout has run out, so that lists and stores say what
// verification already decides (S3-04).
func (s *Service) SweepIdle(ctx context.Context) error {
	if err := s.FlushUsage(ctx); err != nil {
		return err
	}
	for {
		ids, err := s.store.IdleTokens(ctx, s.timestamp(), sweepBatch)
		if err != nil || len(ids) == 0 {
			return err
		}
		for _, id := range ids {
			if err := s.deactivateIdle(ctx, id); err != nil {
				return fmt.Errorf("deactivating idle token %d: %w", id, err)
			}
		}
		if len(ids) < sweepBatch {
			return nil
		}
	}
}

const sweepBatch = 100

func (s *Service) deactivateIdle(ctx context.Context, id TokenID) error {
	now := s.timestamp()
	system := Principal{Type: PrincipalSystem, Name: "idle sweep", Administrator: true}
	return s.tx(ctx, func(tx Tx) error {
		t, err := tx.Token(id)
		if ErrorCode(err) == CodeNotFound {
			return nil
		}
		if err != nil || t.Revoked() || !t.Active || !t.Idle(now) {
			return err
		}
		before := auditFacts(t)
		t.Active, t.InactiveReason, t.UpdatedAt = false, InactiveIdle, now
		if err := tx.SaveToken(t); err != nil {
			return err
		}
		return s.audit(tx, system, ActionTokenIdle, t, before, now)
	})
}
