package rest

import (
	"context"

	"github.com/latchward/latchward"
)

// SigningKey is a key with which Latchward signs, without the key.
type SigningKey struct {
	ID         string                    `json:"id" doc:"The kid: thumbprint of the public key (RFC 7638)."`
	State      latchward.SigningKeyState `json:"state"`
	Usable     bool                      `json:"usable" doc:"False when the server keys do not open it: it is not used."`
	CreatedAt  Time                      `json:"created_at"`
	ActiveFrom Time                      `json:"active_from" doc:"Signs from this instant on."`
	RetiresAt  Time                      `json:"retires_at" null:"true" doc:"Signs no more from this instant on."`
	RevokedAt  Time                      `json:"revoked_at" null:"true" doc:"Whatever it signed is refused since."`
}

// SigningKeyList lists the signing keys, the oldest first.
type SigningKeyList struct {
	Keys []SigningKey `json:"keys"`
}

// SigningRotation says how to rotate the signing key.
type SigningRotation struct {
	Emergency Optional[bool]   `json:"emergency,omitzero" doc:"Refuse at once whatever was signed so far."`
	ID        Optional[string] `json:"id,omitzero" doc:"In an emergency: of the one key to be revoked; else all are."`
}

func (h *handler) signingKeys(ctx context.Context, _ request[none, none]) (SigningKeyList, error) {
	status, err := h.service.SigningKeys(ctx)
	if err != nil {
		return SigningKeyList{}, err
	}
	reply := SigningKeyList{Keys: make([]SigningKey, len(status))}
	for i, k := range status {
		reply.Keys[i] = SigningKey{
			ID: k.ID, State: k.State, Usable: k.Usable, CreatedAt: Time{k.CreatedAt}, ActiveFrom: Time{k.ActiveFrom},
			RetiresAt: Time{k.RetiresAt}, RevokedAt: Time{k.RevokedAt},
		}
	}
	return reply, nil
}

func (h *handler) rotateSigningKey(ctx context.Context, in request[none, SigningRotation]) (SigningKeyList, error) {
	err := h.service.RotateSigningKey(ctx, latchward.SigningRotation{
		Emergency: in.Body.Emergency.Value, ID: in.Body.ID.Value,
	})
	if err != nil {
		return SigningKeyList{}, err
	}
	return h.signingKeys(ctx, request[none, none]{})
}
