package latchward_test

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/memory"
)

func ptr[T any](value T) *T { return &value }

func (f *fixture) policy(t *testing.T, n latchward.NewPolicy) *latchward.LifecyclePolicy {
	t.Helper()
	return must[*latchward.LifecyclePolicy](t)(f.CreatePolicy(f.ctx, n))
}

const day = 24 * time.Hour

// B-13: each rule refuses what it does not allow, by name, whether a token is created, changed or enabled, and fills in
// what nobody named.
func TestPoliciesBindWhatIsMadeAndChanged(t *testing.T) {
	f := newFixture(t, nil)
	f.policy(t, latchward.NewPolicy{Name: "strict", Rules: latchward.LifecycleRules{
		MaxLifetimeDays: 90, IdleTimeoutDays: ptr(14), MaxIdleTimeoutDays: 60, RateLimit: 50, MaxRateLimit: 500,
		Kinds: []latchward.Kind{latchward.KindPersonal}, RotationDays: 30, Reuse: latchward.ReuseDisable,
	}})
	made := f.create(t, latchward.NewToken{Name: "bare"})
	token, start := made.Token, f.clock()
	if token.RateLimit != 50 || token.IdleTimeoutDays != 14 || token.Reuse != latchward.ReuseDisable ||
		!token.ExpiresAt.Equal(start.AddDate(0, 0, 90)) || !token.RotationDueAt.Equal(start.AddDate(0, 0, 30)) {
		t.Errorf("a token about which nothing was said: %+v", token)
	}
	if len(made.Warnings) != 1 || !strings.Contains(made.Warnings[0], "strict") {
		t.Errorf("warnings %q, want one about the expiry", made.Warnings)
	}
	for field, n := range map[string]latchward.NewToken{
		"expires_at":        {ExpiresAt: start.Add(90*day + time.Millisecond)},
		"idle_timeout_days": {IdleTimeoutDays: ptr(0)},
		"rate_limit":        {RateLimit: 501},
		"kind":              {Kind: latchward.KindService},
		"reuse":             {Reuse: latchward.ReuseAlert},
	} {
		n.Owner = &latchward.Owner{Type: latchward.OwnerUser, ID: int64(f.owner)}
		_, err := f.CreateToken(f.ctx, n)
		f.refused(t, "create", field, err)
	}
	for field, u := range map[string]latchward.TokenUpdate{
		"expires_at":        {ExpiresAt: ptr(start.Add(91 * day))},
		"idle_timeout_days": {IdleTimeoutDays: ptr(61)},
		"rate_limit":        {RateLimit: ptr(int64(501))},
		"reuse":             {Reuse: ptr(latchward.ReuseAlert)},
	} {
		_, err := f.UpdateToken(f.ctx, token.ID, u)
		f.refused(t, "update", field, err)
	}
	for what, n := range map[string]latchward.NewToken{
		"the last instant": {ExpiresAt: start.Add(90 * day)}, "the most days": {IdleTimeoutDays: ptr(60)},
		"the highest limit": {RateLimit: 500}, "a stricter reuse": {Reuse: latchward.ReuseRevoke},
	} {
		n.Owner = &latchward.Owner{Type: latchward.OwnerUser, ID: int64(f.owner)}
		if _, err := f.CreateToken(f.ctx, n); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func (f *fixture) refused(t *testing.T, what, field string, err error) {
	t.Helper()
	if latchward.ErrorCode(err) != latchward.CodeInvalid || latchward.ErrorField(err) != field ||
		!strings.Contains(latchward.ErrorMessage(err), "strict") {
		t.Errorf("%s with another %s: %v, want a refusal that names field and policy", what, field, err)
	}
}

// B-13: what is there stays as it is; only what is changed must obey. null gives what creation gives.
func TestPoliciesLeaveWhatIsThere(t *testing.T) {
	f := newFixture(t, nil)
	id := f.create(t, latchward.NewToken{RateLimit: 1000, IdleTimeoutDays: ptr(0)}).Token.ID
	f.policy(t, latchward.NewPolicy{Name: "strict", Rules: latchward.LifecycleRules{
		MaxLifetimeDays: 90, MaxIdleTimeoutDays: 60, RateLimit: 40, MaxRateLimit: 500,
	}})
	changed := must[latchward.IssuedToken](t)(f.UpdateToken(f.ctx, id, latchward.TokenUpdate{Description: ptr("x")})).Token
	if changed.RateLimit != 1000 || changed.IdleTimeoutDays != 0 || !changed.ExpiresAt.IsZero() {
		t.Errorf("another field changed: %+v", changed)
	}
	_, err := f.UpdateToken(f.ctx, id, latchward.TokenUpdate{RateLimit: ptr(int64(900))})
	f.refused(t, "lowering to what is still too much", "rate_limit", err)
	cleared := must[latchward.IssuedToken](t)(f.UpdateToken(f.ctx, id, latchward.TokenUpdate{
		RateLimit: ptr(int64(0)), ExpiresAt: ptr(time.Time{}),
	})).Token
	if cleared.RateLimit != 40 || !cleared.ExpiresAt.Equal(cleared.CreatedAt.AddDate(0, 0, 90)) {
		t.Errorf("cleared: limit %d, expiry %v", cleared.RateLimit, cleared.ExpiresAt)
	}
}

// bar 59: rotating begins a new lifetime but moves no expiry; whoever may then moves it.
func TestRotatingBeginsANewLifetime(t *testing.T) {
	f := newFixture(t, nil)
	f.policy(t, latchward.NewPolicy{Name: "strict", Rules: latchward.LifecycleRules{
		MaxLifetimeDays: 90, RotationDays: 30, RotationRequired: true, MaxIdleTimeoutDays: 365, IdleTimeoutDays: ptr(365),
	}})
	token := f.create(t, latchward.NewToken{}).Token
	f.advance(60 * day)
	later := token.ExpiresAt.AddDate(0, 0, 30)
	_, err := f.UpdateToken(f.ctx, token.ID, latchward.TokenUpdate{ExpiresAt: &later})
	f.refused(t, "extending", "expires_at", err)
	rotated := must[latchward.IssuedToken](t)(f.RotateToken(f.ctx, token.ID, latchward.Rotation{})).Token
	if !rotated.ExpiresAt.Equal(token.ExpiresAt) || !rotated.RotatedAt.Equal(f.clock()) ||
		!rotated.RotationDueAt.Equal(f.clock().AddDate(0, 0, 30)) {
		t.Errorf("rotated: %+v", rotated)
	}
	if _, err := f.UpdateToken(f.ctx, token.ID, latchward.TokenUpdate{ExpiresAt: &later}); err != nil {
		t.Errorf("extending after a rotation: %v", err)
	}
}

// B-13: a policy covers the tokens that its group owns, those that its members own, and members themselves.
func TestPoliciesOfGroupsAndKinds(t *testing.T) {
	f := newFixture(t, nil)
	group := must[*latchward.Group](t)(f.CreateGroup(f.ctx, latchward.NewGroup{Name: "ops"}))
	ada := f.user(t, latchward.NewUser{Name: "Ada", Groups: []string{"ops"}})
	bob := f.user(t, latchward.NewUser{Name: "Bob"})
	f.policy(t, latchward.NewPolicy{Name: "ops", Group: "ops", Rules: latchward.LifecycleRules{RateLimit: 7}})
	f.policy(t, latchward.NewPolicy{Name: "robots", Kind: latchward.KindService, Rules: latchward.LifecycleRules{RateLimit: 8}})
	user := func(u *latchward.User) *latchward.Owner {
		return &latchward.Owner{Type: latchward.OwnerUser, ID: int64(u.ID)}
	}
	for _, c := range []struct {
		what  string
		token latchward.NewToken
		want  int64
	}{
		{"a stranger's", latchward.NewToken{Owner: user(bob)}, latchward.DefaultRateLimit},
		{"a stranger's service token", latchward.NewToken{Owner: user(bob), Kind: latchward.KindService}, 8},
		{"a member's", latchward.NewToken{Owner: user(ada)}, 7},
		{"a member's service token", latchward.NewToken{Owner: user(ada), Kind: latchward.KindService}, 7},
		{"a member itself", latchward.NewToken{Owner: user(bob), Kind: latchward.KindService, Groups: []string{"ops"}}, 7},
		{"the group's", latchward.NewToken{
			Owner: &latchward.Owner{Type: latchward.OwnerGroup, ID: int64(group.ID)}, Kind: latchward.KindService,
		}, 7},
	} {
		token := f.create(t, c.token).Token
		rules := must[latchward.EffectiveRules](t)(f.TokenPolicy(f.ctx, token.ID))
		if token.RateLimit != c.want || rules.RateLimit != 0 && rules.RateLimit != c.want {
			t.Errorf("%s: limit %d, rule %d, want %d", c.what, token.RateLimit, rules.RateLimit, c.want)
		}
	}
}

// B-13: of several policies the strictest rule counts, field by field, in whatever order they come.
func TestTheStrictestRuleCounts(t *testing.T) {
	personal, service := latchward.KindPersonal, latchward.KindService
	rules := []latchward.LifecycleRules{
		{
			MaxLifetimeDays: 90, IdleTimeoutDays: ptr(0), MaxIdleTimeoutDays: 9, RateLimit: 5, MaxRateLimit: 100,
			Kinds: []latchward.Kind{personal, service}, RotationDays: 3, SelfRotation: ptr(true),
			Reuse: latchward.ReuseAlert,
		},
		{
			MaxLifetimeDays: 30, ExpiryRequired: true, IdleTimeoutDays: ptr(8), MaxIdleTimeoutDays: 10, RateLimit: 4,
			MaxRateLimit: 200, Kinds: []latchward.Kind{personal}, RotationDays: 4, RotationRequired: true,
			SelfRotation: ptr(false), Reuse: latchward.ReuseRevoke,
		},
		{},
		{MaxLifetimeDays: 31, IdleTimeoutDays: ptr(9), SelfRotation: ptr(true), Reuse: latchward.ReuseDisable},
	}
	want := latchward.LifecycleRules{
		MaxLifetimeDays: 30, ExpiryRequired: true, IdleTimeoutDays: ptr(8), MaxIdleTimeoutDays: 9, RateLimit: 4,
		MaxRateLimit: 100, Kinds: []latchward.Kind{personal}, RotationDays: 3, RotationRequired: true,
		SelfRotation: ptr(false), Reuse: latchward.ReuseRevoke,
	}
	from := map[string]string{
		"max_lifetime_days": "p1", "expiry_required": "p1", "idle_timeout_days": "p1", "max_idle_timeout_days": "p0",
		"rate_limit": "p1", "max_rate_limit": "p0", "kinds": "p1", "rotation_days": "p0", "rotation_required": "p1",
		"self_rotation": "p1", "reuse": "p1",
	}
	for _, order := range [][]int{{0, 1, 2, 3}, {3, 2, 1, 0}, {1, 3, 0, 2}} {
		f := newFixture(t, nil)
		id := f.create(t, latchward.NewToken{}).Token.ID
		for _, n := range order {
			f.policy(t, latchward.NewPolicy{Name: "p" + string(rune('0'+n)), Rules: rules[n]})
		}
		got := must[latchward.EffectiveRules](t)(f.TokenPolicy(f.ctx, id))
		if !reflect.DeepEqual(got.LifecycleRules, want) || !maps.Equal(got.From, from) {
			t.Errorf("in the order %v: %+v, want %+v; from %v, want %v", order, got.LifecycleRules, want, got.From, from)
		}
	}
}

// tokens take the instance's default with them; without any policy that says yes, holders do not rotate.
func TestWithoutPolicies(t *testing.T) {
	f := newFixture(t, func(o *latchward.Options) { o.IdleTimeoutDays = ptr(12) })
	token := f.create(t, latchward.NewToken{}).Token
	rules := must[latchward.EffectiveRules](t)(f.TokenPolicy(f.ctx, token.ID))
	if token.IdleTimeoutDays != 12 || rules.SelfRotationAllowed() || rules.From != nil {
		t.Errorf("idle after %d days, rules %+v", token.IdleTimeoutDays, rules)
	}
}

// B-13: creating costs no read of policies once they are known; verifying never does.
func TestPoliciesAreReadOnce(t *testing.T) {
	counted := &countedPolicies{Store: memory.New()}
	f := newFixture(t, func(o *latchward.Options) { o.Store = counted })
	f.policy(t, latchward.NewPolicy{Name: "a", Rules: latchward.LifecycleRules{RateLimit: 9}})
	secrets := []latchward.Secret{f.create(t, latchward.NewToken{}).Secret}
	before := counted.reads
	for range 5 {
		secrets = append(secrets, f.create(t, latchward.NewToken{}).Secret)
	}
	for _, secret := range secrets {
		_ = must[latchward.Verdict](t)(f.Verify(f.ctx, latchward.VerifyRequest{Secret: secret}))
	}
	if counted.reads != before {
		t.Errorf("%d reads of policies", counted.reads-before)
	}
	f.policy(t, latchward.NewPolicy{Name: "b", Rules: latchward.LifecycleRules{RateLimit: 8}})
	if got := f.create(t, latchward.NewToken{}).Token.RateLimit; got != 8 || counted.reads != before+1 {
		t.Errorf("after a change: limit %d, %d reads", got, counted.reads-before)
	}
}

// B-13: what a policy cannot say.
func TestInvalidPolicies(t *testing.T) {
	f := newFixture(t, nil)
	for field, rules := range map[string]latchward.LifecycleRules{
		"max_lifetime_days": {MaxLifetimeDays: -1}, "max_idle_timeout_days": {MaxIdleTimeoutDays: 3651},
		"rate_limit": {RateLimit: -1}, "max_rate_limit": {MaxRateLimit: latchward.MaxRateLimit + 1},
		"kinds": {Kinds: []latchward.Kind{}}, "rotation_days": {RotationDays: 3651},
		"rotation_required": {RotationRequired: true}, "reuse": {Reuse: "forgive"}, "idle_timeout_days": {IdleTimeoutDays: ptr(-1)},
	} {
		_, err := f.CreatePolicy(f.ctx, latchward.NewPolicy{Name: "p", Rules: rules})
		if latchward.ErrorCode(err) != latchward.CodeInvalid || latchward.ErrorField(err) != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	_, err := f.CreatePolicy(f.ctx, latchward.NewPolicy{Name: "p", Group: "nobody"})
	f.must(t, err, latchward.CodeInvalid)
	f.policy(t, latchward.NewPolicy{Name: "p"})
	_, err = f.CreatePolicy(f.ctx, latchward.NewPolicy{Name: "p"})
	f.must(t, err, latchward.CodeConflict)
	names := []string{}
	for _, p := range must[[]*latchward.LifecyclePolicy](t)(f.Policies(f.ctx)) {
		names = append(names, p.Name)
	}
	if !slices.Equal(names, []string{"p"}) {
		t.Errorf("policies %q", names)
	}
}
