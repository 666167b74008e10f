package rest

import (
	"context"
	"net/http"

	"github.com/latchward/latchward"
)

// PasswordCode answers with a code with which a user sets a password on the sign-in page.
type PasswordCode struct {
	Code   PlainSecret `json:"code" doc:"Good once, on the page /signin/password, with the user's e-mail."`
	EndsAt Time        `json:"ends_at"`
}

func (h *handler) issuePasswordCode(ctx context.Context, in request[none, none]) (PasswordCode, error) {
	code, ends, err := h.service.IssuePasswordCode(ctx, latchward.UserID(in.ID))
	return PasswordCode{Code: PlainSecret{code}, EndsAt: Time{ends}}, err
}

func (h *handler) resetSecondFactor(ctx context.Context, in request[none, none]) (Message, error) {
	err := h.service.ResetSecondFactor(ctx, latchward.UserID(in.ID))
	return Message{"Second factor turned off; the user's password alone signs them in"}, err
}

func (h *handler) endSessions(ctx context.Context, in request[none, none]) (Message, error) {
	_, err := h.service.EndSessions(ctx, latchward.UserID(in.ID))
	return Message{"All sessions of the user have ended"}, err
}

// IssuePasswordCode returns a code with which a user can set a password once.
func (c *Client) IssuePasswordCode(ctx context.Context, user int64) (PasswordCode, error) {
	return call[PasswordCode](ctx, c, http.MethodPost, numbered(oursPath+"/users", user)+"/password-code", nil, nil)
}

// ResetSecondFactor turns the codes of an authenticator app off for a user who lost it.
func (c *Client) ResetSecondFactor(ctx context.Context, user int64) (Message, error) {
	return call[Message](ctx, c, http.MethodDelete, numbered(oursPath+"/users", user)+"/second-factor", nil, nil)
}

// EndSessions signs a user out everywhere.
func (c *Client) EndSessions(ctx context.Context, user int64) (Message, error) {
	return call[Message](ctx, c, http.MethodDelete, numbered(oursPath+"/users", user)+"/sessions", nil, nil)
}
