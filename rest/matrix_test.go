package rest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/rest"
)

// matrixActor is somebody who calls every route with every kind of id.
type matrixActor struct {
	name    string
	holds   string // permissions over Latchward itself, with wildcards
	owns    string // kinds of tokens that are the actor's business
	is      string // kind of user that the actor is
	member  bool   // of the group
	token   bool   // an API token
	service bool   // of the kind service
}

const everyTokenPermission = "tokens.create tokens.read tokens.update tokens.rotate tokens.revoke tokens.delete tokens.import"

var matrixActors = []matrixActor{
	{name: "anonymous"},
	{name: "member", owns: "members", is: "member"},
	{name: "other member"},
	{name: "group member", owns: "groups", member: true},
	{name: "manager", holds: "groups.* licenses.read permissions.read roles.read tokens.* users.*"},
	{name: "auditor", holds: "*.read audit.export"},
	{name: "administrator", holds: "*", owns: "admins", is: "admin"},
	{name: "personal token", token: true},
	{name: "service token", token: true, service: true},
	{name: "managing token", token: true, service: true, holds: everyTokenPermission},
}

// may reports whether the actor holds a permission, "" of which is held by everybody.
func (a *matrixActor) may(permission string) bool {
	resource, action, _ := strings.Cut(permission, ".")
	return permission == "" || slices.ContainsFunc(strings.Fields(a.holds), func(grant string) bool {
		return grant == "*" || grant == permission || grant == resource+".*" || grant == "*."+action
	})
}

// matrixRule says what a route is about, and which permission it takes for what is not one's own.
type matrixRule struct{ object, permission string }

var matrixRules = map[string]matrixRule{
	"importTokens": {"", "tokens.import"},
	"createToken":  {}, "listTokens": {}, "usageOverview": {},
	"getToken": {"token", "tokens.read"}, "tokenRights": {"token", "tokens.read"}, "tokenUsage": {"token", "tokens.read"},
	"explain": {"token", "tokens.read"}, "updateToken": {"token", "tokens.update"},
	"deleteToken": {"token", "tokens.delete"},
	"revokeToken": {"token", "tokens.revoke"}, "rotateToken": {"token", "tokens.rotate"},

	"listUsers": {"", "users.read"}, "createUser": {"", "users.create"}, "getUser": {"self", "users.read"},
	"userRights": {"self", "users.read"}, "updateUser": {"user", "users.update"}, "removeUser": {"user", "users.delete"},

	"listRoles": {"", "roles.read"}, "createRole": {"", "roles.create"}, "getRole": {"role", "roles.read"},
	"updateRole": {"role", "roles.update"}, "deleteRole": {"role", "roles.delete"},

	"listGroups": {"", "groups.read"}, "createGroup": {"", "groups.create"}, "getGroup": {"joined", "groups.read"},
	"updateGroup": {"group", "groups.update"}, "removeGroup": {"group", "groups.delete"},
	"addMember": {"user", "users.update"}, "removeMember": {"user", "users.update"},

	"listLicenses": {"", "licenses.read"}, "createLicense": {"", "licenses.create"},
	"getLicense":    {"license", "licenses.read"},
	"updateLicense": {"license", "licenses.update"}, "deleteLicense": {"license", "licenses.delete"},
	"takeSeat": {"user", "users.update"}, "freeSeat": {"user", "users.update"},

	"listPermissions": {"", "permissions.read"}, "savePermission": {"", "permissions.update"},
	"deletePermission": {"permission", "permissions.delete"},

	"listPolicies": {"", "policies.read"}, "createPolicy": {"", "policies.update"},
	"getPolicy": {"policy", "policies.read"}, "updatePolicy": {"policy", "policies.update"},
	"deletePolicy": {"policy", "policies.update"}, "applyPolicy": {"policy", "policies.update"}, "bulkTokens": {},

	"listKeys": {"", "keys.read"}, "rotateKey": {"", "keys.rotate"}, "dropKey": {"key", "keys.drop"},
	"listSigningKeys": {"", "keys.read"}, "rotateSigningKey": {"", "keys.rotate"},
	"listAudit": {"", "audit.read"}, "exportAudit": {"", "audit.export"}, "verifyAudit": {"", "audit.read"},

	"issuePasswordCode": {"user", "users.update"}, "resetSecondFactor": {"user", "users.update"},
	"endSessions": {"session", "users.update"},
}

// matrixKinds are the kinds of what an id in a path names, with the id in the world of the matrix. The last is missing.
var matrixKinds = map[string][][2]string{
	"":        {{"", "1"}},
	"token":   {{"admins", "1"}, {"members", "2"}, {"groups", "4"}, {"missing", "99"}},
	"user":    {{"admin", "1"}, {"member", "2"}, {"missing", "99"}},
	"self":    {{"admin", "1"}, {"member", "2"}, {"missing", "99"}},
	"session": {{"admin", "1"}, {"member", "2"}, {"missing", "99"}},
	"role":    {{"present", "4"}, {"missing", "99"}}, "license": {{"present", "1"}, {"missing", "99"}},
	"policy": {{"present", "1"}, {"missing", "99"}},
	"group":  {{"present", "1"}, {"missing", "99"}}, "joined": {{"present", "1"}, {"missing", "99"}},
	"permission": {{"present", "orders.read"}, {"missing", "no.such"}}, "key": {{"present", "1"}, {"missing", "60"}},
}

// matrixRefused lists what is refused to those who hold the permission, because it would give them, or let them undo,
// more than they hold themselves (C-09).
var matrixRefused = []string{
	"manager issuePasswordCode admin", "manager resetSecondFactor admin", "manager endSessions admin",
	"manager rotateToken admins", "managing token rotateToken admins",
	"manager updateUser admin", "manager removeUser admin",
	"manager addMember admin", "manager removeMember admin", "manager freeSeat admin",
	"manager takeSeat admin", "manager takeSeat member", // seats take licenses.update
}

// expect returns the status of a call.
func (a *matrixActor) expect(r rest.RouteInfo, kind string, success int) int {
	rule := matrixRules[r.ID]
	missing := kind == "missing"
	holds := a.may(rule.permission)
	switch {
	case r.Public:
		return success
	case a.name == "anonymous":
		return http.StatusUnauthorized
	case r.ID == "rotateMe" && a.token: // for which there is no policy
		return http.StatusForbidden
	case r.Holders && a.token:
		return success
	case !r.Persons || a.token && (!a.service || r.Permission == "" || !a.may(r.Permission)):
		return http.StatusForbidden
	case rule.object == "token" && kind == a.owns, (rule.object == "self" || rule.object == "session") && kind == a.is,
		rule.object == "joined" && !missing && a.member:
		return success
	case !holds && rule.object == "token" && (missing || !a.may("tokens.read")),
		!holds && (rule.object == "self" || rule.object == "joined"),
		!holds && rule.object == "session" && !a.may("users.read"):
		return http.StatusNotFound
	case !holds:
		return http.StatusForbidden
	case missing:
		return http.StatusNotFound
	case slices.Contains(matrixRefused, a.name+" "+r.ID+" "+kind):
		return http.StatusForbidden
	}
	if r.ID == "resetSecondFactor" && kind == "admin" {
		return http.StatusConflict // has none
	}
	return success
}

// matrixWorld is a populated world in which all actors have a credential.
type matrixWorld struct {
	*populated
	bearers map[string]string
}

func newMatrixWorld(t *testing.T) *matrixWorld {
	w := &matrixWorld{newPopulated(t), map[string]string{"member": memberJWT, "administrator": adminJWT}}
	none := []string{}
	_, err := w.service.UpdateGroup(asAdmin(), 1, latchward.GroupUpdate{Roles: &none})
	must(t, err)
	w.issue(latchward.NewToken{ // 4
		Kind: latchward.KindService, Permissions: none, Owner: &latchward.Owner{Type: latchward.OwnerGroup, ID: 1},
	})
	for name, n := range map[string]latchward.NewUser{
		"other member": {}, "group member": {Groups: []string{"ops"}}, "manager": {Roles: []string{"manager"}},
		"auditor": {Roles: []string{"auditor"}},
	} {
		n.Name = name
		w.bearers[name] = "header." + strings.ReplaceAll(name, " ", "") + ".signature"
		w.signedIn(w.bearers[name], w.person(w.bearers[name], n))
	}
	service := latchward.NewToken{Kind: latchward.KindService, RateLimit: 1000}
	w.bearers["personal token"] = w.issue(latchward.NewToken{RateLimit: 1000}).Secret.Expose()
	w.bearers["service token"] = w.issue(service).Secret.Expose()
	service.Permissions = strings.Fields(everyTokenPermission)
	w.bearers["managing token"] = w.issue(service).Secret.Expose()
	return w
}

// signedIn lets a JWT stand for what a user holds now.
func (w *world) signedIn(jwt string, u *latchward.User) {
	w.t.Helper()
	rights, err := w.service.UserRights(asAdmin(), u.ID)
	must(w.t, err)
	w.people[jwt] = latchward.Principal{
		Type: latchward.PrincipalUser, ID: int64(u.ID), Name: u.DisplayName(), Groups: u.Groups, Rights: rights.Rights,
		Administrator: rights.Rights.HasRole("administrator"),
	}
}

// matrixTarget returns the path and body of a call about the thing with an id.
func matrixTarget(r rest.RouteInfo, id string) (target, body string) {
	body = routeCases[r.ID].body
	switch r.ID {
	case "createToken":
		body = `{"kind":"service","permissions":[]}`
	case "createUser":
		body = `{"name":"Eve"}`
	case "createGroup":
		body = `{"name":"dev"}`
	case "explain":
		body = `{"token_id":` + id + `}`
	}
	first := "{id}"
	if strings.Contains(r.Path, "{user}") { // the group or license is there, the user is what is asked about
		first = "{user}"
	}
	target = strings.NewReplacer(first, id, "{version}", id, "{name}", id).Replace(r.Path)
	if r.ID == "savePermission" {
		target = routeCases["deletePermission"].target
	}
	return strings.Replace(target, "{id}", "1", 1), body
}

// bar 102, 103: everybody, every route, every kind of id; and what somebody may not see answers, to the byte, as what
// is not there.
func TestAccessMatrix(t *testing.T) {
	routes := rest.Routes(newPopulated(t).handler)
	calls := 0
	for _, actor := range matrixActors {
		t.Run(actor.name, func(t *testing.T) {
			var w *matrixWorld
			for _, r := range routes {
				if _, ok := matrixRules[r.ID]; !ok && r.Persons {
					t.Errorf("no rule says who may call %s", r.ID)
				}
				c := routeCases[r.ID]
				var absent *httptest.ResponseRecorder
				for _, kind := range slices.Backward(matrixKinds[matrixRules[r.ID].object]) {
					if w == nil {
						w = newMatrixWorld(t)
					}
					if c.needs != nil && r.Persons && actor.may(matrixRules[r.ID].permission) && !actor.token {
						c.needs(w.populated)
					}
					target, body := matrixTarget(r, kind[1])
					answer := w.do(r.Method, target, w.bearers[actor.name], body)
					calls++
					if want := actor.expect(r, kind[0], max(c.status, 200)); answer.Code != want {
						t.Errorf("%s %s %s: status %d, want %d: %s", r.ID, kind[0], target, answer.Code, want, answer.Body)
					}
					if kind[0] == "missing" {
						absent = answer
					} else if answer.Code == http.StatusNotFound && !alike(answer, absent) {
						t.Errorf("%s %s answers %v %s, and for none %v %s", r.ID, kind[0], answer.Header(), answer.Body, absent.Header(),
							absent.Body)
					}
					if answer.Code < 300 && r.Method != http.MethodGet {
						w = nil // it is changed
					}
				}
			}
		})
	}
	if calls < 700 {
		t.Errorf("only %d calls", calls)
	}
}

// what lets a service token in is the permission over everybody's tokens that goes with the route.
func TestPermissionsOfTokenRoutes(t *testing.T) {
	for _, r := range rest.Routes(newPopulated(t).handler) {
		rule := matrixRules[r.ID]
		want := ""
		switch {
		case r.ID == "createToken":
			want = latchward.PermissionTokensCreate
		case r.ID == "importTokens":
			want = latchward.PermissionTokensImport
		case r.ID == "listTokens" || r.ID == "usageOverview":
			want = latchward.PermissionTokensRead
		case r.ID == "bulkTokens":
			want = latchward.PermissionTokensUpdate
		case rule.object == "token" && r.ID != "explain":
			want = rule.permission
		}
		if r.Permission != want {
			t.Errorf("%s lets tokens in that hold %q, want %q", r.ID, r.Permission, want)
		}
	}
}

func alike(a, b *httptest.ResponseRecorder) bool {
	return b != nil && a.Code == b.Code && a.Body.String() == b.Body.String() &&
		fmt.Sprint(a.Header()) == fmt.Sprint(b.Header())
}
