package latchward_test

import (
	"encoding/json"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// secretTypes are what a secret is held in, or what is left of it in a database. A SessionID is a name: sessions are
// found by it and listed with it.
var secretTypes = map[string]bool{"Secret": true, "Digest": true, "AccountDigest": true}

// secretName is how texts and bytes are called that prove something to whoever has them.
var secretName = regexp.MustCompile(`(?i)(secret|password|mac|seal|signature|state|nonce|csrf|verifier)$`)

// plainComparisons are functions that end at the first difference.
var plainComparisons = map[string]bool{
	"bytes.Equal": true, "bytes.Compare": true, "strings.EqualFold": true, "strings.Compare": true, "slices.Equal": true,
	"slices.Index": true, "slices.Contains": true, "reflect.DeepEqual": true,
}

// harmlessComparisons are not of what somebody presents with what is right.
var harmlessComparisons = map[string]string{
	"account_service.go: a.Password != old":   "whether the stored digest has changed meanwhile",
	"session_signin.go: a.Password != digest": "likewise",
}

// bar 7: nothing that proves something is compared with what was presented but by crypto/subtle or crypto/hmac, which
// take the same time wherever the first difference is. [latchward.Digest] and the tag of a token have functions of
// their own, by words.
func TestSecretsAreComparedInConstantTime(t *testing.T) {
	seen := map[string]bool{}
	packages := typedPackages(t)
	for _, p := range packages {
		for _, file := range p.files {
			ast.Inspect(file, func(n ast.Node) bool {
				for _, operand := range p.compared(n) {
					place := filepath.Base(p.set.Position(n.Pos()).Filename) + ": " + types.ExprString(n.(ast.Expr))
					if seen[place] = true; harmlessComparisons[place] == "" {
						t.Errorf("%s compares %s plainly", place, operand)
					}
				}
				return true
			})
		}
	}
	for place := range harmlessComparisons {
		if !seen[place] {
			t.Errorf("%s is not there", place)
		}
	}
}

// typedPackage is a package without its tests.
type typedPackage struct {
	set   *token.FileSet
	files []*ast.File
	info  *types.Info
}

func typedPackages(t *testing.T) (packages []*typedPackage) {
	t.Helper()
	command := exec.Command("go", "list", "-export", "-deps", "-json=ImportPath,Export,Dir,GoFiles,Module", "./...")
	out, err := command.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	type listed struct {
		ImportPath, Export, Dir string
		GoFiles                 []string
		Module                  *struct{ Path string }
	}
	var ours []listed
	exports := map[string]string{}
	for decoder := json.NewDecoder(strings.NewReader(string(out))); decoder.More(); {
		var l listed
		if err := decoder.Decode(&l); err != nil {
			t.Fatal(err)
		}
		exports[l.ImportPath] = l.Export
		if l.Module != nil && l.Module.Path == module {
			ours = append(ours, l)
		}
	}
	open := func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) }
	for _, l := range ours {
		p := &typedPackage{set: token.NewFileSet(), info: &types.Info{Types: map[ast.Expr]types.TypeAndValue{}}}
		for _, name := range l.GoFiles {
			file, err := parser.ParseFile(p.set, filepath.Join(l.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			p.files = append(p.files, file)
		}
		config := types.Config{Importer: importer.ForCompiler(p.set, "gc", open)}
		if _, err := config.Check(l.ImportPath, p.set, p.files, p.info); err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
	return packages
}

// compared returns the secrets that a node compares with something that is neither constant nor a zero value.
func (p *typedPackage) compared(n ast.Node) (secrets []string) {
	var operands []ast.Expr
	switch n := n.(type) {
	case *ast.BinaryExpr:
		if n.Op != token.EQL && n.Op != token.NEQ {
			return nil
		}
		operands = []ast.Expr{n.X, n.Y}
	case *ast.CallExpr:
		if !plainComparisons[types.ExprString(n.Fun)] {
			return nil
		}
		operands = n.Args
	}
	for _, operand := range operands {
		if _, zero := ast.Unparen(operand).(*ast.CompositeLit); zero || p.info.Types[operand].Value != nil ||
			p.info.Types[operand].IsNil() {
			return nil
		}
		if p.isSecret(operand) {
			secrets = append(secrets, types.ExprString(operand))
		}
	}
	return secrets
}

func (p *typedPackage) isSecret(e ast.Expr) bool {
	typ := types.Unalias(p.info.TypeOf(e))
	if list, ok := typ.(*types.Slice); ok && !isBytes(typ) {
		typ = types.Unalias(list.Elem())
	}
	if named, ok := typ.(*types.Named); ok {
		return secretTypes[named.Obj().Name()] && named.Obj().Pkg() != nil && named.Obj().Pkg().Path() == module
	}
	basic, _ := typ.(*types.Basic)
	if !isBytes(typ) && (basic == nil || basic.Info()&types.IsString == 0) {
		return false
	}
	name := types.ExprString(e)
	if call, ok := e.(*ast.CallExpr); ok {
		name = types.ExprString(call.Fun)
		if len(call.Args) == 1 && strings.HasSuffix(name, ".Get") { // of a form, by name
			name = strings.Trim(types.ExprString(call.Args[0]), `"`)
		}
	}
	return secretName.MatchString(name) || strings.HasSuffix(name, ".Expose")
}

func isBytes(typ types.Type) bool {
	list, ok := typ.Underlying().(*types.Slice)
	return ok && types.Identical(list.Elem(), types.Typ[types.Byte])
}
