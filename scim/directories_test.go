package scim_test

import (
	"net/url"
	"testing"

	"github.com/latchward/latchward"
)

// step is a request as a directory sends it, and what it depends on in the answer: pairs of a path and its value.
type step struct {
	method, path, body string
	status             int
	want               []any
}

func (w *world) play(t *testing.T, steps []step) {
	t.Helper()
	for _, s := range steps {
		w.do(s.method, s.path, s.body, "Accept", "application/scim+json").want(s.status).is(s.want...)
	}
}

func filtered(path, filter string) string { return path + "?filter=" + url.QueryEscape(filter) }

// B-18: what Microsoft Entra ID sends, from the test of the connection to the end of a user and a group.
func TestEntra(t *testing.T) {
	w := newWorld(t)
	const add, remove = `{"op":"Add","path":"members","value":[{"value":"1"},{"value":"2"}]}`,
		`{"op":"Remove","path":"members","value":[{"value":"1"}]}`
	w.newUser("second")
	w.play(t, []step{
		{"GET", filtered("/Users", `userName eq "1c0ffee0-does-not-exist"`), "", 200, []any{"totalResults", 0.0,
			"Resources.0", nil}},
		{"GET", filtered("/Users", `emails[type eq "work"].value eq "ellen@example.com"`), "", 200, []any{"totalResults",
			0.0}},
		{"POST", "/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User",
			"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],"externalId":"0a21f0f2","userName":"ellen@example.com",
			"active":true,"addresses":null,"displayName":null,"emails":[{"primary":true,"type":"work","value":"ellen@example.com"}],
			"meta":{"resourceType":"User"},"name":{"formatted":"Ellen R","familyName":"R","givenName":"Ellen"},"roles":[],
			"preferredLanguage":"en-US","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"HR",
			"manager":"7"}}`, 201, []any{"id", "2", "userName", "ellen@example.com", "active", true, "displayName", "Ellen R"}},
		{"GET", "/Users/2", "", 200, []any{"externalId", "0a21f0f2"}},
		{"GET", filtered("/Users", `externalId eq "0a21f0f2"`), "", 200, []any{"totalResults", 1.0, "Resources.0.id", "2"}},
		{"PATCH", "/Users/2?aadOptscim062020", patchOf(
			`{"op":"Replace","path":"emails[type eq \"work\"].value","value":"ellen.r@example.com"}`,
			`{"op":"Replace","path":"name.familyName","value":"Reckert"}`,
			`{"op":"Add","path":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber","value":"100009"}`,
			`{"op":"Add","path":"phoneNumbers[type eq \"mobile\"].value","value":"+1"}`,
			`{"op":"Add","path":"roles[primary eq \"True\"].value","value":"User"}`,
			`{"op":"Replace","path":"displayName","value":"Ellen Reckert"}`), 200,
			[]any{"emails.0.value", "ellen.r@example.com", "name.familyName", "Reckert", "displayName", "Ellen Reckert"}},
		{"PATCH", "/Users/2", patchOf(`{"op":"Replace","value":{"active":true,"name.givenName":"E.",
			"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department":"IT"}}`), 200, []any{"name.givenName", "E."}},

		{"GET", "/Groups?excludedAttributes=members&filter=" + url.QueryEscape(`displayName eq "Human Resources"`), "", 200,
			[]any{"totalResults", 0.0}},
		{"POST", "/Groups", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group",
			"http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"],"externalId":"8aa1a0c0",
			"displayName":"Human Resources","meta":{"resourceType":"Group"}}`, 201, []any{"id", "2", "members", nil}},
		{"GET", "/Groups/2?excludedAttributes=members", "", 200, []any{"displayName", "Human Resources", "externalId",
			"8aa1a0c0"}},
		{"PATCH", "/Groups/2", patchOf(`{"op":"Replace","path":"displayName","value":"HR"}`), 204, nil},
		{"PATCH", "/Groups/2", patchOf(add), 204, nil},
		{"GET", filtered("/Groups", `id eq "2" and members eq "1"`), "", 200, []any{"totalResults", 1.0}},
		{"PATCH", "/Groups/2", patchOf(remove), 204, nil},
		{"GET", filtered("/Groups", `id eq "2" and members eq "1"`), "", 200, []any{"totalResults", 0.0}},
		{"PATCH", "/Groups/2", patchOf(`{"op":"Remove","path":"members[value eq \"2\"]"}`), 204, nil},
		{"GET", "/Groups/2", "", 200, []any{"members", nil, "displayName", "HR"}},
		{"DELETE", "/Groups/2", "", 204, nil},

		{"PATCH", "/Users/2", patchOf(`{"op":"Replace","path":"active","value":"False"}`), 200, []any{"active", false}},
		{"PATCH", "/Users/2", patchOf(`{"op":"Replace","path":"active","value":"True"}`), 200, []any{"active", true}},
		{"DELETE", "/Users/2", "", 204, nil},
		{"GET", "/Users/2", "", 404, nil},
		{"GET", filtered("/Users", `userName eq "ellen@example.com"`), "", 200, []any{"totalResults", 0.0}},
	})
}

// B-18: what Okta sends, from the first import to the end of a user and a group.
func TestOkta(t *testing.T) {
	w := newWorld(t)
	_, err := w.CreateUser(w.local, latchward.NewUser{Email: "known@example.com", Name: "Known Before"})
	must(t, err)
	const isaac = `"userName":"isaac@example.com","name":{"givenName":"Isaac","middleName":"","familyName":"Brock"},
		"emails":[{"primary":true,"value":"isaac@example.com","type":"work"}],"displayName":"Isaac Brock","locale":"en-US",
		"externalId":"00u1dhhb1","groups":[]`
	w.play(t, []step{
		{"GET", "/Users?startIndex=1&count=100", "", 200, []any{"totalResults", 1.0, "Resources.0.userName",
			"known@example.com",
			"Resources.0.active", true}},
		{"GET", "/Groups?startIndex=1&count=100", "", 200, []any{"totalResults", 1.0}},
		{"GET", filtered("/Users", `userName eq "isaac@example.com"`) + "&startIndex=1&count=100", "", 200,
			[]any{"totalResults", 0.0}},
		{"POST", "/Users", `{` + userURN + `,` + isaac + `,"password":"1mz050nq","active":true}`, 201,
			[]any{"id", "2", "name.givenName", "Isaac", "password", nil}},
		{"GET", "/Users/2", "", 200, []any{"emails.0.value", "isaac@example.com", "active", true}},
		{"PUT", "/Users/2", `{` + userURN + `,"id":"2",` + isaac + `,"nickName":"Ike","active":true,"meta":{"resourceType":"User"}}`, 200,
			[]any{"displayName", "Isaac Brock", "active", true}},
		{"PATCH", "/Users/2", patchOf(`{"op":"replace","value":{"active":false}}`), 200, []any{"active", false}},
		{"PUT", "/Users/2", `{` + userURN + `,"id":"2",` + isaac + `,"active":true}`, 200, []any{"active", true}},
		// somebody who is there already
		{"GET", filtered("/Users", `userName eq "known@example.com"`), "", 200, []any{"totalResults", 1.0, "Resources.0.id",
			"1"}},
		{"PUT", "/Users/1", `{` + userURN + `,"userName":"known@example.com","externalId":"00u2","active":true,
			"name":{"givenName":"Known","familyName":"Before"},"emails":[{"primary":true,"value":"known@example.com"}]}`, 200,
			[]any{"externalId", "00u2", "displayName", "Known Before"}},

		{"GET", filtered("/Groups", `displayName eq "Test SCIMv2"`), "", 200, []any{"totalResults", 0.0}},
		{"POST", "/Groups", `{` + groupURN + `,"displayName":"Test SCIMv2","members":[]}`, 201, []any{"id", "2"}},
		{"POST", "/Groups", `{` + groupURN + `,"displayName":"Test SCIMv2","members":[]}`, 409, []any{"scimType",
			"uniqueness"}},
		{"PATCH", "/Groups/2", patchOf(`{"op":"replace","value":{"id":"2","displayName":"Test SCIMv2.0"}}`), 204, nil},
		{"PATCH", "/Groups/2", patchOf(`{"op":"add","path":"members","value":[{"value":"1","display":"known@example.com"}]}`,
			`{"op":"add","path":"members","value":[{"value":"2","display":"isaac@example.com"}]}`,
			`{"op":"remove","path":"members[value eq \"1\"]"}`), 204, nil},
		{"GET", "/Groups/2", "", 200, []any{"displayName", "Test SCIMv2.0", "members.0.value", "2", "members.1", nil}},
		{"GET", "/Users/2", "", 200, []any{"groups.0.value", "2", "groups.0.display", "Test SCIMv2.0"}},
		{"PUT", "/Groups/2", `{` + groupURN + `,"id":"2","displayName":"Test SCIMv2.0","members":[{"value":"1","display":"x"}]}`, 200,
			[]any{"members.0.value", "1", "members.1", nil}},
		{"DELETE", "/Groups/2", "", 204, nil},
		{"GET", "/Users/1", "", 200, []any{"groups", nil}},
	})
}
