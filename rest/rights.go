package rest

import (
	"context"

	"github.com/latchward/latchward"
)

// EffectiveRights are what a user or token holds, and where each part of it comes from.
type EffectiveRights struct {
	Permissions []RightsPart `json:"permissions" doc:"Each grant, once for each source of it."`
	Roles       []RightsPart `json:"roles"`
	Groups      []RightsPart `json:"groups"`
	Licenses    []RightsPart `json:"licenses"`
}

// RightsPart is one thing that a user or token was given.
type RightsPart struct {
	Name     string  `json:"name"`
	Source   string  `json:"source" doc:"token, owner, role NAME, group NAME, or group NAME, role NAME."`
	Withheld *string `json:"withheld" doc:"Why it does not count now; null when it does."`
}

// RightsReply answers with what a user or token holds.
type RightsReply struct {
	Rights EffectiveRights `json:"rights"`
}

func rightsReply(e latchward.EffectiveRights, err error) (RightsReply, error) {
	return RightsReply{EffectiveRights{
		partsOf(e.Permissions), partsOf(e.Roles), partsOf(e.Groups), partsOf(e.Licenses),
	}}, err
}

func partsOf(parts []latchward.RightsPart) []RightsPart {
	list := make([]RightsPart, len(parts))
	for i, p := range parts {
		list[i] = RightsPart{p.Name, p.Source, textOrNull(p.Withheld)}
	}
	return list
}

func (h *handler) tokenRights(ctx context.Context, in request[none, none]) (RightsReply, error) {
	return rightsReply(h.service.TokenRights(ctx, latchward.TokenID(in.ID)))
}

func (h *handler) userRights(ctx context.Context, in request[none, none]) (RightsReply, error) {
	return rightsReply(h.service.UserRights(ctx, latchward.UserID(in.ID)))
}
