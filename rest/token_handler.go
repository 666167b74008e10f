package rest

import (
	"context"
	"strings"
	"time"

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
	asked.RequestKey = in.Key
	issued, err := h.service.CreateToken(ctx, asked)
	return h.tokenReply(ctx, issued, messageCreated, err)
}

func (h *handler) updateToken(ctx context.Context, in request[none, TokenChange]) (TokenReply, error) {
	u, err := in.Body.update()
	if err != nil {
		return TokenReply{}, err
	}
	u.Revisions = in.Revisions
	changed, err := h.service.UpdateToken(ctx, latchward.TokenID(in.ID), u)
	return h.tokenReply(ctx, changed, messageUpdated, err)
}

func (h *handler) rotateToken(ctx context.Context, in request[none, Rotation]) (TokenReply, error) {
	issued, err := h.service.RotateToken(ctx, latchward.TokenID(in.ID), in.Body.rotation(in.Key))
	return h.tokenReply(ctx, issued, messageRotated, err)
}

// rotation returns what the service is asked for, under an Idempotency-Key.
func (r *Rotation) rotation(key string) latchward.Rotation {
	return latchward.Rotation{
		Grace:      time.Duration(r.GraceSeconds.Value) * time.Second,
		AtFirstUse: r.OldDies.Value == OldDiesAtFirstUse, RequestKey: key,
	}
}

func (h *handler) revokeToken(ctx context.Context, in request[none, Revocation]) (TokenReply, error) {
	why, err := in.Body.cause()
	if err != nil {
		return TokenReply{}, err
	}
	t, err := h.service.RevokeToken(ctx, latchward.TokenID(in.ID), why)
	return h.tokenReply(ctx, latchward.IssuedToken{Token: t}, "", err)
}

func (h *handler) token(ctx context.Context, in request[none, none]) (TokenReply, error) {
	t, err := h.service.Token(ctx, latchward.TokenID(in.ID))
	return h.tokenReply(ctx, latchward.IssuedToken{Token: t}, "", err)
}

func (h *handler) tokenReply(
	ctx context.Context, issued latchward.IssuedToken, message string, err error,
) (TokenReply, error) {
	if err != nil {
		return TokenReply{}, err
	}
	t := issued.Token
	names, err := h.service.Names(ctx, t.Roles, t.Groups, t.Licenses)
	reply := TokenReply{
		Token: tokenOf(t, names, h.now()), Message: message, Warnings: issued.Warnings, Revision: Revision{t.Revision()},
	}
	reply.Token.Secret = PlainSecret{issued.Secret}
	return reply, err
}

func (h *handler) deleteToken(ctx context.Context, in request[none, none]) (Message, error) {
	return Message{messageDeleted}, h.service.DeleteToken(ctx, latchward.TokenID(in.ID))
}

func (h *handler) tokens(ctx context.Context, in request[TokenQuery, none]) (TokenList, error) {
	q := in.Query
	f, err := h.tokenFilter(ctx, &q)
	if err != nil {
		return TokenList{}, err
	}
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
		names, err := h.service.Names(ctx, t.Roles, t.Groups, t.Licenses)
		if err != nil {
			return reply, err
		}
		reply.Tokens[i] = tokenOf(t, names, now)
		counts := page.Counts[t.ID]
		reply.Tokens[i].TokenCounts = &TokenCounts{counts.Requests24h, counts.Requests7d, counts.Total}
	}
	if page.Next != nil {
		reply.NextCursor, err = list.seal(page.Next)
	}
	return reply, err
}

func (h *handler) tokenFilter(ctx context.Context, q *TokenQuery) (latchward.TokenFilter, error) {
	f := latchward.TokenFilter{
		Kind: q.Kind, Status: q.Status, Query: q.Text, Tag: q.Tag, UnusedSince: q.UnusedSince.Time,
		ExpiresBefore: q.ExpiresBefore.Time, NeverUsed: q.NeverUsed, IdleBefore: q.IdleBefore.Time,
		RotationDue: q.RotationDue.Time, CreatedBefore: q.CreatedBefore.Time, CreatedBy: q.CreatedBy,
		RevokeReason: q.RevokeReason, ServerKey: q.ServerKey, Sort: q.Sort, Desc: q.Order == Descending, Limit: q.Limit,
	}
	if q.Order == "" {
		f.Desc = q.Sort != latchward.SortName
	}
	if q.Owner != "" {
		text := q.Owner
		if strings.Trim(text, "0123456789") == "" {
			text = string(latchward.OwnerUser) + ":" + text
		}
		owner, err := latchward.ParseOwner(text)
		if err != nil {
			return f, err
		}
		f.Owners = []latchward.Owner{owner}
	}
	named, err := h.service.Find(ctx, q.Role, q.Group, q.License)
	f.Role, f.Group, f.License = named.Role, named.Group, named.License
	return f, err
}

// listed returns what a cursor is bound to: everything that says which tokens come in which order.
func (q TokenQuery) listed() TokenQuery {
	q.Limit, q.Cursor = 0, ""
	return q
}
