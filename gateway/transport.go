package gateway

import (
	"cmp"
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
	"unicode"
)

const (
	bufferSize        = 32 << 10
	maxResponseHeader = 64 << 10 // bytes
	maxIdle           = 512      // connections to one upstream
	idleTimeout       = 90 * time.Second
)

func newDialer(o *Options) *net.Dialer {
	return &net.Dialer{Timeout: cmp.Or(o.DialTimeout, DefaultDialTimeout), KeepAlive: 30 * time.Second}
}

// newLanes returns the lanes to an upstream, or nil when there are none. Names beyond ASCII are left to the transport,
// which knows how to ask for them.
func newLanes(u *url.URL, o *Options) *lanes {
	if u.Scheme != "http" || !canPeek || strings.ContainsFunc(u.Host, func(c rune) bool { return c > unicode.MaxASCII }) {
		return nil
	}
	address := net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "80"))
	return &lanes{address: address, dialer: newDialer(o), timeout: cmp.Or(o.HeaderTimeout, DefaultHeaderTimeout)}
}

func newTransport(o *Options) *http.Transport {
	return &http.Transport{
		DialContext:            newDialer(o).DialContext,
		TLSClientConfig:        &tls.Config{RootCAs: o.RootCAs},
		TLSHandshakeTimeout:    cmp.Or(o.DialTimeout, DefaultDialTimeout),
		ResponseHeaderTimeout:  cmp.Or(o.HeaderTimeout, DefaultHeaderTimeout),
		ExpectContinueTimeout:  time.Second,
		IdleConnTimeout:        idleTimeout,
		MaxIdleConnsPerHost:    maxIdle,
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
