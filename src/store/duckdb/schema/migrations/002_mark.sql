-- What the database knows of the mark beside it.
CREATE TABLE IF NOT EXISTS fabra.mark (
  known VARCHAR NOT NULL
);
