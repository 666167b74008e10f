-- +goose Up

-- What a directory that provisions people says of them; NULL is nothing.
ALTER TABLE users ADD COLUMN user_name TEXT COLLATE NOCASE;
ALTER TABLE users ADD COLUMN directory_id TEXT;
ALTER TABLE users ADD COLUMN given_name TEXT;
ALTER TABLE users ADD COLUMN family_name TEXT;
CREATE UNIQUE INDEX users_user_name ON users (user_name) WHERE removed_at IS NULL;
CREATE INDEX users_directory_id ON users (directory_id) WHERE directory_id IS NOT NULL;

ALTER TABLE groups ADD COLUMN directory_id TEXT;
