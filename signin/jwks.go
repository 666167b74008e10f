package signin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/latchward/latchward"
)

// How long public keys are relied on (bar 107).
const (
	keysInterval = time.Minute      // between two loads, whatever asks for them
	keysFresh    = 10 * time.Minute // age from which keys are loaded again while they serve
	keysLast     = 24 * time.Hour   // age from which keys serve no more
	loadTimeout  = 10 * time.Second
	maxKeySet    = 1 << 20 // bytes
)

// publicKeys is a JWK set that is loaded again when it grows old or a JWT names a key that is not in it. Loads run in
// the background, one at a time; whoever needs a key that is not known waits for the one that is under way.
type publicKeys struct {
	load func(context.Context) ([]byte, error)
	now  func() time.Time

	mu       sync.Mutex
	keys     []publicKey // replaced, never changed
	number   uint64      // of times they were
	loadedAt time.Time   // when keys were
	triedAt  time.Time
	loading  chan struct{} // closed at the end of the load that runs; nil when none does
	failure  error         // of the last load
}

func newPublicKeys(o *JWTOptions, now func() time.Time) (*publicKeys, error) {
	s := &publicKeys{now: now}
	if o.JWKSFile != "" {
		s.load = func(context.Context) ([]byte, error) { return readKeyFile(o.JWKSFile) }
		if s.loadNow(context.Background()); s.failure != nil {
			return nil, latchward.Invalid("jwt.jwks_file", "cannot be used: %v", s.failure)
		}
		return s, nil
	}
	address, err := url.Parse(o.JWKSURL)
	if err != nil || !secureAddress(address) {
		return nil, latchward.Invalid("jwt.jwks_url", "must be an https address, or an http address of this machine")
	}
	client := o.HTTPClient
	if client == nil {
		client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	s.load = func(ctx context.Context) ([]byte, error) { return fetchKeySet(ctx, client, address.String()) }
	return s, nil
}

// secureAddress reports whether nobody between here and there can change what is read.
func secureAddress(address *url.URL) bool {
	switch address.Scheme {
	case "https":
		return address.Host != ""
	case "http":
		ip, err := netip.ParseAddr(address.Hostname())
		return address.Hostname() == "localhost" || err == nil && ip.IsLoopback()
	}
	return false
}

// find implements keySource.
func (s *publicKeys) find(ctx context.Context, id string, algorithm jose.SignatureAlgorithm) ([]any, error) {
	found, age := s.known(id, algorithm)
	if len(found) > 0 && age < keysFresh {
		return found, nil
	}
	if done := s.refresh(ctx); done != nil && (len(found) == 0 || age >= keysLast) {
		select {
		case <-done:
		case <-ctx.Done():
			return nil, unavailable(ctx.Err())
		}
		found, age = s.known(id, algorithm)
	}
	if age >= keysLast {
		s.mu.Lock()
		defer s.mu.Unlock()
		return nil, unavailable(s.failure)
	}
	return found, nil
}

// generation implements keySource.
func (s *publicKeys) generation() (uint64, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.number, s.keys != nil && s.now().Sub(s.loadedAt) < keysFresh
}

func unavailable(cause error) error {
	return &latchward.Error{
		Code: latchward.CodeUnavailable, Message: "The keys that sign-ins are checked with are not available.", Err: cause,
	}
}

// known returns the keys for a JWT and how old the set is; keysLast when there is none.
func (s *publicKeys) known(id string, algorithm jose.SignatureAlgorithm) (found []any, age time.Duration) {
	s.mu.Lock()
	keys, loadedAt := s.keys, s.loadedAt
	s.mu.Unlock()
	if keys == nil {
		return nil, keysLast
	}
	return matching(keys, id, algorithm), s.now().Sub(loadedAt)
}

// refresh starts a load unless one has started less than keysInterval ago. It returns a channel that is closed at the
// end of the load under way, nil when there is none. The load outlives whoever asked for it.
func (s *publicKeys) refresh(ctx context.Context) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if s.loading != nil || !s.triedAt.IsZero() && now.Sub(s.triedAt) < keysInterval {
		return s.loading
	}
	s.triedAt, s.loading = now, make(chan struct{})
	go s.loadNow(context.WithoutCancel(ctx))
	return s.loading
}

// loadNow replaces the keys, or keeps them when there are no better ones.
func (s *publicKeys) loadNow(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	text, err := s.load(ctx)
	var keys []publicKey
	if err == nil {
		keys, err = parseKeySet(text)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure = err; err == nil {
		s.keys, s.loadedAt = keys, s.now()
		s.number++
	}
	if s.loading != nil {
		close(s.loading)
		s.loading = nil
	}
}

func readKeyFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return readKeySet(file)
}

func fetchKeySet(ctx context.Context, client *http.Client, address string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/jwk-set+json, application/json")
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the address of the keys answered %s", response.Status)
	}
	return readKeySet(response.Body)
}

func readKeySet(source io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(source, maxKeySet+1))
	if err == nil && len(text) > maxKeySet {
		return nil, errors.New("the JSON Web Key Set is larger than 1 MiB")
	}
	return text, err
}
