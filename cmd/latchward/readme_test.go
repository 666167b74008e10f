package main

import (
	"bufio"
	"cmp"
	"context"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/latchward/latchward/demo"
)

// block is what stands between "```language" and "```".
type block struct{ heading, language, text string }

// readBlocks returns the blocks of the README in order.
func readBlocks(t *testing.T) []block {
	t.Helper()
	return blocksOf(t, "../../README.md")
}

func blocksOf(t *testing.T, file string) []block {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var blocks []block
	heading, inside := "", false
	for line := range strings.Lines(string(text)) {
		language, fence := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case fence && !inside:
			blocks = append(blocks, block{heading: heading, language: language})
			inside = true
		case fence:
			inside = false
		case inside:
			blocks[len(blocks)-1].text += line
		case strings.HasPrefix(line, "#"):
			heading = strings.Trim(line, "# \n")
		}
	}
	return blocks
}

// some returns the texts of the blocks of a language under a heading, of which there must be some.
func some(t *testing.T, heading, language string, least int) (texts []string) {
	t.Helper()
	for _, b := range readBlocks(t) {
		if b.heading == heading && b.language == language {
			texts = append(texts, b.text)
		}
	}
	if len(texts) < least {
		t.Fatalf("only %d %q blocks under %q, want %d", len(texts), language, heading, least)
	}
	return texts
}

// TestREADMEDemo runs the README's requests, in order, against a demo: what people copy must work.
func TestREADMEDemo(t *testing.T) {
	requests := some(t, "Try it", "sh", 10)
	environment := startDemo(t, buildProgram(t))
	for _, request := range requests {
		first, _, _ := strings.Cut(request, "\n")
		t.Run(first, func(t *testing.T) {
			want := "2"
			if strings.Contains(request, "/whoami") {
				want = "403"
			}
			text := shell(t, t.TempDir(), environment, withStatus(request))
			if status := text[strings.LastIndexByte(text, '\n')+1:]; !strings.HasPrefix(status, want) {
				t.Errorf("%s\nanswered %s:\n%s", request, status, text)
			}
		})
	}
}

// TestOAuthPage runs the commands of docs/oauth.md, in order, against a demo.
func TestOAuthPage(t *testing.T) {
	binary := buildProgram(t)
	environment := append(startDemo(t, binary), "PATH="+filepath.Dir(binary)+":"+os.Getenv("PATH"))
	var script strings.Builder
	for _, b := range blocksOf(t, "../../docs/oauth.md") {
		if b.language == "sh" {
			script.WriteString(strings.ReplaceAll(b.text, "curl ", "curl -sS -f ") + "\n")
		}
	}
	text := shell(t, t.TempDir(), environment, script.String())
	rest := text
	for _, want := range []string{
		`"issuer":"http://localhost:`, `"name":"Langstroth hive`, `"active":true,"scope":"*",`, "Active       yes\n", `{"active":false}`,
	} {
		_, after, ok := strings.Cut(rest, want)
		if !ok {
			t.Fatalf("no %q where it should be in:\n%s", want, text)
		}
		rest = after
	}
}

// TestREADMEGateway does in an empty folder what the README says about the gateway. Only the ports are others.
func TestREADMEGateway(t *testing.T) {
	const heading = "A gateway in front of your API"
	api := httptest.NewServer(demo.API())
	defer api.Close()
	ports := strings.NewReplacer("127.0.0.1:8080", strings.TrimPrefix(api.URL, "http://"), "127.0.0.1:3010", freeAddress(t))
	folder, err := os.MkdirTemp("", "lw") // short, for the path of the socket
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(folder)
	file := ports.Replace(some(t, heading, "yaml", 1)[0])
	if err := os.WriteFile(filepath.Join(folder, "latchward.yaml"), []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	environment := []string{
		"PATH=" + filepath.Dir(buildProgram(t)) + ":" + os.Getenv("PATH"),
		"LATCHWARD_API_LISTEN=" + ports.Replace("127.0.0.1:3010"), "LATCHWARD_OPERATIONS_LISTEN=127.0.0.1:0",
		"LATCHWARD_PAGES_LISTEN=127.0.0.1:0",
	}
	scripts := some(t, heading, "sh", 2)
	startServer(t, folder, environment, "exec "+scripts[0])
	text := shell(t, folder, environment, ports.Replace(scripts[1]))
	for _, want := range []string{"you@example.com", "200 OK", "X-Ratelimit-Remaining: 99", "Langstroth hive"} {
		if !strings.Contains(strings.ToLower(text), strings.ToLower(want)) {
			t.Errorf("no %q in what was printed:\n%s", want, text)
		}
	}
	checkREADMERights(t, shell(t, folder, environment, ports.Replace(strings.Join(some(t, "Rights", "sh", 5), "\n"))))
}

// checkREADMERights compares what the commands about rights printed with what the README says that they do.
func checkREADMERights(t *testing.T, text string) {
	t.Helper()
	rest := text
	for _, want := range []string{
		`"reason":"allowed"`, `"reason":"insufficient_permissions"`, "It would be refused: insufficient_permissions",
		"Lacking: stock.write", `"reason":"license_missing"`, `"reason":"allowed"`, `"reason":"owner_disabled"`,
	} {
		_, after, ok := strings.Cut(rest, want)
		if !ok {
			t.Fatalf("no %q where it should be in:\n%s", want, text)
		}
		rest = after
	}
}

// TestREADMECompiles gives the README's Go to the compiler.
func TestREADMECompiles(t *testing.T) {
	for _, heading := range []string{"A verify API", "A Go library"} {
		for _, function := range some(t, heading, "go", 1) {
			compile(t, heading, function)
		}
	}
}

// compile fails the test for a block of the README that is no part of a program.
func compile(t *testing.T, heading, function string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "main.go")
	text := "package main\n\nimport (\n\t\"context\"\n\t\"net/http\"\n\n"
	const module = "github.com/latchward/latchward"
	for _, name := range []string{"", "httpauth", "operation", "rest", "server", "sqlite"} {
		if strings.Contains(function, cmp.Or(name, "latchward")+".") {
			text += "\t\"" + strings.TrimSuffix(module+"/"+name, "/") + "\"\n"
		}
	}
	text += ")\n\n" + function + "\nfunc main() {}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("go", "vet", file).CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s\n%s", heading, err, out, text)
	}
}

// TestREADMEMakes looks up the other blocks: each says make, with a target that there is, or shows what is printed.
func TestREADMEMakes(t *testing.T) {
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range readBlocks(t) {
		target, _, _ := strings.Cut(strings.TrimPrefix(b.text, "make "), "\n")
		target, _, _ = strings.Cut(target, " ")
		switch {
		case b.language != "":
		case strings.HasPrefix(b.text, "export "):
		case !strings.HasPrefix(b.text, "make "), !strings.Contains(string(makefile), "\n"+target+":"):
			t.Errorf("nobody runs this block:\n%s", b.text)
		}
	}
}

// withStatus makes curl print the status behind the answer.
func withStatus(request string) string {
	return strings.Replace(request, "curl ", `curl -sS -w '\n%{http_code}' `, 1)
}

// shell runs a script in a folder and returns what it printed.
func shell(t *testing.T, folder string, environment []string, script string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "-euc", script)
	cmd.Dir, cmd.Env = folder, append(os.Environ(), environment...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%s\nended with %v:\n%s", script, err, out)
	}
	return strings.TrimSpace(string(out))
}

func buildProgram(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "latchward")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	return binary
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// interruptible returns a command that is interrupted when the test ends.
func interruptible(t *testing.T, program string, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = 20 * time.Second
	t.Cleanup(func() {
		cancel()
		if cmd.Process != nil {
			_ = cmd.Wait()
		}
	})
	return cmd
}

// startServer runs a script that serves, and returns when it says that it listens.
func startServer(t *testing.T, folder string, environment []string, script string) {
	t.Helper()
	cmd := interruptible(t, "bash", "-euc", script)
	cmd.Dir, cmd.Env = folder, append(os.Environ(), environment...)
	log, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var printed strings.Builder
	for lines := bufio.NewScanner(log); lines.Scan(); {
		printed.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), "msg=Listening") {
			return
		}
	}
	t.Fatalf("it does not listen:\n%s", &printed)
}

// startDemo starts `latchward demo --quiet` and returns the variables that it exports.
func startDemo(t *testing.T, binary string) []string {
	t.Helper()
	cmd := interruptible(t, binary, "demo", "--quiet", "--listen", "127.0.0.1:0")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
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
