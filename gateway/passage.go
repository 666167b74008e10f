package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"sync"
	"sync/atomic"
	"time"

	"github.com/latchward/latchward"
)

// passage is one request on its way to an upstream and back: everything that has to be remembered of it in one
// allocation.
type passage struct {
	w       http.ResponseWriter
	in      *http.Request // as it was judged; never changed, because it may be judged again
	verdict latchward.Verdict
	ctx     context.Context // of the request that is sent
	cancel  context.CancelCauseFunc
	body    clientBody
	trace   httptrace.ClientTrace

	webSocket bool // was asked for

	mu       sync.Mutex
	interims int  // interim answers that have come
	final    bool // no more of them are passed on
}

// newPassage returns the passage of a request that is let in. The caller must call end.
func newPassage(w http.ResponseWriter, r *http.Request, v latchward.Verdict) *passage {
	p := &passage{w: w, in: r, verdict: v}
	p.body.ReadCloser = r.Body
	p.trace.Got1xxResponse = p.interim
	ctx, cancel := context.WithCancelCause(r.Context())
	p.ctx, p.cancel = httptrace.WithClientTrace(ctx, &p.trace), cancel
	return p
}

// end lets go of whatever is still under way.
func (p *passage) end() {
	p.body.ended.Store(true)
	p.cancel(nil)
}

// maxInterims bounds how many interim answers an upstream may make a client read (bar 100).
const maxInterims = 10

var errInterims = errors.New("it sends one interim answer after the other")

// interim passes an interim answer (103 and the like) on (RFC 9110 §15.2). What was set for the final answer waits
// meanwhile. The transport calls it, from wherever it reads.
func (p *passage) interim(status int, from textproto.MIMEHeader) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.interims++; p.interims > maxInterims {
		return errInterims
	}
	if p.final || !p.in.ProtoAtLeast(1, 1) {
		return nil
	}
	h := p.w.Header()
	own := maps.Clone(h)
	passHeader(h, http.Header(from))
	for name := range own {
		delete(h, name)
	}
	p.w.WriteHeader(status)
	clear(h)
	maps.Copy(h, own)
	return nil
}

// closeInterim makes the header the final answer's.
func (p *passage) closeInterim() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.final = true
}

// clientBody is the body of a request as the upstream gets it. Reading it tells who is to blame when that fails. Closing
// it does nothing: the server closes the body itself, and a transport that closed it while the client is still asked to
// go on would wait for it.
type clientBody struct {
	io.ReadCloser
	form   form        // looks for method overrides; nil = it is not looked into
	broken atomic.Bool // it could not be read, or must not be
	ended  atomic.Bool // the handler has returned, and must not be outlived by a read
}

var (
	errOverride = errors.New("the form asks for another method than the one that was judged")
	errEnded    = errors.New("the request has ended")
)

func (b *clientBody) Read(data []byte) (int, error) {
	if b.ended.Load() {
		return 0, errEnded
	}
	n, err := b.ReadCloser.Read(data)
	if b.form != nil && !b.form.passes(data[:n]) {
		n, err = 0, errOverride
	}
	if err != nil && err != io.EOF {
		b.broken.Store(true)
	}
	return n, err
}

func (b *clientBody) Close() error { return nil }

// isBrief reports whether a body is short and as good as here: read whole before it is sent, it goes over a lane. A
// client that wants to be asked for its body is to be asked by the upstream.
func isBrief(r *http.Request) bool {
	return r.ContentLength > 0 && r.ContentLength <= bufferSize && len(r.Header["Expect"]) == 0
}

// readBody fills data with the body. The end of the request ends the reading, too, wherever the server lets a deadline be
// set (bar 53).
func (p *passage) readBody(data []byte) error {
	interrupted := make(chan struct{})
	stop := context.AfterFunc(p.ctx, func() {
		defer close(interrupted)
		_ = http.NewResponseController(p.w).SetReadDeadline(time.Unix(1, 0))
	})
	_, err := io.ReadFull(&p.body, data)
	if !stop() {
		<-interrupted // or the deadline could hit the next request of the connection
	}
	if err != nil {
		p.body.broken.Store(true) // an end that comes early, too
		return fmt.Errorf("reading the body: %w", err)
	}
	return nil
}
