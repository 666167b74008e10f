package latchward

import (
	"context"
	"net/netip"
	"time"
)

// Bounds of derived tokens.
const (
	DefaultDerivedLifetime = 5 * time.Minute // what one lives and what one may live at most, unless configured
	MaxDerivedLifetime     = time.Hour       // what can be configured at most
	MaxAudiences           = 5
	MaxAudienceLength      = 255  // bytes
	MaxDerivedGrants       = 100  // in the scope of a derived token
	MaxDerivedSize         = 6144 // bytes of the JWT, which has to fit into a header beside others
)

// DerivedClaims are what a derived token says: whose it is, for whom, and what its holder may do. A derived token is a
// JWT for a few minutes that an API token was exchanged for (B-11). It stands for the secret it was derived with: it is
// refused once that secret is.
type DerivedClaims struct {
	Issuer      string
	ID          string    // jti: 22 characters of base64url
	Subject     Subject   // Name stays empty
	Token       TokenID   // the API token
	KeyID       KeyID     // of the secret of that token
	Kind        Kind      // of that token
	Owner       Owner     // of that token, without a name
	Audience    []string  // for whom; never empty
	IssuedAt    time.Time // whole seconds
	ExpiresAt   time.Time // whole seconds; it is refused from this instant on
	Permissions []string  // grants; the holder has those that the API token still has
	Roles       []string  // names; the same
	Groups      []string  // names; the same
	Licenses    []string  // names; the same
	Endpoints   []string  // patterns; empty = unrestricted
	Networks    []netip.Prefix
	Status      StatusEntry
}

// StatusEntry is the place of a derived token in the published status lists.
type StatusEntry struct {
	List  int64
	Index int // 0 to StatusListSize-1
}

// DerivedRecord is what is kept of a derived token until it has ended: never the JWT itself. Times are UTC with
// millisecond precision; the zero time means none.
type DerivedRecord struct {
	ID        string // jti
	Status    StatusEntry
	Token     TokenID
	KeyID     KeyID // of the secret that it was derived with
	EndsAt    time.Time
	RevokedAt time.Time
}

// DerivedStore is the part of [Store] about derived tokens.
type DerivedStore interface {
	// DerivedTokens returns the derived tokens of a status list, ordered by their place in it.
	DerivedTokens(ctx context.Context, list int64) ([]*DerivedRecord, error)
	// RevokedDerivedTokens returns the derived tokens that are revoked and end after an instant, ordered by id.
	RevokedDerivedTokens(ctx context.Context, after time.Time) ([]*DerivedRecord, error)
	// PruneDerivedTokens removes derived tokens that ended by an instant, at most limit of them, and returns how many
	// it removed.
	PruneDerivedTokens(ctx context.Context, endedBy time.Time, limit int) (int, error)
}

// DerivedTx is the part of [Tx] about derived tokens.
type DerivedTx interface {
	// SaveDerivedToken inserts or replaces the derived token with that id. A place in a status list that another one has
	// is an Error of code conflict. The commit must name one that is revoked as changed.
	SaveDerivedToken(d *DerivedRecord) error
}
