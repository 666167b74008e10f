-- +goose Up

CREATE TABLE roles (
  id          INTEGER PRIMARY KEY AUTOINCREMENT, -- never used again, also after a deletion
  name        TEXT NOT NULL UNIQUE,
  title       TEXT,
  description TEXT,
  permissions TEXT, -- grants
  created_at  INTEGER, -- NULL for the roles that exist from the start
  updated_at  INTEGER
) STRICT;

INSERT INTO roles (id, name, title, description, permissions) VALUES
  (1, 'administrator', 'Administrator', 'May do everything.',
    '["*","audit.*","groups.*","keys.*","licenses.*","permissions.*","policies.*","roles.*","tokens.*","users.*"]'),
  (2, 'manager', 'Manager', 'Manages users, groups and other people''s tokens.',
    '["groups.*","licenses.read","permissions.read","roles.read","tokens.*","users.*"]'),
  (3, 'auditor', 'Auditor', 'Sees and exports everything, changes nothing.',
    '["audit.export","audit.read","groups.read","keys.read","licenses.read","permissions.read","policies.read","roles.read","tokens.read","users.read"]');

CREATE TABLE groups (
  id          INTEGER PRIMARY KEY AUTOINCREMENT, -- never given to another one
  name        TEXT NOT NULL,
  title       TEXT,
  description TEXT,
  active      INTEGER NOT NULL CHECK (active IN (0, 1)),
  created_at  INTEGER NOT NULL,
  updated_at  INTEGER NOT NULL,
  removed_at  INTEGER
) STRICT;

CREATE UNIQUE INDEX groups_name ON groups (name) WHERE removed_at IS NULL;

CREATE TABLE licenses (
  id          INTEGER PRIMARY KEY AUTOINCREMENT, -- never used again, also after a deletion
  name        TEXT NOT NULL UNIQUE,
  title       TEXT,
  description TEXT,
  max_seats   INTEGER NOT NULL, -- 0 is unlimited
  valid_from  INTEGER,
  valid_until INTEGER,
  created_at  INTEGER NOT NULL,
  updated_at  INTEGER NOT NULL
) STRICT;

-- The registry of permissions.
CREATE TABLE permissions (
  name        TEXT PRIMARY KEY,
  title       TEXT,
  description TEXT,
  built_in    INTEGER NOT NULL CHECK (built_in IN (0, 1)),
  created_at  INTEGER NOT NULL,
  updated_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Who has which roles and licenses, and is a member of which groups.
CREATE TABLE holdings (
  holder_type TEXT NOT NULL CHECK (holder_type IN ('user', 'token', 'group')),
  holder_id   INTEGER NOT NULL,
  kind        TEXT NOT NULL CHECK (kind IN ('role', 'group', 'license')),
  held_id     INTEGER NOT NULL,
  PRIMARY KEY (holder_type, holder_id, kind, held_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX holdings_held ON holdings (kind, held_id, holder_type, holder_id);

INSERT INTO holdings (holder_type, holder_id, kind, held_id)
  SELECT 'user', id, 'role', 1 FROM users WHERE administrator = 1;
ALTER TABLE users DROP COLUMN administrator;

-- 1 is a service token that holds what it was given even where its owner lacks it.
ALTER TABLE api_tokens ADD COLUMN unbound INTEGER NOT NULL DEFAULT 0 CHECK (unbound IN (0, 1));

-- A token is owned by a user or by a group.
ALTER TABLE api_tokens ADD COLUMN group_id INTEGER REFERENCES groups (id) CHECK (group_id IS NULL OR user_id IS NULL);
CREATE INDEX api_tokens_group ON api_tokens (group_id, created_at) WHERE group_id IS NOT NULL;

ALTER TABLE usage_subject ADD COLUMN group_id INTEGER;
CREATE INDEX usage_subject_group ON usage_subject (group_id) WHERE group_id IS NOT NULL;
