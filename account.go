package latchward

import (
	"bytes"
	"context"
	"crypto/subtle"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Bounds of accounts. That of passwords follows NIST SP 800-63B-4 §3.1.1.2: long ones, of any characters.
const (
	MinPasswordLength  = 12 // characters
	MaxPasswordLength  = 256
	MaxPasskeys        = 20
	MaxPasskeyLength   = 16 << 10 // bytes of a credential
	MaxPasskeyIDLength = 1366     // 1,023 bytes in base64
	MaxIdentities      = 10
	MaxIssuerLength    = 512
	maxDevices         = 10
	recoveryCodes      = 10
	passwordCodeLife   = 24 * time.Hour
	deviceLife         = 180 * 24 * time.Hour
)

// Account is how a user signs in here. A user who only comes with JWTs has none.
type Account struct {
	UserID        UserID
	Password      string           // digest as a PHC string; "" = none
	TOTP          string           // shared secret of RFC 6238, sealed; "" = off
	NewTOTP       string           // one that was not confirmed yet, sealed
	TOTPStep      int64            // step of the last code that was taken: neither it nor an earlier one is good again
	RecoveryCodes []AccountDigest  // those not used yet
	Devices       []AccountDevice  // on which the person signed in before, oldest first
	PasswordCode  PasswordCode     // zero = none
	Identities    []LinkedIdentity // at OpenID providers
	Passkeys      []Passkey        // oldest first
	UpdatedAt     time.Time
}

// AccountDigest is the SHA-256 of a random text of at least 120 bits.
type AccountDigest [32]byte

// equal reports whether both are the same, in constant time.
func (d AccountDigest) equal(other AccountDigest) bool {
	return subtle.ConstantTimeCompare(d[:], other[:]) == 1
}

// AccountDevice is a browser that has proved to be the person's: guesses by others do not keep it out.
type AccountDevice struct {
	Digest AccountDigest // of its cookie
	EndsAt time.Time
}

// PasswordCode lets somebody set a password once, in place of a password that an administrator would know.
type PasswordCode struct {
	Digest AccountDigest
	EndsAt time.Time
}

// LinkedIdentity is a person as an OpenID provider knows them: a subject means nothing without its issuer.
type LinkedIdentity struct {
	Issuer  string // "" marks what is left of one whose person was removed
	Subject string
}

// Passkey is a WebAuthn credential of an account.
type Passkey struct {
	ID         string // base64url without padding; unique in the account
	Name       string // for people to read
	Credential []byte // public key, counter and flags as JSON, see package signin
	CreatedAt  time.Time
	UsedAt     time.Time // zero = never
}

// Clone returns a copy that shares nothing with a.
func (a *Account) Clone() *Account {
	c := *a
	c.RecoveryCodes = slices.Clone(a.RecoveryCodes)
	c.Devices = slices.Clone(a.Devices)
	c.Identities = slices.Clone(a.Identities)
	c.Passkeys = slices.Clone(a.Passkeys)
	for i := range c.Passkeys {
		c.Passkeys[i].Credential = bytes.Clone(c.Passkeys[i].Credential)
	}
	return &c
}

// knows reports whether a device signed in to the account before.
func (a *Account) knows(device AccountDigest, now time.Time) bool {
	return slices.ContainsFunc(a.Devices, func(d AccountDevice) bool {
		return d.Digest.equal(device) && now.Before(d.EndsAt)
	})
}

// remember adds a device, in place of the oldest when there are too many.
func (a *Account) remember(device AccountDigest, now time.Time) {
	a.Devices = slices.DeleteFunc(a.Devices, func(d AccountDevice) bool { return !now.Before(d.EndsAt) })
	a.Devices = append(a.Devices, AccountDevice{device, now.Add(deviceLife)})
	a.Devices = a.Devices[max(0, len(a.Devices)-maxDevices):]
}

// passkey returns the index of a passkey, or -1.
func (a *Account) passkey(id string) int {
	return slices.IndexFunc(a.Passkeys, func(p Passkey) bool { return p.ID == id })
}

// ways returns how many ways there are to sign in.
func (a *Account) ways() int {
	n := len(a.Identities) + len(a.Passkeys)
	if a.Password != "" {
		n++
	}
	return n
}

// ValidatePassword checks a password that somebody chose. Field is password. It refuses what is short, one character
// again and again, and what others know about the person.
func ValidatePassword(password Secret, known ...string) error {
	text := password.Expose()
	switch n := utf8.RuneCountInString(text); {
	case !utf8.ValidString(text):
		return Invalid("password", "A password must be text.")
	case n < MinPasswordLength:
		return Invalid("password", "A password must have at least %d characters; a sentence makes a good one.",
			MinPasswordLength)
	case n > MaxPasswordLength:
		return Invalid("password", "A password may have at most %d characters.", MaxPasswordLength)
	}
	folded := strings.ToLower(text)
	for _, easy := range append(known, "password", "latchward", "qwertyuiop", "1234567890", "abcdefghijklmnopqrstuvwxyz") {
		easy = strings.ToLower(strings.TrimSpace(easy))
		if len(easy) >= 4 && strings.Trim(strings.ReplaceAll(folded, easy, ""), "0123456789!?. ") == "" {
			return Invalid("password", "This password is easy to guess; choose another one.")
		}
	}
	different := map[rune]bool{}
	for _, c := range folded {
		different[c] = true
	}
	if len(different) < 4 {
		return Invalid("password", "This password is easy to guess; choose another one.")
	}
	return nil
}

// PasswordHasher turns passwords into digests that are slow to make, and compares them.
type PasswordHasher interface {
	// Digest returns a digest of the password as a PHC string. An Error of code unavailable means that too many others
	// are waiting.
	Digest(ctx context.Context, password Secret) (string, error)
	// Matches reports whether digest is that of the password. An empty digest takes as long as any other, and no
	// password matches it. Errors are those of Digest.
	Matches(ctx context.Context, password Secret, digest string) (bool, error)
	// Outdated reports whether a digest is weaker than what Digest makes now.
	Outdated(digest string) bool
}

// AccountStore is what [Service] asks of a database about how people sign in.
type AccountStore interface {
	// Account returns a copy of the account of a user.
	Account(ctx context.Context, id UserID) (*Account, error)
	// Accounts returns copies of the accounts of users behind after, ordered by user, at most limit of them.
	Accounts(ctx context.Context, after UserID, limit int) ([]*Account, error)
	// AccountByIdentity returns a copy of the account that has exactly this identity.
	AccountByIdentity(ctx context.Context, id LinkedIdentity) (*Account, error)

	// Session returns a copy of the session, whether it has ended or not.
	Session(ctx context.Context, id SessionID) (*Session, error)
	// Sessions returns copies of all sessions of a user, the newest first.
	Sessions(ctx context.Context, user UserID) ([]*Session, error)
	// PruneSessions deletes up to limit sessions that were last seen before an instant, and returns how many it deleted.
	PruneSessions(ctx context.Context, seenBefore time.Time, limit int) (int, error)
}

// AccountTx is what a transaction does with accounts and sessions.
type AccountTx interface {
	// Account returns a copy of the account of a user.
	Account(id UserID) (*Account, error)
	// SaveAccount keeps the account of a user in place of the one before; there must be such a user, else it is an Error
	// of code not_found. An identity that another account has is an Error of code conflict.
	SaveAccount(a *Account) error
	// Session returns a copy of the session.
	Session(id SessionID) (*Session, error)
	// SaveSession keeps the session in place of the one before; there must be such a user, else it is an Error of code
	// not_found.
	SaveSession(s *Session) error
	// DeleteSession makes the session disappear.
	DeleteSession(id SessionID) error
	// DeleteSessions makes all sessions of a user disappear except one, and returns how many did.
	DeleteSessions(user UserID, except SessionID) (int, error)
}
