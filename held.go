package latchward

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// Presented is a secret and where it came from. Whoever has a secret may ask about the token it belongs to, rotate it
// if its policy lets them, and revoke it, and nothing else (B-05, X-08).
type Presented struct {
	Secret Secret
	Origin Origin
}

// HeldToken is what a token tells whoever presents a secret of it. It says nothing that belongs to anybody else.
type HeldToken struct {
	ID               TokenID
	Name             string
	Kind             Kind
	Owner            Owner   // without a name
	Rights           *Rights // effective: what the owner's rights leave of those granted
	AllowedEndpoints []string
	AllowedNetworks  []netip.Prefix
	Limits           []LimitStatus // of this moment; asking takes nothing
	ExpiresAt        time.Time     // zero = never
	IdleAt           time.Time     // the last instant at which it is not idle if it stays unused; zero = never
	LastUsedAt       time.Time     // zero = never

	Prefix   string         // the display part of the secret that was presented
	EndsAt   time.Time      // when that secret ends because it was rotated out; zero = it is the current one
	Retiring RetiringSecret // the secret before the current one, as long as it verifies; else the zero value

	Warnings []string // sentences about what the holder should do soon
}

// effective returns r without grants that count for nothing in it.
func (r *Rights) effective() *Rights {
	f := r.Facts()
	if !f.Reserved {
		f.Permissions = slices.DeleteFunc(slices.Clone(f.Permissions), reservedPermission)
	}
	return NewRights(f)
}

// heldSoon is how long before its end a token warns whoever holds it.
const heldSoon = 7 * 24 * time.Hour

// heldOf returns what t tells about itself; f is about the secret that was presented.
func heldOf(t *Token, f *facts, prefix string, now time.Time) HeldToken {
	held := HeldToken{
		ID: t.ID, Name: t.Name, Kind: t.Kind, Owner: t.Owner.key(),
		AllowedEndpoints: t.AllowedEndpoints, AllowedNetworks: t.AllowedNetworks,
		ExpiresAt: t.ExpiresAt, IdleAt: t.IdleAt(), LastUsedAt: t.LastUsedAt, Prefix: TokenPrefix(prefix, f.keyID),
	}
	if f.keyID == t.Secret.KeyID || t.Imported != "" {
		held.Prefix = t.Prefix // a secret that was made elsewhere does not begin with its key id
	}
	if !t.RetiresAt(now).IsZero() {
		held.Retiring = t.Retiring
		held.Retiring.Credential = Credential{} // recognising secrets is nobody else's business
	}
	if f.extras.endsAt != 0 {
		held.EndsAt = time.Unix(0, f.extras.endsAt).UTC()
	}
	held.Warnings = held.warnings(now)
	return held
}

func (h *HeldToken) warnings(now time.Time) []string {
	var texts []string
	soon := func(at time.Time, format string) {
		if !at.IsZero() && at.Sub(now) <= heldSoon {
			texts = append(texts, fmt.Sprintf(format, at.Format("2006-01-02 15:04 UTC")))
		}
	}
	if !h.EndsAt.IsZero() {
		texts = append(texts, "This secret was rotated out and is refused from "+h.EndsAt.Format("2006-01-02 15:04 UTC")+
			" on: use the new one.")
	}
	soon(h.ExpiresAt, "The token expires at %s.")
	soon(h.IdleAt, "The token goes idle if it is not used until %s.")
	return texts
}
