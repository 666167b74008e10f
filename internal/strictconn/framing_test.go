package strictconn

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

const head = "POST /x HTTP/1.1\r\nHost: a\r\n"

// passes are connections of which every byte may pass, as the requests that come over them.
var passes = map[string][]string{
	"bare":               {"GET / HTTP/1.1\r\n\r\n"},
	"pipelined":          {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
	"HTTP/1.0":           {"GET / HTTP/1.0\r\n\r\n"},
	"length":             {head + "Content-Length: 3\r\n\r\nabc", "GET / HTTP/1.1\r\n\r\n"},
	"length in blanks":   {head + "Content-Length:\t  3 \t\r\n\r\nabc"},
	"length in capitals": {head + "CONTENT-LENGTH:3\r\n\r\nabc"},
	"zero length":        {head + "Content-Length: 0\r\n\r\n"},
	"chunked":            {head + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"},
	"two chunks":         {head + "transfer-encoding:chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n"},
	"long chunk size":    {head + "Transfer-Encoding: chunked\r\n\r\n00000003\r\nabc\r\n00\r\n\r\n"},
	"chunk extension":    {head + "Transfer-Encoding: chunked\r\n\r\n3;a=b;c=\"d\"\r\nabc\r\n0;e\r\n\r\n"},
	"trailer": {
		head + "Transfer-Encoding: chunked\r\n\r\n0\r\nFoo: bar\r\n\r\n", "GET / HTTP/1.1\r\n\r\n",
	},
	"empty line before": {head + "Content-Length: 1\r\n\r\na", "\r\nGET / HTTP/1.1\r\n\r\n"},
	"odd but plain":     {"GET /%zz?\x80\"<> HTTP/1.1\r\n!#$%&'*+-.^_`|~:\r\nA:\t b \x80\xff c\t\r\nB:\r\n\r\n"},
	"similar names":     {head + "Content-Lengths: x\r\nContent-Lengt: y\r\nX-Transfer-Encoding: z\r\n\r\n"},
}

func TestFramingPasses(t *testing.T) {
	for name, requests := range passes {
		data, want := strings.Join(requests, ""), ends(requests)
		got, passed := follow(data)
		if passed != len(data) || !slices.Equal(got, want) {
			t.Errorf("%s: %d of %d bytes pass, requests end at %v, want %v", name, passed, len(data), got, want)
		}
		for size := range 70 {
			checkAgainstNetHTTP(t, []byte(data), size)
			checkAgainstNetHTTP(t, []byte(data[:len(data)-size%len(data)]), 7) // incomplete
		}
	}
}

// ends returns the offsets at which requests end that come one after the other.
func ends(requests []string) (ends []int) {
	end := 0
	for _, request := range requests {
		end += len(request)
		ends = append(ends, end)
	}
	return ends
}

// refusals are connections of which the last byte (or all after the mark |) must not pass. Bar 93.
var refusals = []string{
	// lines
	"GET / HTTP/1.1|\n\n", "GET / HTTP/1.1\r\nA: b|\n\r\n", "GET / HTTP/1.1\r\nA: b\r\n|\n", "|\nGET / HTTP/1.1",
	"GET / HTTP/1.1\r|X", "GET / HTTP/1.1\r\nA: b\r|c\r\n", "GET / HTTP/1.1\r\nA: b\r\n\r|\r\n", "\r\n|\r\nGET", "\r|\r",
	"GET / HTTP/1.1\r\n| folded: a\r\n", "GET / HTTP/1.1\r\nA: b\r\n| c\r\n", "GET / HTTP/1.1\r\nA: b\r\n|\tc\r\n",
	// request line
	"| GET / HTTP/1.1", "GET | HTTP/1.1", "GET | ", "GET /a |b HTTP/1.1", "GET /a|\tb", "GET /a|\x00b", "GET /a|\x7fb",
	"GET /|\r\n", "GET|\r\n", "GET / |http/1.1", "GET / HTTP/|2.0", "GET / HTTP/1.|2", "GET / HTTP/1.1| \r\n", "G|(T /",
	"GET / HTTP/1.1|1\r\n", "GET|\t/ HTTP/1.1",
	// fields
	"GET / HTTP/1.1\r\n|: a\r\n", "GET / HTTP/1.1\r\nA| : b\r\n", "GET / HTTP/1.1\r\nA|\t: b\r\n", "GET / HTTP/1.1\r\nA|\r\n",
	"GET / HTTP/1.1\r\nA|\x00: b\r\n", "GET / HTTP/1.1\r\nA: b|\x00c\r\n", "GET / HTTP/1.1\r\nA: b|\x0bc\r\n",
	"GET / HTTP/1.1\r\nA: b|\x7fc\r\n", "GET / HTTP/1.1\r\nA|(b: c\r\n", "GET / HTTP/1.1\r\nContent-Length|\x80: 1\r\n",
	// Content-Length
	head + "Content-Length:|\r\n", head + "Content-Length:  |\r\n", head + "Content-Length: |+5\r\n", head + "Content-Length: |-5\r\n",
	head + "Content-Length: 0|x5\r\n", head + "Content-Length: 5|, 5\r\n", head + "Content-Length: 5 |5\r\n",
	head + "Content-Length: 5|_0\r\n", head + "Content-Length: 0|5\r\n", head + "Content-Length: 123456789012345|6\r\n",
	head + "Content-Length: |\x0b5\r\n", head + "Content-Length| : 5\r\n", head + "Content-Length: |\"5\"\r\n",
	head + "Content-Length: 5\r\nContent-Length|: 5\r\n", head + "Content-Length: 5\r\ncontent-length|: 6\r\n",
	// Transfer-Encoding
	head + "Content-Length: 5\r\nTransfer-Encoding|: chunked\r\n", head + "Transfer-Encoding: chunked\r\nContent-Length|: 5\r\n",
	head + "Transfer-Encoding: |xchunked\r\n", head + "Transfer-Encoding: chunked|, identity\r\n",
	head + "Transfer-Encoding: |identity\r\n", head + "Transfer-Encoding: |gzip, chunked\r\n", head + "Transfer-Encoding:|\r\n",
	head + "Transfer-Encoding| : chunked\r\n", head + "Transfer-Encoding: |Chunked\r\n", head + "Transfer-Encoding: chunked|x\r\n",
	head + "Transfer-Encoding: chunked\r\nTransfer-Encoding|: chunked\r\n", head + "Transfer-Encoding: chun|\r\n",
	head + "Transfer-Encoding: |\x0bchunked\r\n", head + "Transfer-Encoding: chunked |chunked\r\n",
	"POST / HTTP/1.0\r\nTransfer-Encoding|: chunked\r\n",
	// chunks
	head + "Transfer-Encoding: chunked\r\n\r\n|\r\n", head + "Transfer-Encoding: chunked\r\n\r\n|-1\r\n",
	head + "Transfer-Encoding: chunked\r\n\r\n0|x3\r\n", head + "Transfer-Encoding: chunked\r\n\r\n| 3\r\n",
	head + "Transfer-Encoding: chunked\r\n\r\n3| \r\n", head + "Transfer-Encoding: chunked\r\n\r\n3|\nabc",
	head + "Transfer-Encoding: chunked\r\n\r\n3\r|Xabc", head + "Transfer-Encoding: chunked\r\n\r\n00000000|3\r\n",
	head + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc|X", head + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc|\n",
	head + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r|X", head + "Transfer-Encoding: chunked\r\n\r\n3;a|\nb",
	head + "Transfer-Encoding: chunked\r\n\r\n3;a\r|b", head + "Transfer-Encoding: chunked\r\n\r\n3;a|\x00b",
	head + "Transfer-Encoding: chunked\r\n\r\n|;a\r\n", head + "Transfer-Encoding: chunked\r\n\r\n3;" + strings.Repeat("a", 256) + "|a",
	head + "Transfer-Encoding: chunked\r\n\r\n0\r\n|\n", head + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r|X",
	// trailers
	head + "Transfer-Encoding: chunked\r\n\r\n0\r\nA: b|\n", head + "Transfer-Encoding: chunked\r\n\r\n0\r\n| A: b\r\n",
	head + "Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length|: 5\r\n",
	head + "Transfer-Encoding: chunked\r\n\r\n0\r\nTransfer-Encoding|: chunked\r\n",
}

// bar 93
func TestFramingRefuses(t *testing.T) {
	for _, marked := range refusals {
		before, after, _ := strings.Cut(marked, "|")
		data := before + after
		if _, passed := follow(data); passed != len(before) {
			t.Errorf("%q: %d bytes pass, want %d", data, passed, len(before))
		}
		for size := range 70 {
			checkAgainstNetHTTP(t, []byte(data), size)
			checkAgainstNetHTTP(t, []byte("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab"+data), size)
		}
	}
}

// follow passes data byte by byte and returns where requests ended, and how many bytes passed.
func follow(data string) (ends []int, passed int) {
	var f framing
	for passed = range data {
		if f.check([]byte(data[passed:passed+1])) == 0 {
			return ends, passed
		}
		if f == (framing{}) {
			ends = append(ends, passed+1)
		}
	}
	return ends, len(data)
}

// FuzzFraming compares with net/http: what passes it reads as the same requests with the same lengths, and what does
// not pass it does not read as a request.
func FuzzFraming(f *testing.F) {
	for _, requests := range passes {
		f.Add([]byte(strings.Join(requests, "")), 3)
	}
	for _, marked := range refusals {
		f.Add([]byte(strings.Replace(marked, "|", "", 1)), 5)
	}
	f.Fuzz(func(t *testing.T, data []byte, size int) { checkAgainstNetHTTP(t, data, size) })
}

func checkAgainstNetHTTP(t *testing.T, data []byte, size int) {
	t.Helper()
	ends, passed := follow(string(data))
	size = max(1, size%64)
	read := readAll(data, size)
	if want := string(data[:passed]); passed < len(data) && read != want+poison || passed == len(data) && read != want {
		t.Fatalf("%q in pieces of %d is read as %q", data, size, read)
	}
	theirs, fault := netHTTPEnds(read)
	if len(theirs) > len(ends) || !slices.Equal(theirs, ends[:len(theirs)]) {
		t.Fatalf("%q: requests end at %v, for net/http at %v", data, ends, theirs)
	}
	if passed < len(data) && fault == nil {
		t.Fatalf("%q: net/http finds nothing wrong with %q", data, read)
	}
}

// readAll returns what a conn lets through of data that comes in pieces of the given size.
func readAll(data []byte, size int) string {
	c := newConn(&pieces{data: data, size: size}, false)
	read, err := io.ReadAll(c)
	if err != nil {
		panic(err)
	}
	return string(read)
}

// netHTTPEnds returns where the requests of data end that net/http reads, and what it has against the next.
func netHTTPEnds(data string) (ends []int, fault error) {
	rest := strings.NewReader(data)
	reader := bufio.NewReader(rest)
	last := ""
	for {
		if peek, _ := reader.Peek(4); last == http.MethodPost { // as net/http's server does
			for len(peek) > 0 && (peek[0] == '\r' || peek[0] == '\n') {
				peek = peek[1:]
				_, _ = reader.Discard(1)
			}
		}
		r, err := http.ReadRequest(reader)
		if err != nil {
			return ends, unless(err, io.EOF, io.ErrUnexpectedEOF)
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return ends, unless(err, io.ErrUnexpectedEOF)
		}
		last = r.Method
		ends = append(ends, len(data)-rest.Len()-reader.Buffered())
	}
}

// unless returns err, or nil when it only says that data ended.
func unless(err error, ends ...error) error {
	if slices.Contains(ends, err) {
		return nil
	}
	return fmt.Errorf("net/http: %w", err)
}

// Looking at eight bytes at a time lets through nothing that looking at each would not.
func TestPlain(t *testing.T) {
	for _, class := range []struct {
		of    class
		least byte
	}{{visible, '!'}, {text, ' '}} {
		for c := range 256 {
			for _, around := range []byte{'a', '!', '~', 0x80, 0xff} {
				for at := range 16 {
					data := bytes.Repeat([]byte{around}, 16)
					data[at] = byte(c)
					if n := plain(data, class.least); n > at && !is(byte(c), class.of) {
						t.Fatalf("%#x at %d among %#x passes", c, at, around)
					}
				}
			}
		}
		if n := plain([]byte("all/of-these~are!plain\x80\xff."), class.least); n != 24 {
			t.Errorf("%d of 24 plain bytes are found", n)
		}
	}
}
