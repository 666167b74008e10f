package latchtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/latchward/latchward"
)

// TestStoreSentences checks that the table and the documentation of the interfaces say the same: every sentence about
// a method that has "must" or "returns" in it is checked by a promise of that method, and every promise quotes
// something that the documentation says.
func TestStoreSentences(t *testing.T) {
	docs := readDocs(t, "../store.go", "../usage.go", "../token.go", "../token_list.go", "../user.go",
		"../audit.go", "../context.go", "../role.go", "../group.go", "../license.go", "../permission.go",
		"../account.go", "../session.go", "../signing_key.go", "../derived.go", "../foreign.go",
		"../policy.go")
	quoted := map[string][]string{}
	for _, p := range storePromises() {
		method, _, _ := strings.Cut(p.name, "/")
		quoted[method] = append(quoted[method], p.sentence)
		if !strings.Contains(docs.all, p.sentence) {
			t.Errorf("%s checks a sentence that the documentation does not have: %q", p.name, p.sentence)
		}
	}
	if len(docs.methods) < 30 {
		t.Fatalf("found the documentation of %d methods only", len(docs.methods))
	}
	for method, text := range docs.methods {
		for _, sentence := range sentences(text) {
			promised := strings.Contains(sentence, "must") || strings.Contains(sentence, "returns")
			if promised && !slices.Contains(quoted[method], sentence) {
				t.Errorf("no promise of %s checks: %s", method, sentence)
			}
		}
	}
}

// documentation is what the root package says in comments.
type documentation struct {
	all     string
	methods map[string]string // of Store and UsageStore as Method, of Tx as Tx.Method
}

func readDocs(t *testing.T, files ...string) documentation {
	t.Helper()
	docs := documentation{methods: map[string]string{}}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, group := range file.Comments {
			docs.all += oneLine(group.Text()) + "\n"
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if spec, ok := n.(*ast.TypeSpec); ok {
				docs.addInterface(spec)
			}
			return true
		})
	}
	return docs
}

func (d *documentation) addInterface(spec *ast.TypeSpec) {
	prefix, wanted := map[string]string{
		"Store": "", "UsageStore": "", "AccountStore": "", "Tx": "Tx.", "AccountTx": "Tx.",
		"SigningStore": "", "SigningTx": "Tx.", "DerivedStore": "", "DerivedTx": "Tx.",
		"ForeignStore": "", "ForeignTx": "Tx.",
		"PolicyStore": "", "PolicyTx": "Tx.",
	}[spec.Name.Name]
	methods, ok := spec.Type.(*ast.InterfaceType)
	if !wanted || !ok {
		return
	}
	for _, method := range methods.Methods.List {
		for _, name := range method.Names {
			d.methods[prefix+name.Name] = oneLine(method.Doc.Text())
		}
	}
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

func sentences(text string) []string {
	var list []string
	for _, sentence := range strings.SplitAfter(text, ". ") {
		list = append(list, strings.TrimSpace(sentence))
	}
	return list
}

// TestStorePromiseNames checks that names are unique and start with a method.
func TestStorePromiseNames(t *testing.T) {
	names := StorePromises()
	store, tx := reflect.TypeFor[latchward.Store](), reflect.TypeFor[latchward.Tx]()
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			t.Errorf("two promises are named %s", name)
		}
		method, promise, _ := strings.Cut(name, "/")
		of, inTx := strings.CutPrefix(method, "Tx.")
		known := method == "Store"
		if _, ok := store.MethodByName(method); ok {
			known = true
		}
		if _, ok := tx.MethodByName(of); inTx && ok {
			known = true
		}
		if !known || promise == "" {
			t.Errorf("%s is not Method/Promise", name)
		}
	}
	for _, of := range []reflect.Type{store, tx} {
		for i := range of.NumMethod() {
			prefix := map[reflect.Type]string{store: "", tx: "Tx."}[of] + of.Method(i).Name + "/"
			if !slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(name, prefix) }) {
				t.Errorf("no promise about %s", prefix)
			}
		}
	}
}

// TestStorePromisesFailOnNothing runs every promise on a store that keeps none of them.
func TestStorePromisesFailOnNothing(t *testing.T) {
	for _, p := range storePromises() {
		failures, panicked := record(t.Context(), p.name, func(tb TB) { p.check(newTrial(tb, zeroStore{})) })
		if len(failures) == 0 || panicked != nil {
			t.Errorf("%s on a store that keeps no promises: %d failures, panic %v", p.name, len(failures), panicked)
		}
	}
}

// TestStorePromisesFailOneByOne runs every promise on stores that are right but for one thing. Each has to notice.
func TestStorePromisesFailOneByOne(t *testing.T) {
	noticed := map[string]int{}
	promises := map[string]storePromise{}
	for _, p := range storePromises() {
		promises[p.name] = p
	}
	for _, m := range mutants() {
		for _, name := range strings.Fields(m.breaks) {
			p, ok := promises[name]
			if !ok {
				t.Errorf("there is no promise %s for %q to break", name, m.what)
				continue
			}
			noticed[name]++
			failures, panicked := record(t.Context(), name, func(tb TB) { p.check(newTrial(tb, newAltered(m.alter))) })
			if len(failures) == 0 || panicked != nil {
				t.Errorf("%s on a store that %s: %d failures, panic %v", name, m.what, len(failures), panicked)
			}
		}
	}
	for _, name := range StorePromises() {
		if noticed[name] == 0 {
			t.Errorf("no store was made that breaks %s and little else", name)
		}
	}
}

// TestStorePromisesHold runs every promise on the store that the wrong ones are made of, altered in nothing.
func TestStorePromisesHold(t *testing.T) {
	for _, p := range storePromises() {
		failures, panicked := record(t.Context(), p.name, func(tb TB) {
			p.check(newTrial(tb, newAltered(func(a *altered) { a.inTx = func(*alteredTx) {} })))
		})
		if len(failures) > 0 || panicked != nil {
			t.Errorf("%s: %q, panic %v", p.name, failures, panicked)
		}
	}
}
