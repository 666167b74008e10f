package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/klauspost/compress/s2"
)

// A segment is a file of blocks; its first block holds no events and says where the segment before it ends. A block:
//
//	 0 magic u32
//	 4 length of the payload u32, and of what it is made of u32: they differ when it is compressed (S2)
//	12 events u32
//	16 rings u32
//	20 key u64, position u64   of each ring: up to where this block and those before have taken from it
//	   payload                 records one behind the other
//	   CRC-32C u32             of everything before
const (
	blockMagic  = 0x316b776c // lwk1
	blockHead   = 20
	maxBlock    = 1 << 20 // bytes of records, more than blockBytes by a record at most
	blockBytes  = 512 << 10
	maxRings    = 4096
	privateFile = 0o600
	newSuffix   = ".new"
	segmentEnd  = ".segment"
)

// errTorn says that there is no whole block at a place.
var errTorn = errors.New("the block is torn")

// block is a block as it is read.
type block struct {
	taken  map[uint64]uint64 // key of a ring -> position
	events int
	raw    []byte // the records
	length int64  // of the block
}

// appendBlock appends a block to b.
func appendBlock(b []byte, taken map[uint64]uint64, events int, raw []byte, compress bool) []byte {
	start, le, payload := len(b), binary.LittleEndian, raw
	if compress && len(raw) > 0 {
		if small := s2.Encode(nil, raw); len(small) < len(raw) {
			payload = small
		}
	}
	b = le.AppendUint32(b, blockMagic)
	b = le.AppendUint32(b, uint32(len(payload)))
	b = le.AppendUint32(b, uint32(len(raw)))
	b = le.AppendUint32(b, uint32(events))
	b = le.AppendUint32(b, uint32(len(taken)))
	for key, position := range taken {
		b = le.AppendUint64(b, key)
		b = le.AppendUint64(b, position)
	}
	b = append(b, payload...)
	return le.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

// readBlock reads the block at a place, or returns errTorn.
func readBlock(file io.ReaderAt, at int64) (*block, error) {
	head := make([]byte, blockHead)
	if n, err := file.ReadAt(head, at); n < len(head) {
		return nil, torn(err)
	}
	le := binary.LittleEndian
	length, raw, rings := int(le.Uint32(head[4:])), int(le.Uint32(head[8:])), int(le.Uint32(head[16:]))
	if le.Uint32(head) != blockMagic || length > raw || raw > maxBlock || rings > maxRings {
		return nil, errTorn
	}
	all := make([]byte, blockHead+rings*16+length+4)
	if n, err := file.ReadAt(all, at); n < len(all) {
		return nil, torn(err)
	}
	body := all[:len(all)-4]
	if le.Uint32(all[len(body):]) != crc32.Checksum(body, castagnoli) {
		return nil, errTorn
	}
	k := &block{taken: map[uint64]uint64{}, events: int(le.Uint32(head[12:])), length: int64(len(all))}
	for i := range rings {
		place := body[blockHead+i*16:]
		k.taken[le.Uint64(place)] = le.Uint64(place[8:])
	}
	k.raw = body[blockHead+rings*16:]
	if length < raw {
		var err error
		if k.raw, err = decompress(k.raw, raw); err != nil {
			return nil, errTorn
		}
	}
	return k, nil
}

func decompress(payload []byte, length int) ([]byte, error) {
	if n, err := s2.DecodedLen(payload); err != nil || n != length {
		return nil, errTorn
	}
	return s2.Decode(nil, payload)
}

// torn tells a file that ends from one that cannot be read.
func torn(err error) error {
	if errors.Is(err, io.EOF) {
		return errTorn
	}
	return err
}

// segment is one of the files.
type segment struct {
	number int64
	end    int64 // behind the last block that is on the disk
}

func segmentPath(folder string, number int64) string {
	return filepath.Join(folder, fmt.Sprintf("%016d%s", number, segmentEnd))
}

// listSegments returns the numbers of the segments in a folder, in order.
func listSegments(folder string) ([]int64, error) {
	entries, err := os.ReadDir(folder) // sorted by name
	if err != nil {
		return nil, err
	}
	var numbers []int64
	for _, entry := range entries {
		if name, ok := strings.CutSuffix(entry.Name(), segmentEnd); ok {
			number, err := strconv.ParseInt(name, 10, 64)
			if err != nil || number < 1 {
				return nil, fmt.Errorf("the journal %s holds %s, which is not one of its segments", folder, entry.Name())
			}
			numbers = append(numbers, number)
		}
	}
	return numbers, nil
}

// wholeBlocks returns where the last whole block of a segment ends, and up to where blocks have taken from rings.
func wholeBlocks(file io.ReaderAt) (end int64, taken map[uint64]uint64, err error) {
	for {
		k, err := readBlock(file, end)
		if errors.Is(err, errTorn) {
			return end, taken, nil
		}
		if err != nil {
			return 0, nil, err
		}
		end, taken = end+k.length, k.taken
	}
}

// previousEnd returns what the first block of a segment says about the one before.
func previousEnd(file io.ReaderAt) (int64, error) {
	k, err := readBlock(file, 0)
	if err != nil {
		return 0, err
	}
	if k.events != 0 || len(k.raw) != 8 {
		return 0, errTorn
	}
	return int64(binary.LittleEndian.Uint64(k.raw)), nil
}
