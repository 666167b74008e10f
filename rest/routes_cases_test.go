package rest_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/rest"
)

// keyManager keeps the server keys nowhere.
type keyManager struct {
	service *latchward.Service
	made    int
}

func (m *keyManager) RotateKey(ctx context.Context) error {
	m.made++
	ring, err := m.service.Keys().Rotate(strings.NewReader(fmt.Sprintf("key %060d", m.made)), start)
	if err != nil {
		return err
	}
	return m.service.UseKeys(ctx, ring)
}

func (m *keyManager) DropKey(ctx context.Context, version int) error {
	ring, err := m.service.Keys().Drop(version)
	if err != nil {
		return err
	}
	return m.service.UseKeys(ctx, ring)
}

// populated is a world in which token 1 is the administrator's, token 2 the member's, token 3 verifies, and server key
// 1 is retired.
type populated struct {
	*world
	tokens [4]latchward.IssuedToken
}

func newPopulated(t testing.TB) *populated {
	t.Helper()
	keys := &keyManager{}
	p := &populated{world: newWorld(t, func(_ *latchward.Options, o *rest.Options) { o.Keys = keys })}
	keys.service = p.service
	must(t, keys.RotateKey(asAdmin()))
	p.tokens[1] = p.issue(latchward.NewToken{Name: "Mine"})
	p.tokens[2] = p.issue(latchward.NewToken{
		Name: "Theirs", Owner: &latchward.Owner{Type: latchward.OwnerUser, ID: int64(p.member.ID)},
	})
	p.tokens[3] = p.verifier()
	return p
}

// routeCase says how a route answers.
type routeCase struct {
	target  string // that succeeds, with body
	body    string
	status  int              // 0 = 200
	invalid []invalidCase    // each is 400 and names the field
	gone    string           // target that is 404
	member  int              // status for a member; 0 = 200
	needs   func(*populated) // prepares success
}

type invalidCase struct{ target, body, field string }

// routeCases has one entry for each route, by operation id.
var routeCases = map[string]routeCase{
	"createToken": {
		target: "/api/api-tokens", body: `{"name":"New"}`, status: 201, member: 201,
		invalid: []invalidCase{
			{body: `{"name":"` + strings.Repeat("x", 256) + `"}`, field: "name"},
			{body: `{"kind":"robot"}`, field: "kind"},
			{target: "/api/api-tokens?expand=*", body: `{}`, field: "expand"},
		},
	},
	"listTokens": {
		target: "/api/api-tokens?limit=1&sort=name&order=asc&status=active&kind=personal&q=i&unused_since=2030-01-01",
		invalid: []invalidCase{
			{target: "/api/api-tokens?limit=0", field: "limit"},
			{target: "/api/api-tokens?limit=1001", field: "limit"},
			{target: "/api/api-tokens?limit=1000000000", field: "limit"},
			{target: "/api/api-tokens?limit=-1", field: "limit"},
			{target: "/api/api-tokens?limit=1.5", field: "limit"},
			{target: "/api/api-tokens?limit=%201", field: "limit"},
			{target: "/api/api-tokens?limit=null", field: "limit"},
			{target: "/api/api-tokens?limit=1&limit=2", field: "limit"},
			{target: "/api/api-tokens?sort=token", field: "sort"},
			{target: "/api/api-tokens?sort=id;drop", field: ""},
			{target: "/api/api-tokens?order=up", field: "order"},
			{target: "/api/api-tokens?status=dead", field: "status"},
			{target: "/api/api-tokens?kind=root", field: "kind"},
			{target: "/api/api-tokens?owner=ada", field: "owner"},
			{target: "/api/api-tokens?unused_since=yesterday", field: "unused_since"},
			{target: "/api/api-tokens?expires_before=2026-13-01", field: "expires_before"},
			{target: "/api/api-tokens?cursor=AAAA", field: "cursor"},
			{target: "/api/api-tokens?fields=secret", field: "fields"},
		},
	},
	"usageOverview": {
		target: "/api/api-tokens/stats/overview?days=365",
		invalid: []invalidCase{
			{target: "/api/api-tokens/stats/overview?days=0", field: "days"},
			{target: "/api/api-tokens/stats/overview?days=366", field: "days"},
			{target: "/api/api-tokens/stats/overview?days=7%27%20OR%201=1", field: "days"},
		},
	},
	"getToken": {
		target: "/api/api-tokens/2", gone: "/api/api-tokens/99", invalid: []invalidCase{
			{target: "/api/api-tokens/abc", field: "id"},
			{target: "/api/api-tokens/-1", field: "id"},
			{target: "/api/api-tokens/+1", field: "id"},
			{target: "/api/api-tokens/1.0", field: "id"},
			{target: "/api/api-tokens/%31", field: "id"},
			{target: "/api/api-tokens/1'%20OR%201=1", field: "id"},
			{target: "/api/api-tokens/2?expand=token", field: "expand"},
		},
	},
	"updateToken": {
		target: "/api/api-tokens/2", body: `{"description":"x"}`, gone: "/api/api-tokens/99",
		invalid: []invalidCase{{body: `{"rate_limit":0}`, field: "rate_limit"}, {body: `{"active":null}`, field: "active"}},
	},
	"deleteToken": {target: "/api/api-tokens/2", gone: "/api/api-tokens/99"},
	"tokenUsage": {
		target: "/api/api-tokens/2/usage?days=1", gone: "/api/api-tokens/99/usage",
		invalid: []invalidCase{
			{target: "/api/api-tokens/2/usage?days=x", field: "days"}, {target: "/api/api-tokens/x/usage", field: "id"},
		},
	},
	"revokeToken": {
		target: "/api/api-tokens/2/revoke", body: `{"reason":"lost"}`, gone: "/api/api-tokens/99/revoke",
		invalid: []invalidCase{
			{body: `{"reason":"` + strings.Repeat("x", 256) + `"}`, field: "reason"},
			{target: "/api/api-tokens/two/revoke", field: "id"},
		},
	},
	"rotateToken": {
		target: "/api/api-tokens/2/rotate", gone: "/api/api-tokens/99/rotate",
		invalid: []invalidCase{
			{body: `{"grace_seconds":60}`, field: "grace_seconds"}, {target: "/api/api-tokens/2.5/rotate", field: "id"},
		},
	},
	"verify": {
		target: "/api/latchward/verify", body: `{"token":"x"}`,
		invalid: []invalidCase{{body: `{}`, field: "token"}, {body: `{"token":1}`, field: "token"}},
	},
	"verifyBatch": {
		target: "/api/latchward/verify/batch", body: `{"requests":[{"token":"x"}]}`,
		invalid: []invalidCase{{body: `{"requests":[]}`, field: "requests"}, {body: `{}`, field: "requests"}},
	},
	"reportUsage": {
		target: "/api/latchward/usage",
		body:   `{"events":[{"request_id":"r1","token_id":2,"path":"/products","method":"GET","status":200}]}`,
		invalid: []invalidCase{{body: `{"events":[]}`, field: "events"}, {body: `{"events":[{}]}`,
			field: "events[0].request_id"}},
	},
	"listUsers": {
		target: "/api/latchward/users?limit=1&q=a&include_removed=true", member: 403,
		invalid: []invalidCase{
			{target: "/api/latchward/users?include_removed=yes", field: "include_removed"},
			{target: "/api/latchward/users?cursor=x", field: "cursor"},
		},
	},
	"createUser": {
		target: "/api/latchward/users", body: `{"email":"eve@example.com","administrator":true}`, status: 201, member: 403,
		invalid: []invalidCase{
			{body: `{}`, field: "email"}, {body: `{"email":"nobody"}`, field: "email"},
			{body: `{"name":"x","administrator":"yes"}`, field: "administrator"}, {body: `{"name":"x","id":9}`, field: "id"},
		},
	},
	"getUser": {
		target: "/api/latchward/users/2", gone: "/api/latchward/users/99",
		invalid: []invalidCase{{target: "/api/latchward/users/max", field: "id"}},
	},
	"updateUser": {
		target: "/api/latchward/users/2", body: `{"active":false}`, gone: "/api/latchward/users/99", member: 403,
		invalid: []invalidCase{{body: `{"active":null}`, field: "active"}, {body: `{"removed_at":null}`,
			field: "removed_at"}},
	},
	"removeUser": {target: "/api/latchward/users/2", gone: "/api/latchward/users/99", member: 403},
	"listKeys":   {target: "/api/latchward/keys", member: 403},
	"rotateKey": {
		target: "/api/latchward/keys/rotate", member: 403,
		invalid: []invalidCase{{body: `{"version":2}`, field: "version"}},
		needs:   func(p *populated) { must(p.t, p.options.Keys.DropKey(asAdmin(), 1)) },
	},
	"dropKey": {
		target: "/api/latchward/keys/1", gone: "/api/latchward/keys/60", member: 403,
		invalid: []invalidCase{{target: "/api/latchward/keys/one", field: "version"}},
	},
	"listAudit": {
		target: "/api/latchward/audit?limit=2&action=token.create&target_type=token&target_id=1", member: 403,
		invalid: []invalidCase{
			{target: "/api/latchward/audit?target_type=moon", field: "target_type"},
			{target: "/api/latchward/audit?limit=x", field: "limit"},
		},
	},
	"openapi":    {target: "/api/latchward/openapi.json"},
	"docs":       {target: "/api/latchward/docs"},
	"docsStart":  {target: "/api/latchward/docs/start.js"},
	"docsScalar": {target: "/api/latchward/docs/scalar.js"},
}
