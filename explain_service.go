package latchward

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// ExplainRequest asks what would become of a request, and why (B-09).
type ExplainRequest struct {
	TokenID       TokenID // whose current secret is presented, in place of Secret
	VerifyRequest         // DryRun and Rights are of no account
}

// Explanation tells what [Service.Verify] would say to a request, and how it comes to that.
type Explanation struct {
	Verdict Verdict // as Verify would give it
	// Steps are those of the decision, in its order: the first that fails gives the reason. Those behind it are told,
	// too, as far as they can be looked at.
	Steps    []ExplainStep
	Missing  Shortfall // of the permissions and the query
	Licenses []string  // asked for, and not held or not valid now
}

// ExplainStep is one step of a decision.
type ExplainStep struct {
	Reason Reason // of the refusal when the step fails
	OK     bool
	Text   string // for people: what was found
}

// Explain tells whether a request would be allowed, and why. It costs no quota, moves no clock and records nothing. Who
// may see the token may ask; to everybody else, a secret of it is one that nobody knows. Errors: invalid, when neither
// a token nor a secret is given, or both, for what is no permission or no name of a license, or for a cost that can
// never pass; not_found.
func (s *Service) Explain(ctx context.Context, r ExplainRequest) (Explanation, error) {
	p, err := tokenActor(ctx, PermissionTokensRead)
	if err != nil {
		return Explanation{}, err
	}
	if (r.TokenID == 0) == r.Secret.IsZero() {
		return Explanation{}, Invalid("token_id", "give the id of a token, or a secret, and not both")
	}
	if err := r.validateTexts(); err != nil {
		return Explanation{}, err
	}
	x := explaining{Explanation: Explanation{Verdict: Verdict{At: s.now()}}, r: &r.VerifyRequest}
	r.DryRun = true
	if err := s.explain(ctx, p, r.TokenID, &x); err != nil {
		return Explanation{}, err
	}
	x.Verdict.Reason = ReasonAllowed
	if i := slices.IndexFunc(x.Steps, func(step ExplainStep) bool { return !step.OK }); i >= 0 {
		x.Verdict.Reason = x.Steps[i].Reason
	}
	return x.Explanation, nil
}

// validateTexts keeps out what would be repeated in the explanation and may be anything, even a secret.
func (r *ExplainRequest) validateTexts() error {
	if err := ValidatePermissions("permissions", r.Permissions); err != nil {
		return err
	}
	for i, name := range r.Licenses {
		if err := ValidateIdentifier(fmt.Sprintf("licenses[%d]", i), name); err != nil {
			return err
		}
	}
	return r.Query.Validate()
}

// explaining is an Explanation on its way.
type explaining struct {
	Explanation
	r      *VerifyRequest
	claims *DerivedClaims // of a derived token; nil = it is a secret
	f      *facts
	owner  *ownerRecord
	digest Digest
}

// step adds a step, with what to say when it succeeds and when it fails.
func (x *explaining) step(reason Reason, ok bool, good, bad string) bool {
	text := good
	if !ok {
		text = bad
	}
	x.Steps = append(x.Steps, ExplainStep{reason, ok, text})
	return ok
}

func (s *Service) explain(ctx context.Context, p Principal, id TokenID, x *explaining) error {
	var t *Token
	if id != 0 {
		var err error
		if t, err = s.Token(ctx, id); err != nil {
			return err
		}
	}
	if !x.step(ReasonBadRequest, wellFormed(x.r) && !HoldsSecret(x.r.Path, s.prefix), "The path and method are plain",
		"The path or the method can be read in more than one way, or the path holds a secret") {
		return nil
	}
	x.Verdict.Path = x.r.Path
	if known, err := s.present(ctx, p, t, x); err != nil || !known {
		return err
	}
	x.Verdict.Token, x.Verdict.Subject = x.f.token(x.owner), x.f.subject(x.owner)
	var err error
	if x.Verdict.Rights, err = s.cache.directory.rightsOfToken(ctx, x.f, x.owner); err != nil {
		return err
	}
	if x.claims != nil {
		x.Verdict.Derived, x.Verdict.Rights = x.claims.ID, x.claims.Rights(x.Verdict.Rights, x.Verdict.At)
	}
	x.decide()
	x.permit()
	return s.explainLimit(ctx, x)
}

// present looks up the token; false means that the secret is not that of one that p may see.
func (s *Service) present(ctx context.Context, p Principal, t *Token, x *explaining) (known bool, err error) {
	const strange = "The secret is none of ours: mistyped, cut short, or made under another server key"
	var id KeyID
	if t != nil {
		id = t.Secret.KeyID
	} else if s.isDerived(x.r.Secret) {
		if ok, err := s.presentDerived(ctx, x); err != nil || !ok {
			return false, err
		}
		id = x.claims.KeyID
	} else {
		presented, err := s.recogniseSecret(ctx, x.r.Secret, x.r.Address)
		if err != nil {
			return false, err
		}
		if !x.step(ReasonMalformed, !presented.KeyID.IsZero(), "The secret is one that is recognised", strange) {
			return false, nil
		}
		id, x.digest = presented.KeyID, presented.Digest
	}
	x.f, x.owner, err = s.parentOf(ctx, id, x.Verdict.At)
	if err != nil && ErrorCode(err) != CodeNotFound {
		return false, err
	}
	if (t != nil || x.claims != nil) && err == nil {
		x.digest = x.f.digest
	}
	ok := err == nil && x.f.digest.Equal(x.digest) &&
		authorize(p, &Token{ID: x.f.id, Owner: x.owner.owner}, PermissionTokensRead) == nil
	return x.step(ReasonNotFound, ok, "The token is on record", "No token has this secret"), nil
}

// presentDerived reads a derived token; false means that it is not good, whatever its API token is.
func (s *Service) presentDerived(ctx context.Context, x *explaining) (ok bool, err error) {
	c, err := s.readDerived(ctx, x.r.Secret, x.Verdict.At)
	if err != nil && ErrorCode(err) != CodeUnauthenticated {
		return false, err
	}
	const good = "The derived token is one of ours"
	if err != nil {
		return x.step(ReasonMalformed, false, good, "The JWT is none of ours: changed, or signed by no key in use"), nil
	}
	switch reason := c.judge(x.r.Audience, x.Verdict.At); {
	case reason == ReasonExpired:
		return x.step(reason, false, "", "The derived token expired at "+instantText(c.ExpiresAt.UnixNano())), nil
	case reason != ReasonAllowed:
		return x.step(reason, false, "", "The derived token is for somebody else"), nil
	case s.derived.revoked(c.ID):
		return x.step(ReasonRevoked, false, "", "The derived token was revoked, and it alone"), nil
	}
	x.claims = c
	return x.step(ReasonMalformed, true, good, ""), nil
}

// decide tells of the steps of the function with that name.
func (x *explaining) decide() {
	f, now := x.f, x.Verdict.At.UnixNano()
	x.step(ReasonRevoked, !f.revoked, "It is not revoked", "It is revoked, for good")
	ends := f.extras.endsAt
	x.step(ReasonRotated, ends == 0 || now < ends, "The secret is current", "The secret was rotated; use the new one")
	idle := "It is disabled: somebody must enable it"
	if f.active {
		idle = fmt.Sprintf("It has gone idle, unused for more than %d days: somebody must enable it", f.idleDays)
	}
	x.step(ReasonDisabled, f.active && !f.idle(now), "It is enabled", idle)
	x.step(ReasonExpired, f.expiresAt == 0 || now < f.expiresAt, "It has not expired",
		"It expired at "+instantText(f.expiresAt))
	x.step(ReasonNotYetValid, now >= f.extras.notBefore, "It is valid already",
		"It is not valid before "+instantText(f.extras.notBefore))
	x.step(ReasonOwnerDisabled, x.owner.Active, "Its owner may act", "Its owner is disabled or gone")
	x.address()
}

func (x *explaining) address() {
	networks, address := strings.Join(networkTexts(x.f.extras.networks), ", "), "an address that was not told"
	if x.r.Address.IsValid() {
		address = x.r.Address.String()
	}
	good := "It may come from every address"
	if networks != "" {
		good = "It may come from " + address
	}
	x.step(ReasonAddressNotAllowed, x.f.allowsAddress(x.r.Address), good,
		"It may come from "+networks+", not from "+address)
}

// permit tells of the steps of permitRequest.
func (x *explaining) permit() {
	rights, r, at := x.Verdict.Rights, x.r, x.Verdict.At
	for _, name := range r.Licenses {
		if !rights.HasLicense(name, at) {
			x.Licenses = append(x.Licenses, name)
		}
	}
	x.step(ReasonLicenseMissing, len(x.Licenses) == 0, "It has every license that is needed",
		"It has no seat, valid now, of the license "+strings.Join(x.Licenses, ", "))
	x.endpoint()
	x.Missing = rights.missing(r.Permissions, r.Query)
	bad := "It lacks " + x.Missing.Needed
	if len(x.Missing.Lacking) == 0 {
		bad = "It holds too much: it would need " + x.Missing.Needed
	}
	x.step(ReasonInsufficientPermissions, x.Missing.Needed == "", "It holds every permission that is needed", bad)
}

func (x *explaining) endpoint() {
	patterns, call := x.f.terms.endpoints, strings.TrimSpace(x.r.Method+" "+x.r.Path)
	good := "It may call every endpoint"
	if len(patterns) > 0 {
		good = "It may call " + call
	}
	texts := make([]string, len(patterns))
	for i, pattern := range patterns {
		texts[i] = pattern.String()
	}
	if x.r.Path == "" || x.r.Method == "" {
		call = orDefault(call, "a call") + " of which not all was told"
	}
	allowed := patterns.Match(x.r.Method, x.r.Path)
	if x.claims != nil && allowed && !x.claims.AllowsEndpoint(x.r.Method, x.r.Path) {
		allowed, texts = false, x.claims.Endpoints
	}
	x.step(ReasonEndpointNotAllowed, allowed, good, "It may call "+strings.Join(texts, ", ")+", not "+call)
}

// explainLimit looks at the limit without booking. A cost that can never pass is an error only where Verify would come
// as far as that.
func (s *Service) explainLimit(ctx context.Context, x *explaining) error {
	reached := !slices.ContainsFunc(x.Steps, func(step ExplainStep) bool { return !step.OK })
	v := x.Verdict
	err := s.take(ctx, x.f, x.r, &v)
	if err != nil {
		if reached {
			return err
		}
		return nil
	}
	l := v.Limit
	x.Verdict.Limit = l
	x.step(ReasonRateLimited, v.Reason == "",
		fmt.Sprintf("It is within its limit: %d of %d units are left", l.Remaining, l.Limit),
		fmt.Sprintf("It is over its limit of %d units; this would pass at %s", l.Limit, instantText(l.Reset.UnixNano())))
	return nil
}

func instantText(nanoseconds int64) string {
	return time.Unix(0, nanoseconds).UTC().Format("2006-01-02T15:04:05.000Z")
}

// missing is Missing for permissions and a query together.
func (r *Rights) missing(permissions []string, q PermissionQuery) Shortfall {
	if q.Validate() != nil {
		return r.Missing(q)
	}
	var operands []*expression
	for _, permission := range permissions {
		operands = append(operands, &expression{op: opHeld, permission: permission})
	}
	switch {
	case q.IsZero():
	case q.asked.root.op == opAnd:
		operands = append(operands, q.asked.root.operands...)
	default:
		operands = append(operands, q.asked.root)
	}
	if len(operands) == 0 {
		return Shortfall{}
	}
	return r.Missing(PermissionQuery{&askedQuery{root: combine(opAnd, operands)}})
}
