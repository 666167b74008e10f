package journal

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/latchward/latchward"
)

// tornPlaces are how many bytes lie between the places at which a whole journal is damaged and opened. Blocks and rings
// alone are damaged at every byte.
const tornPlaces = 41

// Blocks that were cut anywhere, or in which a byte changed, give those in front of that, and none that nobody wrote.
func TestTornBlocks(t *testing.T) {
	var whole []byte
	ends := []int{0}
	for i := range 4 {
		e := eventOf(i)
		d := newDraft(&e)
		record := make([]byte, d.length)
		d.write(record)
		whole = appendBlock(whole, map[uint64]uint64{1: uint64(i)}, 1, record, i%2 == 0)
		ends = append(ends, len(whole))
	}
	for at := range whole {
		changed := bytes.Clone(whole)
		changed[at] ^= 0x10
		want := 0
		for _, end := range ends {
			if end <= at {
				want = end
			}
		}
		for what, content := range map[string][]byte{"cut": whole[:at], "changed": changed} {
			if end, _, err := wholeBlocks(bytes.NewReader(content)); err != nil || end != int64(want) {
				t.Errorf("%s at %d: whole blocks end at %d, error %v, want %d", what, at, end, err, want)
			}
		}
	}
}

// A whole journal whose segment was cut, or in which a byte changed, gives the events in front of that.
func TestTornSegments(t *testing.T) {
	folder := t.TempDir()
	j := openAt(t, folder, small())
	const blocks = 4
	ends := []int64{j.written}
	for i := range blocks {
		appendN(t, j, i, i+1)
		if err := j.drain(); err != nil {
			t.Fatal(err)
		}
		ends = append(ends, j.written)
	}
	leave(t, j)
	emptyRing(t, folder)
	path := segmentPath(folder, 1)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; at < len(whole); at += tornPlaces {
		want := 0
		for want < blocks && ends[want+1] <= int64(at) {
			want++
		}
		changed := bytes.Clone(whole)
		changed[at] ^= 0x10
		for what, content := range map[string][]byte{"cut": whole[:at], "changed": changed} {
			if err := os.WriteFile(path, content, privateFile); err != nil {
				t.Fatal(err)
			}
			j, r := openAt(t, folder, small()), reader{}
			r.must(t, j)
			r.isAll(t, what, 0, want)
			leave(t, j)
			_ = os.Remove(segmentPath(folder, 2)) // which opening added
		}
	}
}

// A ring in which a byte changed gives the other events.
func TestTornRecords(t *testing.T) {
	folder := t.TempDir()
	o := small()
	o.unmapped = true
	j := openAt(t, folder, o)
	const n = 6
	appendN(t, j, 0, n)
	used, ring := j.rings[0].head.Load(), j.rings[0]
	whole := bytes.Clone(ring.data)
	for at := range used {
		ring.data[at] ^= 0x10
		records, events, _ := ring.salvage(nil, 0, uint64(len(ring.data)), 1<<20)
		var r reading
		r.add(&block{raw: records, events: events})
		checkOnce(t, r.events, n, nil)
		if len(r.events) != n-1 {
			t.Errorf("with byte %d changed %d of %d events were read", at, len(r.events), n)
		}
		copy(ring.data, whole)
	}
}

// Damage in the middle of what waits costs the rest of that segment, and is told; what comes behind it is stored.
func TestDamageDoesNotStopReading(t *testing.T) {
	o := small()
	o.SegmentBytes = 2048
	folder := t.TempDir()
	j := openAt(t, folder, o)
	for i := range 10 {
		appendN(t, j, i*10, i*10+10)
		if err := j.drain(); err != nil {
			t.Fatal(err)
		}
	}
	path := segmentPath(folder, 2)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)/2] ^= 1
	if err := os.WriteFile(path, content, privateFile); err != nil {
		t.Fatal(err)
	}
	var r reader
	r.must(t, j)
	r.must(t, j)
	checkOnce(t, r.events, 100, map[int]bool{0: true, 99: true})
	if lost := 100 - len(r.events); lost < 1 || lost > 40 || j.Stats().Damaged != 1 {
		t.Errorf("%d events are lost, %d damages told", lost, j.Stats().Damaged)
	}
}

// What is not a ring is refused, not written to.
func TestForeignRing(t *testing.T) {
	folder := t.TempDir()
	foreign := bytes.Repeat([]byte("not a ring"), 10_000)
	if err := os.WriteFile(filepath.Join(folder, "ring-0"), foreign, privateFile); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(folder, small()); latchward.ErrorCode(err) != latchward.CodeUnavailable {
		t.Errorf("Open returned %v", err)
	}
	if now, _ := os.ReadFile(filepath.Join(folder, "ring-0")); !bytes.Equal(now, foreign) {
		t.Error("the file was changed")
	}
}

func FuzzBlock(f *testing.F) {
	record := make([]byte, 128)
	d := newDraft(&latchward.UsageEvent{Method: "GET", Endpoint: "/a"})
	d.write(record[:d.length])
	f.Add(appendBlock(nil, map[uint64]uint64{1: 2, 3: 4}, 1, record[:d.length], false))
	f.Add(appendBlock(nil, nil, 1, bytes.Repeat(record[:d.length], 20), true))
	f.Add(appendBlock(nil, nil, 0, make([]byte, 8), false))
	f.Fuzz(func(t *testing.T, content []byte) {
		k, err := readBlock(bytes.NewReader(content), 0)
		if err != nil {
			return
		}
		again, err := readBlock(bytes.NewReader(appendBlock(nil, k.taken, k.events, k.raw, false)), 0)
		if err != nil || !maps.Equal(again.taken, k.taken) || !bytes.Equal(again.raw, k.raw) || again.events != k.events {
			t.Errorf("a block became another: %v", err)
		}
		var r reading
		r.add(k)
		if most := len(k.raw) / unit; len(r.events) > most {
			t.Errorf("%d events of %d bytes", len(r.events), len(k.raw))
		}
	})
}

// FuzzRecord reads what nobody wrote as a record.
func FuzzRecord(f *testing.F) {
	for n := range 4 {
		e := eventOf(n)
		d := newDraft(&e)
		record := make([]byte, d.length)
		d.write(record)
		f.Add(record)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		if length, whole := recordLength(content); whole && length > len(content) {
			t.Errorf("a record of %d bytes is said to have %d", len(content), length)
		}
		var e latchward.UsageEvent
		if !readRecord(string(content), &e) {
			return
		}
		d := newDraft(&e)
		record := make([]byte, d.length)
		d.write(record)
		var again latchward.UsageEvent
		if !readRecord(string(record), &again) || again != e {
			t.Errorf("%+v became %+v", e, again)
		}
	})
}
