package latchward

import (
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const rateLimitName = "rate_limit"

// facts are what a decision needs to know about one secret, compiled once and then only read, save for the atomics.
// What every request looks at stands together, so that judging a token that is not in the processor's cache costs few
// fetches: times are nanoseconds since 1970, 0 = none.
type facts struct {
	digest    Digest
	revoked   bool
	active    bool
	endsAt    int64 // of a rotated-out secret
	expiresAt int64
	notBefore int64
	idleAfter int64        // unused for longer than this is idle
	idleBase  int64        // creation or re-enabling, whichever is later
	lastUsed  atomic.Int64 // last accepted use that this node knows of
	owner     atomic.Pointer[ownerCell]
	endpoints Patterns
	networks  []netip.Prefix
	token     *Token
	budgets   [1]Budget
	subject   Subject // of a personal token without the name, which is its owner's
}

// compile prepares a store's facts for decisions. A list of endpoints that cannot be read denies.
func (c *cache) compile(tf TokenFacts) (*facts, error) {
	t := tf.Token
	endpoints, err := c.shared.patterns(t.AllowedEndpoints)
	if err != nil {
		return nil, &Error{Code: CodeUnavailable, Message: "the token's stored endpoint list cannot be read", Err: err}
	}
	f := &facts{
		digest: tf.Digest, revoked: t.Revoked(), active: t.Active,
		endsAt: nanoseconds(tf.EndsAt), expiresAt: nanoseconds(t.ExpiresAt), notBefore: nanoseconds(t.NotBefore),
		idleAfter: int64(t.IdleTimeoutDays) * int64(24*time.Hour),
		idleBase:  max(nanoseconds(t.CreatedAt), nanoseconds(t.EnabledAt)),
		endpoints: endpoints, networks: t.AllowedNetworks, token: t,
	}
	f.lastUsed.Store(nanoseconds(t.LastUsedAt))
	f.budgets[0] = Budget{Key: BudgetKey{Kind: BudgetToken, ID: int64(t.ID)}, Limits: c.shared.limits(t.RateLimit)}
	f.subject = Subject{Type: SubjectUser, ID: t.Owner.ID}
	if t.Kind == KindService {
		f.subject = Subject{Type: SubjectToken, ID: int64(t.ID), Name: t.Name}
	}
	return f, nil
}

func nanoseconds(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return at.UnixNano()
}

// idle is Token.Idle with the uses that are not in the store yet.
func (f *facts) idle(now int64) bool {
	return f.idleAfter != 0 && now-max(f.idleBase, f.lastUsed.Load()) > f.idleAfter
}

// used notes an accepted request. One store a second is enough for a clock that counts days.
func (f *facts) used(now time.Time) {
	at := now.UnixNano()
	if last := f.lastUsed.Load(); at-last >= int64(time.Second) {
		f.lastUsed.CompareAndSwap(last, at)
	}
}

func (f *facts) allowsAddress(address netip.Addr) bool {
	if len(f.networks) == 0 {
		return true
	}
	address = address.Unmap().WithZone("")
	for _, network := range f.networks {
		if network.Contains(address) {
			return true
		}
	}
	return false
}

func (f *facts) allowsPermissions(owner *OwnerFacts, permissions []string) bool {
	if len(permissions) == 0 {
		return true
	}
	held := newRights(f.token.Kind, f.token.Permissions, owner.Administrator)
	for _, permission := range permissions {
		if !held.has(permission) {
			return false
		}
	}
	return true
}

// decide judges a secret against the facts about its token. It is pure: the same arguments give the same reason. The
// order is a promise (S2-11).
func decide(f *facts, owner *OwnerFacts, presented Digest, r *VerifyRequest, now int64) Reason {
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
	case !f.endpoints.Match(r.Method, r.Path):
		return ReasonEndpointNotAllowed
	case !f.allowsPermissions(owner, r.Permissions):
		return ReasonInsufficientPermissions
	}
	return ReasonAllowed
}

// shared holds compiled parts that many tokens have in common: lists of endpoints come from presets, and most tokens
// have one of a few limits. It saves memory, and one copy stays in the processor's cache where thousands would not.
type shared struct {
	mu       sync.Mutex
	byText   map[string]Patterns
	byNumber map[int64][]Limit
}

const maxShared = 10_000 // distinct lists and limits; beyond, everything is let go and learnt anew

func (s *shared) patterns(texts []string) (Patterns, error) {
	if len(texts) == 0 {
		return nil, nil
	}
	key := strings.Join(texts, "\n") // no pattern holds a line break
	s.mu.Lock()
	defer s.mu.Unlock()
	if known, ok := s.byText[key]; ok {
		return known, nil
	}
	patterns, err := ParsePatterns("allowed_endpoints", texts)
	if err != nil {
		return nil, err
	}
	if s.byText == nil || len(s.byText) >= maxShared {
		s.byText = map[string]Patterns{}
	}
	s.byText[key] = patterns
	return patterns, nil
}

func (s *shared) limits(perMinute int64) []Limit {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known, ok := s.byNumber[perMinute]; ok {
		return known
	}
	if s.byNumber == nil || len(s.byNumber) >= maxShared {
		s.byNumber = map[int64][]Limit{}
	}
	limits := []Limit{{Name: rateLimitName, N: perMinute, Window: time.Minute}}
	s.byNumber[perMinute] = limits
	return limits
}
