package rest

import (
	"context"
	"net/http"
	"time"

	"github.com/latchward/latchward"
)

// Verify implements [latchward.Verifier]. The server does not record the request: report the real response with
// [Client.Record]. Of the token, the verdict tells what an enforcement point needs: id, name, kind, owner, permissions
// and metadata; the rights, when they are asked for.
func (c *Client) Verify(ctx context.Context, r latchward.VerifyRequest) (latchward.Verdict, error) {
	if err := r.Query.Validate(); err != nil {
		return latchward.Verdict{}, err // it has no form that could be sent
	}
	asked, ok := verifyRequestOf(&r)
	if !ok {
		return latchward.Verdict{Reason: latchward.ReasonBadRequest, At: c.now()}, nil
	}
	reply, err := call[Verdict](ctx, c, http.MethodPost, oursPath+"/verify", nil, asked)
	switch latchward.ErrorCode(err) {
	case "":
		v := verdictOf(&reply)
		v.Path = r.Path
		return v, nil
	case latchward.CodeInvalid, latchward.CodeUnavailable:
		return latchward.Verdict{}, err
	}
	return latchward.Verdict{}, &latchward.Error{ // what the server has against this client is no verdict on the token
		Code:    latchward.CodeUnavailable,
		Message: "The Latchward server did not answer this client: " + latchward.ErrorMessage(err),
		Err:     err,
	}
}

// VerifyBatch asks for up to [MaxBatch] verdicts at once. The server records each unless its request says otherwise.
func (c *Client) VerifyBatch(ctx context.Context, b VerifyBatch) (VerdictList, error) {
	return call[VerdictList](ctx, c, http.MethodPost, oursPath+"/verify/batch", nil, b)
}

// verifyRequestOf returns r as it is sent, with r in canonical form; false when r has none. JSON could not carry a
// malformed path to the server as it is.
func verifyRequestOf(r *latchward.VerifyRequest) (VerifyRequest, bool) {
	var err error
	if r.Path != "" {
		if r.Path, err = latchward.CanonicalPath(r.Path); err != nil {
			return VerifyRequest{}, false
		}
	}
	if r.Method != "" {
		if r.Method, err = latchward.CanonicalMethod(r.Method); err != nil {
			return VerifyRequest{}, false
		}
	}
	asked := VerifyRequest{
		Token: PlainSecret{r.Secret}, Method: r.Method, Path: r.Path, Permissions: r.Permissions, Cost: r.Cost,
		Record: new(bool), DryRun: r.DryRun, Query: r.Query.String(), Licenses: r.Licenses, Rights: r.Rights,
		Audience: r.Audience,
	}
	if r.Address.IsValid() {
		asked.Address = r.Address.Unmap().WithZone("").String()
	}
	return asked, true
}

func verdictOf(reply *Verdict) latchward.Verdict {
	v := latchward.Verdict{Reason: reply.Reason, At: reply.At.Time, Derived: reply.Derived}
	if !reply.Allowed && v.Reason == latchward.ReasonAllowed {
		v.Reason = "" // contradicts itself; the zero reason is not allowed
	}
	if t := reply.Token; t != nil {
		v.Token = latchward.VerdictToken{
			ID: latchward.TokenID(t.ID), Name: t.Name, Kind: t.Kind, Metadata: t.Metadata, Permissions: t.Permissions,
			Owner:         latchward.Owner{Type: t.Owner.Type, ID: t.Owner.ID, Name: t.Owner.Name},
			MethodMatters: t.MethodMatters,
		}
	}
	if r := reply.Rights; r != nil {
		v.Rights = r.rights()
	}
	if s := reply.Subject; s != nil {
		v.Subject = latchward.Subject{Type: s.Type, ID: s.ID, Name: s.Name}
	}
	if len(reply.Limits) > 0 {
		l := reply.Limits[0]
		v.Limit = latchward.LimitStatus{
			Name: l.Name, Limit: l.Limit, Remaining: l.Remaining, Current: l.Current, Reset: l.Reset.Time,
			Window: time.Duration(l.Window) * time.Second,
		}
	}
	if wait := time.Duration(reply.RetryAfter) * time.Second; wait != 0 && v.RetryAfter() > wait {
		v.At = v.Limit.Reset.Add(-wait) // milliseconds were rounded apart; the seconds are what callers are told
	}
	return v
}
