package usagepack

import (
	"encoding/binary"
	"errors"
	"math"
	"net/netip"
	"time"

	"github.com/latchward/latchward"
)

// errDamaged says that a payload is not what a codec wrote.
var errDamaged = errors.New("a pack of usage events is damaged")

const version = 1

// The columns of a pack. Each is a list of varints, one per event; those of texts and addresses say which entry of a
// dictionary.
const (
	columnToken = iota // less that of the event before
	columnAt           // less that of the event before; for the first less the oldest
	columnUser
	columnStatus
	columnDuration // nanoseconds
	columnRequestBytes
	columnResponseBytes
	columnEndpoint
	columnMethod
	columnCredential
	columnReason
	columnAgent
	columnAddress
	columnRequestID
	columns
)

// The dictionaries, in the order in which they are written.
const (
	firstDictionary = columnEndpoint
	dictionaries    = columns - firstDictionary
)

// writer makes columns of events.
type writer struct {
	n            uint64
	token        latchward.TokenID
	at, first    int64
	columns      [columns][]byte
	dictionaries [dictionaries]dictionary
	addresses    map[netip.Addr]uint64
	address      netip.Addr // the last, and its entry
	addressEntry uint64
}

func (w *writer) add(e *latchward.UsageEvent) {
	if w.n == 0 {
		w.first, w.addresses = w.at, map[netip.Addr]uint64{}
		w.addressEntry = w.addressOf(netip.Addr{})
	}
	at := e.At.UnixMilli()
	w.number(columnToken, int64(e.TokenID-w.token))
	w.number(columnAt, at-w.at)
	w.token, w.at = e.TokenID, at
	w.number(columnUser, int64(e.UserID))
	w.number(columnStatus, int64(e.Status))
	w.number(columnDuration, int64(e.Duration))
	w.number(columnRequestBytes, e.RequestBytes)
	w.number(columnResponseBytes, e.ResponseBytes)
	w.text(columnEndpoint, e.Endpoint)
	w.text(columnMethod, e.Method)
	w.text(columnCredential, string(e.Credential))
	w.text(columnReason, string(e.Reason))
	w.text(columnAgent, e.UserAgent)
	if e.Address != w.address {
		w.address, w.addressEntry = e.Address, w.addressOf(e.Address)
	}
	w.entry(columnAddress, w.addressEntry)
	w.text(columnRequestID, e.RequestID)
	w.n++
}

func (w *writer) number(column int, n int64) {
	w.columns[column] = binary.AppendVarint(w.columns[column], n)
}

func (w *writer) entry(column int, n uint64) {
	w.columns[column] = binary.AppendUvarint(w.columns[column], n)
}

func (w *writer) text(column int, text string) {
	w.entry(column, w.dictionaries[column-firstDictionary].entry(text))
}

func (w *writer) addressOf(address netip.Addr) uint64 {
	entry, known := w.addresses[address]
	if !known {
		bytes, _ := address.AppendBinary(nil) // never fails
		entry = w.dictionaries[columnAddress-firstDictionary].entry(string(bytes))
		w.addresses[address] = entry
	}
	return entry
}

// bytes returns what newReader reads.
func (w *writer) bytes() []byte {
	b := binary.AppendUvarint([]byte{version}, w.n)
	b = binary.AppendVarint(b, w.first)
	for i := range w.dictionaries {
		b = appendList(b, w.dictionaries[i].list)
	}
	for _, column := range w.columns {
		b = binary.AppendUvarint(b, uint64(len(column)))
		b = append(b, column...)
	}
	return b
}

func appendList(b []byte, list []string) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, text := range list {
		b = append(binary.AppendUvarint(b, uint64(len(text))), text...)
	}
	return b
}

// dictionary gives each text a number. Most events have the text of the one before.
type dictionary struct {
	entries   map[string]uint64
	list      []string
	last      string
	lastEntry uint64
}

func (d *dictionary) entry(text string) uint64 {
	if text == d.last && d.list != nil {
		return d.lastEntry
	}
	entry, known := d.entries[text]
	if !known {
		if d.entries == nil {
			d.entries = map[string]uint64{}
		}
		entry = uint64(len(d.list))
		d.entries[text], d.list = entry, append(d.list, text)
	}
	d.last, d.lastEntry = text, entry
	return entry
}

// reader reads events from what writer.bytes made, and distrusts it.
type reader struct {
	n            uint64
	token        latchward.TokenID
	at           int64
	columns      [columns]input
	dictionaries [dictionaries][]string
	addresses    []netip.Addr
}

func newReader(plain []byte) (*reader, error) {
	if len(plain) == 0 || plain[0] != version {
		return nil, errDamaged
	}
	in, r := input{text: string(plain[1:])}, &reader{}
	r.n, r.at = in.unsigned(), in.signed()
	for i := range r.dictionaries {
		r.dictionaries[i] = in.list()
	}
	for i := range r.columns {
		r.columns[i].text = in.string(in.unsigned())
	}
	for _, bytes := range r.dictionaries[columnAddress-firstDictionary] {
		var address netip.Addr
		if err := address.UnmarshalBinary([]byte(bytes)); err != nil {
			return nil, errDamaged
		}
		r.addresses = append(r.addresses, address)
	}
	if in.damaged || len(in.text) > 0 || r.n > MaxEvents {
		return nil, errDamaged
	}
	return r, nil
}

func (r *reader) events(token *latchward.TokenID, f func(*latchward.UsageEvent) error) error {
	for range r.n {
		e := r.next()
		for i := range r.columns {
			if r.columns[i].damaged {
				return errDamaged
			}
		}
		if token == nil || *token == e.TokenID {
			if err := f(&e); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *reader) next() latchward.UsageEvent {
	r.token += latchward.TokenID(r.columns[columnToken].signed())
	r.at += r.columns[columnAt].signed()
	e := latchward.UsageEvent{
		At:            time.UnixMilli(r.at).UTC(),
		TokenID:       r.token,
		UserID:        latchward.UserID(r.columns[columnUser].signed()),
		Status:        int(r.columns[columnStatus].signed()),
		Duration:      time.Duration(r.columns[columnDuration].signed()),
		RequestBytes:  r.columns[columnRequestBytes].signed(),
		ResponseBytes: r.columns[columnResponseBytes].signed(),
		Endpoint:      r.text(columnEndpoint),
		Method:        r.text(columnMethod),
		Credential:    latchward.CredentialType(r.text(columnCredential)),
		Reason:        latchward.Reason(r.text(columnReason)),
		UserAgent:     r.text(columnAgent),
		RequestID:     r.text(columnRequestID),
	}
	if entry := r.columns[columnAddress].entry(len(r.addresses)); entry >= 0 {
		e.Address = r.addresses[entry]
	}
	return e
}

func (r *reader) text(column int) string {
	list := r.dictionaries[column-firstDictionary]
	if entry := r.columns[column].entry(len(list)); entry >= 0 {
		return list[entry]
	}
	return ""
}

// input is text that is read from its beginning. What is read behind a damage is zero.
type input struct {
	text    string
	damaged bool
}

func (in *input) unsigned() uint64 {
	if len(in.text) > 0 && in.text[0] < 0x80 {
		n := uint64(in.text[0])
		in.text = in.text[1:]
		return n
	}
	n, shift := uint64(0), uint(0)
	for i := 0; i < len(in.text) && i < binary.MaxVarintLen64; i++ {
		b := in.text[i]
		n |= uint64(b&0x7f) << shift
		if b < 0x80 {
			in.text = in.text[i+1:]
			return n
		}
		shift += 7
	}
	in.damaged = true
	return 0
}

func (in *input) signed() int64 {
	n := in.unsigned()
	return int64(n>>1) ^ -int64(n&1)
}

// entry reads the number of an entry of a dictionary of n; -1 when there is none.
func (in *input) entry(n int) int {
	entry := in.unsigned()
	if entry >= uint64(n) {
		in.damaged = true
		return -1
	}
	return int(entry)
}

func (in *input) string(n uint64) string {
	if n > uint64(len(in.text)) {
		in.damaged = true
		return ""
	}
	text := in.text[:n]
	in.text = in.text[n:]
	return text
}

func (in *input) list() []string {
	n := in.unsigned()
	if n > math.MaxInt32 || n > uint64(len(in.text)) { // each takes a byte at least
		in.damaged = true
		return nil
	}
	list := make([]string, 0, n)
	for range n {
		list = append(list, in.string(in.unsigned()))
	}
	return list
}
