package latchward

import (
	"context"
	"encoding/hex"
	"net/netip"
	"time"
)

// How long sessions last (OWASP ASVS 5.0 V7.3).
const (
	SessionIdle     = 30 * time.Minute // without a request
	SessionLife     = 12 * time.Hour   // in any case
	SecondFactorAge = 10 * time.Minute // for the second factor to be given
	RecentSignIn    = 5 * time.Minute  // within which somebody counts as having just proved who they are
	seenInterval    = time.Minute      // between two notes that a session was seen
)

// SessionID is the SHA-256 of a session's secret: whoever reads it in the database can do nothing with it.
type SessionID [32]byte

// String returns id in hexadecimal.
func (id SessionID) String() string { return hex.EncodeToString(id[:]) }

// ParseSessionID reads what [SessionID.String] wrote. The error is of code invalid.
func ParseSessionID(text string) (id SessionID, err error) {
	if n, err := hex.Decode(id[:], []byte(text[:min(len(text), 2*len(id))])); err != nil || n != len(id) ||
		len(text) != 2*n {
		return SessionID{}, Invalid("session", "This is not a session.")
	}
	return id, nil
}

// SignInMethod says how somebody proved who they are.
type SignInMethod string

// The methods of signing in.
const (
	MethodSetup        SignInMethod = "setup"         // as the first administrator, by the secret in the data folder
	MethodPassword     SignInMethod = "password"      // alone
	MethodTOTP         SignInMethod = "totp"          // password and a code
	MethodRecoveryCode SignInMethod = "recovery_code" // password and a recovery code
	MethodPasskey      SignInMethod = "passkey"
	MethodOIDC         SignInMethod = "oidc"
)

// Session is a person's stay in one browser. Its secret is a cookie there.
type Session struct {
	ID              SessionID
	UserID          UserID
	Method          SignInMethod
	Pending         bool // the second factor is still missing: good for giving it, and nothing else
	CreatedAt       time.Time
	SeenAt          time.Time  // last used, to the minute
	EndsAt          time.Time  // at the latest
	AuthenticatedAt time.Time  // when the person last proved who they are
	Address         netip.Addr // from which it began; invalid = unknown
	UserAgent       string     // at most MaxUserAgentLength bytes
}

// Ended reports whether the session is good no more at now.
func (s *Session) Ended(now time.Time) bool {
	return !now.Before(s.EndsAt) || !now.Before(s.SeenAt.Add(SessionIdle))
}

// Recent reports whether the person proved who they are a short while before now: what more than a forgotten, open
// browser must be needed for asks for it (ASVS 7.5.1).
func (s *Session) Recent(now time.Time) bool { return now.Before(s.AuthenticatedAt.Add(RecentSignIn)) }

type sessionKey struct{}

// WithSession returns a context in which a person acts through a session.
func WithSession(ctx context.Context, s Session) context.Context {
	return context.WithValue(ctx, sessionKey{}, s)
}

// SessionFrom returns the session through which somebody acts in ctx; false when there is none.
func SessionFrom(ctx context.Context) (Session, bool) {
	s, ok := ctx.Value(sessionKey{}).(Session)
	return s, ok
}
