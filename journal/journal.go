// Package journal keeps usage events on the disk until a database has them: what was accepted survives the process
// being killed, whenever that happens.
//
// An event goes into a ring: a file whose memory the process shares with the system, so that it is safe from kill -9 as
// soon as it is written, and nobody waits for a disk. Every 100 ms what is in the rings goes into a segment, a file of
// blocks with checksums, and to the disk itself: a power cut takes along no more than that. Whoever stores events reads
// segments; one is removed when the database has all of it. docs/decisions/0012-the-journal.md has the reasons.
package journal

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	mathrand "math/rand/v2"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/latchward/latchward"
)

// Options configures a [Journal]. The zero value of every field is a default.
type Options struct {
	Rings        int           // how many requests can be written at once; 0 = one per processor
	RingBytes    int           // a power of two, from 64 KiB to 1 GiB; 0 = 16 MiB
	SegmentBytes int64         // after which the next segment begins; 0 = 64 MiB
	Budget       int64         // bytes of segments while the database is away; 0 = 10 GiB or a tenth of the disk
	Interval     time.Duration // between syncs to the disk; 0 = 100 ms
	Logger       *slog.Logger  // nil = nowhere
	Random       io.Reader     // nil = crypto/rand.Reader

	unmapped bool                // write records to rings, as where mapping is not possible
	wrap     func(*os.File) disk // stands between the journal and its segments
}

// disk is what of a file a segment needs.
type disk interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Datasync() error // what was written is on the disk itself
	Truncate(size int64) error
}

const (
	defaultRingBytes    = 16 << 20
	defaultSegmentBytes = 64 << 20
	defaultBudget       = 10 << 30
	defaultInterval     = 100 * time.Millisecond
)

// Journal is a [latchward.UsageJournal] in a folder. Create it with [Open], keep [Journal.Run] running, and close it
// with [Journal.Close]. All methods are safe for concurrent use.
type Journal struct {
	folder  string
	node    string
	lock    io.Closer
	rings   []*ring
	options Options
	closed  atomic.Bool

	mu       sync.Mutex        // held by whoever writes segments
	segments []segment         // oldest first; the last is the one that is written
	file     disk              // the last segment
	written  int64             // behind its last block, which may not be on the disk yet
	broken   bool              // a sync of it failed: what it holds behind its end is unknown
	taken    map[uint64]uint64 // key of a ring -> position up to which its records are on the disk
	pending  map[uint64]uint64 // the same of what was written
	buffer   []byte
	records  []byte
	failure  error // of the last drain

	stats Stats
}

var _ latchward.UsageJournal = (*Journal)(nil)

// Stats are counts since the journal was opened, for metrics.
type Stats struct {
	Waiting  int64 // bytes in segments
	Segments int
	Syncs    int64
	Slow     int64 // syncs that took longer than the interval
	Failures int64 // attempts to write or to sync that failed; nothing is lost by one
	Damaged  int64 // segments whose rest could not be read, and was left out
}

// Open opens the journal in a folder, makes it if there is none, and takes over what a process that was killed left in
// the rings. One process has it open at a time: others get an Error of code conflict.
func Open(folder string, o Options) (*Journal, error) {
	j := &Journal{folder: folder, options: o}
	j.setDefaults()
	err := j.open()
	if err != nil {
		return nil, errors.Join(refused(folder, err), j.closeFiles())
	}
	return j, nil
}

func (j *Journal) setDefaults() {
	o := &j.options
	if o.Rings < 1 {
		o.Rings = runtime.GOMAXPROCS(0)
	}
	if o.RingBytes == 0 {
		o.RingBytes = defaultRingBytes
	}
	if o.SegmentBytes == 0 {
		o.SegmentBytes = defaultSegmentBytes
	}
	if o.Interval == 0 {
		o.Interval = defaultInterval
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	if o.wrap == nil {
		o.wrap = func(file *os.File) disk { return systemFile{file} }
	}
}

func refused(folder string, err error) error {
	if latchward.ErrorCode(err) == latchward.CodeConflict {
		return err
	}
	return &latchward.Error{
		Code: latchward.CodeUnavailable, Err: err,
		Message: "The usage journal " + folder + " cannot be opened: check the disk.",
	}
}

// Node implements [latchward.UsageJournal].
func (j *Journal) Node() string { return j.node }

// Append implements [latchward.UsageJournal]. Texts longer than 255 bytes are cut; zones of addresses are left out.
func (j *Journal) Append(e *latchward.UsageEvent) bool {
	if j.closed.Load() {
		return false
	}
	d := newDraft(e)
	first := mathrand.IntN(len(j.rings))
	for i := range j.rings {
		if j.rings[(first+i)%len(j.rings)].append(&d) {
			return true
		}
	}
	return false
}

// Run brings what is appended to the disk, until ctx is done.
func (j *Journal) Run(ctx context.Context) error {
	ticker := time.NewTicker(j.options.Interval / 5)
	defer ticker.Stop()
	for tick := 0; ; tick++ {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		for _, r := range j.rings {
			r.populate()
		}
		if tick%5 == 0 {
			j.tell(j.drain())
		}
	}
}

// tell logs that draining began or ceased to fail.
func (j *Journal) tell(err error) {
	j.mu.Lock()
	before := j.failure
	j.failure = err
	j.mu.Unlock()
	switch {
	case err != nil && (before == nil || before.Error() != err.Error()):
		j.options.Logger.Error("Usage cannot be written to the disk; it waits in memory.", "folder", j.folder, "error", err)
	case err == nil && before != nil:
		j.options.Logger.Info("Usage is written to the disk again.", "folder", j.folder)
	}
}

// Healthy returns why usage is not written to the disk; nil when it is.
func (j *Journal) Healthy() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.failure
}

// Stats returns the counts so far.
func (j *Journal) Stats() Stats {
	j.mu.Lock()
	defer j.mu.Unlock()
	stats := j.stats
	stats.Waiting, stats.Segments = j.waiting(), len(j.segments)
	return stats
}

func (j *Journal) waiting() (bytes int64) {
	for _, s := range j.segments {
		bytes += s.end
	}
	return bytes
}

// Close brings what was appended to the disk and lets go of the folder. What was not read by then is read by whoever
// opens the journal next.
func (j *Journal) Close() error {
	if j.closed.Swap(true) {
		return nil
	}
	err := j.drain()
	if err := errors.Join(err, j.closeFiles()); err != nil {
		return fmt.Errorf("closing the usage journal %s: %w", j.folder, err)
	}
	return nil
}

func (j *Journal) closeFiles() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	var failures []error
	for _, r := range j.rings {
		failures = append(failures, r.file.Close()) // its memory stays as long as somebody may be writing
	}
	if j.file != nil {
		failures = append(failures, j.file.Close())
	}
	if j.lock != nil {
		failures = append(failures, j.lock.Close())
	}
	return errors.Join(failures...)
}
