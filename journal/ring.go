package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"unsafe"
)

// ring is memory of a file, into which anybody appends and out of which the drainer takes. Positions only grow; a
// position is a place in the file plus laps. A record's stamp is made of its position and of a key that nobody outside
// knows, so neither what an earlier lap left behind nor anything in an event looks like a record.
type ring struct {
	file *os.File
	key  uint64
	data []byte // as long as a power of two

	// put brings data[at:at+n] into the file, where data is not the file's own memory; nil where it is.
	put func(at, n int) error

	populated uint64 // head when the pages before it were made ready; the drainer's

	_    [64]byte // head, tail and what is read only are in lines of their own
	head atomic.Uint64
	_    [64]byte
	tail atomic.Uint64
	_    [64]byte
}

const (
	ringHeader   = 4096 // bytes before data
	ringMagic    = "lwring1\n"
	minRingBytes = 64 << 10
	maxRingBytes = 1 << 30
)

// append adds a record, or returns false when there is no room for it.
func (r *ring) append(d *draft) bool {
	size, n := uint64(len(r.data)), uint64(d.length)
	var at, pad uint64
	for {
		at, pad = r.head.Load(), 0
		if toEnd := size - at%size; n > toEnd {
			pad = toEnd
		}
		if at+pad+n-r.tail.Load() > size {
			return false
		}
		if r.head.CompareAndSwap(at, at+pad+n) {
			break
		}
	}
	if pad > 0 {
		writePad(r.at(at, pad))
		r.commit(at, pad)
	}
	d.write(r.at(at+pad, n))
	return r.commit(at+pad, n)
}

// at returns the n bytes at a position, which do not go past the end.
func (r *ring) at(position, n uint64) []byte {
	from := position % uint64(len(r.data))
	return r.data[from : from+n : from+n]
}

// commit makes a record valid. Where the memory is the file's own, a process that is killed behind the first line has
// left the record to the system; elsewhere behind the second. False means that it is safe from nothing yet, although
// the drainer may come across it.
func (r *ring) commit(position, n uint64) bool {
	r.stampAt(position).Store(r.stamp(position))
	return r.put == nil || r.put(int(position%uint64(len(r.data))), int(n)) == nil
}

func (r *ring) stamp(position uint64) uint64 { return (position + 1) ^ r.key }

func (r *ring) stampAt(position uint64) *atomic.Uint64 {
	return (*atomic.Uint64)(unsafe.Pointer(unsafe.SliceData(r.at(position, 8))))
}

// valid returns the length of the record at a position, if a whole one was committed there.
func (r *ring) valid(position uint64) (length uint64, ok bool) {
	if r.stampAt(position).Load() != r.stamp(position) {
		return 0, false
	}
	n, ok := recordLength(r.at(position, uint64(len(r.data))-position%uint64(len(r.data))))
	return uint64(n), ok
}

// take appends to b the events that were committed from a position on, at most about so many bytes, and returns the
// position behind them.
func (r *ring) take(b []byte, position uint64, most int) ([]byte, int, uint64) {
	events := 0
	for head := r.head.Load(); position < head && len(b) < most; {
		length, ok := r.valid(position)
		if !ok {
			break // somebody is still writing it
		}
		if record := r.at(position, length); record[14] == kindEvent {
			b = append(b, record...)
			events++
		}
		position += length
	}
	return b, events, position
}

// salvage appends to b the events that a process that is gone committed between two positions, at most about so many
// bytes, and returns the position behind the last of them. Where it died between reserving and committing, there is a
// hole.
func (r *ring) salvage(b []byte, position, limit uint64, most int) (records []byte, events int, end uint64) {
	end = position
	for position < limit && len(b) < most {
		length, ok := r.valid(position)
		if !ok {
			position += unit
			continue
		}
		if record := r.at(position, length); record[14] == kindEvent {
			b = append(b, record...)
			events++
		}
		position += length
		end = position
	}
	return b, events, end
}

var errRing = errors.New("the ring file is not one of Latchward's, or damaged")

// openRing opens the ring in a file, or makes one of so many bytes.
func openRing(path string, bytes int, random io.Reader, mapped bool) (*ring, error) {
	file, err := os.OpenFile(path, os.O_RDWR, privateFile)
	if errors.Is(err, os.ErrNotExist) {
		file, err = makeRing(path, bytes, random)
	}
	if err != nil {
		return nil, err
	}
	r := &ring{file: file}
	if err := r.load(mapped); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the ring %s: %w", path, err), file.Close())
	}
	return r, nil
}

// makeRing writes a ring with real zeroes and under another name first: stores into it never need a block of the disk,
// so that a full one cannot fail them, and half a ring is never opened.
func makeRing(path string, bytes int, random io.Reader) (_ *os.File, err error) {
	header := make([]byte, ringHeader)
	copy(header, ringMagic)
	if _, err := io.ReadFull(random, header[8:16]); err != nil {
		return nil, err
	}
	header[15] |= 0x80 // no position comes near a key
	binary.LittleEndian.PutUint64(header[16:], uint64(bytes))
	file, err := os.OpenFile(path+newSuffix, os.O_RDWR|os.O_CREATE|os.O_TRUNC, privateFile)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = file.Close()
		}
	}()
	if _, err := file.Write(header); err != nil {
		return nil, err
	}
	zeroes := make([]byte, minRingBytes)
	for written := 0; written < bytes; written += len(zeroes) {
		if _, err := file.Write(zeroes); err != nil {
			return nil, err
		}
	}
	if err := file.Sync(); err != nil {
		return nil, err
	}
	return file, os.Rename(path+newSuffix, path)
}

func (r *ring) load(mapped bool) error {
	header := make([]byte, ringHeader)
	if _, err := r.file.ReadAt(header, 0); err != nil {
		return err
	}
	r.key = binary.LittleEndian.Uint64(header[8:])
	size := binary.LittleEndian.Uint64(header[16:])
	if string(header[:8]) != ringMagic || size < minRingBytes || size > maxRingBytes || size&(size-1) != 0 {
		return errRing
	}
	if mapped {
		return r.mapFile(int(size))
	}
	r.data = make([]byte, size)
	r.put = func(at, n int) error {
		_, err := r.file.WriteAt(r.data[at:at+n], int64(ringHeader+at))
		return err
	}
	_, err := r.file.ReadAt(r.data, ringHeader)
	return err
}
