-- Who did what: writes and what administers, never values.
CREATE TABLE fabra.audit (
  id text COLLATE "C" PRIMARY KEY,
  happened_at timestamptz NOT NULL,
  action text COLLATE "C" NOT NULL,
  subject text COLLATE "C",
  result text COLLATE "C" NOT NULL,
  body text NOT NULL
);
CREATE INDEX audit_at ON fabra.audit (happened_at DESC, id DESC);
