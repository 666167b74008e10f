package latchward

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"io"
	"net/url"
	"slices"
	"time"
)

// JWTFormat turns what Latchward says into signed JWTs, and back. Package oauth implements it, so that this one needs no
// JOSE library. All signatures are EdDSA with Ed25519 (RFC 8037); methods are safe for concurrent use.
type JWTFormat interface {
	// SignDerived returns claims as a JWT of type at+jwt (RFC 9068).
	SignDerived(key SigningSecret, c *DerivedClaims) (string, error)
	// ReadDerived returns the claims of a JWT of type at+jwt that the key with its kid has signed; find returns nil for
	// an unknown kid. It judges neither times nor audience. The error is of code unauthenticated for anything else.
	ReadDerived(jwt Secret, find func(id string) ed25519.PublicKey) (*DerivedClaims, error)
	// IsDerived reports whether a JWT calls itself one of type at+jwt. It says nothing about whether it is one.
	IsDerived(jwt Secret) bool
	// SignStatusList returns a status list as a JWT of type statuslist+jwt.
	SignStatusList(key SigningSecret, l *StatusList) (string, error)
}

// SigningSecret is a key to sign with. It prints as its id.
type SigningSecret struct {
	ID  string
	Key func() ed25519.PrivateKey // a function, so that nothing which prints its holder prints the key
}

func (k *heldKey) secret() SigningSecret {
	return SigningSecret{ID: k.ID, Key: func() ed25519.PrivateKey { return k.private }}
}

// DeriveRequest asks for a derived token. What is left out is as with the API token.
type DeriveRequest struct {
	Secret      Secret        // of the API token
	Issuer      string        // URL under which clients reach Latchward, without a slash at the end
	Audience    []string      // for whom; empty = Latchward itself, which is Issuer
	Permissions []string      // grants, all of which the token must hold; nil = all that it holds
	Endpoints   []string      // patterns, among those of the token if it has any; empty = those of the token
	Lifetime    time.Duration // at least a second; 0 = as long as possible
	Origin      Origin        // where the request comes from: the token's networks apply
}

// DerivedToken is a new derived token, or why there is none.
type DerivedToken struct {
	Secret  Secret // the JWT, shown once
	Claims  DerivedClaims
	Verdict Verdict // on the API token
}

// DeriveToken exchanges an API token for a JWT that holds the same rights or fewer, for a few minutes (B-11). Whoever
// presents the token may do so; it is a request of the token that costs one unit of its limits, whatever endpoints it is
// restricted to. The JWT lives no longer than Options.DerivedLifetime, the API token, or, once it is rotated out, the
// secret that was presented. It never holds permissions over Latchward itself, and cannot be exchanged again.
//
// Errors: unauthenticated, forbidden or exhausted when the API token is refused (Verdict says why); forbidden with a
// field for what it does not hold; invalid with a field; conflict where there is no [JWTFormat].
func (s *Service) DeriveToken(ctx context.Context, r DeriveRequest) (d DerivedToken, err error) {
	if s.options.JWT == nil {
		return d, Errorf(CodeConflict, "This Latchward makes no derived tokens.")
	}
	if err := s.validateDerive(&r); err != nil {
		return d, err
	}
	f, v, err := s.hold(ctx, Presented{r.Secret, r.Origin})
	if d.Verdict = v; err != nil {
		return d, err
	}
	if f == nil {
		return d, refusedError(v.Reason)
	}
	now := v.At.UTC()
	c, err := s.deriveClaims(f, &v, &r, now)
	if err != nil {
		return d, err
	}
	if err := s.take(ctx, f, &VerifyRequest{}, &d.Verdict); err != nil {
		return d, err
	}
	if !d.Verdict.Allowed() {
		return d, refusedError(d.Verdict.Reason)
	}
	d.Claims = *c
	d.Secret, err = s.issueDerived(ctx, &d.Claims, now)
	return d, err
}

// refusedError returns what a verdict that refuses an API token is as an error.
func refusedError(r Reason) error {
	switch r {
	case ReasonRateLimited, ReasonQuotaExceeded, ReasonTooManyConcurrent:
		return Errorf(CodeExhausted, "Rate limit exceeded")
	case ReasonAddressNotAllowed:
		return Errorf(CodeForbidden, "Address not allowed for this token")
	}
	return Errorf(CodeUnauthenticated, "Invalid token")
}

func (s *Service) validateDerive(r *DeriveRequest) error {
	if issuer, err := url.Parse(r.Issuer); err != nil || issuer.Host == "" {
		return Invalid("issuer", "must be the URL under which clients reach Latchward")
	}
	if len(r.Audience) > MaxAudiences {
		return Invalid("audience", "must hold at most %d audiences", MaxAudiences)
	}
	for i, audience := range r.Audience {
		if err := validateText(fmt.Sprintf("audience[%d]", i), audience, 1, MaxAudienceLength); err != nil {
			return err
		}
	}
	if r.Lifetime != 0 && (r.Lifetime < time.Second || r.Lifetime > s.options.DerivedLifetime) {
		return Invalid("lifetime", "must be from 1 s to %s", s.options.DerivedLifetime)
	}
	if len(r.Permissions) > MaxDerivedGrants {
		return Invalid("permissions", "must hold at most %d permissions", MaxDerivedGrants)
	}
	if err := ValidateGrants("permissions", r.Permissions); err != nil {
		return err
	}
	_, err := ParsePatterns("endpoints", r.Endpoints)
	return err
}

// deriveClaims returns what a token derived from f's may say, without its place in a status list.
func (s *Service) deriveClaims(f *facts, v *Verdict, r *DeriveRequest, now time.Time) (*DerivedClaims, error) {
	c := &DerivedClaims{
		Issuer: r.Issuer, Subject: Subject{Type: v.Subject.Type, ID: v.Subject.ID}, Token: f.id, KeyID: f.keyID,
		Kind: f.kind(), Owner: v.Token.Owner.key(), Audience: r.Audience, IssuedAt: now.Truncate(time.Second),
		Networks: f.extras.networks,
	}
	if len(c.Audience) == 0 {
		c.Audience = []string{r.Issuer}
	}
	if c.ExpiresAt = s.derivedEnd(f, r.Lifetime, now); !c.ExpiresAt.After(now) {
		return nil, Errorf(CodeUnauthenticated, "The token ends too soon to derive another from it.")
	}
	if err := c.restrict(f, v.Rights, r, now); err != nil {
		return nil, err
	}
	id := make([]byte, 16)
	if _, err := io.ReadFull(s.random, id); err != nil {
		return nil, randomFailed("derived token", err)
	}
	c.ID = base64.RawURLEncoding.EncodeToString(id)
	return c, nil
}

// derivedEnd returns when what is derived now ends, in whole seconds.
func (s *Service) derivedEnd(f *facts, lifetime time.Duration, now time.Time) time.Time {
	end := now.Add(orDefault(lifetime, s.options.DerivedLifetime))
	for _, at := range []int64{f.expiresAt, f.extras.endsAt} {
		if limit := time.Unix(0, at); at != 0 && limit.Before(end) {
			end = limit
		}
	}
	return end.UTC().Truncate(time.Second)
}

// restrict fills in what the derived token may do: what the API token may, or the part of it that is asked for. A
// narrowed one has neither roles nor groups, because whoever asks for those by name must not let it past its list.
func (c *DerivedClaims) restrict(f *facts, rights *Rights, r *DeriveRequest, now time.Time) error {
	own := f.terms.endpoints.texts()
	if c.Endpoints = own; len(r.Endpoints) > 0 {
		c.Endpoints = r.Endpoints
	}
	for i, pattern := range c.Endpoints {
		if len(own) > 0 && !slices.Contains(own, pattern) {
			return beyond(fmt.Sprintf("endpoints[%d]", i), "the endpoint "+pattern)
		}
	}
	for _, l := range rights.Facts().Licenses {
		if rights.HasLicense(l.Name, now) {
			c.Licenses = append(c.Licenses, l.Name)
		}
	}
	if r.Permissions == nil {
		facts := rights.Facts()
		c.Permissions, c.Roles, c.Groups = slices.DeleteFunc(rights.Grants(), reservedPermission), facts.Roles, facts.Groups
		if len(c.Permissions) > MaxDerivedGrants {
			return Invalid("permissions", "the token holds %d permissions: name at most %d that you need",
				len(c.Permissions), MaxDerivedGrants)
		}
		return nil
	}
	for i, grant := range r.Permissions {
		if reservedPermission(grant) || !rights.Covers(grant) {
			return beyond(fmt.Sprintf("permissions[%d]", i), "the permission "+grant)
		}
	}
	c.Permissions = slices.Compact(slices.Sorted(slices.Values(r.Permissions)))
	return nil
}

// issueDerived gives the derived token a place in a status list, and signs it.
func (s *Service) issueDerived(ctx context.Context, c *DerivedClaims, now time.Time) (Secret, error) {
	key, err := s.activeSigningKey(ctx, now)
	if err != nil {
		return Secret{}, err
	}
	if c.Status, err = s.enlist(ctx, c, now); err != nil {
		return Secret{}, err
	}
	jwt, err := s.options.JWT.SignDerived(key.secret(), c)
	if err == nil && len(jwt) > MaxDerivedSize {
		err = Invalid("permissions", "the derived token would be too long: name the permissions and endpoints that you need")
	}
	return SecretFromText(jwt), err
}
