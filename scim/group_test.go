package scim_test

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/latchward/latchward"
)

// B-18; RFC 7644 §3.3: a group is shown by its title, and is called in programs by a name made of it.
func TestCreateGroup(t *testing.T) {
	w := newWorld(t)
	w.newUser("ada")
	w.newUser("bob")
	a := w.do("POST", "/Groups", `{`+groupURN+`,"displayName":"Night Shift (Köln)","externalId":"00g1",
		"members":[{"value":"2","display":"Bob","$ref":null},{"value":"1","type":"User"},{"value":"2"}]}`).want(201).
		is("displayName", "Night Shift (Köln)", "externalId", "00g1", "members.0.value", "1", "members.1.value", "2",
			"members.2", nil,
			"members.0.$ref", "https://tokens.example.com/scim/v2/Users/1", "meta.resourceType", "Group",
			"meta.location", "https://tokens.example.com/scim/v2/Groups/2")
	if got := w.do("GET", "/Groups/2", "").want(200); got.text != a.text || got.header.Get("ETag") != a.header.Get("ETag") ||
		a.header.Get("ETag") != a.get("meta.version") {
		t.Errorf("read %s %s, created %s %s", got.text, got.header.Get("ETag"), a.text, a.header.Get("ETag"))
	}
	for i, c := range []struct{ title, name string }{
		{"night shift, köln", "night-shift-kln-2"}, {"夜勤", "group-[0-9a-f]{8}"}, {"---", "group-[0-9a-f]{8}"}, {"x", "x"},
		{"A&B", "a-b"}, {strings.Repeat("long ", 51), "(long-)+[a-z]+"},
	} {
		w.newGroup(c.title)
		group, err := w.Group(w.local, latchward.GroupID(i+3))
		must(t, err)
		if !regexp.MustCompile("^" + c.name + "$").MatchString(group.Name) {
			t.Errorf("%q is called %q", c.title, group.Name)
		}
	}
	for i := range 10 { // all names but the last are taken
		_, err := w.CreateGroup(w.local, latchward.NewGroup{Name: strings.TrimSuffix(fmt.Sprintf("taken-%d", i), "-0"),
			Title: fmt.Sprint(i)})
		must(t, err)
	}
	w.newGroup("Taken!")
}

// RFC 7644 §3.12
func TestCreateGroupRefuses(t *testing.T) {
	w := newWorld(t)
	w.newGroup("Press")
	for body, want := range map[string]struct {
		status int
		kind   string
	}{
		`{` + groupURN + `,"displayName":"PRESS"}`:                                      {409, "uniqueness"},
		`{` + groupURN + `,"displayName":"directory"}`:                                  {409, "uniqueness"},
		`{` + groupURN + `}`:                                                            {400, "invalidValue"},
		`{` + groupURN + `,"displayName":" "}`:                                          {400, "invalidValue"},
		`{` + groupURN + `,"displayName":"` + strings.Repeat("x", 256) + `"}`:           {400, "invalidValue"},
		`{` + groupURN + `,"displayName":"x","members":[{"value":"4711"}]}`:             {400, "invalidValue"},
		`{` + groupURN + `,"displayName":"x","members":[{"value":"x"}]}`:                {400, "invalidValue"},
		`{` + groupURN + `,"displayName":"x","members":[{"value":"2","type":"Group"}]}`: {400, "invalidValue"},
		`{` + groupURN + `,"displayName":"x","members":[{}]}`:                           {400, "invalidValue"},
		`{` + groupURN + `,"displayName":"x","members":7}`:                              {400, "invalidValue"},
		`{` + groupURN + `,"displayName":"x","members":[` + many(10_001) + `]}`:         {400, "tooMany"},
		`{` + userURN + `,"displayName":"x"}`:                                           {400, "invalidSyntax"},
	} {
		w.do("POST", "/Groups", body).want(want.status, want.kind)
	}
	if groups := w.do("GET", "/Groups", "").want(200).get("totalResults"); groups != 2.0 {
		t.Errorf("%v groups, want 2", groups)
	}
}

func many(n int) string { return strings.TrimSuffix(strings.Repeat(`{"value":"1"},`, n), ",") }

// memberPatches change a group with the members 1 and 2 where 3 and 4 are users; want are the members then, or the
// scimType of a refusal.
var memberPatches = []struct {
	what       string
	operations []string
	want       string
}{
	{"add one", []string{`{"op":"Add","path":"members","value":[{"value":"3"}]}`}, "1 2 3"},
	{"add who is one", []string{`{"op":"add","path":"members","value":[{"value":"1"}]}`}, "1 2"},
	{"add one that is no list", []string{`{"op":"add","path":"members","value":{"value":"3"}}`}, "1 2 3"},
	{"add without a path", []string{`{"op":"add","value":{"members":[{"value":"3","display":"x"}]}}`}, "1 2 3"},
	{"remove by path, as Okta and Entra do", []string{`{"op":"Remove","path":"members[value eq \"1\"]"}`}, "2"},
	{"remove by value, as Entra does", []string{`{"op":"Remove","path":"members","value":[{"value":"1"}]}`}, "2"},
	{"remove by value with null beside it", []string{`{"op":"remove","path":"members","value":[{"$ref":null,"value":"2"}]}`}, "1"},
	{"remove who is none", []string{`{"op":"remove","path":"members[value eq \"3\"]"}`}, "1 2"},
	{"remove who is nobody", []string{`{"op":"remove","path":"members[value eq \"x\"]"}`}, "1 2"},
	{"remove all", []string{`{"op":"remove","path":"members"}`}, ""},
	{"remove none", []string{`{"op":"remove","path":"members","value":[]}`}, "1 2"},
	{"remove all of a type", []string{`{"op":"remove","path":"members[type eq \"User\"]"}`}, ""},
	{"remove two at once", []string{`{"op":"remove","path":"members[value eq \"1\" or value eq \"2\"]"}`}, ""},
	{"remove both conditions", []string{`{"op":"remove","path":"members[value eq \"1\" and type eq \"Group\"]"}`}, "1 2"},
	{"replace", []string{`{"op":"replace","path":"members","value":[{"value":"2"},{"value":"4"}]}`}, "2 4"},
	{"replace by none", []string{`{"op":"replace","path":"members","value":[]}`}, ""},
	{"replace by null", []string{`{"op":"replace","value":{"members":null}}`}, ""},
	{"as Okta renames a group", []string{`{"op":"replace","value":{"id":"2","displayName":"New"}}`}, "1 2"},
	{"the last word counts", []string{`{"op":"add","path":"members","value":[{"value":"3"}]}`,
		`{"op":"remove","path":"members[value eq \"3\"]"}`, `{"op":"remove","path":"members[value eq \"1\"]"}`,
		`{"op":"add","path":"members","value":[{"value":"1"}]}`}, "1 2"},
	{"add behind replace", []string{`{"op":"replace","path":"members","value":[{"value":"3"}]}`,
		`{"op":"add","path":"members","value":[{"value":"4"}]}`}, "3 4"},
	{"replace behind add", []string{`{"op":"add","path":"members","value":[{"value":"4"}]}`,
		`{"op":"replace","path":"members","value":[{"value":"3"}]}`}, "3"},
	{"choose among those who were just added", []string{`{"op":"add","path":"members","value":[{"value":"4"}]}`,
		`{"op":"remove","path":"members[type eq \"user\"]"}`}, ""},

	{"unknown user", []string{`{"op":"add","path":"members","value":[{"value":"3"},{"value":"4711"}]}`}, "invalidValue"},
	{"no id", []string{`{"op":"add","path":"members","value":[{"value":"ada"}]}`}, "invalidValue"},
	{"group in a group", []string{`{"op":"add","path":"members","value":[{"value":"1","type":"Group"}]}`}, "invalidValue"},
	{"text", []string{`{"op":"add","path":"members","value":7}`}, "invalidValue"},
	{"too many", []string{`{"op":"add","path":"members","value":[` + many(10_001) + `]}`}, "tooMany"},
	{"part of a member", []string{`{"op":"replace","path":"members[value eq \"1\"].value","value":"3"}`}, "mutability"},
	{"add by filter", []string{`{"op":"add","path":"members[value eq \"3\"]","value":{"value":"3"}}`}, "invalidPath"},
	{"filter that is none", []string{`{"op":"remove","path":"members[value is \"1\"]"}`}, "invalidPath"},
	{"name and id", []string{`{"op":"remove","path":"displayName"}`}, "mutability"},
	{"empty name", []string{`{"op":"replace","path":"displayName","value":""}`}, "invalidValue"},
	{"all or nothing", []string{`{"op":"remove","path":"members"}`, `{"op":"replace","path":"id","value":"7"}`},
		"mutability"},
}

// RFC 7644 §3.5.2, and what directories make of it.
func TestPatchMembers(t *testing.T) {
	for _, c := range memberPatches {
		t.Run(c.what, func(t *testing.T) {
			w := newWorld(t)
			for i := range 4 {
				w.newUser(fmt.Sprint("user", i))
			}
			id := w.newGroup("Press", "1", "2").id()
			before := w.entries()
			a := w.patch("/Groups/"+id, c.operations...)
			if strings.Contains("invalidValue invalidPath mutability tooMany", c.want) && c.want != "" {
				a.want(400, c.want)
				if got := w.members(id); got != "1 2" || w.entries() != before {
					t.Errorf("a refused PATCH left the members %s and %d entries", got, w.entries()-before)
				}
				return
			}
			if a.want(204); a.text != "" || a.header.Get("ETag") == "" {
				t.Errorf("answered %q, ETag %q", a.text, a.header.Get("ETag"))
			}
			if got := w.members(id); got != c.want {
				t.Errorf("members %q, want %q", got, c.want)
			}
		})
	}
}

// RFC 7644 §3.5.1: whoever leaves members out of a PUT does not empty the group.
func TestReplaceGroup(t *testing.T) {
	w := newWorld(t)
	w.newUser("ada")
	w.newUser("bob")
	id := w.newGroup("Press", "1").id()
	w.advance(time.Second)
	path := "/Groups/" + id
	w.do("PUT", path, `{`+groupURN+`,"displayName":"Media","externalId":"00g1"}`).want(200).
		is("displayName", "Media", "externalId", "00g1", "members.0.value", "1", "members.1", nil)
	w.do("PUT", path, `{`+groupURN+`,"displayName":"Media","members":[{"value":"2"}]}`).want(200).
		is("externalId", nil, "members.0.value", "2", "members.1", nil)
	before := w.entries()
	w.do("PUT", path, `{`+groupURN+`,"displayName":"Media","members":[{"value":"2"}]}`).want(200)
	if w.entries() != before {
		t.Error("a PUT that changes nothing left an entry in the audit log")
	}
	w.do("PUT", path, `{`+groupURN+`,"displayName":"Media","members":[]}`).want(200).is("members", nil)
	w.do("PUT", path, `{`+groupURN+`,"displayName":"Directory"}`).want(409, "uniqueness")
	w.do("PUT", path, `{`+groupURN+`,"displayName":"MEDIA"}`).want(200).is("displayName", "MEDIA")
	w.do("PUT", path, `{`+groupURN+`}`).want(400, "invalidValue")
	g, err := w.Group(w.local, 2)
	must(t, err)
	if g.Name != "press" {
		t.Errorf("a group that is shown anew is called %q by programs", g.Name)
	}
	w.do("DELETE", path, "").want(204)
	for _, method := range []string{"GET", "DELETE", "PUT", "PATCH"} {
		body := map[string]string{
			"PUT": `{` + groupURN + `,"displayName":"x"}`, "PATCH": patchOf(`{"op":"remove","path":"members"}`),
		}[method]
		w.do(method, path, body).want(404)
		w.do(method, "/Groups/x", body).want(404)
	}
	w.newGroup("Media") // the name is free again
}

// bar 109: a version of a group is one of its members, too.
func TestGroupVersions(t *testing.T) {
	w := newWorld(t)
	w.newUser("ada")
	w.newUser("bob")
	a := w.newGroup("Press", "1")
	path, seen := "/Groups/"+a.id(), a.header.Get("ETag")
	if got := w.do("GET", path, "", "If-None-Match", seen); got.status != http.StatusNotModified {
		t.Errorf("status %d for what was seen", got.status)
	}
	add := patchOf(`{"op":"add","path":"members","value":[{"value":"2"}]}`)
	w.do("PATCH", path, add, "If-Match", `"other"`).want(412)
	next := w.do("PATCH", path, add, "If-Match", seen).want(204).header.Get("ETag")
	if next == seen || next == "" {
		t.Errorf("ETag %q after %q", next, seen)
	}
	w.do("GET", path, "", "If-None-Match", seen).want(200)
	w.do("PUT", path, `{`+groupURN+`,"displayName":"Press","members":[]}`, "If-Match", seen).want(412)
	w.do("PATCH", path, patchOf(`{"op":"replace","path":"displayName","value":"Press"}`), "If-Match", seen).want(412)
	w.do("PATCH", path, patchOf(`{"op":"replace","path":"displayName","value":"Press"}`), "If-Match", next).want(204)
	if got := w.members(a.id()); got != "1 2" {
		t.Errorf("members %q", got)
	}
	w.do("PUT", path, `{`+groupURN+`,"displayName":"Press","members":[]}`, "If-Match", next).want(200)
}

// RFC 7644 §3.4.2.2 for groups; §3.9: Entra asks for a group without its members.
func TestListGroups(t *testing.T) {
	w := newWorld(t)
	w.newUser("ada")
	w.newUser("bob")
	w.newGroup("Press", "1", "2")
	w.do("POST", "/Groups", `{`+groupURN+`,"displayName":"Night Shift","externalId":"00g1","members":[{"value":"2"}]}`).want(201)
	for filter, want := range map[string]string{
		`displayName eq "press"`: "2", `displayName eq "DIRECTORY"`: "1", `externalId eq "00g1"`: "3", `externalId eq "00G1"`: "",
		`members eq "2"`: "2 3", `members.value eq "1"`: "2", `members[value eq "1"]`: "2", `id eq "2" and members eq "2"`: "2",
		`id eq "1" and members eq "2"`: "", `not (members pr)`: "1", `displayName sw "n" or id eq "1"`: "1 3", `meta.created pr`: "1 2 3",
		`members.$ref ew "/Users/1"`: "2", `members.type eq "user"`: "2 3",
		`urn:ietf:params:scim:schemas:core:2.0:Group:displayName eq "Press"`: "2",
	} {
		a := w.do("GET", "/Groups?excludedAttributes=members&filter="+url.QueryEscape(filter),
			"").want(200).is("Resources.0.members", nil)
		if got := strings.Join(a.values("id"), " "); got != want {
			t.Errorf("%s finds %q, want %q", filter, got, want)
		}
	}
	w.do("GET", "/Groups?filter="+url.QueryEscape(`userName eq "x"`), "").want(400, "invalidFilter")
	w.do("GET", "/Groups?startIndex=2&count=1", "").want(200).
		is("totalResults", 3.0, "itemsPerPage", 1.0, "Resources.0.displayName", "Press", "Resources.0.members.1.value", "2")
	w.do("POST", "/Groups/.search", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],"filter":"members eq \"1\""}`).
		want(200).is("totalResults", 1.0)
	w.do("GET", "/Groups?count=0", "").want(200).is("totalResults", 3.0, "itemsPerPage", 0.0)
}

// 10,000 members come and go in one request each; fewer in a hurry.
func TestManyMembers(t *testing.T) {
	w := newWorld(t)
	all := latchward.MaxMemberChanges / 10
	if os.Getenv("LATCHWARD_SCALE") == "full" {
		all = latchward.MaxMemberChanges
	}
	_, err := w.store.Tx(t.Context(), func(tx latchward.Tx) error {
		for i := range all {
			u := latchward.User{Name: fmt.Sprint(i), Active: true, CreatedAt: w.clock(), UpdatedAt: w.clock()}
			if err := tx.SaveUser(&u); err != nil {
				return err
			}
		}
		return nil
	})
	must(t, err)
	ids := make([]string, all)
	for i := range ids {
		ids[i] = fmt.Sprint(i + 1)
	}
	id := w.newGroup("All").id()
	w.patch("/Groups/"+id, `{"op":"add","path":"members","value":[`+memberList(ids)+`]}`).want(204)
	if got := strings.Count(w.members(id), " ") + 1; got != all {
		t.Errorf("%d members, want %d", got, all)
	}
	w.patch("/Groups/"+id, `{"op":"remove","path":"members"}`).want(204)
	if got := w.members(id); got != "" {
		t.Errorf("members %.40q, want none", got)
	}
}

// A page of groups ends early rather than showing more members than there is room for.
func TestPageOfLargeGroups(t *testing.T) {
	w := newWorld(t)
	for i := range 6 {
		w.newGroup(fmt.Sprint("large ", i))
	}
	_, err := w.store.Tx(t.Context(), func(tx latchward.Tx) error {
		for range 10_000 {
			u := latchward.User{Groups: []latchward.GroupID{2, 3, 4, 5, 6, 7}, CreatedAt: w.clock(), UpdatedAt: w.clock()}
			if err := tx.SaveUser(&u); err != nil {
				return err
			}
		}
		return nil
	})
	must(t, err)
	w.do("GET", "/Groups", "").want(200).is("totalResults", 7.0, "itemsPerPage", 6.0, "Resources.5.displayName", "large 4")
	w.do("GET", "/Groups?startIndex=7", "").want(200).is("itemsPerPage", 1.0, "Resources.0.displayName", "large 5")
	w.do("GET", "/Groups?excludedAttributes=members", "").want(200).is("itemsPerPage", 7.0)
}
