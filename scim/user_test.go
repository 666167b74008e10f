package scim_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/scim"
)

// B-18; RFC 7644 §3.3, §3.4.1: what was sent comes back, with where it is and how it is named.
func TestCreateUser(t *testing.T) {
	w := newWorld(t)
	a := w.do("POST", "/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User",
		"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
		"userName":"Ada@Example.com","externalId":"00u1","displayName":"Countess Lovelace",
		"name":{"givenName":"Ada","familyName":"Lovelace","honorificPrefix":"Lady"},
		"emails":[{"value":"home@example.com","type":"home"},{"value":"ada@work.example","type":"work"}],
		"active":true,"title":"Countess","password":"t1meMa$heen","id":"4711","meta":{"version":"x"},
		"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"Analysis"}}`).want(201)
	id := a.id()
	address := "https://tokens.example.com/scim/v2/Users/" + id
	a.is("userName", "Ada@Example.com", "externalId", "00u1", "displayName", "Countess Lovelace", "active", true,
		"name.givenName", "Ada", "name.familyName", "Lovelace", "name.formatted", "Countess Lovelace",
		"name.honorificPrefix", nil, "emails.0.value", "ada@work.example", "emails.0.primary", true, "emails.0.type", "work",
		"emails.1", nil, "title", nil, "password", nil, "meta.resourceType", "User", "meta.location", address,
		"meta.created", "2026-11-22T10:00:00.000Z", "meta.version", a.header.Get("ETag"))
	if got := a.header.Get("Location"); got != address {
		t.Errorf("Location is %q", got)
	}
	if got := w.do("GET", "/Users/"+id, "").want(200); got.text != a.text {
		t.Errorf("read %s, created %s", got.text, a.text)
	}
	u, err := w.User(w.local, 1)
	must(t, err)
	if u.ExternalID != "00u1" || u.Email != "ada@work.example" || u.Name != "Countess Lovelace" {
		t.Errorf("the user is %+v", u)
	}
	w.newUser("parts", `"name":{"givenName":"Grace","familyName":"Hopper"}`).is("displayName", "Grace Hopper", "active",
		true)
	w.newUser("formatted", `"name":{"formatted":"G. Hopper"}`).is("displayName", "G. Hopper")
	w.newUser("bare").is("displayName", nil, "name", nil, "emails", nil, "externalId", nil)
	w.newUser("off", `"active":false`).is("active", false)
	w.newUser("NAMES", `"ACTIVE":"False"`, `"DisplayName":"any case"`).is("active", false, "displayName", "any case")
}

// RFC 7644 §3.3, §3.12: refusals say what is wrong, and nothing has happened.
func TestCreateUserRefuses(t *testing.T) {
	w := newWorld(t)
	w.newUser("ada", `"emails":[{"value":"ada@example.com"}]`, `"externalId":"1"`)
	_, err := w.CreateUser(w.local, latchward.NewUser{Email: "bob@example.com"})
	must(t, err)
	before := w.entries()
	for body, want := range map[string]struct {
		status int
		kind   string
	}{
		`{` + userURN + `,"userName":"ADA"}`:                                      {409, "uniqueness"},
		`{` + userURN + `,"userName":"Bob@Example.com"}`:                          {409, "uniqueness"},
		`{` + userURN + `,"userName":"x","emails":[{"value":"ADA@example.com"}]}`: {409, "uniqueness"},
		`{` + userURN + `,"userName":"x","externalId":"1"}`:                       {409, "uniqueness"},
		`{` + userURN + `}`:                                                                        {400, "invalidValue"},
		`{` + userURN + `,"userName":"  "}`:                                                        {400, "invalidValue"},
		`{` + userURN + `,"userName":null}`:                                                        {400, "invalidValue"},
		`{` + userURN + `,"userName":7}`:                                                           {400, "invalidValue"},
		`{` + userURN + `,"userName":"x","active":"maybe"}`:                                        {400, "invalidValue"},
		`{` + userURN + `,"userName":"x","name":"Ada"}`:                                            {400, "invalidValue"},
		`{` + userURN + `,"userName":"x","emails":[7]}`:                                            {400, "invalidValue"},
		`{` + userURN + `,"userName":"x","emails":[{"value":"nowhere"}]}`:                          {400, "invalidValue"},
		`{` + userURN + `,"userName":"` + strings.Repeat("x", 256) + `"}`:                          {400, "invalidValue"},
		`{` + userURN + `,"userName":"x","name":{"givenName":"` + strings.Repeat("x", 256) + `"}}`: {400, "invalidValue"},
		`{` + userURN + `,"userName":"x","USERNAME":"y"}`:                                          {400, "invalidSyntax"},
		`{"userName":"x"}`:                      {400, "invalidSyntax"},
		`{"schemas":["urn:x"],"userName":"x"}`:  {400, "invalidSyntax"},
		`{"schemas":"urn:x","userName":"x"}`:    {400, "invalidSyntax"},
		`{` + groupURN + `,"userName":"x"}`:     {400, "invalidSyntax"},
		`[]`:                                    {400, "invalidSyntax"},
		`null`:                                  {400, "invalidSyntax"},
		`{`:                                     {400, "invalidSyntax"},
		`{}{}`:                                  {400, "invalidSyntax"},
		``:                                      {400, "invalidSyntax"},
		`{` + userURN + `,"userName":"\u0000"}`: {400, "invalidValue"},
		`{"x":"` + strings.Repeat("x", 1<<20) + `"}`:                             {413, ""},
		strings.Repeat(`{"x":`, 20_000) + `1`:                                    {400, "invalidSyntax"},
		`{` + userURN + `,"userName":"x","emails":{"value":"x@y","type":["a"]}}`: {400, "invalidValue"},
	} {
		w.do("POST", "/Users", body).want(want.status, want.kind)
	}
	w.do("POST", "/Users", `{`+userURN+`,"userName":"x"}`, "Content-Type", "text/plain").want(415)
	w.do("POST", "/Users", `{`+userURN+`,"userName":"plain"}`, "Content-Type", "application/json").want(201)
	if now := w.entries(); now != before+1 {
		t.Errorf("%d entries in the audit log, want one more than %d", now, before)
	}
}

// RFC 7644 §3.5.1: a PUT says what a user is. Nobody is enabled by leaving something out.
func TestReplaceUser(t *testing.T) {
	w := newWorld(t)
	id := w.newUser("ada", `"externalId":"1"`, `"emails":[{"value":"ada@example.com"}]`, `"name":{"givenName":"Ada"}`,
		`"active":false`).id()
	w.advance(time.Minute)
	path := "/Users/" + id
	w.do("PUT", path, `{`+userURN+`,"userName":"Ada","displayName":"A. Lovelace"}`).want(200).
		is("userName", "Ada", "displayName", "A. Lovelace", "name.givenName", nil, "emails", nil, "externalId", nil,
			"active", false,
			"meta.created", "2026-11-22T10:00:00.000Z", "meta.lastModified", "2026-11-22T10:01:00.000Z")
	before := w.entries()
	w.do("PUT", path, `{`+userURN+`,"userName":"Ada","displayName":"A. Lovelace","id":"9","groups":[{"value":"1"}]}`).want(200)
	if w.entries() != before {
		t.Error("a PUT that changes nothing left an entry in the audit log")
	}
	w.do("PUT", path, `{`+userURN+`,"userName":"Ada","active":true}`).want(200).is("active", true, "displayName", nil)
	w.newUser("bob")
	w.do("PUT", path, `{`+userURN+`,"userName":"BOB"}`).want(409, "uniqueness")
	w.do("PUT", path, `{`+userURN+`}`).want(400, "invalidValue")
	for _, unknown := range []string{"4711", "0", "-1", "01", "x", "9223372036854775808", strings.Repeat("9", 300)} {
		w.do("PUT", "/Users/"+unknown, `{`+userURN+`,"userName":"x"}`).want(404)
		w.do("GET", "/Users/"+unknown, "").want(404)
		w.do("PATCH", "/Users/"+unknown, patchOf(`{"op":"add","path":"active","value":true}`)).want(404)
		w.do("DELETE", "/Users/"+unknown, "").want(404)
	}
}

// patches of one user, and what they come to: pairs of a path and its value. A single word is the scimType of a refusal.
var patches = []struct {
	what       string
	operations []string
	want       []any
}{
	{"replace", []string{`{"op":"replace","path":"displayName","value":"X"}`}, []any{"displayName", "X",
		"name.formatted", "X"}},
	{"add", []string{`{"op":"add","path":"externalId","value":"9"}`}, []any{"externalId", "9"}},
	{"upper case and a text for false, as Entra sends it", []string{`{"op":"Replace","path":"active","value":"False"}`},
		[]any{"active", false}},
	{"no path", []string{`{"op":"replace","value":{"active":false,"displayName":"X"}}`}, []any{"active", false,
		"displayName", "X"}},
	{"paths as names, as Entra sends them", []string{`{"op":"Add","value":{"name.givenName":"G",
		"emails[type eq \"work\"].value":"w@x.y","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department":"D"}}`},
		[]any{"name.givenName", "G", "emails.0.value", "w@x.y", "emails.1", nil}},
	{"whole schema in front", []string{`{"op":"replace","path":"urn:ietf:params:scim:schemas:core:2.0:User:userName","value":"u"}`},
		[]any{"userName", "u"}},
	{"part of a name", []string{`{"op":"replace","path":"name.familyName","value":"F"}`},
		[]any{"name.familyName", "F", "name.givenName", "Ada", "displayName", "Ada F"}},
	{"name as a whole keeps other parts", []string{`{"op":"replace","path":"name","value":{"familyName":"F"}}`},
		[]any{"name.familyName", "F", "name.givenName", "Ada"}},
	{"formatted", []string{`{"op":"replace","path":"name.formatted","value":"Lady Ada"}`}, []any{"displayName",
		"Lady Ada"}},
	{"remove", []string{`{"op":"remove","path":"externalId"}`}, []any{"externalId", nil}},
	{"remove a part", []string{`{"op":"remove","path":"name.givenName"}`}, []any{"name.givenName", nil,
		"name.familyName", "Lovelace"}},
	{"null removes", []string{`{"op":"replace","path":"externalId","value":null}`}, []any{"externalId", nil}},
	{"e-mail by type", []string{`{"op":"replace","path":"emails[type eq \"work\"].value","value":"n@x.y"}`},
		[]any{"emails.0.value", "n@x.y", "emails.1", nil}},
	{"e-mail by type, case and all", []string{`{"op":"replace","path":"Emails[Type EQ \"WORK\" and primary eq true].Value","value":"n@x.y"}`},
		[]any{"emails.0.value", "n@x.y"}},
	{"e-mail of another type is added and not chosen",
		[]string{`{"op":"add","path":"emails[type eq \"home\"].value","value":"h@x.y"}`},
		[]any{"emails.0.value", "ada@example.com", "emails.1", nil}},
	{"a primary e-mail is chosen", []string{`{"op":"add","path":"emails","value":[{"value":"p@x.y","type":"home","primary":true}]}`},
		[]any{"emails.0.value", "p@x.y", "emails.0.type", "work", "emails.1", nil}},
	{"e-mails as a whole", []string{`{"op":"replace","path":"emails","value":[{"value":"n@x.y","type":"work"}]}`},
		[]any{"emails.0.value", "n@x.y"}},
	{"one e-mail that is no list", []string{`{"op":"replace","path":"emails","value":{"value":"n@x.y"}}`},
		[]any{"emails.0.value", "n@x.y"}},
	{"e-mails as texts", []string{`{"op":"replace","path":"emails","value":["n@x.y"]}`}, []any{"emails.0.value", "n@x.y"}},
	{"every e-mail's value", []string{`{"op":"replace","path":"emails.value","value":"n@x.y"}`}, []any{"emails.0.value",
		"n@x.y"}},
	{"remove an e-mail", []string{`{"op":"remove","path":"emails[type eq \"work\"]"}`}, []any{"emails", nil}},
	{"remove all e-mails", []string{`{"op":"remove","path":"emails"}`}, []any{"emails", nil}},
	{"remove none of no such e-mail", []string{`{"op":"remove","path":"emails[type eq \"home\"]"}`},
		[]any{"emails.0.value", "ada@example.com"}},
	{"remove those of an empty list", []string{`{"op":"remove","path":"emails","value":[]}`}, []any{"emails.0.value",
		"ada@example.com"}},
	{"what is not kept", []string{`{"op":"replace","path":"title","value":"T"}`,
		`{"op":"add","path":"phoneNumbers[type eq \"work\"].value","value":"1"}`,
		`{"op":"replace","path":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager","value":"1"}`,
		`{"op":"add","path":"name.middleName","value":"M"}`, `{"op":"add","path":"addresses[type eq \"work\"].locality","value":"L"}`,
		`{"op":"remove","path":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"}`, `{"op":"replace","path":"password","value":"x"}`},
		[]any{"displayName", "Ada Lovelace", "title", nil}},
	{"what cannot be set, without a path", []string{`{"op":"replace","value":{"id":"7","schemas":["x"],"displayName":"X","meta":{}}}`},
		[]any{"displayName", "X"}},
	{"several in their order", []string{`{"op":"replace","path":"displayName","value":"A"}`,
		`{"op":"remove","path":"displayName"}`,
		`{"op":"add","path":"displayName","value":"B"}`}, []any{"displayName", "B"}},

	{"replace what is not there", []string{`{"op":"replace","path":"emails[type eq \"home\"].value","value":"x@y.z"}`},
		[]any{"noTarget"}},
	{"remove without a path", []string{`{"op":"remove"}`}, []any{"noTarget"}},
	{"remove what must be", []string{`{"op":"remove","path":"userName"}`}, []any{"mutability"}},
	{"null for what must be", []string{`{"op":"replace","value":{"userName":null}}`}, []any{"mutability"}},
	{"id", []string{`{"op":"replace","path":"id","value":"7"}`}, []any{"mutability"}},
	{"part of meta", []string{`{"op":"replace","path":"meta.created","value":"x"}`}, []any{"mutability"}},
	{"groups", []string{`{"op":"add","path":"groups","value":[{"value":"1"}]}`}, []any{"mutability"}},
	{"unknown attribute", []string{`{"op":"add","path":"shoeSize","value":"7"}`}, []any{"invalidPath"}},
	{"unknown part", []string{`{"op":"add","path":"name.nick","value":"7"}`}, []any{"invalidPath"}},
	{"unknown attribute without a path", []string{`{"op":"add","value":{"shoeSize":"7"}}`}, []any{"invalidPath"}},
	{"unknown schema", []string{`{"op":"add","path":"urn:x:User:shoeSize","value":"7"}`}, []any{"invalidPath"}},
	{"path that ends early", []string{`{"op":"add","path":"emails[type eq \"work\"","value":"7"}`}, []any{"invalidPath"}},
	{"path with more behind it", []string{`{"op":"add","path":"emails[type eq \"work\"].value x","value":"7"}`},
		[]any{"invalidPath"}},
	{"values of what has none", []string{`{"op":"add","path":"name[x eq 1]","value":"7"}`}, []any{"invalidPath"}},
	{"path that is no text", []string{`{"op":"add","path":7,"value":"7"}`}, []any{"invalidPath"}},
	{"unknown operation", []string{`{"op":"move","path":"displayName","value":"X"}`}, []any{"invalidSyntax"}},
	{"no operation", []string{`7`}, []any{"invalidSyntax"}},
	{"no operations", nil, []any{"invalidSyntax"}},
	{"no value", []string{`{"op":"add","path":"displayName"}`}, []any{"invalidValue"}},
	{"value that is none", []string{`{"op":"replace","path":"active","value":"maybe"}`}, []any{"invalidValue"}},
	{"list for a text", []string{`{"op":"replace","path":"displayName","value":["x"]}`}, []any{"invalidValue"}},
	{"text for an object", []string{`{"op":"replace","path":"name","value":"x"}`}, []any{"invalidValue"}},
	{"text without a path", []string{`{"op":"replace","value":"x"}`}, []any{"invalidValue"}},
	{"empty user name", []string{`{"op":"replace","path":"userName","value":""}`}, []any{"invalidValue"}},
	{"all or nothing", []string{`{"op":"replace","path":"displayName","value":"X"}`,
		`{"op":"remove","path":"userName"}`}, []any{"mutability"}},
}

// RFC 7644 §3.5.2, and what directories make of it.
func TestPatchUser(t *testing.T) {
	for _, c := range patches {
		t.Run(c.what, func(t *testing.T) {
			w := newWorld(t)
			id := w.newUser("ada", `"externalId":"1"`, `"emails":[{"value":"ada@example.com","type":"work"}]`,
				`"name":{"givenName":"Ada","familyName":"Lovelace"}`).id()
			before := w.do("GET", "/Users/"+id, "").text
			a := w.patch("/Users/"+id, c.operations...)
			after := w.do("GET", "/Users/"+id, "")
			if len(c.want) == 1 {
				a.want(400, c.want[0].(string))
				if after.text != before {
					t.Errorf("a refused PATCH made %s of %s", after.text, before)
				}
				return
			}
			a.want(200).is(c.want...)
			if after.text != a.text {
				t.Errorf("read %s, answered %s", after.text, a.text)
			}
		})
	}
}

// RFC 7644 §3.14, bar 109: whoever names what they saw changes nothing else.
func TestUserVersions(t *testing.T) {
	w := newWorld(t)
	a := w.newUser("ada")
	path, seen := "/Users/"+a.id(), a.header.Get("ETag")
	if !strings.HasPrefix(seen, `W/"`) {
		t.Errorf("ETag %q", seen)
	}
	if got := w.do("GET", path, "", "If-None-Match",
		seen); got.status != http.StatusNotModified || got.header.Get("ETag") != seen {
		t.Errorf("status %d for what was seen", got.status)
	}
	off := patchOf(`{"op":"replace","path":"active","value":false}`)
	w.do("PATCH", path, off, "If-Match", `W/"other"`).want(412)
	w.do("PATCH", path, off, "If-Match", `other`).want(400, "invalidValue")
	w.do("PATCH", path, off, "If-Match", seen).want(200).is("active", false)
	w.do("PUT", path, `{`+userURN+`,"userName":"ada","active":true}`, "If-Match", seen).want(412)
	w.do("GET", path, "", "If-None-Match", seen).want(200).is("active", false)
	w.do("PUT", path, `{`+userURN+`,"userName":"ada","active":true}`, "If-Match", "*").want(200).is("active", true)
	w.do("DELETE", path, "", "If-Match", seen).want(400, "invalidValue")
	w.do("DELETE", path, "").want(204)
	w.do("GET", path, "").want(404)
	w.do("DELETE", path, "").want(404)
	w.newUser("ada") // the name is free again
}

// What people sign in by follows the directory where it was taken from there, and stays what it was elsewhere.
func TestSubjects(t *testing.T) {
	subject := func(w *world, id latchward.UserID) string {
		u, err := w.User(w.local, id)
		must(t, err)
		return u.ExternalID
	}
	for choice, want := range map[scim.Subject][2]string{
		"": {"1", "2"}, scim.SubjectExternalID: {"1", "2"}, scim.SubjectUserName: {"ada",
			"lovelace"}, scim.SubjectNone: {"", ""},
	} {
		w := newWorld(t, func(o *scim.Options) { o.Subject = choice })
		id := w.newUser("ada", `"externalId":"1"`).id()
		if got := subject(w, 1); got != want[0] {
			t.Errorf("%q: sub %q, want %q", choice, got, want[0])
		}
		w.patch("/Users/"+id, `{"op":"replace","value":{"externalId":"2","userName":"lovelace"}}`).want(200)
		if got := subject(w, 1); got != want[1] {
			t.Errorf("%q: sub %q, want %q", choice, got, want[1])
		}
	}
	w := newWorld(t)
	own, err := w.CreateUser(w.local, latchward.NewUser{ExternalID: "host|7", Email: "ada@example.com"})
	must(t, err)
	w.do("GET", "/Users?filter=userName+eq+%22ADA@example.com%22", "").want(200).is("totalResults", 1.0,
		"Resources.0.id", "1")
	w.do("PUT", "/Users/1", `{`+userURN+`,"userName":"ada@example.com","externalId":"00u1","emails":[{"value":"ada@example.com"}]}`).
		want(200).is("externalId", "00u1")
	if got := subject(w, own.ID); got != "host|7" {
		t.Errorf("the sub of somebody who had one became %q", got)
	}
}

// S3-07: somebody who signed in before the directory told of them is the same person, not a second one whom it does not
// reach.
func TestDirectoryTakesOver(t *testing.T) {
	w := newWorld(t)
	p, err := w.SignIn(w.local, latchward.Identity{ExternalID: "00u1", Name: "Ada"}, true)
	must(t, err)
	secret := w.personal(latchward.UserID(p.ID))
	a := w.newUser("ada@example.com", `"externalId":"00u1"`)
	if a.id() != fmt.Sprint(p.ID) {
		t.Errorf("user %s, want %d", a.id(), p.ID)
	}
	w.patch("/Users/"+a.id(), `{"op":"replace","path":"active","value":false}`).want(200)
	if got := w.reason(secret); got != latchward.ReasonOwnerDisabled {
		t.Errorf("reason %s", got)
	}
	w.do("POST", "/Users", `{`+userURN+`,"userName":"other","externalId":"00u1"}`).want(409, "uniqueness")
}
