package main

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/rest"
)

// program runs this program in a folder of its own.
type program struct {
	t      *testing.T
	folder string
}

func (p *program) command(ctx context.Context, args ...string) *exec.Cmd {
	self, err := os.Executable()
	if err != nil {
		p.t.Fatal(err)
	}
	c := exec.CommandContext(ctx, self, args...)
	c.Args[0] = "latchward" // by which the test binary is this program
	c.Dir = p.folder
	c.Env = append(slices.DeleteFunc(os.Environ(), func(variable string) bool {
		return strings.HasPrefix(variable, "LATCHWARD_")
	}), "GORACE=atexit_sleep_ms=0")
	return c
}

// run returns what a command prints, which must succeed.
func (p *program) run(args ...string) string {
	p.t.Helper()
	out, err := p.command(p.t.Context(), args...).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			out = exit.Stderr
		}
		p.t.Fatalf("latchward %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// kill runs a command and kills it, as nothing can be caught, after a while, unless it is done before. It returns
// whether it was done.
func (p *program) kill(after time.Duration, args ...string) bool {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), after)
	defer cancel()
	return p.command(ctx, args...).Run() == nil
}

// versions returns the versions of the keys that the program says there are, and checks that its file says the same.
func (p *program) versions() (versions []int) {
	p.t.Helper()
	var list rest.KeyList
	if err := json.Unmarshal([]byte(p.run("keys", "status", "-o", "json")), &list); err != nil {
		p.t.Fatal(err)
	}
	for _, k := range list.Keys {
		versions = append(versions, k.Version)
	}
	text, err := os.ReadFile(filepath.Join(p.folder, "data", "keys"))
	if err != nil {
		p.t.Fatal(err)
	}
	ring, err := latchward.ParseKeyRing(text)
	if err != nil {
		p.t.Fatal(err)
	}
	var kept []int
	for _, v := range ring.Versions() {
		kept = append(kept, v.Version)
	}
	if !slices.Equal(versions, kept) {
		p.t.Errorf("the program has keys %v, its file %v", versions, kept)
	}
	return versions
}

// verifies reports whether a token is good.
func (p *program) verifies(secret string) bool {
	p.t.Helper()
	c := p.command(p.t.Context(), "me")
	c.Env = append(c.Env, tokenVariable+"="+secret)
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != exitCodes[latchward.CodeUnauthenticated]) {
		p.t.Fatalf("latchward me: %v", err)
	}
	return err == nil
}

// bar 136: killed at any moment of changing keys, the program starts again with what file and database agree on; a
// change is done or not, a token is good exactly when its key is there, and what was done stays done.
func TestKilledWhileChangingKeys(t *testing.T) {
	rounds := 12
	if os.Getenv("LATCHWARD_SCALE") == "full" {
		rounds = 400
	}
	const seed = 136
	random := rand.New(rand.NewPCG(seed, seed))
	p := &program{t, t.TempDir()}
	p.run("migrate", "up")
	p.run("user", "add", "--admin", "ada@example.com")
	begun := time.Now()
	p.run("keys", "status")
	usual := 3 * time.Since(begun)
	secrets := map[int]string{} // by the version that they are under
	interrupted, changed := 0, 0
	versions := p.versions()
	for range rounds {
		current := slices.Max(versions)
		if secrets[current] == "" {
			secrets[current] = p.run("token", "create", "-q")
		}
		change := []string{"keys", "rotate"}
		if len(versions) > 2 || len(versions) == 2 && random.IntN(2) == 0 {
			change = []string{"keys", "drop", strconv.Itoa(versions[0]), "--yes"}
		}
		done := p.kill(time.Duration(random.Int64N(int64(usual))), change...)
		if !done {
			interrupted++
		}
		next := p.versions()
		switch same := slices.Equal(next, versions); {
		case done && same:
			t.Errorf("%v said that it was done, and was not (seed %d)", change, seed)
		case !same:
			changed++
		}
		for version, secret := range secrets {
			if want := slices.Contains(next, version); p.verifies(secret) != want {
				t.Errorf("after %v, a token under v%d is good: %v, with keys %v (seed %d)", change, version, !want, next, seed)
			}
			if !slices.Contains(next, version) && version < slices.Min(next) {
				delete(secrets, version) // it was seen to be refused
			}
		}
		versions = next
	}
	t.Logf("seed %d: %d rounds, %d killed, %d changes", seed, rounds, interrupted, changed)
	if interrupted == 0 || changed == 0 {
		t.Error("nothing was killed, or nothing changed")
	}
	p.run("audit", "verify")
}
