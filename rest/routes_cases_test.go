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
// 1 is retired. There is a role (4), a group (1), a license (1) and a registered permission of its own.
type populated struct {
	*world
	tokens [4]latchward.IssuedToken
}

func newPopulated(t testing.TB) *populated { return newPopulatedIn(t, func(*latchward.Options) {}) }

func newPopulatedIn(t testing.TB, change func(*latchward.Options)) *populated {
	t.Helper()
	keys := &keyManager{}
	p := &populated{world: newWorld(t, func(s *latchward.Options, o *rest.Options) {
		o.Keys = keys
		change(s)
	})}
	keys.service = p.service
	must(t, keys.RotateKey(asAdmin()))
	p.tokens[1] = p.issue(latchward.NewToken{Name: "Mine"})
	p.tokens[2] = p.issue(latchward.NewToken{
		Name: "Theirs", Owner: &latchward.Owner{Type: latchward.OwnerUser, ID: int64(p.member.ID)},
	})
	p.tokens[3] = p.verifier()
	_, err := p.service.CreateRole(asAdmin(), latchward.NewRole{Name: "reader", Permissions: []string{"orders.read"}})
	must(t, err)
	_, err = p.service.CreateGroup(asAdmin(), latchward.NewGroup{
		Name: "ops", Title: "Operations", Roles: []string{"reader"},
	})
	must(t, err)
	_, err = p.service.CreateLicense(asAdmin(), latchward.NewLicense{Name: "pro", MaxSeats: 2})
	must(t, err)
	_, err = p.service.CreatePolicy(asAdmin(), latchward.NewPolicy{
		Name: "standard", Rules: latchward.LifecycleRules{MaxRateLimit: latchward.MaxRateLimit},
	})
	must(t, err)
	_, err = p.service.SavePermission(asAdmin(), latchward.Permission{Name: "orders.read", Title: "Read orders"})
	must(t, err)
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
			{target: "/api/api-tokens?owner=0", field: "owner"},
			{target: "/api/api-tokens?owner=-1", field: "owner"},
			{target: "/api/api-tokens?owner=token:1", field: "owner"},
			{target: "/api/api-tokens?role=nobody", field: "role"},
			{target: "/api/api-tokens?group=4", field: "group"},
			{target: "/api/api-tokens?license=PRO", field: "license"},
			{target: "/api/api-tokens?unused_since=yesterday", field: "unused_since"},
			{target: "/api/api-tokens?expires_before=2026-13-01", field: "expires_before"},
			{target: "/api/api-tokens?server_key=0", field: "server_key"},
			{target: "/api/api-tokens?server_key=62", field: "server_key"},
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
	"importTokens": {
		target: "/api/latchward/tokens/import?source=a.csv&first_line=2", member: 403,
		body: `{"token":"acme-5Hk2mQ8ZtR4w","name":"Old"}`,
		invalid: []invalidCase{
			{body: "\n \n", field: ""},
			{body: strings.Repeat("{}\n", 1001), field: "lines"},
			{target: "/api/latchward/tokens/import?import=a%20b", body: "{}", field: "import"},
			{target: "/api/latchward/tokens/import?import=" + strings.Repeat("a", 129), body: "{}", field: "import"},
			{target: "/api/latchward/tokens/import?dry_run=yes", body: "{}", field: "dry_run"},
			{target: "/api/latchward/tokens/import?first_line=0", body: "{}", field: "first_line"},
			{target: "/api/latchward/tokens/import?file=a", body: "{}", field: "file"},
		},
	},
	"tokenRights": {
		target: "/api/api-tokens/2/rights", gone: "/api/api-tokens/99/rights",
		invalid: []invalidCase{{target: "/api/api-tokens/2/rights?all=1", field: "all"}},
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
			{body: `{"reason":"lost","note":"on the train"}`, field: "reason"},
			{body: `{"reason":"superseded","note":"` + strings.Repeat("x", 256) + `"}`, field: "note"},
			{target: "/api/api-tokens/two/revoke", field: "id"},
		},
	},
	"rotateToken": {
		target: "/api/api-tokens/2/rotate", gone: "/api/api-tokens/99/rotate",
		invalid: []invalidCase{
			{body: `{"grace_seconds":-60}`, field: "grace_seconds"}, {target: "/api/api-tokens/2.5/rotate", field: "id"},
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
	"explain": {
		target: "/api/latchward/explain", body: `{"token_id":2,"method":"GET","path":"/a","query":"NOT a.b"}`,
		invalid: []invalidCase{
			{body: `{}`, field: "token_id"}, {body: `{"token_id":0}`, field: "token_id"},
			{body: `{"token":""}`, field: "token_id"},
			{body: `{"token_id":2,"token":"x"}`, field: "token_id"}, {body: `{"token_id":2,"query":"a"}`, field: "query"},
			{body: `{"token_id":2,"query":""}`, field: "query"}, {body: `{"token_id":2,"address":"here"}`, field: "address"},
			{body: `{"token_id":2,"cost":101}`, field: "cost"},
			{body: `{"token_id":2,"licenses":["Pro"]}`, field: "licenses[0]"},
			{body: `{"token_id":2,"permissions":["a.b","a.*"]}`, field: "permissions[1]"},
			{body: `{"token_id":2,"dry_run":true}`, field: "dry_run"},
		},
	},
	"me": {
		target: "/api/latchward/me", invalid: []invalidCase{{target: "/api/latchward/me?id=2", field: "id"}},
	},
	"myUsage": {
		target: "/api/latchward/me/usage?days=1", invalid: []invalidCase{
			{target: "/api/latchward/me/usage?days=366", field: "days"}, {target: "/api/latchward/me/usage?id=2", field: "id"},
		},
	},
	"rotateMe": {
		target: "/api/latchward/me/rotate", needs: (*populated).selfRotation, invalid: []invalidCase{
			{body: `{"grace_seconds":7776001}`, field: "grace_seconds"}, {body: `{"old_dies":"never"}`, field: "old_dies"},
			{target: "/api/latchward/me/rotate?id=2", field: "id"},
		},
	},
	"revoke": {
		target: "/api/latchward/revoke", body: `{"token":"x"}`, status: 202, invalid: []invalidCase{
			{body: `{}`, field: "token"}, {body: `{"token":null}`, field: "token"}, {body: `{"token":1}`, field: "token"},
			{body: `{"token":"x","reason":"leaked"}`, field: "reason"},
			{target: "/api/latchward/revoke?token=x", field: "token"},
		},
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
			{target: "/api/latchward/users?role=nobody", field: "role"},
			{target: "/api/latchward/users?group=nobody", field: "group"},
			{target: "/api/latchward/users?license=nobody", field: "license"},
		},
	},
	"createUser": {
		target: "/api/latchward/users", body: `{"email":"eve@example.com","administrator":true}`, status: 201, member: 403,
		invalid: []invalidCase{
			{body: `{}`, field: "email"}, {body: `{"email":"nobody"}`, field: "email"},
			{body: `{"name":"x","administrator":"yes"}`, field: "administrator"}, {body: `{"name":"x","id":9}`, field: "id"},
			{body: `{"name":"x","roles":["reader","nobody"]}`, field: "roles[1]"},
			{body: `{"name":"x","groups":["reader"]}`, field: "groups[0]"},
			{body: `{"name":"x","licenses":[1]}`, field: "licenses[0]"},
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
	"issuePasswordCode": {
		target: "/api/latchward/users/2/password-code", gone: "/api/latchward/users/99/password-code", member: 403,
	},
	"resetSecondFactor": {
		target: "/api/latchward/users/2/second-factor", gone: "/api/latchward/users/99/second-factor", member: 403,
		needs: (*populated).secondFactor,
	},
	"endSessions": {target: "/api/latchward/users/2/sessions", gone: "/api/latchward/users/99/sessions"},
	"userRights": {
		target: "/api/latchward/users/2/rights", gone: "/api/latchward/users/99/rights",
		invalid: []invalidCase{{target: "/api/latchward/users/me/rights", field: "id"}},
	},

	"listRoles": {target: "/api/latchward/roles", member: 403},
	"createRole": {
		target: "/api/latchward/roles", body: `{"name":"writer","title":"Writer","permissions":["orders.*"]}`,
		status: 201, member: 403, invalid: []invalidCase{
			{body: `{}`, field: "name"}, {body: `{"name":"Writer"}`, field: "name"}, {body: `{"name":null}`, field: "name"},
			{body: `{"name":"w","permissions":["orders.read","*.*"]}`, field: "permissions[1]"},
			{body: `{"name":"w","built_in":true}`, field: "built_in"},
			{body: `{"name":"w","description":"` + strings.Repeat("x", 4097) + `"}`, field: "description"},
		},
	},
	"getRole": {
		target: "/api/latchward/roles/4", gone: "/api/latchward/roles/99", member: 403,
		invalid: []invalidCase{{target: "/api/latchward/roles/reader", field: "id"}},
	},
	"updateRole": {
		target: "/api/latchward/roles/4", body: `{"permissions":null}`, gone: "/api/latchward/roles/99", member: 403,
		invalid: []invalidCase{{body: `{"name":""}`, field: "name"}, {body: `{"name":null}`, field: "name"}},
	},
	"deleteRole": {target: "/api/latchward/roles/4", gone: "/api/latchward/roles/99", member: 403},

	"listGroups": {
		target: "/api/latchward/groups?limit=1&q=oper&role=reader&include_removed=true", member: 403,
		invalid: []invalidCase{
			{target: "/api/latchward/groups?role=nobody", field: "role"},
			{target: "/api/latchward/groups?cursor=x", field: "cursor"},
			{target: "/api/latchward/groups?limit=0", field: "limit"},
		},
	},
	"createGroup": {
		target: "/api/latchward/groups", body: `{"name":"dev","roles":["reader"]}`, status: 201, member: 403,
		invalid: []invalidCase{
			{body: `{}`, field: "name"}, {body: `{"name":"a b"}`, field: "name"},
			{body: `{"name":"dev","roles":["nobody"]}`, field: "roles[0]"},
			{body: `{"name":"dev","active":true}`, field: "active"},
		},
	},
	"getGroup": {
		target: "/api/latchward/groups/1", gone: "/api/latchward/groups/99", member: 404,
		invalid: []invalidCase{{target: "/api/latchward/groups/ops", field: "id"}},
	},
	"updateGroup": {
		target: "/api/latchward/groups/1", body: `{"active":false,"title":null}`,
		gone: "/api/latchward/groups/99", member: 403,
		invalid: []invalidCase{{body: `{"active":null}`, field: "active"}, {body: `{"roles":["x"]}`, field: "roles[0]"}},
	},
	"removeGroup": {target: "/api/latchward/groups/1", gone: "/api/latchward/groups/99", member: 403},
	"addMember": {
		target: "/api/latchward/groups/1/members/2", gone: "/api/latchward/groups/1/members/99", member: 403,
		invalid: []invalidCase{
			{target: "/api/latchward/groups/ops/members/2", field: "id"},
			{target: "/api/latchward/groups/1/members/max", field: "user"},
		},
	},
	"removeMember": {
		target: "/api/latchward/groups/1/members/2", gone: "/api/latchward/groups/99/members/2", member: 403,
		invalid: []invalidCase{{target: "/api/latchward/groups/1/members/2?all=1", field: "all"}},
	},

	"listLicenses": {target: "/api/latchward/licenses", member: 403},
	"createLicense": {
		target: "/api/latchward/licenses", status: 201, member: 403,
		body: `{"name":"basic","max_seats":5,"valid_from":"2025-01-01","valid_until":"2026-01-01"}`,
		invalid: []invalidCase{
			{body: `{}`, field: "name"}, {body: `{"name":"b","max_seats":-1}`, field: "max_seats"},
			{body: `{"name":"b","max_seats":1000000001}`, field: "max_seats"},
			{body: `{"name":"b","valid_from":"2026-01-02","valid_until":"2026-01-01"}`, field: "valid_from"},
			{body: `{"name":"b","seats_taken":0}`, field: "seats_taken"},
		},
	},
	"getLicense": {
		target: "/api/latchward/licenses/1", gone: "/api/latchward/licenses/99", member: 403,
		invalid: []invalidCase{{target: "/api/latchward/licenses/pro", field: "id"}},
	},
	"updateLicense": {
		target: "/api/latchward/licenses/1", body: `{"max_seats":1,"valid_until":null}`, gone: "/api/latchward/licenses/99",
		member: 403, invalid: []invalidCase{{body: `{"name":"."}`, field: "name"}},
	},
	"deleteLicense": {target: "/api/latchward/licenses/1", gone: "/api/latchward/licenses/99", member: 403},
	"takeSeat": {
		target: "/api/latchward/licenses/1/seats/2", gone: "/api/latchward/licenses/99/seats/2", member: 403,
		invalid: []invalidCase{{target: "/api/latchward/licenses/1/seats/x", field: "user"}},
	},
	"freeSeat": {
		target: "/api/latchward/licenses/1/seats/2", gone: "/api/latchward/licenses/1/seats/99", member: 403,
		invalid: []invalidCase{{target: "/api/latchward/licenses/x/seats/2", field: "id"}},
	},

	"listPolicies": {target: "/api/latchward/policies", member: 403},
	"createPolicy": {
		target: "/api/latchward/policies", status: 201, member: 403,
		body: `{"name":"robots","kind":"service","group":"ops","max_lifetime_days":90,"idle_timeout_days":0,"self_rotation":false}`,
		invalid: []invalidCase{
			{body: `{}`, field: "name"}, {body: `{"name":"b","max_lifetime_days":0}`, field: "max_lifetime_days"},
			{body: `{"name":"b","max_lifetime_days":3651}`, field: "max_lifetime_days"},
			{body: `{"name":"b","idle_timeout_days":-1}`, field: "idle_timeout_days"},
			{body: `{"name":"b","max_rate_limit":1.5}`, field: "max_rate_limit"},
			{body: `{"name":"b","kinds":[]}`, field: "kinds"}, {body: `{"name":"b","kinds":["robot"]}`, field: "kinds[0]"},
			{body: `{"name":"b","kind":"robot"}`, field: "kind"}, {body: `{"name":"b","group":"nobody"}`, field: "group"},
			{body: `{"name":"b","rotation_required":true}`, field: "rotation_required"},
			{body: `{"name":"b","reuse":"forgive"}`, field: "reuse"}, {body: `{"name":"b","id":7}`, field: "id"},
		},
	},
	"getPolicy": {
		target: "/api/latchward/policies/1", gone: "/api/latchward/policies/99", member: 403,
		invalid: []invalidCase{{target: "/api/latchward/policies/standard", field: "id"}},
	},
	"updatePolicy": {
		target: "/api/latchward/policies/1", body: `{"max_rate_limit":null,"rotation_days":30}`, gone: "/api/latchward/policies/99",
		member: 403, invalid: []invalidCase{
			{body: `{"name":"."}`, field: "name"}, {body: `{"group":"ops"}`, field: "group"},
			{body: `{"max_idle_timeout_days":0}`, field: "max_idle_timeout_days"},
		},
	},
	"deletePolicy": {target: "/api/latchward/policies/1", gone: "/api/latchward/policies/99", member: 403},
	"applyPolicy": {
		target: "/api/latchward/policies/1/apply", body: `{"dry_run":true}`, gone: "/api/latchward/policies/99/apply",
		member: 403,
		invalid: []invalidCase{
			{body: `{}`, field: "count"}, {body: `{"count":-1}`, field: "count"},
			{body: `{"dry_run":true,"notice_days":91}`, field: "notice_days"}, {body: `{"dry_run":1}`, field: "dry_run"},
		},
	},
	"bulkTokens": {
		target: "/api/latchward/tokens/bulk", body: `{"action":"disable","filter":{"kind":"personal"},"dry_run":true}`,
		invalid: []invalidCase{
			{body: `{"action":"burn","filter":{"kind":"personal"},"dry_run":true}`, field: "action"},
			{body: `{"action":"revoke","filter":{},"dry_run":true}`, field: "filter"},
			{body: `{"action":"revoke","filter":{"kind":"personal"}}`, field: "count"},
			{body: `{"action":"revoke","filter":{"kind":"robot"},"dry_run":true}`, field: "filter.kind"},
			{body: `{"action":"revoke","filter":{"owner":"ada"},"dry_run":true}`, field: "owner"},
			{body: `{"action":"revoke","filter":{"permission":"x"},"dry_run":true}`, field: "permission"},
			{body: `{"action":"extend","filter":{"tag":"x"},"dry_run":true}`, field: "expires_at"},
			{body: `{"action":"revoke","filter":{"tag":"x"},"dry_run":true,"all":true}`, field: "all"},
		},
	},

	"listPermissions": {target: "/api/latchward/permissions", member: 403},
	"savePermission": {
		target: "/api/latchward/permissions/orders.erase", body: `{"title":"Erase orders"}`, member: 403,
		invalid: []invalidCase{
			{target: "/api/latchward/permissions/orders", field: "name"},
			{target: "/api/latchward/permissions/orders.*", field: "name"},
			{target: "/api/latchward/permissions/orders%2Eread", field: "name"},
			{body: `{"name":"a.b"}`, field: "name"},
		},
	},
	"deletePermission": {
		target: "/api/latchward/permissions/orders.read", gone: "/api/latchward/permissions/orders.erase", member: 403,
		invalid: []invalidCase{{target: "/api/latchward/permissions/Orders.read", field: "name"}},
	},

	"listKeys": {target: "/api/latchward/keys", member: 403},
	"rotateKey": {
		target: "/api/latchward/keys/rotate", member: 403,
		invalid: []invalidCase{{body: `{"version":2}`, field: "version"}},
		needs:   func(p *populated) { must(p.t, p.options.Keys.DropKey(asAdmin(), 1)) },
	},
	"dropKey": {
		target: "/api/latchward/keys/1", gone: "/api/latchward/keys/60", member: 403,
		invalid: []invalidCase{{target: "/api/latchward/keys/one", field: "version"}},
	},
	"listSigningKeys": {
		target: "/api/latchward/keys/signing", member: 403,
		invalid: []invalidCase{{target: "/api/latchward/keys/signing?state=active", field: "state"}},
	},
	"rotateSigningKey": {
		target: "/api/latchward/keys/signing/rotate", body: `{"emergency":true}`, member: 403,
		invalid: []invalidCase{
			{body: `{"emergency":"yes"}`, field: "emergency"}, {body: `{"id":"one"}`, field: "id"},
			{body: `{"key":"one"}`, field: "key"},
		},
	},
	"listAudit": {
		target: "/api/latchward/audit?limit=2&action=token.create&target_type=token&target_id=1", member: 403,
		invalid: []invalidCase{
			{target: "/api/latchward/audit?target_type=moon", field: "target_type"},
			{target: "/api/latchward/audit?limit=x", field: "limit"},
			{target: "/api/latchward/audit?actor=ada", field: "actor"},
			{target: "/api/latchward/audit?actor=user:0", field: "actor"},
			{target: "/api/latchward/audit?actor=local:1", field: "actor"},
			{target: "/api/latchward/audit?outcome=failed", field: "outcome"},
			{target: "/api/latchward/audit?from=2026-01-02&to=2026-01-01", field: "to"},
		},
	},
	"exportAudit": {
		target: "/api/latchward/audit/export?format=csv&from=2020-01-01&outcome=done&actor=local&q=a", member: 403,
		invalid: []invalidCase{
			{target: "/api/latchward/audit/export?format=xlsx", field: "format"},
			{target: "/api/latchward/audit/export?limit=1", field: "limit"},
			{target: "/api/latchward/audit/export?actor=user", field: "actor"},
		},
	},
	"verifyAudit": {
		target: "/api/latchward/audit/verify", body: `{"anchors":[]}`, member: 403,
		invalid: []invalidCase{
			{body: `{"anchors":["nothing"]}`, field: "anchors[0]"}, {body: `{"anchors":"x"}`, field: "anchors"},
			{body: `{"anchors":["audit-anchor:1:1:` + strings.Repeat("0", 64) + `:1:` + strings.Repeat("0", 32) + `"]}`,
				field: "anchors[0]"},
		},
	},
	"openapi":    {target: "/api/latchward/openapi.json"},
	"docs":       {target: "/api/latchward/docs"},
	"docsStart":  {target: "/api/latchward/docs/start.js"},
	"docsScalar": {target: "/api/latchward/docs/scalar.js"},
}

// selfRotation lets holders rotate their tokens.
func (p *populated) selfRotation() {
	self := true
	_, err := p.service.CreatePolicy(asAdmin(), latchward.NewPolicy{
		Name: "self", Rules: latchward.LifecycleRules{SelfRotation: &self},
	})
	must(p.t, err)
}

// secondFactor turns on codes for the member.
func (p *populated) secondFactor() {
	_, err := p.store.Tx(context.Background(), func(tx latchward.Tx) error {
		return tx.SaveAccount(&latchward.Account{UserID: p.member.ID, TOTP: "sealed", UpdatedAt: start})
	})
	if err != nil {
		panic(err)
	}
}
