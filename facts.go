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
// They fill three lines of the processor's cache, and what many tokens have in common lies elsewhere once for all:
// judging a token that is in no processor's cache costs few fetches from memory. Times are nanoseconds since 1970,
// 0 = none.
type facts struct {
	keyID     KeyID
	revoked   bool
	active    bool
	service   bool // acts as itself
	inherits  bool // holds all that its owner does
	networked bool // restricted to networks
	idleDays  uint16
	digest    Digest
	expiresAt int64
	notBefore int64
	endsAt    int64        // of a rotated-out secret
	usedAt    atomic.Int64 // last accepted use that this node knows of, creation or re-enabling, whichever is latest
	owner     atomic.Pointer[cell[Owner, ownerRecord]]
	terms     *terms
	token     *Token
	rights    atomic.Pointer[tokenRights] // of a token that does not inherit them; nil = not known yet
	bucket    atomic.Pointer[bucket]      // where the limiter in this process counts for budgets[0]; nil = not known yet
	budgets   [1]Budget
}

// terms are what many tokens have in common: lists of endpoints come from presets, and limits are a few round numbers.
type terms struct {
	endpoints Patterns
	limits    []Limit
}

// compile prepares a store's facts for decisions. A list of endpoints that cannot be read denies.
func (c *cache) compile(id KeyID, tf TokenFacts) (*facts, error) {
	t := tf.Token
	terms, err := c.shared.terms(t.AllowedEndpoints, t.RateLimit)
	if err != nil {
		return nil, &Error{Code: CodeUnavailable, Message: "the token's stored endpoint list cannot be read", Err: err}
	}
	f := &facts{
		keyID: id, digest: tf.Digest, revoked: t.Revoked(), active: t.Active,
		service: t.Kind == KindService, inherits: inherits(t),
		networked: len(t.AllowedNetworks) > 0, idleDays: uint16(t.IdleTimeoutDays),
		endsAt: nanoseconds(tf.EndsAt), expiresAt: nanoseconds(t.ExpiresAt), notBefore: nanoseconds(t.NotBefore),
		terms: terms, token: t,
		budgets: [1]Budget{{Key: BudgetKey{Kind: BudgetToken, ID: int64(t.ID)}, Limits: terms.limits}},
	}
	f.usedAt.Store(nanoseconds(t.IdleSince()))
	return f, nil
}

// inherits reports whether t holds all that its owner does, save permissions over Latchward itself.
func inherits(t *Token) bool { return t.Kind == KindPersonal && t.Permissions == nil }

// subject returns on whose behalf the token's requests are made.
func (f *facts) subject(owner *ownerRecord) Subject {
	if f.service {
		return Subject{Type: SubjectToken, ID: int64(f.token.ID), Name: f.token.Name}
	}
	return Subject{Type: SubjectUser, ID: owner.owner.ID, Name: owner.Name}
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
	if !f.networked {
		return true
	}
	address = address.Unmap().WithZone("")
	for _, network := range f.token.AllowedNetworks {
		if network.Contains(address) {
			return true
		}
	}
	return false
}

// decide judges a secret against the facts about its token, and permitRequest what its holder wants to do. Both are pure: the
// same arguments give the same reason. The order is a promise (S2-11).
func decide(f *facts, owner *ownerRecord, presented Digest, r *VerifyRequest, now int64) Reason {
	switch {
	case !f.digest.Equal(presented):
		return ReasonNotFound
	case f.revoked:
		return ReasonRevoked
	case f.endsAt != 0 && now >= f.endsAt:
		return ReasonRotated
	case !f.active || f.idle(now):
		return ReasonDisabled
	case f.expiresAt != 0 && now >= f.expiresAt:
		return ReasonExpired
	case now < f.notBefore:
		return ReasonNotYetValid
	case !owner.Active:
		return ReasonOwnerDisabled
	case !f.allowsAddress(r.Address):
		return ReasonAddressNotAllowed
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
	compiled := &terms{patterns, []Limit{{Name: rateLimitName, N: perMinute, Window: time.Minute}}}
	s.known[key] = compiled
	return compiled, nil
}
