package rest

import (
	"context"

	"github.com/latchward/latchward"
)

// ApplyPolicy asks to bring the tokens that a policy covers into line with it. First ask with dry_run, then with the
// count that told.
type ApplyPolicy struct {
	DryRun     bool             `json:"dry_run,omitzero" doc:"Tell what would change, and change nothing."`
	Count      Optional[int64]  `json:"count,omitzero" range:"0," doc:"What the dry run told; required without one."`
	Revision   Optional[string] `json:"revision,omitzero" doc:"Of the dry run: the very same changes must be due."`
	NoticeDays Optional[int]    `json:"notice_days,omitzero" range:"0,90" doc:"Tokens that would expire at once live so long; 7."`
}

// ApplyReply tells what became of the tokens that a policy covers, or would.
type ApplyReply struct {
	DryRun    bool          `json:"dry_run"`
	Covered   int64         `json:"covered" doc:"Tokens that it covers."`
	Count     int64         `json:"count" doc:"Tokens that were changed, or would be."`
	Remaining int64         `json:"remaining" doc:"Tokens left for another call, with this as its count."`
	Effects   []EffectCount `json:"effects"`
	Sample    []TokenEffect `json:"sample" doc:"The first 20 tokens that are not in line."`
	Revision  string        `json:"revision" doc:"Names what changes, for the call that does it."`
}

// EffectCount says to how many tokens something is done.
type EffectCount struct {
	Effect latchward.PolicyEffect `json:"effect"`
	Tokens int64                  `json:"tokens"`
}

// TokenEffect is what becomes of one token.
type TokenEffect struct {
	Before  Token                    `json:"before"`
	After   Token                    `json:"after"`
	Effects []latchward.PolicyEffect `json:"effects"`
}

func (h *handler) applyPolicy(ctx context.Context, in request[none, ApplyPolicy]) (ApplyReply, error) {
	b := &in.Body
	asked := latchward.PolicyApply{NoticeDays: b.NoticeDays.pointer(), Revision: b.Revision.Value}
	if b.DryRun {
		if err := noConfirmation(b.Count.Set, b.Revision.Set); err != nil {
			return ApplyReply{}, err
		}
	} else {
		if asked.Count = b.Count.pointer(); asked.Count == nil {
			return ApplyReply{}, latchward.Invalid("count", "must be what a dry run told; ask with dry_run first")
		}
	}
	done, err := h.service.ApplyPolicy(ctx, latchward.PolicyID(in.ID), asked)
	if err != nil {
		return ApplyReply{}, err
	}
	reply := ApplyReply{
		DryRun: done.Preview, Covered: done.Covered, Count: done.Count, Remaining: done.Remaining, Revision: done.Revision,
		Effects: []EffectCount{}, Sample: []TokenEffect{},
	}
	for _, effect := range latchward.PolicyEffects() {
		if n := done.Effects[effect]; n > 0 {
			reply.Effects = append(reply.Effects, EffectCount{effect, n})
		}
	}
	for _, change := range done.Sample {
		tokens, err := h.tokensOf(ctx, []*latchward.Token{change.Before, change.After})
		if err != nil {
			return reply, err
		}
		reply.Sample = append(reply.Sample, TokenEffect{tokens[0], tokens[1], change.Effects})
	}
	return reply, nil
}
