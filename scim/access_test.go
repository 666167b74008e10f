package scim_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/memory"
	"github.com/latchward/latchward/scim"
)

// asks are one request of each kind, and the permission that it takes; those without one are never served.
var asks = []struct{ method, path, body, permission string }{
	{"GET", "/ServiceProviderConfig", "", "users.read"}, {"GET", "/ResourceTypes", "", "users.read"},
	{"GET", "/ResourceTypes/User", "", "users.read"}, {"GET", "/Schemas", "", "users.read"},
	{"GET", "/Schemas/urn:ietf:params:scim:schemas:core:2.0:User", "", "users.read"},
	{"GET", "/Users", "", "users.read"}, {"GET", "/Users/1", "", "users.read"},
	{"POST", "/Users/.search", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"]}`, "users.read"},
	{"POST", "/Users", `{` + userURN + `,"userName":"new"}`, "users.create"},
	{"PUT", "/Users/1", `{` + userURN + `,"userName":"ada"}`, "users.update"},
	{"PATCH", "/Users/1", patchOf(`{"op":"replace","path":"active","value":false}`), "users.update"},
	{"DELETE", "/Users/1", "", "users.delete"},
	{"GET", "/Groups", "", "groups.read"}, {"GET", "/Groups/1", "", "groups.read"},
	{"POST", "/Groups/.search", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"]}`, "groups.read"},
	{"POST", "/Groups", `{` + groupURN + `,"displayName":"new"}`, "groups.create"},
	{"PUT", "/Groups/2", `{` + groupURN + `,"displayName":"press"}`, "groups.update"},
	{"PATCH", "/Groups/2", patchOf(`{"op":"replace","path":"displayName","value":"x"}`), "groups.update"},
	{"DELETE", "/Groups/2", "", "groups.delete"},
	{"POST", "/Bulk", `{}`, ""}, {"POST", "/.search", `{}`, ""}, {"GET", "/Me", "", ""}, {"DELETE", "/Me", "", ""},
}

// bar 102, 103, 127: nobody but a service token that was granted what it takes by its name gets anything, and what it
// was refused to change is in the log.
func TestAccess(t *testing.T) {
	resources := []string{"users", "groups"}
	for _, ask := range asks {
		t.Run(ask.method+ask.path, func(t *testing.T) {
			w := newWorld(t)
			ada := w.newUser("ada").id()
			w.newGroup("press")
			personal := w.personal(1).Expose()
			wildcard := w.issue(latchward.NewToken{Permissions: []string{"*", "*.read", "*.update"}})
			gone := w.issue(latchward.NewToken{Permissions: []string{"users.*", "groups.*"}})
			must(t, revoke(w, gone))
			others := []string{}
			for _, resource := range resources {
				for _, verb := range []string{"create", "read", "update", "delete"} {
					if p := resource + "." + verb; p != ask.permission && (ask.permission != "" || p != "users.read") {
						others = append(others, p)
					}
				}
			}
			without := w.issue(latchward.NewToken{Permissions: others})
			before := w.entries()
			for what, c := range map[string]struct {
				token  string
				status int
			}{
				"nobody": {"", 401}, "nonsense": {"x", 401}, "a JWT": {"a.b.c", 401}, "a revoked token": {gone, 401},
				"a personal token": {personal, 403}, "a wildcard": {wildcard, 403}, "another permission": {without, 403},
			} {
				a := w.as(c.token, ask.method, ask.path, ask.body)
				if a.want(c.status); c.status == 401 && !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Bearer ") {
					t.Errorf("%s: WWW-Authenticate %q", what, a.header.Get("WWW-Authenticate"))
				}
				if strings.Contains(a.text, "ada") || strings.Contains(a.text, "press") {
					t.Errorf("%s: %s", what, a.text)
				}
			}
			denied := 0
			if ask.permission != "" && !strings.HasSuffix(ask.permission, ".read") {
				denied = 3
			}
			if got := w.entries() - before; got != denied {
				t.Errorf("%d entries about denials, want %d", got, denied)
			}
			if ask.permission == "" {
				w.do(ask.method, ask.path, ask.body).want(501)
				return
			}
			resource, _, _ := strings.Cut(ask.permission, ".")
			exact := []string{ask.permission, resource + ".read", "*"}
			if ask.permission != exact[1] {
				w.as(w.issue(latchward.NewToken{Permissions: []string{ask.permission, "*"}}), ask.method, ask.path,
					ask.body).want(403)
			}
			a := w.as(w.issue(latchward.NewToken{Permissions: exact}), ask.method, ask.path, ask.body)
			if a.status >= 300 {
				t.Errorf("with %v: status %d: %s", exact, a.status, a.text)
			}
			_ = ada
		})
	}
}

func revoke(w *world, secret string) error {
	v, err := w.Verify(context.Background(), latchward.VerifyRequest{Secret: latchward.SecretFromText(secret)})
	if err != nil {
		return err
	}
	_, err = w.RevokeToken(w.local, v.Token.ID, latchward.Revocation{})
	return err
}

// bar 104: whatever a directory may do, it makes nobody more than its token is, and nobody of more becomes somebody
// else.
func TestNoEscalation(t *testing.T) {
	w := newWorld(t)
	_, err := w.CreateRole(w.local, latchward.NewRole{Name: "editor", Permissions: []string{"pages.write"}})
	must(t, err)
	_, err = w.CreateGroup(w.local, latchward.NewGroup{Name: "admins", Roles: []string{"administrator"}})
	must(t, err)
	_, err = w.CreateGroup(w.local, latchward.NewGroup{Name: "editors", Roles: []string{"editor"}})
	must(t, err)
	root, err := w.CreateUser(w.local, latchward.NewUser{Name: "root", Email: "root@example.com", Administrator: true})
	must(t, err)
	w.newUser("ada")
	secret := w.personal(root.ID)
	rootPath := fmt.Sprintf("/Users/%d", root.ID)
	for _, c := range []struct{ method, path, body string }{
		{"PATCH", "/Groups/2", patchOf(`{"op":"add","path":"members","value":[{"value":"2"}]}`)}, // administrators
		{"PATCH", "/Groups/3", patchOf(`{"op":"add","path":"members","value":[{"value":"2"}]}`)}, // a role the token has not
		{"PUT", "/Groups/2", `{` + groupURN + `,"displayName":"admins","members":[{"value":"2"}]}`},
		{"PATCH", rootPath, patchOf(`{"op":"replace","path":"emails","value":[{"value":"mallory@example.com"}]}`)},
		{"PATCH", rootPath, patchOf(`{"op":"replace","path":"externalId","value":"mallory"}`)},
		{"PATCH", rootPath, patchOf(`{"op":"replace","path":"userName","value":"mallory"}`)},
		{"PATCH", rootPath, patchOf(`{"op":"replace","path":"displayName","value":"mallory"}`)},
		{"PATCH", rootPath, patchOf(`{"op":"replace","path":"active","value":false}`)},
		{"PUT", rootPath, `{` + userURN + `,"userName":"mallory"}`},
		{"DELETE", rootPath, ""},
		{"PATCH", "/Groups/1", patchOf(`{"op":"add","path":"members","value":[{"value":"1"}]}`)}, // root, of whom all is more
	} {
		before := w.entries()
		w.do(c.method, c.path, c.body).want(403)
		if w.entries() != before+1 {
			t.Errorf("%s %s: the log says nothing of a denial", c.method, c.path)
		}
	}
	if got := w.reason(secret); got != latchward.ReasonAllowed {
		t.Errorf("the administrator's token: %s", got)
	}
	with := w.issue(latchward.NewToken{Permissions: []string{"users.*", "groups.*", "*"}, Roles: []string{"editor"}})
	w.as(with, "PATCH", "/Groups/3", patchOf(`{"op":"add","path":"members","value":[{"value":"2"}]}`)).want(204)
	full := w.issue(latchward.NewToken{Roles: []string{"administrator"}})
	w.as(full, "PATCH", rootPath, patchOf(`{"op":"replace","path":"active","value":false}`)).want(200)
	if got := w.reason(secret); got != latchward.ReasonOwnerDisabled {
		t.Errorf("the token of a disabled administrator: %s", got)
	}
}

// Who leaves can always be stopped: disabling somebody takes no more than the permission, whatever they hold beside
// permissions over Latchward itself, and whether or not the directory has made them. Enabling gives, and takes more.
func TestStoppingTakesLittle(t *testing.T) {
	w := newWorld(t)
	_, err := w.CreateRole(w.local, latchward.NewRole{Name: "editor", Permissions: []string{"pages.write"}})
	must(t, err)
	u, err := w.CreateUser(w.local, latchward.NewUser{Email: "ed@example.com", Roles: []string{"editor"}})
	must(t, err)
	little := w.issue(latchward.NewToken{Permissions: []string{"users.*"}})
	w.as(little, "PATCH", "/Users/1", patchOf(`{"op":"replace","path":"active","value":false}`)).want(200)
	w.as(little, "PATCH", "/Users/1", patchOf(`{"op":"replace","path":"active","value":true}`)).want(403)
	if u, err = w.User(w.local, u.ID); err != nil || u.Directory != (latchward.DirectoryEntry{}) {
		t.Errorf("the directory says of somebody whom it has only disabled: %+v, %v", u.Directory, err)
	}
}

// The token's own restrictions hold here as everywhere, and its calls are usage like any other.
func TestRestrictions(t *testing.T) {
	w := newWorld(t)
	elsewhere := w.issue(latchward.NewToken{Permissions: []string{"users.*"}, AllowedEndpoints: []string{"/products*"}})
	w.as(elsewhere, "GET", "/Users", "").want(403)
	here := w.issue(latchward.NewToken{Permissions: []string{"users.*"}, AllowedEndpoints: []string{"/scim*"},
		RateLimit: 2})
	w.as(here, "GET", "/Users", "").want(200)
	w.as(here, "GET", "/Users/4711", "").want(404)
	if a := w.as(here, "GET", "/Users", "").want(429); a.header.Get("Retry-After") == "" {
		t.Errorf("no Retry-After in %v", a.header)
	}
	must(t, w.FlushUsage(t.Context()))
	usage, err := w.TokenUsage(w.local, 3, 1)
	must(t, err)
	if len(usage.Recent) != 3 {
		t.Errorf("%d requests are recorded, want 3", len(usage.Recent))
	}
}

// bar 112
func TestMethodsAndAddresses(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"PUT", "/Users", 405, "GET, HEAD, POST"}, {"POST", "/Users/1", 405, "GET, HEAD, PUT, PATCH, DELETE"},
		{"TRACE", "/Groups", 405, "GET, HEAD, POST"}, {"DELETE", "/Schemas", 405, "GET, HEAD"}, {"GET", "/Bulk", 405, "POST"},
		{"GET", "/Users/.search", 405, "POST"}, {"GET", "", 404, ""}, {"GET", "/users", 404, ""}, {"GET", "/Users/1/groups",
			404, ""},
		{"GET", "//Users", 400, ""}, {"GET", "/../x", 400, ""}, {"GET", "/Users/%31", 404, ""}, {"GET", "x", 404, ""},
	} {
		a := w.do(c.method, c.path, "")
		if a.status != c.status || a.header.Get("Allow") != c.allow {
			t.Errorf("%s %s: status %d, Allow %q, want %d, %q", c.method, c.path, a.status, a.header.Get("Allow"), c.status,
				c.allow)
		}
		for name, want := range map[string]string{"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
			"Vary": "Authorization"} {
			if got := strings.Join(a.header.Values(name), ","); got != want {
				t.Errorf("%s %s: %s is %q", c.method, c.path, name, got)
			}
		}
		if a.header.Get("Access-Control-Allow-Origin") != "" {
			t.Error("CORS is on")
		}
	}
	w.do("GET", "/Users/", "").want(200)
	if a := w.do("HEAD", "/Users", ""); a.status != 200 {
		t.Errorf("HEAD: status %d", a.status)
	}
}

// RFC 7644 §4: what is said to be offered is, and what is not is refused.
func TestDiscovery(t *testing.T) {
	w := newWorld(t)
	w.do("GET", "/ServiceProviderConfig", "").want(200).is("patch.supported", true, "bulk.supported", false,
		"filter.supported", true, "filter.maxResults", 1000.0, "changePassword.supported", false, "sort.supported", false,
		"etag.supported", true, "authenticationSchemes.0.type", "oauthbearertoken",
		"meta.location", "https://tokens.example.com/scim/v2/ServiceProviderConfig")
	w.do("GET", "/ResourceTypes", "").want(200).is("totalResults", 2.0, "Resources.0.id", "User", "Resources.0.endpoint",
		"/Users",
		"Resources.1.schema", "urn:ietf:params:scim:schemas:core:2.0:Group")
	w.do("GET", "/ResourceTypes/Group", "").want(200).is("name", "Group")
	w.do("GET", "/ResourceTypes/Device", "").want(404)
	w.do("GET", "/Schemas/urn:ietf:params:scim:schemas:core:2.0:Device", "").want(404)
	w.do("GET", "/Schemas?filter=id+pr", "").want(403)
	schema := w.do("GET", "/Schemas/urn:ietf:params:scim:schemas:core:2.0:User", "").want(200)
	user := w.newUser("ada", `"externalId":"1"`, `"displayName":"Ada"`, `"name":{"givenName":"Ada","familyName":"L"}`,
		`"emails":["a@x.y"]`)
	w.newGroup("press", user.id())
	resource := w.do("GET", "/Users/"+user.id(), "").body.(map[string]any)
	described := map[string]bool{"schemas": true, "id": true, "externalId": true, "meta": true} // of every resource
	for i := range schema.get("attributes").([]any) {
		name := schema.get(fmt.Sprintf("attributes.%d.name", i)).(string)
		described[name] = true
		if resource[name] == nil {
			t.Errorf("the schema describes %s, which a whole user has not", name)
		}
		if ro := schema.get(fmt.Sprintf("attributes.%d.mutability", i)) == "readOnly"; ro != (name == "groups") {
			t.Errorf("%s is read only: %v", name, ro)
		}
	}
	for name := range resource {
		if !described[name] {
			t.Errorf("a user has %s, which the schema does not describe", name)
		}
	}
}

// The address of a resource is where its reader is.
func TestBaseURL(t *testing.T) {
	w := newWorld(t, func(o *scim.Options) { o.URL = "" })
	w.newUser("ada").is("meta.location", "http://example.com/scim/v2/Users/1")
	w.do("GET", "/Users/1", "", "X-Forwarded-Proto", "https").is("meta.location", "http://example.com/scim/v2/Users/1")
}

// broken is a store that fails when it is told to.
type broken struct {
	latchward.Store
	with func() error
}

// Users implements [latchward.Store].
func (b *broken) Users(ctx context.Context, f latchward.UserFilter) ([]*latchward.User, error) {
	if b.with != nil {
		return nil, b.with()
	}
	return b.Store.Users(ctx, f)
}

// bar 131: a fault tells nothing, and is answered as SCIM has it.
func TestFaults(t *testing.T) {
	store := &broken{Store: memory.New()}
	w := newWorldOn(t, store)
	store.with = func() error { panic("secret-4711") }
	w.do("GET", "/Users", "").want(500)
	store.with = func() error {
		return &latchward.Error{Code: latchward.CodeUnavailable, Message: "secret-4711", Err: fmt.Errorf("disk")}
	}
	if a := w.do("GET", "/Users", "").want(503); strings.Contains(a.text, "4711") || a.header.Get("Retry-After") == "" {
		t.Errorf("%v %s", a.header, a.text)
	}
	store.with = func() error { return fmt.Errorf("cause-4711") }
	if a := w.do("GET", "/Users", "").want(500); strings.Contains(a.text, "4711") {
		t.Error(a.text)
	}
	if log := w.log.String(); strings.Contains(log, "secret-4711\"") && strings.Contains(log,
		"panic=secret") || !strings.Contains(log, "cause-4711") {
		t.Errorf("the log: %s", log)
	}
	store.with = func() error { panic(http.ErrAbortHandler) }
	defer func() {
		if recover() != http.ErrAbortHandler { //nolint:errorlint // as net/http compares it
			t.Error("http.ErrAbortHandler did not get through")
		}
	}()
	w.do("GET", "/Users", "")
}

// S3-07, B-18: who leaves the directory has no tokens from the next request on; who comes back has those that were not
// revoked; who was removed stays without, whoever comes after them.
func TestOffBoarding(t *testing.T) {
	w := newWorld(t)
	path := "/Users/" + w.newUser("ada", `"externalId":"00u1"`).id()
	secret, revoked := w.personal(1), w.personal(1)
	must(t, revoke(w, revoked.Expose()))
	want := func(reason latchward.Reason) {
		t.Helper()
		for range 3 { // warm
			if got := w.reason(secret); got != reason {
				t.Errorf("reason %s, want %s", got, reason)
			}
		}
		if got := w.reason(revoked); got != latchward.ReasonRevoked {
			t.Errorf("the token that was revoked before: %s", got)
		}
		w.advance(time.Hour)
	}
	want(latchward.ReasonAllowed)
	w.patch(path, `{"op":"Replace","path":"active","value":"False"}`).want(200)
	want(latchward.ReasonOwnerDisabled)
	w.do("PUT", path, `{`+userURN+`,"userName":"ada","externalId":"00u1"}`).want(200).is("active", false)
	want(latchward.ReasonOwnerDisabled)
	w.do("PUT", path, `{`+userURN+`,"userName":"ada","externalId":"00u1","active":true}`).want(200)
	want(latchward.ReasonAllowed)
	if _, err := w.SignIn(w.local, latchward.Identity{ExternalID: "00u1"}, true); err != nil {
		t.Errorf("sign-in: %v", err)
	}
	w.do("DELETE", path, "").want(204)
	want(latchward.ReasonRevoked)
	if _, err := w.SignIn(w.local, latchward.Identity{ExternalID: "00u1"},
		true); latchward.ErrorCode(err) != latchward.CodeUnauthenticated {
		t.Errorf("sign-in of who was removed: %v", err)
	}
	back := w.newUser("ada", `"externalId":"00u1"`)
	if back.id() == "1" {
		t.Error("somebody new has the id of who was removed")
	}
	want(latchward.ReasonRevoked)
}

// S3-07: a token of a group dies with it, and members lose what it gave them.
func TestGroupsGo(t *testing.T) {
	w := newWorld(t)
	id := w.newGroup("press").id()
	secret := w.issue(latchward.NewToken{Owner: &latchward.Owner{Type: latchward.OwnerGroup, ID: 2}})
	if got := w.reason(latchward.SecretFromText(secret)); got != latchward.ReasonAllowed {
		t.Fatal(got)
	}
	w.do("DELETE", "/Groups/"+id, "").want(204)
	if got := w.reason(latchward.SecretFromText(secret)); got != latchward.ReasonRevoked {
		t.Errorf("reason %s", got)
	}
}
