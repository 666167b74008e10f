package latchward_test

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/latchward/latchward"
)

// reservedResources are those that no wildcard reaches but one that names them.
var reservedResources = []string{
	"audit", "groups", "keys", "licenses", "permissions", "policies", "roles", "tokens", "users",
}

func rightsOf(grants ...string) *latchward.Rights {
	return latchward.NewRights(latchward.RightsFacts{Permissions: grants, Reserved: true})
}

// B-09: what each form of grant reaches. The second part of each row is held, the third is not.
func TestGrants(t *testing.T) {
	for _, c := range []struct{ grants, held, not string }{
		{"", "", "orders.read orders.lines.read tokens.read"},
		{"orders.read", "orders.read", "orders.write orders.reader orders.read.all order.read xorders.read"},
		{"orders.lines.read", "orders.lines.read", "orders.lines orders.read lines.read"},
		{"documents.*", "documents.read documents.write documents.pages.read", "document.read documents2.read tokens.read"},
		{"*.read", "orders.read documents.read", "orders.write orders.lines.read orders.read.all orders.reader"},
		{"*.lines.read", "orders.lines.read", "orders.read lines.read orders.lines"},
		{"*", "orders.read orders.lines.read anything.at-all", ""},
		{"documents.* *.read orders.write", "documents.erase orders.read orders.write", "orders.erase"},
		{"tokens.read", "tokens.read", "tokens.create users.read"},
		{"tokens.*", "tokens.read tokens.create tokens.policies.read", "users.read orders.read"},
		{"* users.read", "users.read orders.read", "users.create tokens.read"},
	} {
		r := rightsOf(strings.Fields(c.grants)...)
		for _, permission := range strings.Fields(c.held) {
			if !r.Has(permission) {
				t.Errorf("[%s] does not hold %s", c.grants, permission)
			}
		}
		for _, permission := range strings.Fields(c.not) {
			if r.Has(permission) {
				t.Errorf("[%s] holds %s", c.grants, permission)
			}
		}
	}
}

// wildcards that do not name the resource reach none of the reserved ones, and without Reserved no grant does.
func TestGrantsOfReservedResources(t *testing.T) {
	for _, resource := range reservedResources {
		permission := resource + ".read"
		for _, grant := range []string{"*", "*.read"} {
			if rightsOf(grant).Has(permission) {
				t.Errorf("[%s] holds %s", grant, permission)
			}
			if rightsOf(grant).Covers(permission) || rightsOf(grant).Covers(resource+".*") {
				t.Errorf("[%s] covers %s", grant, permission)
			}
		}
		for _, grant := range []string{resource + ".*", permission} {
			if r := rightsOf(grant); !r.Has(permission) || !r.Covers(grant) {
				t.Errorf("[%s] does not hold %s, or does not cover itself", grant, permission)
			}
			r := latchward.NewRights(latchward.RightsFacts{Permissions: []string{grant}})
			if r.Has(permission) || r.Covers(grant) {
				t.Errorf("[%s] holds %s where reserved permissions do not count", grant, permission)
			}
		}
	}
}

// S5-03, C-09: a bound can only take away, and a bound's bound counts.
func TestRightsBound(t *testing.T) {
	owner := latchward.NewRights(latchward.RightsFacts{
		Permissions: []string{"orders.*", "*.read", "tokens.read"}, Reserved: true,
		Bound: rightsOf("orders.*", "stores.read", "tokens.*"),
	})
	r := latchward.NewRights(latchward.RightsFacts{Permissions: []string{"*", "tokens.*"}, Reserved: true, Bound: owner})
	for permission, want := range map[string]bool{
		"orders.read": true, "orders.erase": true, "stores.read": true, "tokens.read": true,
		"products.read": false, "stores.erase": false, "tokens.create": false,
	} {
		if got := r.Has(permission); got != want {
			t.Errorf("Has(%s) = %v, want %v", permission, got, want)
		}
	}
	for grant, want := range map[string]bool{
		"orders.*": true, "stores.read": true, "tokens.read": true, "*.read": false, "*": false, "tokens.*": false,
	} {
		if got := r.Covers(grant); got != want {
			t.Errorf("Covers(%s) = %v, want %v", grant, got, want)
		}
	}
	nothing := latchward.NewRights(latchward.RightsFacts{Permissions: []string{"*"}, Bound: rightsOf()})
	if nothing.Has("orders.read") || nothing.Covers("orders.read") {
		t.Error("a bound that holds nothing left something")
	}
}

func TestNilRightsHoldNothing(t *testing.T) {
	var r *latchward.Rights
	if r.Has("orders.read") || r.Covers("orders.read") || r.Covers("*") || r.HasRole("clerk") || r.HasGroup("sales") ||
		r.HasLicense("gold", time.Unix(0, 0)) || r.Allows(latchward.AllOf("orders.read")) {
		t.Error("nil rights hold something")
	}
	if !r.Allows(latchward.PermissionQuery{}) {
		t.Error("nil rights do not satisfy the query that asks nothing")
	}
	if got := r.Facts(); !reflect.DeepEqual(got, latchward.RightsFacts{}) {
		t.Errorf("facts of nil rights: %+v", got)
	}
}

// S5-03: roles, groups and licenses are asked for by their whole name; a license holds from From until before Until.
func TestRightsByName(t *testing.T) {
	from := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	until := from.AddDate(1, 0, 0)
	facts := latchward.RightsFacts{
		Permissions: []string{"orders.read"}, Bound: rightsOf("*"), Reserved: true,
		Roles: []string{"clerk", "driver"}, Groups: []string{"sales"},
		Licenses: []latchward.HeldLicense{{Name: "gold", From: from, Until: until}, {Name: "always"},
			{Name: "twice", Until: from}, {Name: "twice", From: until}},
	}
	r := latchward.NewRights(facts)
	if !r.HasRole("driver") || r.HasRole("sales") || r.HasRole("clerk2") || r.HasRole("") {
		t.Error("HasRole")
	}
	if !r.HasGroup("sales") || r.HasGroup("clerk") || r.HasGroup("") {
		t.Error("HasGroup")
	}
	for _, c := range []struct {
		name string
		at   time.Time
		want bool
	}{
		{"gold", from.Add(-1), false}, {"gold", from, true}, {"gold", until.Add(-1), true}, {"gold", until, false},
		{"always", time.Time{}, true}, {"always", until, true}, {"silver", from, false},
		{"twice", from.Add(-1), true}, {"twice", from, false}, {"twice", until, true},
	} {
		if got := r.HasLicense(c.name, c.at); got != c.want {
			t.Errorf("HasLicense(%s, %s) = %v, want %v", c.name, c.at, got, c.want)
		}
	}
	if got := r.Facts(); !reflect.DeepEqual(got, facts) {
		t.Errorf("Facts() = %+v, want %+v", got, facts)
	}
}

var (
	somePermission = rapid.Custom(func(t *rapid.T) string {
		return someResource.Draw(t, "resource") + "." + someAction.Draw(t, "action")
	})
	someResource = rapid.SampledFrom([]string{"orders", "documents", "tokens", "users", "read"})
	someAction   = rapid.SampledFrom([]string{"read", "write", "lines.read", "read.lines"})
	someGrant    = rapid.OneOf(somePermission, rapid.Just("*"),
		rapid.Map(someResource, func(resource string) string { return resource + ".*" }),
		rapid.Map(someAction, func(action string) string { return "*." + action }))
	someRights = rapid.Custom(func(t *rapid.T) *latchward.Rights {
		r := drawRights(t, nil)
		for range rapid.IntRange(0, 2).Draw(t, "bounds") {
			r = drawRights(t, r)
		}
		return r
	})
)

func drawRights(t *rapid.T, bound *latchward.Rights) *latchward.Rights {
	return latchward.NewRights(latchward.RightsFacts{
		Permissions: rapid.SliceOfN(someGrant, 0, 6).Draw(t, "grants"),
		Reserved:    rapid.Bool().Draw(t, "reserved"),
		Bound:       bound,
	})
}

// reaches says by regular expressions whether a grant gives a permission.
func reaches(grant, permission string) bool {
	form := regexp.QuoteMeta(grant)
	switch {
	case grant == "*":
		form = `.+`
	case strings.HasPrefix(grant, "*."):
		form = `[^.]+\.` + regexp.QuoteMeta(grant[2:])
	case strings.HasSuffix(grant, ".*"):
		form = regexp.QuoteMeta(grant[:len(grant)-1]) + `.+`
	}
	if strings.HasPrefix(grant, "*") && ofReservedResource(permission) {
		return false
	}
	return regexp.MustCompile(`\A` + form + `\z`).MatchString(permission)
}

func ofReservedResource(permission string) bool {
	return slices.ContainsFunc(reservedResources, func(resource string) bool {
		return strings.HasPrefix(permission, resource+".")
	})
}

// holds is Has, said plainly: some grant on every level reaches the permission.
func holds(f latchward.RightsFacts, permission string) bool {
	if ofReservedResource(permission) && !f.Reserved {
		return false
	}
	granted := slices.ContainsFunc(f.Permissions, func(grant string) bool { return reaches(grant, permission) })
	return granted && (f.Bound == nil || holds(f.Bound.Facts(), permission))
}

// B-09, X-08
func TestRightsAgainstRegularExpressions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, permission := someRights.Draw(t, "rights"), somePermission.Draw(t, "permission")
		if got, want := r.Has(permission), holds(r.Facts(), permission); got != want {
			t.Fatalf("%s: Has(%s) = %v, want %v", describe(r), permission, got, want)
		}
	})
}

// C-09: who covers a grant holds all that it reaches, and who does not lacks something that it reaches: the stars,
// filled in with words that nobody can have thought of, are enough to find it.
func TestCoversIsHoldingAllThatAGrantReaches(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, grant := someRights.Draw(t, "rights"), someGrant.Draw(t, "grant")
		covered := r.Covers(grant)
		permission := somePermission.Draw(t, "permission")
		if covered && reaches(grant, permission) && !r.Has(permission) {
			t.Fatalf("%s covers %s but does not hold %s", describe(r), grant, permission)
		}
		fresh := strings.ReplaceAll(grant, "*", "unheard-of")
		if grant == "*" {
			fresh = "unheard-of.unheard-of"
		}
		if held := r.Has(fresh); covered != held {
			t.Fatalf("%s: Covers(%s) = %v, but Has(%s) = %v", describe(r), grant, covered, fresh, held)
		}
	})
}

func describe(r *latchward.Rights) string {
	f := r.Facts()
	text := fmt.Sprintf("%q reserved=%v", f.Permissions, f.Reserved)
	if f.Bound != nil {
		text += " within " + describe(f.Bound)
	}
	return text
}
