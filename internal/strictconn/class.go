package strictconn

import "encoding/binary"

// class is a set of characters, as a bit.
type class uint8

const (
	token   class = 1 << iota // of methods and names of fields (RFC 9110 §5.6.2)
	visible                   // of a request target: everything but controls and white space
	text                      // of values: everything but controls other than the tab (RFC 9110 §5.5)
	hex
)

// classes is read only.
var classes = makeClasses()

func makeClasses() (table [256]class) {
	for i := range table {
		c := byte(i)
		if c > ' ' && c != 0x7f {
			table[c] = visible | text
		}
		if isBlank(c) {
			table[c] = text
		}
		if '0' <= c && c <= '9' || 'a' <= lower(c) && lower(c) <= 'z' {
			table[c] |= token
		}
		if '0' <= c && c <= '9' || 'a' <= lower(c) && lower(c) <= 'f' {
			table[c] |= hex
		}
	}
	for _, c := range []byte("!#$%&'*+-.^_`|~") {
		table[c] |= token
	}
	return table
}

func is(c byte, of class) bool { return classes[c]&of != 0 }

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// hexValue returns the value of a hexadecimal digit, and nonsense for anything else.
func hexValue(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return lower(c) - 'a' + 10
}

// plain returns the length of a beginning of data in which nothing is below least (a printable character) or DEL, found
// eight bytes at a time. More such may follow.
func plain(data []byte, least byte) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	n, below := 0, ones*uint64(least)
	for ; len(data)-n >= 8; n += 8 {
		word := binary.LittleEndian.Uint64(data[n:])
		deletes := word ^ ones*0x7f // has a zero byte for each DEL
		if ((word-below)&^word|(deletes-ones)&^deletes)&tops != 0 {
			break
		}
	}
	return n
}
