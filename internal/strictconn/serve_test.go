package strictconn

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds what must happen at once; it is never what a test waits for.
const patience = 20 * time.Second

// serve serves with Serve and returns the address. The test fails when the server does not stop.
func serve(t *testing.T, server *http.Server) string {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- Serve(server, inner) }()
	t.Cleanup(func() {
		_ = server.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve returned %v", err)
		}
	})
	return inner.Addr().String()
}

// certificate is good for 127.0.0.1 and signs itself.
func certificate(t *testing.T) (*tls.Config, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, pool
}

// exchange sends data over a new connection and returns everything that comes back before the server closes it.
func exchange(t *testing.T, address, data string) string {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return exchangeOver(t, c, data)
}

func exchangeOver(t *testing.T, c net.Conn, data string) string {
	t.Helper()
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, data); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(c)
	if err != nil && len(answer) == 0 {
		t.Fatalf("%q: %v", data, err)
	}
	return string(answer)
}

func counting(count *atomic.Int64) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		count.Add(1)
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			w.WriteHeader(http.StatusTeapot)
		}
	})
}

// bar 93: refused requests get a 400 and the end of the connection, after the answers to the requests before them
func TestServeRefuses(t *testing.T) {
	var count atomic.Int64
	address := serve(t, &http.Server{Handler: counting(&count)})
	const good = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	for _, marked := range refusals {
		before, after, _ := strings.Cut(marked, "|")
		count.Store(0)
		answer := exchange(t, address, good+before+after)
		statuses := statusesOf(t, answer)
		inBody := strings.Contains(before, "\r\n\r\n") // of a chunked request, whose handler finds the body broken
		want := []int{http.StatusOK, http.StatusBadRequest}
		if inBody {
			want[1] = http.StatusTeapot
		}
		if len(statuses) != 2 || statuses[0] != want[0] || statuses[1] != want[1] {
			t.Errorf("%q is answered %v, want %v", before+after, statuses, want)
		}
		if n := count.Load(); n != 1 && !inBody || n != 2 && inBody {
			t.Errorf("%q: the handler saw %d requests", before+after, n)
		}
	}
}

func statusesOf(t *testing.T, answers string) (statuses []int) {
	t.Helper()
	reader := bufio.NewReader(strings.NewReader(answers))
	for {
		if _, err := reader.Peek(1); err != nil {
			return statuses
		}
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatalf("%q: %v", answers, err)
		}
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			t.Fatal(err)
		}
		statuses = append(statuses, response.StatusCode)
	}
}

// Whole requests in all framings, pipelined on one connection, reach the handler.
func TestServePasses(t *testing.T) {
	var count atomic.Int64
	address := serve(t, &http.Server{Handler: counting(&count)})
	all := strings.Repeat(browserRequest+chunkedRequest+"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", 100)
	statuses := statusesOf(t, exchange(t, address, all+"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"))
	if len(statuses) != 301 || count.Load() != 301 {
		t.Errorf("%d requests reached the handler, %d answers the client", count.Load(), len(statuses))
	}
	for _, status := range statuses {
		if status != http.StatusOK {
			t.Fatalf("an answer is %d", status)
		}
	}
}

// What a hijacked connection becomes passes, and ConnState is still told.
func TestServeHijack(t *testing.T) {
	states := make(chan http.ConnState, 10)
	server := &http.Server{
		ConnState: func(_ net.Conn, state http.ConnState) { states <- state },
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			c, buffered, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
			_, _ = io.CopyN(c, buffered, 4)
		}),
	}
	c, err := net.Dial("tcp", serve(t, server))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
	line := make([]byte, len("HTTP/1.1 101 Switching Protocols\r\n\r\n"))
	if _, err := io.ReadFull(c, line); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(c, "\x00\x81\n\r")
	if echo, err := io.ReadAll(c); string(echo) != "\x00\x81\n\r" {
		t.Errorf("echo %q, %v", echo, err)
	}
	for _, want := range []http.ConnState{http.StateNew, http.StateActive, http.StateHijacked} {
		if got := <-states; got != want {
			t.Errorf("state %v, want %v", got, want)
		}
	}
}

// HTTP/2 without TLS is served to clients that know of it, when the server wants that.
func TestServeUnencryptedHTTP2(t *testing.T) {
	for _, wanted := range []bool{true, false} {
		server := &http.Server{Protocols: new(http.Protocols), Handler: protocolOf()}
		server.Protocols.SetHTTP1(true)
		server.Protocols.SetUnencryptedHTTP2(wanted)
		transport := &http.Transport{Protocols: new(http.Protocols)}
		transport.Protocols.SetUnencryptedHTTP2(true)
		got, err := get(transport, "http://"+serve(t, server))
		if wanted && got != "HTTP/2.0" || !wanted && err == nil {
			t.Errorf("wanted %v: %q, %v", wanted, got, err)
		}
	}
}

// protocolOf answers with what it was spoken to in.
func protocolOf() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text := r.Proto
		if r.TLS != nil {
			text += " over TLS, ALPN " + r.TLS.NegotiatedProtocol
		}
		_, _ = io.WriteString(w, text)
	})
}

func get(transport *http.Transport, url string) (string, error) {
	defer transport.CloseIdleConnections()
	client := http.Client{Transport: transport, Timeout: patience}
	response, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

// With TLS, HTTP/2 is spoken with those that can, HTTP/1 is checked with the others, and handlers see Request.TLS.
func TestServeTLS(t *testing.T) {
	config, pool := certificate(t)
	var count atomic.Int64
	mux := http.NewServeMux()
	mux.Handle("/protocol", protocolOf())
	mux.Handle("/", counting(&count))
	address := serve(t, &http.Server{Handler: mux, TLSConfig: config})
	for _, test := range []struct {
		http2 bool
		want  string
	}{{true, "HTTP/2.0 over TLS, ALPN h2"}, {false, "HTTP/1.1 over TLS, ALPN "}} {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: test.http2}
		if got, err := get(transport, "https://"+address+"/protocol"); got != test.want {
			t.Errorf("HTTP/2 %v: %q, %v, want %q", test.http2, got, err, test.want)
		}
	}
	for _, protocol := range []string{"", "http/1.1"} {
		client := &tls.Config{RootCAs: pool}
		if protocol != "" {
			client.NextProtos = []string{protocol}
		}
		c, err := tls.Dial("tcp", address, client)
		if err != nil {
			t.Fatal(err)
		}
		answer := exchangeOver(t, c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
		if !strings.HasPrefix(answer, "HTTP/1.1 400 ") || count.Load() != 0 {
			t.Errorf("ALPN %q: answer %q, %d requests reached the handler", protocol, answer, count.Load())
		}
	}
}

// A client that does not finish its handshake, or speaks something else, is in nobody's way.
func TestServeTLSHandshake(t *testing.T) {
	config, pool := certificate(t)
	address := serve(t, &http.Server{Handler: protocolOf(), TLSConfig: config, ReadHeaderTimeout: 200 * time.Millisecond})
	silent, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	if answer := exchange(t, address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); !strings.HasPrefix(answer, "HTTP/1.0 400 ") {
		t.Errorf("plain HTTP is answered with %q", answer)
	}
	if got, err := get(&http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}, "https://"+address); err != nil {
		t.Errorf("beside a silent client: %q, %v", got, err)
	}
	_ = silent.SetReadDeadline(time.Now().Add(patience))
	if _, err := silent.Read(make([]byte, 1)); err == nil || isTimeout(err) {
		t.Errorf("a client that says nothing is kept: %v", err)
	}
}

func isTimeout(err error) bool {
	var fault net.Error
	return errors.As(err, &fault) && fault.Timeout()
}

// Shutdown waits for requests on checked connections, with and without TLS.
func TestServeShutdown(t *testing.T) {
	config, pool := certificate(t)
	for scheme, config := range map[string]*tls.Config{"http": nil, "https": config} {
		entered, leave := make(chan struct{}), make(chan struct{})
		server := &http.Server{TLSConfig: config, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			close(entered)
			<-leave
			_, _ = io.WriteString(w, "whole")
		})}
		address := serve(t, server)
		answer := make(chan string, 1)
		go func() {
			body, err := get(&http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}, scheme+"://"+address)
			if err != nil {
				body = err.Error()
			}
			answer <- body
		}()
		<-entered
		down := make(chan error, 1)
		go func() { down <- server.Shutdown(context.Background()) }()
		close(leave)
		if err := <-down; err != nil {
			t.Error(err)
		}
		if got := <-answer; got != "whole" {
			t.Errorf("%s: %q", scheme, got)
		}
	}
}

// An error of the listener reaches Serve's caller, with and without TLS.
func TestServeListenerError(t *testing.T) {
	config, _ := certificate(t)
	for _, config := range []*tls.Config{nil, config} {
		broken := errors.New("broken")
		if err := Serve(&http.Server{TLSConfig: config}, brokenListener{broken}); !errors.Is(err, broken) {
			t.Errorf("Serve returned %v", err)
		}
	}
}

type brokenListener struct{ err error }

func (l brokenListener) Accept() (net.Conn, error) { return nil, l.err }
func (l brokenListener) Close() error              { return nil }
func (l brokenListener) Addr() net.Addr            { return &net.TCPAddr{} }

func TestNextProtos(t *testing.T) {
	none, one := new(http.Protocols), new(http.Protocols)
	one.SetHTTP1(true)
	tests := []struct {
		more []string
		p    *http.Protocols
		want string
	}{
		{nil, nil, "h2 http/1.1"},
		{[]string{"http/1.1", "h2", "acme-tls/1"}, nil, "h2 http/1.1 acme-tls/1"},
		{[]string{"h2"}, one, "http/1.1"},
		{nil, none, ""},
	}
	for _, test := range tests {
		if got := strings.Join(nextProtos(test.more, test.p), " "); got != test.want {
			t.Errorf("%v: %q, want %q", test.more, got, test.want)
		}
	}
}

// CloseWrite reaches a connection that has it.
func TestCloseWrite(t *testing.T) {
	client, server := net.Pipe()
	if err := newConn(server, false).CloseWrite(); err != nil { // a pipe cannot
		t.Error(err)
	}
	client.Close()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer inner.Close()
	peer, err := net.Dial("tcp", inner.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	c, err := listener{inner, false}.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.(*conn).CloseWrite(); err != nil {
		t.Error(err)
	}
	if rest, err := io.ReadAll(peer); err != nil || !bytes.Equal(rest, nil) {
		t.Errorf("the peer reads %q, %v", rest, err)
	}
}
