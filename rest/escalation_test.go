package rest_test

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/rest"
)

// shop is a world in which the member may read products and orders, by a role, and owns token 2.
func shop(t *testing.T) *populated {
	w := newPopulated(t)
	_, err := w.service.CreateRole(asAdmin(), latchward.NewRole{Name: "shopper", Permissions: []string{"products.read"}})
	must(t, err)
	w.setRoles("reader", "shopper")
	return w
}

// setRoles gives the member roles, as which they are signed in from then on.
func (p *populated) setRoles(names ...string) {
	u, err := p.service.UpdateUser(asAdmin(), p.member.ID, latchward.UserUpdate{Roles: &names})
	must(p.t, err)
	p.signedIn(memberJWT, u)
}

func (w *world) allows(secret, permission string) bool {
	v, err := w.service.Verify(context.Background(), latchward.VerifyRequest{
		Secret: latchward.SecretFromText(secret), Permissions: []string{permission}, DryRun: true,
	})
	must(w.t, err)
	return v.Allowed()
}

// bar 60, 104: nobody makes or changes a token into more than they hold, and what they lose their tokens lose.
func TestMintAtMostTheMinter(t *testing.T) {
	w := shop(t)
	create := func(body string) string {
		r := w.do(http.MethodPost, "/api/api-tokens", memberJWT, body)
		return decode[rest.TokenReply](t, r, http.StatusCreated).Token.Secret.Expose()
	}
	service := create(`{"kind":"service","permissions":["products.read"]}`)
	for body, want := range map[string]struct {
		status int
		field  string
	}{
		`{"kind":"service","permissions":["administrator"]}`:                   {400, "permissions[0]"},
		`{"kind":"service","permissions":["products.read","products.write"]}`:  {403, "permissions[1]"},
		`{"kind":"service","permissions":["*"]}`:                               {403, "permissions[0]"},
		`{"kind":"service","permissions":["products.*"]}`:                      {403, "permissions[0]"},
		`{"kind":"service","permissions":["*.read"]}`:                          {403, "permissions[0]"},
		`{"kind":"service","permissions":["tokens.verify"]}`:                   {403, "permissions[0]"},
		`{"kind":"service","roles":["administrator"]}`:                         {403, "roles[0]"},
		`{"kind":"service","groups":["ops"]}`:                                  {403, "groups[0]"},
		`{"kind":"service","licenses":["pro"]}`:                                {403, "licenses[0]"},
		`{"owner":{"id":1}}`:                                                   {403, "owner"},
		`{"kind":"service","owner":{"type":"user","id":1},"permissions":[]}`:   {403, "owner"},
		`{"kind":"service","owner":{"type":"group","id":1},"permissions":[]}`:  {403, "owner"},
		`{"kind":"service","owner":{"type":"group","id":99},"permissions":[]}`: {403, "owner"},
		`{"owner_id":1}`: {400, "owner_id"}, `{"org_id":1}`: {400, "org_id"}, `{"hash":"x"}`: {400, "hash"},
		`{"administrator":true}`: {400, "administrator"},
		`{"unbound":true}`:       {400, "unbound"}, `{"rights":{}}`: {400, "rights"}, `{"scope":"admin"}`: {400, "scope"},
	} {
		p := problem(t, w.do(http.MethodPost, "/api/api-tokens", memberJWT, body))
		if p.Status != want.status || p.Field != want.field {
			t.Errorf("POST %s: %+v", body, p)
		}
		if want.field == "owner" {
			body, want.field = strings.Replace(body, `"kind":"service",`, "", 1), "owner"
			want.status = 400 // it cannot be changed
		}
		body = strings.Replace(body, `"kind":"service",`, "", 1)
		p = problem(t, w.do(http.MethodPut, "/api/api-tokens/4", memberJWT, body))
		if p.Status != want.status || listOf(p.Field) != listOf(want.field) { // places are counted among what is new
			t.Errorf("PUT %s: %+v", body, p)
		}
	}
	personal, narrowed := create(`{}`), create(`{"permissions":["*","products.read","tokens.verify","users.*"]}`)
	for secret, name := range map[string]string{service: "service", personal: "personal", narrowed: "narrowed"} {
		if !w.allows(secret, "products.read") || w.allows(secret, "products.write") || w.allows(secret, "tokens.verify") {
			t.Errorf("the %s token holds other permissions than the member", name)
		}
	}
	w.setRoles("reader") // demoted
	for secret, name := range map[string]string{service: "service", personal: "personal", narrowed: "narrowed"} {
		if w.allows(secret, "products.read") {
			t.Errorf("the %s token keeps what the member lost", name)
		}
	}
}

func listOf(field string) string {
	list, _, _ := strings.Cut(field, "[")
	return list
}

// bar 104: an administrator passes no check by being one: what the request says is judged all the same.
func TestAdministratorsAreChecked(t *testing.T) {
	w := shop(t)
	for body, field := range map[string]string{
		`{"kind":"service","permissions":["products"]}`: "permissions[0]", `{"owner":{"id":99}}`: "owner",
		`{"kind":"service","roles":["nobody"]}`: "roles[0]", `{"rate_limit":10000001}`: "rate_limit",
		`{"owner_id":2}`: "owner_id",
	} {
		if p := problem(t, w.do(http.MethodPost, "/api/api-tokens", adminJWT, body)); p.Status != 400 || p.Field != field {
			t.Errorf("%s: %+v", body, p)
		}
	}
}

// X-08, bar 104: a service token that may create tokens makes none with more rights, wider networks, more endpoints, a
// later expiry or a higher limit than it has itself.
func TestTokensMintAtMostThemselves(t *testing.T) {
	w := shop(t)
	parent := w.issue(latchward.NewToken{
		Kind: latchward.KindService, RateLimit: 500, ExpiresAt: start.Add(24 * time.Hour),
		AllowedNetworks:  []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
		AllowedEndpoints: []string{"/api-tokens*", "/products*"},
		Permissions:      []string{"tokens.create", "tokens.update", "tokens.rotate", "tokens.read", "products.read"},
	}).Secret.Expose()
	const within = `"rate_limit":500,"expires_at":"2025-01-16T10:30:00Z","allowed_networks":["192.0.2.128/25"],` +
		`"allowed_endpoints":["/products*"]`
	good := `{"kind":"service","permissions":["products.read"],` + within + `}`
	r := w.do(http.MethodPost, "/api/api-tokens", parent, good)
	child := decode[rest.TokenReply](t, r, http.StatusCreated).Token
	if child.Owner.ID != int64(w.admin.ID) || !w.allowsFrom(child.Secret, "products.read", "192.0.2.200") {
		t.Errorf("%s", r.Body)
	}
	own := fmt.Sprintf("/api/api-tokens/%d", child.ID)
	for from, to := range map[string]struct{ text, field string }{
		`"rate_limit":500`:                       {`"rate_limit":501`, "rate_limit"},
		`"expires_at":"2025-01-16T10:30:00Z"`:    {`"expires_at":"2025-01-16T10:30:01Z"`, "expires_at"},
		`"expires_at":"2025-01-16T10:30:00Z",`:   {`"expires_at":null,`, "expires_at"},
		`"allowed_networks":["192.0.2.128/25"]`:  {`"allowed_networks":["192.0.2.0/23"]`, "allowed_networks"},
		`"allowed_networks":["192.0.2.128/25"],`: {`"allowed_networks":[],`, "allowed_networks"},
		`"allowed_endpoints":["/products*"]`:     {`"allowed_endpoints":["/products*","/orders"]`, "allowed_endpoints"},
		`,"allowed_endpoints":["/products*"]`:    {`,"allowed_endpoints":null`, "allowed_endpoints"},
		`"permissions":["products.read"]`:        {`"permissions":["products.read","orders.read"]`, "permissions[1]"},
		`{"kind":"service","permissions":`:       {`{"kind":"service","roles":["administrator"],"permissions":`, "roles[0]"},
		`{"kind":"service","permissions":["prod`: {`{"kind":"service","permissions":["tokens.create","prod`, "permissions"},
		`"kind":"service","permissions":["produ`: {`"kind":"service","groups":["ops"],"permissions":["produ`, "groups[0]"},
		`"kind":"service","permissions":["produc`: {`"kind":"service","licenses":["pro"],"permissions":["produc`,
			"licenses[0]"},
	} {
		body := strings.Replace(good, from, to.text, 1)
		if p := problem(t, w.do(http.MethodPost, "/api/api-tokens", parent, body)); p.Status != 403 || p.Field != to.field {
			t.Errorf("POST %s: %+v", body, p)
		}
		body = strings.Replace(body, `"kind":"service",`, "", 1)
		if p := problem(t, w.do(http.MethodPut, own, parent, body)); p.Status != 403 || listOf(p.Field) != listOf(to.field) {
			t.Errorf("PUT %s: %+v", body, p)
		}
	}
	for _, target := range []string{"/api/api-tokens/1/rotate", "/api/api-tokens/3/rotate"} { // more than the parent
		if r := w.do(http.MethodPost, target, parent, ""); r.Code != http.StatusForbidden {
			t.Errorf("%s: status %d: %s", target, r.Code, r.Body)
		}
	}
	decode[rest.TokenReply](t, w.do(http.MethodPost, own+"/rotate", parent, ""), http.StatusOK)
}

func (w *world) allowsFrom(secret rest.PlainSecret, permission, address string) bool {
	v, err := w.service.Verify(context.Background(), latchward.VerifyRequest{
		Secret: secret.Secret, Permissions: []string{permission}, Address: netip.MustParseAddr(address), Method: "GET",
		Path: "/products", DryRun: true,
	})
	must(w.t, err)
	return v.Allowed()
}

// what restricts a token restricts it here, too, and its calls are usage of it and are on record as its own.
func TestManagingTokensAreRestricted(t *testing.T) {
	w := newPopulated(t)
	read := []string{"tokens.read", "tokens.revoke"}
	for name, c := range map[string]struct {
		n      latchward.NewToken
		status int
		code   string
	}{
		"endpoint": {latchward.NewToken{AllowedEndpoints: []string{"/products*"}}, 403, "endpoint_not_allowed"},
		"method":   {latchward.NewToken{AllowedEndpoints: []string{"POST /api-tokens"}}, 403, "endpoint_not_allowed"},
		"network": {latchward.NewToken{AllowedNetworks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}, 403,
			"address_not_allowed"},
		"expiry":   {latchward.NewToken{ExpiresAt: start.Add(-time.Hour)}, 401, "expired"},
		"wildcard": {latchward.NewToken{Permissions: []string{"*", "*.read"}}, 403, "forbidden"},
	} {
		c.n.Kind = latchward.KindService
		if c.n.Permissions == nil {
			c.n.Permissions = read
		}
		r := w.do(http.MethodGet, "/api/api-tokens", w.issue(c.n).Secret.Expose(), "")
		if p := problem(t, r); p.Status != c.status || p.Code != c.code {
			t.Errorf("%s: %+v", name, p)
		}
	}
	issued := w.issue(latchward.NewToken{Kind: latchward.KindService, Permissions: read, RateLimit: 2})
	secret := issued.Secret.Expose()
	decode[rest.TokenList](t, w.do(http.MethodGet, "/api/api-tokens", secret, ""), http.StatusOK)
	decode[rest.TokenReply](t, w.do(http.MethodPost, "/api/api-tokens/2/revoke", secret, ""), http.StatusOK)
	if r := w.do(http.MethodGet, "/api/api-tokens", secret, ""); r.Code != http.StatusTooManyRequests {
		t.Errorf("over its limit: status %d", r.Code)
	}
	usage, err := w.service.TokenUsage(asAdmin(), issued.Token.ID, 1)
	must(t, err)
	if len(usage.Recent) != 3 || usage.Recent[1].Endpoint != "/api-tokens/2/revoke" || usage.Recent[1].Status != 200 {
		t.Errorf("usage %+v", usage.Recent)
	}
	entries, err := w.service.AuditEntries(asAdmin(), latchward.AuditFilter{Action: latchward.ActionTokenRevoke})
	must(t, err)
	if a := entries[0].Actor; a.Type != latchward.PrincipalToken || a.ID != int64(issued.Token.ID) {
		t.Errorf("actor %+v", a)
	}
}

// bar 105: what nobody can set is refused by its name on every route that takes a body, and nothing changes.
func TestMassAssignment(t *testing.T) {
	eachRoute(t, func(t *testing.T, w *populated, r rest.RouteInfo, c routeCase) {
		if !r.Body {
			return
		}
		if c.needs != nil {
			c.needs(w)
		}
		before := w.everything()
		for _, name := range []string{
			"id", "hash", "owner_id", "created_at", "updated_at", "last_used_at", "usage", "pepper_id", "built_in",
			"seats_taken", "removed_at", "revision", "__proto__", "constructor",
		} {
			body := strings.TrimSuffix(c.body, "}") + `,"` + name + `":1}`
			if c.body == "" || c.body == "{}" {
				body = `{"` + name + `":1}`
			}
			p := problem(t, w.do(r.Method, c.target, w.bearer(r), body))
			if p.Status != http.StatusBadRequest || p.Field != name {
				t.Errorf("%s: %+v", body, p)
			}
		}
		if after := w.everything(); after != before {
			t.Error("something has changed")
		}
	})
}

// everything returns all records as an administrator sees them; of the token that may call, its calls would tell.
func (w *world) everything() string {
	var text strings.Builder
	for _, target := range []string{
		"/api/api-tokens/1", "/api/api-tokens/2", "/api/api-tokens/4", "/api/latchward/users", "/api/latchward/roles",
		"/api/latchward/groups", "/api/latchward/licenses", "/api/latchward/permissions", "/api/latchward/keys",
		"/api/latchward/audit",
	} {
		text.WriteString(w.do(http.MethodGet, target, adminJWT, "").Body.String())
	}
	return text.String()
}
