package latchward_test

import (
	"bytes"
	"flag"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/printer"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var updateAPI = flag.Bool("update-api", false, "write docs/api.txt anew")

// promised are the packages whose exported symbols are kept stable.
var promised = []string{".", "httpauth", "rest", "memory", "sqlite", "latchtest"}

// TestAPI compares the exported symbols of the promised packages with docs/api.txt, so that a change of the public
// surface is a visible line of a commit. After a wanted change: go test -run TestAPI -update-api .
func TestAPI(t *testing.T) {
	var lines []string
	for _, dir := range promised {
		lines = append(lines, exported(t, dir)...)
	}
	got := strings.Join(lines, "\n") + "\n"
	const file = "docs/api.txt"
	if *updateAPI {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got == string(want) {
		return
	}
	known := strings.Split(string(want), "\n")
	for _, line := range lines {
		if !slices.Contains(known, line) {
			t.Errorf("not in %s: %s", file, line)
		}
	}
	for _, line := range known {
		if line != "" && !slices.Contains(lines, line) {
			t.Errorf("in %s but gone: %s", file, line)
		}
	}
	t.Errorf("%s is out of date; if the change is wanted, run: go test -run TestAPI -update-api .", file)
}

// standardMethods say by their name which interface of the standard library they satisfy.
var standardMethods = map[string]bool{
	".String": true, ".GoString": true, ".Format": true, ".LogValue": true, ".MarshalJSON": true, ".MarshalText": true,
	".Error": true, ".Unwrap": true, ".ServeHTTP": true,
}

// exported returns one line for each exported symbol of the package in dir, and fails for one without a doc comment.
func exported(t *testing.T, dir string) []string {
	t.Helper()
	fset := token.NewFileSet()
	noTests := func(info fs.FileInfo) bool { return !strings.HasSuffix(info.Name(), "_test.go") }
	parsed, err := parser.ParseDir(fset, dir, noTests, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	if len(parsed) != 1 {
		t.Fatalf("%s holds %d packages, want 1", dir, len(parsed))
	}
	var lines []string
	for name, pkg := range parsed {
		lines = symbols(t, fset, filepath.Join(name), doc.New(pkg, module, 0))
	}
	slices.Sort(lines)
	return slices.Compact(lines)
}

func symbols(t *testing.T, fset *token.FileSet, name string, p *doc.Package) []string {
	var lines []string
	add := func(kind, symbol, comment string, node ast.Node) {
		lines = append(lines, name+": "+kind+" "+symbol+signature(fset, node))
		if comment == "" && !standardMethods["."+symbol[strings.LastIndexByte(symbol, '.')+1:]] {
			t.Errorf("%s.%s has no doc comment", name, symbol)
		}
	}
	funcs := func(fs []*doc.Func, receiver string) {
		for _, f := range fs {
			add("func", receiver+f.Name, f.Doc, f.Decl.Type)
		}
	}
	values := func(vs []*doc.Value, kind string) {
		for _, v := range vs {
			for _, n := range v.Names {
				if ast.IsExported(n) {
					lines = append(lines, name+": "+kind+" "+n)
				}
			}
		}
	}
	values(p.Consts, "const")
	values(p.Vars, "var")
	funcs(p.Funcs, "")
	for _, typ := range p.Types {
		add("type", typ.Name, typ.Doc, nil)
		lines = append(lines, fields(name, typ)...)
		values(typ.Consts, "const")
		values(typ.Vars, "var")
		funcs(typ.Funcs, "")
		funcs(typ.Methods, typ.Name+".")
	}
	return lines
}

// fields returns one line for each exported field of a struct and each method of an interface.
func fields(name string, typ *doc.Type) []string {
	var list *ast.FieldList
	switch spec := typ.Decl.Specs[0].(*ast.TypeSpec).Type.(type) {
	case *ast.StructType:
		list = spec.Fields
	case *ast.InterfaceType:
		list = spec.Methods
	default:
		return nil
	}
	var lines []string
	for _, field := range list.List {
		for _, n := range field.Names {
			if n.IsExported() {
				lines = append(lines, name+": member "+typ.Name+"."+n.Name)
			}
		}
	}
	return lines
}

func signature(fset *token.FileSet, node ast.Node) string {
	function, ok := node.(*ast.FuncType)
	if !ok {
		return ""
	}
	var text bytes.Buffer
	if err := printer.Fprint(&text, fset, function); err != nil {
		return ""
	}
	return strings.TrimPrefix(strings.Join(strings.Fields(text.String()), " "), "func")
}
