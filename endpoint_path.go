package latchward

import (
	"strings"
	"unicode/utf8"
)

// MaxPathBytes is the length of the longest path, as sent and in canonical form.
const MaxPathBytes = 8192

// CanonicalPath returns the one spelling in which a path is matched, counted and forwarded. raw is the path as it came
// over the wire: with its escapes, without query and fragment. A path that already has this form is returned as it is,
// without an allocation; the form of a form is itself.
//
// It starts with "/", and a trailing slash stays: it makes another path. What may not stand there literally is spelled
// as RFC 3986 §6.2.2 has it, and nothing else is changed:
//
//   - escaped letters, digits and "-._~" are decoded: %31 becomes 1;
//   - the hexadecimal digits of all other escapes become upper case; so %3F, %23, %20, %40 and %2A stay escaped,
//     as they may mean something else when they are not;
//   - literal bytes outside ASCII and any of "<>[]^`{|} are escaped.
//
// A path that servers are known to read in different ways is refused, with an error of code invalid and the field
// "path". In any spelling:
//
//   - segments "." and "..", empty segments ("//");
//   - an escaped slash (%2F), a backslash, a semicolon (parameters of a segment);
//   - control characters (Unicode category Cc: NUL, CR, LF, DEL, U+0085, ...);
//   - double escapes: %25 before two hexadecimal digits;
//   - escapes that are malformed, and bytes that are not UTF-8, over-long forms and surrogates included;
//
// and a literal "?", "#" or space, the empty path, and one longer than [MaxPathBytes] in either form.
func CanonicalPath(raw string) (string, error) {
	path, fault := canonicalPath(raw)
	if fault != "" {
		return "", Invalid("path", "path %s", fault)
	}
	return path, nil
}

// JudgedPath returns a canonical path without the base of an enforcement point, and whether it is under that base at
// all: the base ends where a segment ends. With the base "/api", "/api/products" becomes "/products", "/api" and
// "/api/" become "/", and "/apix" is not under it. base comes from [ValidateBase]; "" and "/" mean none.
func JudgedPath(canonical, base string) (string, bool) {
	rest, under := strings.CutPrefix(canonical, strings.TrimSuffix(base, "/"))
	switch {
	case !under || canonical == "":
		return "", false
	case rest == "":
		return "/", true
	case rest[0] != '/':
		return "", false
	default:
		return rest, true
	}
}

// ValidateBase returns the base of an enforcement point in the form [JudgedPath] takes: a canonical path without a
// slash at its end, "" for none. What [CanonicalPath] refuses is an error of code invalid and field "base".
func ValidateBase(base string) (string, error) {
	if base == "" {
		return "", nil
	}
	path, fault := canonicalPath(base)
	if fault != "" {
		return "", Invalid("base", "base %s", fault)
	}
	return strings.TrimSuffix(path, "/"), nil
}

// pathFault says why a path is refused, as the end of a sentence about it; "" means that it is not.
type pathFault string

const (
	faultStart    pathFault = "does not start with /; send an absolute path"
	faultLong     pathFault = "is longer than 8192 bytes; shorten it"
	faultEmpty    pathFault = "has an empty segment (//); send single slashes"
	faultDot      pathFault = "has a . or .. segment; send the path that it stands for"
	faultEscape   pathFault = "has a malformed escape; write a literal percent sign as %25"
	faultDouble   pathFault = "is escaped twice (%25 before two hexadecimal digits); escape it once"
	faultUTF8     pathFault = "has bytes that are not UTF-8; encode it as UTF-8"
	faultControl  pathFault = "has a control character; leave it out"
	faultSlash    pathFault = "has an escaped slash (%2F); send a slash, or use another separator"
	faultBack     pathFault = "has a backslash; use a slash or another separator"
	faultParam    pathFault = "has a semicolon; send parameters in the query"
	faultQuery    pathFault = "has a literal ? or #; send it without query and fragment, or escape them"
	faultSpace    pathFault = "has a literal space; write it as %20"
	faultSpelling pathFault = "is not in canonical form" // what respell mends; callers never see it
)

// canonicalPath is CanonicalPath with the bare fault. It judges what it returns, so it cannot return what it would
// refuse, or spell differently, the next time.
func canonicalPath(raw string) (string, pathFault) {
	if len(raw) > MaxPathBytes {
		return "", faultLong
	}
	if judgePath(raw) == "" {
		return raw, ""
	}
	path, ok := respell(raw)
	if !ok {
		return "", faultEscape
	}
	if fault := judgePath(path); fault != "" {
		return "", fault
	}
	return path, ""
}

// judgePath returns the first reason why path is not a canonical path.
func judgePath(path string) pathFault {
	switch {
	case !strings.HasPrefix(path, "/"):
		return faultStart
	case len(path) > MaxPathBytes:
		return faultLong
	}
	start := 1 // of the segment
	for i := 1; i < len(path); {
		c, length, fault := path[i], 1, pathFault("")
		switch {
		case literals[c]:
			i++
			continue
		case c == '/':
			fault = judgeSegment(path[start:i])
			start = i + 1
		case c == '%':
			length, fault = judgeEscape(path[i:])
		default:
			fault = judgeLiteral(c)
		}
		if fault != "" {
			return fault
		}
		i += length
	}
	if start == len(path) {
		return "" // a trailing slash
	}
	return judgeSegment(path[start:])
}

func judgeSegment(segment string) pathFault {
	switch segment {
	case "":
		return faultEmpty
	case ".", "..":
		return faultDot
	default:
		return ""
	}
}

// judgeLiteral judges a literal byte that is not in the alphabet of canonical paths.
func judgeLiteral(c byte) pathFault {
	switch c {
	case '?', '#':
		return faultQuery
	case ' ':
		return faultSpace
	}
	if fault := judgeByte(c); fault != "" {
		return fault
	}
	return faultSpelling
}

// judgeByte judges an ASCII character for what it means, literal or escaped.
func judgeByte(c byte) pathFault {
	switch {
	case c == ';':
		return faultParam
	case c == '\\':
		return faultBack
	case c < ' ' || c == 0x7f:
		return faultControl
	default:
		return ""
	}
}

// judgeEscape judges the escaped character at the start of s and returns its length in s: 3 bytes for ASCII, up to 12
// for others.
func judgeEscape(s string) (int, pathFault) {
	c, ok := canonicalEscape(s)
	switch {
	case !ok || isUnreserved(c):
		return 0, faultSpelling
	case c >= utf8.RuneSelf:
		return judgeRune(s)
	case c == '/':
		return 0, faultSlash
	case c == '%' && len(s) >= 5 && isHex(s[3]) && isHex(s[4]):
		return 0, faultDouble
	default:
		return 3, judgeByte(c)
	}
}

// judgeRune is judgeEscape for a character outside ASCII.
func judgeRune(s string) (int, pathFault) {
	var encoded [utf8.UTFMax]byte
	n := 0
	for n < len(encoded) {
		c, ok := canonicalEscape(s[3*n:])
		if !ok {
			break
		}
		encoded[n] = c
		n++
	}
	r, size := utf8.DecodeRune(encoded[:n])
	switch {
	case size == 1: // no character: those outside ASCII have two bytes or more
		return 0, faultUTF8
	case r < 0xa0: // C1, U+0080 to U+009F
		return 0, faultControl
	default:
		return 3 * size, ""
	}
}

// respell returns raw with everything spelled canonically that has a canonical spelling, and whether its escapes are
// well formed. The rest is left for judgePath to refuse.
func respell(raw string) (string, bool) {
	out := make([]byte, 0, len(raw)+len(raw)/2)
	for i := 0; i < len(raw); i++ {
		c, escaped := raw[i], raw[i] == '%'
		if escaped {
			var ok bool
			if c, ok = unescape(raw[i:]); !ok {
				return "", false
			}
			i += 2
		}
		if !isUnreserved(c) && (escaped || needsEscape(c)) {
			out = append(out, '%', upperHex[c>>4], upperHex[c&15])
		} else {
			out = append(out, c)
		}
	}
	return string(out), true
}

const upperHex = "0123456789ABCDEF"

// isUnreserved reports whether a character means the same escaped and literal (RFC 3986 §2.3).
func isUnreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '-' || c == '.' || c == '_' || c == '~'
}

// isLiteral reports whether a canonical path can hold c literally within a segment: pchar of RFC 3986 §3.3 without
// the semicolon.
func isLiteral(c byte) bool {
	return isUnreserved(c) || strings.IndexByte("!$&'()*+,=:@", c) >= 0
}

// literals answers isLiteral for every byte of every path that is judged.
var literals = func() (table [256]bool) {
	for c := range table {
		table[c] = isLiteral(byte(c))
	}
	return table
}()

// needsEscape reports whether a literal c has a meaning, but only an escaped spelling.
func needsEscape(c byte) bool {
	return c >= utf8.RuneSelf || strings.IndexByte("\"<>[]^`{|}", c) >= 0
}

// canonicalEscape is unescape for upper-case digits only.
func canonicalEscape(s string) (byte, bool) {
	c, ok := unescape(s)
	return c, ok && s[1] <= 'F' && s[2] <= 'F'
}

// unescape returns the byte escaped at the start of s, and whether there is one.
func unescape(s string) (byte, bool) {
	if len(s) < 3 || s[0] != '%' || !isHex(s[1]) || !isHex(s[2]) {
		return 0, false
	}
	return hexValue(s[1])<<4 | hexValue(s[2]), true
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'F' || 'a' <= c && c <= 'f'
}

// hexValue returns the value of a hexadecimal digit.
func hexValue(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c&^0x20 - 'A' + 10
}
