package rest

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"

	"github.com/latchward/latchward"
)

// cursorPurpose names the key that cursors are authenticated with.
const cursorPurpose = "rest list cursor"

const cursorMAC = 16 // bytes

// list is one list as one principal sees it. Its cursors are good for nothing else: they are authenticated together
// with the principal, the list and its filters (bar 110).
type list struct {
	keys  *latchward.KeyRing
	bound []byte
}

// list returns the list with a name and the filters it was asked with.
func (h *handler) list(ctx context.Context, name string, filters any) list {
	p, _ := latchward.PrincipalFrom(ctx)
	bound, err := json.Marshal([]any{name, p.String(), filters})
	if err != nil { // filters are texts and numbers
		panic(err)
	}
	return list{keys: h.service.Keys(), bound: bound}
}

// seal returns the cursor for a place: the version of the server key, a MAC and the place, in base64url.
func (l list) seal(place any) (*string, error) {
	text, err := json.Marshal(place)
	if err != nil {
		return nil, latchward.Errorf(latchward.CodeInternal, "encoding a cursor: %w", err)
	}
	version := l.keys.Current()
	sealed := append([]byte{byte(version)}, l.mac(version, text)...)
	cursor := base64.RawURLEncoding.EncodeToString(append(sealed, text...))
	return &cursor, nil
}

// after is open for a cursor that may be missing.
func (l list) after(cursor string, place any) error {
	if cursor == "" {
		return nil
	}
	return l.open(cursor, place)
}

// open reads the place out of a cursor.
func (l list) open(cursor string, place any) error {
	refuse := latchward.Invalid("cursor", "must be next_cursor of the page before, with the same filters and order")
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(sealed) < 1+cursorMAC {
		return refuse
	}
	mac, text := sealed[1:1+cursorMAC], sealed[1+cursorMAC:]
	if want := l.mac(int(sealed[0]), text); want == nil || !hmac.Equal(mac, want) {
		return refuse
	}
	if err := json.Unmarshal(text, place); err != nil {
		return refuse
	}
	return nil
}

// mac returns nil when the key is not in the ring.
func (l list) mac(version int, text []byte) []byte {
	key, ok := l.keys.Derive(version, cursorPurpose)
	if !ok {
		return nil
	}
	mac := hmac.New(sha256.New, key[:])
	mac.Write(l.bound)
	mac.Write([]byte{0})
	mac.Write(text)
	return mac.Sum(nil)[:cursorMAC]
}
