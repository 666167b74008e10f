package server

import (
	"bytes"
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
	transport := inProcess{asLocalAdministrator(k.management(nil, nil, nil))}
	client, err := rest.NewClient(localURL, rest.ClientOptions{HTTPClient: &http.Client{Transport: transport}})
	if err != nil {
		return nil, nil, errors.Join(err, k.close())
	}
	return client, k.close, nil
}

// inProcess is an http.RoundTripper that calls a handler.
type inProcess struct{ handler http.Handler }

// RoundTrip implements http.RoundTripper.
func (t inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	asked := r.Clone(r.Context())
	asked.RequestURI = r.URL.RequestURI()
	if r.Body == nil {
		asked.Body = http.NoBody
	}
	defer asked.Body.Close()
	answer := &bufferedAnswer{header: http.Header{}, status: http.StatusOK}
	t.handler.ServeHTTP(answer, asked)
	return &http.Response{
		Status: http.StatusText(answer.status), StatusCode: answer.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: answer.header, Body: io.NopCloser(&answer.body), ContentLength: int64(answer.body.Len()), Request: r,
	}, nil
}

type bufferedAnswer struct {
	header http.Header
	body   bytes.Buffer
	status int
}

func (a *bufferedAnswer) Header() http.Header                  { return a.header }
func (a *bufferedAnswer) WriteHeader(status int)               { a.status = status }
func (a *bufferedAnswer) Write(data []byte) (n int, err error) { return a.body.Write(data) }
