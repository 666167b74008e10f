package main

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestREADME runs every sh block of the README, in order, against a demo that runs as the README says: what people
// copy must work. A block is a curl line; it fails when the answer is none of those its line is there for.
func TestREADME(t *testing.T) {
	blocks := shellBlocks(t, "../../README.md")
	if len(blocks) < 8 {
		t.Fatalf("only %d sh blocks in the README", len(blocks))
	}
	environment := startDemo(t)
	for _, block := range blocks {
		first, _, _ := strings.Cut(block, "\n")
		t.Run(first, func(t *testing.T) {
			script := strings.Replace(block, "curl ", `curl -sS -w '\n%{http_code}' `, 1)
			cmd := exec.CommandContext(t.Context(), "bash", "-euc", script)
			cmd.Env = append(os.Environ(), environment...)
			out, err := cmd.CombinedOutput()
			text := strings.TrimSpace(string(out))
			status := text[strings.LastIndexByte(text, '\n')+1:]
			want := "2"
			if strings.Contains(block, "/whoami") {
				want = "403"
			}
			if err != nil || !strings.HasPrefix(status, want) {
				t.Errorf("%s\nanswered %s (%v):\n%s", block, status, err, text)
			}
		})
	}
}

// shellBlocks returns what stands between "```sh" and "```".
func shellBlocks(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for _, part := range strings.Split(string(text), "```sh\n")[1:] {
		block, _, ok := strings.Cut(part, "```")
		if !ok {
			t.Fatal("an sh block without an end")
		}
		blocks = append(blocks, block)
	}
	return blocks
}

// startDemo builds the binary, starts `latchward demo --quiet` and returns the variables that it exports.
func startDemo(t *testing.T) []string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "latchward")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, binary, "demo", "--quiet", "--listen", "127.0.0.1:0")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = 20 * time.Second
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = io.Discard
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); _ = cmd.Wait() })
	var environment []string
	lines := bufio.NewScanner(out)
	for len(environment) < 4 && lines.Scan() {
		if pair, ok := strings.CutPrefix(lines.Text(), "export "); ok {
			environment = append(environment, pair)
		}
	}
	if len(environment) != 4 {
		t.Fatalf("the demo exports %d variables, want 4", len(environment))
	}
	return environment
}
