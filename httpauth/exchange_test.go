package httpauth_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/latchward/latchward/httpauth"
)

// start starts a real server with handler behind Require.
func start(t *testing.T, handler http.HandlerFunc) (*httptest.Server, *recorder) {
	t.Helper()
	usage := newRecorder()
	require := httpauth.Require(&verifier{verdict: *allowed()}, httpauth.Options{Recorder: usage})
	server := httptest.NewUnstartedServer(require(handler))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Start()
	t.Cleanup(server.Close)
	return server, usage
}

func get(t *testing.T, server *httptest.Server, method, path string, body io.Reader) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer abc")
	response, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

// S2-31: whatever way a handler ends, the request is recorded once with the status that it ended with
func TestEveryEndIsRecorded(t *testing.T) {
	tests := []struct {
		name    string
		handler http.HandlerFunc
		status  int
		sent    int64
	}{
		{"nothing written", func(http.ResponseWriter, *http.Request) {}, 200, 0},
		{"body only", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }, 200, 5},
		{"status only", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, 204, 0},
		{"two statuses", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404); w.WriteHeader(200) }, 404, 0},
		{"informational before", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(103)
			w.WriteHeader(418)
		}, 418, 0},
		{"flushed", func(w http.ResponseWriter, _ *http.Request) {
			w.(http.Flusher).Flush()
			w.WriteHeader(404)
			fmt.Fprint(w, "x")
		}, 200, 1},
		{"flushed by controller", func(w http.ResponseWriter, _ *http.Request) {
			if err := http.NewResponseController(w).Flush(); err != nil {
				panic(err)
			}
			w.WriteHeader(404)
		}, 200, 0},
		{"copied", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.Copy(w, strings.NewReader(strings.Repeat("x", 100_000)))
		}, 200, 100_000},
		{"panic", func(http.ResponseWriter, *http.Request) { panic("secret") }, 500, 0},
		{"panic behind an answer", func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "x")
			panic("secret")
		}, 500, 1},
		{"aborted", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 500, 0},
		{"aborted behind a status", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(200)
			panic(http.ErrAbortHandler)
		}, 200, 0},
		{"aborted behind an answer", func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "x")
			panic(http.ErrAbortHandler)
		}, 200, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			server, usage := start(t, test.handler)
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", "Bearer abc")
			if response, err := server.Client().Do(r); err == nil {
				_, _ = io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
			}
			if e := usage.only(t); e.Status != test.status || e.ResponseBytes != test.sent {
				t.Errorf("recorded status %d and %d bytes", e.Status, e.ResponseBytes)
			}
		})
	}
}

// bar 131: the panic goes on, so that the server's own handling sees it
func TestPanicGoesOn(t *testing.T) {
	failure := errors.New("boom")
	defer func() {
		if got := recover(); got != failure {
			t.Errorf("recovered %v", got)
		}
	}()
	serve(t, &verifier{verdict: *allowed()}, httpauth.Options{Recorder: newRecorder()},
		func(http.ResponseWriter, *http.Request) { panic(failure) }, wire(http.MethodGet, "/"))
	t.Error("the panic was swallowed")
}

// S2-31: a client that leaves before the answer is 499, whatever the handler makes of it
func TestClientLeaves(t *testing.T) {
	for name, after := range map[string]func(http.ResponseWriter){
		"handler returns": func(http.ResponseWriter) {},
		"handler answers": func(w http.ResponseWriter) { http.Error(w, "context canceled", http.StatusInternalServerError) },
		"handler aborts":  func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			arrived := make(chan struct{})
			server, usage := start(t, func(w http.ResponseWriter, r *http.Request) {
				close(arrived)
				<-r.Context().Done()
				after(w)
			})
			ctx, cancel := context.WithCancel(t.Context())
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", "Bearer abc")
			go func() { <-arrived; cancel() }()
			if response, err := server.Client().Do(r); err == nil {
				t.Fatalf("answered %d", response.StatusCode)
			}
			if e := usage.only(t); e.Status != 499 {
				t.Errorf("recorded status %d", e.Status)
			}
		})
	}
}

// A client that leaves in the middle of the answer had its status.
func TestClientLeavesLater(t *testing.T) {
	started := make(chan struct{})
	server, usage := start(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "hello")
		w.(http.Flusher).Flush()
		close(started)
		<-r.Context().Done()
	})
	response := get(t, server, http.MethodGet, "/", nil)
	<-started
	_ = response.Body.Close()
	if e := usage.only(t); e.Status != 200 || e.ResponseBytes != 5 {
		t.Errorf("recorded %+v", e)
	}
}

// S2-30: request sizes are what was read, whatever the client announced
func TestRequestBytes(t *testing.T) {
	server, usage := start(t, func(_ http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			t.Error(err)
		}
	})
	get(t, server, http.MethodPost, "/", io.LimitReader(neverEnding{}, 1<<20)) // chunked
	if e := usage.only(t); e.RequestBytes != 1<<20 {
		t.Errorf("recorded %d bytes", e.RequestBytes)
	}
}

type neverEnding struct{}

func (neverEnding) Read(p []byte) (int, error) { return len(p), nil }

func TestHeadSendsNoBody(t *testing.T) {
	server, usage := start(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") })
	get(t, server, http.MethodHead, "/", nil)
	if e := usage.only(t); e.ResponseBytes != 0 || e.Status != 200 {
		t.Errorf("recorded %+v", e)
	}
}

func TestInformationalAnswersPass(t *testing.T) {
	server, _ := start(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
	})
	hints := 0
	trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, _ textproto.MIMEHeader) error {
		if code == http.StatusEarlyHints {
			hints++
		}
		return nil
	}}
	r, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), http.MethodGet, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer abc")
	response, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if hints != 1 || response.StatusCode != 200 || response.Header.Get("X-RateLimit-Limit") != "100" {
		t.Errorf("%d hints, status %d, %v", hints, response.StatusCode, response.Header)
	}
}

// Protocols that take over the connection work, and what goes over it is counted.
func TestHijack(t *testing.T) {
	server, usage := start(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, buffered, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		if _, ok := conn.(interface{ NetConn() net.Conn }).NetConn().(*net.TCPConn); !ok {
			t.Error("the connection cannot be reached")
		}
		_, _ = buffered.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
		_ = buffered.Flush()
		line := make([]byte, 5)
		_, _ = io.ReadFull(conn, line)
		_, _ = conn.Write(line)
	})
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	request := "GET /ws HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer abc\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	answer := bufio.NewReader(conn)
	head := 0
	for line := ""; line != "\r\n"; head += len(line) {
		if line, err = answer.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := io.WriteString(conn, "hello"); err != nil {
		t.Fatal(err)
	}
	if echo, err := io.ReadAll(answer); string(echo) != "hello" || err != nil {
		t.Fatalf("echo %q, %v", echo, err)
	}
	if e := usage.only(t); e.Status != 101 || e.RequestBytes != 5 || e.ResponseBytes != int64(head)+5 {
		t.Errorf("recorded %+v, the head had %d bytes", e, head)
	}
}

// http.ResponseController reaches everything of the real writer.
func TestResponseController(t *testing.T) {
	server, _ := start(t, func(w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		for name, err := range map[string]error{
			"SetReadDeadline":  c.SetReadDeadline(time.Now().Add(time.Hour)),
			"SetWriteDeadline": c.SetWriteDeadline(time.Now().Add(time.Hour)),
			"EnableFullDuplex": c.EnableFullDuplex(),
			"Flush":            c.Flush(),
		} {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
	get(t, server, http.MethodGet, "/", nil)
}

// What the writer below cannot do fails as it should.
func TestWriterWithoutExtras(t *testing.T) {
	handler := func(w http.ResponseWriter, _ *http.Request) {
		if _, _, err := w.(http.Hijacker).Hijack(); !errors.Is(err, http.ErrNotSupported) {
			t.Errorf("Hijack: %v", err)
		}
		if err := http.NewResponseController(w).Flush(); !errors.Is(err, http.ErrNotSupported) {
			t.Errorf("Flush: %v", err)
		}
		if n, err := w.(io.ReaderFrom).ReadFrom(strings.NewReader("hello")); n != 5 || err != nil {
			t.Errorf("ReadFrom: %d, %v", n, err)
		}
		if n, err := io.WriteString(w, "!"); n != 1 || err != nil {
			t.Errorf("WriteString: %d, %v", n, err)
		}
	}
	w, usage := &plainWriter{header: http.Header{}}, newRecorder()
	require := httpauth.Require(&verifier{verdict: *allowed()}, httpauth.Options{Recorder: usage})
	require(http.HandlerFunc(handler)).ServeHTTP(w, wire(http.MethodGet, "/"))
	if e := usage.only(t); w.body.String() != "hello!" || e.ResponseBytes != 6 {
		t.Errorf("body %q, recorded %+v", w.body.String(), e)
	}
}

type plainWriter struct {
	header http.Header
	body   strings.Builder
}

func (w *plainWriter) Header() http.Header            { return w.header }
func (w *plainWriter) WriteHeader(int)                {}
func (w *plainWriter) Write(data []byte) (int, error) { return w.body.Write(data) }

// Files are still handed to the connection whole, which can copy them without us.
func TestFilesReachTheConnection(t *testing.T) {
	w, usage := &fileWriter{plainWriter: plainWriter{header: http.Header{}}}, newRecorder()
	require := httpauth.Require(&verifier{verdict: *allowed()}, httpauth.Options{Recorder: usage})
	require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, "doc.go")
	})).ServeHTTP(w, wire(http.MethodGet, "/"))
	if e := usage.only(t); w.files != 1 || e.ResponseBytes != int64(w.body.Len()) || w.body.Len() == 0 {
		t.Errorf("%d files, %d bytes, recorded %+v", w.files, w.body.Len(), e)
	}
}

type fileWriter struct {
	plainWriter
	files int
}

func (w *fileWriter) ReadFrom(r io.Reader) (int64, error) {
	if limited, ok := r.(*io.LimitedReader); ok {
		if _, ok := limited.R.(*os.File); ok {
			w.files++
		}
	}
	return io.Copy(&w.body, r)
}
