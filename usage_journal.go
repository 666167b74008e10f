package latchward

import (
	"context"
	"crypto/rand"
	"sync"
)

// DefaultUsageBuffer is how many events wait in memory for the store before further ones are refused.
const DefaultUsageBuffer = 200_000

// memoryJournal is a UsageJournal that forgets when the process dies. Offsets count events.
type memoryJournal struct {
	node string
	most int

	mu     sync.Mutex
	events []UsageEvent // accepted and not released
	first  int64        // offset of events[0]
}

func newMemoryJournal(most int) *memoryJournal {
	return &memoryJournal{node: rand.Text(), most: orDefault(most, DefaultUsageBuffer)}
}

func (j *memoryJournal) Node() string { return j.node }

func (j *memoryJournal) Append(e *UsageEvent) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.events) >= j.most {
		return false
	}
	j.events = append(j.events, *e)
	return true
}

const journalBatch = 30_000 // events per transaction: few enough to leave the writer to others in between

func (j *memoryJournal) Read(
	ctx context.Context, from JournalOffset, f func([]UsageEvent, JournalOffset) error,
) error {
	for ctx.Err() == nil {
		batch := j.batch(from)
		if len(batch) == 0 {
			return nil
		}
		to := JournalOffset{At: from.At + int64(len(batch))}
		if err := f(batch, to); err != nil {
			return err
		}
		from = to
	}
	return ctx.Err()
}

// batch returns events that were accepted after from. Accepted events are never changed, so they may be read without
// the lock while others are appended behind them.
func (j *memoryJournal) batch(from JournalOffset) []UsageEvent {
	j.mu.Lock()
	defer j.mu.Unlock()
	start := max(0, min(from.At-j.first, int64(len(j.events))))
	end := min(start+journalBatch, int64(len(j.events)))
	return j.events[start:end:end]
}

func (j *memoryJournal) Release(to JournalOffset) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	done := max(0, min(to.At-j.first, int64(len(j.events))))
	clear(j.events[:done]) // lets go of the strings
	j.first += done
	j.events = j.events[done:]
	return nil
}
