package main

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/latchward/latchward/demo"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"latchward": main})
}

// The scripts in testdata drive the program from end to end, and are its manual.
func TestScripts(t *testing.T) {
	scripts, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	// Tests that run without a terminal may have been started with SIGHUP ignored, which programs pass on to their
	// children. What is caught here is a child's to handle.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	testscript.Run(t, testscript.Params{
		Files: scripts, RequireUniqueNames: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("LATCHWARD_PAGES_LISTEN", "127.0.0.1:0") // scripts run beside each other
			e.Setenv("GORACE", "atexit_sleep_ms=0")           // else each command under the race detector takes a second longer
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "free": free, "upstream": upstream, "ready": ready, "until": until, "keep": keep, "exports": exports,
		},
	})
}

// exits runs a program and checks its exit code: exits 3 latchward token show 99
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits code program [args...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	code := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if code != want {
		ts.Fatalf("%v: exit code %d, want %d", args[1:], code, want)
	}
}

// free sets variables to addresses on loopback that nobody listens on: free API OPERATIONS
func free(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		ts.Check(err)
		ts.Setenv(name, listener.Addr().String())
		ts.Check(listener.Close())
	}
}

// upstream starts the sample API and sets variables to its URL and its address: upstream API sets API and API_ADDRESS
func upstream(ts *testscript.TestScript, _ bool, args []string) {
	api := httptest.NewServer(demo.API())
	ts.Defer(api.Close)
	ts.Setenv(args[0], api.URL)
	ts.Setenv(args[0]+"_ADDRESS", strings.TrimPrefix(api.URL, "http://"))
}

// ready waits until a server says that it is: ready http://$OPERATIONS
func ready(ts *testscript.TestScript, _ bool, args []string) {
	poll(ts, func() bool {
		response, err := http.Get(args[0] + "/readyz")
		if err != nil {
			return false
		}
		ts.Check(response.Body.Close())
		return response.StatusCode == http.StatusOK
	})
}

// until runs a program again and again until a line that it prints matches: until pattern program [args...]
func until(ts *testscript.TestScript, _ bool, args []string) {
	pattern := regexp.MustCompile("(?m)" + args[0])
	poll(ts, func() bool { return ts.Exec(args[1], args[2:]...) == nil && pattern.MatchString(ts.ReadFile("stdout")) })
}

func poll(ts *testscript.TestScript, done func() bool) {
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for !done() {
		select {
		case <-again.C:
		case <-deadline.C:
			ts.Fatalf("waited for a minute")
		}
	}
}

// keep sets a variable to what the last program printed: keep TOKEN
func keep(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile("stdout")))
}

// exports sets the variables that a file exports, as a shell would: exports demo.env
func exports(ts *testscript.TestScript, _ bool, args []string) {
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		if assignment, ok := strings.CutPrefix(strings.TrimSpace(line), "export "); ok {
			name, value, _ := strings.Cut(assignment, "=")
			ts.Setenv(name, value)
		}
	}
}
