-- What files hold that were made before they had versions; some of them lack a table.
CREATE TABLE IF NOT EXISTS fabra.feature_history (
  feature VARCHAR NOT NULL,
  fingerprint VARCHAR NOT NULL,
  entity_key VARCHAR NOT NULL,
  value VARCHAR,
  event_timestamp TIMESTAMPTZ NOT NULL,
  available_at TIMESTAMPTZ NOT NULL,
  created_at TIMESTAMPTZ NOT NULL,
  seq BIGINT NOT NULL,
  origin VARCHAR NOT NULL
);
CREATE TABLE IF NOT EXISTS fabra.fences (
  entity VARCHAR NOT NULL,
  entity_key VARCHAR NOT NULL,
  fenced_at TIMESTAMPTZ NOT NULL
);
CREATE TABLE IF NOT EXISTS fabra.debts (
  writer VARCHAR NOT NULL,
  told_at TIMESTAMPTZ NOT NULL
);
CREATE TABLE IF NOT EXISTS fabra.source_rows (
  source VARCHAR NOT NULL,
  arrived_at TIMESTAMPTZ NOT NULL,
  row VARCHAR NOT NULL
);
CREATE TABLE IF NOT EXISTS fabra.source_arrivals (
  source VARCHAR NOT NULL,
  visible_at TIMESTAMPTZ NOT NULL
);
CREATE TABLE IF NOT EXISTS fabra.idempotency_keys (
  source VARCHAR NOT NULL,
  key VARCHAR NOT NULL,
  content_hash VARCHAR NOT NULL,
  accepted_at TIMESTAMPTZ NOT NULL
);
CREATE TABLE IF NOT EXISTS fabra.source_files (
  source VARCHAR NOT NULL,
  path VARCHAR NOT NULL,
  size BIGINT NOT NULL,
  modified_us BIGINT NOT NULL,
  content_hash VARCHAR NOT NULL,
  settings_hash VARCHAR NOT NULL,
  loaded_at TIMESTAMPTZ NOT NULL
);
CREATE TABLE IF NOT EXISTS fabra.api_keys (
  id VARCHAR NOT NULL,
  name VARCHAR NOT NULL,
  hash VARCHAR NOT NULL,
  scopes VARCHAR NOT NULL,
  created_at TIMESTAMPTZ NOT NULL,
  revoked_at TIMESTAMPTZ
);
CREATE TABLE IF NOT EXISTS fabra.runs (
  id VARCHAR NOT NULL,
  feature VARCHAR NOT NULL,
  reason VARCHAR NOT NULL,
  started_at TIMESTAMPTZ NOT NULL,
  finished_at TIMESTAMPTZ NOT NULL,
  keys BIGINT NOT NULL,
  changed BIGINT NOT NULL,
  failed BIGINT NOT NULL,
  error VARCHAR
);
