package gateway

import (
	"cmp"
	"crypto/tls"
	"net"
	"net/http"
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

// buffers lends those through which bodies are copied.
type buffers struct{ pool sync.Pool }

func (b *buffers) get() *[bufferSize]byte {
	if buffer, ok := b.pool.Get().(*[bufferSize]byte); ok {
		return buffer
	}
	return new([bufferSize]byte)
}

func (b *buffers) put(buffer *[bufferSize]byte) { b.pool.Put(buffer) }
