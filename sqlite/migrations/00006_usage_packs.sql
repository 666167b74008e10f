-- +goose Up

-- Usage events, thousands in one compressed piece. api_token_usage holds those that were written before there were packs,
-- and all of them where the store was told to keep rows.
CREATE TABLE usage_pack (
  id      INTEGER PRIMARY KEY, -- in the order in which they came
  from_at INTEGER NOT NULL, -- of the oldest event
  to_at   INTEGER NOT NULL, -- of the newest event
  events  INTEGER NOT NULL,
  tokens  BLOB NOT NULL, -- which tokens it holds events of
  payload BLOB NOT NULL
) STRICT;

CREATE INDEX usage_pack_from ON usage_pack (from_at);
CREATE INDEX usage_pack_to ON usage_pack (to_at);
CREATE INDEX usage_pack_small ON usage_pack (events) WHERE events < 4096;
