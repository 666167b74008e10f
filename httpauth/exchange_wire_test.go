package httpauth_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
)

// bar 91: trailers say nothing about who is asking either, announced or not
func TestTrailersAreStripped(t *testing.T) {
	for _, announced := range []string{"X-Latchward-Subject, X-Checksum", "X-Checksum", ""} {
		t.Run(announced, func(t *testing.T) {
			server, usage := start(t, func(w http.ResponseWriter, r *http.Request) {
				for name := range r.Trailer {
					if httpauth.Managed(name) {
						t.Errorf("%s is announced", name)
					}
				}
				_, _ = io.Copy(io.Discard, r.Body)
				for name, values := range r.Trailer {
					if httpauth.Managed(name) {
						t.Errorf("trailer %s: %q", name, values)
					}
				}
				if strings.Contains(announced, "X-Checksum") && r.Trailer.Get("X-Checksum") != "1" {
					t.Errorf("trailers %v", r.Trailer)
				}
			})
			conn, err := net.Dial("tcp", server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			header := "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer abc\r\n" +
				"Transfer-Encoding: chunked\r\n"
			if announced != "" {
				header += "Trailer: " + announced + "\r\n"
			}
			body := "5\r\nhello\r\n0\r\nX-Latchward-Subject: user:1\r\nX_Latchward_Owner: user:1\r\nX-Checksum: 1\r\n\r\n"
			if _, err := io.WriteString(conn, header+"\r\n"+body); err != nil {
				t.Fatal(err)
			}
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil || response.StatusCode != 200 {
				t.Fatalf("%v, %v", response, err)
			}
			_ = response.Body.Close()
			if e := usage.only(t); e.RequestBytes != 5 {
				t.Errorf("recorded %d bytes", e.RequestBytes)
			}
		})
	}
}

// S1-17: 50 MB with a bad token are refused before they are sent
func TestRefusedUploadIsNotRead(t *testing.T) {
	refuse := &verifier{verdict: latchward.Verdict{Reason: latchward.ReasonNotFound}}
	server := httptest.NewServer(httpauth.Require(refuse, httpauth.Options{})(forbidden(t)))
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	head := "POST / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer abc\r\n" +
		"Content-Length: 52428800\r\nExpect: 100-continue\r\n\r\n"
	if _, err := io.WriteString(conn, head); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || response.StatusCode != 401 {
		t.Fatalf("%v, %v", response, err)
	}
	_ = response.Body.Close()
}

// The same over HTTP/2: streams are flushed, trailers stripped, and each request recorded once.
func TestRequireOverHTTP2(t *testing.T) {
	usage := newRecorder()
	require := httpauth.Require(&verifier{verdict: *allowed()}, httpauth.Options{Recorder: usage})
	server := httptest.NewUnstartedServer(require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, _, err := w.(http.Hijacker).Hijack(); !errors.Is(err, http.ErrNotSupported) {
			t.Errorf("Hijack: %v", err)
		}
		fmt.Fprint(w, "first")
		w.(http.Flusher).Flush()
		_, _ = io.Copy(io.Discard, r.Body)
		if r.ProtoMajor != 2 || len(r.Trailer) != 1 || r.Trailer.Get("X-Checksum") != "1" {
			t.Errorf("%s, trailers %v", r.Proto, r.Trailer)
		}
		fmt.Fprint(w, " second")
	})))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()

	upload, body := io.Pipe()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/stream", upload)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer abc")
	r.Trailer = http.Header{"X-Checksum": {"1"}, "X-Latchward-Subject": {"user:1"}}
	response, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	first := make([]byte, 5)
	if _, err := io.ReadFull(response.Body, first); string(first) != "first" || err != nil {
		t.Fatalf("%q, %v", first, err)
	}
	if _, err := io.WriteString(body, "hello"); err != nil { // what was flushed came before the upload ended
		t.Fatal(err)
	}
	_ = body.Close()
	if rest, err := io.ReadAll(response.Body); string(rest) != " second" || err != nil {
		t.Fatalf("%q, %v", rest, err)
	}
	if e := usage.only(t); e.RequestBytes != 5 || e.ResponseBytes != 12 || e.Status != 200 || e.Endpoint != "/stream" {
		t.Errorf("recorded %+v", e)
	}
}
