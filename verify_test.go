package latchward_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/latchtest"
	"github.com/latchward/latchward/memory"
)

func TestVerifyTable(t *testing.T) {
	newStore := func(*testing.T) latchward.Store { return memory.New() }
	latchtest.RunVerifyTable(t, "testdata/verify", newStore, latchtest.ServiceSurface)
}

// Every reason that exists so far must be reached by the table, so that none is judged by nothing.
func TestReasonsAreComplete(t *testing.T) {
	seen := map[latchward.Reason]bool{}
	for _, r := range latchward.Reasons() {
		if seen[r] {
			t.Errorf("%s is listed twice", r)
		}
		seen[r] = true
	}
	for _, r := range []latchward.Reason{latchward.ReasonMissing, latchward.ReasonMalformed, latchward.ReasonNotFound,
		latchward.ReasonRevoked, latchward.ReasonBadRequest} {
		if v := (latchward.Verdict{Reason: r, Token: latchward.VerdictToken{ID: 1}}); v.Tracked() {
			t.Errorf("a verdict of %s is tracked as usage (X-17)", r)
		}
	}
}

// bar 49
func TestRevokeIsLinearizable(t *testing.T) {
	latchtest.RunLinearizable(t, func(*testing.T) latchward.Store { return memory.New() })
}

// gate is a store whose reads of facts can be held between what they read and their return.
type gate struct {
	latchward.Store
	mu    sync.Mutex
	hold  chan struct{} // non-nil: a read waits for it after it has read
	read  chan struct{} // told after each read of facts
	fail  error
	reads atomic.Int64
}

func (g *gate) set(hold chan struct{}, fail error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.hold, g.fail = hold, fail
}

func (g *gate) TokenFacts(ctx context.Context, id latchward.KeyID) (latchward.TokenFacts, error) {
	g.reads.Add(1)
	facts, err := g.Store.TokenFacts(ctx, id)
	g.mu.Lock()
	hold, fail := g.hold, g.fail
	g.mu.Unlock()
	if hold != nil {
		g.read <- struct{}{}
		<-hold
	}
	if fail != nil {
		return latchward.TokenFacts{}, fail
	}
	return facts, err
}

type fixture struct {
	*latchward.Service
	store *gate
	ctx   context.Context // in which the local administrator acts
	owner latchward.UserID
	now   atomic.Int64
}

func newFixture(t *testing.T, change func(*latchward.Options)) *fixture {
	t.Helper()
	return newFixtureFor(t, change)
}

func newFixtureFor(t testing.TB, change func(*latchward.Options)) *fixture {
	t.Helper()
	f := &fixture{store: &gate{Store: memory.New(), read: make(chan struct{}, 100)}, ctx: latchtest.Local(context.Background())}
	f.now.Store(time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC).UnixNano())
	options := latchward.Options{Store: f.store, Keys: ring(t), Now: f.clock}
	if change != nil {
		change(&options)
	}
	var err error
	if f.Service, err = latchward.New(f.ctx, options); err != nil {
		t.Fatal(err)
	}
	user, err := f.CreateUser(f.ctx, latchward.NewUser{Name: "ada"})
	if err != nil {
		t.Fatal(err)
	}
	f.owner = user.ID
	return f
}

func (f *fixture) clock() time.Time        { return time.Unix(0, f.now.Load()).UTC() }
func (f *fixture) advance(d time.Duration) { f.now.Add(int64(d)) }

func ring(t testing.TB) *latchward.KeyRing {
	t.Helper()
	r, err := latchward.GenerateKeyRing(latchtest.Seeded(7), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (f *fixture) create(t testing.TB, n latchward.NewToken) latchward.IssuedToken {
	t.Helper()
	if n.Owner == nil {
		n.Owner = &latchward.Owner{Type: latchward.OwnerUser, ID: int64(f.owner)}
	}
	issued, err := f.CreateToken(f.ctx, n)
	if err != nil {
		t.Fatal(err)
	}
	return issued
}

func (f *fixture) reason(t testing.TB, s latchward.Secret) latchward.Reason {
	t.Helper()
	v, err := f.Verify(context.Background(), latchward.VerifyRequest{Secret: s, Method: "GET", Path: "/products"})
	if err != nil {
		t.Fatal(err)
	}
	return v.Reason
}

// bar 50: whatever changes between a fill's read and its put must win.
func TestChangeWinsOverFill(t *testing.T) {
	active := false
	narrow := []string{"/orders"}
	type change struct {
		name string
		do   func(f *fixture, id latchward.TokenID) error
		want latchward.Reason
	}
	changes := []change{
		{"revoke", func(f *fixture, id latchward.TokenID) error {
			_, err := f.RevokeToken(f.ctx, id, latchward.Revocation{})
			return err
		}, latchward.ReasonRevoked},
		{"disable", func(f *fixture, id latchward.TokenID) error {
			_, err := f.UpdateToken(f.ctx, id, latchward.TokenUpdate{Active: &active})
			return err
		}, latchward.ReasonDisabled},
		{"narrow", func(f *fixture, id latchward.TokenID) error {
			_, err := f.UpdateToken(f.ctx, id, latchward.TokenUpdate{AllowedEndpoints: &narrow})
			return err
		}, latchward.ReasonEndpointNotAllowed},
		{"rotate", func(f *fixture, id latchward.TokenID) error {
			_, err := f.RotateToken(f.ctx, id, latchward.Rotation{})
			return err
		}, latchward.ReasonRotated},
		{"delete", func(f *fixture, id latchward.TokenID) error { return f.DeleteToken(f.ctx, id) }, latchward.ReasonNotFound},
		{"disable owner", func(f *fixture, _ latchward.TokenID) error {
			_, err := f.UpdateUser(f.ctx, f.owner, latchward.UserUpdate{Active: &active})
			return err
		}, latchward.ReasonOwnerDisabled},
		{"remove owner", func(f *fixture, _ latchward.TokenID) error { return f.RemoveUser(f.ctx, f.owner) }, latchward.ReasonRevoked},
	}
	for _, c := range changes {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, nil)
			issued := f.create(t, latchward.NewToken{})
			hold := make(chan struct{})
			f.store.set(hold, nil)
			early := make(chan error, 1)
			go func() {
				_, err := f.Verify(context.Background(), latchward.VerifyRequest{Secret: issued.Secret})
				early <- err
			}()
			<-f.store.read // the fill has read the old facts and has not put them
			if err := c.do(f, issued.Token.ID); err != nil {
				t.Fatal(err)
			}
			f.store.set(nil, nil)
			if got := f.reason(t, issued.Secret); got != c.want {
				t.Errorf("while the old fill hangs: %s, want %s", got, c.want)
			}
			close(hold)
			if err := <-early; err != nil {
				t.Fatal(err)
			}
			if got := f.reason(t, issued.Secret); got != c.want {
				t.Errorf("after the old fill came in: %s, want %s", got, c.want)
			}
		})
	}
}

// bar 17: a remembered refusal ends with its cause.
func TestRefusalsNeverPoison(t *testing.T) {
	f := newFixture(t, func(o *latchward.Options) { o.Random = &repeating{} })
	first := f.create(t, latchward.NewToken{})
	if err := f.DeleteToken(f.ctx, first.Token.ID); err != nil {
		t.Fatal(err)
	}
	if got := f.reason(t, first.Secret); got != latchward.ReasonNotFound {
		t.Fatalf("deleted: %s", got)
	}
	again := f.create(t, latchward.NewToken{}) // the source of randomness repeats itself: the same secret
	if !again.Secret.Equal(first.Secret) {
		t.Fatal("the test needs the same secret twice")
	}
	if got := f.reason(t, again.Secret); got != latchward.ReasonAllowed {
		t.Errorf("created after a remembered refusal: %s", got)
	}
}

// repeating gives the same bytes to every creation.
type repeating struct{}

func (*repeating) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(i * 7)
	}
	return len(p), nil
}

// bar 18
func TestConcurrentMissesShareOneRead(t *testing.T) {
	f := newFixture(t, nil)
	issued := f.create(t, latchward.NewToken{RateLimit: 100_000})
	hold := make(chan struct{})
	f.store.set(hold, nil)
	cancelled, cancel := context.WithCancel(context.Background())
	first := make(chan error, 1)
	go func() {
		_, err := f.Verify(cancelled, latchward.VerifyRequest{Secret: issued.Secret})
		first <- err
	}()
	<-f.store.read
	cancel()
	if err := <-first; latchward.ErrorCode(err) != latchward.CodeUnavailable {
		t.Errorf("a cancelled caller got %v", err)
	}
	const callers = 2000
	var waiting, done sync.WaitGroup
	var refused atomic.Int64
	for range callers {
		waiting.Add(1)
		done.Go(func() {
			waiting.Done()
			v, err := f.Verify(context.Background(), latchward.VerifyRequest{Secret: issued.Secret})
			if err != nil || !v.Allowed() {
				refused.Add(1)
			}
		})
	}
	waiting.Wait()
	f.store.set(nil, nil)
	close(hold)
	done.Wait()
	if refused.Load() != 0 {
		t.Errorf("%d of %d callers inherited somebody's cancellation", refused.Load(), callers)
	}
	if reads := f.store.reads.Load(); reads != 1 {
		t.Errorf("%d reads for one token", reads)
	}
}

// bar 18: a store that fails is an error to all and is not remembered.
func TestFailuresAreNotRemembered(t *testing.T) {
	f := newFixture(t, nil)
	issued := f.create(t, latchward.NewToken{})
	f.store.set(nil, &latchward.Error{Code: latchward.CodeUnavailable, Message: "down", Err: errors.New("disk")})
	_, err := f.Verify(f.ctx, latchward.VerifyRequest{Secret: issued.Secret})
	if latchward.ErrorCode(err) != latchward.CodeUnavailable {
		t.Fatalf("with the store down: %v", err)
	}
	f.store.set(nil, nil)
	if got := f.reason(t, issued.Secret); got != latchward.ReasonAllowed {
		t.Errorf("after the store came back: %s", got)
	}
}

// S3-17, bar 16: known tokens cost one read, however many unknown ones come along.
func TestUnknownTokensDoNotEvictKnownOnes(t *testing.T) {
	keys := ring(t)
	f := newFixture(t, func(o *latchward.Options) { o.Keys = keys; o.CacheSize = 100_000 })
	known := make([]latchward.Secret, 100)
	for i := range known {
		known[i] = f.create(t, latchward.NewToken{RateLimit: 1000}).Secret
		f.reason(t, known[i])
	}
	random := latchtest.Seeded(3)
	for range latchtest.Scale(5_000_000, 50_000) {
		stranger, _, err := latchward.NewSecret(random, latchward.DefaultPrefix, keys)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.reason(t, stranger); got != latchward.ReasonNotFound {
			t.Fatalf("a stranger: %s", got)
		}
	}
	before := f.store.reads.Load()
	for _, secret := range known {
		if got := f.reason(t, secret); got != latchward.ReasonAllowed {
			t.Fatalf("a known token: %s", got)
		}
	}
	if extra := f.store.reads.Load() - before; extra != 0 {
		t.Errorf("%d of %d known tokens had been forgotten", extra, len(known))
	}
}

// bar 2, S3-11: forged and mistyped tokens are refused without a look-up.
func TestForgeriesNeverReachTheStore(t *testing.T) {
	f := newFixture(t, nil)
	issued := f.create(t, latchward.NewToken{})
	stranger, err := latchward.GenerateKeyRing(latchtest.Seeded(9), f.clock())
	if err != nil {
		t.Fatal(err)
	}
	forged, _, err := latchward.NewSecret(latchtest.Seeded(4), latchward.DefaultPrefix, stranger)
	if err != nil {
		t.Fatal(err)
	}
	text := issued.Secret.Expose()
	presented := []string{forged.Expose(), text[:len(text)-1], text + "x", "x" + text, "lw_", "nonsense", " " + text}
	for i := range text {
		swapped := []byte(text)
		if swapped[i]++; swapped[i] == '{' {
			swapped[i] = 'a'
		}
		presented = append(presented, string(swapped))
	}
	for _, p := range presented {
		if got := f.reason(t, latchward.SecretFromText(p)); got != latchward.ReasonMalformed {
			t.Errorf("%d characters, changed: %s", len(p), got)
		}
	}
	if reads := f.store.reads.Load(); reads != 0 {
		t.Errorf("%d reads", reads)
	}
}

// bar 15: a verdict made from memory knows the time as well as a fresh one.
func TestExpiryOfRememberedToken(t *testing.T) {
	f := newFixture(t, nil)
	expiry := f.clock().Add(time.Hour)
	issued := f.create(t, latchward.NewToken{ExpiresAt: expiry})
	f.advance(time.Hour - time.Millisecond)
	if got := f.reason(t, issued.Secret); got != latchward.ReasonAllowed {
		t.Errorf("1 ms before: %s", got)
	}
	f.advance(time.Millisecond)
	if got := f.reason(t, issued.Secret); got != latchward.ReasonExpired {
		t.Errorf("at the instant: %s", got)
	}
	if reads := f.store.reads.Load(); reads != 1 {
		t.Errorf("%d reads, want the one before expiry", reads)
	}
}

// bar 35: limit+1 and more at once admit exactly the limit.
func TestConcurrentRequestsAdmitExactlyTheLimit(t *testing.T) {
	f := newFixture(t, nil)
	issued := f.create(t, latchward.NewToken{RateLimit: 100})
	var admitted, refused atomic.Int64
	var remaining sync.Map
	var done sync.WaitGroup
	for range 200 {
		done.Go(func() {
			for range 5 {
				v, err := f.Verify(context.Background(), latchward.VerifyRequest{Secret: issued.Secret})
				switch {
				case err != nil:
					t.Error(err)
				case v.Allowed():
					admitted.Add(1)
					if _, twice := remaining.LoadOrStore(v.Limit.Remaining, true); twice {
						t.Errorf("remaining %d was told twice", v.Limit.Remaining)
					}
				default:
					refused.Add(1)
					if v.Reason != latchward.ReasonRateLimited || v.Limit.Current != 101 || v.RetryAfter() != time.Minute {
						t.Errorf("refusal: %s, current %d, retry after %s", v.Reason, v.Limit.Current, v.RetryAfter())
					}
				}
			}
		})
	}
	done.Wait()
	if admitted.Load() != 100 || refused.Load() != 900 {
		t.Errorf("admitted %d, refused %d, want 100 and 900", admitted.Load(), refused.Load())
	}
}

// bar 44: a limit that is lowered below what was used holds for the next request, and nothing is left, not less.
func TestLoweredLimit(t *testing.T) {
	f := newFixture(t, nil)
	issued := f.create(t, latchward.NewToken{RateLimit: 1000})
	for range 500 {
		f.reason(t, issued.Secret)
	}
	lower := int64(10)
	if _, err := f.UpdateToken(f.ctx, issued.Token.ID, latchward.TokenUpdate{RateLimit: &lower}); err != nil {
		t.Fatal(err)
	}
	v, err := f.Verify(f.ctx, latchward.VerifyRequest{Secret: issued.Secret})
	if err != nil || v.Reason != latchward.ReasonRateLimited || v.Limit.Remaining != 0 || v.Limit.Limit != 10 {
		t.Errorf("%s with %+v, %v", v.Reason, v.Limit, err)
	}
}

func TestCostBeyondTheLimitIsInvalid(t *testing.T) { // bar 39
	f := newFixture(t, nil)
	issued := f.create(t, latchward.NewToken{RateLimit: 10})
	for _, cost := range []int64{-1, 11, 1 << 62} {
		_, err := f.Verify(f.ctx, latchward.VerifyRequest{Secret: issued.Secret, Cost: cost})
		if latchward.ErrorCode(err) != latchward.CodeInvalid || latchward.ErrorField(err) != "cost" {
			t.Errorf("cost %d: %v", cost, err)
		}
	}
	v, err := f.Verify(f.ctx, latchward.VerifyRequest{Secret: issued.Secret})
	if err != nil || v.Limit.Remaining != 9 {
		t.Errorf("after impossible costs: %d remaining, %v", v.Limit.Remaining, err)
	}
}

// B-07 with everything netip offers.
func TestAllowedNetworks(t *testing.T) {
	f := newFixture(t, nil)
	network, err := latchward.ParseNetwork("n", "fe80::/10")
	if err != nil {
		t.Fatal(err)
	}
	issued := f.create(t, latchward.NewToken{AllowedNetworks: []netip.Prefix{network}})
	for address, want := range map[string]latchward.Reason{
		"fe80::1":      latchward.ReasonAllowed,
		"fe80::1%eth0": latchward.ReasonAllowed,
		"fec0::1":      latchward.ReasonAddressNotAllowed,
		"10.0.0.1":     latchward.ReasonAddressNotAllowed,
	} {
		r := latchward.VerifyRequest{Secret: issued.Secret, Address: netip.MustParseAddr(address)}
		if v, err := f.Verify(f.ctx, r); err != nil || v.Reason != want {
			t.Errorf("%s: %s, %v", address, v.Reason, err)
		}
	}
	for _, text := range []string{"", "203.0.113.05", "0xcb.0.113.5", "203.0.113.5/33", "fe80::1%eth0", "::ffff:1.2.3.4/64", "x"} {
		if _, err := latchward.ParseNetwork("n", text); latchward.ErrorCode(err) != latchward.CodeInvalid {
			t.Errorf("ParseNetwork(%q): %v", text, err)
		}
	}
}

func ExampleService_Verify() {
	ctx := latchtest.Local(context.Background())
	keys, _ := latchward.GenerateKeyRing(latchtest.Seeded(1), time.Now())
	service, _ := latchward.New(ctx, latchward.Options{Store: memory.New(), Keys: keys})
	ada, _ := service.CreateUser(ctx, latchward.NewUser{Name: "Ada"})
	issued, _ := service.CreateToken(ctx, latchward.NewToken{
		Name: "Hive 7", Owner: &latchward.Owner{Type: latchward.OwnerUser, ID: int64(ada.ID)}, RateLimit: 60,
	})
	verdict, _ := service.Verify(ctx, latchward.VerifyRequest{Secret: issued.Secret, Method: "POST", Path: "/metrics"})
	fmt.Println(verdict.Reason, verdict.Limit.Remaining)
	_, _ = service.RevokeToken(ctx, issued.Token.ID, latchward.Revocation{Note: "stolen with the hive"})
	verdict, _ = service.Verify(ctx, latchward.VerifyRequest{Secret: issued.Secret, Method: "POST", Path: "/metrics"})
	fmt.Println(verdict.Reason)
	// Output:
	// allowed 59
	// revoked
}
