package gateway

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"sync"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
)

const (
	bufferSize        = 32 << 10
	maxResponseHeader = 64 << 10
)

func newTransport(o Options) *http.Transport {
	dial := o.DialTimeout
	if dial == 0 {
		dial = DefaultDialTimeout
	}
	header := o.HeaderTimeout
	if header == 0 {
		header = DefaultHeaderTimeout
	}
	dialer := &net.Dialer{Timeout: dial, KeepAlive: 30 * time.Second}
	return &http.Transport{
		DialContext:            dialer.DialContext,
		TLSHandshakeTimeout:    dial,
		ResponseHeaderTimeout:  header,
		ExpectContinueTimeout:  time.Second,
		IdleConnTimeout:        90 * time.Second,
		MaxIdleConns:           0, // no bound in all; per host below
		MaxIdleConnsPerHost:    512,
		MaxResponseHeaderBytes: maxResponseHeader,
		DisableCompression:     true, // what the client asked for is what the upstream is asked for
		ForceAttemptHTTP2:      true,
		WriteBufferSize:        bufferSize,
		ReadBufferSize:         bufferSize,
	}
}

// bufferPool lends the buffers through which bodies are copied.
type bufferPool struct{ pool sync.Pool }

func newBufferPool() httputil.BufferPool {
	return &bufferPool{pool: sync.Pool{New: func() any { return new([bufferSize]byte) }}}
}

func (p *bufferPool) Get() []byte { return p.pool.Get().(*[bufferSize]byte)[:] }

func (p *bufferPool) Put(buffer []byte) {
	if len(buffer) == bufferSize {
		p.pool.Put((*[bufferSize]byte)(buffer))
	}
}

// quiet takes what ReverseProxy would print: broken connections are normal, and its lines name the upstream.
var quiet = log.New(io.Discard, "", 0)

// fail answers for an upstream that did not. The client learns nothing about where it is (bar 101).
func (g *Gateway) fail(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
		if errors.Is(context.Cause(r.Context()), errStreamEnded) {
			httpauth.WriteVerdict(w, &latchward.Verdict{Reason: latchward.ReasonNotFound})
			return
		}
		panic(http.ErrAbortHandler) // the client left; nobody reads an answer
	}
	if errors.Is(err, errOverride) {
		refuseRequest(w)
		return
	}
	status, text := http.StatusBadGateway, "The service behind this gateway cannot be reached"
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		status, text = http.StatusGatewayTimeout, "The service behind this gateway did not answer in time"
	}
	g.options.Logger.Warn("Upstream failed.", "status", status, "error", err)
	httpauth.WriteProblem(w, &httpauth.Problem{
		Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: text, Error: text, Code: "bad_gateway",
	})
}
