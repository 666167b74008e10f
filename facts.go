package latchward

import (
	"math"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const rateLimitName = "rate_limit"

// facts are what a decision needs to know about one secret, compiled once and then only read, save for the atomics.
// There are as many of them as tokens are remembered, so they hold what most tokens have and no more; they fill two
// lines of the processor's cache. What many tokens have in common, and what few have at all, lies elsewhere: judging a
// token that is in no processor's cache costs few fetches from memory. Times are nanoseconds since 1970, 0 = none.
type facts struct {
	keyID     KeyID
	revoked   bool
	active    bool
	service   bool // acts as itself
	inherits  bool // holds all that its owner does
	idleDays  uint16
	digest    Digest
	expiresAt int64
	usedAt    atomic.Int64 // last accepted use that this node knows of, creation or re-enabling, whichever is latest
	owner     atomic.Pointer[cell[Owner, ownerRecord]]
	terms     *terms
	extras    *extras                // never nil
	bucket    atomic.Pointer[bucket] // where the limiter in this process counts for budget(); nil = not known yet
	id        TokenID
	name      string
}

// terms are what many tokens have in common: lists of endpoints come from presets, and limits are a few round numbers.
type terms struct {
	endpoints Patterns
	methods   bool // some endpoint names a method
	limits    []Limit
}

// extras are what few tokens have.
type extras struct {
	notBefore int64
	endsAt    int64        // of a rotated-out secret
	endsOld   int64        // until then, the first accepted use ends the secret before this one; 0 = it does not
	ended     atomic.Int64 // when that was last tried
	networks  []netip.Prefix
	metadata  map[string]any
	given     given                       // to a token that does not inherit
	rights    atomic.Pointer[tokenRights] // of such a token; nil = not known yet
}

// noExtras are those of all tokens that have none: they are only read.
var noExtras = new(extras)

// compile prepares a store's facts for decisions. A list of endpoints that cannot be read denies.
func (c *cache) compile(id KeyID, tf TokenFacts) (*facts, error) {
	t := tf.Token
	terms, err := c.shared.terms(t.AllowedEndpoints, t.RateLimit)
	if err != nil {
		return nil, &Error{Code: CodeUnavailable, Message: "the token's stored endpoint list cannot be read", Err: err}
	}
	f := &facts{
		keyID: id, digest: tf.Digest, revoked: t.Revoked(), active: t.Active,
		service: t.Kind == KindService, inherits: inherits(t), idleDays: uint16(t.IdleTimeoutDays),
		expiresAt: nanoseconds(t.ExpiresAt), terms: terms, extras: extrasOf(tf), id: t.ID, name: t.Name,
	}
	f.usedAt.Store(nanoseconds(t.IdleSince()))
	f.owner.Store(c.owners.cell(t.Owner.key()))
	return f, nil
}

func extrasOf(tf TokenFacts) *extras {
	t := tf.Token
	var endsOld int64
	if tf.EndsAt.IsZero() && t.Retiring.AtFirstUse {
		endsOld = nanoseconds(t.Retiring.EndsAt)
	}
	if inherits(t) && tf.EndsAt.IsZero() && endsOld == 0 && t.NotBefore.IsZero() && len(t.AllowedNetworks) == 0 && t.Metadata == nil {
		return noExtras
	}
	return &extras{
		notBefore: nanoseconds(t.NotBefore), endsAt: nanoseconds(tf.EndsAt), endsOld: endsOld, networks: t.AllowedNetworks,
		metadata: t.Metadata, given: givenTo(t),
	}
}

// inherits reports whether t holds all that its owner does, save permissions over Latchward itself.
func inherits(t *Token) bool { return t.Kind == KindPersonal && t.Permissions == nil }

// token returns what a verdict tells about the token.
func (f *facts) token(owner *ownerRecord) VerdictToken {
	return VerdictToken{
		ID: f.id, Name: f.name, Kind: f.kind(), Owner: Owner{Type: owner.owner.Type, ID: owner.owner.ID, Name: owner.Name},
		Permissions: f.extras.given.permissions, Metadata: f.extras.metadata, MethodMatters: f.terms.methods,
	}
}

// firstUse reports whether a use that is accepted now is to end the secret before this one. A second passes between
// tries that fail.
func (e *extras) firstUse(now int64) bool {
	if now >= e.endsOld {
		return false
	}
	last := e.ended.Load()
	return now-last >= int64(time.Second) && e.ended.CompareAndSwap(last, now)
}

func (f *facts) kind() Kind {
	if f.service {
		return KindService
	}
	return KindPersonal
}

// subject returns on whose behalf the token's requests are made.
func (f *facts) subject(owner *ownerRecord) Subject {
	if f.service {
		return Subject{Type: SubjectToken, ID: int64(f.id), Name: f.name}
	}
	return Subject{Type: SubjectUser, ID: owner.owner.ID, Name: owner.Name}
}

// budget returns what bounds the token's calls.
func (f *facts) budget() Budget {
	return Budget{Key: BudgetKey{Kind: BudgetToken, ID: int64(f.id)}, Limits: f.terms.limits}
}

// lastYear is the last one of which every instant fits into 64 bits of nanoseconds.
const lastYear = 2261

// nanoseconds returns a time for comparisons; 0 is none. What lies beyond lastYear is as far away as can be, rather
// than in the past, and what lies at or before 1970 is past, rather than none.
func nanoseconds(at time.Time) int64 {
	switch {
	case at.IsZero():
		return 0
	case at.Year() > lastYear:
		return math.MaxInt64
	}
	return max(1, at.UnixNano())
}

// idle is Token.Idle with the uses that are not in the store yet.
func (f *facts) idle(now int64) bool {
	return f.idleDays != 0 && now-f.usedAt.Load() > int64(f.idleDays)*int64(24*time.Hour)
}

// used notes an accepted request. One store a second is enough for a clock that counts days.
func (f *facts) used(now int64) {
	if last := f.usedAt.Load(); now-last >= int64(time.Second) {
		f.usedAt.CompareAndSwap(last, now)
	}
}

func (f *facts) allowsAddress(address netip.Addr) bool {
	networks := f.extras.networks
	if len(networks) == 0 {
		return true
	}
	address = address.Unmap().WithZone("")
	for _, network := range networks {
		if network.Contains(address) {
			return true
		}
	}
	return false
}

// decide judges a secret against the facts about its token, and permitRequest what its holder wants to do. Both are pure: the
// same arguments give the same reason. The order is a promise (S2-11).
func decide(f *facts, owner *ownerRecord, presented Digest, r *VerifyRequest, now int64) Reason {
	if !f.digest.Equal(presented) {
		return ReasonNotFound
	}
	return decideProven(f, owner, r, now)
}

// decideProven is decide for a secret that is proven by other means.
func decideProven(f *facts, owner *ownerRecord, r *VerifyRequest, now int64) Reason {
	reason := f.standing(owner, now)
	if reason == ReasonAllowed && !f.allowsAddress(r.Address) {
		return ReasonAddressNotAllowed
	}
	return reason
}

// standing judges a secret whatever is asked for and from wherever.
func (f *facts) standing(owner *ownerRecord, now int64) Reason {
	switch {
	case f.revoked:
		return ReasonRevoked
	case f.extras.endsAt != 0 && now >= f.extras.endsAt:
		return ReasonRotated
	case !f.active || f.idle(now):
		return ReasonDisabled
	case f.expiresAt != 0 && now >= f.expiresAt:
		return ReasonExpired
	case now < f.extras.notBefore:
		return ReasonNotYetValid
	case !owner.Active:
		return ReasonOwnerDisabled
	}
	return ReasonAllowed
}

func permitRequest(f *facts, rights *Rights, r *VerifyRequest, now time.Time) Reason {
	switch {
	case !rights.hasLicenses(r.Licenses, now):
		return ReasonLicenseMissing
	case !f.terms.endpoints.Match(r.Method, r.Path):
		return ReasonEndpointNotAllowed
	}
	return permit(rights, r.Permissions, r.Query, nil, now)
}

// permit judges what somebody with these rights wants to do.
func permit(rights *Rights, permissions []string, query PermissionQuery, licenses []string, now time.Time) Reason {
	switch {
	case !rights.hasLicenses(licenses, now):
		return ReasonLicenseMissing
	case !rights.hasAll(permissions) || !rights.Allows(query):
		return ReasonInsufficientPermissions
	}
	return ReasonAllowed
}

// shared holds the terms that tokens have in common. It saves memory, and one copy stays in the processor's cache
// where thousands would not.
type shared struct {
	mu    sync.Mutex
	known map[termsKey]*terms
}

type termsKey struct {
	endpoints string
	perMinute int64
}

const maxShared = 10_000 // distinct terms; beyond, everything is let go and learnt anew

func (s *shared) terms(endpoints []string, perMinute int64) (*terms, error) {
	key := termsKey{strings.Join(endpoints, "\n"), perMinute} // no pattern holds a line break
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.known[key]; known != nil {
		return known, nil
	}
	patterns, err := ParsePatterns("allowed_endpoints", endpoints)
	if err != nil {
		return nil, err
	}
	if s.known == nil || len(s.known) >= maxShared {
		s.known = map[termsKey]*terms{}
	}
	compiled := &terms{
		endpoints: patterns, methods: strings.Contains(key.endpoints, " "), // only a method is parted by a space
		limits: []Limit{{Name: rateLimitName, N: perMinute, Window: time.Minute}},
	}
	s.known[key] = compiled
	return compiled, nil
}
