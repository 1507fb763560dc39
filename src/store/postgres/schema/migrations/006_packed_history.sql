-- History in fewer bytes. It is written here once the step "packed history" is done: until then only where that was done already.

-- What history calls a feature and its fingerprint by. A version that was recorded keeps its number for good.
CREATE TABLE fabra.feature_versions (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  feature text COLLATE "C" NOT NULL,
  fingerprint text COLLATE "C" NOT NULL,
  UNIQUE (feature, fingerprint)
);

-- One row for each recorded value. Eight columns: with a ninth the list of those that are NULL would cost each row eight bytes more.
CREATE TABLE fabra.history_packed (
  event_timestamp timestamptz NOT NULL,
  version integer NOT NULL,
  -- Microseconds from the event to when it was available, and from then to when it was stored.
  available_lag integer NOT NULL,
  created_lag integer NOT NULL,
  -- Four times what seq is more than the microseconds of when it was stored, and the origin: 0 computed, 1 pushed, 2 backfill.
  mark integer NOT NULL,
  entity_key text COLLATE "C" NOT NULL,
  -- JSON; NULL says that there is known to be no value.
  value text,
  -- Available, created (microseconds) and seq, where the differences do not fit; their columns are 0 then.
  far bigint[]
) PARTITION BY RANGE (event_timestamp);

-- Finds the rows of a key by time. Keys are told apart by the rows themselves. Rising, as rows come: then pages are filled and not cut in halves.
CREATE INDEX history_packed_of_key ON fabra.history_packed (version, hashtext(entity_key), event_timestamp);

-- For times that no month was made for.
CREATE TABLE fabra.history_packed_default PARTITION OF fabra.history_packed DEFAULT;

-- Says which keys were forgotten since the events that are written.
CREATE INDEX feature_fences_by_time ON fabra.feature_fences (fenced_at);
