package latchward

import (
	"crypto/sha256"
	"encoding/hex"
	"reflect"
	"slices"
	"strconv"
	"time"
)

// Bounds of changes to many tokens at once.
const (
	MaxBulk    = 100_000 // tokens in one transaction
	BulkSample = 20      // tokens that a preview shows
)

// BulkAction is what can be done to many tokens at once.
type BulkAction string

// The actions.
const (
	BulkRevoke  BulkAction = "revoke"
	BulkDisable BulkAction = "disable"
	BulkEnable  BulkAction = "enable"
	BulkExtend  BulkAction = "extend" // moves an earlier expiry to a later moment; tokens without one keep having none
)

// BulkActions lists every action.
func BulkActions() []BulkAction { return []BulkAction{BulkRevoke, BulkDisable, BulkEnable, BulkExtend} }

// permission is what the action takes for everybody's tokens, as for a single one.
func (a BulkAction) permission() string {
	if a == BulkRevoke {
		return PermissionTokensRevoke
	}
	return PermissionTokensUpdate
}

// Bulk asks for one change to all tokens that match, as one result: all of them, or none (B-06).
type Bulk struct {
	Action BulkAction
	// Filter says which tokens. It must name a condition; order, cursor and limit do not count.
	Filter     TokenFilter
	Permission string     // holds this permission itself, with the rights of this moment; "" does not filter
	Why        Revocation // of BulkRevoke
	ExpiresAt  time.Time  // of BulkExtend: the new expiry

	// Count is how many tokens a preview said would change. What matches must still be as many, else nothing changes.
	// nil previews: it changes nothing and tells the count.
	Count *int64
	// Revision is that of the preview: the very same tokens must match; "" = any, as long as they are as many.
	Revision string
	// SkipRefused leaves alone, and counts, the tokens that may not be changed. Otherwise one of them refuses all.
	SkipRefused bool
}

// BulkResult tells what was changed, or would be.
type BulkResult struct {
	Action   BulkAction
	Preview  bool
	Count    int64 // tokens that were changed, or would be
	Same     int64 // tokens that match and are what they would become already
	Refused  int64 // tokens that match and may not be changed
	Reasons  []BulkRefusal
	Sample   []*Token // the first BulkSample of those changed, as they are now
	Revision string   // of what would change, for the call that does it
}

// BulkRefusal says why one token may not be changed; the first BulkSample are told.
type BulkRefusal struct {
	ID   TokenID
	Name string
	Err  error
}

func (b *Bulk) validate(now time.Time) error {
	if !slices.Contains(BulkActions(), b.Action) {
		return Invalid("action", "must be one of %v", BulkActions())
	}
	f := b.Filter
	f.Sort, f.Desc, f.After, f.Limit, f.Now = "", false, nil, 0, time.Time{}
	if reflect.DeepEqual(f, TokenFilter{}) && b.Permission == "" {
		return Invalid("filter", "must name a condition at least")
	}
	if b.Action != BulkExtend && !b.ExpiresAt.IsZero() {
		return Invalid("expires_at", "goes with the action %s only", BulkExtend)
	}
	if b.Action == BulkExtend && !b.ExpiresAt.After(now) {
		return Invalid("expires_at", "must be given, and lie in the future")
	}
	if b.Permission != "" {
		if err := ValidatePermissions("permission", []string{b.Permission}); err != nil {
			return Invalid("permission", "must look like resource.action, in lower case")
		}
	}
	if b.Action != BulkRevoke && b.Why != (Revocation{}) {
		return Invalid("reason", "goes with the action %s only", BulkRevoke)
	}
	return b.Why.validate()
}

// fingerprint names which tokens are changed in which way.
func (b *Bulk) fingerprint(ids []TokenID) string {
	hash := sha256.New()
	hash.Write([]byte(string(b.Action) + " " + b.ExpiresAt.UTC().Format(time.RFC3339Nano)))
	for _, id := range ids {
		hash.Write([]byte(" " + strconv.FormatInt(int64(id), 10)))
	}
	return hex.EncodeToString(hash.Sum(nil)[:12])
}
