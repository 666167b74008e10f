package latchward

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Forms say in which ways the secrets in a database that were made elsewhere are found: "sha256/2" by the HMAC of their
// SHA-256 under version 2 of the server key, "lookup/8" by their first eight characters. Without any, a string that is
// not ours costs no look-up.
const (
	formLookup = "lookup"
	formOwn    = "prefix" // some start with our own prefix
)

// foreignForms are all forms that a database has.
type foreignForms struct {
	fast    []fastForm
	lookups []int // lengths of lookup prefixes, ascending
	own     bool
}

// fastForm is a way to find a secret by its digest.
type fastForm struct {
	algorithm ForeignAlgorithm
	version   int // of the server key
}

func (f fastForm) String() string { return fmt.Sprintf("%s/%d", f.algorithm, f.version) }

func lookupForm(length int) string { return fmt.Sprintf("%s/%d", formLookup, length) }

// parseForms passes over what it does not know: a newer version may find more.
func parseForms(texts []string) foreignForms {
	var forms foreignForms
	for _, text := range texts {
		kind, number, _ := strings.Cut(text, "/")
		n, err := strconv.Atoi(number)
		switch {
		case text == formOwn:
			forms.own = true
		case err != nil:
		case kind == formLookup:
			forms.lookups = append(forms.lookups, n)
		case ForeignAlgorithm(kind).fast():
			forms.fast = append(forms.fast, fastForm{ForeignAlgorithm(kind), n})
		}
	}
	slices.Sort(forms.lookups)
	// The newest key first: most are found there, once they have been used.
	slices.SortStableFunc(forms.fast, func(a, b fastForm) int { return b.version - a.version })
	return forms
}

func (f *foreignForms) none() bool { return len(f.fast)+len(f.lookups) == 0 }

// candidate is what a string would be found by if it were of one form.
type candidate struct {
	Credential
	form fastForm
	sum  []byte
}

// candidates returns what a string may be found by, and canonical, its credential in the form that others become.
func (f *foreignForms) candidates(keys *KeyRing, text string) (all []candidate, canonical candidate) {
	sum := sha256.Sum256(stringBytes(text))
	var long []byte
	for _, form := range f.fast {
		key := keys.key(form.version)
		if key == nil { // dropped
			continue
		}
		c := candidate{form: form, sum: sum[:]}
		if form.algorithm == ForeignSHA512 {
			if long == nil {
				digest := sha512.Sum512(stringBytes(text))
				long = digest[:]
			}
			c.sum = long
		}
		c.Credential = key.foreign(form.algorithm, c.sum)
		all = append(all, c)
	}
	canonical = candidate{form: fastForm{ForeignSHA256, keys.Current()}, sum: sum[:]}
	canonical.Credential = keys.key(keys.Current()).foreign(ForeignSHA256, sum[:])
	return all, canonical
}

// lookupPrefixes returns the prefixes by which a string may be looked up, shortest first.
func (f *foreignForms) lookupPrefixes(text string) []string {
	var prefixes []string
	for _, length := range f.lookups {
		if length > 0 && length <= len(text) {
			prefixes = append(prefixes, text[:length])
		}
	}
	return prefixes
}

// How much is remembered about strings that were compared one by one.
const (
	maxTried  = 8192
	maxProven = 8192
)

// foreignCache is what is remembered about secrets that were made elsewhere, beside the facts about their tokens.
// Strings go by the key id that they would have in the canonical form.
type foreignCache struct {
	forms   cells[foreignKey, foreignForms]
	cell    *cell[foreignKey, foreignForms]
	reads   atomic.Int64
	changes *atomic.Uint64

	mu      sync.Mutex
	tried   map[KeyID]time.Time // until then, known to be none of the candidates, or not to be moved
	proven  map[KeyID]KeyID     // known to be the secret with that key id, which could not become canonical
	flights map[KeyID]*foreignFlight
}

// foreignKey is the key of the one cell that holds the forms.
type foreignKey struct{}

func (c *foreignCache) open(store ForeignStore, changes *atomic.Uint64) {
	c.changes = changes
	c.forms = cells[foreignKey, foreignForms]{
		read: func(ctx context.Context, _ foreignKey) (foreignForms, error) {
			texts, err := store.ForeignForms(ctx)
			return parseForms(texts), err
		},
		most: 1, changes: changes, reads: &c.reads,
	}
	c.cell = c.forms.cell(foreignKey{})
	c.tried, c.proven, c.flights = map[KeyID]time.Time{}, map[KeyID]KeyID{}, map[KeyID]*foreignFlight{}
}

// known returns the forms there are. It takes no lock unless they have changed.
func (c *foreignCache) known(ctx context.Context) (*foreignForms, error) {
	return c.forms.fill(ctx, c.cell)
}

// forget lets go of everything: something was imported, or became another.
func (c *foreignCache) forget() {
	c.forms.forget(nil)
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.tried)
	clear(c.proven)
}

// found returns the key id of the secret that a string was proven to be.
func (c *foreignCache) found(canonical KeyID) (KeyID, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	id, ok := c.proven[canonical]
	return id, ok
}

// prove remembers that a string is the secret with that key id; the zero KeyID forgets it.
func (c *foreignCache) prove(canonical, id KeyID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if id.IsZero() {
		delete(c.proven, canonical)
		return
	}
	makeRoom(c.proven, maxProven)
	c.proven[canonical] = id
}

// failed reports whether a string is known to be none of the candidates.
func (c *foreignCache) failed(canonical KeyID, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	until, ok := c.tried[canonical]
	return ok && now.Before(until)
}

// fail remembers for a while that what a key id stands for is not worth trying.
func (c *foreignCache) fail(id KeyID, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remember(id, now)
}

// remember must be called with mu held.
func (c *foreignCache) remember(id KeyID, now time.Time) {
	makeRoom(c.tried, maxTried)
	c.tried[id] = now.Add(negativeTTL)
}

// makeRoom drops one entry of a full map, whichever comes first.
func makeRoom[K comparable, V any](m map[K]V, most int) {
	if len(m) < most {
		return
	}
	for key := range m {
		delete(m, key)
		return
	}
}
