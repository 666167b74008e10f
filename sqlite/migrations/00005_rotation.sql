-- +goose Up

-- The secret before the current one: {"key_id", "digest" in hexadecimal, "ends_at", "at_first_use"}; NULL is none.
ALTER TABLE api_tokens ADD COLUMN retiring TEXT;

-- Digest of who issued the current secret and of the request key that they did it under; NULL is none.
ALTER TABLE api_tokens ADD COLUMN issue_key TEXT;
CREATE INDEX api_tokens_issue_key ON api_tokens (issue_key) WHERE issue_key IS NOT NULL;

-- What happens when a rotated-out secret is used; NULL is the default.
ALTER TABLE api_tokens ADD COLUMN reuse TEXT;
