package signin

import (
	"crypto/sha256"
	"sync"
	"time"

	"github.com/latchward/latchward"
)

// maxRemembered bounds the JWTs whose signature is not checked again.
const maxRemembered = 10_000

// remembered are JWTs that were found good, by their SHA-256. A person's program sends the same one with every request
// until it expires, and checking its signature costs as much as all the rest of a request: 17 to 130 µs against 1 µs
// in BenchmarkAuthenticate. Only what was verified is kept, so nobody can crowd it out with guesses.
type remembered struct {
	mu   sync.RWMutex
	good map[[sha256.Size]byte]goodJWT
}

type goodJWT struct {
	identity   latchward.Identity
	expires    time.Time // leeway included
	generation uint64    // of the keys that it was verified with
}

func (m *remembered) get(digest [sha256.Size]byte) (goodJWT, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	jwt, ok := m.good[digest]
	return jwt, ok
}

func (m *remembered) put(digest [sha256.Size]byte, jwt goodJWT) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.good == nil || len(m.good) >= maxRemembered {
		m.good = map[[sha256.Size]byte]goodJWT{}
	}
	m.good[digest] = jwt
}

func (m *remembered) forget(digest [sha256.Size]byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.good, digest)
}
