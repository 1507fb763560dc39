-- What Fabra keeps in PostgreSQL. Tables of users live elsewhere: nothing here reads or changes them.

-- One row for each recorded value. No two rows tie on (event_timestamp, available_at, seq), so the newest is always one.
CREATE TABLE fabra.feature_history (
  feature text COLLATE "C" NOT NULL,
  fingerprint text COLLATE "C" NOT NULL,
  entity_key text COLLATE "C" NOT NULL,
  -- JSON; NULL says that there is known to be no value.
  value text,
  event_timestamp timestamptz NOT NULL,
  available_at timestamptz NOT NULL,
  created_at timestamptz NOT NULL,
  seq bigint NOT NULL,
  origin text COLLATE "C" NOT NULL
) PARTITION BY RANGE (event_timestamp);

-- Finds the newest row of a key up to some time, and everything about a key that is to be forgotten.
CREATE UNIQUE INDEX feature_history_newest ON fabra.feature_history
  (feature, entity_key, fingerprint, event_timestamp DESC, available_at DESC, seq DESC);

-- For times that no month was made for.
CREATE TABLE fabra.feature_history_default PARTITION OF fabra.feature_history DEFAULT;

-- Highest seq of what each writer has stored; kept apart, as looking it up in all history would be slow.
CREATE TABLE fabra.history_marks (
  writer integer PRIMARY KEY,
  seq bigint NOT NULL
) WITH (fillfactor = 50);

-- Keys that were forgotten: only later events count.
CREATE TABLE fabra.fences (
  entity text COLLATE "C" NOT NULL,
  entity_key text COLLATE "C" NOT NULL,
  fenced_at timestamptz NOT NULL,
  PRIMARY KEY (entity, entity_key)
);

-- The same by feature, as history is written.
CREATE TABLE fabra.feature_fences (
  feature text COLLATE "C" NOT NULL,
  entity_key text COLLATE "C" NOT NULL,
  fenced_at timestamptz NOT NULL,
  PRIMARY KEY (feature, entity_key)
);

-- Files that are loaded as tables, and the tables that Fabra made for sources.
CREATE TABLE fabra.source_files (
  source text COLLATE "C" PRIMARY KEY,
  path text NOT NULL,
  size bigint NOT NULL,
  modified_us bigint NOT NULL,
  content_hash text NOT NULL,
  settings_hash text NOT NULL,
  loaded_at timestamptz NOT NULL
);

-- Rows that came by request into a table that is made from a file: put back when the file is loaded again.
CREATE TABLE fabra.source_rows (
  source text COLLATE "C" NOT NULL,
  arrived_at timestamptz NOT NULL,
  row text NOT NULL
);
CREATE INDEX source_rows_source ON fabra.source_rows (source);

-- When rows that came by request are seen; until then, and until values are up with them, they are not settled. Each process sees to its own.
CREATE TABLE fabra.source_arrivals (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  writer text COLLATE "C" NOT NULL,
  source text COLLATE "C" NOT NULL,
  visible_at timestamptz NOT NULL
);
CREATE INDEX source_arrivals_visible_at ON fabra.source_arrivals (visible_at);

CREATE TABLE fabra.idempotency_keys (
  source text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  content_hash text NOT NULL,
  accepted_at timestamptz NOT NULL,
  PRIMARY KEY (source, key)
);
CREATE INDEX idempotency_keys_accepted_at ON fabra.idempotency_keys (accepted_at);

-- The key itself is known to its holder alone.
CREATE TABLE fabra.api_keys (
  id text COLLATE "C" PRIMARY KEY,
  name text NOT NULL,
  hash text COLLATE "C" NOT NULL UNIQUE,
  scopes text[] NOT NULL,
  created_at timestamptz NOT NULL,
  revoked_at timestamptz
);

CREATE TABLE fabra.runs (
  id text COLLATE "C" PRIMARY KEY,
  feature text COLLATE "C" NOT NULL,
  reason text NOT NULL,
  started_at timestamptz NOT NULL,
  finished_at timestamptz NOT NULL,
  keys bigint NOT NULL,
  changed bigint NOT NULL,
  failed bigint NOT NULL,
  error text
);
CREATE INDEX runs_of_feature ON fabra.runs (feature, started_at DESC);
CREATE INDEX runs_started_at ON fabra.runs (started_at DESC);
