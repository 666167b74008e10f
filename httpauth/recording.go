package httpauth

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync/atomic"
)

// recording is a ResponseWriter that remembers what passed through it. It offers the optional interfaces handlers ask
// for by type assertion, and Unwrap for those of http.ResponseController.
type recording struct {
	http.ResponseWriter
	ctx     context.Context // of the request
	status  int             // 0 until a final one is sent
	sent    atomic.Int64    // bytes of the body; atomic, because a hijacked connection may be used by many
	request *countedBody
}

var (
	_ http.Flusher    = (*recording)(nil)
	_ http.Hijacker   = (*recording)(nil)
	_ io.ReaderFrom   = (*recording)(nil)
	_ io.StringWriter = (*recording)(nil)
)

// Unwrap serves http.ResponseController.
func (w *recording) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader remembers the first final status: 1xx may come before it, but for 101, which is one.
func (w *recording) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		w.answered(status)
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recording) answered(status int) {
	if w.status != 0 {
		return
	}
	if w.clientLeft() {
		status = statusClientLeft // whatever the handler makes of that
	}
	w.status = status
}

// clientLeft reports whether the client has left. The server ends the context also when reading the body fails because a
// deadline that was set here is over.
func (w *recording) clientLeft() bool {
	return errors.Is(w.ctx.Err(), context.Canceled) && !w.request.late.Load()
}

func (w *recording) Write(data []byte) (int, error) {
	w.answered(http.StatusOK)
	n, err := w.ResponseWriter.Write(data)
	w.sent.Add(int64(n))
	return n, err
}

func (w *recording) WriteString(text string) (int, error) {
	w.answered(http.StatusOK)
	n, err := io.WriteString(w.ResponseWriter, text)
	w.sent.Add(int64(n))
	return n, err
}

// ReadFrom lets the connection copy files without a buffer in between.
func (w *recording) ReadFrom(source io.Reader) (int64, error) {
	w.answered(http.StatusOK)
	n, err := io.Copy(w.ResponseWriter, source)
	w.sent.Add(n)
	return n, err
}

// Flush serves type assertions; FlushError serves http.ResponseController.
func (w *recording) Flush() { _ = w.FlushError() }

func (w *recording) FlushError() error {
	w.answered(http.StatusOK)
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack hands over the connection, and goes on counting what is sent and received over it. What the server had read
// ahead is not counted.
func (w *recording) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	w.answered(http.StatusSwitchingProtocols)
	counted := &countedConn{Conn: conn, sent: &w.sent, received: &w.request.received}
	return counted, bufio.NewReadWriter(buffered.Reader, bufio.NewWriter(counted)), nil
}

// countedConn is a hijacked connection.
type countedConn struct {
	net.Conn
	sent, received *atomic.Int64
}

// NetConn returns the connection itself, as that of tls.Conn does.
func (c *countedConn) NetConn() net.Conn { return c.Conn }

func (c *countedConn) Read(data []byte) (int, error) {
	n, err := c.Conn.Read(data)
	c.received.Add(int64(n))
	return n, err
}

func (c *countedConn) Write(data []byte) (int, error) {
	n, err := c.Conn.Write(data)
	c.sent.Add(int64(n))
	return n, err
}

// countedBody is a request body. When it ends it removes from the trailers what clients may not say (bar 91): they are
// filled in only then.
type countedBody struct {
	io.ReadCloser
	received atomic.Int64
	late     atomic.Bool      // it did not come within its deadline
	trailers [2]*http.Request // as the server knows it, and as the handler does
}

func (b *countedBody) Read(data []byte) (int, error) {
	n, err := b.ReadCloser.Read(data)
	b.received.Add(int64(n))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		b.late.Store(true)
	}
	if err == io.EOF {
		for _, r := range b.trailers {
			StripIdentity(r.Trailer)
		}
	}
	return n, err
}
