package sqlite

import (
	"context"
	"slices"
	"time"

	"github.com/latchward/latchward"
)

// latency verifies at 1,000 requests a second while f runs and returns the 99th percentile of what that took.
func latency(ctx context.Context, service *latchward.Service, secrets []latchward.Secret, f func()) time.Duration {
	done, taken := make(chan struct{}), []time.Duration{}
	go func() {
		defer close(done)
		f()
	}()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-done:
			slices.Sort(taken)
			return taken[len(taken)*99/100]
		case <-tick.C:
			began := time.Now()
			_, _ = service.Verify(ctx, latchward.VerifyRequest{Secret: secrets[n%len(secrets)]})
			taken = append(taken, time.Since(began))
		}
	}
}
