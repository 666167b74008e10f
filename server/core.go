package server

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
	"github.com/latchward/latchward/journal"
	"github.com/latchward/latchward/oauth"
	"github.com/latchward/latchward/rest"
	"github.com/latchward/latchward/signin"
	"github.com/latchward/latchward/sqlite"
)

// core is what a server and a command on the data folder have in common: the database, the keys and the rules.
type core struct {
	config  Config
	log     *slog.Logger
	store   *sqlite.Store
	journal *journal.Journal
	service *latchward.Service
	keys    *keyManager
}

func openCore(ctx context.Context, c Config) (*core, error) {
	k := &core{config: c, log: newLogger(&c)}
	if err := openFolder(c.Data); err != nil {
		return nil, err
	}
	var err error
	if k.store, err = sqlite.Open(ctx, c.path(databaseFile), sqlite.Options{UsageRows: c.UsageRows}); err != nil {
		return nil, err
	}
	if err = k.openJournal(); err == nil {
		err = k.openService(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, k.close())
	}
	return k, nil
}

// openJournal opens what keeps usage until the database has it. Behind the database, so that two servers on one folder
// stop at that.
func (k *core) openJournal() (err error) {
	c, ring := &k.config, 1
	for ring < c.UsageRing {
		ring *= 2
	}
	k.journal, err = journal.Open(c.path(journalFolder), journal.Options{
		RingBytes: ring << 20, Budget: c.UsageBudget << 20, Logger: k.log,
	})
	return err
}

// run does what must happen without anybody asking, until ctx is done and all usage is stored.
func (k *core) run(ctx context.Context) error {
	synced := make(chan error, 1)
	go func() { synced <- k.journal.Run(ctx) }()
	return errors.Join(k.service.Run(ctx), <-synced)
}

func (k *core) openService(ctx context.Context) error {
	c := &k.config
	ring, err := openKeyRing(ctx, c, k.store, k.log)
	if err != nil {
		return err
	}
	const day = 24 * time.Hour
	options := latchward.Options{
		Store: k.store, Keys: ring, Prefix: c.Prefix, IdleTimeoutDays: &c.IdleTimeoutDays, ReuseAnywhere: c.ReuseAnywhere,
		CreationLimit: c.CreationsPerMinute, CacheSize: c.CachedTokens, FlushInterval: c.UsageFlush,
		KeepEvents: time.Duration(c.EventsDays) * day, KeepHours: time.Duration(c.HoursDays) * day, Logger: k.log,
		Passwords: signin.NewPasswords(signin.PasswordOptions{}), SlowDigests: slowDigests{},
		LeakAction: latchward.LeakAction(c.LeakAction),
		JWT:        oauth.Format(), DerivedLifetime: c.DerivedLifetime, SigningKeyAge: c.signingKeyAge(),
	}
	if k.journal != nil {
		options.Journal = k.journal
	}
	if k.service, err = latchward.New(ctx, options); err != nil {
		return err
	}
	k.keys = &keyManager{service: k.service}
	if c.Keys.IsZero() {
		k.keys.path = c.keysPath()
	}
	return k.keys.resume(ctx, ring)
}

// signingKeyAge returns the age at which a signing key is rotated; below zero for never.
func (c *Config) signingKeyAge() time.Duration {
	if c.SigningDays == 0 {
		return -1
	}
	return time.Duration(c.SigningDays) * 24 * time.Hour
}

func (k *core) close() error {
	var failures []error
	if k.journal != nil {
		failures = append(failures, k.journal.Close())
	}
	return errors.Join(append(failures, k.store.Close())...)
}

// management returns the management and verify API. persons, proxies and guard are nil where only the local
// administrator comes.
func (k *core) management(persons httpauth.PersonAuthenticator, p *httpauth.Proxies, g *httpauth.Guard) http.Handler {
	if k.config.open() {
		return http.HandlerFunc(unavailable)
	}
	return rest.Handler(rest.Options{
		Service: k.service, Persons: persons, Proxies: p, Guard: g, Keys: k.keys, Logger: k.log, Version: k.config.version(),
	})
}

// unavailable answers for the management API in the mode without authentication (S3-19).
func unavailable(w http.ResponseWriter, _ *http.Request) {
	httpauth.WriteError(w, latchward.Errorf(latchward.CodeConflict,
		"API tokens are not available in non-authenticated mode"))
}

// asLocalAdministrator lets every request act as the local administrator: whoever can open the data folder could
// change everything in it anyway.
func asLocalAdministrator(next http.Handler) http.Handler {
	principal := localAdministrator()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(latchward.WithPrincipal(r.Context(), principal)))
	})
}

func localAdministrator() latchward.Principal {
	return latchward.Principal{Type: latchward.PrincipalLocal, Name: "local administrator", Administrator: true}
}
