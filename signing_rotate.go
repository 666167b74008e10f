package latchward

import (
	"context"
	"time"
)

// PublicKeys returns the keys that verify what Latchward signed, upcoming and retired ones among them, ordered by
// creation. It is for publishing: they are no secret.
func (s *Service) PublicKeys(ctx context.Context) ([]PublicKey, error) {
	held, err := s.signingKeys(ctx)
	if err != nil {
		return nil, err
	}
	now := s.now()
	var list []*SigningKey
	for id, k := range held {
		if held.find(id, now) != nil {
			list = append(list, &k.SigningKey)
		}
	}
	SortSigningKeys(list)
	public := make([]PublicKey, len(list))
	for i, k := range list {
		public[i] = PublicKey{ID: k.ID, Key: held[k.ID].public()}
	}
	return public, nil
}

// SigningKeys returns every signing key that is not forgotten yet, the oldest first, without the sealed part. It needs
// keys.read.
func (s *Service) SigningKeys(ctx context.Context) ([]SigningKeyStatus, error) {
	if _, err := holder(ctx, PermissionKeysRead); err != nil {
		return nil, err
	}
	stored, err := s.store.SigningKeys(ctx)
	if err != nil {
		return nil, err
	}
	held, err := s.signingKeys(ctx)
	if err != nil {
		return nil, err
	}
	now := s.now()
	var status []SigningKeyStatus
	for _, k := range stored {
		if k.forgettable(now) {
			continue
		}
		shown := SigningKeyStatus{SigningKey: *k, State: k.State(now), Usable: held[k.ID] != nil}
		shown.Sealed = ""
		status = append(status, shown)
	}
	return status, nil
}

// RotateSigningKey makes the next signing key, see [SigningRotation]. It needs keys.rotate. The error is of code
// conflict while a rotation is under way, and of code not_found when the key to be revoked is unknown or revoked.
func (s *Service) RotateSigningKey(ctx context.Context, r SigningRotation) (err error) {
	defer s.noteDenial(ctx, PermissionKeysRotate, 0, "signing key", &err)
	p, err := holder(ctx, PermissionKeysRotate)
	if err != nil {
		return err
	}
	if r.ID != "" && !r.Emergency {
		return Invalid("id", "is for an emergency only: any other rotation retires the key that signs")
	}
	return s.tx(ctx, func(tx Tx) error { return s.rotateSigningKey(tx, p, r) })
}

func (s *Service) rotateSigningKey(tx Tx, p Principal, r SigningRotation) error {
	now := s.timestamp()
	stored, err := tx.SigningKeys()
	if err != nil {
		return err
	}
	if r.Emergency {
		return s.revokeSigningKeys(tx, p, stored, r.ID, now)
	}
	from := now
	for _, k := range stored {
		switch k.State(now) {
		case SigningUpcoming:
			return Errorf(CodeConflict, "A rotation is under way: the next key signs from %s on.", k.ActiveFrom.Format(time.RFC3339))
		case SigningActive:
			if s.openSigningKey(k) != nil {
				from = now.Add(signingAhead)
			}
		}
	}
	if err := s.retireSigningKeys(tx, p, stored, now, from); err != nil {
		return err
	}
	return s.addSigningKey(tx, p, now, from)
}

// retireSigningKeys says from when on the active keys sign no more.
func (s *Service) retireSigningKeys(tx Tx, p Principal, stored []*SigningKey, now, from time.Time) error {
	for _, k := range stored {
		if k.State(now) != SigningActive {
			continue
		}
		k.RetiresAt = from
		if err := tx.SaveSigningKey(k); err != nil {
			return err
		}
		if err := s.auditSigningKey(tx, p, ActionSigningKeyRetire, k, now); err != nil {
			return err
		}
	}
	return nil
}

// revokeSigningKeys destroys the private part of the keys with that id, or of all, and sees to it that one signs.
func (s *Service) revokeSigningKeys(tx Tx, p Principal, stored []*SigningKey, id string, now time.Time) error {
	known, active := id == "", false
	for _, k := range stored {
		switch {
		case k.State(now) == SigningRevoked:
		case id != "" && k.ID != id:
			active = active || k.State(now) == SigningActive && s.openSigningKey(k) != nil
		default:
			known, k.RevokedAt, k.Sealed = true, now, ""
			if err := tx.SaveSigningKey(k); err != nil {
				return err
			}
			if err := s.auditSigningKey(tx, p, ActionSigningKeyRevoke, k, now); err != nil {
				return err
			}
		}
	}
	switch {
	case !known:
		return Errorf(CodeNotFound, "There is no signing key with this id that is not revoked.")
	case active:
		return nil
	}
	return s.addSigningKey(tx, p, now, now)
}

// tendSigningKeys rotates a key that has grown old and forgets those that nobody needs.
func (s *Service) tendSigningKeys(ctx context.Context) error {
	held, err := s.signingKeys(ctx)
	if err != nil {
		return err
	}
	stored, err := s.store.SigningKeys(ctx)
	if err != nil || len(stored) == 0 {
		return err
	}
	now, due := s.timestamp(), false
	for _, k := range stored {
		due = due || k.forgettable(now)
	}
	active := held.active(now)
	old := active != nil && active.RetiresAt.IsZero() && s.options.SigningKeyAge > 0 &&
		!now.Before(active.ActiveFrom.Add(s.options.SigningKeyAge))
	if !due && !old {
		return nil
	}
	system := Principal{Type: PrincipalSystem, Name: "age of the signing key", Administrator: true}
	return s.tx(ctx, func(tx Tx) error {
		if err := s.forgetSigningKeys(tx, now); err != nil || !old {
			return err
		}
		err := s.rotateSigningKey(tx, system, SigningRotation{})
		if ErrorCode(err) == CodeConflict {
			return nil // somebody else was first
		}
		return err
	})
}

func (s *Service) forgetSigningKeys(tx Tx, now time.Time) error {
	stored, err := tx.SigningKeys()
	if err != nil {
		return err
	}
	for _, k := range stored {
		if k.forgettable(now) {
			if err := tx.DeleteSigningKey(k.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// resealSigningKeys puts every signing key under the current key of the next ring, so that none is lost with a server
// key that is dropped.
func (s *Service) resealSigningKeys(tx Tx, had, next *KeyRing) error {
	stored, err := tx.SigningKeys()
	if err != nil {
		return err
	}
	for _, k := range stored {
		if k.Sealed == "" {
			continue
		}
		seed, version, err := had.Unseal(sealSigning, signingBound(k.ID), k.Sealed)
		if err != nil || version == next.Current() {
			continue // what could not be opened before is no more lost than it was
		}
		if k.Sealed, err = next.Seal(s.random, sealSigning, signingBound(k.ID), seed); err != nil {
			return err
		}
		if err := tx.SaveSigningKey(k); err != nil {
			return err
		}
	}
	return nil
}
