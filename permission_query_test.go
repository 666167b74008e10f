package latchward_test

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/latchward/latchward"
)

func parseQuery(t testing.TB, text string) latchward.PermissionQuery {
	t.Helper()
	q, err := latchward.ParsePermissionQuery("query", text)
	if err != nil {
		t.Fatalf("ParsePermissionQuery(%q): %v", text, err)
	}
	return q
}

// B-09: each query with its canonical form.
func TestPermissionQueryString(t *testing.T) {
	for text, want := range map[string]string{
		"orders.read":                          "orders.read",
		" \torders.read\r\n":                   "orders.read",
		"((orders.read))":                      "orders.read",
		"a.b AND c.d OR e.f":                   "a.b AND c.d OR e.f",
		"(a.b AND c.d) OR e.f":                 "a.b AND c.d OR e.f",
		"a.b AND (c.d OR e.f)":                 "a.b AND (c.d OR e.f)",
		"a.b OR c.d AND NOT e.f":               "a.b OR c.d AND NOT e.f",
		"NOT a.b AND c.d":                      "NOT a.b AND c.d",
		"NOT (a.b AND c.d)":                    "NOT (a.b AND c.d)",
		"NOT(a.b)AND(c.d OR e.f)AND g.h":       "NOT a.b AND (c.d OR e.f) AND g.h",
		"NOT NOT a.b":                          "a.b",
		"NOT NOT NOT a.b":                      "NOT a.b",
		"NOT (NOT (a.b OR c.d))":               "a.b OR c.d",
		"a.b AND (c.d AND (e.f AND g.h))":      "a.b AND c.d AND e.f AND g.h",
		"(a.b OR c.d) OR NOT NOT (e.f OR g.h)": "a.b OR c.d OR e.f OR g.h",
		"a.b\nAND\n\tNOT legacy_2.x-y.z":       "a.b AND NOT legacy_2.x-y.z",
		"and.or AND not.not OR or.and":         "and.or AND not.not OR or.and",
	} {
		q := parseQuery(t, text)
		if got := q.String(); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
		if got := fmt.Sprint(parseQuery(t, want)); got != want {
			t.Errorf("%q is %q once read again", want, got)
		}
		if q.IsZero() || q.Validate() != nil {
			t.Errorf("%q: IsZero() = %v, Validate() = %v", text, q.IsZero(), q.Validate())
		}
	}
}

// B-09: what is no query is refused with the field, the position and what was expected there.
func TestPermissionQueryRefusals(t *testing.T) {
	const operand = "expected a permission like orders.read, NOT or (, found "
	const word, group = "expected AND, OR or the end, found ", "expected AND, OR or ), found "
	const lower = "that word in lower case: write "
	for text, want := range map[string]string{
		"":                  "position 1: " + operand + "the end",
		" \n":               "position 3: " + operand + "the end",
		"()":                "position 2: " + operand + ")",
		"a.b AND":           "position 8: " + operand + "the end",
		"a.b AND OR c.d":    "position 9: " + operand + "OR",
		"AND a.b":           "position 1: " + operand + "AND",
		"NOT":               "position 4: " + operand + "the end",
		"not a.b":           "position 1: " + operand + lower + "NOT",
		"a.b and c.d":       "position 5: " + word + lower + "AND",
		"(a.b Or c.d)":      "position 6: " + group + lower + "OR",
		"a.b NOT c.d":       "position 5: " + word + "NOT",
		"a.b c.d":           "position 5: " + word + "another permission: join them with AND or OR",
		"a.b, c.d":          "position 1: " + operand + "a list: join permissions with AND or OR",
		"a.b (c.d)":         "position 5: " + word + "(",
		"a.b)":              "position 4: " + word + ")",
		"(a.b":              "position 5: " + group + "the end",
		"(a.b c.d)":         "position 6: " + group + "another permission",
		"documents.*":       "position 1: " + operand + "a wildcard: those belong in grants",
		"a.b OR *":          "position 8: " + operand + "a wildcard",
		"a.b && c.d":        "position 5: " + word + "a sign: write AND, OR and NOT",
		"!a.b":              "position 1: " + operand + "a sign",
		"orders":            "position 1: " + operand + "text that is no permission",
		"Orders.read":       "position 1: " + operand + "text that is no permission",
		"a..b":              "position 1: " + operand + "text that is no permission",
		"a.b AND ürgh.read": "position 9: " + operand + "text that is no permission",
		"a.b\u00a0AND c.d":  "position 1: " + operand + "text that is no permission",
		"a.b AND \x00\xff":  "position 9: " + operand + "text that is no permission",
		"x." + strings.Repeat("y", latchward.MaxPermissionLength-1): "position 1: " + operand + "text that is no permission",
	} {
		q, err := latchward.ParsePermissionQuery("rules[2].query", text)
		checkInvalid(t, fmt.Sprintf("ParsePermissionQuery(%q) = %v", text, q), err, "rules[2].query", "at "+want)
		if !q.IsZero() {
			t.Errorf("%q is refused with the query %q", text, q)
		}
	}
}

// A secret in the wrong field is not repeated.
func TestPermissionQueryRefusalRepeatsNothing(t *testing.T) {
	_, err := latchward.ParsePermissionQuery("query", "a.b AND lw_1secret")
	if err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("error %v", err)
	}
}

// Bounds of queries: the last that is accepted and the first that is not.
func TestPermissionQueryBounds(t *testing.T) {
	nested := func(n int) string { return strings.Repeat("(", n) + "a.b" + strings.Repeat(")", n) }
	operands := func(n int) string { return strings.Repeat("a.b OR ", n-1) + "a.b" }
	beside := func(n int) string { return strings.Repeat("(a.b) AND ", n-1) + "(a.b)" }
	long := func(n int) string { return strings.Repeat(" ", n-3) + "a.b" }
	// 49 times ")AND(", which the canonical form writes with two spaces more; n is the length of a permission.
	tight := func(n int) string {
		group := "(a." + strings.Repeat("b", n-2) + " OR c.d)"
		return strings.Repeat(group+"AND", 49) + group
	}
	const maximum = latchward.MaxQueryLength
	for name, c := range map[string]struct {
		good, bad, reason string
	}{
		"nesting":  {nested(32), nested(33), "at most 32 levels of parentheses; position 33 "},
		"operands": {operands(100), operands(101), "at most 100 permissions; position 701 "},
		"beside":   {beside(100), beside(101), "at most 100 permissions"},
		"length":   {long(maximum), long(maximum + 1), "at most 2048 bytes"},
		"spaces":   {tight(27), tight(29), "at most 2048 bytes, with one space around each word"},
	} {
		if _, err := latchward.ParsePermissionQuery("query", c.good); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		_, err := latchward.ParsePermissionQuery("query", c.bad)
		checkInvalid(t, name, err, "query", c.reason)
	}
	if n := len(tight(29)); n > maximum {
		t.Errorf("%d bytes are too long as they are written", n)
	}
}

func TestAllOf(t *testing.T) {
	if q := latchward.AllOf(); !q.IsZero() || q.String() != "" || q.Validate() != nil {
		t.Errorf("AllOf() = %q", q)
	}
	for want, permissions := range map[string][]string{
		"orders.read":                {"orders.read"},
		"orders.read AND legacy.x-y": {"orders.read", "legacy.x-y"},
	} {
		q := latchward.AllOf(permissions...)
		if q.String() != want || q.Validate() != nil {
			t.Errorf("AllOf(%q) = %q, Validate() = %v", permissions, q, q.Validate())
		}
		if !rightsOf(permissions...).Allows(q) || rightsOf(permissions[1:]...).Allows(q) {
			t.Errorf("AllOf(%q) does not ask for all of them", permissions)
		}
	}
}

// A list that no query can be made of allows nobody, whatever it says and whoever asks.
func TestAllOfWhatIsNoPermission(t *testing.T) {
	everybody := rightsOf("*", "a.*", "a.b OR c.d")
	many := strings.Fields(strings.Repeat("a.b ", latchward.MaxQueryOperands+1))
	long := strings.Fields(strings.Repeat("a."+strings.Repeat("b", 100)+" ", 30))
	for _, c := range []struct {
		permissions   []string
		field, reason string
	}{
		{[]string{"a.b OR c.d"}, "permissions[0]", "must look like resource.action"},
		{[]string{"a.b", "NOT c.d"}, "permissions[1]", "must look like resource.action"},
		{[]string{"a.*"}, "permissions[0]", "must look like resource.action"},
		{[]string{"*"}, "permissions[0]", "must look like resource.action"},
		{[]string{""}, "permissions[0]", "must look like resource.action"},
		{many, "permissions", "at most 100 permissions"},
		{long, "permissions", "at most 2048 bytes"},
	} {
		q := latchward.AllOf(c.permissions...)
		checkInvalid(t, fmt.Sprintf("AllOf(%.60q)", c.permissions), q.Validate(), c.field, c.reason)
		if q.IsZero() || everybody.Allows(q) {
			t.Errorf("AllOf(%.60q) allows somebody", c.permissions)
		}
		want := latchward.Shortfall{Needed: "invalid"}
		if got := everybody.Missing(q); q.String() != "invalid" || !reflect.DeepEqual(got, want) {
			t.Errorf("AllOf(%.60q) = %q, missing %+v", c.permissions, q, got)
		}
		if _, err := latchward.ParsePermissionQuery("query", q.String()); err == nil {
			t.Errorf("%q is a query", q)
		}
	}
}

// The table of queries in docs/permissions.md, which is read here, so that it stays true.
func TestPermissionQueryTable(t *testing.T) {
	page, err := os.ReadFile("docs/permissions.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "| Query |")
	table, _, _ = strings.Cut(table, "\n\n")
	head, rows, _ := strings.Cut(table, "\n| --- | --- | --- | --- |\n")
	var holders []*latchward.Rights
	for cell := range strings.SplitSeq(strings.Trim(head, " |"), "|") {
		grants := strings.FieldsFunc(cell, func(r rune) bool { return strings.ContainsRune(" `,", r) })
		holders = append(holders, rightsOf(grants...))
	}
	if len(holders) != 3 || strings.Count(rows, "\n") < 6 {
		t.Fatalf("the table has %d holders and these rows:\n%s", len(holders), rows)
	}
	for row := range strings.SplitSeq(rows, "\n") {
		cells := strings.Split(strings.Trim(row, "| "), " | ")
		q := parseQuery(t, strings.Trim(cells[0], "`"))
		for i, holder := range holders {
			if got, want := holder.Allows(q), cells[i+1] == "yes"; got != want {
				t.Errorf("%s for %s: %v, want %v", q, describe(holder), got, want)
			}
		}
	}
}

// B-09: what each holder falls short of, and of what kind that is.
func TestMissing(t *testing.T) {
	for _, c := range []struct{ query, held, needed, lacking, unwanted string }{
		{"orders.read", "", "orders.read", "orders.read", ""},
		{"orders.read", "orders.*", "", "", ""},
		{"NOT legacy.x", "legacy.x", "NOT legacy.x", "", "legacy.x"},
		{"NOT legacy.x", "", "", "", ""},
		{"a.b AND c.d AND e.f", "c.d", "a.b AND e.f", "a.b e.f", ""},
		{"a.b OR c.d", "", "a.b OR c.d", "a.b c.d", ""},
		{"a.b OR c.d", "c.d", "", "", ""},
		{"(orders.read OR orders.admin) AND NOT legacy.x", "legacy.x",
			"(orders.read OR orders.admin) AND NOT legacy.x", "orders.read orders.admin", "legacy.x"},
		{"(orders.read OR orders.admin) AND NOT legacy.x", "orders.admin legacy.*", "NOT legacy.x", "", "legacy.x"},
		{"(a.b AND c.d OR e.f) AND g.h", "a.b g.h", "c.d OR e.f", "c.d e.f", ""},
		{"NOT (a.b OR c.d OR e.f)", "a.b e.f", "NOT (a.b OR e.f)", "", "a.b e.f"},
		{"NOT (a.b AND c.d)", "a.b c.d", "NOT (a.b AND c.d)", "", "a.b c.d"},
		{"NOT (a.b AND NOT (c.d OR e.f))", "a.b", "NOT (a.b AND NOT (c.d OR e.f))", "c.d e.f", "a.b"},
		{"a.b OR NOT (c.d OR NOT (e.f OR g.h))", "", "a.b OR e.f OR g.h", "a.b e.f g.h", ""},
		{"a.b AND (c.d OR a.b AND e.f)", "", "a.b AND (c.d OR a.b AND e.f)", "a.b c.d e.f", ""},
	} {
		got := rightsOf(strings.Fields(c.held)...).Missing(parseQuery(t, c.query))
		if got.Needed != c.needed || !sameWords(got.Lacking, c.lacking) || !sameWords(got.Unwanted, c.unwanted) {
			t.Errorf("[%s] for %q: %+v, want %q, %q, %q", c.held, c.query, got, c.needed, c.lacking, c.unwanted)
		}
	}
	if got := (*latchward.Rights)(nil).Missing(latchward.AllOf("a.b", "c.d")); got.Needed != "a.b AND c.d" {
		t.Errorf("nil rights miss %+v", got)
	}
	if got := rightsOf().Missing(latchward.PermissionQuery{}); !reflect.DeepEqual(got, latchward.Shortfall{}) {
		t.Errorf("for the query that asks nothing: %+v", got)
	}
}

func sameWords(words []string, want string) bool { return strings.Join(words, " ") == want }
