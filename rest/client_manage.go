package rest

import (
	"context"
	"net/http"
	"strconv"
)

const (
	tokensPath = base + "/api-tokens"
	oursPath   = base + "/latchward"
)

func numbered(path string, id int64) string { return path + "/" + strconv.FormatInt(id, 10) }

// CreateToken issues a token. The reply holds its secret, which nobody is told again.
func (c *Client) CreateToken(ctx context.Context, n NewToken) (TokenReply, error) {
	return call[TokenReply](ctx, c, http.MethodPost, tokensPath, nil, n)
}

// Tokens returns one page of the tokens that match.
func (c *Client) Tokens(ctx context.Context, q TokenQuery) (TokenList, error) {
	return call[TokenList](ctx, c, http.MethodGet, tokensPath, q, nil)
}

// Token returns one token.
func (c *Client) Token(ctx context.Context, id int64) (TokenReply, error) {
	return call[TokenReply](ctx, c, http.MethodGet, numbered(tokensPath, id), nil, nil)
}

// UpdateToken changes what is set and leaves the rest.
func (c *Client) UpdateToken(ctx context.Context, id int64, change TokenChange) (TokenReply, error) {
	return call[TokenReply](ctx, c, http.MethodPut, numbered(tokensPath, id), nil, change)
}

// RotateToken gives the token a new secret, which is in the reply; the old one ends as r says.
func (c *Client) RotateToken(ctx context.Context, id int64, r Rotation) (TokenReply, error) {
	return call[TokenReply](ctx, c, http.MethodPost, numbered(tokensPath, id)+"/rotate", nil, r)
}

// RevokeToken ends the token for good. It need not say why.
func (c *Client) RevokeToken(ctx context.Context, id int64, why Revocation) (TokenReply, error) {
	return call[TokenReply](ctx, c, http.MethodPost, numbered(tokensPath, id)+"/revoke", nil, why)
}

// DeleteToken removes the token.
func (c *Client) DeleteToken(ctx context.Context, id int64) (Message, error) {
	return call[Message](ctx, c, http.MethodDelete, numbered(tokensPath, id), nil, nil)
}

// TokenRights tells what a token holds, and from where.
func (c *Client) TokenRights(ctx context.Context, id int64) (RightsReply, error) {
	return call[RightsReply](ctx, c, http.MethodGet, numbered(tokensPath, id)+"/rights", nil, nil)
}

// TokenUsage tells what a token did in the last days; 0 means 7.
func (c *Client) TokenUsage(ctx context.Context, id int64, days int) (TokenUsage, error) {
	return call[TokenUsage](ctx, c, http.MethodGet, numbered(tokensPath, id)+"/usage", DaysQuery{days}, nil)
}

// UsageOverview tells what all tokens did in the last days; 0 means 7.
func (c *Client) UsageOverview(ctx context.Context, days int) (UsageOverview, error) {
	return call[UsageOverview](ctx, c, http.MethodGet, tokensPath+"/stats/overview", DaysQuery{days}, nil)
}

// CreateUser adds a user.
func (c *Client) CreateUser(ctx context.Context, n NewUser) (UserReply, error) {
	return call[UserReply](ctx, c, http.MethodPost, oursPath+"/users", nil, n)
}

// Users returns one page of the users that match.
func (c *Client) Users(ctx context.Context, q UserQuery) (UserList, error) {
	return call[UserList](ctx, c, http.MethodGet, oursPath+"/users", q, nil)
}

// User returns one user.
func (c *Client) User(ctx context.Context, id int64) (UserReply, error) {
	return call[UserReply](ctx, c, http.MethodGet, numbered(oursPath+"/users", id), nil, nil)
}

// UpdateUser changes what is set and leaves the rest.
func (c *Client) UpdateUser(ctx context.Context, id int64, change UserChange) (UserReply, error) {
	return call[UserReply](ctx, c, http.MethodPut, numbered(oursPath+"/users", id), nil, change)
}

// RemoveUser removes a user and revokes all of their tokens.
func (c *Client) RemoveUser(ctx context.Context, id int64) (Message, error) {
	return call[Message](ctx, c, http.MethodDelete, numbered(oursPath+"/users", id), nil, nil)
}

// UserRights tells what a user holds, and from where.
func (c *Client) UserRights(ctx context.Context, id int64) (RightsReply, error) {
	return call[RightsReply](ctx, c, http.MethodGet, numbered(oursPath+"/users", id)+"/rights", nil, nil)
}

// KeyStatus lists the server keys.
func (c *Client) KeyStatus(ctx context.Context) (KeyList, error) {
	return call[KeyList](ctx, c, http.MethodGet, oursPath+"/keys", nil, nil)
}

// RotateKey makes new secrets under a new server key and lists all keys.
func (c *Client) RotateKey(ctx context.Context) (KeyList, error) {
	return call[KeyList](ctx, c, http.MethodPost, oursPath+"/keys/rotate", nil, nil)
}

// DropKey refuses all secrets made under a retired server key from now on, and lists the keys left.
func (c *Client) DropKey(ctx context.Context, version int) (KeyList, error) {
	return call[KeyList](ctx, c, http.MethodDelete, numbered(oursPath+"/keys", int64(version)), nil, nil)
}

// SigningKeys lists the keys with which Latchward signs.
func (c *Client) SigningKeys(ctx context.Context) (SigningKeyList, error) {
	return call[SigningKeyList](ctx, c, http.MethodGet, oursPath+"/keys/signing", nil, nil)
}

// RotateSigningKey makes the next signing key and lists all keys.
func (c *Client) RotateSigningKey(ctx context.Context, r SigningRotation) (SigningKeyList, error) {
	return call[SigningKeyList](ctx, c, http.MethodPost, oursPath+"/keys/signing/rotate", nil, r)
}

// Audit returns one page of audit entries.
func (c *Client) Audit(ctx context.Context, q AuditQuery) (AuditList, error) {
	return call[AuditList](ctx, c, http.MethodGet, oursPath+"/audit", q, nil)
}

// BulkTokens changes all tokens that match, or tells which would be changed.
func (c *Client) BulkTokens(ctx context.Context, b Bulk) (BulkReply, error) {
	return call[BulkReply](ctx, c, http.MethodPost, oursPath+"/tokens/bulk", nil, b)
}
