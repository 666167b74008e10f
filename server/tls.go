package server

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certificate is a key pair in files that may be replaced at any time.
type certificate struct {
	cert, key string
	log       *slog.Logger

	mu     sync.Mutex
	stamps [2]stamp
	pair   *tls.Certificate
}

// stamp tells one content of a file from another without reading it.
type stamp struct {
	modified time.Time
	size     int64
}

func newCertificate(l listener, log *slog.Logger) (*certificate, error) {
	c := &certificate{cert: l.cert, key: l.key, log: log}
	if err := checkPrivate(c.key, 0o007); err != nil {
		return nil, invalidf(l.section+".tls_key", "%v", err)
	}
	if err := c.load(); err != nil {
		return nil, invalidf(l.section+".tls_cert", "%v", err)
	}
	return c, nil
}

// get implements tls.Config.GetCertificate. Files that cannot be used leave the pair in use as it is: they may be half
// written.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current() == c.stamps {
		return c.pair, nil
	}
	if err := c.load(); err != nil {
		c.log.Warn("A changed certificate cannot be used yet; the one before it stays.", "error", err)
	} else {
		c.log.Info("Read a changed certificate.", "file", c.cert)
	}
	return c.pair, nil
}

func (c *certificate) load() error {
	stamps := c.current()
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return fmt.Errorf("the certificate %s with the key %s: %w", c.cert, c.key, err)
	}
	c.pair, c.stamps = &pair, stamps
	return nil
}

func (c *certificate) current() (stamps [2]stamp) {
	for i, path := range []string{c.cert, c.key} {
		if info, err := os.Stat(path); err == nil {
			stamps[i] = stamp{info.ModTime(), info.Size()}
		}
	}
	return stamps
}

func (c *certificate) config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get}
}
