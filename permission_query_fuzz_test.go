package latchward_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/latchward/latchward"
)

var (
	queryWord       = regexp.MustCompile(`[()]|[^() \t\r\n]+`)
	plainPermission = regexp.MustCompile(`\A[a-z0-9_-]+(\.[a-z0-9_-]+)+\z`)
	goSpelling      = map[string]string{"AND": "&&", "OR": "||", "NOT": "!", "(": "(", ")": ")"}
)

// checkedAssignments are all rows of the truth table of 5 permissions.
const checkedAssignments = 32

// oracle is a query as the Go compiler's parser understands it: its !, && and || bind as NOT, AND and OR do.
type oracle struct {
	expression  ast.Expr
	permissions []string // each once; identifier p3 stands for permissions[3]
	rows        []map[string]bool
	spaced      int // the length with a space around each word, no less than that of the canonical form
}

// newOracle returns nil for what is no query. It knows no bound but that of a single permission and of nesting, which
// are easier to say here.
func newOracle(text string) *oracle {
	o := &oracle{}
	words := queryWord.FindAllString(text, -1)
	o.spaced = len(strings.Join(words, " "))
	var code []string
	operands, nesting := 0, 0
	for _, word := range words {
		spelling, operator := goSpelling[word]
		switch {
		case word == "(":
			nesting++
		case word == ")":
			nesting--
		case !operator && plainPermission.MatchString(word) && len(word) <= latchward.MaxPermissionLength:
			operands++
			spelling = fmt.Sprint("p", o.number(word))
		case !operator:
			return nil
		}
		if nesting > latchward.MaxQueryNesting || operands > latchward.MaxQueryOperands {
			return nil
		}
		code = append(code, spelling)
	}
	expression, err := parser.ParseExpr(strings.Join(code, " "))
	if err != nil || !onlyOperators(expression) || len(text) > latchward.MaxQueryLength {
		return nil
	}
	o.expression, o.rows = expression, assignments(o.permissions)
	return o
}

func (o *oracle) number(permission string) int {
	if i := slices.Index(o.permissions, permission); i >= 0 {
		return i
	}
	o.permissions = append(o.permissions, permission)
	return len(o.permissions) - 1
}

// onlyOperators refuses what Go knows but queries do not, such as the call "p0 (p1)".
func onlyOperators(e ast.Expr) bool {
	only := true
	ast.Inspect(e, func(n ast.Node) bool {
		switch n.(type) {
		case nil, *ast.Ident, *ast.ParenExpr, *ast.UnaryExpr, *ast.BinaryExpr:
		default:
			only = false
		}
		return only
	})
	return only
}

func (o *oracle) permission(e *ast.Ident) string {
	var i int
	if _, err := fmt.Sscanf(e.Name, "p%d", &i); err != nil {
		panic(err)
	}
	return o.permissions[i]
}

// allows evaluates e without any short cut.
func (o *oracle) allows(e ast.Expr, held map[string]bool) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return held[o.permission(e)]
	case *ast.ParenExpr:
		return o.allows(e.X, held)
	case *ast.UnaryExpr:
		return !o.allows(e.X, held)
	case *ast.BinaryExpr:
		x, y := o.allows(e.X, held), o.allows(e.Y, held)
		if e.Op == token.LAND {
			return x && y
		}
		return x || y
	}
	panic(fmt.Sprintf("%T", e))
}

// wants notes for each permission whether it is asked for as held, as not held, or as both.
func (o *oracle) wants(e ast.Expr, held bool, seen map[string]map[bool]bool) {
	switch e := e.(type) {
	case *ast.Ident:
		name := o.permission(e)
		if seen[name] == nil {
			seen[name] = map[bool]bool{}
		}
		seen[name][held] = true
	case *ast.ParenExpr:
		o.wants(e.X, held, seen)
	case *ast.UnaryExpr:
		o.wants(e.X, !held, seen)
	case *ast.BinaryExpr:
		o.wants(e.X, held, seen)
		o.wants(e.Y, held, seen)
	}
}

func (o *oracle) oneWay() bool {
	seen := map[string]map[bool]bool{}
	o.wants(o.expression, true, seen)
	for _, ways := range seen {
		if len(ways) > 1 {
			return false
		}
	}
	return true
}

// assignments returns the rows of the truth table, or some of them where there are more.
func assignments(permissions []string) []map[string]bool {
	random := rand.New(rand.NewPCG(1, 2))
	all := len(permissions) <= 5
	var rows []map[string]bool
	for row := range checkedAssignments {
		held := map[string]bool{}
		for i, permission := range permissions {
			held[permission] = all && row>>i&1 == 1 || !all && random.IntN(2) == 1
		}
		rows = append(rows, held)
	}
	return rows
}

func rightsHolding(held map[string]bool) *latchward.Rights {
	var grants []string
	for permission, is := range held {
		if is {
			grants = append(grants, permission)
		}
	}
	return rightsOf(grants...)
}

// failer is what testing.T and rapid.T have in common.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// checkQuery compares a text with the oracle: whether it is a query, whom it allows, and what is missing.
func checkQuery(t failer, text string) {
	t.Helper()
	o := newOracle(text)
	q, err := latchward.ParsePermissionQuery("query", text)
	if o == nil || err != nil {
		tooLong := o != nil && o.spaced > latchward.MaxQueryLength
		if (o == nil) != (err != nil) && !tooLong {
			t.Fatalf("ParsePermissionQuery(%q): %v; the oracle accepts it: %v", text, err, o != nil)
		}
		if err != nil && (latchward.ErrorCode(err) != latchward.CodeInvalid || latchward.ErrorField(err) != "query") {
			t.Fatalf("ParsePermissionQuery(%q): %#v", text, err)
		}
		return
	}
	again, err := latchward.ParsePermissionQuery("query", q.String())
	if err != nil || again.String() != q.String() {
		t.Fatalf("%q is %q, and that is %q, %v", text, q, again, err)
	}
	for _, held := range o.rows {
		r, want := rightsHolding(held), o.allows(o.expression, held)
		if r.Allows(q) != want || r.Allows(again) != want {
			t.Fatalf("%q (%q) for %v: %v, %v; want %v", text, q, held, r.Allows(q), r.Allows(again), want)
		}
		checkMissing(t, o, q, held)
	}
}

// checkMissing holds Missing to every sentence of its documentation.
func checkMissing(t failer, o *oracle, q latchward.PermissionQuery, held map[string]bool) {
	t.Helper()
	r := rightsHolding(held)
	s := r.Missing(q)
	if r.Allows(q) {
		if s.Needed != "" || s.Lacking != nil || s.Unwanted != nil {
			t.Fatalf("%q allows %v, and yet misses %+v", q, held, s)
		}
		return
	}
	needed, err := latchward.ParsePermissionQuery("needed", s.Needed)
	if err != nil || needed.String() != s.Needed || r.Allows(needed) {
		t.Fatalf("%q for %v needs %q, %v, which allows: %v", q, held, s.Needed, err, r.Allows(needed))
	}
	checkLists(t, s, held)
	oneWay := o.oneWay()
	for _, other := range o.rows {
		if r := rightsHolding(other); r.Allows(q) && !r.Allows(needed) {
			t.Fatalf("%q allows %v, but what %v needs, %q, does not", q, other, held, needed)
		}
		if !oneWay {
			continue
		}
		changed := rightsHolding(take(held, other, s))
		if changed.Allows(q) != changed.Allows(needed) {
			t.Fatalf("%q for %v: the change to %v is not judged as by %q", q, held, changed.Facts().Permissions, needed)
		}
	}
	opposite := map[string]bool{}
	for permission, is := range held {
		opposite[permission] = !is
	}
	if all := rightsHolding(take(held, opposite, s)); !all.Allows(needed) || oneWay && !all.Allows(q) {
		t.Fatalf("%q for %v: gaining and losing all of %+v is not enough", q, held, s)
	}
}

// checkLists compares the lists with the text: they hold its permissions in order, each once, parted by being held.
func checkLists(t failer, s latchward.Shortfall, held map[string]bool) {
	t.Helper()
	var lacking, unwanted []string
	for _, word := range queryWord.FindAllString(s.Needed, -1) {
		_, operator := goSpelling[word]
		switch {
		case operator:
		case held[word] && !slices.Contains(unwanted, word):
			unwanted = append(unwanted, word)
		case !held[word] && !slices.Contains(lacking, word):
			lacking = append(lacking, word)
		}
	}
	if !slices.Equal(s.Lacking, lacking) || !slices.Equal(s.Unwanted, unwanted) {
		t.Fatalf("missing %+v for %v; want %q and %q", s, held, lacking, unwanted)
	}
}

// take returns held with those permissions of s as they are in other.
func take(held, other map[string]bool, s latchward.Shortfall) map[string]bool {
	changed := map[string]bool{}
	for permission, is := range held {
		changed[permission] = is
	}
	for _, permission := range slices.Concat(s.Lacking, s.Unwanted) {
		changed[permission] = other[permission]
	}
	return changed
}

// drawQuery draws the text of a query: few permissions, so that one is often asked both ways, or many.
func drawQuery(t *rapid.T, depth, permissions int) string {
	space := rapid.SampledFrom([]string{" ", " ", "\n\t", "  "})
	forms := 5
	if depth == 0 {
		forms = 1
	}
	switch rapid.IntRange(0, forms-1).Draw(t, "form") {
	case 0:
		return fmt.Sprintf("r%d.a", rapid.IntRange(1, permissions).Draw(t, "permission"))
	case 1:
		return "NOT(" + drawQuery(t, depth-1, permissions) + ")"
	case 2:
		return "NOT" + space.Draw(t, "space") + drawQuery(t, depth-1, permissions)
	case 3:
		return "(" + drawQuery(t, depth-1, permissions) + ")"
	default:
		word := rapid.SampledFrom([]string{"AND", "OR"}).Draw(t, "word")
		return drawQuery(t, depth-1, permissions) + space.Draw(t, "space") + word + space.Draw(t, "space") +
			drawQuery(t, depth-1, permissions)
	}
}

// B-09
func TestPermissionQueryAgainstOracle(t *testing.T) {
	for _, permissions := range []int{2, 4, 40} {
		rapid.Check(t, func(t *rapid.T) { checkQuery(t, drawQuery(t, 5, permissions)) })
	}
}

// B-09: any text is read as the oracle reads it, never with a panic.
func FuzzPermissionQuery(f *testing.F) {
	for _, text := range []string{"", "orders.read", "(orders.read OR orders.admin) AND NOT legacy.x", "a.b AND", "()",
		"NOT NOT a.b", "a.b c.d", "a.b, c.d", "a.b (c.d)", "NOT(a.b)AND(c.d OR e.f)", "documents.*", "a.b and c.d",
		"NOT (a.b AND NOT (c.d OR NOT a.b))", "a.b\x00", "ä.b", "p0", "a.b)", "!a.b && c.d", "a.b AND AND.b",
		strings.Repeat("(", 33) + "a.b" + strings.Repeat(")", 33), strings.Repeat("NOT ", 500) + "a.b"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) { checkQuery(t, text) })
}
