//go:build servers

package gateway_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/gateway"
	"github.com/latchward/latchward/httpauth"
	"github.com/latchward/latchward/latchtest"
)

// oracle compares what we think of a path with what is behind it in the end.
type oracle struct {
	*reader
	shelf    shelf
	world    *world
	base     string // of the judged paths, as clients send it
	patterns latchward.Patterns
	token    string // restricted by patterns
	line     line

	read, allowed, found, refused, declined int
}

var oraclePatterns = []string{"/products/*", "/reports/**"}

func newOracle(t *testing.T, w *world, r *reader, s shelf, base string) *oracle {
	t.Helper()
	patterns, err := latchward.ParsePatterns("", oraclePatterns)
	if err != nil {
		t.Fatal(err)
	}
	o := &oracle{reader: r, shelf: s, world: w, base: base, patterns: patterns, line: line{address: w.address}}
	o.token = w.issue(latchward.NewToken{AllowedEndpoints: oraclePatterns})
	t.Cleanup(o.line.close)
	return o
}

// bar 33: whatever a path looks like, the verdict on it is the verdict on the path that a server behind the gateway
// makes of it; or nobody gets to make anything of it.
func TestReadersBehindGateway(t *testing.T) {
	for i := range readers {
		t.Run(readers[i].name, func(t *testing.T) {
			s := newShelf(t)
			upstream := readers[i].start(t, s)
			w := start(t, nil, func(o *gateway.Options) { o.Upstreams[0].URL = upstream })
			newOracle(t, w, &readers[i], s, "/api").run(t, 33+uint64(i))
		})
	}
}

// bar 33: the same where the server is a handler in the program of the middleware.
func TestReadersBehindMiddleware(t *testing.T) {
	for i, handler := range map[int]func(shelf) http.Handler{3: fileServer, 4: serveMux} {
		t.Run(readers[i].name, func(t *testing.T) {
			s, w := newShelf(t), start(t, nil)
			w.address = w.listen(httpauth.Require(w.service, httpauth.Options{Base: "/v1"})(handler(s)))
			newOracle(t, w, &readers[i], s, "/v1").run(t, 330+uint64(i))
		})
	}
}

func (o *oracle) run(t *testing.T, seed uint64) {
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, seed))
	for range latchtest.Scale(50_000, 1_000) {
		target := baseSpelling(random, o.base) + distorted(random, spelling(random))
		if err := o.check(t, target); err != nil {
			t.Fatalf("seed %d, target %q: %v", seed, target, err)
		}
	}
	t.Logf("%d read, %d of them allowed, %d found; %d refused here, %d there", o.read, o.allowed, o.found, o.refused, o.declined)
	if min(o.read-o.allowed, o.allowed, o.found, o.refused, o.read/10-o.declined) < 20 {
		t.Error("too few of one kind to say anything")
	}
}

// baseSpelling returns the base as most send it, or one of the ways to say it otherwise.
func baseSpelling(random *rand.Rand, base string) string {
	if random.IntN(8) > 0 {
		return base
	}
	others := []string{"/" + base, base + "/", base + "/.", base + "/admin/..", "/x/.." + base, "/%2e" + base, base + "%2f.."}
	return others[random.IntN(len(others))]
}

// distorted returns a target with now and then some byte more, literal or escaped.
func distorted(random *rand.Rand, target string) string {
	if random.IntN(4) > 0 {
		return target
	}
	more := []string{fmt.Sprintf("%%%02x", random.IntN(256)), string(rune('!' + random.IntN(94))), "/../", "/./", "%2e%2e%2f"}
	at := random.IntN(len(target) + 1)
	return target[:at] + more[random.IntN(len(more))] + target[at:]
}

// check sends a target with a token that may do everything, to learn how it is read, and with the restricted one.
func (o *oracle) check(t *testing.T, target string) error {
	free, bound := o.line.get(t, target, o.world.token), o.line.get(t, target, o.token)
	if isRefusal(&free) {
		o.refused++
		if free.status != 400 && free.status != 404 || !isRefusal(&bound) {
			return fmt.Errorf("answered %d and %d", free.status, bound.status)
		}
		return nil
	}
	if declines(&free) { // which leaves nothing to compare
		o.declined++
		return nil
	}
	o.read++
	file, err := o.reader.read(o.shelf, &free)
	if err != nil {
		return err
	}
	return errors.Join(o.checkVerdict(file, &bound), o.checkReading(target, file, &free))
}

// checkVerdict checks that the restricted token gets what it may get of the path that a server made of a target.
func (o *oracle) checkVerdict(file string, a *answer) error {
	resolved, ok := canonicalOf(file)
	want := ok && o.patterns.Match("GET", resolved)
	switch {
	case isRefusal(a) && a.status == 403 && !want:
		return nil
	case isRefusal(a) || !want:
		return fmt.Errorf("may read %q: %t, but is answered %d", file, want, a.status)
	}
	o.allowed++
	again, err := o.reader.read(o.shelf, a)
	if err == nil && again != file {
		err = fmt.Errorf("is read as %q with one token and as %q with another", file, again)
	}
	return err
}

// checkReading checks that the server behind reads the judged path to the letter.
func (o *oracle) checkReading(target, file string, a *answer) error {
	raw, _, _ := strings.Cut(target, "?")
	canonical, err := latchward.CanonicalPath(raw)
	path, under := latchward.JudgedPath(canonical, o.base)
	judged, unescapeErr := url.PathUnescape(path)
	if err := errors.Join(err, unescapeErr); err != nil || !under || judged != file {
		return fmt.Errorf("is judged as %q (%v) and read as %q", path, err, file)
	}
	if content, found := strings.CutPrefix(a.body, fileSays); found {
		if o.found++; content != judged {
			return fmt.Errorf("is judged as %q and answered with the file %q", path, content)
		}
	}
	return nil
}

// isRefusal reports whether we answered, or the server that we are in, and nobody behind.
func isRefusal(a *answer) bool {
	ours := strings.HasPrefix(a.header.Get("Content-Type"), "application/problem+json")
	return ours && a.status >= 400 || a.status == 400 && strings.HasPrefix(a.body, "400 Bad Request")
}

// declines reports whether a server behind sends the client elsewhere or finds a target malformed, as some do with
// queries in Latin-1, without looking for a file.
func declines(a *answer) bool {
	return a.header["X-Read"] == nil && (a.status == 400 || a.status == 307)
}

// line sends requests over one connection, and over a new one when that is closed.
type line struct {
	address string
	conn    net.Conn
	reader  *bufio.Reader
}

func (l *line) get(t *testing.T, target, token string) answer {
	t.Helper()
	if l.conn == nil {
		l.dial(t)
	}
	_ = l.conn.SetDeadline(time.Now().Add(patience))
	_, err := io.WriteString(l.conn, "GET "+target+" HTTP/1.1\r\nHost: api.example.com\r\nAuthorization: Bearer "+token+"\r\n\r\n")
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(l.reader, nil)
	if err != nil {
		t.Fatalf("%q: %v", target, err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("%q: %v", target, err)
	}
	if response.Close {
		l.close()
	}
	return answer{status: response.StatusCode, header: response.Header, body: string(body)}
}

func (l *line) dial(t *testing.T) {
	t.Helper()
	conn, err := net.Dial("tcp", l.address)
	if err != nil {
		t.Fatal(err)
	}
	l.conn, l.reader = conn, bufio.NewReader(conn)
}

func (l *line) close() {
	if l.conn != nil {
		_ = l.conn.Close()
		l.conn = nil
	}
}
