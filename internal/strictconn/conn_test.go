package strictconn

import (
	"io"
	"net"
	"testing"
)

// pieces is a connection on which data comes in pieces of at most size bytes.
type pieces struct {
	net.Conn
	data []byte
	size int
}

func (p *pieces) Read(data []byte) (int, error) {
	if len(p.data) == 0 {
		return 0, io.EOF
	}
	n := copy(data, p.data[:min(p.size, len(p.data))])
	p.data = p.data[n:]
	return n, nil
}

// Without TLS, HTTP/2 is known by its preface, and only where it is served.
func TestPreface(t *testing.T) {
	const frames = "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	tests := []struct {
		data  string
		http2 bool
		want  string
	}{
		{preface + frames, true, preface + frames},
		{preface + frames, false, "PRI * HTTP/" + poison},
		{preface[:len(preface)-1], true, preface[:len(preface)-1]},
		{"POST / HTTP/1.1\r\n\r\n", true, "POST / HTTP/1.1\r\n\r\n"},
		{"PRIX / HTTP/1.1\r\n\r\n", true, "PRIX / HTTP/1.1\r\n\r\n"},
		{"GET / HTTP/1.1\r\n\r\n" + preface, true, "GET / HTTP/1.1\r\n\r\nPRI * HTTP/" + poison},
		{"P(", true, "P" + poison},
		{"PRI * HTTP/1.1\r\n\r\n", true, "PRI * HTTP/1.1\r\n\r\n"},
	}
	for _, test := range tests {
		for _, size := range []int{1, 2, 3, 11, 100} {
			c := newConn(&pieces{data: []byte(test.data), size: size}, test.http2)
			if got, err := io.ReadAll(c); err != nil || string(got) != test.want {
				t.Errorf("%q in pieces of %d is read as %q (%v), want %q", test.data, size, got, err, test.want)
			}
		}
	}
	// what net/http has passed on before it can be known not to be the preface ends in a 400, too
	c := newConn(&pieces{data: []byte("PRI * HTTP/2.0\r\n\r\nSX"), size: 100}, true)
	if got, _ := io.ReadAll(c); string(got) != "PRI * HTTP/2.0\r\n\r\nS"+poison {
		t.Errorf("a broken preface is read as %q", got)
	}
}

// A Read of one byte, as net/http makes while a handler runs, gets the poison in pieces.
func TestPoisonByteByByte(t *testing.T) {
	c := newConn(&pieces{data: []byte("\x00"), size: 1}, false)
	var one [1]byte
	for i := range len(poison) {
		if n, err := c.Read(one[:]); n != 1 || err != nil || one[0] != poison[i] {
			t.Fatalf("byte %d: %q (%d, %v)", i, one, n, err)
		}
	}
	if n, err := c.Read(nil); n != 0 || err != nil {
		t.Errorf("reading nothing: %d, %v", n, err)
	}
	if n, err := c.Read(one[:]); n != 0 || err != io.EOF {
		t.Errorf("at the end: %d, %v", n, err)
	}
}

// After a hijack everything passes.
func TestHijacked(t *testing.T) {
	c := newConn(&pieces{data: []byte("\x00\x01\n"), size: 2}, false)
	c.hijacked()
	if got, err := io.ReadAll(c); string(got) != "\x00\x01\n" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
}
