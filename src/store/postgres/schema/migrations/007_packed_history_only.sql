-- From here on history is written packed. What was recorded before stays where it is, and is read beside it.
ALTER TABLE fabra.feature_history RENAME TO history_plain;

-- As history always was, for whoever asks in SQL.
CREATE VIEW fabra.feature_history AS
SELECT feature, fingerprint, entity_key, value, event_timestamp, available_at, created_at, seq, origin
FROM fabra.history_plain
UNION ALL
SELECT v.feature, v.fingerprint, p.entity_key, p.value, p.event_timestamp,
  CASE WHEN p.far IS NULL THEN p.event_timestamp + p.available_lag * interval '1 microsecond'
    ELSE timestamptz 'epoch' + p.far[1] * interval '1 microsecond' END,
  CASE WHEN p.far IS NULL THEN p.event_timestamp + (p.available_lag::bigint + p.created_lag) * interval '1 microsecond'
    ELSE timestamptz 'epoch' + p.far[2] * interval '1 microsecond' END,
  CASE WHEN p.far IS NULL
    THEN (extract(epoch FROM p.event_timestamp) * 1000000)::bigint + p.available_lag + p.created_lag + (p.mark >> 2)
    ELSE p.far[3] END,
  (ARRAY['computed', 'pushed', 'backfill'] COLLATE "C")[(p.mark & 3) + 1]
FROM fabra.history_packed AS p
JOIN fabra.feature_versions AS v ON v.id = p.version;
