package gateway_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchward/latchward/gateway"
	"github.com/latchward/latchward/latchtest"
)

// counted counts connections and answers each request on them with what next returns; "" closes the connection.
func counted(t *testing.T, next func(r *http.Request) string) (address string, connections *atomic.Int32) {
	t.Helper()
	connections = new(atomic.Int32)
	return scripted(t, func(c net.Conn, reader *bufio.Reader) {
		connections.Add(1)
		for {
			r, err := http.ReadRequest(reader)
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, r.Body)
			answer := next(r)
			if _, err := io.WriteString(c, answer); err != nil || answer == "" {
				return
			}
		}
	}), connections
}

// Connections to an upstream are used again exactly when the answer before has ended there and the upstream keeps them.
func TestConnectionsAreReused(t *testing.T) {
	const requests = 5
	tests := map[string]struct {
		method, answer string
		connections    int32
	}{
		"length":            {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 1},
		"chunked":           {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n", 1},
		"no body":           {"GET", "HTTP/1.1 204 No Content\r\n\r\n", 1},
		"not modified":      {"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 1},
		"head":              {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 1},
		"options":           {"OPTIONS", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 1},
		"post":              {"POST", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 1},
		"after interim":     {"GET", "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 1},
		"asks for close":    {"GET", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", requests},
		"HTTP/1.0":          {"GET", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", requests},
		"HTTP/1.0 kept":     {"GET", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello", requests},
		"more than chunks":  {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n\r\n", requests},
		"body after 204":    {"GET", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello", requests},
		"body after 304":    {"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello", requests},
		"two answers":       {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged", requests},
		"more than a body":  {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello!", requests},
		"body without need": {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", requests},
	}
	for name, test := range tests {
		address, connections := counted(t, func(*http.Request) string { return test.answer })
		w := start(t, nil, to("http://"+address))
		for range requests {
			c, reader := w.dial()
			send(t, c, w.request(test.method, "/api/a", "Content-Length: 0"))
			text, err := io.ReadAll(reader)
			if err != nil || strings.Contains(string(text), " 502 ") || strings.Contains(string(text), "forged") || !strings.HasSuffix(string(text), "\r\n\r\n") && !strings.Contains(string(text), "hello") {
				t.Errorf("%s: %q, %v", name, text, err)
			}
			w.event() // the request is over
		}
		if n := connections.Load(); n != test.connections {
			t.Errorf("%s: %d connections for %d requests, want %d", name, n, requests, test.connections)
		}
	}
}

// An answer that ends with the connection is passed whole.
func TestAnswerUntilClose(t *testing.T) {
	w := start(t, nil, to("http://"+scripted(t, answering("HTTP/1.1 200 OK\r\n\r\nhello"))))
	for range 3 {
		if a := w.only(w.request("GET", "/api/a")); a.status != 200 || a.body != "hello" {
			t.Errorf("%+v", a)
		}
	}
}

// What an upstream sends over an idle connection answers nothing, and an idle connection that it has closed is no fault.
func TestIdleConnections(t *testing.T) {
	for _, unasked := range []string{"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged", ""} {
		idle := make(chan struct{})
		var connections atomic.Int32
		address := scripted(t, func(c net.Conn, reader *bufio.Reader) {
			readHead(reader)
			first := connections.Add(1) == 1
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
			if !first {
				readHead(reader) // until the gateway closes
				return
			}
			<-idle
			_, _ = io.WriteString(c, unasked)
			if unasked == "" {
				_ = c.Close()
			}
			idle <- struct{}{}
			readHead(reader)
		})
		w := start(t, nil, to("http://"+address))
		w.only(w.request("GET", "/api/a"))
		w.event()
		idle <- struct{}{}
		<-idle
		if a := w.only(w.request("GET", "/api/b")); a.status != 200 || a.body != "hello" {
			t.Errorf("after %q: %+v", unasked, a)
		}
		if n := connections.Load(); n != 2 {
			t.Errorf("after %q: %d connections", unasked, n)
		}
	}
}

// Whoever leaves, and however often connections are used again: everybody gets the answer to their own request.
func TestAnswersAreNotMixedUp(t *testing.T) {
	w := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, "/v1/")
		if body, _ := io.ReadAll(r.Body); r.Method == http.MethodPost && string(body) != name {
			name = "the body of another"
		}
		if strings.HasSuffix(name, "chunked") {
			_ = http.NewResponseController(w).Flush()
		}
		_, _ = io.WriteString(w, strings.Repeat(name+" ", 2000)) // more than one read
	}))
	const seed = 11
	var clients sync.WaitGroup
	for client := range 8 {
		clients.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(client)))
			for i := range latchtest.Scale(20_000, 60) {
				name := fmt.Sprintf("%d-%d%s", client, i, []string{"", "chunked"}[random.IntN(2)])
				if err := w.fetch(name, random); err != nil {
					t.Errorf("seed %d: %s: %v", seed, name, err)
					return
				}
			}
		})
	}
	clients.Wait()
}

// fetch gets a name and compares the answer with it. Sometimes it leaves before the answer or in its midst.
func (w *world) fetch(name string, random *rand.Rand) error {
	c, err := net.Dial("tcp", w.address)
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	method := []string{"GET", "GET", "GET", "POST"}[random.IntN(4)]
	body := ""
	if method == "POST" {
		body = name
	}
	request := w.request(method, "/api/"+name, fmt.Sprintf("Content-Length: %d", len(body))) + body
	if _, err := io.WriteString(c, request); err != nil {
		return err
	}
	leave := random.IntN(4)
	if leave == 0 {
		return nil
	}
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return err
	}
	if leave == 1 {
		return nil
	}
	text, err := io.ReadAll(response.Body)
	if want := strings.Repeat(name+" ", 2000); err != nil || string(text) != want {
		return fmt.Errorf("%d bytes %.40q, want %.20q: %w", len(text), text, want, err)
	}
	return nil
}

// Connections that were idle when the gateway stopped are closed, and so are those that become idle later.
func TestConnectionsAreClosed(t *testing.T) {
	closed := make(chan struct{}, 10)
	var leave sync.WaitGroup
	leave.Add(1)
	entered := make(chan struct{})
	address := scripted(t, func(c net.Conn, reader *bufio.Reader) {
		defer func() { closed <- struct{}{} }()
		for {
			r, err := http.ReadRequest(reader)
			if err != nil {
				return
			}
			if r.URL.Path == "/slow" {
				close(entered)
				leave.Wait()
			}
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
	})
	g, err := gateway.New(gateway.Options{Open: true, Upstreams: []gateway.Upstream{{URL: mustParse(t, "http://"+address)}}})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t}
	w.address = w.listen(g)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	w.only("GET /fast HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	answered := make(chan answer, 1)
	go func() { answered <- w.only("GET /slow HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") }()
	await(t, entered, "the upstream to get the request")
	stop()
	if err := await(t, done, "Run to return"); err != nil {
		t.Error(err)
	}
	leave.Done()
	if a := await(t, answered, "the answer"); a.status != 200 {
		t.Errorf("%+v", a)
	}
	await(t, closed, "the connection to be closed")
}
