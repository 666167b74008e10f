package latchward

import (
	"bytes"
	"errors"
	"io"
)

// base62Digits are the digits in the order of their values, which is also their order in ASCII.
const base62Digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// putBase62 fills digits with n, most significant first, padded with 0. A number too large loses its high digits.
func putBase62(digits []byte, n uint64) {
	for i := len(digits) - 1; i >= 0; i-- {
		digits[i] = base62Digit(n % 62)
		n /= 62
	}
}

// base62Digit returns the digit of value 0 to 61. It computes rather than looks up, because the place of a byte in
// a table would show in the processor's cache, and tags are compared in secret.
func base62Digit(value uint64) byte {
	const toUpper, toLower = 'A' - '9' - 1, 'a' - 'Z' - 1
	// A difference below zero wraps around and has its high bits set, which the mask keeps.
	return byte('0' + value + (9-value)>>60&toUpper + (35-value)>>60&toLower)
}

// base62Value returns the value of a digit, and 0 for any other byte.
func base62Value(digit byte) int {
	switch {
	case '0' <= digit && digit <= '9':
		return int(digit - '0')
	case 'A' <= digit && digit <= 'Z':
		return int(digit-'A') + 10
	case 'a' <= digit && digit <= 'z':
		return int(digit-'a') + 36
	default:
		return 0
	}
}

// isBase62 reports whether every byte of text is a digit.
func isBase62(text string) bool {
	// One bit for each byte value: testing it takes no branch that random digits would mispredict.
	const digits, letters = 0x03ff_0000_0000_0000, 0x07ff_fffe_07ff_fffe
	set := [4]uint64{digits, letters}
	all := uint64(1)
	for i := range len(text) {
		all &= set[text[i]>>6] >> (text[i] & 63)
	}
	return all == 1
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

var errNotRandom = errors.New("the source of random bytes repeats itself")

// notConstant refuses what a broken source delivers without an error: the same byte over and over.
func notConstant(data []byte) error {
	if bytes.Count(data, data[:1]) == len(data) {
		return errNotRandom
	}
	return nil
}
