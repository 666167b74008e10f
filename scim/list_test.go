package scim_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchward/latchward"
)

// people fills a world with users whom filters tell apart: ada, bob and cy by a directory, dee and ed by others.
func people(t *testing.T) *world {
	w := newWorld(t)
	ada := w.newUser("ada@example.com", `"externalId":"00u1"`, `"name":{"givenName":"Ada","familyName":"Lovelace"}`,
		`"emails":[{"value":"ada@work.example"}]`).id()
	w.advance(time.Hour)
	w.newUser("Bob", `"externalId":"00U1"`, `"displayName":"Bob \"the\" Builder"`, `"active":false`)
	w.newUser("cy", `"emails":[{"value":"cy@example.com"}]`)
	w.advance(time.Hour)
	_, err := w.CreateUser(w.local, latchward.NewUser{Email: "dee@example.com", Name: "Dee"})
	must(t, err)
	_, err = w.CreateUser(w.local, latchward.NewUser{ExternalID: "host|ed", Name: "Ed"})
	must(t, err)
	_, err = w.CreateUser(w.local, latchward.NewUser{Name: "Flo"})
	must(t, err)
	gone, err := w.CreateUser(w.local, latchward.NewUser{Name: "gone", Email: "gone@example.com"})
	must(t, err)
	must(t, w.RemoveUser(w.local, gone.ID))
	w.newGroup("Press", ada, "2")
	return w
}

// filters over people, and whose ids they find. A single word is the scimType of a refusal.
var filters = []struct{ filter, want string }{
	{`userName eq "ada@example.com"`, "1"}, {`USERNAME EQ "ADA@EXAMPLE.COM"`, "1"}, {`userName eq "bob"`, "2"},
	{`urn:ietf:params:scim:schemas:core:2.0:User:userName eq "bob"`, "2"},
	{`userName eq "dee@example.com"`, "4"}, {`userName eq "host|ed"`, "5"}, {`userName eq "user-6"`, "6"},
	{`userName eq "user-1"`, ""}, {`userName eq "ada@work.example"`, ""}, {`userName eq "gone@example.com"`,
		""}, {`userName eq ""`, ""},
	{`userName ne "bob"`, "1 3 4 5 6"}, {`userName co "EXAMPLE"`, "1 4"}, {`userName sw "a"`,
		"1"}, {`userName ew ".COM"`, "1 4"},
	{`userName gt "cy"`, "4 5 6"}, {`userName ge "cy"`, "3 4 5 6"}, {`userName lt "bob"`, "1"}, {`userName le "bob"`,
		"1 2"},
	{`externalId eq "00u1"`, "1"}, {`externalId eq "00U1"`, "2"}, {`externalId pr`, "1 2"}, {`not (externalId pr)`,
		"3 4 5 6"},
	{`externalId eq null`, "3 4 5 6"}, {`externalId ne null`, "1 2"}, {`externalId eq ""`, ""},
	{`id eq "3"`, "3"}, {`id eq "03"`, ""}, {`id eq "x"`, ""}, {`id eq "7"`, ""}, {`id pr`, "1 2 3 4 5 6"},
	{`displayName eq "bob \"the\" builder"`, "2"}, {`displayName eq "Bob \u0022the\u0022 Builder"`, "2"},
	{`name.familyName eq "lovelace"`, "1"}, {`name.givenName pr`, "1"}, {`name pr`,
		"1 2 4 5 6"}, {`name.formatted sw "d"`, "4"},
	{`active eq true`, "1 3 4 5 6"}, {`active eq False`, "2"}, {`active ne true`, "2"}, {`active eq "False"`, "2"},
	{`emails eq "cy@example.com"`, "3"}, {`emails.value eq "CY@example.com"`, "3"}, {`emails co "example"`, "1 3 4"},
	{`emails[value eq "cy@example.com"]`, "3"}, {`emails[type eq "work" and value co "@example.com"]`, "3 4"},
	{`emails[type eq "home"]`, ""}, {`emails[primary eq true and not (value sw "c")]`, "1 4"}, {`emails pr`, "1 3 4"},
	{`emails.type eq "work"`, "1 3 4"}, {`emails.value ne "cy@example.com"`, "1 2 4 5 6"},
	{`groups.value eq "2"`, "1 2"}, {`groups eq "2"`, "1 2"}, {`groups[value eq "2"]`, "1 2"}, {`groups pr`, "1 2"},
	{`meta.created gt "2026-11-22T10:30:00Z"`, "2 3 4 5 6"}, {`meta.lastModified ge "2026-11-22T12:00:00+00:00"`,
		"1 2 4 5 6"},
	{`meta.created eq "2026-11-22T12:00:00.000+02:00"`, "1"}, {`meta.created ne "2026-11-22T10:00:00Z"`, "2 3 4 5 6"},
	{`userName eq "bob" or userName eq "cy"`, "2 3"}, {`userName eq "bob" and active eq true`, ""},
	{`userName eq "bob" and active eq false`, "2"}, {`active eq false and userName eq "bob"`, "2"},
	{`id eq "1" and userName eq "bob"`, ""}, {`not (userName eq "bob")`, "1 3 4 5 6"}, {`NOT(active eq true)`, "2"},
	// and binds more tightly than or
	{`active eq false or userName sw "c" and emails pr`, "2 3"}, {`(active eq false or userName sw "c") and emails pr`,
		"3"},
	{`userName sw "c" and emails pr or active eq false`, "2 3"}, {`((((id eq "1"))))`, "1"}, {`  id   eq   "1"  `, "1"},

	{`shoeSize eq "9"`, "invalidFilter"}, {`title eq "x"`, "invalidFilter"}, {`name.nick eq "x"`, "invalidFilter"},
	{`urn:x:userName eq "x"`, "invalidFilter"}, {`userName`, "invalidFilter"}, {`userName eq`, "invalidFilter"},
	{`userName eq bob`, "invalidFilter"}, {`userName eq 'bob'`, "invalidFilter"}, {`userName eq "bob`, "invalidFilter"},
	{`userName eq "bob\"`, "invalidFilter"}, {`userName eq "\x"`, "invalidFilter"}, {`userName is "bob"`, "invalidFilter"},
	{`userName eq 7`, "invalidFilter"}, {`userName eq true`, "invalidFilter"}, {`userName gt null`, "invalidFilter"},
	{`active gt true`, "invalidFilter"}, {`active eq "maybe"`, "invalidFilter"}, {`active co "t"`, "invalidFilter"},
	{`meta.created gt "yesterday"`, "invalidFilter"}, {`meta.created co "2026-11-22T10:00:00Z"`, "invalidFilter"},
	{`name eq "Ada"`, "invalidFilter"}, {`meta eq "x"`, "invalidFilter"}, {`userName[value eq "x"]`, "invalidFilter"},
	{`emails.value[value eq "x"]`, "invalidFilter"}, {`emails[userName eq "x"]`, "invalidFilter"}, {`emails[`,
		"invalidFilter"},
	{`emails[value eq "x"`, "invalidFilter"}, {`emails[value eq "x"].nick eq "x"`, "invalidFilter"},
	{`emails[value eq "x"].value`, "invalidFilter"}, {`emails[value eq "x"] eq "x"`, "invalidFilter"},
	// as Entra has it
	{`emails[type eq "work"].value eq "CY@example.com"`, "3"}, {`emails[type eq "work"].value sw "c" or active eq false`,
		"2 3"},
	{`emails[type eq "home"].value eq "cy@example.com"`, ""}, {`emails[primary eq true].value pr and userName sw "c"`,
		"3"}, {`(id pr`, "invalidFilter"},
	{`id pr)`, "invalidFilter"}, {`id pr and`, "invalidFilter"}, {`or id pr`, "invalidFilter"}, {`id pr id pr`,
		"invalidFilter"},
	{`not id pr`, "invalidFilter"}, {`()`, "invalidFilter"}, {`"x" eq id`, "invalidFilter"}, {"id eq \"\xff\"",
		"invalidFilter"},
	{`password eq "x"`, "sensitive"}, {strings.Repeat("(", 17) + "id pr" + strings.Repeat(")", 17), "invalidFilter"},
	{strings.Repeat("(", 16) + "id pr" + strings.Repeat(")", 16), "1 2 3 4 5 6"},
	{"id pr" + strings.Repeat(" or id pr", 64), "invalidFilter"}, {"id pr" + strings.Repeat(" or id pr", 63),
		"1 2 3 4 5 6"},
	{`userName eq "` + strings.Repeat("x", 4096) + `"`, "invalidFilter"},
}

// RFC 7644 §3.4.2.2
func TestFilters(t *testing.T) {
	w := people(t)
	for _, c := range filters {
		a := w.do("GET", "/Users?filter="+url.QueryEscape(c.filter), "")
		if strings.HasPrefix(c.want, "i") {
			a.want(400, c.want)
			continue
		}
		if c.want == "sensitive" {
			a.want(403, c.want)
			continue
		}
		got := strings.Join(a.want(200).values("id"), " ")
		if got != c.want || a.get("totalResults") != float64(len(strings.Fields(c.want))) {
			t.Errorf("%s: found %q, %v in all, want %q", c.filter, got, a.get("totalResults"), c.want)
		}
		body := fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],"filter":%q,"attributes":["id"]}`, c.filter)
		if got := strings.Join(w.do("POST", "/Users/.search", body).want(200).values("id"), " "); got != c.want {
			t.Errorf("%s: searched and found %q, want %q", c.filter, got, c.want)
		}
	}
}

// RFC 7644 §3.4.2.4: pages have an order that stays, and tell how many there are.
func TestPages(t *testing.T) {
	w := people(t)
	for query, want := range map[string]string{
		"": "1 2 3 4 5 6", "count=2": "1 2", "startIndex=3&count=2": "3 4", "startIndex=6&count=2": "6", "startIndex=7": "",
		"startIndex=-3&count=1": "1", "startIndex=0&count=1": "1", "count=0": "", "count=-1": "", "count=1000000000": "1 2 3 4 5 6",
		"sortBy=userName&sortOrder=descending": "1 2 3 4 5 6", "startIndex=4000000000": "",
	} {
		for filter, total := range map[string]float64{"": 6, "id pr": 6} {
			a := w.do("GET", "/Users?"+query+"&filter="+url.QueryEscape(filter), "").want(200)
			if got := strings.Join(a.values("id"), " "); got != want || a.get("totalResults") != total ||
				a.get("itemsPerPage") != float64(len(strings.Fields(want))) {
				t.Errorf("%s with filter %q: %s", query, filter, a.text)
			}
		}
	}
	w.do("GET", "/Users?count=2&startIndex=2&filter="+url.QueryEscape("active eq true"), "").want(200).
		is("totalResults", 5.0, "startIndex", 2.0, "itemsPerPage", 2.0, "Resources.0.id", "3", "Resources.1.id", "4")
	for _, query := range []string{"count=x", "startIndex=1.5", "count=99999999999999999999"} {
		w.do("GET", "/Users?"+query, "").want(400, "invalidValue")
	}
	for _, body := range []string{`{"count":2}`,
		`{"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],"count":{}}`, `[`} {
		w.do("POST", "/Users/.search", body).want(400)
	}
	w.do("POST", "/Users/.search", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],"count":2,"startIndex":"2"}`).
		want(200).is("itemsPerPage", 2.0, "Resources.0.id", "2")
}

// Nothing but the id and the schemas is shown unasked; those are always (RFC 7644 §3.9).
func TestAttributes(t *testing.T) {
	w := people(t)
	names := func(path string) string {
		o := w.do("GET", path, "").want(200).body.(map[string]any)
		var list []string
		for name, value := range o {
			if inner, ok := value.(map[string]any); ok {
				var parts []string
				for part := range inner {
					parts = append(parts, part)
				}
				slices.Sort(parts)
				name += "(" + strings.Join(parts, " ") + ")"
			}
			list = append(list, name)
		}
		slices.Sort(list)
		return strings.Join(list, " ")
	}
	for query, want := range map[string]string{
		"attributes=userName":                                          "id schemas userName",
		"attributes=USERNAME,active":                                   "active id schemas userName",
		"attributes=name.givenName":                                    "id name(givenName) schemas",
		"attributes=name":                                              "id name(familyName formatted givenName) schemas",
		"attributes=nothing":                                           "id schemas",
		"attributes=meta.version":                                      "id meta(version) schemas",
		"attributes=userName&attributes=externalId":                    "externalId id schemas userName",
		"attributes=urn:ietf:params:scim:schemas:core:2.0:User:active": "active id schemas",
		"excludedAttributes=name,emails,groups,meta,id":                "active displayName externalId id schemas userName",
		"excludedAttributes=name.formatted,meta,emails,groups":         "active displayName externalId id name(familyName givenName) schemas userName",
	} {
		if got := names("/Users/1?" + query); got != want {
			t.Errorf("%s shows %s, want %s", query, got, want)
		}
	}
	w.do("GET", "/Users?count=1&attributes=emails.value", "").want(200).
		is("Resources.0.emails.0.value", "ada@work.example", "Resources.0.emails.0.type", nil, "Resources.0.userName", nil)
	w.do("GET", "/Users/1", "").want(200).is("groups.0.value", "2", "groups.0.display", "Press",
		"groups.0.$ref", "https://tokens.example.com/scim/v2/Groups/2")
	only := w.issue(latchward.NewToken{Permissions: []string{"users.read"}})
	w.as(only, "GET", "/Users/1", "").want(200).is("groups.0.value", "2", "groups.0.display", nil)
	w.patch("/Groups/2?attributes=displayName", `{"op":"replace","path":"displayName","value":"X"}`).want(200).
		is("displayName", "X", "members", nil)
}

// A list of many is read a page at a time, and each is there once.
func TestManyUsers(t *testing.T) {
	w := newWorld(t)
	const many = 2_500
	_, err := w.store.Tx(t.Context(), func(tx latchward.Tx) error {
		for i := range many {
			u := latchward.User{Name: fmt.Sprintf("user %d", i), Active: i%2 == 0, CreatedAt: w.clock(), UpdatedAt: w.clock()}
			if err := tx.SaveUser(&u); err != nil {
				return err
			}
		}
		return nil
	})
	must(t, err)
	for _, filter := range []string{"", "id pr", "active eq true"} {
		seen := map[string]bool{}
		total := 0
		for start := 1; ; {
			a := w.do("GET", fmt.Sprintf("/Users?count=1000&startIndex=%d&filter=%s", start, url.QueryEscape(filter)),
				"").want(200)
			ids := a.values("id")
			if len(ids) == 0 {
				break
			}
			for _, id := range ids {
				seen[id] = true
			}
			start += len(ids)
			total = int(a.get("totalResults").(float64))
		}
		want := many
		if filter == "active eq true" {
			want /= 2
		}
		if len(seen) != want || total != want {
			t.Errorf("%q: %d users on all pages, %d in all, want %d", filter, len(seen), total, want)
		}
	}
}
