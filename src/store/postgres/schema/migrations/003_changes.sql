-- What changed: versions of features, sources that were loaded, pushes, starts.
CREATE TABLE fabra.changes (
  id text COLLATE "C" PRIMARY KEY,
  changed_at timestamptz NOT NULL,
  kind text COLLATE "C" NOT NULL,
  subject text COLLATE "C" NOT NULL,
  body text NOT NULL
);
CREATE INDEX changes_at ON fabra.changes (changed_at DESC);
CREATE INDEX changes_subject ON fabra.changes (kind, subject, changed_at DESC);
