-- Times are unix milliseconds, UTC; NULL is none.
-- +goose Up

-- Keys with which Latchward signs. The public part follows from the private one.
CREATE TABLE signing_keys (
  id          TEXT PRIMARY KEY, -- thumbprint of the public key
  sealed      TEXT, -- the private key under a server key; NULL once it is revoked
  created_at  INTEGER NOT NULL,
  active_from INTEGER NOT NULL,
  retires_at  INTEGER,
  revoked_at  INTEGER
) STRICT, WITHOUT ROWID;

-- Derived tokens until they have ended, never the JWTs themselves.
CREATE TABLE derived_tokens (
  id         TEXT PRIMARY KEY, -- jti
  list       INTEGER NOT NULL, -- status list
  place      INTEGER NOT NULL, -- in that list
  token_id   INTEGER NOT NULL,
  key_id     TEXT NOT NULL, -- of the secret that it was derived with
  ends_at    INTEGER NOT NULL,
  revoked_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX derived_tokens_place ON derived_tokens (list, place);
CREATE INDEX derived_tokens_end ON derived_tokens (ends_at);
CREATE INDEX derived_tokens_revoked ON derived_tokens (ends_at) WHERE revoked_at IS NOT NULL;
