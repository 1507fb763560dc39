-- What a key may see (JSON; NULL: everything), when it ends and when it was last let in.
ALTER TABLE fabra.api_keys ADD COLUMN IF NOT EXISTS grants VARCHAR;
ALTER TABLE fabra.api_keys ADD COLUMN IF NOT EXISTS expires_at TIMESTAMPTZ;
ALTER TABLE fabra.api_keys ADD COLUMN IF NOT EXISTS last_used_at TIMESTAMPTZ;
