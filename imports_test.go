package latchward_test

import (
	"encoding/json"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/latchward/latchward"

// mayImport is the table of docs/architecture.md: which packages of this module each package may import. "." is the
// root, "internal/*" stands for every internal package, "*" for everything but cmd.
var mayImport = map[string][]string{
	".":             {},
	"internal/*":    {"."},
	"memory":        {".", "internal/*"},
	"latchtest":     {".", "internal/*"},
	"httpauth":      {".", "internal/*"},
	"sqlite":        {".", "internal/*"},
	"journal":       {".", "internal/*"},
	"leak":          {".", "httpauth"},
	"signin":        {".", "httpauth"},
	"scim":          {".", "httpauth"},
	"rest":          {".", "httpauth", "internal/*"},
	"oauth":         {".", "httpauth", "internal/*"},
	"gateway":       {".", "httpauth", "internal/*"},
	"operation":     {".", "httpauth", "internal/*"},
	"extauthz":      {".", "httpauth", "internal/*"},
	"demo":          {".", "httpauth", "operation"},
	"server":        {"*"},
	"cmd/latchward": {".", "server", "rest", "oauth", "demo", "operation", "leak"},

	"scripts/loadpeer": {},
}

// The root package is what importers pay for: the standard library, and nothing in it that does I/O.
var rootMustNotImport = []string{"net", "net/http", "database/sql", "os", "os/exec", "io/ioutil", "syscall"}

type listedPackage struct {
	ImportPath string
	Imports    []string
}

func TestImports(t *testing.T) {
	for _, p := range listPackages(t) {
		name := relative(p.ImportPath)
		allowed, known := mayImport[tableKey(name)]
		if !known {
			t.Errorf("package %s has no row in the table of docs/architecture.md", name)
			continue
		}
		for _, imported := range p.Imports {
			if name == "." {
				checkRootImport(t, imported)
			}
			if strings.HasPrefix(imported, module) && !allows(allowed, relative(imported)) {
				t.Errorf("package %s must not import %s", name, relative(imported))
			}
		}
	}
}

func checkRootImport(t *testing.T, imported string) {
	t.Helper()
	if slices.Contains(rootMustNotImport, imported) {
		t.Errorf("the root package must not import %s: it does no I/O", imported)
	}
	if first, _, _ := strings.Cut(imported, "/"); strings.Contains(first, ".") {
		t.Errorf("the root package must import the standard library only, not %s", imported)
	}
}

func listPackages(t *testing.T) []listedPackage {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var packages []listedPackage
	for decoder := json.NewDecoder(strings.NewReader(string(out))); decoder.More(); {
		var p listedPackage
		if err := decoder.Decode(&p); err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
	if len(packages) < 5 {
		t.Fatalf("go list found %d packages", len(packages))
	}
	return packages
}

func relative(importPath string) string {
	if importPath == module {
		return "."
	}
	return strings.TrimPrefix(importPath, module+"/")
}

func tableKey(name string) string {
	if path.Dir(name) == "internal" {
		return "internal/*"
	}
	return name
}

func allows(allowed []string, imported string) bool {
	if slices.Contains(allowed, "*") {
		return !strings.HasPrefix(imported, "cmd/")
	}
	return slices.Contains(allowed, tableKey(imported))
}
