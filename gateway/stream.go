package gateway

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/latchward/latchward"
)

// streamEnded is why a request was ended whose verdict has become another.
type streamEnded struct{ verdict latchward.Verdict }

func (e *streamEnded) Error() string {
	return "the request would be refused by now: " + string(e.verdict.Reason)
}

var errStopping = errors.New("the gateway is stopping")

// streams are the requests being served. Those that last are judged again from time to time, and ended once they would
// not be let in any more (bar 53).
type streams struct {
	mu   sync.Mutex
	open map[*passage]struct{}
}

func (s *streams) add(p *passage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = map[*passage]struct{}{}
	}
	s.open[p] = struct{}{}
}

func (s *streams) remove(p *passage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, p)
}

func (s *streams) all() []*passage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.open))
}

// Run ends requests whose token has stopped being valid, within Options.StreamCheck of it, until ctx is done. Then it
// closes connections to upstreams that nothing uses.
func (g *Gateway) Run(ctx context.Context) error {
	defer g.closeIdle()
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
			g.endStreams(ctx, interval)
			for _, r := range g.routes {
				r.lanes.sweep()
			}
		}
	}
}

func (g *Gateway) closeIdle() {
	g.transport.CloseIdleConnections()
	for _, r := range g.routes {
		r.lanes.close()
	}
}

// EndAll ends every request being served; for shutting down after the time for draining is over.
func (g *Gateway) EndAll() {
	for _, p := range g.streams.all() {
		p.cancel(errStopping)
	}
}

// endStreams judges every request being served again, taking at most so long for each, and ends those that would be
// refused now. One that cannot be judged goes on: a store that is away is no reason to cut off those who were let in.
func (g *Gateway) endStreams(ctx context.Context, most time.Duration) {
	if g.options.Open {
		return
	}
	for _, p := range g.streams.all() {
		v, err := g.judgeAgain(p, most)
		if err != nil || v.Allowed() {
			continue
		}
		p.cancel(&streamEnded{v})
		g.streams.remove(p) // it takes its time to end, and is to be told of once
		g.options.Logger.Info("Stream ended.", "reason", v.Reason, "path", v.Path)
		if g.options.StreamEnded == nil {
			continue
		}
		if err := g.options.StreamEnded(ctx, v); err != nil {
			g.options.Logger.Error("No audit entry for an ended stream.", "error", err)
		}
	}
}

func (g *Gateway) judgeAgain(p *passage, most time.Duration) (latchward.Verdict, error) {
	ctx, cancel := context.WithTimeout(p.ctx, most)
	defer cancel()
	return g.judge.JudgeAgain(p.in.WithContext(ctx))
}
