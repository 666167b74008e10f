package rest

import (
	"context"
	"net/http"
)

// Policies returns all policies.
func (c *Client) Policies(ctx context.Context) (PolicyList, error) {
	return call[PolicyList](ctx, c, http.MethodGet, oursPath+"/policies", nil, nil)
}

// Policy returns one policy.
func (c *Client) Policy(ctx context.Context, id int64) (PolicyReply, error) {
	return call[PolicyReply](ctx, c, http.MethodGet, numbered(oursPath+"/policies", id), nil, nil)
}

// CreatePolicy makes a policy.
func (c *Client) CreatePolicy(ctx context.Context, n NewPolicy) (PolicyReply, error) {
	return call[PolicyReply](ctx, c, http.MethodPost, oursPath+"/policies", nil, n)
}

// UpdatePolicy changes what is set and leaves the rest.
func (c *Client) UpdatePolicy(ctx context.Context, id int64, change PolicyChange) (PolicyReply, error) {
	return call[PolicyReply](ctx, c, http.MethodPut, numbered(oursPath+"/policies", id), nil, change)
}

// DeletePolicy lifts a policy.
func (c *Client) DeletePolicy(ctx context.Context, id int64) (Message, error) {
	return call[Message](ctx, c, http.MethodDelete, numbered(oursPath+"/policies", id), nil, nil)
}

// ApplyPolicy brings the tokens that a policy covers into line, or tells what would change.
func (c *Client) ApplyPolicy(ctx context.Context, id int64, a ApplyPolicy) (ApplyReply, error) {
	return call[ApplyReply](ctx, c, http.MethodPost, numbered(oursPath+"/policies", id)+"/apply", nil, a)
}
