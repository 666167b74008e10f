package latchward

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"time"
)

// What the secrets of this file are for goes into their digests, so that none is good for something else.
const (
	purposeSession      = "session"
	purposeDevice       = "device"
	purposeRecoveryCode = "recovery code"
	purposePasswordCode = "password code"
	purposeSetup        = "setup"
)

// errNoSession says that nobody is signed in by the session that was shown.
func errNoSession() error {
	return &Error{Code: CodeUnauthenticated, Message: "Your session has ended. Sign in again."}
}

// errNotRecent tells somebody who is signed in to prove it once more.
var errNotRecent = &Error{Code: CodeForbidden, Field: "session", Message: "Confirm first that it is you."}

// NeedsConfirmation reports whether err says that [Service.Reauthenticate] is needed first.
func NeedsConfirmation(err error) bool { return err == errNotRecent }

// accountDigest is what is stored of a random text.
func accountDigest(purpose, text string) AccountDigest {
	return sha256.Sum256([]byte("latchward " + purpose + "\x00" + text))
}

// randomSecret returns 256 random bits as text.
func (s *Service) randomSecret() (Secret, error) {
	var data [32]byte
	if _, err := io.ReadFull(s.random, data[:]); err != nil {
		return Secret{}, randomFailed("secret", err)
	}
	return SecretFromText(base64.RawURLEncoding.EncodeToString(data[:])), nil
}

// SignedIn is a session that has just begun.
type SignedIn struct {
	Session Session
	Secret  Secret // of the session, shown once
	Device  Secret // to be shown at later sign-ins in the same browser; zero = it has a good one
}

// origins of a sign-in.
type signIn struct {
	method SignInMethod
	old    Secret // session of the same browser, which ends; may be zero
	device Secret // that the browser shows; may be zero
	origin Origin
	action string // for the audit log; "" = none
}

// begin saves a new session of a user in place of the browser's old one. The account is saved, too.
func (s *Service) begin(tx Tx, a *Account, user *User, in signIn, now time.Time) (*SignedIn, error) {
	secret, err := s.randomSecret()
	if err != nil {
		return nil, err
	}
	if err := s.dropSession(tx, in.old); err != nil {
		return nil, err
	}
	begun := &SignedIn{Secret: secret, Session: Session{
		ID: SessionID(accountDigest(purposeSession, secret.Expose())), UserID: user.ID, Method: in.method,
		CreatedAt: now, SeenAt: now, EndsAt: now.Add(SessionLife), AuthenticatedAt: now,
		Address: in.origin.Address, UserAgent: in.origin.UserAgent,
	}}
	if in.method == MethodPassword && a.TOTP != "" {
		begun.Session.Pending, begun.Session.EndsAt = true, now.Add(SecondFactorAge)
	} else if begun.Device, err = s.greet(a, in.device, now); err != nil {
		return nil, err
	}
	a.UpdatedAt = now
	if err := tx.SaveAccount(a); err != nil {
		return nil, err
	}
	if err := tx.SaveSession(&begun.Session); err != nil || begun.Session.Pending || in.action == "" {
		return begun, err
	}
	who := Principal{Type: PrincipalUser, ID: int64(user.ID), Name: user.DisplayName(), Origin: in.origin}
	return begun, s.auditAccount(tx, who, in.action, user, map[string]any{"method": string(in.method)}, now)
}

// greet remembers the browser that somebody signed in with, and returns what it is to be recognised by; zero when it is
// recognised already.
func (s *Service) greet(a *Account, device Secret, now time.Time) (Secret, error) {
	if !device.IsZero() && a.knows(accountDigest(purposeDevice, device.Expose()), now) {
		return Secret{}, nil
	}
	device, err := s.randomSecret()
	if err == nil {
		a.remember(accountDigest(purposeDevice, device.Expose()), now)
	}
	return device, err
}

// dropSession ends a session if there is one with that secret.
func (s *Service) dropSession(tx Tx, secret Secret) error {
	if secret.IsZero() {
		return nil
	}
	err := tx.DeleteSession(SessionID(accountDigest(purposeSession, secret.Expose())))
	if ErrorCode(err) == CodeNotFound {
		return nil
	}
	return err
}

// UseSession returns who acts through the session with that secret, and notes that it was seen. The error is of code
// unauthenticated when there is none, it has ended, its second factor is missing, or the person may not act any more.
func (s *Service) UseSession(ctx context.Context, secret Secret) (Principal, Session, error) {
	session, err := s.session(ctx, secret)
	if err != nil || session.Pending {
		return Principal{}, Session{}, orError(err, errNoSession())
	}
	p, err := s.person(ctx, session.UserID)
	if err != nil {
		return p, Session{}, err
	}
	if now := s.timestamp(); now.Sub(session.SeenAt) >= seenInterval {
		if err := s.see(ctx, session, now); err != nil {
			return Principal{}, Session{}, err
		}
	}
	return p, *session, nil
}

// see notes that a session was used, unless it ended in the meantime.
func (s *Service) see(ctx context.Context, session *Session, now time.Time) error {
	return s.tx(ctx, func(tx Tx) error {
		current, err := tx.Session(session.ID)
		if ErrorCode(err) == CodeNotFound {
			return errNoSession()
		}
		if err != nil {
			return err
		}
		current.SeenAt, session.SeenAt = now, now
		return tx.SaveSession(current)
	})
}

// session returns the session with that secret if it has not ended.
func (s *Service) session(ctx context.Context, secret Secret) (*Session, error) {
	if secret.IsZero() {
		return nil, errNoSession()
	}
	session, err := s.store.Session(ctx, SessionID(accountDigest(purposeSession, secret.Expose())))
	if ErrorCode(err) == CodeNotFound || err == nil && session.Ended(s.timestamp()) {
		return nil, errNoSession()
	}
	return session, err
}

// person returns the principal of a user who may act.
func (s *Service) person(ctx context.Context, id UserID) (Principal, error) {
	known, err := s.cache.owners.get(ctx, Owner{Type: OwnerUser, ID: int64(id)})
	if err != nil {
		return Principal{}, err
	}
	return s.principalOf(ctx, known, false)
}

func orError(err, otherwise error) error {
	if err == nil {
		return otherwise
	}
	return err
}

// PendingSignIn returns the session with that secret, whose second factor is missing. The error is of code
// unauthenticated when there is none.
func (s *Service) PendingSignIn(ctx context.Context, secret Secret) (Session, error) {
	session, err := s.session(ctx, secret)
	if err != nil || !session.Pending {
		return Session{}, orError(err, errNoSession())
	}
	return *session, nil
}

// SignOut ends the session with that secret, if there is one.
func (s *Service) SignOut(ctx context.Context, secret Secret) error {
	session, err := s.session(ctx, secret)
	if ErrorCode(err) == CodeUnauthenticated {
		return nil
	}
	if err != nil {
		return err
	}
	return s.endSession(ctx, session.UserID, session.ID)
}

// Sessions returns the sessions of whoever acts, the newest first.
func (s *Service) Sessions(ctx context.Context) ([]*Session, error) {
	p, err := ownAccount(ctx)
	if err != nil {
		return nil, err
	}
	sessions, err := s.store.Sessions(ctx, UserID(p.ID))
	var live []*Session
	for _, session := range sessions {
		if !session.Pending && !session.Ended(s.timestamp()) {
			live = append(live, session)
		}
	}
	return live, err
}

// EndSession ends a session of whoever acts. The error is of code not_found when there is none with that id.
func (s *Service) EndSession(ctx context.Context, id SessionID) (err error) {
	defer s.noteDeniedAccount(ctx, ActionSessionEnd, 0, &err)
	p, err := ownAccount(ctx)
	if err != nil {
		return err
	}
	return s.endSession(ctx, UserID(p.ID), id)
}

func (s *Service) endSession(ctx context.Context, owner UserID, id SessionID) error {
	return s.tx(ctx, func(tx Tx) error {
		session, err := tx.Session(id)
		if ErrorCode(err) == CodeNotFound || err == nil && session.UserID != owner {
			return Errorf(CodeNotFound, "There is no such session.")
		}
		if err != nil {
			return err
		}
		if err := tx.DeleteSession(id); err != nil {
			return err
		}
		return s.auditSessions(ctx, tx, owner, 1)
	})
}

// EndSessions ends all sessions of a user but the one through which they act themselves, and returns how many there
// were. Everybody may end their own; those of others need users.update, and all that the user may do to Latchward
// itself.
func (s *Service) EndSessions(ctx context.Context, id UserID) (ended int, err error) {
	defer s.noteDeniedAccount(ctx, ActionSessionEnd, id, &err)
	p, err := actor(ctx)
	if err != nil {
		return 0, err
	}
	own := p.Type == PrincipalUser && p.ID == int64(id)
	switch {
	case own || p.May(PermissionUsersUpdate):
	case p.May(PermissionUsersRead):
		return 0, lacks(PermissionUsersUpdate)
	default:
		return 0, hidden("User")
	}
	current, _ := SessionFrom(ctx)
	err = s.onAccount(ctx, id, func(tx Tx, user *User, _ *Account) error {
		if err := authorizeOver(tx, p, user, reservedPermission); err != nil && !own {
			return err
		}
		if ended, err = tx.DeleteSessions(id, current.ID); err != nil || ended == 0 {
			return err
		}
		return s.auditSessions(ctx, tx, id, ended)
	})
	return ended, err
}

func (s *Service) auditSessions(ctx context.Context, tx Tx, owner UserID, ended int) error {
	user, err := tx.User(owner)
	if err != nil {
		return err
	}
	p, ok := PrincipalFrom(ctx)
	if !ok { // of who signs out, the cookie is all that is known
		p = Principal{Type: PrincipalUser, ID: int64(owner), Name: user.DisplayName()}
	}
	return s.auditAccount(tx, p, ActionSessionEnd, user, map[string]any{"sessions": ended}, s.timestamp())
}

// auditAccount notes what was done to somebody's account or sessions.
func (s *Service) auditAccount(
	tx Tx, p Principal, action string, u *User, after map[string]any, now time.Time,
) error {
	return tx.AppendAudit(&AuditEntry{
		At: now, Actor: p, Action: action, TargetType: "user", TargetID: int64(u.ID), TargetName: u.DisplayName(),
		After: after,
	})
}

// ownAccount returns who acts in ctx, if that is a person.
func ownAccount(ctx context.Context) (Principal, error) {
	p, err := actor(ctx)
	if err == nil && p.Type != PrincipalUser {
		err = Errorf(CodeForbidden, "Only people have accounts; sign in as one")
	}
	return p, err
}

// recent returns who acts in ctx, if that is a person who proved a short while ago who they are.
func (s *Service) recent(ctx context.Context) (Principal, error) {
	p, err := ownAccount(ctx)
	if err != nil {
		return p, err
	}
	if session, ok := SessionFrom(ctx); !ok || !session.Recent(s.timestamp()) {
		return p, errNotRecent
	}
	return p, nil
}

// pruneSessions forgets sessions that ended. Whatever its other end, a session that has ended is seen no more.
func (s *Service) pruneSessions(ctx context.Context) error {
	const batch = 1000
	for {
		n, err := s.store.PruneSessions(ctx, s.timestamp().Add(-SessionIdle), batch)
		if err != nil {
			return fmt.Errorf("deleting ended sessions: %w", err)
		}
		if n < batch {
			return nil
		}
	}
}
