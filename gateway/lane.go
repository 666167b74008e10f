package gateway

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"sync"
	"time"
)

// lanes send requests without a body, or with one that is short and has come, to an upstream that speaks plain HTTP/1.1.
// They do what http.Transport does, but in the goroutine of the request: handing over to those of a transport and back is
// a fifth of what a proxied request costs (see BenchmarkGateway). Everything else goes through the transport.
type lanes struct {
	address string // host and port
	dialer  *net.Dialer
	timeout time.Duration // for the head of an answer

	mu     sync.Mutex
	idle   []*lane // what was used last comes last
	closed bool    // keeps none
}

// lane is a connection. Whoever has taken it from lanes has it alone.
type lane struct {
	conn   net.Conn
	alive  func() bool // nothing has come, not even its end
	reader *bufio.Reader
	writer *bufio.Writer
	used   bool      // has had an answer before
	since  time.Time // when it became idle
	head   int64     // bytes that may still be read before the head of the answer has ended
	heard  bool      // a byte of the answer has come
}

var errHead = errors.New("the head of the upstream's answer is too long")

// RoundTrip implements http.RoundTripper. A lane that the upstream has closed instead of answering is replaced by a new
// one, once, if the request may be sent twice.
func (s *lanes) RoundTrip(r *http.Request) (*http.Response, error) {
	l, err := s.take(r.Context())
	if err != nil {
		return nil, err
	}
	response, err := s.exchange(l, r)
	if err == nil || !l.stale(err) || !repeatable(r) || r.Context().Err() != nil {
		return response, err
	}
	if l, err = s.dial(r.Context()); err != nil {
		return nil, err
	}
	return s.exchange(l, r)
}

// repeatable reports whether a request changes nothing (RFC 9110 §9.2.1) and has no body, which is read by then, so that
// it may be sent again.
func repeatable(r *http.Request) bool {
	return r.Body == nil && (r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions)
}

// stale reports whether an exchange may have failed only because the upstream had closed the lane while it was idle.
func (l *lane) stale(err error) bool { return l.used && !l.heard && !isTimeout(err) }

func isTimeout(err error) bool {
	var fault net.Error
	return errors.As(err, &fault) && fault.Timeout()
}

// take returns an idle lane, or a new one.
func (s *lanes) take(ctx context.Context) (*lane, error) {
	for l := s.pop(); l != nil; l = s.pop() {
		if l.fit() {
			return l, nil
		}
		_ = l.conn.Close()
	}
	return s.dial(ctx)
}

// fit reports whether an idle lane may be used again.
func (l *lane) fit() bool { return time.Since(l.since) < idleTimeout && l.alive() }

func (s *lanes) dial(ctx context.Context) (*lane, error) {
	conn, err := s.dialer.DialContext(ctx, "tcp", s.address)
	if err != nil {
		return nil, err
	}
	l := &lane{conn: conn, writer: bufio.NewWriter(conn), alive: aliveFunc(conn)}
	l.reader = bufio.NewReaderSize(l, bufferSize)
	return l, nil
}

func (s *lanes) pop() *lane {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := len(s.idle) - 1
	if last < 0 {
		return nil
	}
	l := s.idle[last]
	s.idle = slices.Delete(s.idle, last, last+1)
	return l
}

// push gives a lane back that has had its answer.
func (s *lanes) push(l *lane) {
	l.used, l.since = true, time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.idle) >= maxIdle {
		_ = l.conn.Close()
		return
	}
	s.idle = append(s.idle, l)
}

// sweep closes lanes that nobody has used for long, and those that the upstream has closed.
func (s *lanes) sweep() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.idle = slices.DeleteFunc(s.idle, func(l *lane) bool {
		if l.fit() {
			return false
		}
		_ = l.conn.Close()
		return true
	})
}

// close closes what is idle, and from now on what becomes idle.
func (s *lanes) close() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, l := range s.idle {
		_ = l.conn.Close()
	}
	s.idle = nil
}

// exchange sends a request and reads the head of the answer. From then on the answer's body has the lane; after an error
// it is closed.
func (s *lanes) exchange(l *lane, r *http.Request) (*http.Response, error) {
	stop := context.AfterFunc(r.Context(), func() { _ = l.conn.Close() })
	response, err := s.ask(l, r)
	if err != nil {
		stop()
		_ = l.conn.Close()
		return nil, err
	}
	// The framing of HTTP/1.0 is not trusted to tell where an answer ends, whatever it says about keeping alive.
	last := response.Close || !response.ProtoAtLeast(1, 1)
	response.Body = &laneBody{ReadCloser: response.Body, lane: l, lanes: s, stop: stop, last: last}
	return response, nil
}

func (s *lanes) ask(l *lane, r *http.Request) (*http.Response, error) {
	l.heard = false
	if err := l.conn.SetDeadline(time.Now().Add(s.timeout)); err != nil {
		return nil, err
	}
	if err := errors.Join(r.Write(l.writer), l.writer.Flush()); err != nil {
		return nil, fmt.Errorf("sending the request: %w", err)
	}
	response, err := l.listen(r)
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	return response, l.conn.SetDeadline(time.Time{})
}

// listen reads heads until one is final.
func (l *lane) listen(r *http.Request) (*http.Response, error) {
	for {
		l.head = maxResponseHeader
		response, err := http.ReadResponse(l.reader, r)
		if err != nil {
			return nil, err
		}
		switch {
		case response.StatusCode == http.StatusSwitchingProtocols:
			return nil, errSwitch
		case response.StatusCode/100 != 1:
			l.head = math.MaxInt64
			return response, nil
		}
		if err := tellInterim(r.Context(), response); err != nil {
			return nil, err
		}
	}
}

// tellInterim tells whoever has asked to be told, as http.Transport does.
func tellInterim(ctx context.Context, response *http.Response) error {
	trace := httptrace.ContextClientTrace(ctx)
	if trace == nil || trace.Got1xxResponse == nil {
		return nil
	}
	return trace.Got1xxResponse(response.StatusCode, textproto.MIMEHeader(response.Header))
}

// Read is what the reader reads from.
func (l *lane) Read(data []byte) (int, error) {
	if l.head <= 0 {
		return 0, errHead
	}
	n, err := l.conn.Read(data[:min(int64(len(data)), l.head)])
	l.head -= int64(n)
	l.heard = l.heard || n > 0
	return n, err
}

// laneBody is the body of an answer. At its end the lane is free for another request, if the upstream keeps it open and
// has sent nothing that nobody asked for.
type laneBody struct {
	io.ReadCloser
	lane  *lane // nil once it was let go
	lanes *lanes
	stop  func() bool // keeps the end of the request from closing the lane; false = too late
	last  bool        // the upstream closes the lane after this
}

func (b *laneBody) Read(data []byte) (int, error) {
	n, err := b.ReadCloser.Read(data)
	if err == io.EOF && b.lane != nil && b.reusable() {
		b.lanes.push(b.lane)
		b.lane = nil
	}
	return n, err
}

func (b *laneBody) reusable() bool {
	return !b.last && b.lane.reader.Buffered() == 0 && b.stop()
}

// Close closes the lane unless it was given back.
func (b *laneBody) Close() error {
	if b.lane == nil {
		return nil
	}
	b.stop()
	return b.lane.conn.Close()
}
