package strictconn

// framing follows the requests of an HTTP/1 connection as their bytes pass: where a head ends, how long its body is
// and where the next request starts (RFC 9112 §6, §7). It keeps a fixed few bytes, whatever passes.
type framing struct {
	at      place
	field   field
	n       int    // bytes of the current element so far
	left    uint64 // bytes of the body or chunk to come
	name    [len(transferEncoding)]byte
	old     bool // HTTP/1.0
	sized   bool // Content-Length was seen
	chunked bool // Transfer-Encoding was seen
	trailer bool // the fields are those after the last chunk
	gap     bool // white space after the beginning of a value
}

// place is what the next byte belongs to.
type place uint8

const (
	atStart     place = iota // of a request: its method, or one empty line before it
	atStartLF                // the LF of that empty line
	atMethod                 // of the request, and the space after it
	atTarget                 // and the space after it
	atVersion                // and the CR after it
	atLineLF                 // that ends a request line or a field
	atName                   // of a field and the colon after it, or the CR of the empty line
	atValue                  // of a field, and the CR after it
	atHeadLF                 // that ends head or trailer
	atBody                   // of a known length
	atChunkSize              // and what ends it
	atExtension              // of a chunk, and the CR after it
	atChunkLF                // that ends the line of the size
	atChunk                  // its data
	atChunkEnd               // the CR after the data
	atChunkEndLF
)

// field says which header field is passing.
type field uint8

const (
	otherField field = iota
	lengthField
	encodingField
)

const (
	contentLength    = "content-length"
	transferEncoding = "transfer-encoding"
	chunkedCoding    = "chunked"
	versionStart     = "HTTP/1."

	maxLengthDigits = 15  // of a Content-Length: a petabyte
	maxSizeDigits   = 8   // of the size of a chunk: 4 GiB
	maxExtension    = 256 // bytes of a chunk's extensions (RFC 9112 §7.1.1 asks for a limit)
)

// check returns how many bytes of data may pass: all of them, or those before the first that tells of a request that
// two parsers could read differently. After that it must not be called again.
func (f *framing) check(data []byte) int {
	for i := 0; i < len(data); {
		switch f.at {
		case atBody, atChunk:
			i += f.skip(len(data) - i)
			continue
		case atTarget:
			i += f.run(data[i:], visible, '!')
		case atName:
			i += f.runName(data[i:])
		case atValue:
			if f.field == otherField {
				i += f.run(data[i:], text, ' ')
			}
		}
		if i == len(data) {
			break
		}
		if !f.step(data[i]) {
			return i
		}
		i++
	}
	return len(data)
}

// skip passes up to most bytes of a body or chunk, and returns how many.
func (f *framing) skip(most int) int {
	n := min(f.left, uint64(most))
	if f.left -= n; f.left == 0 {
		if f.at == atBody {
			f.next()
		} else {
			f.at = atChunkEnd
		}
	}
	return int(n)
}

// run passes the bytes of a class at the start of data, and returns how many. All but DEL from least on are of the class.
func (f *framing) run(data []byte, c class, least byte) int {
	n := plain(data, least)
	for n < len(data) && is(data[n], c) {
		n++
	}
	f.n += n
	return n
}

// runName passes the bytes of a field's name at the start of data, and returns how many. It keeps the beginning, in
// lower case: of the bytes of a token only letters become letters by that bit.
func (f *framing) runName(data []byte) int {
	n := 0
	for n < len(data) && is(data[n], token) {
		if at := f.n + n; at < len(f.name) {
			f.name[at] = data[n] | 0x20
		}
		n++
	}
	f.n += n
	return n
}

// step passes one byte and reports whether it may.
func (f *framing) step(c byte) bool {
	switch f.at {
	case atName, atValue, atHeadLF:
		return f.stepField(c)
	case atChunkSize, atExtension, atChunkLF, atChunkEnd, atChunkEndLF:
		return f.stepChunk(c)
	default:
		return f.stepLine(c)
	}
}

// stepLine passes a byte of a request line: method SP target SP version CRLF, and nothing else (RFC 9112 §3). One empty
// line before it is let through (§2.2): small clients send it after a body.
func (f *framing) stepLine(c byte) bool {
	switch f.at {
	case atStart:
		if c == '\r' && f.n == 0 {
			return f.to(atStartLF)
		}
		f.at = atMethod
		return is(c, token)
	case atStartLF:
		f.at, f.n = atStart, 1 // no second one
		return c == '\n'
	case atMethod:
		if c == ' ' {
			return f.to(atTarget)
		}
		return is(c, token)
	case atTarget: // run has passed it
		return c == ' ' && f.n > 0 && f.to(atVersion)
	case atVersion:
		return f.stepVersion(c)
	default: // atLineLF
		return c == '\n' && f.to(atName)
	}
}

func (f *framing) stepVersion(c byte) bool {
	f.n++
	switch {
	case f.n <= len(versionStart):
		return c == versionStart[f.n-1]
	case f.n == len(versionStart)+1:
		f.old = c == '0'
		return f.old || c == '1'
	default:
		return c == '\r' && f.to(atLineLF)
	}
}

// stepField passes a byte of a header or trailer section.
func (f *framing) stepField(c byte) bool {
	switch f.at {
	case atName:
		return f.stepName(c)
	case atHeadLF:
		return c == '\n' && f.endHead()
	}
	if c == '\r' {
		return f.endField() && f.to(atLineLF)
	}
	switch f.field {
	case lengthField:
		return f.stepLength(c)
	case encodingField:
		return f.stepEncoding(c)
	default:
		return false // run has passed what may
	}
}

// stepName passes a byte of a field's name. White space is none, so there are neither folded lines nor spaces before a
// colon (RFC 9112 §5.1, §5.2).
func (f *framing) stepName(c byte) bool {
	switch {
	case c == '\r' && f.n == 0:
		return f.to(atHeadLF)
	case c == ':':
		return f.n > 0 && f.startValue()
	default:
		return false // runName has passed what may
	}
}

// startValue refuses a second statement about the body's length, whether or not it says the same: Content-Length twice,
// or together with Transfer-Encoding (RFC 9112 §6.1, §6.3); either in a trailer; and Transfer-Encoding in HTTP/1.0.
func (f *framing) startValue() bool {
	f.field = otherField
	if f.n <= len(f.name) {
		switch string(f.name[:f.n]) {
		case contentLength:
			f.field = lengthField
		case transferEncoding:
			f.field = encodingField
		}
	}
	f.to(atValue)
	switch f.field {
	case lengthField:
		again := f.sized || f.chunked
		f.sized, f.left, f.gap = true, 0, false
		return !again
	case encodingField:
		again := f.sized || f.chunked
		f.chunked, f.gap = true, false
		return !again && !f.old
	default:
		return true
	}
}

// stepLength passes a byte of a Content-Length: digits, and white space around them. A zero does not start a longer
// number, since that is octal to some.
func (f *framing) stepLength(c byte) bool {
	if isBlank(c) {
		f.gap = f.n > 0
		return true
	}
	ok := '0' <= c && c <= '9' && !f.gap && f.n < maxLengthDigits && (f.n == 0 || f.left > 0)
	f.left = f.left*10 + uint64(c-'0')
	f.n++
	return ok
}

// stepEncoding passes a byte of a Transfer-Encoding: the one word that everybody understands, and white space around it.
func (f *framing) stepEncoding(c byte) bool {
	if isBlank(c) {
		f.gap = f.n > 0
		return true
	}
	ok := !f.gap && f.n < len(chunkedCoding) && c == chunkedCoding[f.n]
	f.n++
	return ok
}

// endField reports whether the value was whole.
func (f *framing) endField() bool {
	switch f.field {
	case lengthField:
		return f.n > 0
	case encodingField:
		return f.n == len(chunkedCoding)
	default:
		return true
	}
}

func (f *framing) endHead() bool {
	switch {
	case f.trailer:
		f.next()
	case f.chunked:
		f.to(atChunkSize)
	case f.left > 0:
		f.to(atBody)
	default:
		f.next()
	}
	return true
}

// stepChunk passes a byte of what is around the data of chunks (RFC 9112 §7.1).
func (f *framing) stepChunk(c byte) bool {
	switch f.at {
	case atChunkSize:
		return f.stepSize(c)
	case atExtension:
		if c == '\r' {
			return f.to(atChunkLF)
		}
		f.n++
		return is(c, text) && f.n <= maxExtension
	case atChunkLF:
		return c == '\n' && f.startChunk()
	case atChunkEnd:
		return c == '\r' && f.to(atChunkEndLF)
	default: // atChunkEndLF
		return c == '\n' && f.to(atChunkSize)
	}
}

func (f *framing) stepSize(c byte) bool {
	if f.n == 0 {
		f.left = 0
	}
	switch c {
	case '\r':
		return f.n > 0 && f.to(atChunkLF)
	case ';':
		return f.n > 0 && f.to(atExtension)
	}
	f.left = f.left<<4 | uint64(hexValue(c))
	f.n++
	return is(c, hex) && f.n <= maxSizeDigits
}

func (f *framing) startChunk() bool {
	if f.left > 0 {
		return f.to(atChunk)
	}
	f.trailer = true
	return f.to(atName)
}

// to goes on with another element. It reports true, for the sake of its callers.
func (f *framing) to(at place) bool {
	f.at, f.n = at, 0
	return true
}

// next goes on with another request.
func (f *framing) next() { *f = framing{} }
