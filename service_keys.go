package latchward

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// dropping starts what the store remembers of a server key whose drop is not known to be complete: the secrets under it
// are refused, and whatever keeps the ring may still have it.
const dropping = "dropping "

// checkKeys compares the ring with the keys the store has seen, and tells the store of new ones. It returns the ring
// less the keys whose drop a crash cut short.
func (s *Service) checkKeys(ctx context.Context, ring *KeyRing) (*KeyRing, error) {
	known, err := s.store.KeyFingerprints(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the fingerprints of the server keys: %w", err)
	}
	for version, fingerprint := range known {
		held := fingerprints(ring)[version]
		if dropped, ok := strings.CutPrefix(fingerprint, dropping); ok {
			if held == dropped {
				ring, err = ring.Drop(version)
			}
		} else {
			err = compareKey(version, fingerprint, held)
		}
		if err != nil {
			return nil, err
		}
	}
	return ring, s.saveFingerprints(ctx, known, fingerprints(ring))
}

// compareKey returns why a ring that holds held as this version, or "", is not the right one.
func compareKey(version int, fingerprint, held string) error {
	switch held {
	case fingerprint:
		return nil
	case "":
		return Errorf(CodeConflict, "the key ring lacks server key v%d (fingerprint %s), under which tokens were "+
			"issued: put back the right key file", version, fingerprint)
	}
	return Errorf(CodeConflict, "server key v%d of the key ring (fingerprint %s) is not the one under which tokens "+
		"were issued (fingerprint %s): put back the right key file", version, held, fingerprint)
}

// saveFingerprints remembers the keys that came with the ring. Where there were others before, that is a change of which
// nobody was told: a rotation that a crash cut short, or a key that somebody put there.
func (s *Service) saveFingerprints(ctx context.Context, known, held map[int]string) error {
	var fresh []int
	for version := range held {
		if known[version] != held[version] {
			fresh = append(fresh, version)
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	slices.Sort(fresh)
	system := Principal{Type: PrincipalSystem, Name: "start with another key ring", Administrator: true}
	return s.tx(ctx, func(tx Tx) error {
		for _, version := range fresh {
			if len(known) == 0 {
				if err := tx.SaveKeyFingerprint(version, held[version]); err != nil {
					return err
				}
			} else if err := s.saveKey(tx, system, ActionKeyRotate, version, held[version]); err != nil {
				return err
			}
		}
		return nil
	})
}

// SettleKeys says that the ring in use is what is kept, for the next start: drops that were under way are complete.
func (s *Service) SettleKeys(ctx context.Context) error {
	known, err := s.store.KeyFingerprints(ctx)
	if err != nil {
		return err
	}
	maps.DeleteFunc(known, func(_ int, fingerprint string) bool { return !strings.HasPrefix(fingerprint, dropping) })
	if len(known) == 0 {
		return nil
	}
	return s.tx(ctx, func(tx Tx) error {
		for version := range known {
			if err := tx.SaveKeyFingerprint(version, ""); err != nil {
				return err
			}
		}
		return nil
	})
}

// KeyStatus is one server key and how many tokens depend on it.
type KeyStatus struct {
	KeyVersion
	Tokens int64 // not revoked, with their current secret under this key
	// Retiring tokens are not revoked, and have nothing under this key but a secret that was rotated out and still verifies.
	// Of the current key, which cannot be dropped, they are not counted.
	Retiring int64
}

// KeyStatus returns every server key, oldest first. It needs keys.read.
func (s *Service) KeyStatus(ctx context.Context) ([]KeyStatus, error) {
	if _, err := holder(ctx, PermissionKeysRead); err != nil {
		return nil, err
	}
	counts, err := s.store.KeyCounts(ctx)
	if err != nil {
		return nil, err
	}
	var status []KeyStatus
	for _, v := range s.keys.Load().Versions() {
		known := KeyStatus{KeyVersion: v, Tokens: counts[v.Version]}
		if !v.Current {
			all, err := s.store.CountTokens(ctx, TokenFilter{ServerKey: v.Version, Now: s.timestamp()})
			if err != nil {
				return nil, err
			}
			known.Retiring = max(0, all-known.Tokens)
		}
		status = append(status, known)
	}
	return status, nil
}

// Keys returns the key ring in use.
func (s *Service) Keys() *KeyRing { return s.keys.Load() }

// UseKeys replaces the key ring while the service runs: new secrets are made under the new ring's current key, and
// secrets under a key that it lacks are refused from now on. It needs keys.rotate or, where a key is dropped, keys.drop.
//
// The caller keeps the ring's bytes safe: write a rotated ring before calling this. Write a ring with a dropped key after
// it, and then call [Service.SettleKeys]: until then a start with a ring that still has the key drops it again, so that
// a crash at any point revives nothing.
func (s *Service) UseKeys(ctx context.Context, ring *KeyRing) (err error) {
	had, has := fingerprints(s.keys.Load()), fingerprints(ring)
	version, permission := ring.Current(), PermissionKeysRotate
	for dropped := range had {
		if has[dropped] == "" {
			version, permission = dropped, PermissionKeysDrop
		}
	}
	defer s.noteDenial(ctx, permission, int64(version), "", &err)
	p, err := actor(ctx)
	if err != nil {
		return err
	}
	sealed, err := s.sealedAccounts(ctx)
	if err != nil {
		return err
	}
	if err := authorizeKeys(p, had, has); err != nil {
		return err
	}
	err = s.txUnder(ctx, ring, func(tx Tx) error {
		for version, fingerprint := range has {
			if had[version] == "" {
				if err := s.saveKey(tx, p, ActionKeyRotate, version, fingerprint); err != nil {
					return err
				}
			}
		}
		for version := range had {
			if has[version] == "" {
				if err := s.saveKey(tx, p, ActionKeyDrop, version, dropping+had[version]); err != nil {
					return err
				}
			}
		}
		for _, id := range sealed {
			if err := s.reseal(tx, id, s.keys.Load(), ring); err != nil {
				return err
			}
		}
		return s.resealSigningKeys(tx, s.keys.Load(), ring)
	})
	if err == nil {
		s.keys.Store(ring)
	}
	return err
}

func authorizeKeys(p Principal, had, has map[int]string) error {
	if !p.May(PermissionKeysRotate) && !p.May(PermissionKeysDrop) {
		return lacks(PermissionKeysRotate)
	}
	for version, fingerprint := range has {
		switch had[version] {
		case fingerprint:
		case "":
			if !p.May(PermissionKeysRotate) {
				return lacks(PermissionKeysRotate)
			}
		default:
			return Errorf(CodeConflict, "server key v%d is another one in the new ring: a version stands for one key for ever", version)
		}
	}
	for version := range had {
		if has[version] == "" && !p.May(PermissionKeysDrop) {
			return lacks(PermissionKeysDrop)
		}
	}
	return nil
}

// AuthorizeKeys returns nil when the principal holds keys.rotate or keys.drop, whichever is asked. It is for those who
// keep the key ring and write it before they call [Service.UseKeys]. Version is the one to be dropped.
func (s *Service) AuthorizeKeys(ctx context.Context, permission string, version int) (err error) {
	defer s.noteDenial(ctx, permission, int64(version), "", &err)
	_, err = holder(ctx, permission)
	return err
}

func fingerprints(ring *KeyRing) map[int]string {
	prints := map[int]string{}
	for _, v := range ring.Versions() {
		prints[v.Version] = v.Fingerprint
	}
	return prints
}

func (s *Service) saveKey(tx Tx, p Principal, action string, version int, fingerprint string) error {
	if err := tx.SaveKeyFingerprint(version, fingerprint); err != nil {
		return err
	}
	return tx.AppendAudit(&AuditEntry{
		At: s.timestamp(), Actor: p, Action: action,
		TargetType: "key", TargetID: int64(version), TargetName: fmt.Sprintf("v%d", version),
	})
}
