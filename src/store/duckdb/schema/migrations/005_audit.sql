-- Who did what: writes and what administers, never values.
CREATE TABLE IF NOT EXISTS fabra.audit (
  id VARCHAR NOT NULL,
  happened_at TIMESTAMPTZ NOT NULL,
  action VARCHAR NOT NULL,
  subject VARCHAR,
  result VARCHAR NOT NULL,
  body VARCHAR NOT NULL
);
