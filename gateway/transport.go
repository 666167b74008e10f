package gateway

import (
	"cmp"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httputil"
	"sync"
	"time"
)

const (
	bufferSize        = 32 << 10
	maxResponseHeader = 64 << 10
)

func newTransport(o *Options) *http.Transport {
	dial := cmp.Or(o.DialTimeout, DefaultDialTimeout)
	dialer := &net.Dialer{Timeout: dial, KeepAlive: 30 * time.Second}
	return &http.Transport{
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{RootCAs: o.RootCAs},
		TLSHandshakeTimeout:    dial,
		ResponseHeaderTimeout:  cmp.Or(o.HeaderTimeout, DefaultHeaderTimeout),
		ExpectContinueTimeout:  time.Second,
		IdleConnTimeout:        90 * time.Second,
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
