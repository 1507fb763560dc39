-- Processes whose recorded values the online store may lack, since it could not be reached.
CREATE TABLE fabra.debts (
  writer text COLLATE "C" PRIMARY KEY,
  -- When the process last said so.
  told_at timestamptz NOT NULL
);
