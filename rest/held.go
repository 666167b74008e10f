package rest

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
)

// HeldToken is a token as it tells of itself to whoever holds it.
type HeldToken struct {
	ID               int64           `json:"id"`
	Name             string          `json:"name"`
	Kind             latchward.Kind  `json:"kind" doc:"As whom it acts: its owner, or itself."`
	Owner            Owner           `json:"owner"`
	Prefix           string          `json:"token_prefix" doc:"The start of the secret that was presented."`
	SecretEndsAt     Time            `json:"secret_ends_at" null:"true" doc:"When that secret ends because it was rotated out; null when it is the current one."`
	Retiring         *RetiringSecret `json:"retiring" doc:"The secret before the current one, while it verifies; else null."`
	Rights           VerdictRights   `json:"rights" doc:"What it may do now."`
	AllowedEndpoints []string        `json:"allowed_endpoints" null:"true" doc:"Patterns; null is no restriction."`
	AllowedNetworks  []string        `json:"allowed_networks" null:"true" doc:"Null is no restriction."`
	Limits           []LimitStatus   `json:"limits" doc:"Asking takes nothing of them."`
	ExpiresAt        Time            `json:"expires_at" null:"true"`
	IdleAt           Time            `json:"idle_at" null:"true" doc:"When it goes idle if it stays unused; null is never."`
	LastUsedAt       Time            `json:"last_used_at" null:"true" doc:"The last accepted request; asking is none."`
	Warnings         []string        `json:"warnings" doc:"What should be done soon."`
}

// HeldReply answers with the token that asks.
type HeldReply struct {
	Token HeldToken `json:"token"`
}

// RotatedToken is a token as it tells of itself to the holder who rotated it.
type RotatedToken struct {
	ID       int64           `json:"id"`
	Name     string          `json:"name"`
	Secret   PlainSecret     `json:"token" doc:"The new secret, told only now."`
	Prefix   string          `json:"token_prefix" doc:"Its start, which is not secret."`
	Retiring *RetiringSecret `json:"retiring" doc:"The secret that asked, while it verifies; else null."`
}

// LogValue tells which token it is and nothing more, so that no secret is logged.
func (t RotatedToken) LogValue() slog.Value {
	return slog.GroupValue(slog.Int64("id", t.ID), slog.String("name", t.Name))
}

// RotatedReply answers with the token that was rotated by its holder.
type RotatedReply struct {
	Token    RotatedToken `json:"token"`
	Message  string       `json:"message"`
	Warnings []string     `json:"warnings" doc:"What the caller may not have meant."`
}

// LogValue is that of the token.
func (r RotatedReply) LogValue() slog.Value { return r.Token.LogValue() }

// Possession is a secret that somebody found, or wants to get rid of.
type Possession struct {
	Token PlainSecret `json:"token" doc:"Whatever was found."`
}

// messageRevoked is told whatever was presented.
const messageRevoked = "If this is the secret of a token, the token is revoked."

// presentedKey is where the context of a request by a holder has what was presented.
type presentedKey struct{}

func presentedIn(ctx context.Context) latchward.Presented {
	p, _ := ctx.Value(presentedKey{}).(latchward.Presented)
	return p
}

// presenting returns r with what it presents in its context.
func (h *handler) presenting(r *http.Request, secret latchward.Secret) *http.Request {
	p := latchward.Presented{Secret: secret, Origin: h.origin(r)}
	return r.WithContext(context.WithValue(r.Context(), presentedKey{}, p))
}

// serveHolder serves a request by whoever holds a token. Whom the context names does not matter: it is about the token.
// What is answered is not recorded, because asking is no use of the token; a refusal is, because somebody tried.
func (h *handler) serveHolder(route *route, w http.ResponseWriter, r *http.Request, at place) error {
	secret, reason := httpauth.Credential(r)
	if reason != "" {
		return refuse(reason)
	}
	if httpauth.LooksLikeJWT(secret) {
		if _, err := h.signIn(r.Context(), secret); err != nil {
			return err
		}
		return errNotHolder
	}
	err := route.answer(w, h.presenting(r, secret), at)
	var refused *refusal
	if errors.As(err, &refused) {
		h.recordCall(r, &refused.verdict, httpauth.StatusOf(refused.verdict.Reason))
	}
	return err
}

var errNotHolder error = &latchward.Error{
	Code: latchward.CodeForbidden, Message: "Only an API token may ask this, about itself",
}

// revocationsPerMinute is how many secrets may be revoked by possession from one address, whatever they are.
const revocationsPerMinute = 60

// asHolder makes an operation of a function that answers whoever holds a token; a verdict that refuses is the answer.
func asHolder[Q, B, R any](
	answer func(context.Context, latchward.Presented, request[Q, B]) (R, latchward.Verdict, error),
) operation {
	return operate(func(ctx context.Context, in request[Q, B]) (R, error) {
		reply, v, err := answer(ctx, presentedIn(ctx), in)
		if err == nil && !v.Allowed() {
			err = &refusal{v}
		}
		return reply, err
	})
}

func (h *handler) heldToken(
	ctx context.Context, p latchward.Presented, _ request[none, none],
) (HeldReply, latchward.Verdict, error) {
	held, v, err := h.service.HeldToken(ctx, p)
	if err != nil || !v.Allowed() {
		return HeldReply{}, v, err
	}
	return HeldReply{heldOf(&held)}, v, nil
}

func (h *handler) heldUsage(
	ctx context.Context, p latchward.Presented, in request[DaysQuery, none],
) (TokenUsage, latchward.Verdict, error) {
	usage, v, err := h.service.HeldUsage(ctx, p, in.Query.days())
	return usageOf(&usage), v, err
}

// rotateHeld rotates until first use unless it is told otherwise: an answer that is lost must not lose the token, which
// nobody but its manager could rotate then.
func (h *handler) rotateHeld(
	ctx context.Context, p latchward.Presented, in request[none, Rotation],
) (RotatedReply, latchward.Verdict, error) {
	how := in.Body.rotation(in.Key)
	how.AtFirstUse = how.AtFirstUse || !in.Body.GraceSeconds.Set && !in.Body.OldDies.Set
	issued, v, err := h.service.RotateHeld(ctx, p, how)
	if err != nil || !v.Allowed() {
		return RotatedReply{}, v, err
	}
	reply := RotatedReply{
		Message: messageRotated, Warnings: append([]string{}, issued.Warnings...), Token: RotatedToken{
			ID: int64(issued.Token.ID), Name: issued.Token.Name, Secret: PlainSecret{issued.Secret},
			Prefix: issued.Token.Prefix, Retiring: retiringOf(issued.Token, h.now()),
		},
	}
	return reply, v, nil
}

func (h *handler) revokeHeld(ctx context.Context, in request[none, Possession]) (Message, error) {
	p := presentedIn(ctx)
	if !h.revocations.Attempt(p.Origin.Address) {
		return Message{}, latchward.Errorf(latchward.CodeExhausted, "At most %d secrets a minute may be revoked from one address; "+
			"wait a minute", revocationsPerMinute)
	}
	p.Secret = in.Body.Token.Secret
	return Message{messageRevoked}, h.service.RevokeHeld(ctx, p)
}

func heldOf(held *latchward.HeldToken) HeldToken {
	wire := HeldToken{
		ID: int64(held.ID), Name: held.Name, Kind: held.Kind, Owner: ownerOf(held.Owner), Prefix: held.Prefix,
		SecretEndsAt: Time{held.EndsAt}, Rights: *rightsOf(held.Rights), Limits: []LimitStatus{},
		ExpiresAt: Time{held.ExpiresAt}, IdleAt: Time{held.IdleAt}, LastUsedAt: Time{held.LastUsedAt},
		Warnings: append([]string{}, held.Warnings...),
	}
	if r := held.Retiring; !r.EndsAt.IsZero() {
		wire.Retiring = &RetiringSecret{EndsAt: Time{r.EndsAt}, AtFirstUse: r.AtFirstUse}
	}
	if len(held.AllowedEndpoints) > 0 {
		wire.AllowedEndpoints = held.AllowedEndpoints
	}
	for _, network := range held.AllowedNetworks {
		wire.AllowedNetworks = append(wire.AllowedNetworks, network.String())
	}
	for i := range held.Limits {
		wire.Limits = append(wire.Limits, limitOf(&held.Limits[i]))
	}
	return wire
}

// limitOf returns l as it is told: its reset is rounded up.
func limitOf(l *latchward.LimitStatus) LimitStatus {
	return LimitStatus{
		Name: l.Name, Limit: l.Limit, Remaining: l.Remaining, Reset: Time{l.Reset.Add(time.Millisecond - 1)},
		Current: l.Current, Window: int64(l.Window / time.Second),
	}
}
