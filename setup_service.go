package latchward

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// SetupLife is how long the secret of [Service.BeginSetup] is good (bar 142).
const SetupLife = 15 * time.Minute

// setup is the way in while there is no administrator.
type setup struct {
	mu     sync.Mutex
	digest AccountDigest // zero = closed
	endsAt time.Time
}

// BeginSetup returns a secret with which somebody can become the first administrator, once and within [SetupLife]. One
// that was returned before is void. It is kept in memory only. The error is of code conflict when there is an
// administrator.
func (s *Service) BeginSetup(ctx context.Context) (Secret, error) {
	s.setup.mu.Lock()
	defer s.setup.mu.Unlock()
	if err := s.noAdministrator(ctx); err != nil {
		return Secret{}, err
	}
	secret, err := s.randomSecret()
	if err == nil {
		s.setup.digest, s.setup.endsAt = accountDigest(purposeSetup, secret.Expose()), s.timestamp().Add(SetupLife)
	}
	return secret, err
}

// SetupOpen reports whether somebody can still become the first administrator.
func (s *Service) SetupOpen(ctx context.Context) (bool, error) {
	s.setup.mu.Lock()
	defer s.setup.mu.Unlock()
	return s.setupOpen(ctx)
}

func (s *Service) setupOpen(ctx context.Context) (bool, error) {
	if s.setup.digest == (AccountDigest{}) || !s.timestamp().Before(s.setup.endsAt) {
		return false, nil
	}
	err := s.noAdministrator(ctx)
	if ErrorCode(err) == CodeConflict {
		s.setup.digest = AccountDigest{}
		return false, nil
	}
	return err == nil, err
}

// FirstAdministrator is what somebody says who sets Latchward up.
type FirstAdministrator struct {
	Secret   Secret // of BeginSetup
	Name     string
	Email    string
	Password Secret
	Session  Secret // that this browser has; it ends
	Origin   Origin
}

// SetUp makes the first administrator and signs them in. Errors: unauthenticated for a wrong, used or old secret, or
// when there is an administrator; invalid, naming the field; exhausted after too many attempts.
func (s *Service) SetUp(ctx context.Context, in FirstAdministrator) (*SignedIn, error) {
	if err := s.passwordsOn(); err != nil {
		return nil, err
	}
	counted := attempt{account: "setup", address: netip.Addr{}}
	if _, err := s.attempts.take(ctx, s.instant(s.now()), counted); err != nil {
		return nil, err
	}
	s.setup.mu.Lock()
	defer s.setup.mu.Unlock()
	open, err := s.setupOpen(ctx)
	if err != nil {
		return nil, err
	}
	if !open || !s.setup.digest.equal(accountDigest(purposeSetup, in.Secret.Expose())) {
		return nil, &Error{Code: CodeUnauthenticated, Field: "secret", Message: "The secret is wrong, used, or too old. " +
			"Restart Latchward to get another one."}
	}
	begun, err := s.createFirst(ctx, in)
	if err == nil {
		s.setup.digest = AccountDigest{}
	}
	return begun, err
}

func (s *Service) createFirst(ctx context.Context, in FirstAdministrator) (*SignedIn, error) {
	if strings.TrimSpace(in.Email) == "" {
		return nil, Invalid("email", "Give an e-mail: you sign in with it.")
	}
	if err := ValidatePassword(in.Password, in.Email, in.Name); err != nil {
		return nil, err
	}
	now := s.timestamp()
	user := User{
		Email: strings.TrimSpace(in.Email), Name: strings.TrimSpace(in.Name), Roles: []RoleID{RoleAdministrator},
		Active:    true,
		CreatedAt: now, UpdatedAt: now,
	}
	if err := user.Validate(); err != nil {
		return nil, err
	}
	digest, err := s.options.Passwords.Digest(ctx, in.Password)
	if err != nil {
		return nil, err
	}
	var begun *SignedIn
	err = s.tx(ctx, func(tx Tx) error {
		created := user
		if err := tx.SaveUser(&created); err != nil {
			return err
		}
		system := Principal{Type: PrincipalSystem, Name: "setup", Administrator: true, Origin: in.Origin}
		if err := s.auditUser(tx, system, ActionUserCreate, &created, nil, now); err != nil {
			return err
		}
		how := signIn{MethodSetup, in.Session, Secret{}, in.Origin, ActionSetup}
		begun, err = s.begin(tx, &Account{UserID: created.ID, Password: digest}, &created, how, now)
		return err
	})
	return begun, err
}

// noAdministrator returns an Error of code conflict when somebody may manage everything.
func (s *Service) noAdministrator(ctx context.Context) error {
	users, err := s.store.Users(ctx, UserFilter{Role: RoleAdministrator, Limit: 1})
	if err == nil && len(users) > 0 {
		err = Errorf(CodeConflict, "There is an administrator already.")
	}
	return err
}
