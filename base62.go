package latchward

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
)

// base62Digits are the digits in the order of their values, which is also their order in ASCII.
const base62Digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// appendBase62 appends n in so many digits, most significant first, padded with 0.
func appendBase62(text []byte, n uint64, width int) []byte {
	text = append(text, make([]byte, width)...)
	for i := len(text) - 1; i >= len(text)-width; i-- {
		text[i] = base62Digit(n % 62)
		n /= 62
	}
	return text
}

// base62Digit returns the digit of value 0 to 61. It computes rather than looks up, because the place of a byte in
// a table would show in the processor's cache, and tags are compared in secret.
func base62Digit(value uint64) byte {
	const toUpper, toLower = 'A' - '9' - 1, 'a' - 'Z' - 1
	// A difference below zero wraps around and has its high bits set, which the mask keeps.
	return byte('0' + value + (9-value)>>60&toUpper + (35-value)>>60&toLower)
}

// base62Value returns the value of a digit; for any other byte the result means nothing.
func base62Value(digit byte) uint64 {
	const toUpper, toLower = 'A' - '9' - 1, 'a' - 'Z' - 1
	c := uint64(digit)
	return c - '0' - ('9'-c)>>60&toUpper - ('Z'-c)>>60&toLower
}

// readBase62 returns the number that at most ten digits spell. For digits of one width no two are the same number.
func readBase62(digits string) (n uint64) {
	for i := range len(digits) {
		n = n*62 + base62Value(digits[i])
	}
	return n
}

// isBase62 reports whether text is at least eight bytes, all of them digits.
func isBase62(text string) bool {
	data := stringBytes(text)
	if len(data) < 8 {
		return false
	}
	// The last eight bytes first: they overlap those before when the length is no multiple of eight.
	high := base62Bytes(binary.LittleEndian.Uint64(data[len(data)-8:]))
	for ; len(data) >= 8; data = data[8:] {
		high &= base62Bytes(binary.LittleEndian.Uint64(data))
	}
	return high&(0x80*eachByte) == 0x80*eachByte
}

// eachByte times a byte is eight of that byte.
const eachByte = 0x0101_0101_0101_0101

// base62Bytes sets the highest bit of each byte of eight that is a digit, and no others while all are below 0x80. Of
// those from there on, the first keeps its bit clear and may carry into the next: enough to refuse the eight. No
// branch is taken, because random digits would have it mispredicted.
func base62Bytes(eight uint64) uint64 {
	const from0, after9 = (0x80 - '0') * eachByte, (0x80 - '9' - 1) * eachByte
	const fromA, afterZ = (0x80 - 'a') * eachByte, (0x80 - 'z' - 1) * eachByte
	lower := eight | 0x20*eachByte
	digit := (eight + from0) &^ (eight + after9)
	letter := (lower + fromA) &^ (lower + afterZ)
	return digit | letter
}

// maxRandomReads bounds the search for usable bytes: needing a second read has a chance of one in a million.
const maxRandomReads = 16

// appendRandomDigits appends n >= 2 random digits, each of the 62 equally likely: bytes from 248 (4 x 62) on are
// passed over, where a remainder would favour the first eight digits.
func appendRandomDigits(text []byte, random io.Reader, n int) ([]byte, error) {
	start, end := len(text), len(text)+n
	var source [40]byte
	for range maxRandomReads {
		if _, err := io.ReadFull(random, source[:]); err != nil {
			return nil, err
		}
		for _, b := range source {
			if b < 248 && len(text) < end {
				text = append(text, base62Digit(uint64(b)%62))
			}
		}
		if len(text) == end {
			return text, notConstant(text[start:])
		}
	}
	return nil, errNotRandom
}

var errNotRandom = errors.New("random bytes repeat themselves")

// notConstant refuses what a broken source delivers without an error: the same byte over and over.
func notConstant(data []byte) error {
	if bytes.Count(data, data[:1]) == len(data) {
		return errNotRandom
	}
	return nil
}
