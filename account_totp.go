package latchward

import (
	"context"
	"fmt"
	"io"
	"slices"
)

const (
	sealTOTP    = "totp"
	totpIssuer  = "Latchward"
	recoveryLen = 25 // characters of five bits: 125
)

func totpBound(id UserID) string { return fmt.Sprintf("user:%d", id) }

// openTOTP returns the shared secret that an account keeps sealed.
func (s *Service) openTOTP(sealed string, id UserID) ([]byte, error) {
	text, _, err := s.keys.Load().Unseal(sealTOTP, totpBound(id), sealed)
	return []byte(text), err
}

// EnrolTOTP returns a new shared secret for whoever acts, who must have signed in recently. It counts for nothing until
// [Service.ConfirmTOTP] is given a code of it; until then the one before, if any, stays.
func (s *Service) EnrolTOTP(ctx context.Context) (shown TOTPSecret, err error) {
	defer s.noteDeniedAccount(ctx, ActionTOTPOn, 0, &err)
	p, err := s.recent(ctx)
	if err != nil {
		return TOTPSecret{}, err
	}
	secret := make([]byte, totpSecretBytes)
	if _, err := io.ReadFull(s.random, secret); err != nil {
		return TOTPSecret{}, randomFailed("TOTP secret", err)
	}
	sealed, err := s.keys.Load().Seal(s.random, sealTOTP, totpBound(UserID(p.ID)), string(secret))
	if err != nil {
		return TOTPSecret{}, err
	}
	shown = TOTPSecret{Secret: SecretFromText(totpEncoding.EncodeToString(secret)), Issuer: totpIssuer}
	err = s.onAccount(ctx, UserID(p.ID), func(tx Tx, user *User, a *Account) error {
		if a.Password == "" {
			return Errorf(CodeConflict, "Codes are asked for beside a password; set a password first.")
		}
		a.NewTOTP, a.UpdatedAt, shown.Email = sealed, s.timestamp(), user.DisplayName()
		if user.Email != "" {
			shown.Email = user.Email
		}
		return tx.SaveAccount(a)
	})
	return shown, err
}

// ConfirmTOTP turns on codes as a second factor for whoever acts, and returns recovery codes, each of which is good
// once in place of a code. The error is of code invalid for a wrong code, and conflict when none was to be confirmed.
func (s *Service) ConfirmTOTP(ctx context.Context, code string) (codes []Secret, err error) {
	defer s.noteDeniedAccount(ctx, ActionTOTPOn, 0, &err)
	p, err := s.recent(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := s.attempts.take(ctx, s.instant(s.now()), attempt{account: "new totp of " + p.String()}); err != nil {
		return nil, err
	}
	err = s.changeAccount(ctx, p, ActionTOTPOn, func(_ Tx, _ *User, a *Account) (map[string]any, error) {
		if a.NewTOTP == "" {
			return nil, Errorf(CodeConflict, "There is no code to confirm; begin again.")
		}
		secret, err := s.openTOTP(a.NewTOTP, a.UserID)
		if err != nil {
			return nil, err
		}
		step := matchTOTP(secret, plainCode(code), s.timestamp(), 0)
		if step == 0 {
			return nil, Invalid("code", "This code is wrong. Check the clock of the device that makes it.")
		}
		a.TOTP, a.NewTOTP, a.TOTPStep = a.NewTOTP, "", step
		codes, err = s.replaceRecoveryCodes(a)
		return map[string]any{"recovery_codes": len(codes)}, err
	})
	return codes, err
}

// RemoveTOTP turns codes off for whoever acts, who must have signed in recently.
func (s *Service) RemoveTOTP(ctx context.Context) (err error) {
	defer s.noteDeniedAccount(ctx, ActionTOTPOff, 0, &err)
	p, err := s.recent(ctx)
	if err != nil {
		return err
	}
	return s.changeAccount(ctx, p, ActionTOTPOff, func(_ Tx, _ *User, a *Account) (map[string]any, error) {
		if a.TOTP == "" {
			return nil, Errorf(CodeConflict, "Codes are off already.")
		}
		a.TOTP, a.NewTOTP, a.TOTPStep, a.RecoveryCodes = "", "", 0, nil
		return nil, nil
	})
}

// NewRecoveryCodes makes those there are void, and returns others. Who acts must have signed in recently.
func (s *Service) NewRecoveryCodes(ctx context.Context) (codes []Secret, err error) {
	defer s.noteDeniedAccount(ctx, ActionRecoveryCodes, 0, &err)
	p, err := s.recent(ctx)
	if err != nil {
		return nil, err
	}
	err = s.changeAccount(ctx, p, ActionRecoveryCodes, func(_ Tx, _ *User, a *Account) (map[string]any, error) {
		if a.TOTP == "" {
			return nil, Errorf(CodeConflict, "Recovery codes stand in for codes of an app; set that up first.")
		}
		codes, err = s.replaceRecoveryCodes(a)
		return map[string]any{"recovery_codes": len(codes)}, err
	})
	return codes, err
}

func (s *Service) replaceRecoveryCodes(a *Account) ([]Secret, error) {
	var codes []Secret
	a.RecoveryCodes = nil
	for range recoveryCodes {
		code, err := s.randomCode(recoveryLen)
		if err != nil {
			return nil, err
		}
		codes = append(codes, SecretFromText(code))
		a.RecoveryCodes = append(a.RecoveryCodes, accountDigest(purposeRecoveryCode, plainCode(code)))
	}
	return codes, nil
}

// takeRecoveryCode reports whether there is such a code, which is gone then.
func (a *Account) takeRecoveryCode(code string) bool {
	i := slices.IndexFunc(a.RecoveryCodes, accountDigest(purposeRecoveryCode, code).equal)
	if i < 0 {
		return false
	}
	a.RecoveryCodes = slices.Delete(a.RecoveryCodes, i, i+1)
	return true
}

// ResetSecondFactor turns codes off for somebody who lost them. It needs users.update, and all that the user
// holds.
func (s *Service) ResetSecondFactor(ctx context.Context, id UserID) (err error) {
	defer s.noteDeniedAccount(ctx, ActionTOTPOff, id, &err)
	p, err := holder(ctx, PermissionUsersUpdate)
	if err != nil {
		return err
	}
	now := s.timestamp()
	return s.onAccount(ctx, id, func(tx Tx, user *User, a *Account) error {
		if err := authorizeOver(tx, p, user, func(string) bool { return true }); err != nil {
			return err
		}
		if a.TOTP == "" {
			return Errorf(CodeConflict, "This user has no second factor.")
		}
		a.TOTP, a.NewTOTP, a.TOTPStep, a.RecoveryCodes, a.UpdatedAt = "", "", 0, nil, now
		if err := tx.SaveAccount(a); err != nil {
			return err
		}
		return s.auditAccount(tx, p, ActionTOTPOff, user, nil, now)
	})
}

// sealedAccounts returns the users whose accounts keep something sealed.
func (s *Service) sealedAccounts(ctx context.Context) (ids []UserID, err error) {
	const page = 500
	for after := UserID(0); ; {
		accounts, err := s.store.Accounts(ctx, after, page)
		if err != nil {
			return nil, err
		}
		for _, a := range accounts {
			if after = a.UserID; a.TOTP != "" || a.NewTOTP != "" {
				ids = append(ids, a.UserID)
			}
		}
		if len(accounts) < page {
			return ids, nil
		}
	}
}

// reseal puts under the next ring's current key what an account keeps sealed under a key that the ring will lack.
func (s *Service) reseal(tx Tx, id UserID, had, next *KeyRing) error {
	a, err := tx.Account(id)
	if err != nil {
		return err
	}
	for _, sealed := range []*string{&a.TOTP, &a.NewTOTP} {
		if *sealed == "" {
			continue
		}
		text, version, err := had.Unseal(sealTOTP, totpBound(id), *sealed)
		if err != nil || next.key(version) != nil {
			continue // what cannot be opened now is no worse off
		}
		if *sealed, err = next.Seal(s.random, sealTOTP, totpBound(id), text); err != nil {
			return err
		}
	}
	return tx.SaveAccount(a)
}
