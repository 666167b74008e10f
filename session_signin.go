package latchward

import (
	"context"
	"strings"
	"time"
)

// PasswordSignIn is what somebody shows who signs in with a password.
type PasswordSignIn struct {
	Email    string
	Password Secret
	Device   Secret // that an earlier sign-in in this browser returned; zero = none
	Session  Secret // that this browser has; it ends; zero = none
	Origin   Origin
}

func errWrongPassword() error {
	return &Error{Code: CodeUnauthenticated, Message: "The e-mail or the password is wrong."}
}

// SignInPassword begins a session for who knows the password of an account. The session is pending when the account has
// a second factor, see [Service.ConfirmSignIn]. Whether there is such an account, and whether its user is active,
// changes neither the answer nor the time it takes. Errors: unauthenticated; exhausted after too many attempts.
func (s *Service) SignInPassword(ctx context.Context, in PasswordSignIn) (*SignedIn, error) {
	if err := s.passwordsOn(); err != nil {
		return nil, err
	}
	user, account, err := s.accountByEmail(ctx, in.Email)
	if err != nil {
		return nil, err
	}
	proven, err := s.attempt(ctx, account, in.Email, in.Device, in.Origin)
	if err != nil {
		return nil, err
	}
	if len(in.Password.Expose()) > 4*MaxPasswordLength {
		in.Password = Secret{}
	}
	good, err := s.options.Passwords.Matches(ctx, in.Password, account.Password)
	if err != nil {
		return nil, err
	}
	if !good || user == nil || !user.Active {
		return nil, errWrongPassword()
	}
	proven()
	return s.beginWithPassword(ctx, in, user.ID, account.Password)
}

// beginWithPassword begins a session, unless the password was changed in the meantime.
func (s *Service) beginWithPassword(ctx context.Context, in PasswordSignIn, id UserID, digest string) (*SignedIn,
	error) {
	stronger := digest
	if s.options.Passwords.Outdated(digest) {
		var err error
		if stronger, err = s.options.Passwords.Digest(ctx, in.Password); err != nil {
			return nil, err
		}
	}
	now := s.timestamp()
	var begun *SignedIn
	err := s.onAccount(ctx, id, func(tx Tx, user *User, a *Account) (err error) {
		if a.Password != digest || !user.Active {
			return errWrongPassword()
		}
		a.Password = stronger
		begun, err = s.begin(tx, a, user, signIn{
			MethodPassword, in.Session, in.Device, in.Origin, ActionSessionCreate,
		}, now)
		return err
	})
	return begun, err
}

// accountByEmail returns a user and their account; for somebody unknown no user and an empty account.
func (s *Service) accountByEmail(ctx context.Context, email string) (*User, *Account, error) {
	email = strings.TrimSpace(email)
	if email == "" || len(email) > MaxEmailLength {
		return nil, &Account{}, nil
	}
	user, err := s.store.UserByEmail(ctx, email)
	if ErrorCode(err) == CodeNotFound {
		return nil, &Account{}, nil
	}
	if err != nil {
		return nil, nil, err
	}
	account, err := s.account(ctx, user.ID)
	return user, account, err
}

// account returns the account of a user, an empty one if there is none yet.
func (s *Service) account(ctx context.Context, id UserID) (*Account, error) {
	account, err := s.store.Account(ctx, id)
	if ErrorCode(err) == CodeNotFound {
		return &Account{UserID: id}, nil
	}
	return account, err
}

// onAccount calls f with a user and their account in a transaction; what becomes of the account f saves itself.
func (s *Service) onAccount(ctx context.Context, id UserID, f func(tx Tx, user *User, a *Account) error) error {
	return s.tx(ctx, func(tx Tx) error {
		user, err := tx.User(id)
		if ErrorCode(err) == CodeNotFound || err == nil && user.Removed() {
			return noSuchUser()
		}
		if err != nil {
			return err
		}
		account, err := tx.Account(id)
		if ErrorCode(err) == CodeNotFound {
			account, err = &Account{UserID: id}, nil
		}
		if err != nil {
			return err
		}
		return f(tx, user, account)
	})
}

// attempt counts a check against an account, or refuses it.
func (s *Service) attempt(
	ctx context.Context, a *Account, email string, device Secret, origin Origin,
) (proven func(), err error) {
	t := attempt{account: email, address: origin.Address}
	if digest := accountDigest(purposeDevice, device.Expose()); a.knows(digest, s.timestamp()) {
		t.device = digest
	}
	return s.attempts.take(ctx, s.instant(s.now()), t)
}

func (s *Service) passwordsOn() error {
	if s.options.Passwords == nil {
		return Errorf(CodeConflict, "Passwords are not used here.")
	}
	return nil
}

// SecondFactor is what somebody shows beside a password.
type SecondFactor struct {
	Session Secret // pending
	Code    string // of the authenticator app, or a recovery code
	Device  Secret // as in [PasswordSignIn]
	Origin  Origin
}

// ConfirmSignIn begins the session that a pending one becomes. A code is good once. Errors: unauthenticated; exhausted
// after too many attempts.
func (s *Service) ConfirmSignIn(ctx context.Context, in SecondFactor) (*SignedIn, error) {
	pending, err := s.PendingSignIn(ctx, in.Session)
	if err != nil {
		return nil, err
	}
	account, err := s.account(ctx, pending.UserID)
	if err != nil {
		return nil, err
	}
	// Apart from attempts at the password, so that guessing that one does not use these up.
	counted := "second factor of " + Owner{Type: OwnerUser, ID: int64(pending.UserID)}.String()
	proven, err := s.attempt(ctx, account, counted, in.Device, in.Origin)
	if err != nil {
		return nil, err
	}
	now := s.timestamp()
	var begun *SignedIn
	err = s.onAccount(ctx, pending.UserID, func(tx Tx, user *User, a *Account) error {
		if _, err := tx.Session(pending.ID); err != nil || !user.Active {
			return errNoSession()
		}
		method, err := s.takeCode(tx, a, user, in, now)
		if err != nil {
			return err
		}
		proven()
		begun, err = s.begin(tx, a, user, signIn{method, in.Session, in.Device, in.Origin, ActionSessionCreate}, now)
		return err
	})
	return begun, err
}

// takeCode checks a code and makes it useless.
func (s *Service) takeCode(tx Tx, a *Account, user *User, in SecondFactor, now time.Time) (SignInMethod, error) {
	code := plainCode(in.Code)
	secret, err := s.openTOTP(a.TOTP, a.UserID)
	if err != nil {
		return "", err
	}
	if step := matchTOTP(secret, code, now, a.TOTPStep); step != 0 {
		a.TOTPStep = step
		return MethodTOTP, nil
	}
	if !a.takeRecoveryCode(code) {
		return "", &Error{Code: CodeUnauthenticated, Field: "code", Message: "This code is wrong, or was used before."}
	}
	who := Principal{Type: PrincipalUser, ID: int64(user.ID), Name: user.DisplayName(), Origin: in.Origin}
	left := map[string]any{"recovery_codes": len(a.RecoveryCodes)}
	return MethodRecoveryCode, s.auditAccount(tx, who, ActionRecoveryCodeUsed, user, left, now)
}

// IdentitySignIn is a person whom an OpenID provider vouches for.
type IdentitySignIn struct {
	Identity LinkedIdentity
	Email    string // verified, or ""; it finds nobody, and a new user gets it if it is free
	Name     string
	Create   bool // somebody seen for the first time becomes an ordinary user
	Device   Secret
	Session  Secret // that this browser has; it ends
	Origin   Origin
}

// SignInIdentity begins a session for the user whose account has exactly this identity. Whoever is unknown, removed or
// disabled is refused with code unauthenticated.
func (s *Service) SignInIdentity(ctx context.Context, in IdentitySignIn) (*SignedIn, error) {
	if err := in.Identity.validate(); err != nil {
		return nil, err
	}
	account, err := s.store.AccountByIdentity(ctx, in.Identity)
	if ErrorCode(err) == CodeNotFound {
		return s.firstSignIn(ctx, in)
	}
	if err != nil {
		return nil, err
	}
	now := s.timestamp()
	var begun *SignedIn
	err = s.onAccount(ctx, account.UserID, func(tx Tx, user *User, a *Account) (err error) {
		if !user.Active || !a.has(in.Identity) {
			return refuseSignIn("the user is deactivated")
		}
		begun, err = s.begin(tx, a, user, in.signIn(), now)
		return err
	})
	return begun, err
}

func (in *IdentitySignIn) signIn() signIn {
	return signIn{MethodOIDC, in.Session, in.Device, in.Origin, ActionSessionCreate}
}

// firstSignIn makes a user of somebody whom nobody knows.
func (s *Service) firstSignIn(ctx context.Context, in IdentitySignIn) (*SignedIn, error) {
	if _, err := s.store.AccountByIdentity(ctx, in.Identity.removed()); ErrorCode(err) != CodeNotFound {
		return nil, orError(err, refuseSignIn("the user was removed; an administrator must add them again"))
	}
	if begun, err := s.signInProvisioned(ctx, in); begun != nil || err != nil {
		return begun, err
	}
	if !in.Create {
		return nil, refuseSignIn("there is no such user, and unknown people are not created")
	}
	now := s.timestamp()
	system := Principal{Type: PrincipalSystem, Name: "first sign-in", Administrator: true, Origin: in.Origin}
	for _, email := range []string{in.Email, ""} { // as in findOrCreate: accounts are never joined by an e-mail
		user := User{Email: email, Name: truncate(strings.TrimSpace(in.Name), MaxNameLength), Active: true,
			CreatedAt: now, UpdatedAt: now}
		if user.DisplayName() == "user" {
			user.Name = truncate(in.Identity.Subject, MaxNameLength)
		}
		if user.Validate() != nil {
			continue
		}
		begun, err := s.beginNew(ctx, system, user, in, now)
		if email == "" || ErrorCode(err) != CodeConflict {
			return begun, err
		}
	}
	return nil, refuseSignIn("the provider's name of the user cannot be kept")
}

func (s *Service) beginNew(
	ctx context.Context, system Principal, user User, in IdentitySignIn, now time.Time,
) (begun *SignedIn, err error) {
	err = s.tx(ctx, func(tx Tx) error {
		created := user
		if err := tx.SaveUser(&created); err != nil {
			return err
		}
		if err := s.auditUser(tx, system, ActionUserCreate, &created, nil, now); err != nil {
			return err
		}
		account := &Account{UserID: created.ID, Identities: []LinkedIdentity{in.Identity}}
		begun, err = s.begin(tx, account, &created, in.signIn(), now)
		return err
	})
	return begun, err
}

// PasskeySignIn is a user who proved to have a passkey.
type PasskeySignIn struct {
	UserID  UserID
	Passkey Passkey // ID, and Credential as it is after its use
	Device  Secret
	Session Secret // that this browser has; it ends
	Origin  Origin
}

// Passkeys returns the passkeys of a user, for the check of one. They hold public keys only.
func (s *Service) Passkeys(ctx context.Context, id UserID) ([]Passkey, error) {
	account, err := s.account(ctx, id)
	if err != nil {
		return nil, err
	}
	return account.Passkeys, nil
}

// SignInPasskey begins a session for a user who proved to have a passkey of theirs and to be the one whom the passkey
// belongs to, which is two factors. The error is of code unauthenticated when the account lacks it by now.
func (s *Service) SignInPasskey(ctx context.Context, in PasskeySignIn) (*SignedIn, error) {
	now := s.timestamp()
	var begun *SignedIn
	err := s.onAccount(ctx, in.UserID, func(tx Tx, user *User, a *Account) (err error) {
		i := a.passkey(in.Passkey.ID)
		if i < 0 || !user.Active {
			return refuseSignIn("this passkey is not known here")
		}
		a.Passkeys[i].Credential, a.Passkeys[i].UsedAt = in.Passkey.Credential, now
		how := signIn{MethodPasskey, in.Session, in.Device, in.Origin, ActionSessionCreate}
		begun, err = s.begin(tx, a, user, how, now)
		return err
	})
	return begun, err
}
