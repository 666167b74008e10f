-- +goose Up

-- Rules about how tokens are made, kept and replaced. 0 and NULL say nothing.
CREATE TABLE policies (
  id                    INTEGER PRIMARY KEY AUTOINCREMENT, -- never used again, also after a deletion
  name                  TEXT NOT NULL UNIQUE,
  title                 TEXT,
  description           TEXT,
  group_id              INTEGER REFERENCES groups (id), -- NULL is everybody's tokens
  kind                  TEXT, -- NULL is both
  max_lifetime_days     INTEGER NOT NULL,
  expiry_required       INTEGER NOT NULL CHECK (expiry_required IN (0, 1)),
  idle_timeout_days     INTEGER, -- 0 is never
  max_idle_timeout_days INTEGER NOT NULL,
  rate_limit            INTEGER NOT NULL,
  max_rate_limit        INTEGER NOT NULL,
  kinds                 TEXT, -- JSON; NULL is all
  rotation_days         INTEGER NOT NULL,
  rotation_required     INTEGER NOT NULL CHECK (rotation_required IN (0, 1)),
  self_rotation         INTEGER CHECK (self_rotation IN (0, 1)),
  reuse                 TEXT,
  created_at            INTEGER NOT NULL,
  updated_at            INTEGER NOT NULL
) STRICT;

-- When the current secret was issued, if not with the token. Earlier rotations left no date; what changed last is the
-- latest that they can have been.
ALTER TABLE api_tokens ADD COLUMN rotated_at INTEGER;
UPDATE api_tokens SET rotated_at = updated_at WHERE retiring IS NOT NULL;

-- Until when it should be replaced, and whether the token is disabled if it is not.
ALTER TABLE api_tokens ADD COLUMN rotation_due_at INTEGER;
ALTER TABLE api_tokens ADD COLUMN rotation_required INTEGER NOT NULL DEFAULT 0 CHECK (rotation_required IN (0, 1));
CREATE INDEX api_tokens_rotation_due ON api_tokens (rotation_due_at) WHERE rotation_due_at IS NOT NULL;

-- Who created it, as "user:3"; the audit log knows about those that are there.
ALTER TABLE api_tokens ADD COLUMN created_by TEXT;
UPDATE api_tokens SET created_by = (
  SELECT actor_type || ':' || actor_id FROM audit_entries
  WHERE target_type = 'token' AND target_id = api_tokens.id AND action = 'token.create' AND outcome = 'done'
  ORDER BY id LIMIT 1
);
CREATE INDEX api_tokens_created_by ON api_tokens (created_by, created_at) WHERE created_by IS NOT NULL;

-- revoke_reason is one of a closed set from now on; what people wrote becomes a note.
ALTER TABLE api_tokens ADD COLUMN revoke_note TEXT;
UPDATE api_tokens SET revoke_note = revoke_reason, revoke_reason = CASE revoke_reason
    WHEN 'owner removed' THEN 'affiliation_changed'
    WHEN 'a rotated-out secret was used' THEN 'key_compromise'
    ELSE 'unspecified' END
  WHERE revoked_at IS NOT NULL;
