package gateway_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/latchward/latchward"
)

// S1-17: a multipart upload of 50 MB streams through in bounded memory, and its size is recorded
func TestUpload(t *testing.T) {
	const size = 50 << 20
	var peak atomic.Uint64
	w := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		part, err := r.MultipartReader()
		if err != nil {
			t.Error(err)
			return
		}
		video, err := part.NextPart()
		if err != nil {
			t.Error(err)
			return
		}
		digest, buffer := sha256.New(), make([]byte, 1<<20)
		for {
			n, err := video.Read(buffer)
			digest.Write(buffer[:n])
			if peak.Load() == 0 && n > 0 {
				peak.Store(heap())
			}
			if err != nil {
				break
			}
		}
		peak.Store(max(peak.Load(), heap()))
		fmt.Fprintf(w, "%x", digest.Sum(nil))
	}))
	const head = "--B\r\nContent-Disposition: form-data; name=\"video\"; filename=\"v.mp4\"\r\n\r\n"
	const foot = "\r\n--B--\r\n"
	token := w.issue(latchward.NewToken{AllowedEndpoints: []string{"POST /videos"}}) // so that the form is looked into
	for _, framing := range []string{"Content-Length", "chunked"} {
		before := heap()
		request, err := http.NewRequest("POST", "http://"+w.address+"/api/videos",
			io.MultiReader(strings.NewReader(head), io.LimitReader(&pattern{}, size), strings.NewReader(foot)))
		if err != nil {
			t.Fatal(err)
		}
		if framing == "Content-Length" {
			request.ContentLength = int64(len(head) + size + len(foot))
		}
		request.Header.Set("Content-Type", "multipart/form-data; boundary=B")
		request.Header.Set("Authorization", "Bearer "+token)
		status, body := do(t, request)
		want := sha256.New()
		_, _ = io.CopyN(want, &pattern{}, size)
		if status != 200 || body != hex.EncodeToString(want.Sum(nil)) {
			t.Errorf("%s: %d %q", framing, status, body)
		}
		e := w.event()
		if e.RequestBytes != int64(len(head)+size+len(foot)) || e.ResponseBytes != 64 || e.Status != 200 {
			t.Errorf("%s is recorded as %+v", framing, e)
		}
		if grown := int64(peak.Load()) - int64(before); grown > 16<<20 {
			t.Errorf("%s: the heap grew by %d bytes", framing, grown)
		}
		peak.Store(0)
	}
}

// heap returns the bytes that are reachable.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// pattern is an endless text that no lost or doubled piece leaves as it was.
type pattern struct{ at int }

var patternText = func() []byte {
	text := make([]byte, 65_537) // a prime: no buffer holds it a whole number of times
	_, _ = rand.NewChaCha8([32]byte{17}).Read(text)
	return text
}()

func (p *pattern) Read(data []byte) (int, error) {
	n := copy(data, patternText[p.at:])
	p.at = (p.at + n) % len(patternText)
	return n, nil
}

// do sends a request with a client of its own.
func do(t *testing.T, r *http.Request) (status int, body string) {
	t.Helper()
	transport := &http.Transport{DisableCompression: true}
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// S1-17: an upload is refused before its body is asked for, and before it is read
func TestUploadIsRefusedEarly(t *testing.T) {
	w := start(t, nil)
	bad := strings.Replace(w.token, "_", "_x", 1)
	for _, expect := range []string{"", "Expect: 100-continue\r\n"} {
		c, reader := w.dial()
		send(t, c, strings.Replace(w.requestAs(bad, "POST", "/api/videos", "Content-Length: 52428800"), "\r\n\r\n", "\r\n"+expect+"\r\n", 1))
		response, err := http.ReadResponse(reader, nil) // before a byte of the body was sent
		if err != nil || response.StatusCode != 401 {
			t.Fatalf("%q: %v, %v", expect, response, err)
		}
		_ = c.Close()
	}
	if n := len(w.upstream.take()); n != 0 {
		t.Errorf("the upstream saw %d requests", n)
	}
}

// With Expect: 100-continue the body is asked for once the upstream reads it.
func TestExpectContinue(t *testing.T) {
	w := start(t, nil)
	c, reader := w.dial()
	send(t, c, w.request("POST", "/api/a", "Content-Length: 5", "Expect: 100-continue"))
	response, err := http.ReadResponse(reader, nil)
	if err != nil || response.StatusCode != 100 {
		t.Fatalf("%v, %v", response, err)
	}
	send(t, c, "hello")
	if response, err = http.ReadResponse(reader, nil); err != nil || response.StatusCode != 200 {
		t.Fatalf("%v, %v", response, err)
	}
	_ = response.Body.Close()
	if got := w.upstream.one(t); got.body != "hello" || got.header.Get("Expect") != "100-continue" {
		t.Errorf("the upstream saw %+v", got)
	}
}

// A download of unknown length streams, and its size is recorded.
func TestDownload(t *testing.T) {
	const size = 20 << 20
	w := start(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.CopyN(w, &pattern{}, size) }))
	response := w.get("/api/a")
	digest, want := sha256.New(), sha256.New()
	_, _ = io.Copy(digest, response.Body)
	_, _ = io.CopyN(want, &pattern{}, size)
	if !bytes.Equal(digest.Sum(nil), want.Sum(nil)) {
		t.Error("the download is not what was sent")
	}
	if e := w.event(); e.ResponseBytes != size || e.RequestBytes != 0 {
		t.Errorf("it is recorded as %+v", e)
	}
}
