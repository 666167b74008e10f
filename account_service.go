package latchward

import (
	"context"
	"io"
	"strings"
	"time"
)

// AccountView is what somebody may see of their own account.
type AccountView struct {
	User          User
	HasPassword   bool
	HasTOTP       bool
	RecoveryCodes int // not used yet
	Identities    []LinkedIdentity
	Passkeys      []Passkey
}

// Account returns the account of whoever acts.
func (s *Service) Account(ctx context.Context) (*AccountView, error) {
	p, err := ownAccount(ctx)
	if err != nil {
		return nil, err
	}
	user, err := s.store.User(ctx, UserID(p.ID))
	if err != nil {
		return nil, err
	}
	a, err := s.account(ctx, user.ID)
	if err != nil {
		return nil, err
	}
	return &AccountView{
		User: *user, HasPassword: a.Password != "", HasTOTP: a.TOTP != "", RecoveryCodes: len(a.RecoveryCodes),
		Identities: a.Identities, Passkeys: a.Passkeys,
	}, nil
}

// Rename changes the name of whoever acts.
func (s *Service) Rename(ctx context.Context, name string) (err error) {
	defer s.noteDeniedAccount(ctx, ActionUserUpdate, 0, &err)
	p, err := ownAccount(ctx)
	if err != nil {
		return err
	}
	now := s.timestamp()
	return s.onAccount(ctx, UserID(p.ID), func(tx Tx, user *User, _ *Account) error {
		before := userFacts(user)
		user.Name, user.UpdatedAt = strings.TrimSpace(name), now
		if user.Name == "" && user.Email == "" && user.ExternalID == "" {
			return Invalid("name", "Give a name.")
		}
		if err := user.Validate(); err != nil {
			return err
		}
		if err := tx.SaveUser(user); err != nil {
			return err
		}
		return s.auditUser(tx, p, ActionUserUpdate, user, before, now)
	})
}

// changeAccount lets edit change the account of whoever acts, and notes what edit returns.
func (s *Service) changeAccount(
	ctx context.Context, p Principal, action string, edit func(tx Tx, user *User, a *Account) (map[string]any, error),
) error {
	now := s.timestamp()
	return s.onAccount(ctx, UserID(p.ID), func(tx Tx, user *User, a *Account) error {
		after, err := edit(tx, user, a)
		if err != nil {
			return err
		}
		a.UpdatedAt = now
		if err := tx.SaveAccount(a); err != nil {
			return err
		}
		return s.auditAccount(tx, p, action, user, after, now)
	})
}

// SetPassword gives whoever acts another password. Who has one must show it; who has none must have signed in a short
// while ago, see [NeedsConfirmation]. All other sessions of the person end, and the one they act through gets another
// secret. Errors: unauthenticated for a wrong password; invalid for a new one that is too easy; exhausted.
func (s *Service) SetPassword(ctx context.Context, current, next Secret) (signedIn *SignedIn, err error) {
	defer s.noteDeniedAccount(ctx, ActionPasswordSet, 0, &err)
	p, session, err := s.ownSession(ctx)
	if err != nil {
		return nil, err
	}
	view, err := s.Account(ctx)
	if err != nil {
		return nil, err
	}
	if err := ValidatePassword(next, view.User.Email, view.User.Name); err != nil {
		return nil, err
	}
	old, err := s.provePassword(ctx, session, current)
	if err != nil {
		return nil, err
	}
	digest, err := s.options.Passwords.Digest(ctx, next)
	if err != nil {
		return nil, err
	}
	return s.renew(ctx, p, session, ActionPasswordSet, func(tx Tx, a *Account) error {
		if a.Password != old {
			return errWrongPassword()
		}
		a.Password, a.PasswordCode = digest, PasswordCode{}
		_, err := tx.DeleteSessions(a.UserID, session.ID)
		return err
	})
}

// provePassword checks the password of whoever has a session, and returns its digest. Who has none must have signed in
// recently.
func (s *Service) provePassword(ctx context.Context, session Session, password Secret) (digest string, err error) {
	if err := s.passwordsOn(); err != nil {
		return "", err
	}
	account, err := s.account(ctx, session.UserID)
	if err != nil {
		return "", err
	}
	if account.Password == "" {
		if !session.Recent(s.timestamp()) {
			return "", errNotRecent
		}
		return "", nil
	}
	// Counted for the session: who has it can only lock out themselves.
	counted := attempt{device: AccountDigest(session.ID)}
	proven, err := s.attempts.take(ctx, s.instant(s.now()), counted)
	if err != nil {
		return "", err
	}
	good, err := s.options.Passwords.Matches(ctx, password, account.Password)
	if err == nil && !good {
		err = &Error{Code: CodeUnauthenticated, Field: "current", Message: "The password is wrong."}
	}
	if err == nil {
		proven()
	}
	return account.Password, err
}

// Reauthenticate takes the password of whoever acts as proof that it is still them, and gives their session another
// secret. Errors: unauthenticated for a wrong password; conflict when they have none and must sign in anew; exhausted.
func (s *Service) Reauthenticate(ctx context.Context, password Secret) (*SignedIn, error) {
	p, session, err := s.ownSession(ctx)
	if err != nil {
		return nil, err
	}
	old, err := s.provePassword(ctx, session, password)
	if NeedsConfirmation(err) || err == nil && old == "" {
		return nil, Errorf(CodeConflict, "Sign out and in again to confirm that it is you.")
	}
	if err != nil {
		return nil, err
	}
	return s.renew(ctx, p, session, "", func(_ Tx, a *Account) error {
		if a.Password != old {
			return errWrongPassword()
		}
		return nil
	})
}

// ownSession returns who acts in ctx, and through which session.
func (s *Service) ownSession(ctx context.Context) (Principal, Session, error) {
	p, err := ownAccount(ctx)
	if err != nil {
		return p, Session{}, err
	}
	session, ok := SessionFrom(ctx)
	if !ok || session.UserID != UserID(p.ID) {
		return p, Session{}, errNoSession()
	}
	return p, session, nil
}

// renew changes an account and puts a new session with another secret in place of the one through which its owner acts.
func (s *Service) renew(
	ctx context.Context, p Principal, session Session, action string, edit func(tx Tx, a *Account) error,
) (begun *SignedIn, err error) {
	secret, err := s.randomSecret()
	if err != nil {
		return nil, err
	}
	now := s.timestamp()
	err = s.onAccount(ctx, session.UserID, func(tx Tx, user *User, a *Account) error {
		current, err := tx.Session(session.ID)
		if ErrorCode(err) == CodeNotFound {
			return errNoSession()
		}
		if err == nil {
			err = edit(tx, a)
		}
		if err != nil {
			return err
		}
		begun = &SignedIn{Session: *current, Secret: secret}
		begun.Session.ID = SessionID(accountDigest(purposeSession, secret.Expose()))
		begun.Session.AuthenticatedAt, begun.Session.SeenAt, a.UpdatedAt = now, now, now
		if err := tx.DeleteSession(session.ID); err != nil {
			return err
		}
		if err := tx.SaveSession(&begun.Session); err != nil {
			return err
		}
		if err := tx.SaveAccount(a); err != nil || action == "" {
			return err
		}
		return s.auditAccount(tx, p, action, user, nil, now)
	})
	return begun, err
}

// IssuePasswordCode returns a code with which a user can set a password once, within a day. Whoever asks never learns
// the password, but could use the code: it needs users.update, and all that the user holds. A code that was issued
// before is void.
func (s *Service) IssuePasswordCode(ctx context.Context, id UserID) (secret Secret, ends time.Time, err error) {
	defer s.noteDeniedAccount(ctx, ActionPasswordCode, id, &err)
	p, err := holder(ctx, PermissionUsersUpdate)
	if err == nil {
		err = s.passwordsOn()
	}
	if err != nil {
		return Secret{}, time.Time{}, err
	}
	code, err := s.randomCode(26)
	if err != nil {
		return Secret{}, time.Time{}, err
	}
	now := s.timestamp()
	ends = now.Add(passwordCodeLife)
	err = s.onAccount(ctx, id, func(tx Tx, user *User, a *Account) error {
		if err := authorizeOver(tx, p, user, func(string) bool { return true }); err != nil {
			return err
		}
		if user.Email == "" {
			return Errorf(CodeConflict, "This user has no e-mail to sign in with; give them one first.")
		}
		a.PasswordCode = PasswordCode{accountDigest(purposePasswordCode, plainCode(code)), ends}
		a.UpdatedAt = now
		if err := tx.SaveAccount(a); err != nil {
			return err
		}
		return s.auditAccount(tx, p, ActionPasswordCode, user, map[string]any{"ends_at": auditTime(ends)}, now)
	})
	return SecretFromText(code), ends, err
}

// PasswordCodeUse is what somebody shows who has a code of [Service.IssuePasswordCode].
type PasswordCodeUse struct {
	Email    string
	Code     Secret
	Password Secret // the new one
	Origin   Origin
}

// UsePasswordCode sets a password and ends all sessions of the user. It signs nobody in. Errors: unauthenticated for a
// code that is wrong, used or too old; invalid for a password that is too easy; exhausted after too many attempts.
func (s *Service) UsePasswordCode(ctx context.Context, in PasswordCodeUse) error {
	if err := s.passwordsOn(); err != nil {
		return err
	}
	if err := ValidatePassword(in.Password, in.Email); err != nil {
		return err
	}
	user, _, err := s.accountByEmail(ctx, in.Email)
	if err != nil {
		return err
	}
	counted := attempt{account: "password code of " + in.Email, address: in.Origin.Address}
	if _, err := s.attempts.take(ctx, s.instant(s.now()), counted); err != nil {
		return err
	}
	digest, err := s.options.Passwords.Digest(ctx, in.Password) // in any case, for the time that it takes
	if err != nil {
		return err
	}
	wrong := &Error{Code: CodeUnauthenticated, Field: "code",
		Message: "The e-mail or the code is wrong, used, or too old."}
	if user == nil {
		return wrong
	}
	now, code := s.timestamp(), accountDigest(purposePasswordCode, plainCode(in.Code.Expose()))
	return s.onAccount(ctx, user.ID, func(tx Tx, user *User, a *Account) error {
		if !a.PasswordCode.Digest.equal(code) || !now.Before(a.PasswordCode.EndsAt) || !user.Active {
			return wrong
		}
		a.Password, a.PasswordCode, a.UpdatedAt = digest, PasswordCode{}, now
		if err := tx.SaveAccount(a); err != nil {
			return err
		}
		if _, err := tx.DeleteSessions(user.ID, SessionID{}); err != nil {
			return err
		}
		who := Principal{Type: PrincipalUser, ID: int64(user.ID), Name: user.DisplayName(), Origin: in.Origin}
		return s.auditAccount(tx, who, ActionPasswordSet, user, nil, now)
	})
}

// randomCode returns a code of n characters of base32, five bits each, in groups for people to read.
func (s *Service) randomCode(n int) (string, error) {
	data := make([]byte, n)
	if _, err := io.ReadFull(s.random, data); err != nil {
		return "", randomFailed("code", err)
	}
	const alphabet, group = "abcdefghijklmnopqrstuvwxyz234567", 5
	var text strings.Builder
	for i, b := range data {
		if i > 0 && i%group == 0 {
			text.WriteByte('-')
		}
		text.WriteByte(alphabet[b%32])
	}
	return text.String(), nil
}
