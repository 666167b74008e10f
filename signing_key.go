package latchward

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"time"
)

// How signing keys live. Whoever verifies by the published keys may keep them for SigningKeysMaxAge, so a key is
// published for twice as long before it signs, and after it has signed for as long as what it signed may live.
const (
	SigningKeysMaxAge    = 5 * time.Minute
	signingAhead         = 2 * SigningKeysMaxAge
	signingBehind        = MaxDerivedLifetime + time.Minute
	signingRevokedKept   = 90 * 24 * time.Hour // in lists for people
	DefaultSigningKeyAge = 90 * 24 * time.Hour
)

// SigningKeyState says what a signing key is for at one moment; it is derived, never stored.
type SigningKeyState string

// The states.
const (
	SigningUpcoming SigningKeyState = "upcoming" // published, so that verifiers know it when it begins to sign
	SigningActive   SigningKeyState = "active"   // signs
	SigningRetired  SigningKeyState = "retired"  // published until the last that it signed has ended
	SigningRevoked  SigningKeyState = "revoked"  // whatever it signed is refused
)

// SigningKey is the record of an Ed25519 key with which Latchward signs. The private part is in it only sealed, and the
// public part follows from that: somebody who can write to the database alone cannot add a key. Times are UTC with
// millisecond precision; the zero time means none.
type SigningKey struct {
	ID         string    // thumbprint of the public key (RFC 7638), and so its kid
	Sealed     string    // the private key, see [KeyRing.Seal]; "" once it is revoked
	CreatedAt  time.Time // when it was made
	ActiveFrom time.Time // it signs from this instant on
	RetiresAt  time.Time // it signs no more from this instant on; zero = until it is rotated
	RevokedAt  time.Time // what it signed is refused from this instant on
}

// State returns what k is for at now.
func (k *SigningKey) State(now time.Time) SigningKeyState {
	switch {
	case !k.RevokedAt.IsZero():
		return SigningRevoked
	case now.Before(k.ActiveFrom):
		return SigningUpcoming
	case k.RetiresAt.IsZero() || now.Before(k.RetiresAt):
		return SigningActive
	default:
		return SigningRetired
	}
}

// Published reports whether k is among the keys that verify at now.
func (k *SigningKey) Published(now time.Time) bool {
	return k.RevokedAt.IsZero() && (k.RetiresAt.IsZero() || now.Before(k.RetiresAt.Add(signingBehind)))
}

// forgettable reports whether nobody needs k any more.
func (k *SigningKey) forgettable(now time.Time) bool {
	if !k.RevokedAt.IsZero() {
		return !now.Before(k.RevokedAt.Add(signingRevokedKept))
	}
	return !k.Published(now)
}

// SigningKeyID returns the thumbprint of a public key (RFC 7638 section 3, RFC 8037 appendix A.3).
func SigningKeyID(public ed25519.PublicKey) string {
	x := base64.RawURLEncoding.EncodeToString(public)
	sum := sha256.Sum256([]byte(`{"crv":"Ed25519","kty":"OKP","x":"` + x + `"}`))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// SigningKeyStatus is a signing key as people are told about it.
type SigningKeyStatus struct {
	SigningKey
	State SigningKeyState
	// Usable is false for a key that the key ring cannot open: it neither signs nor verifies.
	Usable bool
}

// SortSigningKeys puts keys in the order of creation and id.
func SortSigningKeys(keys []*SigningKey) {
	slices.SortFunc(keys, func(a, b *SigningKey) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
}

// PublicKey is a key that verifies what Latchward signed.
type PublicKey struct {
	ID  string // its kid
	Key ed25519.PublicKey
}

// SigningRotation says how to rotate the signing key.
type SigningRotation struct {
	// Emergency refuses at once whatever was signed by the key of this id, or, without one, by any key so far. The next
	// key signs at once. Otherwise the next key signs once verifiers had time to learn of it, and what was signed before
	// lives to its end.
	Emergency bool
	ID        string // "" = all keys
}

// SigningStore is the part of [Store] about signing keys.
type SigningStore interface {
	// SigningKeys returns all signing keys, ordered by creation and id.
	SigningKeys(ctx context.Context) ([]*SigningKey, error)
}

// SigningTx is the part of [Tx] about signing keys.
type SigningTx interface {
	// SigningKeys returns all signing keys, ordered by creation and id.
	SigningKeys() ([]*SigningKey, error)
	// SaveSigningKey inserts or replaces the key with that id. The commit must name it as changed.
	SaveSigningKey(k *SigningKey) error
	// DeleteSigningKey makes the key disappear. The commit must name it as changed.
	DeleteSigningKey(id string) error
}
