package rest

import (
	"context"
	"net/http"

	"github.com/latchward/latchward"
)

// As returns a client of the same server that presents token instead of what c presents. It reports nothing for c.
func (c *Client) As(token latchward.Secret) *Client {
	other := &Client{base: c.base, credential: token, http: c.http, now: c.now, log: c.log}
	other.reports.init(&ClientOptions{})
	return other
}

// HeldToken returns what the client's own token is and may do. Asking takes nothing of its limits.
func (c *Client) HeldToken(ctx context.Context) (HeldReply, error) {
	return call[HeldReply](ctx, c, http.MethodGet, oursPath+"/me", nil, nil)
}

// HeldUsage tells what the client's own token did in the last days; 0 means 7.
func (c *Client) HeldUsage(ctx context.Context, days int) (TokenUsage, error) {
	return call[TokenUsage](ctx, c, http.MethodGet, oursPath+"/me/usage", DaysQuery{days}, nil)
}

// RotateHeld gives the client's own token a new secret, which is in the reply, if its policies let holders do so. Without
// members in r the old one ends when the new one is first used. The client goes on with the old one; see [Client.As].
func (c *Client) RotateHeld(ctx context.Context, r Rotation) (RotatedReply, error) {
	return call[RotatedReply](ctx, c, http.MethodPost, oursPath+"/me/rotate", nil, r)
}

// RevokeHeld ends for good the token that a secret belongs to, and needs no credential. Nothing tells whether there was
// one.
func (c *Client) RevokeHeld(ctx context.Context, secret latchward.Secret) (Message, error) {
	return call[Message](ctx, c.As(latchward.Secret{}), http.MethodPost, oursPath+"/revoke", nil, Possession{PlainSecret{secret}})
}
