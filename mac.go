package latchward

import (
	"crypto/sha256"
	"encoding"
	"encoding/binary"
	"hash"
)

// macTextMax is the longest text that shares one SHA-256 block with its padding, which is a byte 0x80 and eight of
// length (FIPS 180-4 section 5.1.1). A token's prefix and payload have at most 47 bytes.
const macTextMax = sha256.BlockSize - 9

// macState computes HMAC-SHA-256 (RFC 2104) of short texts under one key, one at a time. The two blocks that depend
// on the key alone are hashed once, as FIPS 198-1 section 6 allows and crypto/hmac does too. That package finishes
// both hashes on copies, so that a caller may go on; here the padding is written ahead, and the result is read from
// the saved state. It takes three quarters of the time, in what each request has to pass.
type macState struct {
	hash         sha256State
	inner, outer []byte // saved states after the key xor ipad and the key xor opad
	text, digest [sha256.BlockSize]byte
	saved        [4 + sha256.Size + sha256.BlockSize + 8]byte
}

// sha256State is what crypto/sha256 promises of its hashes. A saved state is four bytes of magic, the chaining value
// (the digest, once the padding is in), the unfinished block and the length; newServerKey makes sure of it.
type sha256State interface {
	hash.Hash
	encoding.BinaryAppender
	encoding.BinaryUnmarshaler
}

// newMACState returns a state for a key of at most 64 bytes.
func newMACState(key []byte) *macState {
	m := &macState{hash: sha256.New().(sha256State)}
	m.inner = m.keyed(key, 0x36)
	m.outer = m.keyed(key, 0x5c)
	padBlock(&m.digest, sha256.Size)
	return m
}

// keyed returns the state after the key, padded with zeros to a block, xor pad.
func (m *macState) keyed(key []byte, pad byte) []byte {
	var block [sha256.BlockSize]byte
	copy(block[:], key)
	for i := range block {
		block[i] ^= pad
	}
	m.hash.Reset()
	m.hash.Write(block[:])
	state, _ := m.hash.AppendBinary(nil) // crypto/sha256 returns no error here and below
	return state
}

// sum returns the HMAC of text, which must not be longer than macTextMax. The result is valid until the next call.
func (m *macState) sum(text []byte) []byte {
	n := copy(m.text[:], text)
	padBlock(&m.text, n)
	digest := m.finish(m.inner, &m.text)
	clear(m.text[:n+1]) // no secret stays behind, and no padding where a shorter text would not overwrite it
	copy(m.digest[:], digest)
	return m.finish(m.outer, &m.digest)
}

// padBlock pads the n bytes in block, which is the second of its message and otherwise zero.
func padBlock(block *[sha256.BlockSize]byte, n int) {
	block[n] = 0x80
	binary.BigEndian.PutUint64(block[len(block)-8:], uint64(len(block)+n)*8)
}

// finish returns the digest of what state has hashed and a last block.
func (m *macState) finish(state []byte, last *[sha256.BlockSize]byte) []byte {
	_ = m.hash.UnmarshalBinary(state)
	m.hash.Write(last[:])
	saved, _ := m.hash.AppendBinary(m.saved[:0])
	return saved[4:][:sha256.Size]
}
