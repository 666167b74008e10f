package rest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/latchward/latchward"
)

// reports holds usage on its way to the server.
type reports struct {
	most     int
	interval time.Duration
	name     string // of this client, to make ids of requests from
	count    atomic.Uint64
	dropped  atomic.Int64
	full     chan struct{} // a batch is complete

	mu     sync.Mutex
	events []UsageReportEvent

	flushing sync.Mutex // one report at a time
}

func (r *reports) init(o *ClientOptions) {
	r.most, r.interval, r.name, r.full = o.UsageBuffer, o.FlushInterval, rand.Text(), make(chan struct{}, 1)
	if r.most <= 0 {
		r.most = 10_000
	}
	if r.interval <= 0 {
		r.interval = 500 * time.Millisecond
	}
}

// Record implements [latchward.Recorder]: it keeps the event for [Client.Run] to report, under a new id unless it has
// one. It returns false, and counts the event as dropped, when Options.UsageBuffer events are waiting.
func (c *Client) Record(e *latchward.UsageEvent) bool {
	r := &c.reports
	event := reportEventOf(e)
	if event.RequestID == "" {
		event.RequestID = r.name + "-" + strconv.FormatUint(r.count.Add(1), 36)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.events) >= r.most {
		r.dropped.Add(1)
		return false
	}
	if r.events = append(r.events, event); len(r.events)%MaxBatch == 0 {
		select {
		case r.full <- struct{}{}:
		default:
		}
	}
	return true
}

func reportEventOf(e *latchward.UsageEvent) UsageReportEvent {
	event := UsageReportEvent{
		RequestID: cut(e.RequestID, latchward.MaxRequestIDLength), TokenID: int64(e.TokenID), UserID: int64(e.UserID),
		Path: e.Endpoint, Method: e.Method, Status: e.Status, DurationMS: float64(e.Duration) / float64(time.Millisecond),
		RequestBytes: e.RequestBytes, ResponseBytes: e.ResponseBytes,
		UserAgent: cut(e.UserAgent, latchward.MaxUserAgentLength), Reason: e.Reason, At: Time{e.At},
	}
	if e.Address.IsValid() {
		event.Address = e.Address.Unmap().WithZone("").String()
	}
	return event
}

// Dropped returns how many events were not reported and never will be: the buffer was full, or the server refused them.
func (c *Client) Dropped() int64 { return c.reports.dropped.Load() }

// Run reports recorded usage until ctx is done, then once more. Usage that the server does not take stays and is tried
// again; the error is that of the last report.
func (c *Client) Run(ctx context.Context) error {
	ticker := time.NewTicker(c.reports.interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastReport)
			defer cancel()
			return c.Flush(last)
		case <-ticker.C:
		case <-c.reports.full:
		}
		if err := c.Flush(ctx); err != nil && ctx.Err() == nil {
			c.log.WarnContext(ctx, "Usage could not be reported; it will be tried again.", "error", err)
		}
	}
}

const lastReport = 5 * time.Second

// Flush reports what was recorded so far.
func (c *Client) Flush(ctx context.Context) error {
	r := &c.reports
	r.flushing.Lock()
	defer r.flushing.Unlock()
	for {
		r.mu.Lock()
		batch := r.events[:min(len(r.events), MaxBatch)]
		r.mu.Unlock()
		if len(batch) == 0 {
			return nil
		}
		if err := c.report(ctx, batch); err != nil {
			return err
		}
		r.mu.Lock()
		clear(batch)
		if r.events = r.events[len(batch):]; len(r.events) == 0 {
			r.events = nil
		}
		r.mu.Unlock()
	}
}

// report sends events, in several parts when they are too long for one or the server refuses one of them; what is
// refused alone is dropped. After an error it may be called again with the same events: each is counted once.
func (c *Client) report(ctx context.Context, events []UsageReportEvent) error {
	text, err := json.Marshal(UsageReport{events})
	if err != nil {
		return latchward.Errorf(latchward.CodeInternal, "encoding a report of usage: %w", err)
	}
	if len(text) > MaxBody && len(events) > 1 {
		return c.reportHalves(ctx, events)
	}
	_, err = call[UsageReceipt](ctx, c, http.MethodPost, oursPath+"/usage", nil, json.RawMessage(text))
	switch {
	case latchward.ErrorCode(err) != latchward.CodeInvalid:
		return err
	case len(events) > 1:
		return c.reportHalves(ctx, events)
	}
	c.reports.dropped.Add(1)
	c.log.WarnContext(ctx, "The server refused to count a request; it is dropped.", "error", err)
	return nil
}

func (c *Client) reportHalves(ctx context.Context, events []UsageReportEvent) error {
	half := len(events) / 2
	if err := c.report(ctx, events[:half]); err != nil {
		return err
	}
	return c.report(ctx, events[half:])
}
