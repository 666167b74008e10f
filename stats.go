package latchward

import (
	"sync/atomic"
)

// Stats are counts since the service was made, for metrics. They tell nothing about a single token.
type Stats struct {
	Verdicts        map[Reason]int64
	Undecided       int64 // verifications that ended in an error
	StoreReads      int64 // facts read because they were not remembered
	Remembered      int   // tokens in the cache
	TokensCreated   int64
	TokensFailed    int64 // creations that failed through no fault of the caller's
	TokensRevoked   int64
	UsageAccepted   int64 // events taken
	UsageRefused    int64 // events not taken, because the journal was full
	UsageFlushed    int64 // events handed to the store
	UsageFlushFails int64
	// Changes are the times from the begin of a change, such as a revocation, until no verification goes by what was before.
	Changes   Delays
	Anonymous int64 // changes refused to nobody in particular, which leave no audit entry
	Denied    int64 // changes refused to principals
}

type counters struct {
	verdicts                                  [verdictStripes]verdictCounts
	undecided                                 atomic.Int64
	created, createFailed, revoked            atomic.Int64
	usageAccepted, usageRefused, usageFlushed atomic.Int64
	usageFlushFails, anonymous, denied        atomic.Int64
	changes                                   delayCounts
}

// verdictCounts are the counts of verdicts about some of the tokens. Every request adds to one: were there one for all,
// processors would take its line of memory from each other.
type verdictCounts struct {
	counts [len(reasons)]atomic.Int64
	_      [64]byte // keeps neighbours off the last line
}

const verdictStripes = 64

func (c *counters) verdict(r Reason, id TokenID) {
	counts := &c.verdicts[uint64(id)%verdictStripes].counts
	for i := range reasons {
		if reasons[i] == r {
			counts[i].Add(1)
			return
		}
	}
}

// Stats returns the counts so far.
func (s *Service) Stats() Stats {
	c := &s.counters
	verdicts := make(map[Reason]int64, len(reasons))
	for i, reason := range reasons {
		for stripe := range c.verdicts {
			verdicts[reason] += c.verdicts[stripe].counts[i].Load()
		}
	}
	return Stats{
		Verdicts: verdicts, Undecided: c.undecided.Load(),
		StoreReads: s.cache.reads.Load(), Remembered: s.cache.size(),
		TokensCreated: c.created.Load(), TokensFailed: c.createFailed.Load(), TokensRevoked: c.revoked.Load(),
		UsageAccepted: c.usageAccepted.Load(), UsageRefused: c.usageRefused.Load(),
		UsageFlushed: c.usageFlushed.Load(), UsageFlushFails: c.usageFlushFails.Load(),
		Changes:   c.changes.load(),
		Anonymous: c.anonymous.Load(), Denied: c.denied.Load(),
	}
}
