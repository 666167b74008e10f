//go:build !race

package server_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/latchward/latchward/latchtest"
	"github.com/latchward/latchward/rest"
	"github.com/latchward/latchward/server"
)

const (
	childData     = "LATCHWARD_KILL_TEST_DATA"
	childUpstream = "LATCHWARD_KILL_TEST_UPSTREAM"
)

// TestMain lets the test binary be the server that is killed.
func TestMain(m *testing.M) {
	if data := os.Getenv(childData); data != "" {
		if err := serveInChild(data, os.Getenv(childUpstream)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func killedFlags(data, upstream string) map[string]string {
	return map[string]string{
		"data": data, "upstreams": upstream, "api.listen": "127.0.0.1:0", "operations.listen": "off", "pages.listen": "off",
		"usage.ring_mib": "1", "usage.flush_interval": "20ms", "log.level": "error",
	}
}

func serveInChild(data, upstream string) error {
	c, err := server.Load(server.Sources{File: os.DevNull, Flags: killedFlags(data, upstream)})
	if err != nil {
		return err
	}
	s, err := server.Open(context.Background(), c)
	if err != nil {
		return err
	}
	fmt.Println(s.URL())
	return s.Run(context.Background())
}

// bar 74: over many lives of a server, each ended by kill -9 under load, every answer that a client got is recorded once,
// per token and endpoint, and nothing else but what was in flight.
func TestUsageSurvivesKill(t *testing.T) {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "done") }))
	defer api.Close()
	data := folder(t)
	c, err := server.Load(server.Sources{File: os.DevNull, Flags: killedFlags(data, api.URL)})
	if err != nil {
		t.Fatal(err)
	}
	if opened, err := server.Open(t.Context(), c); err != nil || opened.Close() != nil {
		t.Fatal(err) // which made the database
	}
	one, two := killedToken(t, c, 1), killedToken(t, c, 2)
	kinds := []kind{
		{one, "/products", 200, 0}, {one, "/categories", 200, 0}, {two, "/products", 200, 0}, {two, "/orders", 403, 0},
	}
	const connections = 8
	cycles, random := 20, rand.New(latchtest.Seeded(74))
	if os.Getenv("LATCHWARD_SCALE") == "full" {
		cycles = 200
	}
	for range cycles {
		loadThenKill(t, data, api.URL, kinds, connections, 50+random.IntN(400))
	}
	sum, recordedSum := int64(0), int64(0)
	for _, k := range kinds {
		n := endpointCount(t, c, &k)
		sum, recordedSum = sum+k.answered, recordedSum+n
		if n < k.answered || n > k.answered+int64(cycles*connections) {
			t.Errorf("token %d, %s: %d answered, %d recorded", k.token.id, k.path, k.answered, n)
		}
	}
	if recordedSum > sum+int64(cycles*connections) || sum < int64(cycles)*50 {
		t.Errorf("%d answered, %d recorded", sum, recordedSum)
	}
	t.Logf("%d answered, %d recorded in %d lives", sum, recordedSum, cycles)
}

// kind is a kind of request, and how many of it were answered.
type kind struct {
	token    killedSecret
	path     string
	status   int
	answered int64
}

type killedSecret struct {
	id     int64
	secret string
}

func killedToken(t *testing.T, c server.Config, n int) killedSecret {
	t.Helper()
	client, done, err := server.OpenLocal(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	if n == 1 {
		if _, err := client.CreateUser(t.Context(), rest.NewUser{Name: rest.Some("ada"), Administrator: true}); err != nil {
			t.Fatal(err)
		}
	}
	created, err := client.CreateToken(t.Context(), rest.NewToken{
		Name: rest.Some(fmt.Sprint("token ", n)), RateLimit: rest.Some[int64](10_000_000),
		AllowedEndpoints: rest.Some([]string{"/products", "/categories"}),
	})
	if err != nil {
		t.Fatal(err)
	}
	return killedSecret{created.Token.ID, created.Token.Secret.Expose()}
}

// loadThenKill starts a server, sends it requests over some connections until so many were answered, and kills it.
func loadThenKill(t *testing.T, data, upstream string, kinds []kind, connections, most int) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childData+"="+data, childUpstream+"="+upstream)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the server did not start: %v, %v", err, child.Wait())
	}
	url := strings.TrimSpace(address) + "/api"
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections}, Timeout: 20 * time.Second}
	defer client.CloseIdleConnections()
	var answered, next atomic.Int64
	var group sync.WaitGroup
	for range connections {
		group.Go(func() {
			for {
				k := &kinds[int(next.Add(1))%len(kinds)]
				if !sendOne(t, client, url, k) {
					return
				}
				if answered.Add(1) == int64(most) {
					_ = child.Process.Signal(syscall.SIGKILL)
				}
			}
		})
	}
	group.Wait()
	var exit *exec.ExitError
	if err := child.Wait(); !errors.As(err, &exit) || exit.ExitCode() != -1 {
		t.Fatalf("the server ended with %v", err)
	}
}

// sendOne sends one request and counts its answer; false says that there was none.
func sendOne(t *testing.T, client *http.Client, url string, k *kind) bool {
	request, err := http.NewRequest("GET", url+k.path, nil)
	if err != nil {
		t.Error(err)
		return false
	}
	request.Header.Set("Authorization", "Bearer "+k.token.secret)
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	if _, err := io.ReadAll(response.Body); err != nil {
		return false
	}
	if response.StatusCode != k.status {
		t.Errorf("%s was answered with %d", k.path, response.StatusCode)
	}
	atomic.AddInt64(&k.answered, 1)
	return true
}

// endpointCount returns how many requests of a kind are recorded.
func endpointCount(t *testing.T, c server.Config, k *kind) int64 {
	t.Helper()
	client, done, err := server.OpenLocal(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	usage, err := client.TokenUsage(t.Context(), k.token.id, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range usage.EndpointUsage {
		if e.Endpoint == k.path {
			return e.Requests
		}
	}
	return 0
}
