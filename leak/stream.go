package leak

import (
	"bytes"
	"errors"
	"io"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"github.com/latchward/latchward"
)

// AllowMark on the line of a secret says that it is meant to be there: a test vector, an example.
const AllowMark = "latchward:allow"

const (
	bufferSize = 1 << 20
	markReach  = 4 << 10 // how far from a secret its line is searched for the mark: files of one line exist
)

// Place is where in a text something begins; both count from 1.
type Place struct {
	Line   int
	Column int // in bytes
}

// stream searches one text after another. It keeps a buffer, so that memory does not grow with the text.
type stream struct {
	prefixes []string
	buffer   []byte
	overlap  int // a secret that the buffer's end cuts lies whole in the next one
}

func newStream(prefixes []string) *stream {
	s := &stream{prefixes: prefixes, buffer: make([]byte, bufferSize)}
	for _, p := range prefixes {
		s.overlap = max(s.overlap, latchward.SecretLength(p)-1)
	}
	return s
}

// search calls found with each secret in what from holds, which shares the buffer and is gone after the call. Text
// that begins with the byte order mark of UTF-16 is read as such: some shells write nothing else. Each secret is told
// once.
func (s *stream) search(from io.Reader, found func(Place, latchward.Secret)) (err error) {
	at, kept := Place{1, 1}, 0
	from = decoded(from)
	for err == nil {
		var n int
		n, err = io.ReadFull(from, s.buffer[kept:])
		text, last := s.buffer[:kept+n], err != nil
		s.searchBuffer(text, at, last, found)
		next := len(text) - s.overlap
		if last || next <= 0 {
			break
		}
		at = at.after(text[:next])
		kept = copy(s.buffer, text[next:])
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// decoded returns what from holds, in an encoding that has ASCII in it.
func decoded(from io.Reader) io.Reader {
	head := make([]byte, 2)
	n, err := io.ReadFull(from, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return failing{err}
	}
	whole := io.MultiReader(bytes.NewReader(head[:n]), from)
	if mark := string(head[:n]); mark == "\xfe\xff" || mark == "\xff\xfe" {
		return transform.NewReader(whole, unicode.UTF16(unicode.BigEndian, unicode.UseBOM).NewDecoder())
	}
	return whole
}

// failing is what could not be read.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// searchBuffer searches text, which begins at a place. Unless it is the last, what begins in its overlap is for the
// next one to find: it is whole there, and told there.
func (s *stream) searchBuffer(text []byte, begins Place, last bool, found func(Place, latchward.Secret)) {
	for _, prefix := range s.prefixes {
		at, place := 0, begins
		for offset, secret := range latchward.FindSecrets(text, prefix) {
			if !last && offset >= len(text)-s.overlap {
				break
			}
			place, at = place.after(text[at:offset]), offset
			if !allowed(text, offset) {
				found(place, secret)
			}
		}
	}
}

// after returns the place behind text that begins at p.
func (p Place) after(text []byte) Place {
	lines := bytes.Count(text, []byte("\n"))
	if lines == 0 {
		return Place{p.Line, p.Column + len(text)}
	}
	return Place{p.Line + lines, len(text) - bytes.LastIndexByte(text, '\n')}
}

// allowed reports whether the line of the byte at offset holds the mark.
func allowed(text []byte, offset int) bool {
	before, behind := text[max(0, offset-markReach):offset], text[offset:min(len(text), offset+markReach)]
	if i := bytes.LastIndexByte(before, '\n'); i >= 0 {
		before = before[i+1:]
	}
	if i := bytes.IndexByte(behind, '\n'); i >= 0 {
		behind = behind[:i]
	}
	return bytes.Contains(before, []byte(AllowMark)) || bytes.Contains(behind, []byte(AllowMark))
}
