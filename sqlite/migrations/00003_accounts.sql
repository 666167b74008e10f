-- Times are unix milliseconds, UTC; NULL is none. Lists are JSON; NULL is none.
-- +goose Up

-- How people sign in.
CREATE TABLE accounts (
  user_id        INTEGER PRIMARY KEY REFERENCES users (id),
  password       TEXT, -- digest as a PHC string
  totp           TEXT, -- shared secret, sealed under a server key
  new_totp       TEXT, -- one that is not confirmed yet, sealed
  totp_step      INTEGER NOT NULL, -- of the last code that was taken
  recovery_codes TEXT, -- digests
  devices        TEXT, -- digests of cookies, with their ends
  code_digest    TEXT, -- of a code with which a password can be set
  code_ends_at   INTEGER,
  passkeys       TEXT, -- public keys
  updated_at     INTEGER NOT NULL
) STRICT;

-- People as OpenID providers know them. An issuer of '' marks what is left of somebody who was removed.
CREATE TABLE account_identities (
  issuer  TEXT NOT NULL,
  subject TEXT NOT NULL,
  user_id INTEGER NOT NULL REFERENCES accounts (user_id),
  n       INTEGER NOT NULL, -- place in the account's list
  PRIMARY KEY (issuer, subject)
) STRICT, WITHOUT ROWID;

CREATE INDEX account_identities_user ON account_identities (user_id, n);

CREATE TABLE sessions (
  id               TEXT PRIMARY KEY, -- digest of the cookie in hexadecimal
  user_id          INTEGER NOT NULL REFERENCES users (id),
  method           TEXT NOT NULL,
  pending          INTEGER NOT NULL CHECK (pending IN (0, 1)),
  created_at       INTEGER NOT NULL,
  seen_at          INTEGER NOT NULL,
  ends_at          INTEGER NOT NULL,
  authenticated_at INTEGER NOT NULL,
  address          TEXT,
  user_agent       TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_user ON sessions (user_id, created_at);
CREATE INDEX sessions_seen ON sessions (seen_at);
