//go:build servers

package server_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// B-18: what is made of schemas, resources, filters and operations is what libraries make of them that know nothing of
// us. They come from the npm registry, as the lock file names them.
func TestSCIMAsOthersHaveIt(t *testing.T) {
	d := directoryOf(t, start(t, settings(t, folder(t))))
	work := t.TempDir()
	for _, name := range []string{"package.json", "package-lock.json", "check.mjs"} {
		data, err := os.ReadFile(filepath.Join("testdata/scim", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(work, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(program string, args ...string) string {
		command := exec.CommandContext(t.Context(), program, args...)
		command.Dir = work
		command.Env = append(os.Environ(), "SCIM_URL="+d.URL()+"/scim/v2", "SCIM_TOKEN="+d.token)
		out, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	out := run("node", "check.mjs")
	if !regexp.MustCompile(`(?m)^[5-9][0-9][0-9] comparisons, 0 differences$`).MatchString(out) {
		t.Errorf("too little was compared: %s", out)
	}
}
