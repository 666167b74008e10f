package latchward

import (
	"context"
	"crypto/ed25519"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// sealSigning is the purpose under which private keys are sealed.
const sealSigning = "signing key"

func signingBound(id string) string { return "signing_key:" + id }

// heldKey is a signing key that the key ring opened.
type heldKey struct {
	SigningKey
	private ed25519.PrivateKey
}

func (k *heldKey) public() ed25519.PublicKey { return k.private.Public().(ed25519.PublicKey) }

// heldKeys are the keys that can sign or verify. They never change once made.
type heldKeys map[string]*heldKey

// active returns the key that signs at now, or nil: the last that began to.
func (held heldKeys) active(now time.Time) (active *heldKey) {
	for _, k := range held {
		if k.State(now) == SigningActive && (active == nil || k.ActiveFrom.After(active.ActiveFrom)) {
			active = k
		}
	}
	return active
}

// find returns the public key with that id if it verifies at now, or nil.
func (held heldKeys) find(id string, now time.Time) ed25519.PublicKey {
	if k := held[id]; k != nil && k.Published(now) {
		return k.public()
	}
	return nil
}

// signing remembers the signing keys. A change always wins over a read that began before it.
type signing struct {
	held    atomic.Pointer[heldKeys] // nil = to be read
	loading sync.Mutex               // one read at a time
	mu      sync.Mutex               // guards changes together with held
	changes uint64
	made    sync.Mutex // one key is made at a time
}

// apply forgets the keys if a commit may have changed them.
func (g *signing) apply(commit Commit) {
	if !slices.ContainsFunc(commit.Changes, func(c Change) bool { return c.Kind == ChangeSigning || c.Kind == ChangeAll }) {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.changes++
	g.held.Store(nil)
}

func (g *signing) generation() uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.changes
}

func (g *signing) keep(held *heldKeys, generation uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.changes == generation {
		g.held.Store(held)
	}
}

// signingKeys returns the keys that can sign or verify. It reads the store only after a change: a JWT cannot make it.
func (s *Service) signingKeys(ctx context.Context) (heldKeys, error) {
	if held := s.signing.held.Load(); held != nil {
		return *held, nil
	}
	s.signing.loading.Lock()
	defer s.signing.loading.Unlock()
	if held := s.signing.held.Load(); held != nil {
		return *held, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fillTimeout)
	defer cancel()
	generation := s.signing.generation()
	stored, err := s.store.SigningKeys(ctx)
	if err != nil {
		return nil, err
	}
	held := heldKeys{}
	for _, k := range stored {
		if opened := s.openSigningKey(k); opened != nil {
			held[k.ID] = opened
		}
	}
	s.signing.keep(&held, generation)
	return held, nil
}

// openSigningKey returns the key if it is not revoked and the key ring opens it, else nil.
func (s *Service) openSigningKey(k *SigningKey) *heldKey {
	if k.Sealed == "" || !k.RevokedAt.IsZero() {
		return nil
	}
	seed, _, err := s.keys.Load().Unseal(sealSigning, signingBound(k.ID), k.Sealed)
	if err != nil || len(seed) != ed25519.SeedSize {
		s.log.Error("A signing key cannot be opened with this key ring; it is neither used nor published.", "key", k.ID)
		return nil
	}
	private := ed25519.NewKeyFromSeed([]byte(seed))
	opened := &heldKey{SigningKey: *k, private: private}
	if SigningKeyID(opened.public()) != k.ID {
		return nil
	}
	return opened
}

// newSigningKey returns a key that signs from an instant on.
func (s *Service) newSigningKey(now, from time.Time) (*SigningKey, error) {
	seed := make([]byte, ed25519.SeedSize)
	if _, err := io.ReadFull(s.random, seed); err != nil {
		return nil, randomFailed("signing key", err)
	}
	k := &SigningKey{CreatedAt: now, ActiveFrom: from}
	k.ID = SigningKeyID(ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey))
	var err error
	k.Sealed, err = s.keys.Load().Seal(s.random, sealSigning, signingBound(k.ID), string(seed))
	return k, err
}

// activeSigningKey returns the key that signs now. The first is made when it is needed.
func (s *Service) activeSigningKey(ctx context.Context, now time.Time) (*heldKey, error) {
	held, err := s.signingKeys(ctx)
	if err != nil {
		return nil, err
	}
	if active := held.active(now); active != nil {
		return active, nil
	}
	s.signing.made.Lock()
	defer s.signing.made.Unlock()
	if held, err = s.signingKeys(ctx); err == nil && held.active(now) == nil {
		if err = s.makeSigningKey(ctx); err == nil {
			held, err = s.signingKeys(ctx)
		}
	}
	if err != nil {
		return nil, err
	}
	if active := held.active(s.timestamp()); active != nil {
		return active, nil
	}
	return nil, Errorf(CodeUnavailable, "There is no signing key; try again.")
}

func (s *Service) makeSigningKey(ctx context.Context) error {
	system := Principal{Type: PrincipalSystem, Name: "first need of a signing key", Administrator: true}
	return s.tx(context.WithoutCancel(ctx), func(tx Tx) error {
		now := s.timestamp()
		stored, err := tx.SigningKeys()
		if err != nil {
			return err
		}
		for _, k := range stored { // another node may have made one meanwhile
			if k.State(now) == SigningActive && s.openSigningKey(k) != nil {
				return tx.SaveSigningKey(k)
			}
		}
		return s.addSigningKey(tx, system, now, now)
	})
}

func (s *Service) addSigningKey(tx Tx, p Principal, now, from time.Time) error {
	k, err := s.newSigningKey(now, from)
	if err != nil {
		return err
	}
	if err := tx.SaveSigningKey(k); err != nil {
		return err
	}
	return s.auditSigningKey(tx, p, ActionSigningKeyCreate, k, now)
}

func (s *Service) auditSigningKey(tx Tx, p Principal, action string, k *SigningKey, now time.Time) error {
	after := map[string]any{
		"active_from": auditTime(k.ActiveFrom), "retires_at": auditTime(k.RetiresAt), "revoked_at": auditTime(k.RevokedAt),
	}
	return s.auditChange(tx, p, action, target{"signing_key", 0, k.ID}, nil, after, now)
}
