-- +goose Up

-- Names the import that brought the token; NULL was issued here.
ALTER TABLE api_tokens ADD COLUMN imported TEXT;

-- In which ways secrets that were made elsewhere are found.
CREATE TABLE foreign_forms (
  form TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- Secrets that were made elsewhere and can be recognised by trying only. Those that became a keyed digest stay, so that
-- importing them again makes no other token.
CREATE TABLE foreign_secrets (
  key_id        TEXT PRIMARY KEY,
  token_id      INTEGER NOT NULL REFERENCES api_tokens (id) ON DELETE CASCADE,
  lookup_prefix TEXT, -- NULL once it became another
  sealed        TEXT, -- algorithm, salt and digest, sealed under the server key; NULL once it became another
  became        TEXT  -- key id of the keyed digest; NULL is none yet
) STRICT, WITHOUT ROWID;

CREATE INDEX foreign_secrets_lookup ON foreign_secrets (lookup_prefix) WHERE became IS NULL;
CREATE INDEX foreign_secrets_token ON foreign_secrets (token_id);
