package journal

import (
	"errors"
	"maps"
	"os"
	"time"
)

// errBudget says that segments take as much of the disk as they may.
var errBudget = errors.New("the usage that waits for the database takes as much of the disk as it may")

// systemFile is a segment on a disk.
type systemFile struct{ *os.File }

func (f systemFile) Datasync() error { return datasync(f.File) }

// Sync brings what was appended to the disk itself. Run does that all the time.
func (j *Journal) Sync() error { return j.drain() }

// drain writes what is in the rings to the segment and brings it to the disk; then rings have room again. On failure
// everything stays in the rings.
func (j *Journal) drain() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil {
		return os.ErrClosed
	}
	err := j.drainRings()
	if err != nil {
		j.stats.Failures++
	}
	return err
}

func (j *Journal) drainRings() error {
	if j.broken {
		if err := j.nextSegment(j.lastNumber() + 1); err != nil {
			return err
		}
	}
	err := j.writeBlocks()
	if err := errors.Join(err, j.sync()); err != nil {
		return err
	}
	if j.written < j.options.SegmentBytes {
		return nil
	}
	return j.nextSegment(j.lastNumber() + 1)
}

// writeBlocks writes blocks until what was in the rings when it began is written.
func (j *Journal) writeBlocks() error {
	for {
		taken, records, total := maps.Clone(j.pending), j.records[:0], 0
		for _, r := range j.rings {
			var events int
			records, events, taken[r.key] = r.take(records, taken[r.key], blockBytes)
			total += events
		}
		j.records = records
		if total == 0 {
			return nil
		}
		if j.ahead()+int64(len(records)) > j.options.Budget {
			return errBudget
		}
		if err := j.write(taken, total, records); err != nil {
			return err
		}
		if len(records) < blockBytes {
			return nil
		}
	}
}

// ahead returns how many bytes segments take, with what is not on the disk yet.
func (j *Journal) ahead() int64 { return j.waiting() + j.written - j.segments[len(j.segments)-1].end }

// write writes a block behind the last. It is compressed when more waits than the one segment that always does.
func (j *Journal) write(taken map[uint64]uint64, events int, records []byte) error {
	j.buffer = appendBlock(j.buffer[:0], taken, events, records, j.ahead() > j.options.SegmentBytes)
	if _, err := j.file.WriteAt(j.buffer, j.written); err != nil {
		return err // the next block takes the same place
	}
	j.written, j.pending = j.written+int64(len(j.buffer)), taken
	return nil
}

// sync brings what was written to the disk. After a failure nobody knows what of it is there, and a sync that succeeds
// later proves nothing: the same records are written again, to another segment.
func (j *Journal) sync() error {
	last := &j.segments[len(j.segments)-1]
	if j.written == last.end {
		return nil
	}
	began := time.Now()
	if err := j.file.Datasync(); err != nil {
		j.broken = true
		return err
	}
	j.stats.Syncs++
	if time.Since(began) > j.options.Interval {
		j.stats.Slow++
	}
	last.end, j.taken = j.written, j.pending
	for _, r := range j.rings {
		r.tail.Store(j.taken[r.key])
	}
	return nil
}
