-- What changed: versions of features, sources that were loaded, pushes, starts.
CREATE TABLE IF NOT EXISTS fabra.changes (
  id VARCHAR NOT NULL,
  changed_at TIMESTAMPTZ NOT NULL,
  kind VARCHAR NOT NULL,
  subject VARCHAR NOT NULL,
  body VARCHAR NOT NULL
);
