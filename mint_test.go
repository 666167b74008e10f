package latchward_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/latchward/latchward"
)

// mint is a world in which a service token makes others, by every way there is.
type mint struct {
	*fixture
	t      *testing.T
	random *rand.Rand
	parent *latchward.Token
	ctx    context.Context // in which the parent acts
	made   map[latchward.TokenID]bool
	done   int
}

// bar 104, C-09: whatever a service token asks for, no token that it makes or changes lives longer, may do more, or
// comes from further than it does itself, or belongs to somebody else; nor does any escape the policy over it.
func TestNobodyMintsMoreThanTheyHave(t *testing.T) {
	seeds := 40
	if os.Getenv("LATCHWARD_SCALE") == "full" {
		seeds = 4000
	}
	done := 0
	for seed := range uint64(seeds) {
		m := newMint(t, seed)
		for range 30 {
			m.step()
			m.check(seed)
		}
		if done += m.done; t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	if done < 3*seeds {
		t.Errorf("only %d changes were let through in %d worlds: the test proves nothing", done, seeds)
	}
}

func newMint(t *testing.T, seed uint64) *mint {
	f := newFixture(t, nil)
	m := &mint{fixture: f, t: t, random: rand.New(rand.NewPCG(seed, 104)), made: map[latchward.TokenID]bool{}}
	f.policy(t, latchward.NewPolicy{Name: "strict", Rules: latchward.LifecycleRules{
		MaxRateLimit: 400, MaxLifetimeDays: 200, MaxIdleTimeoutDays: 100,
	}})
	m.parent = f.create(t, latchward.NewToken{
		Kind: latchward.KindService, RateLimit: 300, ExpiresAt: f.clock().Add(90 * day),
		Permissions:      []string{"tokens.create", "tokens.update", "tokens.rotate", "tokens.import", "tokens.read", "docs.*"},
		AllowedNetworks:  []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
		AllowedEndpoints: []string{"/docs*", "GET /books"},
	}).Token
	rights := must[latchward.EffectiveRights](t)(f.TokenRights(f.ctx, m.parent.ID)).Rights
	m.ctx = latchward.WithPrincipal(context.Background(), latchward.Principal{
		Type: latchward.PrincipalToken, ID: int64(m.parent.ID), Name: "parent", Rights: rights,
	})
	return m
}

// some draws one of a list.
func some[T any](m *mint, list ...T) T { return list[m.random.IntN(len(list))] }

func (m *mint) wanted() latchward.NewToken {
	network := func(text string) []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix(text)} }
	return latchward.NewToken{
		Name: "child", Kind: some(m, latchward.KindService, latchward.KindService, latchward.KindPersonal),
		RateLimit: some(m, int64(0), 10, 300, 301, 400, 500),
		ExpiresAt: some(m, time.Time{}, m.clock().Add(day), m.parent.ExpiresAt, m.parent.ExpiresAt.Add(time.Millisecond)),
		AllowedNetworks: some(m, nil, network("10.1.0.0/16"), network("10.0.0.0/8"), network("0.0.0.0/0"),
			network("11.0.0.0/8"), append(network("10.0.0.1/32"), network("192.0.2.0/24")...)),
		AllowedEndpoints: some(m, nil, []string{"/docs*"}, []string{"GET /books"}, []string{"/docs*", "/admin*"}),
		Permissions:      some(m, []string{}, []string{"docs.read"}, []string{"docs.*"}, []string{"*"}, []string{"users.read"}),
		Roles:            some(m, nil, nil, []string{"administrator"}),
		Owner:            some(m, nil, nil, &latchward.Owner{Type: latchward.OwnerUser, ID: 99}),
		IdleTimeoutDays:  some(m, nil, ptr(0), ptr(100), ptr(101)),
	}
}

// step tries one way to a token.
func (m *mint) step() {
	n := m.wanted()
	var err error
	ids := []latchward.TokenID{m.parent.ID}
	for id := range m.made {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	id := some(m, ids...)
	switch m.random.IntN(6) {
	case 0, 1:
		n.RequestKey = some(m, "", "a", "b")
		var issued latchward.IssuedToken
		if issued, err = m.CreateToken(m.ctx, n); err == nil {
			m.made[issued.Token.ID] = true
		}
	case 2, 3:
		u := latchward.TokenUpdate{}
		switch m.random.IntN(5) {
		case 0:
			u.RateLimit = &n.RateLimit
		case 1:
			u.ExpiresAt = &n.ExpiresAt
		case 2:
			u.AllowedNetworks = &n.AllowedNetworks
		case 3:
			u.AllowedEndpoints = &n.AllowedEndpoints
		case 4:
			u.Permissions = &n.Permissions
		}
		_, err = m.UpdateToken(m.ctx, id, u)
	case 4:
		_, err = m.RotateToken(m.ctx, id, latchward.Rotation{})
	case 5:
		count := int64(m.random.IntN(len(ids) + 1))
		_, err = m.BulkTokens(m.ctx, latchward.Bulk{
			Action: latchward.BulkExtend, Filter: latchward.TokenFilter{Query: "child"}, Count: &count, SkipRefused: true,
			ExpiresAt: some(m, m.clock().Add(2*day), m.parent.ExpiresAt, m.parent.ExpiresAt.Add(time.Hour)),
		})
	}
	switch code := latchward.ErrorCode(err); {
	case err == nil:
		m.done++
	case code == latchward.CodeInternal || code == latchward.CodeUnavailable:
		m.t.Fatal(err)
	}
}

// check looks at every token that the parent made.
func (m *mint) check(seed uint64) {
	own := must[*latchward.Token](m.t)(m.Token(m.fixture.ctx, m.parent.ID))
	if own.RateLimit > 300 || own.ExpiresAt.After(m.parent.ExpiresAt) || own.ExpiresAt.IsZero() {
		m.t.Errorf("seed %d: the token widened itself: %+v", seed, own)
	}
	for id := range m.made {
		token := must[*latchward.Token](m.t)(m.Token(m.fixture.ctx, id))
		var faults []string
		fault := func(is bool, format string, args ...any) {
			if is {
				faults = append(faults, fmt.Sprintf(format, args...))
			}
		}
		fault(token.RateLimit > 300, "limit %d", token.RateLimit)
		fault(token.ExpiresAt.IsZero() || token.ExpiresAt.After(m.parent.ExpiresAt), "expiry %v", token.ExpiresAt)
		fault(token.Owner.ID != m.parent.Owner.ID || token.Owner.Type != m.parent.Owner.Type, "owner %v", token.Owner)
		fault(len(token.AllowedNetworks) == 0, "all networks")
		for _, network := range token.AllowedNetworks {
			fault(network.Bits() < 8 || !m.parent.AllowedNetworks[0].Contains(network.Addr()), "network %v", network)
		}
		fault(len(token.AllowedEndpoints) == 0, "all endpoints")
		for _, pattern := range token.AllowedEndpoints {
			fault(!slices.Contains(m.parent.AllowedEndpoints, pattern), "endpoint %s", pattern)
		}
		fault(token.IdleTimeoutDays == 0 || token.IdleTimeoutDays > 100, "idle timeout %d", token.IdleTimeoutDays)
		rights := must[latchward.EffectiveRights](m.t)(m.TokenRights(m.fixture.ctx, id)).Rights
		for _, permission := range []string{"users.read", "tokens.create", "orders.read"} {
			fault(token.Kind == latchward.KindService && rights.Has(permission), "permission %s", permission)
		}
		fault(rights.HasRole("administrator"), "administrator")
		if len(faults) > 0 {
			m.t.Errorf("seed %d: token %d has %v", seed, id, faults)
		}
	}
}

// bar 104, bar 60: a person who makes tokens is bound by the policies whichever way they go, and what they lose, their
// tokens lose.
func TestMembersMintWithinPolicies(t *testing.T) {
	f := newFixture(t, nil)
	must[*latchward.Role](t)(f.CreateRole(f.ctx, latchward.NewRole{Name: "clerk", Permissions: []string{"orders.read"}}))
	ben := f.user(t, latchward.NewUser{Name: "Ben", Roles: []string{"clerk"}})
	f.policy(t, latchward.NewPolicy{Name: "strict", Rules: latchward.LifecycleRules{MaxRateLimit: 50, MaxLifetimeDays: 10}})
	ctx := f.person(t, ben.ID)
	for field, n := range map[string]latchward.NewToken{
		"rate_limit": {RateLimit: 51}, "expires_at": {ExpiresAt: f.clock().Add(11 * day)},
		"owner":          {Owner: &latchward.Owner{Type: latchward.OwnerUser, ID: int64(f.owner)}},
		"roles[0]":       {Kind: latchward.KindService, Roles: []string{"administrator"}},
		"permissions[0]": {Kind: latchward.KindService, Permissions: []string{"orders.write"}},
	} {
		if _, err := f.CreateToken(ctx, n); latchward.ErrorField(err) != field {
			t.Errorf("creating with another %s: %v", field, err)
		}
	}
	token := must[latchward.IssuedToken](t)(f.CreateToken(ctx, latchward.NewToken{}))
	for field, u := range map[string]latchward.TokenUpdate{
		"rate_limit": {RateLimit: ptr(int64(51))}, "expires_at": {ExpiresAt: ptr(f.clock().Add(11 * day))},
	} {
		if _, err := f.UpdateToken(ctx, token.Token.ID, u); latchward.ErrorField(err) != field {
			t.Errorf("changing %s: %v", field, err)
		}
	}
	allowed := func() bool {
		v := must[latchward.Verdict](t)(f.Verify(f.ctx, latchward.VerifyRequest{
			Secret: token.Secret, Permissions: []string{"orders.read"},
		}))
		return v.Allowed()
	}
	if !allowed() {
		t.Error("the token does not hold what its owner holds")
	}
	must[*latchward.User](t)(f.UpdateUser(f.ctx, ben.ID, latchward.UserUpdate{Roles: &[]string{}}))
	if allowed() {
		t.Error("the token holds what its owner lost")
	}
}
