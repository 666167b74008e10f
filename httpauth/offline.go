package httpauth

import (
	"context"
	"crypto/ed25519"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/internal/jwt"
)

// Defaults and bounds of [Offline].
const (
	DefaultMaxStaleness = 2 * time.Minute
	MinMaxStaleness     = 10 * time.Second

	offlineSkew  = time.Minute // by which the clock of Latchward may be ahead
	offlineLists = 64          // status lists that are kept
	fetchTimeout = 5 * time.Second
)

// OfflineOptions configures [NewOffline]. Issuer and Audience are required; the zero value of every other field is a
// default.
type OfflineOptions struct {
	Issuer   string // of the derived tokens: the URL of Latchward. Nothing is ever fetched from elsewhere
	Audience string // this service, as its derived tokens name it
	// MaxStaleness is how long after a revocation a token may still be accepted, and for how long Latchward may be out of
	// reach before nothing can be decided; 0 = DefaultMaxStaleness, at least MinMaxStaleness.
	MaxStaleness time.Duration
	Client       *http.Client       // nil = one that follows no redirects
	Tokens       latchward.Verifier // for API tokens, which cannot be verified offline; nil = refuses them
	Now          func() time.Time   // nil = time.Now
}

// Offline verifies derived tokens (JWTs of type at+jwt) without asking Latchward about each: by its published keys and
// status lists (draft-ietf-oauth-status-list-21), which it fetches when they are needed and keeps. It is a
// [latchward.Verifier] for [Require] and everything else that takes one, and safe for concurrent use.
//
// How stale it may be: what it goes by is never older than [Offline.MaxStaleness]. So a derived token is refused at
// the latest that long after it, its API token, the owner or the signing key was revoked or disabled, and
// usually within half of that; once Latchward has been out of reach for longer, Verify returns an error of code
// unavailable. Rights, endpoints and networks are those of the moment in which the token was derived: what was narrowed
// since shows when the token ends, which is minutes later. Limits and usage are not counted anywhere.
type Offline struct {
	options OfflineOptions
	keys    document[map[string]ed25519.PublicKey]
	mu      sync.Mutex
	lists   map[string]*document[*latchward.StatusList] // by URL
}

var _ latchward.Verifier = (*Offline)(nil)

// NewOffline returns a verifier of derived tokens. It fetches nothing yet. Errors have code invalid and the field at
// fault.
func NewOffline(o OfflineOptions) (*Offline, error) {
	o.Issuer = strings.TrimSuffix(o.Issuer, "/")
	issuer, err := url.Parse(o.Issuer)
	if err != nil || issuer.Host == "" || issuer.Scheme != "https" && !loopback(issuer) {
		return nil, latchward.Invalid("issuer", "must be the https URL of Latchward, or one of this machine")
	}
	if o.Audience == "" {
		return nil, latchward.Invalid("audience", "is required: a token for somebody else must not be accepted here")
	}
	if o.MaxStaleness == 0 {
		o.MaxStaleness = DefaultMaxStaleness
	}
	if o.MaxStaleness < MinMaxStaleness {
		return nil, latchward.Invalid("max_staleness", "must be at least %s", MinMaxStaleness)
	}
	if o.Client == nil {
		o.Client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	v := &Offline{options: o, lists: map[string]*document[*latchward.StatusList]{}}
	v.keys = document[map[string]ed25519.PublicKey]{
		url: o.Issuer + "/oauth/jwks", media: "application/jwk-set+json, application/json", options: &v.options,
		read: func(body []byte, asOf time.Time) (kept[map[string]ed25519.PublicKey], error) {
			keys, err := jwt.ReadKeys(body)
			return kept[map[string]ed25519.PublicKey]{value: keys, asOf: asOf}, err
		},
	}
	return v, nil
}

func loopback(u *url.URL) bool {
	address, err := netip.ParseAddr(u.Hostname())
	return u.Scheme == "http" && (u.Hostname() == "localhost" || err == nil && address.Unmap().IsLoopback())
}

// MaxStaleness returns how old the keys and status lists that v goes by may be at most.
func (v *Offline) MaxStaleness() time.Duration { return v.options.MaxStaleness }

// Age returns how old what v goes by is now: the oldest of its keys and status lists. It is false before the first
// verdict.
func (v *Offline) Age() (time.Duration, bool) {
	now := v.options.Now()
	age, known := v.keys.age(now)
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, list := range v.lists {
		if a, ok := list.age(now); ok && !list.over(now) {
			age, known = max(age, a), true
		}
	}
	return age, known
}

// Refresh fetches the keys, and the status lists of tokens that were seen, where they are due. It is for calling now
// and then, such as every ten seconds, so that no request waits for that; without it requests see to it.
func (v *Offline) Refresh(ctx context.Context) error {
	now := v.options.Now()
	if _, err := v.keys.get(ctx, now); err != nil {
		return err
	}
	v.mu.Lock()
	lists := make([]*document[*latchward.StatusList], 0, len(v.lists))
	for at, list := range v.lists {
		if list.over(now) {
			delete(v.lists, at)
			continue
		}
		lists = append(lists, list)
	}
	v.mu.Unlock()
	for _, list := range lists {
		if _, err := list.get(ctx, now); err != nil {
			return err
		}
	}
	return nil
}

// Verify implements [latchward.Verifier]. The verdict's Token has no name and no metadata.
func (v *Offline) Verify(ctx context.Context, r latchward.VerifyRequest) (latchward.Verdict, error) {
	if !jwt.IsDerived(r.Secret) && !r.Secret.IsZero() && v.options.Tokens != nil {
		return v.options.Tokens.Verify(ctx, r)
	}
	verdict := latchward.Verdict{At: v.options.Now()}
	if !canonical(&r) {
		verdict.Reason = latchward.ReasonBadRequest
		return verdict, nil
	}
	verdict.Path = r.Path
	if r.Secret.IsZero() {
		verdict.Reason = latchward.ReasonMissing
		return verdict, nil
	}
	c, err := v.prove(ctx, r.Secret, &verdict)
	if err != nil || c == nil {
		return verdict, err
	}
	verdict.Reason, err = v.standing(ctx, c, &r, verdict.At)
	if err != nil || verdict.Reason != latchward.ReasonAllowed {
		return verdict, err
	}
	verdict.Token = latchward.VerdictToken{
		ID: c.Token, Kind: c.Kind, Owner: c.Owner, Permissions: c.Permissions,
		MethodMatters: slices.ContainsFunc(c.Endpoints, func(e string) bool { return strings.Contains(e, " ") }),
	}
	verdict.Subject, verdict.Derived, verdict.Rights = c.Subject, c.ID, c.Rights(nil, verdict.At)
	verdict.Reason = permitted(c, verdict.Rights, &r, verdict.At)
	return verdict, nil
}

// prove returns the claims of a token that a published key has signed, or nil with the reason in the verdict. Anything
// else leads to no request beyond that for the keys.
func (v *Offline) prove(
	ctx context.Context, secret latchward.Secret, verdict *latchward.Verdict,
) (*latchward.DerivedClaims, error) {
	verdict.Reason = latchward.ReasonMalformed
	if !jwt.IsDerived(secret) {
		return nil, nil
	}
	keys, err := v.keys.get(ctx, verdict.At)
	if err != nil {
		verdict.Reason = ""
		return nil, err
	}
	c, err := jwt.ReadDerived(secret, func(id string) ed25519.PublicKey { return keys[id] })
	if err != nil || c.Issuer != v.options.Issuer {
		return nil, nil
	}
	return c, nil
}

// standing judges a proven token whatever it may do.
func (v *Offline) standing(
	ctx context.Context, c *latchward.DerivedClaims, r *latchward.VerifyRequest, now time.Time,
) (latchward.Reason, error) {
	audience := v.options.Audience
	if r.Audience != "" {
		audience = r.Audience
	}
	switch {
	case !now.Before(c.ExpiresAt):
		return latchward.ReasonExpired, nil
	case c.IssuedAt.After(now.Add(offlineSkew)):
		return latchward.ReasonNotYetValid, nil
	case !slices.Contains(c.Audience, audience):
		return latchward.ReasonMalformed, nil
	}
	list, err := v.list(c.Status.List, now).get(ctx, now)
	if err != nil {
		return "", err
	}
	index := c.Status.Index
	switch {
	case index < 0 || index >= 8*len(list.Bits): // no statement can be made (section 8.3)
		return latchward.ReasonMalformed, nil
	case list.Bits[index/8]>>(index%8)&1 != 0:
		return latchward.ReasonRevoked, nil
	case len(c.Networks) > 0 && !slices.ContainsFunc(c.Networks, func(n netip.Prefix) bool {
		return n.Contains(r.Address.Unmap().WithZone(""))
	}):
		return latchward.ReasonAddressNotAllowed, nil
	}
	return latchward.ReasonAllowed, nil
}

// list returns the status list with that id, which may have to be fetched yet.
func (v *Offline) list(id int64, now time.Time) *document[*latchward.StatusList] {
	at := jwt.StatusListURI(v.options.Issuer, id)
	v.mu.Lock()
	defer v.mu.Unlock()
	if known := v.lists[at]; known != nil {
		return known
	}
	for known, list := range v.lists {
		if len(v.lists) >= offlineLists || list.over(now) {
			delete(v.lists, known)
		}
	}
	list := &document[*latchward.StatusList]{url: at, media: "application/statuslist+jwt", options: &v.options}
	list.read = func(body []byte, asOf time.Time) (kept[*latchward.StatusList], error) {
		keys := v.keys.current.Load() // fetched before any list is
		l, err := jwt.ReadStatusList(string(body), v.options.Issuer, at,
			func(id string) ed25519.PublicKey { return keys.value[id] })
		if err != nil {
			return kept[*latchward.StatusList]{}, err
		}
		if l.IssuedAt.Before(asOf) { // whoever passed it on may have kept it
			asOf = l.IssuedAt
		}
		return kept[*latchward.StatusList]{value: l, asOf: asOf, ends: l.ExpiresAt, keep: l.TTL}, nil
	}
	v.lists[at] = list
	return list
}

// permitted judges what the holder of a token wants to do, in the order of [latchward.Service.Verify].
func permitted(
	c *latchward.DerivedClaims, rights *latchward.Rights, r *latchward.VerifyRequest, now time.Time,
) latchward.Reason {
	p := latchward.Principal{Rights: rights}
	if reason := p.Permit(nil, latchward.PermissionQuery{}, r.Licenses, now); reason != latchward.ReasonAllowed {
		return reason
	}
	if !c.AllowsEndpoint(r.Method, r.Path) {
		return latchward.ReasonEndpointNotAllowed
	}
	return p.Permit(r.Permissions, r.Query, nil, now)
}

// canonical puts the path and method of r into their one form; false when they have none.
func canonical(r *latchward.VerifyRequest) bool {
	var err error
	if r.Path != "" {
		if r.Path, err = latchward.CanonicalPath(r.Path); err != nil {
			return false
		}
	}
	if r.Method != "" {
		if r.Method, err = latchward.CanonicalMethod(r.Method); err != nil {
			return false
		}
	}
	return true
}
