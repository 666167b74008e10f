package usagepack

import (
	"cmp"
	"encoding/binary"
	"hash/crc32"
	"slices"
	"time"

	"github.com/latchward/latchward"
)

// Cell is a sum over requests that have all of the key in common.
type Cell struct {
	Token      latchward.TokenID // 0 for JWTs, and where tokens are not told apart
	Credential latchward.CredentialType
	Endpoint   string
	Method     string
	Class      int // first digit of the status
	latchward.UsageCell
}

// Compare compares the keys of cells.
func (c *Cell) Compare(other *Cell) int {
	if n := cmp.Compare(c.Token, other.Token); n != 0 {
		return n
	}
	return cmp.Or(cmp.Compare(c.Endpoint, other.Endpoint), cmp.Compare(c.Method, other.Method),
		cmp.Compare(c.Class, other.Class), cmp.Compare(c.Credential, other.Credential))
}

// MergeCells returns the cells of two lists, each sorted and without two of the same key, as such a list.
func MergeCells(a, b []Cell) []Cell {
	merged := make([]Cell, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		switch n := a[0].Compare(&b[0]); {
		case n < 0:
			merged, a = append(merged, a[0]), a[1:]
		case n > 0:
			merged, b = append(merged, b[0]), b[1:]
		default:
			both := a[0]
			both.Add(b[0].UsageCell)
			merged, a, b = append(merged, both), a[1:], b[1:]
		}
	}
	return append(append(merged, a...), b...)
}

// The columns of cells, as those of events; the last three are entries of dictionaries.
const (
	cellToken = iota // less that of the cell before
	cellClass
	cellRequests
	cellFailed
	cellDuration // nanoseconds
	cellRequestBytes
	cellResponseBytes
	cellEndpoint
	cellMethod
	cellCredential
	cellColumns
)

const (
	cellsVersion = 1
	plainCells   = 0 // as they are, with a checksum
	packedCells  = 1 // compressed
	packFrom     = 1024
)

// PackCells returns cells as a payload. Sort them before: close tokens take less space.
func (c *Codec) PackCells(cells []Cell) []byte {
	var columns [cellColumns][]byte
	var texts [cellColumns - cellEndpoint]dictionary
	token := latchward.TokenID(0)
	number := func(column int, n int64) { columns[column] = binary.AppendVarint(columns[column], n) }
	text := func(column int, text string) {
		columns[column] = binary.AppendUvarint(columns[column], texts[column-cellEndpoint].entry(text))
	}
	for i := range cells {
		cell := &cells[i]
		number(cellToken, int64(cell.Token-token))
		token = cell.Token
		number(cellClass, int64(cell.Class))
		number(cellRequests, cell.Requests)
		number(cellFailed, cell.Failed)
		number(cellDuration, int64(cell.Duration))
		number(cellRequestBytes, cell.RequestBytes)
		number(cellResponseBytes, cell.ResponseBytes)
		text(cellEndpoint, cell.Endpoint)
		text(cellMethod, cell.Method)
		text(cellCredential, string(cell.Credential))
	}
	b := binary.AppendUvarint([]byte{plainCells, cellsVersion}, uint64(len(cells)))
	for i := range texts {
		b = appendList(b, texts[i].list)
	}
	for _, column := range columns {
		b = append(binary.AppendUvarint(b, uint64(len(column))), column...)
	}
	if len(b) < packFrom {
		return binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	}
	return c.encoder.EncodeAll(b[1:], []byte{packedCells})
}

// CellReader reads the cells of a payload one after the other.
type CellReader struct {
	n       uint64
	token   latchward.TokenID
	columns [cellColumns]input
	texts   [cellColumns - cellEndpoint][]string
}

// ReadCells returns a reader of a payload, or an error when it is damaged.
func (c *Codec) ReadCells(payload []byte) (*CellReader, error) {
	plain, err := c.plainCells(payload)
	if err != nil {
		return nil, err
	}
	if len(plain) == 0 || plain[0] != cellsVersion {
		return nil, errDamaged
	}
	in, r := input{text: string(plain[1:])}, &CellReader{}
	r.n = in.unsigned()
	for i := range r.texts {
		r.texts[i] = in.list()
	}
	for i := range r.columns {
		r.columns[i].text = in.string(in.unsigned())
	}
	if in.damaged || len(in.text) > 0 || r.n > uint64(len(plain)) {
		return nil, errDamaged
	}
	return r, nil
}

func (c *Codec) plainCells(payload []byte) ([]byte, error) {
	switch {
	case len(payload) > 5 && payload[0] == plainCells:
		body := payload[:len(payload)-4]
		if binary.LittleEndian.Uint32(payload[len(body):]) != crc32.ChecksumIEEE(body) {
			return nil, errDamaged
		}
		return body[1:], nil
	case len(payload) > 1 && payload[0] == packedCells:
		return c.decoder.DecodeAll(payload[1:], nil)
	}
	return nil, errDamaged
}

// Next reads the next cell. False says that there is none, and with an error that the payload is damaged: then nothing
// that was read may be believed.
func (r *CellReader) Next(cell *Cell) (bool, error) {
	if r.n == 0 {
		return false, r.damage()
	}
	r.n--
	r.token += latchward.TokenID(r.columns[cellToken].signed())
	cell.Token = r.token
	cell.Class = int(r.columns[cellClass].signed())
	cell.Requests = r.columns[cellRequests].signed()
	cell.Failed = r.columns[cellFailed].signed()
	cell.Duration = time.Duration(r.columns[cellDuration].signed())
	cell.RequestBytes = r.columns[cellRequestBytes].signed()
	cell.ResponseBytes = r.columns[cellResponseBytes].signed()
	cell.Endpoint, cell.Method = r.text(cellEndpoint), r.text(cellMethod)
	cell.Credential = latchward.CredentialType(r.text(cellCredential))
	return true, nil
}

// NextRequests reads of the next cell whose it is and how many requests it tells of, which takes a quarter of the time.
// Use either this or Next.
func (r *CellReader) NextRequests() (token latchward.TokenID, requests int64, more bool, err error) {
	if r.n == 0 {
		return 0, 0, false, r.damage()
	}
	r.n--
	r.token += latchward.TokenID(r.columns[cellToken].signed())
	return r.token, r.columns[cellRequests].signed(), true, nil
}

func (r *CellReader) damage() error {
	for i := range r.columns {
		if r.columns[i].damaged {
			return errDamaged
		}
	}
	return nil
}

func (r *CellReader) text(column int) string {
	list := r.texts[column-cellEndpoint]
	if entry := r.columns[column].entry(len(list)); entry >= 0 {
		return list[entry]
	}
	return ""
}

// Cells returns all cells of a payload.
func (c *Codec) Cells(payload []byte) ([]Cell, error) {
	r, err := c.ReadCells(payload)
	if err != nil {
		return nil, err
	}
	cells := make([]Cell, 0, r.n)
	for {
		var cell Cell
		more, err := r.Next(&cell)
		if !more || err != nil {
			return cells, err
		}
		cells = append(cells, cell)
	}
}

// SortCells sorts cells by their keys.
func SortCells(cells []Cell) {
	slices.SortFunc(cells, func(a, b Cell) int { return a.Compare(&b) })
}
