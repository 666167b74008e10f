package rest

import (
	"context"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/internal/shape"
)

// ExplainRequest asks what would become of a request, and why. The token is named by its id, or its secret is given.
type ExplainRequest struct {
	TokenID     Optional[int64]       `json:"token_id,omitzero" range:"1," doc:"Its current secret is presented."`
	Token       Optional[PlainSecret] `json:"token,omitzero" doc:"Instead: what was presented, without the word Bearer."`
	Method      Optional[string]      `json:"method,omitzero" doc:"GET, POST, ..."`
	Path        Optional[string]      `json:"path,omitzero" doc:"Without base and query, with its escapes."`
	Address     Optional[string]      `json:"address,omitzero" doc:"IP address of the client."`
	Permissions Optional[[]string]    `json:"permissions,omitzero" doc:"All of them are needed."`
	Query       Optional[string]      `json:"query,omitzero" doc:"Needed beside them, such as (a.b OR c.d) AND NOT e.f."`
	Licenses    Optional[[]string]    `json:"licenses,omitzero" doc:"Names; a seat of each is needed."`
	Cost        Optional[int64]       `json:"cost,omitzero" range:"1," doc:"Units of the limits; 1 when missing."`
}

// Explanation tells what verify would say, and how it comes to that. Nothing was charged or recorded.
type Explanation struct {
	Allowed bool             `json:"allowed"`
	Reason  latchward.Reason `json:"reason"`
	Token   *ExplainedToken  `json:"token" doc:"Null when the secret is not that of a token you may see."`
	Steps   []ExplainStep    `json:"steps" doc:"In the order of the decision; the first that fails gives the reason."`
	Missing Shortfall        `json:"missing"`
	Limits  []LimitStatus    `json:"limits"`
	At      Time             `json:"at" doc:"When it was judged."`
}

// ExplainedToken says which token an explanation is about.
type ExplainedToken struct {
	ID    int64          `json:"id"`
	Name  string         `json:"name"`
	Kind  latchward.Kind `json:"kind"`
	Owner Owner          `json:"owner"`
}

// ExplainStep is one step of a decision.
type ExplainStep struct {
	Reason latchward.Reason `json:"reason" doc:"Of the refusal when the step fails."`
	OK     bool             `json:"ok"`
	Text   string           `json:"text" doc:"What was found."`
}

// Shortfall is what rights lack to be enough.
type Shortfall struct {
	Needed   string   `json:"needed" doc:"What is left of permissions and query when all that is satisfied is dropped."`
	Lacking  []string `json:"lacking" doc:"Permissions in it that are not held; of those joined by OR, one is enough."`
	Unwanted []string `json:"unwanted" doc:"Permissions in it that are held and must not be."`
	Licenses []string `json:"licenses" doc:"Licenses of which no seat is held that is valid now."`
}

func (h *handler) explain(ctx context.Context, in request[none, ExplainRequest]) (Explanation, error) {
	b := &in.Body
	r := latchward.ExplainRequest{TokenID: latchward.TokenID(b.TokenID.Value), VerifyRequest: latchward.VerifyRequest{
		Secret: b.Token.Value.Secret, Method: b.Method.Value, Path: b.Path.Value,
		Permissions: b.Permissions.Value, Licenses: b.Licenses.Value, Cost: b.Cost.Value,
	}}
	var err error
	if r.Address, err = parseAddress(b.Address.Value); err != nil {
		return Explanation{}, shape.Within("address", err)
	}
	if b.Query.Set && !b.Query.Null {
		if r.Query, err = h.queries.parse([]byte(b.Query.Value)); err != nil {
			return Explanation{}, shape.Within("query", err)
		}
	}
	e, err := h.service.Explain(ctx, r)
	if err != nil {
		return Explanation{}, err
	}
	return explanationOf(&e), nil
}

func explanationOf(e *latchward.Explanation) Explanation {
	v := &e.Verdict
	wire := Explanation{
		Allowed: v.Allowed(), Reason: v.Reason, Steps: make([]ExplainStep, len(e.Steps)), Limits: []LimitStatus{},
		At: Time{v.At}, Missing: Shortfall{
			Needed: e.Missing.Needed, Lacking: append([]string{}, e.Missing.Lacking...),
			Unwanted: append([]string{}, e.Missing.Unwanted...), Licenses: append([]string{}, e.Licenses...),
		},
	}
	if t := v.Token; t.ID != 0 {
		wire.Token = &ExplainedToken{ID: int64(t.ID), Name: t.Name, Kind: t.Kind, Owner: ownerOf(t.Owner)}
	}
	for i, step := range e.Steps {
		wire.Steps[i] = ExplainStep{step.Reason, step.OK, step.Text}
	}
	if l := &v.Limit; l.Name != "" {
		wire.Limits = append(wire.Limits, limitOf(l))
	}
	return wire
}
