package latchward

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"
)

// AddPasskey gives the account of whoever acts one more passkey. They must have signed in recently.
func (s *Service) AddPasskey(ctx context.Context, k Passkey) (err error) {
	defer s.noteDeniedAccount(ctx, ActionPasskeyAdd, 0, &err)
	p, err := s.recent(ctx)
	if err != nil {
		return err
	}
	k.Name = strings.TrimSpace(k.Name)
	if err := validateText("name", k.Name, 1, MaxNameLength); err != nil {
		return err
	}
	if k.ID == "" || len(k.ID) > MaxPasskeyIDLength || len(k.Credential) > MaxPasskeyLength {
		return Invalid("passkey", "This passkey cannot be kept.")
	}
	k.CreatedAt, k.UsedAt = s.timestamp(), time.Time{}
	return s.changeAccount(ctx, p, ActionPasskeyAdd, func(_ Tx, _ *User, a *Account) (map[string]any, error) {
		if a.passkey(k.ID) >= 0 {
			return nil, Errorf(CodeConflict, "This passkey is in your account already.")
		}
		if len(a.Passkeys) >= MaxPasskeys {
			return nil, Errorf(CodeConflict, "An account has at most %d passkeys; remove one first.", MaxPasskeys)
		}
		a.Passkeys = append(a.Passkeys, k)
		return map[string]any{"passkey": k.Name}, nil
	})
}

// RemovePasskey removes a passkey of whoever acts, who must have signed in recently. The last way to sign in stays.
func (s *Service) RemovePasskey(ctx context.Context, id string) (err error) {
	defer s.noteDeniedAccount(ctx, ActionPasskeyRemove, 0, &err)
	p, err := s.recent(ctx)
	if err != nil {
		return err
	}
	return s.changeAccount(ctx, p, ActionPasskeyRemove, func(_ Tx, _ *User, a *Account) (map[string]any, error) {
		i := a.passkey(id)
		if i < 0 {
			return nil, Errorf(CodeNotFound, "There is no such passkey.")
		}
		name := a.Passkeys[i].Name
		a.Passkeys = slices.Delete(a.Passkeys, i, i+1)
		return map[string]any{"passkey": name}, lastWay(a)
	})
}

func lastWay(a *Account) error {
	if a.ways() == 0 {
		return Errorf(CodeConflict, "This is your only way to sign in; set a password first.")
	}
	return nil
}

// LinkIdentity lets whoever acts sign in at an OpenID provider, too. They must have signed in recently. The error is of
// code conflict when another account has the identity.
func (s *Service) LinkIdentity(ctx context.Context, id LinkedIdentity) (err error) {
	defer s.noteDeniedAccount(ctx, ActionIdentityLink, 0, &err)
	p, err := s.recent(ctx)
	if err != nil {
		return err
	}
	if err := id.validate(); err != nil {
		return err
	}
	return s.changeAccount(ctx, p, ActionIdentityLink, func(_ Tx, _ *User, a *Account) (map[string]any, error) {
		if a.has(id) {
			return nil, Errorf(CodeConflict, "You sign in there already.")
		}
		if len(a.Identities) >= MaxIdentities {
			return nil, Errorf(CodeConflict, "An account has at most %d identities; remove one first.", MaxIdentities)
		}
		a.Identities = append(a.Identities, id)
		return map[string]any{"issuer": id.Issuer}, nil
	})
}

// UnlinkIdentity takes back [Service.LinkIdentity]. The last way to sign in stays.
func (s *Service) UnlinkIdentity(ctx context.Context, id LinkedIdentity) (err error) {
	defer s.noteDeniedAccount(ctx, ActionIdentityUnlink, 0, &err)
	p, err := s.recent(ctx)
	if err != nil {
		return err
	}
	return s.changeAccount(ctx, p, ActionIdentityUnlink, func(_ Tx, _ *User, a *Account) (map[string]any, error) {
		i := slices.Index(a.Identities, id)
		if i < 0 {
			return nil, Errorf(CodeNotFound, "There is no such identity.")
		}
		a.Identities = slices.Delete(a.Identities, i, i+1)
		return map[string]any{"issuer": id.Issuer}, lastWay(a)
	})
}

func (a *Account) has(id LinkedIdentity) bool { return slices.Contains(a.Identities, id) }

func (id LinkedIdentity) validate() error {
	if id.Issuer == "" || id.Subject == "" || len(id.Issuer) > MaxIssuerLength || len(id.Subject) > MaxExternalIDLength {
		return refuseSignIn("the identity has no usable issuer and subject")
	}
	return nil
}

// removed is what stays of an identity whose person was removed: enough to recognise them, not enough to tell who it
// was.
func (id LinkedIdentity) removed() LinkedIdentity {
	digest := sha256.Sum256([]byte("latchward removed identity\x00" + id.Issuer + "\x00" + id.Subject))
	return LinkedIdentity{Subject: hex.EncodeToString(digest[:])}
}

// closeAccount takes from a user who was removed every way to sign in.
func closeAccount(tx Tx, id UserID, now time.Time) error {
	if _, err := tx.DeleteSessions(id, SessionID{}); err != nil {
		return err
	}
	account, err := tx.Account(id)
	if ErrorCode(err) == CodeNotFound {
		return nil
	}
	if err != nil {
		return err
	}
	closed := &Account{UserID: id, UpdatedAt: now}
	if err := tx.SaveAccount(closed); err != nil {
		return err
	}
	for _, identity := range account.Identities {
		more := closed.Clone()
		more.Identities = append(more.Identities, identity.removed())
		err := tx.SaveAccount(more)
		if ErrorCode(err) == CodeConflict {
			continue // the same person was removed before
		}
		if err != nil {
			return err
		}
		closed = more
	}
	return nil
}
