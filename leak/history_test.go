package leak_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/leak"
)

type repository struct {
	t    *testing.T
	path string
}

func newRepository(t *testing.T) repository {
	r := repository{t, t.TempDir()}
	r.git("init", "-q", "-b", "main")
	return r
}

func (r repository) git(args ...string) string {
	r.t.Helper()
	command := exec.Command("git", append([]string{"-C", r.path, "-c", "user.name=ada", "-c", "user.email=ada@example.com"}, args...)...)
	out, err := command.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit writes a file, commits it and returns the commit.
func (r repository) commit(name, text, message string) string {
	r.t.Helper()
	write(r.t, filepath.Join(r.path, name), []byte(text))
	r.git("add", "-A")
	r.git("commit", "-q", "-m", message)
	return r.git("rev-parse", "HEAD")
}

// What was removed, changed, on other branches, in a stash or only in the reflog is found, with the commit that brought it.
func TestHistory(t *testing.T) {
	secret, other, third := newSecret(t, "lw_"), newSecret(t, "lw_"), newSecret(t, "lw_")
	r := newRepository(t)
	r.commit("config.yaml", "token:\n", "Begin")
	brought := r.commit("config.yaml", "a\ntoken: "+secret+"\n", "Add the token")
	r.commit("with space/ünï.yaml", "a\ntoken: "+secret+"\n", "Copy it")
	r.commit("config.yaml", "token: from the environment\n", "Remove it")
	r.git("checkout", "-q", "-b", "side")
	inMessage := r.commit("x", "x", "Try\n\nwith "+other)
	r.git("checkout", "-q", "main")
	dropped := r.commit("y", third, "Oops")
	r.git("reset", "-q", "--hard", "HEAD~1")
	var got []string
	err := new(leak.Scanner).History(t.Context(), r.path, func(f leak.Finding) {
		got = append(got, fmt.Sprintf("%s %s:%d:%d %s", f.Commit, f.Path, f.Line, f.Column, f.Secret.Expose()))
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	want := []string{
		brought + " config.yaml:2:8 " + secret,
		dropped + " y:1:1 " + third,
	}
	message := 0
	got = slices.DeleteFunc(got, func(line string) bool {
		if !strings.HasPrefix(line, inMessage) || !strings.HasSuffix(line, " "+other) {
			return false
		}
		message++
		return true
	})
	slices.Sort(want)
	if !slices.Equal(got, want) || message != 1 {
		t.Errorf("found\n%s\nwant\n%s\nand %d in messages, want 1", strings.Join(got, "\n"), strings.Join(want, "\n"), message)
	}
}

// A repository may be anybody's: what it configures is not run.
func TestHistoryRunsNothingOfTheRepository(t *testing.T) {
	r := newRepository(t)
	r.commit(".gitattributes", "* diff=evil filter=evil\n", "Attributes")
	r.commit("f", "x "+newSecret(t, "lw_"), "Secret")
	trace := filepath.Join(t.TempDir(), "ran")
	for _, key := range []string{"diff.evil.textconv", "diff.evil.command", "filter.evil.smudge", "core.fsmonitor", "core.pager", "diff.external"} {
		r.git("config", key, "touch "+trace+"; cat")
	}
	found := 0
	if err := new(leak.Scanner).History(t.Context(), r.path, func(leak.Finding) { found++ }); err != nil || found != 1 {
		t.Fatalf("found %d, error %v; want one", found, err)
	}
	if _, err := os.Stat(trace); err == nil {
		t.Error("a program that the repository names was run")
	}
}

func TestHistoryErrors(t *testing.T) {
	none := func(leak.Finding) {}
	if err := new(leak.Scanner).History(t.Context(), t.TempDir(), none); latchward.ErrorCode(err) != latchward.CodeNotFound {
		t.Errorf("what is no repository: %v, want not found", err)
	}
	if err := new(leak.Scanner).History(t.Context(), newRepository(t).path, none); err != nil {
		t.Errorf("an empty repository: %v", err)
	}
	t.Setenv("PATH", t.TempDir())
	if err := new(leak.Scanner).History(t.Context(), t.TempDir(), none); latchward.ErrorCode(err) != latchward.CodeUnavailable {
		t.Errorf("without git: %v, want unavailable", err)
	}
}
