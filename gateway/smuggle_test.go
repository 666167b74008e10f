package gateway_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"

	"github.com/latchward/latchward/latchtest"
)

// smuggled is what the one who smuggles wants the upstream to serve.
const smuggled = "GET /api/smuggled HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer TOKEN\r\n\r\n"

// smuggling are connections that two parsers could read differently: the lines of a request's header that are not the
// usual ones, and what comes after it.
var smuggling = []struct{ name, lines, rest string }{
	{"CL and TE", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n" + smuggled},
	{"TE and CL", "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", "5c\r\n" + smuggled + "\r\n0\r\n\r\n"},
	{"xchunked", "Transfer-Encoding: xchunked\r\n", "0\r\n\r\n" + smuggled},
	{"chunked, identity", "Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n" + smuggled},
	{"identity", "Transfer-Encoding: identity\r\n", smuggled},
	{"Chunked", "Transfer-Encoding: Chunked\r\n", "0\r\n\r\n" + smuggled},
	{"chunked twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n" + smuggled},
	{"chunked and nonsense", "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n", "0\r\n\r\n" + smuggled},
	{"space before the colon", "Transfer-Encoding : chunked\r\n", "0\r\n\r\n" + smuggled},
	{"tab before the colon", "Transfer-Encoding\t: chunked\r\n", "0\r\n\r\n" + smuggled},
	{"vertical tab", "Transfer-Encoding: \x0bchunked\r\n", "0\r\n\r\n" + smuggled},
	{"folded TE", "Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n" + smuggled},
	{"two lengths", "Content-Length: 0\r\nContent-Length: 100\r\n", smuggled},
	{"two equal lengths", "Content-Length: 0\r\nContent-Length: 0\r\n", smuggled},
	{"a list of lengths", "Content-Length: 0, 0\r\n", smuggled},
	{"+0", "Content-Length: +0\r\n", smuggled},
	{"-1", "Content-Length: -1\r\n", smuggled},
	{"0x0", "Content-Length: 0x0\r\n", smuggled},
	{"00", "Content-Length: 00\r\n", smuggled},
	{"no length", "Content-Length: \r\n", smuggled},
	{"a length with a space", "Content-Length: 0 0\r\n", smuggled},
	{"bare LF", "X: y\nContent-Length: 100\r\n", smuggled},
	{"LF for the end", "X: y\r\n\n", smuggled},
	{"bare CR", "X: y\rContent-Length: 100\r\n", smuggled},
	{"folded line", "X: y\r\n z\r\n", smuggled},
	{"folded first line", " X: y\r\n", smuggled},
	{"NUL in a value", "X: a\x00b\r\n", smuggled},
	{"NUL in a name", "X\x00: ab\r\n", smuggled},
	{"control in a value", "X: a\x01b\r\n", smuggled},
	{"no colon", "X\r\n", smuggled},
	{"no name", ": x\r\n", smuggled},
	{"chunk size with 0x", "Transfer-Encoding: chunked\r\n", "0x0\r\n\r\n" + smuggled},
	{"chunk size with +", "Transfer-Encoding: chunked\r\n", "+0\r\n\r\n" + smuggled},
	{"chunk size with a space", "Transfer-Encoding: chunked\r\n", "0 \r\n\r\n" + smuggled},
	{"chunk size of 2^64", "Transfer-Encoding: chunked\r\n", "10000000000000000\r\n\r\n" + smuggled},
	{"chunk extension of 1 MiB", "Transfer-Encoding: chunked\r\n", "0;" + strings.Repeat("x", 1<<20) + "\r\n\r\n" + smuggled},
	{"LF in a chunk extension", "Transfer-Encoding: chunked\r\n", "2;\nxx\r\n0\r\n\r\n" + smuggled},
	{"LF after a chunk size", "Transfer-Encoding: chunked\r\n", "0\n\r\n" + smuggled},
	{"LF after a chunk", "Transfer-Encoding: chunked\r\n", "1\r\nx\n0\r\n\r\n" + smuggled},
	{"too much in a chunk", "Transfer-Encoding: chunked\r\n", "1\r\nxyz0\r\n\r\n" + smuggled},
	{"LF in a trailer", "Transfer-Encoding: chunked\r\n", "0\r\nX: y\n\r\n" + smuggled},
	{"length in a trailer", "Transfer-Encoding: chunked\r\n", "0\r\nContent-Length: 5\r\n\r\n" + smuggled},
}

// bar 93: each is answered with 400, once, and the upstream sees one request at most, never the one inside
func TestSmuggling(t *testing.T) {
	w := start(t, nil)
	for i, test := range smuggling {
		raw := fmt.Sprintf("POST /api/%d HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer TOKEN\r\n%s\r\n%s", i, test.lines, test.rest)
		answers := w.raw(strings.ReplaceAll(raw, "TOKEN", w.token))
		if len(answers) != 1 || answers[0].status != 400 {
			t.Errorf("%s: %d answers: %.500v", test.name, len(answers), answers)
		}
	}
	for name, raw := range map[string]string{
		"TE in HTTP/1.0": "POST /api/a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled,
		"HTTP/1.2":       "GET /api/a HTTP/1.2\r\nHost: a\r\n\r\n" + smuggled,
		"HTTP/0.9":       "GET /api/a\r\n" + smuggled,
		"two spaces":     "GET  /api/a HTTP/1.1\r\nHost: a\r\n\r\n" + smuggled,
		"tabs":           "GET\t/api/a\tHTTP/1.1\r\nHost: a\r\n\r\n" + smuggled,
		"LF":             "GET /api/a HTTP/1.1\nHost: a\n\n" + smuggled,
		"space at start": " GET /api/a HTTP/1.1\r\nHost: a\r\n\r\n" + smuggled,
		"broken preface": "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n" + smuggled,
	} {
		answers := w.raw(strings.ReplaceAll(raw, "TOKEN", w.token))
		if len(answers) != 1 || answers[0].status != 400 {
			t.Errorf("%s: %d answers: %v", name, len(answers), answers)
		}
	}
	w.upstream.finish(t)
	counts := map[string]int{}
	for _, s := range w.upstream.take() {
		if counts[s.target]++; counts[s.target] > 1 || s.bodyErr == nil {
			t.Errorf("the upstream serves %s", s.target)
		}
	}
}

// The same with the next request, on a connection that has served one: what was answered stays answered.
func TestSmugglingOnKeepAlive(t *testing.T) {
	w := start(t, nil)
	for _, test := range smuggling {
		raw := keptAlive(w.request("GET", "/api/first")) + "POST /api/a HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + w.token + "\r\n" +
			test.lines + "\r\n" + strings.ReplaceAll(test.rest, "TOKEN", w.token)
		answers := w.raw(raw)
		if len(answers) != 2 || answers[0].status != 200 || answers[1].status != 400 {
			t.Errorf("%s: %d answers: %.500v", test.name, len(answers), answers)
		}
	}
	w.upstream.finish(t)
	whole := 0
	for _, s := range w.upstream.take() {
		if s.bodyErr == nil {
			whole++
		}
		if strings.Contains(s.target, "smuggled") {
			t.Errorf("the upstream serves %s", s.target)
		}
	}
	if whole != len(smuggling) {
		t.Errorf("the upstream serves %d requests, want one for each of %d connections", whole, len(smuggling))
	}
}

// bar 93: generated variants, of which the upstream must see as many requests as the client sees answers
func TestGeneratedSmuggling(t *testing.T) {
	w := start(t, nil)
	const seed = 93
	random := rand.New(rand.NewPCG(seed, seed))
	for range latchtest.Scale(10_000, 300) {
		lines, rest := smuggle(random)
		raw := strings.ReplaceAll("POST /api/a HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer TOKEN\r\n"+lines+"\r\n"+rest+
			"GET /api/last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "TOKEN", w.token) // ends what is still open
		served := 0
		for _, a := range w.raw(raw) {
			if a.status == 200 {
				served++
			}
		}
		whole := 0
		for _, s := range w.upstream.take() {
			if s.bodyErr == nil {
				whole++
			}
			if strings.Contains(s.target, "smuggled") && served < 2 {
				t.Fatalf("seed %d: %q: the upstream serves what the gateway did not", seed, raw)
			}
		}
		if whole != served {
			t.Fatalf("seed %d: %q: %d requests served, %d answers", seed, raw, whole, served)
		}
	}
}

// smuggle returns lines about a length, and what may or may not be a body of that length.
func smuggle(random *rand.Rand) (lines, rest string) {
	pick := func(options ...string) string { return options[random.IntN(len(options))] }
	for range 1 + random.IntN(2) {
		lines += pick("Content-Length", "content-length", "Transfer-Encoding", "TRANSFER-ENCODING", "X", "Content-Length ", "Transfer_Encoding") +
			pick(":", ": ", ":\t", " :", ":\x0b") +
			pick("0", "5", "05", "+5", "5,5", "chunked", "chunked", "Chunked", "xchunked", "chunked, chunked", "identity", "") +
			pick("\r\n", "\r\n", "\r\n", "\n", "\r", "\r\n ", " \r\n")
	}
	return lines, pick("", "hello", "0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n", "5;x\r\nhello\r\n0\r\nA: b\r\n\r\n", "5\nhello\n0\n\n", "0 \r\n\r\n") +
		pick("", smuggled)
}

// bar 93, 29: what HTTP/2 forbids is refused on its stream or ends the connection
func TestHTTP2Requests(t *testing.T) {
	w := start(t, nil)
	usual := func(more ...hpack.HeaderField) []hpack.HeaderField {
		return append([]hpack.HeaderField{
			field(":method", "POST"), field(":scheme", "http"), field(":authority", "public"), field(":path", "/api/a"),
			field("authorization", "Bearer "+w.token),
		}, more...)
	}
	tests := []struct {
		name   string
		fields []hpack.HeaderField
		data   string
		passes bool
	}{
		{"plain", usual(), "hello", true},
		{"with its length", usual(field("content-length", "5")), "hello", true},
		{"same host", usual(field("host", "public")), "", true},
		{"other host", usual(field("host", "internal")), "", false},
		{"two hosts", usual(field("host", "public"), field("host", "public")), "", false},
		{"transfer-encoding", usual(field("transfer-encoding", "chunked")), "0\r\n\r\n", false},
		{"connection", usual(field("connection", "x")), "", false},
		{"too much data", usual(field("content-length", "2")), "hello", false},
		{"too little data", usual(field("content-length", "9")), "hello", false},
		{"two lengths", usual(field("content-length", "5"), field("content-length", "6")), "hello", false},
		{"CRLF in a value", usual(field("x", "a\r\nb: c")), "", false},
		{"NUL in a value", usual(field("x", "a\x00b")), "", false},
		{"space in a name", usual(field("x y", "a")), "", false},
		{"upper case in a name", usual(field("X", "a")), "", false},
		{"pseudo-header after a field", usual(field(":path", "/api/b")), "", false},
		{"two paths", append(usual()[:4:4], field(":path", "/api/b"), field("authorization", "Bearer "+w.token)), "", false},
		{"path without slash", append(usual()[:3:3], field(":path", "api/a")), "", false},
		{"path with CRLF", append(usual()[:3:3], field(":path", "/api/a HTTP/1.1\r\nX: y"), field("authorization", "Bearer "+w.token)), "", false},
		{"ambiguous path", append(usual()[:3:3], field(":path", "/api/a/../b"), field("authorization", "Bearer "+w.token)), "", false},
		{"absolute form", append(usual()[:3:3], field(":path", "http://public/api/a"), field("authorization", "Bearer "+w.token)), "", true},
		{"of elsewhere", append(usual()[:3:3], field(":path", "http://internal/api/a"), field("authorization", "Bearer "+w.token)), "", false},
	}
	for _, test := range tests {
		status := w.http2(test.fields, test.data)
		if passes := status == "200"; passes != test.passes || !passes && status != "" && status != "400" {
			t.Errorf("%s: status %q, want it to pass: %v", test.name, status, test.passes)
		}
		for _, s := range w.upstream.take() {
			if s.target != "/v1/a" || s.host != w.upstream.address || s.header["X"] != nil || !test.passes && s.bodyErr == nil {
				t.Errorf("%s: the upstream saw %+v", test.name, s)
			}
		}
	}
}

func field(name, value string) hpack.HeaderField { return hpack.HeaderField{Name: name, Value: value} }

// The types and flags of HTTP/2 frames that are needed here (RFC 9113 §6).
const (
	frameData, frameHeaders, frameReset, frameSettings, frameGoAway = 0, 1, 3, 4, 7

	flagEndStream, flagEndHeaders = 1, 4
)

func frame(kind, flags byte, stream uint32, payload []byte) []byte {
	n := len(payload)
	b := binary.BigEndian.AppendUint32([]byte{byte(n >> 16), byte(n >> 8), byte(n), kind, flags}, stream)
	return append(b, payload...)
}

// http2 sends one request in frames of its own making, and returns the status of the answer; "" when there is none.
func (w *world) http2(fields []hpack.HeaderField, data string) string {
	w.t.Helper()
	c, reader := w.dial()
	defer c.Close()
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, f := range fields {
		_ = encoder.WriteField(f)
	}
	send(w.t, c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"+string(frame(frameSettings, 0, 0, nil))+
		string(frame(frameHeaders, flagEndHeaders, 1, block.Bytes()))+string(frame(frameData, flagEndStream, 1, []byte(data))))
	decoder := hpack.NewDecoder(4096, nil)
	for {
		var head [9]byte
		if _, err := io.ReadFull(reader, head[:]); err != nil {
			if fault := net.Error(nil); errors.As(err, &fault) && fault.Timeout() {
				w.t.Fatalf("%v: neither an answer nor a reset", fields)
			}
			return ""
		}
		payload := make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
		if _, err := io.ReadFull(reader, payload); err != nil {
			return ""
		}
		switch head[3] {
		case frameHeaders:
			answered, err := decoder.DecodeFull(payload)
			if err != nil || answered[0].Name != ":status" {
				w.t.Fatalf("%v: %v, %v", fields, answered, err)
			}
			return answered[0].Value
		case frameReset, frameGoAway:
			return ""
		}
	}
}
