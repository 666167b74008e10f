package scim_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/latchward/latchward/scim"
)

// FuzzFilter: whatever a filter says, it is refused or decides; and NOT turns every decision around.
func FuzzFilter(f *testing.F) {
	for _, c := range filters {
		f.Add(c.filter)
	}
	user := map[string]any{
		"id": "1", "userName": "Ada", "active": true, "name": map[string]any{"givenName": "Ada", "formatted": ""},
		"emails": []any{map[string]any{"value": "a@x.y", "type": "work", "primary": true}, map[string]any{}},
		"groups": []any{}, "meta": map[string]any{"created": time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)},
	}
	f.Fuzz(func(t *testing.T, text string) {
		is, err := scim.MatchesUser(text, user)
		if err != nil {
			return
		}
		if len(text) > scim.MaxFilter {
			t.Errorf("a filter of %d bytes was taken", len(text))
		}
		isNot, err := scim.MatchesUser("not ("+text+")", user)
		if err == nil && is == isNot {
			t.Errorf("%q and its negation are both %v", text, is)
		}
		if again, err := scim.MatchesUser(strings.ReplaceAll(text, " ", "  "), user); err == nil && !strings.Contains(text,
			`"`) && again != is {
			t.Errorf("%q depends on the number of spaces", text)
		}
	})
}

// FuzzPatch: no operations make anything but a whole user or nothing of one, and none is a fault of ours.
func FuzzPatch(f *testing.F) {
	for _, c := range patches {
		f.Add(strings.Join(c.operations, ","))
	}
	for _, c := range memberPatches {
		f.Add(strings.Join(c.operations, ","))
	}
	w := newWorld(f)
	w.newUser("ada", `"emails":[{"value":"a@x.y"}]`, `"name":{"givenName":"Ada"}`)
	w.newGroup("press", "1")
	f.Fuzz(func(t *testing.T, operations string) {
		w := *w
		w.t = t
		for _, path := range []string{"/Users/1", "/Groups/2"} {
			before := w.do("GET", path, "").want(http.StatusOK)
			a := w.patch(path, operations)
			after := w.do("GET", path, "").want(http.StatusOK)
			switch {
			case a.status == http.StatusOK || a.status == http.StatusNoContent:
				if after.get("userName") == "" || after.get("displayName") == "" {
					t.Errorf("%s made %s", operations, after.text)
				}
			case a.status < 400 || a.status >= 500:
				t.Errorf("%s: status %d: %s", operations, a.status, a.text)
			case after.text != before.text:
				t.Errorf("%s was refused and made %s of %s", operations, after.text, before.text)
			}
		}
	})
}

// FuzzSearch: whatever is asked for, the answer is a list or a refusal.
func FuzzSearch(f *testing.F) {
	f.Add("startIndex=2&count=3&filter=id+pr&attributes=userName,name.givenName&excludedAttributes=emails")
	f.Add("count=-1&startIndex=99999999999999999999&attributes=,,&filter=")
	w := newWorld(f)
	w.newUser("ada")
	f.Fuzz(func(t *testing.T, query string) {
		if strings.ContainsFunc(query, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return
		}
		w := *w
		w.t = t
		for _, path := range []string{"/Users", "/Groups", "/Users/1"} {
			if a := w.do("GET", path+"?"+query, ""); a.status != http.StatusOK && a.status/100 != 4 {
				t.Error(fmt.Sprint(query, a.status, a.text))
			}
		}
	})
}
