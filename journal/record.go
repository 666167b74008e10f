package journal

import (
	"encoding/binary"
	"hash/crc32"
	"net/netip"
	"time"

	"github.com/latchward/latchward"
)

// A record is an event as rings and segments hold it. Numbers are little-endian:
//
//	 0 stamp u64            (position + 1) XOR key of the ring; written last
//	 8 CRC-32C u32          of everything behind it
//	12 length u16           in units of 32 bytes
//	14 kind u8, version u8
//	16 time i64             nanoseconds since 1970
//	24 token i64, user i64, request bytes i64, response bytes i64, duration i64 (nanoseconds)
//	64 status u32
//	68 kind of address u8   0 none, 4, 6
//	69 lengths u8 of reason, credential, method, endpoint, agent, request id
//	76 address [16]
//	92 those six texts
const (
	unit       = 32
	headLength = 92
	maxText    = 255
	texts      = 6
	maxRecord  = (headLength + texts*maxText + unit - 1) / unit * unit
)

const (
	kindPad   = 1 // fills the end of a ring
	kindEvent = 2

	recordVersion = 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// draft is an event on its way into a ring: what of its texts is kept, and how long the record is.
type draft struct {
	event  *latchward.UsageEvent
	texts  [texts]string
	length int
}

func newDraft(e *latchward.UsageEvent) draft {
	d := draft{event: e, length: headLength, texts: [texts]string{
		string(e.Reason), string(e.Credential), e.Method, e.Endpoint, e.UserAgent, e.RequestID,
	}}
	for i := range d.texts {
		d.texts[i] = d.texts[i][:min(maxText, len(d.texts[i]))]
		d.length += len(d.texts[i])
	}
	d.length = (d.length + unit - 1) / unit * unit
	return d
}

// write writes the record, but for its stamp, to b, which has its length.
func (d *draft) write(b []byte) {
	e, le := d.event, binary.LittleEndian
	le.PutUint16(b[12:], uint16(len(b)/unit))
	b[14], b[15] = kindEvent, recordVersion
	le.PutUint64(b[16:], uint64(e.At.UnixNano()))
	le.PutUint64(b[24:], uint64(e.TokenID))
	le.PutUint64(b[32:], uint64(e.UserID))
	le.PutUint64(b[40:], uint64(e.RequestBytes))
	le.PutUint64(b[48:], uint64(e.ResponseBytes))
	le.PutUint64(b[56:], uint64(e.Duration))
	le.PutUint32(b[64:], uint32(e.Status))
	b[68], b[75] = 0, 0
	clear(b[76:92])
	if e.Address.IsValid() {
		b[68] = 6
		if e.Address.Is4() {
			b[68] = 4
		}
		address := e.Address.As16()
		copy(b[76:], address[:])
	}
	at := headLength
	for i, text := range d.texts {
		b[69+i] = byte(len(text))
		at += copy(b[at:], text)
	}
	clear(b[at:])
	seal(b)
}

// writePad makes a record of b that holds nothing.
func writePad(b []byte) {
	clear(b)
	binary.LittleEndian.PutUint16(b[12:], uint16(len(b)/unit))
	b[14], b[15] = kindPad, recordVersion
	seal(b)
}

func seal(b []byte) { binary.LittleEndian.PutUint32(b[8:], crc32.Checksum(b[12:], castagnoli)) }

// recordLength returns how long the record at the beginning of b is, and whether it is whole; its stamp is not looked
// at.
func recordLength(b []byte) (length int, whole bool) {
	if len(b) < unit {
		return 0, false
	}
	length = int(binary.LittleEndian.Uint16(b[12:])) * unit
	if length == 0 || length > maxRecord || length > len(b) {
		return 0, false
	}
	return length, binary.LittleEndian.Uint32(b[8:]) == crc32.Checksum(b[12:length], castagnoli)
}

// readRecord reads a record, which is whole. Its texts are parts of b. False means that it is none of this version.
func readRecord(b string, e *latchward.UsageEvent) bool {
	if len(b) < headLength || b[14] != kindEvent || b[15] != recordVersion {
		return false
	}
	*e = latchward.UsageEvent{
		At:            time.Unix(0, number(b[16:])).UTC(),
		TokenID:       latchward.TokenID(number(b[24:])),
		UserID:        latchward.UserID(number(b[32:])),
		RequestBytes:  number(b[40:]),
		ResponseBytes: number(b[48:]),
		Duration:      time.Duration(number(b[56:])),
		Status:        int(int32(number(b[64:]))),
	}
	switch b[68] {
	case 4:
		e.Address = netip.AddrFrom4([4]byte([]byte(b[88:92])))
	case 6:
		e.Address = netip.AddrFrom16([16]byte([]byte(b[76:92])))
	}
	var parts [texts]string
	rest := b[headLength:]
	for i := range parts {
		n := int(b[69+i])
		if n > len(rest) {
			return false
		}
		parts[i], rest = rest[:n], rest[n:]
	}
	e.Reason, e.Credential = latchward.Reason(parts[0]), latchward.CredentialType(parts[1])
	e.Method, e.Endpoint, e.UserAgent, e.RequestID = parts[2], parts[3], parts[4], parts[5]
	return true
}

func number(b string) int64 {
	_ = b[7]
	return int64(uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 |
		uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56)
}
