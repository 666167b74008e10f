package httpauth

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/latchward/latchward"
)

const (
	maxDocument = 1 << 20 // bytes
	firstRetry  = time.Second
	lastRetry   = 30 * time.Second
)

// kept is a document as it was fetched last.
type kept[T any] struct {
	value T
	asOf  time.Time     // what it tells was so at this instant
	ends  time.Time     // it must not be relied upon from then on; zero = nobody says
	keep  time.Duration // after which to look again; 0 = nobody says
	again time.Time     // when to look again
}

// document is something that Latchward publishes, fetched when it is needed and kept for a while. One fetch is under way
// at a time; whoever has a copy that is young enough does not wait for it. After a failure the next attempt waits, twice
// as long each time.
type document[T any] struct {
	url, media string
	options    *OfflineOptions
	read       func(body []byte, asOf time.Time) (kept[T], error)

	current  atomic.Pointer[kept[T]]
	fetching sync.Mutex // guards the next two
	retryAt  time.Time
	wait     time.Duration
	failure  error
}

// get returns the document no older than MaxStaleness. The error is of code unavailable when there is none.
func (d *document[T]) get(ctx context.Context, now time.Time) (value T, err error) {
	known := d.current.Load()
	if known != nil && now.Before(known.again) && d.usable(known, now) {
		return known.value, nil
	}
	if d.usable(known, now) {
		if d.fetching.TryLock() {
			go func() { // whoever asks has an answer already
				defer d.fetching.Unlock()
				d.refresh(context.WithoutCancel(ctx), now)
			}()
		}
		return known.value, nil
	}
	d.fetching.Lock()
	defer d.fetching.Unlock()
	if known = d.current.Load(); !d.usable(known, now) {
		d.refresh(ctx, now)
		known = d.current.Load()
	}
	if !d.usable(known, now) {
		return value, &latchward.Error{
			Code: latchward.CodeUnavailable, Message: "What Latchward publishes could not be fetched; try again.", Err: d.failure,
		}
	}
	return known.value, nil
}

// usable reports whether a copy is young enough.
func (d *document[T]) usable(known *kept[T], now time.Time) bool {
	return known != nil && now.Sub(known.asOf) <= d.options.MaxStaleness && (known.ends.IsZero() || now.Before(known.ends))
}

func (d *document[T]) age(now time.Time) (time.Duration, bool) {
	known := d.current.Load()
	if known == nil {
		return 0, false
	}
	return max(0, now.Sub(known.asOf)), true
}

// over reports whether the copy has ended: nobody has asked for a newer one.
func (d *document[T]) over(now time.Time) bool {
	known := d.current.Load()
	return known != nil && !known.ends.IsZero() && !now.Before(known.ends)
}

// refresh fetches the document, unless the last failure is too recent. It must be called with fetching held.
func (d *document[T]) refresh(ctx context.Context, now time.Time) {
	if now.Before(d.retryAt) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	fetched, err := d.fetch(ctx, now)
	if err != nil {
		d.wait = min(max(2*d.wait, firstRetry), lastRetry)
		d.retryAt, d.failure = now.Add(d.wait), err
		return
	}
	d.retryAt, d.wait, d.failure = time.Time{}, 0, nil
	look := d.options.MaxStaleness / 2
	if fetched.keep > 0 {
		look = min(look, max(fetched.keep, firstRetry)) // within reason, whatever the list says (section 11.5)
	}
	fetched.again = now.Add(look)
	d.current.Store(&fetched)
}

func (d *document[T]) fetch(ctx context.Context, now time.Time) (kept[T], error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url, nil)
	if err != nil {
		return kept[T]{}, err
	}
	r.Header.Set("Accept", d.media)
	r.Header.Set("Cache-Control", "no-cache") // whoever is between would make it older than it looks
	reply, err := d.options.Client.Do(r)
	if err != nil {
		return kept[T]{}, err
	}
	defer func() { _ = reply.Body.Close() }()
	if reply.StatusCode != http.StatusOK {
		return kept[T]{}, errors.New(d.url + " answered " + reply.Status)
	}
	body, err := io.ReadAll(io.LimitReader(reply.Body, maxDocument+1))
	if err != nil {
		return kept[T]{}, err
	}
	if len(body) > maxDocument {
		return kept[T]{}, errors.New(d.url + " answered with more than 1 MiB")
	}
	return d.read(body, now.Add(-ageOf(reply.Header)))
}

// ageOf returns for how long a cache has kept an answer (RFC 9111 §5.1).
func ageOf(h http.Header) time.Duration {
	seconds, err := strconv.ParseInt(h.Get("Age"), 10, 32)
	if err != nil || seconds < 0 {
		return 0
	}
	return time.Duration(seconds) * time.Second
}
