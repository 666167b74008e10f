package server

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io/fs"
	"log/slog"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
	"github.com/latchward/latchward/signin"
)

// openPersons returns what signs people in by JWT.
func openPersons(c *Config, service signin.SignIner, log *slog.Logger) (httpauth.PersonAuthenticator, error) {
	secret, err := jwtSecret(c, log)
	if err != nil {
		return nil, err
	}
	return signin.NewJWT(service, c.jwtOptions(secret))
}

func (c *Config) jwtOptions(secret []byte) signin.JWTOptions {
	return signin.JWTOptions{
		Secret: secret, JWKSURL: c.JWKSURL, JWKSFile: c.JWKSFile, Issuer: c.Issuer, Audience: c.Audience,
		AdminClaim: c.AdminClaim, AdminValue: c.AdminValue, CreateUsers: c.CreateUsers,
	}
}

// jwtSecret returns the secret of HS256, or nil when an identity provider has the keys. Where nothing is configured it
// is a file in the data folder, made when it is missing: JWTs made under a lost one are refused, which harms nobody.
func jwtSecret(c *Config, log *slog.Logger) ([]byte, error) {
	if !c.JWTSecret.IsZero() {
		return []byte(c.JWTSecret.Expose()), nil
	}
	if !c.ownJWTs() {
		return nil, nil
	}
	secret, err := readJWTSecret(c)
	if !errors.Is(err, fs.ErrNotExist) {
		return secret, err
	}
	path := c.path(jwtSecretFile)
	secret = make([]byte, hex.EncodedLen(minSecret))
	random := make([]byte, minSecret)
	rand.Read(random) //nolint:errcheck // never fails: crypto/rand ends the program instead
	hex.Encode(secret, random)
	if err := writePrivate(path, secret); err != nil {
		return nil, invalidf("data", "the new secret of JWTs cannot be written: %w", err)
	}
	log.Info("Made a secret for JWTs, because none is configured.", "file", path)
	return secret, nil
}

// readJWTSecret reads the secret that was made here; fs.ErrNotExist is in the error's chain when none was.
func readJWTSecret(c *Config) ([]byte, error) {
	path := c.path(jwtSecretFile)
	secret, err := readPrivate(path)
	if err == nil && len(secret) < minSecret {
		err = errors.New(path + " is too short: delete it, and a new one is made")
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		err = invalidf("jwt.secret", "the secret of JWTs: %v", err)
	}
	return secret, err
}

// Person is whom a JWT of [MintJWT] stands for.
type Person struct {
	Subject       string // required: the external id of the user
	Email, Name   string // "" = not told
	Administrator bool
	ExpiresIn     time.Duration
}

// MintJWT returns a JWT that a server with this configuration accepts. The error has code conflict when an identity
// provider has the keys. Only roles are written, so a jwt.admin_claim other than roles makes no administrator.
func MintJWT(c Config, p Person) (latchward.Secret, error) {
	if err := openFolder(c.Data); err != nil {
		return latchward.Secret{}, err
	}
	secret, err := jwtSecret(&c, newLogger(&c))
	if err != nil {
		return latchward.Secret{}, err
	}
	if secret == nil {
		return latchward.Secret{}, latchward.Errorf(latchward.CodeConflict,
			"JWTs are signed by your identity provider (jwt.jwks_url or jwt.jwks_file): get one there")
	}
	claims := signin.Claims{
		Issuer: c.Issuer, Audience: c.Audience, Subject: p.Subject, Email: p.Email, Name: p.Name,
		IssuedAt: time.Now(), ExpiresAt: time.Now().Add(p.ExpiresIn),
	}
	if p.Administrator {
		claims.Roles = []string{c.AdminValue}
	}
	text, err := signin.MintJWT(secret, claims)
	return latchward.SecretFromText(text), err
}
