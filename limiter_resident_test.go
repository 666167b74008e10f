//go:build linux && !race

package latchward

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

const residentChild = "LATCHWARD_TEST_RESIDENT"

// bar 48: a process that limits 2,000,000 keys, ten calls each, never takes more than 512 MiB of resident memory, under
// the garbage collector's own settings. A twentieth of them takes a twentieth of that beyond what the process had before.
func TestLimiterResidentMemory(t *testing.T) {
	if os.Getenv(residentChild) != "" {
		limitInChild(t)
		return
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), program, "-test.run=^TestLimiterResidentMemory$", "-test.v")
	child.Env = append(os.Environ(), residentChild+"=1", "GOGC=100", "GOMEMLIMIT=off", "GOMAXPROCS=2")
	output, err := child.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	for line := range strings.Lines(string(output)) {
		if _, told, ok := strings.Cut(line, "resident: "); ok {
			t.Log(strings.TrimSpace(told))
		}
	}
}

func limitInChild(t *testing.T) {
	keys, before := int64(limitScale(100_000, 2_000_000)), int64(0)
	most := 512 << 20 / 2_000_000 * keys
	if limitScale(0, 1) == 0 {
		before = peakResident(t)
	}
	l := NewLocalLimiter(LocalLimiterOptions{})
	budgets := []Budget{tokenBudgetOf(0, 100)}
	for id := range keys {
		budgets[0].Key.ID = id
		for i := range 10 {
			if _, _, err := l.Take(t.Context(), Instant(i), 1, budgets); err != nil {
				t.Fatal(err)
			}
		}
	}
	took := peakResident(t) - before
	fmt.Printf("resident: %d keys took %d of %d kB\n", l.Len(), took>>10, most>>10)
	if l.Len() != int(keys) || took > most {
		t.Errorf("%d keys took %d bytes, want at most %d", l.Len(), took, most)
	}
}

// peakResident returns how many bytes of memory this process had at most.
func peakResident(t *testing.T) int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	var kilobytes int64
	_, line, _ := bytes.Cut(status, []byte("VmHWM:"))
	if _, err := fmt.Sscan(string(line), &kilobytes); err != nil {
		t.Fatal(err)
	}
	return kilobytes << 10
}
