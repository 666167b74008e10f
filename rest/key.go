package rest

import (
	"context"

	"github.com/latchward/latchward"
)

// Key is one server key, without the key.
type Key struct {
	Version     int    `json:"version"`
	CreatedAt   Time   `json:"created_at"`
	Current     bool   `json:"current" doc:"New secrets are made under this one."`
	Fingerprint string `json:"fingerprint"`
	Tokens      int64  `json:"tokens" doc:"How many that are not revoked have their secret under this key."`
	Retiring    int64  `json:"retiring" doc:"How many more have only a secret under it that was rotated out and still verifies."`
}

// KeyList lists the server keys, lowest version first.
type KeyList struct {
	Keys []Key `json:"keys"`
}

func (h *handler) keys(ctx context.Context, _ request[none, none]) (KeyList, error) {
	status, err := h.service.KeyStatus(ctx)
	if err != nil {
		return KeyList{}, err
	}
	reply := KeyList{Keys: make([]Key, len(status))}
	for i, k := range status {
		reply.Keys[i] = Key{
			Version: k.Version, CreatedAt: Time{k.CreatedAt}, Current: k.Current, Fingerprint: k.Fingerprint,
			Tokens: k.Tokens, Retiring: k.Retiring,
		}
	}
	return reply, nil
}

func (h *handler) rotateKey(ctx context.Context, in request[none, Rotation]) (KeyList, error) {
	if err := h.manageKeys(ctx, latchward.PermissionKeysRotate, 0); err != nil {
		return KeyList{}, err
	}
	if err := h.Keys.RotateKey(ctx); err != nil {
		return KeyList{}, err
	}
	return h.keys(ctx, request[none, none]{})
}

func (h *handler) dropKey(ctx context.Context, in request[none, none]) (KeyList, error) {
	version := int(min(in.ID, maxVersion))
	if err := h.manageKeys(ctx, latchward.PermissionKeysDrop, version); err != nil {
		return KeyList{}, err
	}
	if err := h.Keys.DropKey(ctx, version); err != nil {
		return KeyList{}, err
	}
	return h.keys(ctx, request[none, none]{})
}

const maxVersion = 1 << 16 // above every version of a key, within every int

// manageKeys returns nil for who holds the permission, where keys can be managed. The manager writes files before the service
// is asked, so who may is asked here first.
func (h *handler) manageKeys(ctx context.Context, permission string, version int) error {
	if err := h.service.AuthorizeKeys(ctx, permission, version); err != nil {
		return err
	}
	if h.Keys == nil {
		return latchward.Errorf(latchward.CodeConflict,
			"The server keys are not kept by this server; change them where they are")
	}
	return nil
}
