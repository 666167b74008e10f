-- Times are unix milliseconds, UTC; NULL is none. Lists and objects are JSON; NULL is none.
-- +goose Up

-- What the database says about itself: history (its random name, see latchward.Position), written_at.
CREATE TABLE instance (
  name  TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE users (
  id            INTEGER PRIMARY KEY AUTOINCREMENT, -- never given to somebody else
  external_id   TEXT UNIQUE,
  email         TEXT COLLATE NOCASE,
  name          TEXT NOT NULL,
  administrator INTEGER NOT NULL CHECK (administrator IN (0, 1)),
  active        INTEGER NOT NULL CHECK (active IN (0, 1)),
  created_at    INTEGER NOT NULL,
  updated_at    INTEGER NOT NULL,
  removed_at    INTEGER
) STRICT;

CREATE UNIQUE INDEX users_email ON users (email) WHERE removed_at IS NULL;

CREATE TABLE api_tokens (
  id                INTEGER PRIMARY KEY AUTOINCREMENT, -- never used again, also after a deletion
  name              TEXT NOT NULL,
  token             TEXT NOT NULL UNIQUE, -- digest of the current secret in hexadecimal, never the secret
  description       TEXT,
  user_id           INTEGER REFERENCES users (id),
  active            INTEGER NOT NULL DEFAULT 1 CHECK (active IN (0, 1)),
  rate_limit        INTEGER NOT NULL DEFAULT 100,
  allowed_endpoints TEXT,
  expires_at        INTEGER,
  last_used_at      INTEGER,
  created_at        INTEGER NOT NULL,
  updated_at        INTEGER NOT NULL,
  kind              TEXT NOT NULL,
  key_id            TEXT UNIQUE, -- of the current secret; NULL once deleted
  token_prefix      TEXT NOT NULL,
  inactive_reason   TEXT,
  allowed_networks  TEXT,
  permissions       TEXT, -- NULL is the owner's rights, [] is none
  not_before        INTEGER,
  idle_timeout_days INTEGER NOT NULL DEFAULT 0, -- 0 is never
  tags              TEXT,
  metadata          TEXT,
  enabled_at        INTEGER,
  revoked_at        INTEGER,
  revoke_reason     TEXT,
  deleted_at        INTEGER, -- hidden from then on; the row goes when its usage is gone
  idle_since        INTEGER AS (max(created_at, ifnull(last_used_at, created_at), ifnull(enabled_at, created_at))),
  idle_at           INTEGER AS (CASE WHEN idle_timeout_days > 0 THEN idle_since + idle_timeout_days * 86400000 END)
) STRICT;

-- The orders of lists. There is none by last use: it would be rewritten with every batch of usage.
CREATE INDEX api_tokens_user ON api_tokens (user_id, created_at);
CREATE INDEX api_tokens_created ON api_tokens (created_at);
CREATE INDEX api_tokens_updated ON api_tokens (updated_at);
CREATE INDEX api_tokens_expires ON api_tokens (ifnull(expires_at, -62135596800000));
CREATE INDEX api_tokens_name ON api_tokens (name);
CREATE INDEX api_tokens_deleted ON api_tokens (deleted_at) WHERE deleted_at IS NOT NULL;

-- Secrets that were rotated out.
CREATE TABLE api_token_secrets (
  key_id     TEXT PRIMARY KEY,
  token_id   INTEGER NOT NULL REFERENCES api_tokens (id) ON DELETE CASCADE,
  digest     TEXT NOT NULL,
  ends_at    INTEGER NOT NULL,
  used_up_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX api_token_secrets_token ON api_token_secrets (token_id);

CREATE TABLE audit_entries (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  at          INTEGER NOT NULL,
  actor_type  TEXT NOT NULL,
  actor_id    INTEGER NOT NULL,
  actor_name  TEXT,
  address     TEXT,
  user_agent  TEXT,
  request_id  TEXT,
  action      TEXT NOT NULL,
  target_type TEXT NOT NULL,
  target_id   INTEGER NOT NULL,
  target_name TEXT,
  before      TEXT,
  after       TEXT
) STRICT;

CREATE INDEX audit_entries_target ON audit_entries (target_type, target_id);
CREATE INDEX audit_entries_action ON audit_entries (action);

CREATE TABLE server_keys (
  version     INTEGER PRIMARY KEY,
  fingerprint TEXT NOT NULL
) STRICT;

-- The change feed: which facts are no longer what they were. Numbers only grow.
CREATE TABLE change (
  n    INTEGER PRIMARY KEY AUTOINCREMENT,
  kind TEXT NOT NULL,
  keys TEXT NOT NULL,
  at   INTEGER NOT NULL
) STRICT;

-- One row per request (S2-36). token_id is NULL for a JWT.
CREATE TABLE api_token_usage (
  id               INTEGER PRIMARY KEY,
  token_id         INTEGER REFERENCES api_tokens (id) ON DELETE CASCADE,
  endpoint         TEXT NOT NULL,
  method           TEXT NOT NULL,
  status_code      INTEGER NOT NULL,
  response_time_ms REAL NOT NULL,
  request_size     INTEGER NOT NULL,
  response_size    INTEGER NOT NULL,
  ip_address       TEXT,
  user_agent       TEXT,
  created_at       INTEGER NOT NULL,
  user_id          INTEGER, -- the person of a JWT
  credential       TEXT NOT NULL,
  reason           TEXT NOT NULL,
  request_id       TEXT
) STRICT;

CREATE INDEX api_token_usage_token ON api_token_usage (token_id, created_at);
CREATE INDEX api_token_usage_created ON api_token_usage (created_at);

-- Sums by hour, three times: by everything, and by what most questions ask for. A question reads the smallest that
-- can answer it. In this one the hour comes first, so that all that one batch touches lies together.
CREATE TABLE usage_hourly (
  hour           INTEGER NOT NULL,
  token_id       INTEGER NOT NULL, -- 0 for JWTs; also of tokens that are gone
  credential     TEXT NOT NULL,
  endpoint       TEXT NOT NULL,
  method         TEXT NOT NULL,
  class          INTEGER NOT NULL, -- first digit of the status
  requests       INTEGER NOT NULL,
  failed         INTEGER NOT NULL,
  duration       INTEGER NOT NULL, -- nanoseconds
  request_bytes  INTEGER NOT NULL,
  response_bytes INTEGER NOT NULL,
  PRIMARY KEY (hour, token_id, credential, endpoint, method, class)
) STRICT, WITHOUT ROWID;

-- Without endpoints. A token's hours lie together.
CREATE TABLE usage_hourly_token (
  token_id       INTEGER NOT NULL,
  hour           INTEGER NOT NULL,
  credential     TEXT NOT NULL,
  class          INTEGER NOT NULL,
  requests       INTEGER NOT NULL,
  failed         INTEGER NOT NULL,
  duration       INTEGER NOT NULL,
  request_bytes  INTEGER NOT NULL,
  response_bytes INTEGER NOT NULL,
  PRIMARY KEY (token_id, hour, credential, class)
) STRICT, WITHOUT ROWID;

CREATE INDEX usage_hourly_token_hour ON usage_hourly_token (hour);

-- Without tokens.
CREATE TABLE usage_hourly_endpoint (
  hour           INTEGER NOT NULL,
  credential     TEXT NOT NULL,
  endpoint       TEXT NOT NULL,
  method         TEXT NOT NULL,
  class          INTEGER NOT NULL,
  requests       INTEGER NOT NULL,
  failed         INTEGER NOT NULL,
  duration       INTEGER NOT NULL,
  request_bytes  INTEGER NOT NULL,
  response_bytes INTEGER NOT NULL,
  PRIMARY KEY (hour, credential, endpoint, method, class)
) STRICT, WITHOUT ROWID;

-- Sums since ever; pruning leaves them alone (S2-34). Every token_id of the sums by hour is here.
CREATE TABLE usage_total (
  token_id       INTEGER PRIMARY KEY, -- 0 for JWTs
  requests       INTEGER NOT NULL,
  failed         INTEGER NOT NULL,
  duration       INTEGER NOT NULL, -- nanoseconds
  request_bytes  INTEGER NOT NULL,
  response_bytes INTEGER NOT NULL
) STRICT;

-- The endpoints that sums by hour name, each with the last hour that does.
CREATE TABLE usage_endpoint (
  endpoint TEXT PRIMARY KEY,
  hour     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What deleted tokens were, for their sums.
CREATE TABLE usage_subject (
  token_id INTEGER PRIMARY KEY,
  name     TEXT NOT NULL,
  user_id  INTEGER
) STRICT;

CREATE INDEX usage_subject_user ON usage_subject (user_id);

-- Up to which offset each journal was added.
CREATE TABLE usage_node (
  node    TEXT PRIMARY KEY,
  segment INTEGER NOT NULL,
  at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Request ids that were counted, and when they were added.
CREATE TABLE usage_request (
  request_id TEXT PRIMARY KEY,
  at         INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX usage_request_at ON usage_request (at);
