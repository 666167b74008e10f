package journal

import (
	"context"
	"errors"
	"os"
	"unsafe"

	"github.com/latchward/latchward"
)

// readAtOnce is how many events are enough for one call of the function given to Read.
const readAtOnce = 32_000

// Read implements [latchward.UsageJournal]. What was appended before is brought to the disk first, and only what is
// there is read: so no database knows of an event that a power cut then takes from the journal. It must not run twice
// at a time.
func (j *Journal) Read(
	ctx context.Context, from latchward.JournalOffset, f func([]latchward.UsageEvent, latchward.JournalOffset) error,
) error {
	for {
		drained := j.drain()
		r := reading{journal: j, from: from, f: f}
		if err := r.run(ctx); err != nil {
			return err
		}
		if drained == nil || r.from == from {
			return drained
		}
		from = r.from // what was read may have made room
	}
}

// reading is one walk through the segments.
type reading struct {
	journal *Journal
	from    latchward.JournalOffset
	f       func([]latchward.UsageEvent, latchward.JournalOffset) error
	events  []latchward.UsageEvent
}

func (r *reading) run(ctx context.Context) error {
	segments, err := r.journal.segmentsFrom(r.from)
	if err != nil {
		return err
	}
	for _, s := range segments {
		if s.number > r.from.Segment {
			r.from = latchward.JournalOffset{Segment: s.number}
		}
		if err := r.segment(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// segmentsFrom returns the segments that reading goes through. An offset behind the end is of a time that the disk has
// forgotten: what was stored by then is not read again, and what comes gets larger offsets.
func (j *Journal) segmentsFrom(from latchward.JournalOffset) ([]segment, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	last := j.segments[len(j.segments)-1]
	if from.Segment > last.number || from.Segment == last.number && from.At > last.end {
		j.options.Logger.Warn("The usage journal is older than the database; it goes on behind what is stored.",
			"folder", j.folder)
		return nil, j.nextSegment(from.Segment + 1)
	}
	var segments []segment
	for _, s := range j.segments {
		if s.number >= from.Segment {
			segments = append(segments, s)
		}
	}
	return segments, nil
}

func (r *reading) segment(ctx context.Context, s segment) error {
	file, err := os.Open(segmentPath(r.journal.folder, s.number))
	if err != nil {
		return err
	}
	defer file.Close()
	for at := r.from.At; at < s.end; {
		if err := ctx.Err(); err != nil {
			return err
		}
		k, err := readBlock(file, at)
		if errors.Is(err, errTorn) {
			r.journal.damaged(s, at)
			break
		}
		if err != nil {
			return err
		}
		at += k.length
		r.add(k)
		if len(r.events) >= readAtOnce || at >= s.end {
			if err := r.call(latchward.JournalOffset{Segment: s.number, At: at}); err != nil {
				return err
			}
		}
	}
	return r.call(latchward.JournalOffset{Segment: s.number, At: s.end})
}

// damaged tells that the rest of a segment is left out. Reading it again would not help, and nothing behind it would
// ever be stored.
func (j *Journal) damaged(s segment, at int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.stats.Damaged++
	j.options.Logger.Error("A part of the usage journal is damaged and left out: check the disk.",
		"file", segmentPath(j.folder, s.number), "from", at, "bytes", s.end-at)
}

// call hands over what was read up to an offset.
func (r *reading) call(to latchward.JournalOffset) error {
	if len(r.events) == 0 {
		return nil
	}
	err := r.f(r.events, to)
	if err == nil {
		r.from, r.events = to, r.events[:0]
	}
	return err
}

// add reads the events of a block.
func (r *reading) add(k *block) {
	if k.events == 0 {
		return
	}
	for text := unsafe.String(unsafe.SliceData(k.raw), len(k.raw)); len(text) > 0; { // nobody writes to it any more
		length := unit * (int(text[12]) | int(text[13])<<8)
		if length == 0 || length > len(text) {
			return // a later version's, perhaps: the block itself is whole
		}
		var e latchward.UsageEvent
		if readRecord(text[:length], &e) {
			r.events = append(r.events, e)
		}
		text = text[length:]
	}
}

// Release implements [latchward.UsageJournal]: it removes the segments that end before to.
func (j *Journal) Release(to latchward.JournalOffset) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	for len(j.segments) > 1 && j.segments[0].number < to.Segment {
		if err := os.Remove(segmentPath(j.folder, j.segments[0].number)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		j.segments = j.segments[1:]
	}
	return nil
}
