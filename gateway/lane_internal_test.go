//go:build unix && !aix

package gateway

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"
	"time"
)

// idleLane gives a lane back that has been idle for so long, and returns the upstream's end of it.
func idleLane(s *lanes, idle time.Duration) net.Conn {
	conn, peer := net.Pipe()
	s.push(&lane{conn: conn, alive: func() bool { return true }})
	if len(s.idle) > 0 {
		s.idle[len(s.idle)-1].since = time.Now().Add(-idle)
	}
	return peer
}

func isClosed(t *testing.T, peer net.Conn) bool {
	t.Helper()
	_ = peer.SetReadDeadline(time.Now().Add(-time.Second))
	_, err := peer.Read(make([]byte, 1))
	return err == io.EOF
}

// Lanes that nobody uses are closed, and those that the upstream has left, and there are never more than so many.
func TestLanesAreSwept(t *testing.T) {
	s := &lanes{}
	old, left, young := idleLane(s, idleTimeout+time.Second), idleLane(s, 0), idleLane(s, 0)
	s.idle[1].alive = func() bool { return false }
	s.sweep()
	if !isClosed(t, old) || !isClosed(t, left) || isClosed(t, young) || len(s.idle) != 1 {
		t.Errorf("after the sweep %d lanes are idle", len(s.idle))
	}
	s.idle[0].since = time.Now().Add(-idleTimeout)
	if _, err := (&lanes{idle: s.idle, dialer: &net.Dialer{}, address: "127.0.0.1:0"}).take(t.Context()); err == nil || !isClosed(t, young) {
		t.Errorf("a lane that is too old is used (%v)", err)
	}
	s = &lanes{}
	for range maxIdle {
		idleLane(s, 0)
	}
	if one := idleLane(s, 0); !isClosed(t, one) || len(s.idle) != maxIdle {
		t.Errorf("%d lanes are kept", len(s.idle))
	}
	s.close()
	if one := idleLane(s, 0); !isClosed(t, one) || len(s.idle) != 0 {
		t.Errorf("%d lanes are kept after the end", len(s.idle))
	}
}

// fakeUpstream answers each request over each connection with text, or hangs up if it is empty, and counts requests.
func fakeUpstream(t *testing.T, text string) (s *lanes, requests *atomic.Int32) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	requests = new(atomic.Int32)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		if text == "" {
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(w, text)
	})}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
	s = newLanes(&url.URL{Scheme: "http", Host: l.Addr().String()}, &Options{})
	t.Cleanup(s.close)
	return s, requests
}

// deserted gives a lane back that looks alive though the upstream has closed it.
func deserted(s *lanes) {
	conn, peer := net.Pipe()
	_ = peer.Close()
	l := &lane{conn: conn, alive: func() bool { return true }, writer: bufio.NewWriter(conn), heard: true}
	l.reader = bufio.NewReader(l)
	s.push(l)
}

// bar 101: a lane that turns out to be closed is replaced by a new one, once, and only where nothing can happen twice.
func TestLaneIsReplaced(t *testing.T) {
	tests := []struct {
		method, text string
		requests     int32 // that reach the upstream
		fails        bool
	}{
		{"GET", "hello", 1, false}, {"HEAD", "hello", 1, false}, {"OPTIONS", "hello", 1, false},
		{"POST", "hello", 0, true}, {"DELETE", "hello", 0, true},
		{"GET", "", 1, true}, // not again and again, when it is the request that the upstream does not survive
	}
	for _, test := range tests {
		s, requests := fakeUpstream(t, test.text)
		for range 3 {
			deserted(s)
		}
		r, err := http.NewRequestWithContext(t.Context(), test.method, "http://"+s.address, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := s.RoundTrip(r)
		if err == nil {
			_, err = io.ReadAll(response.Body)
		}
		if (err != nil) != test.fails || requests.Load() != test.requests {
			t.Errorf("%s: %v, %d requests", test.method, err, requests.Load())
		}
	}
}

// deadlines remembers the last deadline of a connection.
type deadlines struct {
	net.Conn
	last time.Time
}

func (d *deadlines) SetDeadline(at time.Time) error {
	d.last = at
	return d.Conn.SetDeadline(at)
}

// The time for the head of an answer is not the time for its body, which may be a stream that never ends.
func TestBodyHasNoDeadline(t *testing.T) {
	s, _ := fakeUpstream(t, "hello")
	l, err := s.dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	conn := &deadlines{Conn: l.conn}
	l.conn = conn
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.address, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := s.exchange(l, r)
	if err != nil {
		t.Fatal(err)
	}
	if !conn.last.IsZero() {
		t.Errorf("it ends at %s", conn.last)
	}
	_ = response.Body.Close()
}

func TestNewLanes(t *testing.T) {
	for text, want := range map[string]string{
		"http://a": "a:80", "http://a:81/x": "a:81", "http://[::1]": "[::1]:80", "http://[fe80::1%25eth0]:81": "[fe80::1%eth0]:81",
		"https://a": "", "http://b\u00fccher.example": "", // these go through the transport
	} {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if s := newLanes(u, &Options{}); s != nil {
			got = s.address
		}
		if got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}
