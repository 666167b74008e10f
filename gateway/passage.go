package gateway

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"sync/atomic"

	"github.com/latchward/latchward"
)

// passage is one request on its way to an upstream and back, and the ResponseWriter that ReverseProxy gets. Everything
// that has to be remembered of it is in one allocation.
type passage struct {
	http.ResponseWriter
	request *http.Request // as it was judged, and as ReverseProxy gets it
	verdict latchward.Verdict
	cancel  context.CancelCauseFunc
	body    clientBody

	answered bool           // the final answer has come, or there will be none
	interim  http.Header    // of an interim answer that is coming
	interims int            // that have come
	response *http.Response // the final answer; nil when there is none
}

type passageKey struct{}

// newPassage returns the passage of a request that is let in. The caller must call cancel in the end.
func newPassage(w http.ResponseWriter, r *http.Request, v latchward.Verdict) *passage {
	p := &passage{ResponseWriter: w, verdict: v}
	ctx, cancel := context.WithCancelCause(r.Context())
	p.cancel = cancel
	p.request = r.WithContext(context.WithValue(ctx, passageKey{}, p))
	if r.Body != nil && r.Body != http.NoBody {
		p.body.ReadCloser = r.Body
		p.request.Body = &p.body
	}
	return p
}

func passageFrom(ctx context.Context) *passage { return ctx.Value(passageKey{}).(*passage) }

// Unwrap serves http.ResponseController.
func (p *passage) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// Header returns the header of the answer that is coming. Interim ones (103 and the like) have their own: ReverseProxy
// clears theirs after each, and what was set for the final one must survive that.
func (p *passage) Header() http.Header {
	if p.answered {
		return p.ResponseWriter.Header()
	}
	if p.interim == nil {
		p.interim = http.Header{}
	}
	return p.interim
}

// WriteHeader sends the head of an answer.
func (p *passage) WriteHeader(status int) {
	if p.answered {
		p.ResponseWriter.WriteHeader(status)
		return
	}
	p.writeInterim(status)
}

// maxInterims bounds how many interim answers an upstream may make its clients read (bar 100).
const maxInterims = 10

var errInterims = errors.New("the upstream sends one interim answer after the other")

// writeInterim passes an interim answer on (RFC 9110 §15.2).
func (p *passage) writeInterim(status int) {
	if p.interims++; p.interims > maxInterims {
		p.cancel(errInterims)
		return
	}
	if !p.request.ProtoAtLeast(1, 1) {
		return
	}
	header := p.ResponseWriter.Header()
	final := maps.Clone(header)
	p.cleanAnswer(p.interim)
	clear(header)
	maps.Copy(header, p.interim)
	p.ResponseWriter.WriteHeader(status)
	clear(header)
	maps.Copy(header, final)
}

// clientBody is the body of a request as the upstream gets it. Reading it tells who is to blame when that fails.
type clientBody struct {
	io.ReadCloser
	form   form        // looks for method overrides; nil = it is not looked into
	broken atomic.Bool // it could not be read, or must not be
}

var errOverride = errors.New("the form asks for another method than the one that was judged")

func (b *clientBody) Read(data []byte) (int, error) {
	n, err := b.ReadCloser.Read(data)
	if b.form != nil && !b.form.passes(data[:n]) {
		n, err = 0, errOverride
	}
	if err != nil && err != io.EOF {
		b.broken.Store(true)
	}
	return n, err
}
