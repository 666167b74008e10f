//go:build !race

package journal

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/latchward/latchward/latchtest"
)

const (
	folderVariable   = "LATCHWARD_JOURNAL_CHILD"
	unmappedVariable = "LATCHWARD_JOURNAL_UNMAPPED"
)

// TestMain lets the test binary be the process that is killed.
func TestMain(m *testing.M) {
	if folder := os.Getenv(folderVariable); folder != "" {
		if err := appendForever(folder, os.Getenv(unmappedVariable) != ""); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// appendForever appends events of consecutive numbers, from several goroutines, and says the number of each once it was
// accepted.
func appendForever(folder string, unmapped bool) error {
	o := small()
	o.Rings, o.RingBytes, o.SegmentBytes, o.Interval, o.unmapped = 2, 1<<20, 256<<10, 5*time.Millisecond, unmapped
	j, err := Open(folder, o)
	if err != nil {
		return err
	}
	first, err := strconv.Atoi(os.Getenv("LATCHWARD_JOURNAL_FIRST"))
	if err != nil {
		return err
	}
	go func() { _ = j.Run(context.Background()) }()
	const writers = 4
	for w := range writers {
		go func() {
			for n := first + w; ; n += writers {
				e := eventOf(n)
				for !j.Append(&e) {
					time.Sleep(time.Millisecond) // until there is room
				}
				// One write, straight to the pipe: who reads it knows that Append returned true.
				if _, err := fmt.Fprintln(os.Stdout, n); err != nil {
					return
				}
			}
		}()
	}
	select {}
}

// bar 74: a process that is killed at any moment loses nothing that it accepted, and nothing is recorded twice. An event
// whose acceptance nobody was told of may be there: one for each goroutine that appended.
func TestAcceptedSurvivesKill(t *testing.T) {
	bothKinds(t, func(t *testing.T, o Options) {
		folder, random := filepath.Join(t.TempDir(), "j"), rand.New(latchtest.Seeded(74))
		r, next := reader{release: true}, 0
		accepted := map[int]bool{}
		for range latchtest.Scale(500, 5) {
			last := appendAndKill(t, folder, o.unmapped, next, 1+random.IntN(4000), accepted)
			next = last + 100
			j := openAt(t, folder, o)
			r.must(t, j)
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
		}
		checkOnce(t, r.events, next, accepted)
		if extra := len(r.events) - len(accepted); extra > 4*latchtest.Scale(500, 5) {
			t.Errorf("%d events were read, %d accepted", len(r.events), len(accepted))
		}
		t.Logf("%d accepted, %d read", len(accepted), len(r.events))
	})
}

// appendAndKill runs a process that appends until it has said so many numbers, kills it, and returns the largest.
func appendAndKill(t *testing.T, folder string, unmapped bool, first, lines int, accepted map[int]bool) (last int) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), folderVariable+"="+folder, "LATCHWARD_JOURNAL_FIRST="+strconv.Itoa(first))
	if unmapped {
		child.Env = append(child.Env, unmappedVariable+"=1")
	}
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	last = first
	for scanner := bufio.NewScanner(out); scanner.Scan(); lines-- {
		if lines == 0 {
			_ = child.Process.Signal(unix.SIGKILL) // what is in the pipe is read on
		}
		n, err := strconv.Atoi(scanner.Text())
		if err != nil {
			continue // half a line: it was killed while it wrote
		}
		accepted[n], last = true, max(last, n)
	}
	var exit *exec.ExitError
	if err := child.Wait(); !errors.As(err, &exit) || exit.ExitCode() != -1 {
		t.Fatalf("the process ended with %v", err)
	}
	return last
}
