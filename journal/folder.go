package journal

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/latchward/latchward"
)

const (
	lockFile = "lock"
	nodeFile = "node"
)

// open brings the journal to where appending can begin.
func (j *Journal) open() error {
	if err := os.MkdirAll(j.folder, 0o700); err != nil {
		return err
	}
	if err := j.takeLock(); err != nil {
		return err
	}
	if err := j.readNode(); err != nil {
		return err
	}
	if err := j.setBudget(); err != nil {
		return err
	}
	if err := j.openRings(); err != nil {
		return err
	}
	if err := syncFolder(j.folder); err != nil {
		return err
	}
	return j.recover()
}

func (j *Journal) takeLock() error {
	file, err := os.OpenFile(filepath.Join(j.folder, lockFile), os.O_RDWR|os.O_CREATE, privateFile)
	if err != nil {
		return err
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = file.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return latchward.Errorf(latchward.CodeConflict,
				"Another process has the usage journal %s open: stop it first.", j.folder)
		}
		return err
	}
	j.lock = file
	return nil
}

// readNode reads the name of the journal, and makes one for a new journal.
func (j *Journal) readNode() error {
	path := filepath.Join(j.folder, nodeFile)
	name, err := os.ReadFile(path)
	if j.node = strings.TrimSpace(string(name)); err == nil && j.node != "" {
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	j.node = rand.Text()
	if err := writeSynced(path+newSuffix, j.node+"\n"); err != nil {
		return err
	}
	return os.Rename(path+newSuffix, path)
}

func writeSynced(path, text string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, privateFile)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	return errors.Join(err, file.Sync(), file.Close())
}

func (j *Journal) setBudget() error {
	if j.options.Budget != 0 {
		return nil
	}
	j.options.Budget = defaultBudget
	var fs unix.Statfs_t
	if err := unix.Statfs(j.folder, &fs); err != nil {
		return err
	}
	if tenth := int64(fs.Blocks) * int64(fs.Bsize) / 10; tenth > 0 {
		j.options.Budget = min(j.options.Budget, tenth)
	}
	return nil
}

// openRings opens the rings that there are, and makes as many as there should be at least.
func (j *Journal) openRings() error {
	mapped := !j.options.unmapped && canMap(j.folder)
	if !mapped {
		j.options.Logger.Warn("Usage events are written one by one: this file system is not one for mapped files.",
			"folder", j.folder)
	}
	for i := 0; ; i++ {
		path := filepath.Join(j.folder, fmt.Sprintf("ring-%d", i))
		if _, err := os.Stat(path); i >= j.options.Rings && errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		r, err := openRing(path, j.options.RingBytes, j.options.Random, mapped)
		if err != nil {
			return err
		}
		j.rings = append(j.rings, r)
	}
}

// recover finds where the last process stopped, begins another segment, and puts into it what is left in the rings.
func (j *Journal) recover() error {
	j.taken = map[uint64]uint64{}
	if err := j.openSegments(); err != nil {
		return err
	}
	if err := j.nextSegment(j.lastNumber() + 1); err != nil {
		return err
	}
	recovered := 0
	for _, r := range j.rings {
		events, err := j.salvage(r)
		if err != nil {
			return err
		}
		recovered += events
	}
	if recovered > 0 {
		j.options.Logger.Info("Usage that a process left behind was recovered.", "events", recovered)
	}
	return j.sync()
}

// salvage writes what is left in a ring to the segment, and lets appending begin behind it.
func (j *Journal) salvage(r *ring) (recovered int, err error) {
	position := j.pending[r.key]
	for limit := position + uint64(len(r.data)); ; {
		records, events, end := r.salvage(nil, position, limit, blockBytes)
		if events == 0 {
			r.head.Store(end)
			r.tail.Store(end)
			j.pending[r.key] = end
			return recovered, nil
		}
		taken := maps.Clone(j.pending)
		taken[r.key] = end
		if err := j.write(taken, events, records); err != nil {
			return recovered, err
		}
		recovered, position = recovered+events, end
	}
}

func (j *Journal) lastNumber() int64 {
	if len(j.segments) == 0 {
		return 0
	}
	return j.segments[len(j.segments)-1].number
}

// openSegments reads how long segments are, and up to where they have taken from rings. Each but the last is as long as
// the one behind it says.
func (j *Journal) openSegments() error {
	numbers, err := listSegments(j.folder)
	if err != nil {
		return err
	}
	end := int64(-1)
	for _, number := range slices.Backward(numbers) {
		previous, err := j.openSegment(number, &end)
		if errors.Is(err, errTorn) && len(j.segments) == 0 { // it was being made, and holds nothing
			err = os.Remove(segmentPath(j.folder, number))
			if err == nil {
				continue
			}
		}
		if err != nil {
			return fmt.Errorf("segment %d: %w", number, err)
		}
		j.segments = append(j.segments, segment{number, end})
		end = previous
	}
	slices.Reverse(j.segments)
	return nil
}

// openSegment returns where the segment before a segment ends. If this is the last, end is -1 and becomes its end.
func (j *Journal) openSegment(number int64, end *int64) (previous int64, err error) {
	file, err := os.Open(segmentPath(j.folder, number))
	if err != nil {
		return 0, err
	}
	defer file.Close()
	if previous, err = previousEnd(file); err != nil || *end >= 0 {
		return previous, err
	}
	var taken map[uint64]uint64
	if *end, taken, err = wholeBlocks(file); err == nil {
		j.taken = taken
	}
	return previous, err
}

// nextSegment begins a segment. What the one before holds behind its end is not part of it.
func (j *Journal) nextSegment(number int64) error {
	previous := int64(0)
	if len(j.segments) > 0 {
		previous = j.segments[len(j.segments)-1].end
	}
	file, err := j.makeSegment(number, previous)
	if err != nil {
		return err
	}
	if j.file != nil {
		_ = j.file.Truncate(previous) // tidies up only: the next segment says where this one ends
		_ = j.file.Close()
	}
	j.file, j.written, j.pending, j.broken = file, int64(len(j.buffer)), maps.Clone(j.taken), false
	j.segments = append(j.segments, segment{number, j.written})
	return nil
}

// makeSegment writes the first block of a segment, which stays in j.buffer.
func (j *Journal) makeSegment(number, previous int64) (disk, error) {
	path := segmentPath(j.folder, number)
	plain, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, privateFile)
	if err != nil {
		return nil, err
	}
	file := j.options.wrap(plain)
	j.buffer = appendBlock(j.buffer[:0], j.taken, 0, binary.LittleEndian.AppendUint64(nil, uint64(previous)), false)
	_, err = file.WriteAt(j.buffer, 0)
	if err == nil {
		err = file.Datasync()
	}
	if err == nil {
		err = syncFolder(j.folder)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close(), os.Remove(path))
	}
	return file, nil
}

// syncFolder brings the names of new files to the disk.
func syncFolder(folder string) error {
	file, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}
