package latchward_test

import (
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/latchward/latchward"
)

// A verdict tells the same about a token whether it was read just now or is remembered, refused or let through.
func TestVerdictTellsTheToken(t *testing.T) {
	f := newFixture(t, nil)
	owner := latchward.Owner{Type: latchward.OwnerUser, ID: int64(f.owner)}
	metadata := map[string]any{"plan": "gold"}
	for name, c := range map[string]struct {
		n    latchward.NewToken
		want latchward.VerdictToken
	}{
		"plain": {latchward.NewToken{Name: "a"}, latchward.VerdictToken{Name: "a", Kind: latchward.KindPersonal}},
		"narrowed to nothing": {
			latchward.NewToken{Name: "b", Permissions: []string{}},
			latchward.VerdictToken{Name: "b", Kind: latchward.KindPersonal, Permissions: []string{}},
		},
		"service": {
			latchward.NewToken{Name: "c", Kind: latchward.KindService, Permissions: []string{"orders.read"}, Metadata: metadata},
			latchward.VerdictToken{
				Name: "c", Kind: latchward.KindService, Permissions: []string{"orders.read"}, Metadata: metadata,
			},
		},
		"restricted by method": {
			latchward.NewToken{Name: "d", AllowedEndpoints: []string{"/products", "GET /stores"}},
			latchward.VerdictToken{Name: "d", Kind: latchward.KindPersonal, MethodMatters: true},
		},
		"restricted by path": {
			latchward.NewToken{Name: "e", AllowedEndpoints: []string{"/products"}, Metadata: metadata},
			latchward.VerdictToken{Name: "e", Kind: latchward.KindPersonal, Metadata: metadata},
		},
	} {
		issued := f.create(t, c.n)
		c.want.ID, c.want.Owner = issued.Token.ID, owner
		c.want.Owner.Name = issued.Token.Owner.Name
		for _, path := range []string{"/products", "/products", "/orders"} {
			v, err := f.Verify(f.ctx, latchward.VerifyRequest{Secret: issued.Secret, Method: "GET", Path: path})
			if err != nil || !reflect.DeepEqual(v.Token, c.want) {
				t.Errorf("%s: %+v, %v; want %+v", name, v.Token, err, c.want)
			}
		}
	}
}

// C-09, bar 104: a service token that manages tokens gives none of them more than it has itself, as of now.
func TestTokensGiveNoMoreThanTheyHave(t *testing.T) {
	f := newFixture(t, nil)
	network := netip.MustParsePrefix("10.0.0.0/8")
	manager := f.create(t, latchward.NewToken{
		Kind: latchward.KindService, Permissions: []string{latchward.PermissionTokensCreate}, RateLimit: 50,
		AllowedEndpoints: []string{"/stores"}, AllowedNetworks: []netip.Prefix{network}, ExpiresAt: f.clock().Add(time.Hour),
	})
	ctx := latchward.WithPrincipal(t.Context(), latchward.Principal{
		Type: latchward.PrincipalToken, ID: int64(manager.Token.ID),
		Rights: latchward.NewRights(latchward.RightsFacts{
			Permissions: []string{latchward.PermissionTokensCreate}, Reserved: true,
		}),
	})
	inside := latchward.NewToken{
		Kind: latchward.KindService, RateLimit: 50, AllowedEndpoints: []string{"/stores"},
		AllowedNetworks: []netip.Prefix{netip.MustParsePrefix("10.2.0.0/16")}, ExpiresAt: f.clock().Add(time.Hour),
	}
	issued, err := f.CreateToken(ctx, inside)
	if err != nil || !issued.Token.Owner.Is(manager.Token.Owner) {
		t.Fatalf("%+v, %v", issued.Token, err)
	}
	for field, widen := range map[string]func(*latchward.NewToken){
		"allowed_endpoints": func(n *latchward.NewToken) { n.AllowedEndpoints = nil },
		"allowed_networks":  func(n *latchward.NewToken) { n.AllowedNetworks = nil },
		"expires_at":        func(n *latchward.NewToken) { n.ExpiresAt = time.Time{} },
		"rate_limit":        func(n *latchward.NewToken) { n.RateLimit = 51 },
	} {
		n := inside
		widen(&n)
		_, err := f.CreateToken(ctx, n)
		if latchward.ErrorCode(err) != latchward.CodeForbidden || latchward.ErrorField(err) != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	less := int64(49)
	if _, err := f.UpdateToken(f.ctx, manager.Token.ID, latchward.TokenUpdate{RateLimit: &less}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.CreateToken(ctx, inside); latchward.ErrorField(err) != "rate_limit" {
		t.Errorf("more than it has since a moment ago: %v", err)
	}
	if err := f.DeleteToken(f.ctx, manager.Token.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := f.CreateToken(ctx, inside); latchward.ErrorCode(err) != latchward.CodeForbidden {
		t.Errorf("a deleted token created one: %v", err)
	}
}
