// Package strictconn keeps from an http.Server every HTTP/1 request that two parsers could read differently. What one
// server takes for one request and the next for two is how a request is smuggled past the one that judges (RFC 9112
// §11.2); net/http reads some such requests as generously as RFC 9112 allows.
//
// It refuses, on every request of a connection, before net/http has seen its end:
//
//   - lines that end in a bare LF, a CR anywhere else, control characters in values, white space before a colon, folded
//     lines, and requests lines that are not method SP target SP HTTP/1.0 or HTTP/1.1;
//   - Content-Length more than once, or not plain decimal digits;
//   - Transfer-Encoding more than once, other than exactly "chunked", in HTTP/1.0, or together with Content-Length;
//   - chunk sizes that are not one to eight hexadecimal digits, chunk extensions over 256 bytes, and chunks that are not
//     ended by CRLF.
//
// Such a request is answered with 400, after the requests before it, and the connection is closed. Everything else
// passes byte for byte; limits of size, Host and the rest of HTTP stay with net/http. HTTP/2 is not looked at, and
// neither is what a hijacked connection becomes.
package strictconn

import (
	"net"
	"net/http"
	"slices"
	"time"
)

// Serve is server.Serve, or server.ServeTLS when server.TLSConfig is set, for connections that are checked. It sets
// server's ConnState (and calls the one that was set) and, with TLS, TLSConfig.NextProtos as server.Protocols says.
// Like them it closes l, and returns http.ErrServerClosed after Shutdown or Close. Call it once for each server.
func Serve(server *http.Server, l net.Listener) error {
	before := server.ConnState
	server.ConnState = func(c net.Conn, state http.ConnState) {
		if checked, ok := c.(interface{ hijacked() }); ok && state == http.StateHijacked {
			checked.hijacked()
		}
		if before != nil {
			before(c, state)
		}
	}
	if server.TLSConfig == nil {
		return server.Serve(listener{l, server.Protocols != nil && server.Protocols.UnencryptedHTTP2()})
	}
	config := server.TLSConfig.Clone()
	config.NextProtos = nextProtos(config.NextProtos, server.Protocols)
	server.TLSConfig = config
	return server.Serve(newTLSListener(l, config, handshakeTimeout(server)))
}

// listener is a listener without TLS.
type listener struct {
	net.Listener
	http2 bool // prior knowledge of HTTP/2 is served
}

func (l listener) Accept() (net.Conn, error) {
	inner, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return newConn(inner, l.http2), nil
}

// nextProtos returns the names for ALPN, best first, with those that somebody else has use for at the end.
func nextProtos(more []string, p *http.Protocols) []string {
	var names []string
	if p == nil || p.HTTP2() {
		names = append(names, "h2")
	}
	if p == nil || p.HTTP1() {
		names = append(names, "http/1.1")
	}
	for _, name := range more {
		if name != "h2" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

const defaultHandshakeTimeout = 10 * time.Second

func handshakeTimeout(server *http.Server) time.Duration {
	if server.ReadHeaderTimeout > 0 {
		return server.ReadHeaderTimeout
	}
	return defaultHandshakeTimeout
}
