package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"github.com/latchward/latchward"
)

// fingerprints is what tells whether a database has been in use, and with which keys.
type fingerprints interface {
	KeyFingerprints(ctx context.Context) (map[int]string, error)
}

// openKeyRing returns the key ring from where the configuration says it is. It makes one only for a database that
// never saw a key: over existing data a new one would refuse every token (bar 135).
func openKeyRing(ctx context.Context, c *Config, store fingerprints, log *slog.Logger) (*latchward.KeyRing, error) {
	ring, err := readKeyRing(c)
	if !errors.Is(err, fs.ErrNotExist) {
		return ring, err
	}
	known, err := store.KeyFingerprints(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the fingerprints of the server keys: %w", err)
	}
	for version, fingerprint := range known {
		return nil, latchward.Errorf(latchward.CodeConflict, "the key ring %s is missing, and tokens were issued under its "+
			"server key v%d (fingerprint %s): put the file back; a new one would refuse all of them",
			c.keysPath(), version, fingerprint)
	}
	if ring, err = latchward.GenerateKeyRing(rand.Reader, time.Now()); err != nil {
		return nil, err
	}
	if err := writePrivate(c.keysPath(), ring.Marshal()); err != nil {
		return nil, invalidf("keys_file", "the new key ring cannot be written: %w", err)
	}
	log.Info("Made a server key. Keep its file safe, and apart from backups of the database.", "file", c.keysPath())
	return ring, nil
}

// readKeyRing reads the key ring; fs.ErrNotExist is in the error's chain when its file is missing.
func readKeyRing(c *Config) (*latchward.KeyRing, error) {
	text, name := []byte(c.Keys.Expose()), c.origins["keys"]
	if c.Keys.IsZero() {
		name = c.keysPath()
		var err error
		if text, err = readPrivate(name); errors.Is(err, fs.ErrNotExist) {
			return nil, err
		} else if err != nil {
			return nil, invalidf("keys_file", "the key ring: %v", err)
		}
	}
	ring, err := latchward.ParseKeyRing(text)
	if err != nil {
		return nil, invalidf("keys", "%s: %s", name, latchward.ErrorMessage(err))
	}
	return ring, nil
}

// keyManager changes the key ring in its file and in the running service. It implements rest.KeyManager.
type keyManager struct {
	mu      sync.Mutex // one change at a time
	path    string     // "" = the ring came from elsewhere and cannot be kept
	service *latchward.Service
}

// RotateKey adds a server key, which new secrets are made under. The file has it before the first such secret.
func (m *keyManager) RotateKey(ctx context.Context) error {
	return m.change(ctx, latchward.PermissionKeysRotate, 0, func(ring *latchward.KeyRing) error {
		next, err := ring.Rotate(rand.Reader, time.Now())
		if err != nil {
			return err
		}
		if err := m.write(next); err != nil {
			return err
		}
		return m.service.UseKeys(ctx, next)
	})
}

// DropKey removes a retired server key. Its tokens are refused before the file forgets it: after a crash in between the
// next start completes the drop, see [keyManager.resume].
func (m *keyManager) DropKey(ctx context.Context, version int) error {
	return m.change(ctx, latchward.PermissionKeysDrop, version, func(ring *latchward.KeyRing) error {
		next, err := ring.Drop(version)
		if err != nil {
			return err
		}
		if err := m.service.UseKeys(ctx, next); err != nil {
			return err
		}
		return m.settle(ctx)
	})
}

// resume completes a drop that a crash cut short: the service refuses the key already, the file still has it.
func (m *keyManager) resume(ctx context.Context, read *latchward.KeyRing) error {
	if m.path == "" || m.service.Keys() == read {
		return nil
	}
	return m.settle(ctx)
}

// settle makes the file hold the ring in use, and then lets the service forget what it lacks.
func (m *keyManager) settle(ctx context.Context) error {
	if err := m.write(m.service.Keys()); err != nil {
		return err
	}
	return m.service.SettleKeys(ctx)
}

func (m *keyManager) change(
	ctx context.Context, permission string, version int, f func(*latchward.KeyRing) error,
) error {
	if err := m.service.AuthorizeKeys(ctx, permission, version); err != nil {
		return err
	}
	if m.path == "" {
		return latchward.Errorf(latchward.CodeConflict, "the key ring comes from the configuration, not from a file: change "+
			"it there and restart")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return f(m.service.Keys())
}

func (m *keyManager) write(ring *latchward.KeyRing) error {
	if err := writePrivate(m.path, ring.Marshal()); err != nil {
		return latchward.Errorf(latchward.CodeUnavailable, "the key ring file could not be written: %s", reasonOf(err))
	}
	return nil
}
