package strictconn

import (
	"crypto/tls"
	"io"
	"net"
	"sync/atomic"
)

// poison takes the place of the rest of a connection once something ambiguous has come. Wherever it is put in a head or
// in the framing of a body, net/http finds it malformed, answers with 400 after whatever it still has to answer, and
// closes. To write that answer here would be to write into the answer to an earlier request.
const poison = "\x00\n\r\n\r\n"

// preface is how a client starts HTTP/2 without TLS (RFC 9113 §3.4).
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// conn is a connection whose requests are checked while they are read. As with any net.Conn of a server, one goroutine
// reads at a time.
type conn struct {
	net.Conn
	framing framing
	prior   int         // bytes of the preface that have come; -1 when this is not, or may not be, HTTP/2
	refused bool        // the rest of the connection is poison
	poison  string      // what is left of it
	opaque  atomic.Bool // this is no HTTP/1 any more
}

func newConn(inner net.Conn, http2 bool) *conn {
	c := &conn{Conn: inner}
	if !http2 {
		c.prior = -1
	}
	return c
}

// Read reads what may pass. An error of the connection comes after everything that was read before it.
func (c *conn) Read(data []byte) (int, error) {
	if c.refused {
		return c.readPoison(data)
	}
	n, err := c.Conn.Read(data)
	if n <= 0 || c.opaque.Load() {
		return n, err
	}
	passed := c.check(data[:n])
	if passed == n {
		return n, err
	}
	c.refused, c.poison = true, poison
	if passed == 0 && len(data) > 0 {
		return c.readPoison(data)
	}
	return passed, nil
}

func (c *conn) readPoison(data []byte) (int, error) {
	n := copy(data, c.poison)
	if c.poison = c.poison[n:]; n == 0 && len(data) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (c *conn) check(data []byte) int {
	if c.prior < 0 {
		return c.framing.check(data)
	}
	n := 0
	for n < len(data) && data[n] == preface[c.prior] {
		n++
		if c.prior++; c.prior == len(preface) {
			c.opaque.Store(true)
			return len(data)
		}
	}
	if n == len(data) {
		return n
	}
	seen := c.prior
	c.prior = -1
	if c.framing.check([]byte(preface[:seen])) < seen {
		return n
	}
	return n + c.framing.check(data[n:])
}

// hijacked lets everything pass from now on.
func (c *conn) hijacked() { c.opaque.Store(true) }

// CloseWrite closes the sending side, where the connection can: net/http does so to get an answer through before it
// closes under a client that is still sending.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// secureConn is a conn over TLS. net/http takes Request.TLS from ConnectionState.
type secureConn struct {
	*conn
	tls *tls.Conn
}

func (c *secureConn) ConnectionState() tls.ConnectionState { return c.tls.ConnectionState() }
