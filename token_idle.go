package latchward

import (
	"context"
	"fmt"
	"time"
)

// SweepIdle records as inactive every token whose idle timeout has run out, so that lists and stores say what
// verification already decides (S3-04), and disables those whose secret had to be replaced by now and was not (B-13).
func (s *Service) SweepIdle(ctx context.Context) error {
	if err := s.FlushUsage(ctx); err != nil {
		return err
	}
	if err := s.sweepIdle(ctx); err != nil {
		return err
	}
	return s.sweepRotations(ctx)
}

// sweepRotations disables tokens whose secret had to be replaced by now.
func (s *Service) sweepRotations(ctx context.Context) error {
	now := s.timestamp()
	f := TokenFilter{
		Status: StatusActive, RotationDue: now.Add(time.Millisecond), Now: now, Sort: SortCreated, Limit: sweepBatch,
	}
	return eachPage(f, func(f TokenFilter) ([]*Token, error) { return s.store.Tokens(ctx, f) }, func(t *Token) error {
		if !t.RotationRequired {
			return nil
		}
		return s.deactivateNow(ctx, t.ID, "rotation sweep", func(t *Token) (InactiveReason, string) {
			if t.RotationRequired && t.rotationOverdue(now) {
				return InactivePolicy, ActionTokenDisable
			}
			return "", ""
		})
	})
}

func (s *Service) sweepIdle(ctx context.Context) error {
	for {
		ids, err := s.store.IdleTokens(ctx, s.timestamp(), sweepBatch)
		if err != nil || len(ids) == 0 {
			return err
		}
		for _, id := range ids {
			if err := s.deactivateIdle(ctx, id); err != nil {
				return err
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
	return s.deactivateNow(ctx, id, "idle sweep", func(t *Token) (InactiveReason, string) {
		if t.Idle(now) {
			return InactiveIdle, ActionTokenIdle
		}
		return "", ""
	})
}

// deactivateNow records an active token as inactive, if there still is a reason, under the action that goes with it.
func (s *Service) deactivateNow(
	ctx context.Context, id TokenID, who string, why func(t *Token) (InactiveReason, string),
) error {
	now := s.timestamp()
	system := Principal{Type: PrincipalSystem, Name: who, Administrator: true}
	err := s.tx(ctx, func(tx Tx) error {
		t, err := tx.Token(id)
		if ErrorCode(err) == CodeNotFound {
			return nil
		}
		if err != nil || t.Revoked() || !t.Active {
			return err
		}
		reason, action := why(t)
		if reason == "" {
			return nil
		}
		before := auditFacts(t)
		t.Active, t.InactiveReason, t.UpdatedAt = false, reason, now
		if err := tx.SaveToken(t); err != nil {
			return err
		}
		return s.audit(tx, system, action, t, before, now)
	})
	if err != nil {
		return fmt.Errorf("%s: deactivating token %d: %w", who, id, err)
	}
	return nil
}
