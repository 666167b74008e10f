package latchward

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// MaxPage is the most that one page of a list holds.
const MaxPage = 1000

// DefaultIdleTimeoutDays is what a token gets whose creator does not say.
const DefaultIdleTimeoutDays = 30

// Options configures a [Service]. Store and Keys are required; the zero value of every other field is a default.
type Options struct {
	Store Store
	Keys  *KeyRing

	Prefix          string           // of new secrets and of those accepted; "" = DefaultPrefix
	Permissions     []Permission     // of the program: what its users and tokens can be granted, for the registry
	IdleTimeoutDays *int             // for tokens created without one; nil = DefaultIdleTimeoutDays; 0 = never
	CreationLimit   int64            // tokens one person may create per minute; 0 = 1,000 (bar 110)
	ReuseAnywhere   bool             // [ReusePolicy] acts on every use of a rotated-out secret, not only where holders rotate
	CacheSize       int              // tokens remembered; 0 = DefaultCacheSize
	Limiter         Limiter          // nil = in this process
	Journal         UsageJournal     // nil = in memory; see package journal for one that survives the process
	UsageBuffer     int              // events the journal in memory holds; 0 = DefaultUsageBuffer
	FlushInterval   time.Duration    // between flushes of usage; 0 = 200 ms, and 10 s with a Journal
	KeepEvents      time.Duration    // raw usage; 0 = 30 days
	KeepHours       time.Duration    // hourly rollups; 0 = 2 years
	LeakAction      LeakAction       // on tokens whose secrets are found in public; "" = LeakRevoke
	JWT             JWTFormat        // of derived tokens; nil = there are none
	DerivedLifetime time.Duration    // of derived tokens at most, up to MaxDerivedLifetime; 0 = DefaultDerivedLifetime
	SigningKeyAge   time.Duration    // after which the signing key is rotated; 0 = DefaultSigningKeyAge, below = never
	Passwords       PasswordHasher   // nil = nobody signs in with a password
	SlowDigests     SlowDigests      // nil = secrets that bcrypt or argon2 digested elsewhere are unknown
	Now             func() time.Time // nil = time.Now
	Random          io.Reader        // nil = crypto/rand.Reader
	Logger          *slog.Logger     // nil = nowhere
}

// Service is Latchward's rules over a store: the only place that judges. Create it with [New] and keep [Service.Run]
// running; all methods are safe for concurrent use.
//
// Methods that act for somebody take the principal from the context (see [WithPrincipal]) and return an Error of code
// unauthenticated when there is none, and of code not_found for whatever that principal may not know of.
type Service struct {
	store     Store
	keys      atomic.Pointer[KeyRing]
	prefix    string
	idleDays  int
	cache     *cache
	limiter   Limiter
	local     *LocalLimiter // limiter, when it is one in this process
	creations *LocalLimiter
	creation  Limit
	random    io.Reader
	now       func() time.Time
	start     time.Time // origin of Instants
	log       *slog.Logger
	counters  counters
	usage     usagePipeline
	options   Options
	subjects  subjects
	reuses    reuses
	declared  []*Permission // the registry less what was added by hand
	attempts  *attempts
	setup     setup
	denials   denials
	anchored  anchored
	signing   signing
	foreign   *foreignGuard
	derived   derivedState
}

// New returns a Service over o.Store. It refuses, with code conflict, a key ring that lacks a key under which the
// store's digests were made: with it every token would be unknown (bar 135). It starts nothing; see Run.
func New(ctx context.Context, o Options) (*Service, error) {
	if o.Store == nil || o.Keys == nil {
		return nil, errors.New("latchward.New: Options.Store and Options.Keys are required")
	}
	if o.Prefix == "" {
		o.Prefix = DefaultPrefix
	}
	if err := ValidatePrefix(o.Prefix); err != nil {
		return nil, err
	}
	if o.LeakAction != "" && !slices.Contains(LeakActions(), o.LeakAction) {
		return nil, Invalid("LeakAction", "must be one of %v", LeakActions())
	}
	s := &Service{store: o.Store, prefix: o.Prefix, options: o, idleDays: DefaultIdleTimeoutDays}
	s.setDefaults()
	if err := s.declarePermissions(); err != nil {
		return nil, err
	}
	s.keys.Store(o.Keys) // under which a new key is told of
	ring, err := s.checkKeys(ctx, o.Keys)
	if err != nil {
		return nil, err
	}
	s.keys.Store(ring)
	if err := s.sealOld(ctx); err != nil {
		return nil, err
	}
	if err := s.loadDerived(ctx); err != nil {
		return nil, err
	}
	if err := s.usage.load(ctx, s.store); err != nil {
		return nil, err
	}
	if _, err := s.cache.foreign.known(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Service) setDefaults() {
	o := &s.options
	if o.IdleTimeoutDays != nil {
		s.idleDays = *o.IdleTimeoutDays
	}
	s.now, s.random, s.log = o.Now, o.Random, o.Logger
	if s.now == nil {
		s.now = newClock()
	}
	if s.random == nil {
		s.random = rand.Reader
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.start = s.now()
	if s.limiter = o.Limiter; s.limiter == nil {
		s.limiter = NewLocalLimiter(LocalLimiterOptions{})
	}
	s.local, _ = s.limiter.(*LocalLimiter)
	s.creations = NewLocalLimiter(LocalLimiterOptions{})
	s.attempts = newAttempts()
	s.foreign = newForeignGuard()
	s.creation = Limit{Name: "creations", N: orDefault(o.CreationLimit, 1000), Window: time.Minute}
	s.cache = newCache(s.store, o.CacheSize)
	if o.Journal != nil {
		o.FlushInterval = orDefault(o.FlushInterval, 10*time.Second)
	}
	o.FlushInterval = orDefault(o.FlushInterval, 200*time.Millisecond)
	o.KeepEvents = orDefault(o.KeepEvents, 30*24*time.Hour)
	o.KeepHours = orDefault(o.KeepHours, 2*365*24*time.Hour)
	o.DerivedLifetime = min(orDefault(o.DerivedLifetime, DefaultDerivedLifetime), MaxDerivedLifetime)
	o.SigningKeyAge = orDefault(o.SigningKeyAge, DefaultSigningKeyAge)
	if s.usage.journal = o.Journal; s.usage.journal == nil {
		s.usage.journal = newMemoryJournal(o.UsageBuffer)
	}
}

// newClock returns a clock that reads the system's monotonic clock and asks for the wall time once a second: every
// request reads it, and the monotonic reading alone costs half as much.
func newClock() func() time.Time {
	var anchor atomic.Pointer[time.Time]
	first := time.Now()
	anchor.Store(&first)
	return func() time.Time {
		at := anchor.Load()
		if since := time.Since(*at); since < time.Second {
			return at.Add(since)
		}
		now := time.Now()
		anchor.Store(&now)
		return now
	}
}

func orDefault[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}

// Run does what must happen without anybody asking: it flushes usage, deactivates idle tokens, forgets idle limits
// and prunes what is past its retention. It returns when ctx is done and everything accepted has been flushed; the
// error tells that the last flush failed and how many events were lost with it, unless the journal keeps them.
func (s *Service) Run(ctx context.Context) error {
	var jobs sync.WaitGroup
	every := func(interval time.Duration, name string, job func(context.Context) error) {
		jobs.Go(func() {
			ticker := time.NewTicker(interval)
			defer ticker.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-ticker.C:
					if err := job(ctx); err != nil && ctx.Err() == nil {
						s.log.Error("Background job failed; it will be tried again.", "job", name, "error", err)
					}
				}
			}
		})
	}
	every(s.options.FlushInterval, "flush usage", s.FlushUsage)
	every(time.Minute, "deactivate idle tokens", s.SweepIdle)
	every(10*time.Second, "forget idle limits", s.sweepLimits)
	every(time.Minute, "prune usage", s.pruneUsage)
	every(time.Minute, "prune sessions", s.pruneSessions)
	every(10*time.Second, "flush denials", s.FlushDenials)
	every(time.Minute, "tend signing keys", s.tendSigningKeys)
	every(time.Minute, "forget derived tokens", s.tendDerived)
	every(anchorInterval, "anchor the audit log", s.Anchor)
	<-ctx.Done()
	jobs.Wait()
	last := context.WithoutCancel(ctx)
	return errors.Join(s.endDenials(last), s.Anchor(last), s.lastFlush(last))
}

// Ready returns nil when the service can decide and store.
func (s *Service) Ready(ctx context.Context) error { return s.store.Ping(ctx) }

func (s *Service) instant(now time.Time) Instant { return Instant(max(0, now.Sub(s.start))) }

// timestamp is now as it is stored: UTC, whole milliseconds.
func (s *Service) timestamp() time.Time { return s.now().UTC().Truncate(time.Millisecond) }

// tx runs f in a transaction and forgets what it may have changed before anybody learns how it ended.
func (s *Service) tx(ctx context.Context, f func(tx Tx) error) error {
	return s.txUnder(ctx, s.keys.Load(), f)
}

// txUnder is tx with audit entries sealed under the current key of a ring.
func (s *Service) txUnder(ctx context.Context, keys *KeyRing, f func(tx Tx) error) error {
	begun := s.now()
	policies, policiesErr := s.policies(ctx) // before the transaction, which must not wait for reads of its own store
	commit, err := s.store.Tx(ctx, func(tx Tx) error {
		return f(&ledger{Tx: tx, service: s, keys: keys, policies: policies, policiesErr: policiesErr})
	})
	s.cache.apply(commit)
	s.signing.apply(commit)
	s.derived.apply(commit, begun)
	if err == nil {
		s.counters.changes.add(s.now().Sub(begun))
	}
	return err
}

func (s *Service) sweepLimits(context.Context) error {
	now := s.instant(s.now())
	s.creations.Sweep(now)
	s.attempts.limiter.Sweep(now)
	s.foreign.limiter.Sweep(now)
	if s.local != nil {
		s.local.Sweep(now)
	}
	return nil
}

func pageLimit(limit int) (int, error) {
	switch {
	case limit == 0:
		return MaxPage, nil
	case limit < 0 || limit > MaxPage:
		return 0, Invalid("limit", "must be a whole number from 1 to %d", MaxPage)
	}
	return limit, nil
}
