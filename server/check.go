package server

import (
	"errors"
	"io/fs"
	"log/slog"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/gateway"
	"github.com/latchward/latchward/httpauth"
	"github.com/latchward/latchward/signin"
)

// Check returns what [Open] would have against the configuration, as far as that can be told without opening the
// database, listening or writing: files that are missing, broken or open to others.
func Check(c Config) error {
	return errors.Join(c.checkFolder(), c.checkKeyRing(), c.checkJWT(), c.checkCertificates(), c.checkGateway())
}

func (c *Config) checkFolder() error {
	if !exists(c.Data) {
		return nil // will be made
	}
	return checkFolder(c.Data)
}

func (c *Config) checkKeyRing() error {
	_, err := readKeyRing(c)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if exists(c.path(databaseFile)) {
		return latchward.Errorf(latchward.CodeConflict, "the key ring %s is missing, and there is a database: put the file "+
			"back; a new one would refuse all tokens", c.keysPath())
	}
	return nil
}

func (c *Config) checkJWT() error {
	if c.ownJWTs() {
		if _, err := readJWTSecret(c); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	var secret []byte
	if !c.JWTSecret.IsZero() {
		secret = []byte(c.JWTSecret.Expose())
	}
	_, err := signin.NewJWT(nil, c.jwtOptions(secret))
	return err
}

func (c *Config) checkCertificates() error {
	var faults []error
	for _, l := range c.listeners() {
		if l.cert != "" {
			_, err := newCertificate(l, slog.New(slog.DiscardHandler))
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}

func (c *Config) checkGateway() error {
	if _, err := httpauth.NewProxies(c.TrustedProxies, c.AddressHeader); err != nil {
		return err
	}
	if len(c.Upstreams) == 0 {
		return nil
	}
	upstreams, err := c.gatewayUpstreams()
	if err != nil {
		return err
	}
	if _, err := c.upstreamRoots(); err != nil {
		return err
	}
	var nobody *latchward.Service // is never asked
	_, err = gateway.New(gateway.Options{Verifier: nobody, Base: c.Base, Upstreams: upstreams})
	return err
}
