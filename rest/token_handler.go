package rest

import (
	"context"

	"github.com/latchward/latchward"
)

// What the source's documentation answers with, letter by letter (S2-03, S2-42).
const (
	messageCreated = "API token created successfully. Save this token securely - it cannot be retrieved later."
	messageRotated = "API token rotated successfully. Save this token securely - it cannot be retrieved later."
	messageUpdated = "API token updated successfully"
	messageDeleted = "API token deleted successfully"
)

// Message answers with nothing but a sentence.
type Message struct {
	Message string `json:"message"`
}

func (h *handler) createToken(ctx context.Context, in request[none, NewToken]) (TokenReply, error) {
	asked, err := in.Body.settings()
	if err != nil {
		return TokenReply{}, err
	}
	issued, err := h.service.CreateToken(ctx, asked)
	return h.tokenReply(issued, messageCreated, err)
}

func (h *handler) updateToken(ctx context.Context, in request[none, TokenChange]) (TokenReply, error) {
	u, err := in.Body.update()
	if err != nil {
		return TokenReply{}, err
	}
	changed, err := h.service.UpdateToken(ctx, latchward.TokenID(in.ID), u)
	return h.tokenReply(changed, messageUpdated, err)
}

func (h *handler) rotateToken(ctx context.Context, in request[none, Rotation]) (TokenReply, error) {
	issued, err := h.service.RotateToken(ctx, latchward.TokenID(in.ID))
	return h.tokenReply(issued, messageRotated, err)
}

func (h *handler) revokeToken(ctx context.Context, in request[none, Revocation]) (TokenReply, error) {
	t, err := h.service.RevokeToken(ctx, latchward.TokenID(in.ID), in.Body.Reason.Value)
	return h.tokenReply(latchward.IssuedToken{Token: t}, "", err)
}

func (h *handler) token(ctx context.Context, in request[none, none]) (TokenReply, error) {
	t, err := h.service.Token(ctx, latchward.TokenID(in.ID))
	return h.tokenReply(latchward.IssuedToken{Token: t}, "", err)
}

func (h *handler) tokenReply(issued latchward.IssuedToken, message string, err error) (TokenReply, error) {
	if err != nil {
		return TokenReply{}, err
	}
	reply := TokenReply{Token: tokenOf(issued.Token, h.now()), Message: message, Warnings: issued.Warnings}
	reply.Token.Secret = PlainSecret{issued.Secret}
	return reply, nil
}

func (h *handler) deleteToken(ctx context.Context, in request[none, none]) (Message, error) {
	return Message{messageDeleted}, h.service.DeleteToken(ctx, latchward.TokenID(in.ID))
}

func (h *handler) tokens(ctx context.Context, in request[TokenQuery, none]) (TokenList, error) {
	q := in.Query
	f := q.filter()
	list := h.list(ctx, "tokens", q.listed())
	if q.Cursor != "" {
		f.After = &latchward.TokenCursor{}
		if err := list.open(q.Cursor, f.After); err != nil {
			return TokenList{}, err
		}
	}
	page, err := h.service.Tokens(ctx, f)
	if err != nil {
		return TokenList{}, err
	}
	now := h.now()
	reply := TokenList{Tokens: make([]Token, len(page.Tokens))}
	for i, t := range page.Tokens {
		reply.Tokens[i] = tokenOf(t, now)
		counts := page.Counts[t.ID]
		reply.Tokens[i].TokenCounts = &TokenCounts{counts.Requests24h, counts.Requests7d, counts.Total}
	}
	if page.Next != nil {
		reply.NextCursor, err = list.seal(page.Next)
	}
	return reply, err
}

func (q *TokenQuery) filter() latchward.TokenFilter {
	f := latchward.TokenFilter{
		Kind: q.Kind, Status: q.Status, Query: q.Text, Tag: q.Tag, UnusedSince: q.UnusedSince.Time,
		ExpiresBefore: q.ExpiresBefore.Time, Sort: q.Sort, Desc: q.Order == Descending, Limit: q.Limit,
	}
	if q.Order == "" {
		f.Desc = q.Sort != latchward.SortName
	}
	if q.Owner != 0 {
		f.Owners = []latchward.Owner{{Type: latchward.OwnerUser, ID: q.Owner}}
	}
	return f
}

// listed returns what a cursor is bound to: everything that says which tokens come in which order.
func (q TokenQuery) listed() TokenQuery {
	q.Limit, q.Cursor = 0, ""
	return q
}
