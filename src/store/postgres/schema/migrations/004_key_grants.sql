-- What a key may see (JSON; NULL: everything), when it ends and when it was last let in.
ALTER TABLE fabra.api_keys
  ADD COLUMN grants text,
  ADD COLUMN expires_at timestamptz,
  ADD COLUMN last_used_at timestamptz;
