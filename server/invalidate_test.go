package server_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/rest"
)

// victim is a token in use whose owner owns nothing else.
type victim struct {
	user, id int64
	secret   string
}

// invalidations are the changes after which a token that was just allowed must be refused, with the gateway's status
// and the reason of the verdict.
var invalidations = map[string]struct {
	change func(ctx context.Context, c *rest.Client, v victim) error
	status int
	reason latchward.Reason
}{
	"disable": {func(ctx context.Context, c *rest.Client, v victim) error {
		_, err := c.UpdateToken(ctx, v.id, rest.TokenChange{Active: new(bool)})
		return err
	}, 401, latchward.ReasonDisabled},
	"expire": {func(ctx context.Context, c *rest.Client, v victim) error {
		_, err := c.UpdateToken(ctx, v.id, rest.TokenChange{ExpiresAt: rest.Some(rest.Time{Time: time.Unix(1, 0)})})
		return err
	}, 401, latchward.ReasonExpired},
	"restrict endpoints": {func(ctx context.Context, c *rest.Client, v victim) error {
		_, err := c.UpdateToken(ctx, v.id, rest.TokenChange{AllowedEndpoints: rest.Some([]string{"/stores"})})
		return err
	}, 403, latchward.ReasonEndpointNotAllowed},
	"restrict networks": {func(ctx context.Context, c *rest.Client, v victim) error {
		_, err := c.UpdateToken(ctx, v.id, rest.TokenChange{AllowedNetworks: rest.Some([]string{"192.0.2.0/24"})})
		return err
	}, 403, latchward.ReasonAddressNotAllowed},
	"rotate": {func(ctx context.Context, c *rest.Client, v victim) error {
		_, err := c.RotateToken(ctx, v.id, rest.Rotation{})
		return err
	}, 401, latchward.ReasonRotated},
	"revoke": {func(ctx context.Context, c *rest.Client, v victim) error {
		_, err := c.RevokeToken(ctx, v.id, rest.Revocation{Reason: rest.Some("lost")})
		return err
	}, 401, latchward.ReasonRevoked},
	"revoke by possession": {func(ctx context.Context, c *rest.Client, v victim) error {
		_, err := c.RevokeHeld(ctx, latchward.SecretFromText(v.secret))
		return err
	}, 401, latchward.ReasonRevoked},
	"delete": {func(ctx context.Context, c *rest.Client, v victim) error {
		_, err := c.DeleteToken(ctx, v.id)
		return err
	}, 401, latchward.ReasonNotFound},
	"disable the owner": {func(ctx context.Context, c *rest.Client, v victim) error {
		_, err := c.UpdateUser(ctx, v.user, rest.UserChange{Active: new(bool)})
		return err
	}, 401, latchward.ReasonOwnerDisabled},
	"remove the owner": {func(ctx context.Context, c *rest.Client, v victim) error {
		_, err := c.RemoveUser(ctx, v.user)
		return err
	}, 401, latchward.ReasonRevoked},
}

// bar 50, 51: whoever invalidates a token, and in whatever way, the very next request is refused, wherever it comes.
func TestWhoInvalidates(t *testing.T) {
	r := start(t, settings(t, folder(t), "upstreams", upstream(t)))
	ways := map[string]*rest.Client{"management API": r.administrator(t), "command line": local(t, r.config)}
	verifier := r.verifier(t)
	gateway := func(t *testing.T, v victim, status int, _ latchward.Reason) {
		get(t, r.URL()+"/api/products", "Bearer "+v.secret).want(t, "gateway", status)
	}
	verify := func(t *testing.T, v victim, _ int, reason latchward.Reason) {
		r.verify(t, verifier, v.secret, reason)
	}
	type ask func(t *testing.T, v victim, status int, reason latchward.Reason)
	for name, i := range invalidations {
		for way, client := range ways {
			for first, asks := range map[string][]ask{"gateway": {gateway, verify}, "verify API": {verify, gateway}} {
				t.Run(name+" by "+way+", seen by "+first, func(t *testing.T) {
					v := r.victim(t)
					for _, ask := range asks {
						ask(t, v, 200, latchward.ReasonAllowed)
					}
					if err := i.change(t.Context(), client, v); err != nil {
						t.Fatal(err)
					}
					for _, ask := range asks {
						ask(t, v, i.status, i.reason)
					}
				})
			}
		}
	}
}

// bar 51, 136: dropping a server key refuses every secret that was made under it, and no other.
func TestDroppedKeyInvalidates(t *testing.T) {
	r := start(t, settings(t, folder(t), "upstreams", upstream(t)))
	old := r.victim(t)
	client := local(t, r.config)
	if _, err := client.RotateKey(t.Context()); err != nil {
		t.Fatal(err)
	}
	new := r.victim(t)
	get(t, r.URL()+"/api/products", "Bearer "+old.secret).want(t, "before", 200)
	get(t, r.URL()+"/api/products", "Bearer "+new.secret).want(t, "before", 200)
	if _, err := client.DropKey(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	get(t, r.URL()+"/api/products", "Bearer "+old.secret).want(t, "under the dropped key", 401)
	get(t, r.URL()+"/api/products", "Bearer "+new.secret).want(t, "under the new key", 200)
}

// victim creates a token that anybody may use for anything.
func (r *running) victim(t *testing.T) victim {
	t.Helper()
	user, err := r.administrator(t).CreateUser(t.Context(), rest.NewUser{Name: rest.Some("Vic")})
	if err != nil {
		t.Fatal(err)
	}
	owner := rest.TokenOwner{Type: latchward.OwnerUser, ID: user.User.ID}
	id, secret := r.token(t, rest.NewToken{Owner: rest.Some(owner)})
	return victim{user.User.ID, id, secret}
}

// verifier returns a client that may ask for verdicts.
func (r *running) verifier(t *testing.T) *rest.Client {
	t.Helper()
	_, secret := r.token(t, rest.NewToken{
		Kind: rest.Some(latchward.KindService), Permissions: rest.Some([]string{latchward.PermissionVerify}),
		RateLimit: rest.Some[int64](latchward.MaxRateLimit),
	})
	client, err := rest.NewClient(r.URL(), rest.ClientOptions{Token: latchward.SecretFromText(secret)})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// verify asks the verify API about a request like the one that is sent to the gateway.
func (r *running) verify(t *testing.T, verifier *rest.Client, secret string, want latchward.Reason) {
	t.Helper()
	verdict, err := verifier.Verify(t.Context(), latchward.VerifyRequest{
		Secret: latchward.SecretFromText(secret), Method: "GET", Path: "/products", Address: netip.MustParseAddr("127.0.0.1"),
	})
	if err != nil || verdict.Reason != want {
		t.Errorf("verify API: %q, %v, want %q", verdict.Reason, err, want)
	}
}

// Times at the ends of what is accepted: a token may end at the end of 9999, begin then, or have ended in 1970.
func TestDistantTimes(t *testing.T) {
	r := start(t, settings(t, folder(t), "upstreams", upstream(t)))
	verifier := r.verifier(t)
	for _, test := range []struct {
		name   string
		change rest.TokenChange
		status int
		reason latchward.Reason
	}{
		{"ends in 9999", rest.TokenChange{ExpiresAt: rest.Some(dateOf(9999))}, 200, latchward.ReasonAllowed},
		{"ends in 2263", rest.TokenChange{ExpiresAt: rest.Some(dateOf(2263))}, 200, latchward.ReasonAllowed},
		{"begins in 9999", rest.TokenChange{NotBefore: rest.Some(dateOf(9999))}, 401, latchward.ReasonNotYetValid},
		{"begins in 2500", rest.TokenChange{NotBefore: rest.Some(dateOf(2500))}, 401, latchward.ReasonNotYetValid},
		{"ended in 1970", rest.TokenChange{ExpiresAt: rest.Some(dateOf(1970))}, 401, latchward.ReasonExpired},
		{"began in 1970", rest.TokenChange{NotBefore: rest.Some(dateOf(1970))}, 200, latchward.ReasonAllowed},
	} {
		t.Run(test.name, func(t *testing.T) {
			id, secret := r.token(t, rest.NewToken{})
			if _, err := r.administrator(t).UpdateToken(t.Context(), id, test.change); err != nil {
				t.Fatal(err)
			}
			get(t, r.URL()+"/api/products", "Bearer "+secret).want(t, "gateway", test.status)
			r.verify(t, verifier, secret, test.reason)
		})
	}
}

// dateOf returns the first instant of a year.
func dateOf(year int) rest.Time { return rest.Time{Time: time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)} }
