package signin

import (
	"crypto/rand"
	"encoding/base64"
	"sync"
	"time"

	"github.com/latchward/latchward"
)

// Bounds of what is remembered of sign-ins that go by way of another place, a provider or an authenticator.
const (
	flowLife = 10 * time.Minute
	maxFlows = 10_000
)

// flows remembers, for a while, what a browser began. Each is taken once, so nothing can be replayed. When there are
// too many, the oldest goes: its person begins again.
type flows[T any] struct {
	mu    sync.Mutex
	now   func() time.Time
	known map[string]flow[T]
	order []string // of beginning; may name some that are gone
}

type flow[T any] struct {
	value  T
	endsAt time.Time
}

func newFlows[T any](now func() time.Time) *flows[T] {
	return &flows[T]{now: now, known: map[string]flow[T]{}}
}

// begin remembers value and returns the secret to take it with.
func (f *flows[T]) begin(value T) latchward.Secret {
	var random [32]byte
	rand.Read(random[:]) //nolint:errcheck // never fails: crypto/rand ends the program instead
	key := base64.RawURLEncoding.EncodeToString(random[:])
	f.mu.Lock()
	defer f.mu.Unlock()
	f.forget()
	f.known[key] = flow[T]{value, f.now().Add(flowLife)}
	f.order = append(f.order, key)
	return latchward.SecretFromText(key)
}

// forget makes room: what has ended goes, and the oldest when there are too many.
func (f *flows[T]) forget() {
	for len(f.order) > 0 {
		oldest, ok := f.known[f.order[0]]
		if ok && len(f.order) < maxFlows && f.now().Before(oldest.endsAt) {
			return
		}
		delete(f.known, f.order[0])
		f.order = f.order[1:]
	}
}

// take returns what was remembered, once.
func (f *flows[T]) take(key latchward.Secret) (T, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	found, ok := f.known[key.Expose()]
	delete(f.known, key.Expose())
	return found.value, ok && f.now().Before(found.endsAt)
}
