package server

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/rest"
	"github.com/latchward/latchward/sqlite"
)

// localURL stands for the data folder: requests to it never leave the machine.
const localURL = "http://localhost"

// startTimeout is how long a command waits for a server that has opened the database to open its socket, too.
const startTimeout = 3 * time.Second

// OpenLocal returns a client that acts as the local administrator on a data folder: through the socket of the server
// that has it, or else, until close, on the database in this process. There must be a database. The error is of code
// not_found when there is none, and unavailable when another process has it and does not answer.
func OpenLocal(ctx context.Context, c Config) (client *rest.Client, close func() error, err error) {
	if !exists(c.path(databaseFile)) {
		return nil, nil, noDatabase(&c)
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		if client, close, err = openSocket(ctx, &c); err == nil {
			return client, close, nil
		}
		client, close, err = openInProcess(ctx, c)
		if !errors.Is(err, sqlite.ErrLocked) || !pause(ctx) {
			return client, close, err
		}
	}
}

func noDatabase(c *Config) error {
	return latchward.Errorf(latchward.CodeNotFound, "there is no database in the folder %q: name another folder with "+
		"--data, or make a database with latchward serve or latchward migrate up", c.Data)
}

// pause waits for a moment; false means that there is no time left.
func pause(ctx context.Context) bool {
	timer := time.NewTimer(50 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

func openSocket(ctx context.Context, c *Config) (*rest.Client, func() error, error) {
	path := c.path(socketFile)
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}
	probe, err := dial(ctx, "", "")
	if err != nil {
		return nil, nil, err
	}
	_ = probe.Close()
	transport := &http.Transport{DialContext: dial}
	client, err := rest.NewClient(localURL, rest.ClientOptions{HTTPClient: &http.Client{Transport: transport}})
	return client, func() error { transport.CloseIdleConnections(); return nil }, err
}

func openInProcess(ctx context.Context, c Config) (*rest.Client, func() error, error) {
	k, err := openCore(ctx, c)
	if err != nil {
		return nil, nil, err
	}
	own := besideOAuth(k.management(nil, nil, nil), (&protection{core: k}).oauth(c.configuredIssuer()))
	transport := inProcess{asLocalAdministrator(own)}
	client, err := rest.NewClient(localURL, rest.ClientOptions{HTTPClient: &http.Client{Transport: transport}})
	if err != nil {
		return nil, nil, errors.Join(err, k.close())
	}
	return client, k.close, nil
}

// inProcess is an http.RoundTripper that calls a handler. Answers are read as they are written.
type inProcess struct{ handler http.Handler }

// RoundTrip implements http.RoundTripper.
func (t inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	asked := r.Clone(r.Context())
	asked.RequestURI = r.URL.RequestURI()
	if r.Body == nil {
		asked.Body = http.NoBody
	}
	body, writer := io.Pipe()
	answer := &pipedAnswer{header: http.Header{}, sent: make(chan struct{}), body: writer}
	go answer.serve(t.handler, asked)
	<-answer.sent
	return &http.Response{
		Status: http.StatusText(answer.status), StatusCode: answer.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: answer.sentHeader, Body: body, ContentLength: -1, Request: r,
	}, nil
}

// pipedAnswer is an http.ResponseWriter whose body is read at the other end of a pipe.
type pipedAnswer struct {
	header, sentHeader http.Header
	status             int
	sent               chan struct{} // closed once status and sentHeader are there
	body               *io.PipeWriter
}

// serve calls the handler. One that cuts the connection, as handlers do with a panic, leaves the reader with an error.
func (a *pipedAnswer) serve(handler http.Handler, r *http.Request) {
	defer r.Body.Close()
	defer func() {
		cause := recover()
		if cause != nil && cause != http.ErrAbortHandler {
			panic(cause)
		}
		a.WriteHeader(http.StatusOK)
		if cause != nil {
			_ = a.body.CloseWithError(io.ErrUnexpectedEOF)
		}
		_ = a.body.Close()
	}()
	handler.ServeHTTP(a, r)
}

func (a *pipedAnswer) Header() http.Header { return a.header }

func (a *pipedAnswer) WriteHeader(status int) {
	if a.status == 0 {
		a.status, a.sentHeader = status, a.header.Clone()
		close(a.sent)
	}
}

func (a *pipedAnswer) Write(data []byte) (n int, err error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(data)
}
