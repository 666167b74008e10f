package gateway

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
)

var errStreamEnded = errors.New("the token stopped being valid")

// streams are the requests being served. Those that last are judged again from time to time, and ended once they would
// not be let in any more (bar 53).
type streams struct {
	judge httpauth.Judge
	mu    sync.Mutex
	open  map[*stream]struct{}
}

type stream struct {
	request *http.Request
	since   time.Time
	cancel  context.CancelCauseFunc
}

// watch returns the context in which r is served; the caller must call done when it has been.
func (s *streams) watch(r *http.Request, v *latchward.Verdict) (ctx context.Context, done func()) {
	ctx, cancel := context.WithCancelCause(r.Context())
	one := &stream{request: r, since: v.At, cancel: cancel}
	s.mu.Lock()
	if s.open == nil {
		s.open = map[*stream]struct{}{}
	}
	s.open[one] = struct{}{}
	s.mu.Unlock()
	return ctx, func() {
		s.mu.Lock()
		delete(s.open, one)
		s.mu.Unlock()
		cancel(nil)
	}
}

// lasting returns the requests that have been served since before the given moment.
func (s *streams) lasting(since time.Time) []*stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []*stream
	for one := range s.open {
		if one.since.Before(since) {
			found = append(found, one)
		}
	}
	return found
}

// Run ends streams whose token has stopped being valid, within Options.StreamCheck of it, until ctx is done; then it
// ends all that are left and returns.
func (g *Gateway) Run(ctx context.Context) error {
	interval := g.options.StreamCheck
	if interval == 0 {
		interval = DefaultStreamCheck
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			g.endStreams(ctx, time.Now().Add(-interval/2))
		}
	}
}

// endStreams judges again every request that began before since, and ends those that would be refused now. One that
// cannot be judged goes on: a store that is away is no reason to cut off those who were let in.
func (g *Gateway) endStreams(ctx context.Context, since time.Time) {
	for _, one := range g.streams.lasting(since) {
		v, err := g.streams.judge.JudgeAgain(one.request)
		if err != nil || v.Allowed() {
			continue
		}
		one.cancel(errStreamEnded)
		g.options.Logger.Info("Stream ended.", "reason", v.Reason, "path", v.Path)
		if g.options.StreamEnded == nil {
			continue
		}
		if err := g.options.StreamEnded(ctx, v); err != nil {
			g.options.Logger.Error("No audit entry for an ended stream.", "error", err)
		}
	}
}

// EndAll ends every request being served; for shutting down after the time for draining is over.
func (g *Gateway) EndAll() {
	for _, one := range g.streams.lasting(time.Unix(1<<40, 0)) {
		one.cancel(errStreamEnded)
	}
}
