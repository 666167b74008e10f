package strictconn

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// tlsListener shakes hands before it hands over, because what a connection speaks is known only then: net/http has to
// get HTTP/2 as the *tls.Conn that it is, and HTTP/1 as one that is checked.
type tlsListener struct {
	net.Listener
	config  *tls.Config
	timeout time.Duration // of a handshake
	start   sync.Once
	ready   chan accepted
	ctx     context.Context // done when the listener is closed
	close   context.CancelFunc
}

// accepted is what Accept returns.
type accepted struct {
	conn net.Conn
	err  error
}

func newTLSListener(inner net.Listener, config *tls.Config, timeout time.Duration) *tlsListener {
	l := &tlsListener{Listener: inner, config: config, timeout: timeout, ready: make(chan accepted)}
	l.ctx, l.close = context.WithCancel(context.Background())
	return l
}

// Accept returns the next connection that has shaken hands.
func (l *tlsListener) Accept() (net.Conn, error) {
	l.start.Do(func() { go l.accept() })
	select {
	case a := <-l.ready:
		return a.conn, a.err
	case <-l.ctx.Done():
		return nil, net.ErrClosed
	}
}

// Close also ends handshakes and drops connections that nobody accepted.
func (l *tlsListener) Close() error {
	l.close()
	return l.Listener.Close()
}

// accept takes connections until the listener is closed. Other errors are for Accept to return, and its caller says
// when to go on.
func (l *tlsListener) accept() {
	for {
		inner, err := l.Listener.Accept()
		switch {
		case err == nil:
			go l.shakeHands(inner)
		case errors.Is(err, net.ErrClosed):
			l.close()
			return
		case !l.hand(accepted{err: err}):
			return
		}
	}
}

func (l *tlsListener) shakeHands(inner net.Conn) {
	ctx, cancel := context.WithTimeout(l.ctx, l.timeout)
	defer cancel()
	outer := tls.Server(inner, l.config)
	if err := outer.HandshakeContext(ctx); err != nil {
		explain(err)
		_ = inner.Close()
		return
	}
	var c net.Conn = outer
	if outer.ConnectionState().NegotiatedProtocol != "h2" {
		c = &secureConn{newConn(outer, false), outer}
	}
	if !l.hand(accepted{conn: c}) {
		_ = inner.Close()
	}
}

// hand waits for Accept. False means that the listener was closed.
func (l *tlsListener) hand(a accepted) bool {
	select {
	case l.ready <- a:
		return true
	case <-l.ctx.Done():
		return false
	}
}

// explain answers a client that speaks HTTP where TLS is spoken, as net/http does.
func explain(err error) {
	var header tls.RecordHeaderError
	if !errors.As(err, &header) || header.Conn == nil || !looksLikeHTTP(header.RecordHeader) {
		return
	}
	_ = header.Conn.SetWriteDeadline(time.Now().Add(time.Second))
	_, _ = io.WriteString(header.Conn,
		"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n")
}

func looksLikeHTTP(start [5]byte) bool {
	switch string(start[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "PATCH", "DELET", "OPTIO":
		return true
	}
	return false
}
