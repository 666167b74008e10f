package server_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/latchward/latchward/rest"
	"github.com/latchward/latchward/server"
)

// scaled returns n, or a hundred times that at full scale.
func scaled(n int) int {
	if os.Getenv("LATCHWARD_SCALE") == "full" {
		return 100 * n
	}
	return n
}

// recorded returns how many requests the database of a stopped server counts for a token.
func recorded(t *testing.T, c server.Config, id int64) int64 {
	t.Helper()
	client, done, err := server.OpenLocal(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	list, err := client.Tokens(t.Context(), rest.TokenQuery{})
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range list.Tokens {
		if token.ID == id {
			return token.TotalRequests
		}
	}
	t.Fatalf("token %d is gone", id)
	return 0
}

// bar 138: clients that stop when /readyz says so get an answer to everything they sent, and all of it is recorded.
func TestGracefulStopUnderLoad(t *testing.T) {
	r := start(t, settings(t, folder(t), "upstreams", upstream(t)))
	left := make(chan struct{})
	r.PauseUntil(left)
	id, secret := r.token(t, rest.NewToken{RateLimit: rest.Some[int64](10_000_000)})
	var sent, answered atomic.Int64
	var wrong sync.Map
	var clients sync.WaitGroup
	leave, warm := make(chan struct{}), make(chan struct{}, 1)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
	defer client.CloseIdleConnections()
	for range 16 {
		clients.Go(func() {
			for {
				select {
				case <-leave:
					return
				default:
				}
				sent.Add(1)
				if a := send(t, client, "GET", r.URL()+"/api/categories", "Bearer "+secret, nil); a.err != nil || a.status != 200 {
					wrong.Store(fmt.Sprint(a.status, a.err, a.body), true)
				} else if answered.Add(1) == int64(scaled(300)) {
					warm <- struct{}{}
				}
			}
		})
	}
	<-warm
	get(t, r.OperationsURL()+"/readyz", "").want(t, "before", 200)
	r.stop()
	for get(t, r.OperationsURL()+"/readyz", "").status != 503 {
	}
	close(leave)
	clients.Wait()
	close(left)
	if err := r.wait(); err != nil {
		t.Errorf("Run: %v", err)
	}
	wrong.Range(func(what, _ any) bool { t.Errorf("a request was dropped: %v", what); return true })
	if sent.Load() != answered.Load() {
		t.Errorf("%d sent, %d answered", sent.Load(), answered.Load())
	}
	if n := recorded(t, r.config, id); n != answered.Load() {
		t.Errorf("%d answered, %d recorded", answered.Load(), n)
	}
}

// bar 138: while it stops, a server answers, tells clients to leave, and is not ready.
func TestRequestInFlightWhileStopping(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/slow" {
			close(arrived)
			<-release
		}
		io.WriteString(w, "done")
	}))
	defer api.Close()
	r := start(t, settings(t, folder(t), "upstreams", api.URL))
	paused := make(chan struct{})
	r.PauseUntil(paused)
	id, secret := r.token(t, rest.NewToken{})
	slow := make(chan answer)
	go func() { slow <- get(t, r.URL()+"/api/slow", "Bearer "+secret) }()
	<-arrived
	r.stop()
	for get(t, r.OperationsURL()+"/readyz", "").status != 503 {
	}
	a := get(t, r.URL()+"/api/quick", "Bearer "+secret)
	a.want(t, "a request in the delay", 200, "done")
	if !a.closes {
		t.Error("the client is not told to close its connection")
	}
	get(t, r.OperationsURL()+"/metrics", "").want(t, "metrics", 200, "latchward_ready 0\n")
	close(paused)
	close(release)
	(<-slow).want(t, "the request in flight", 200, "done")
	if err := r.wait(); err != nil {
		t.Errorf("Run: %v", err)
	}
	if n := recorded(t, r.config, id); n != 2 {
		t.Errorf("%d requests recorded", n)
	}
	if _, err := os.Stat(r.config.Data + "/latchward.sock"); err == nil {
		t.Error("the socket is still there")
	}
}

// A connection that was opened ahead of a request, as browsers do, holds nothing up: net/http would wait for five seconds.
func TestSilentConnectionWhileStopping(t *testing.T) {
	r := start(t, settings(t, folder(t), "shutdown.timeout", "4s"))
	connection, err := net.Dial("tcp", strings.TrimPrefix(r.URL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	get(t, r.URL()+"/", "").want(t, "another connection", 404) // so the silent one was accepted before
	if err := r.wait(); err != nil {
		t.Errorf("Run: %v", err)
	}
}

// bar 138: streams are ended in time, and recorded.
func TestStreamsEndWhenStopping(t *testing.T) {
	r := start(t, settings(t, folder(t), "upstreams", upstream(t), "shutdown.timeout", "500ms"))
	id, secret := r.token(t, rest.NewToken{})
	request, err := http.NewRequest("GET", r.URL()+"/api/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+secret)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	stream := bufio.NewReader(response.Body)
	if line, err := stream.ReadString('\n'); err != nil || line != "event: tick\n" {
		t.Fatalf("%q, %v", line, err)
	}
	if err := r.wait(); err != nil {
		t.Errorf("Run: %v", err)
	}
	io.Copy(io.Discard, stream) // returns, because the stream has ended
	if n := recorded(t, r.config, id); n != 1 {
		t.Errorf("%d requests recorded", n)
	}
}

// bar 138: so are connections that became something else, for which net/http does not wait.
func TestUpgradedConnectionsEndWhenStopping(t *testing.T) {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		connection, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer connection.Close()
		io.WriteString(connection, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello\n")
		io.Copy(connection, connection)
	}))
	defer api.Close()
	r := start(t, settings(t, folder(t), "upstreams", api.URL, "shutdown.timeout", "500ms"))
	id, secret := r.token(t, rest.NewToken{})
	connection, err := net.Dial("tcp", strings.TrimPrefix(r.URL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	fmt.Fprintf(connection, "GET /api/socket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Authorization: Bearer %s\r\n\r\n", secret)
	reader := bufio.NewReader(connection)
	for line := ""; line != "hello\n"; {
		if line, err = reader.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.wait(); err != nil {
		t.Errorf("Run: %v", err)
	}
	io.Copy(io.Discard, reader) // returns, because the connection has ended
	if n := recorded(t, r.config, id); n != 1 {
		t.Errorf("%d requests recorded", n)
	}
	get(t, "http://"+connection.RemoteAddr().String()+"/", "").wantRefused(t)
}

func (a answer) wantRefused(t *testing.T) {
	t.Helper()
	if a.err == nil {
		t.Errorf("the listener is still open: %d", a.status)
	}
}
