-- A shop's own tables, as they were before there was a feature store: nothing here is made for Fabra.
CREATE SCHEMA shop;

CREATE TYPE shop.order_state AS ENUM ('placed', 'paid', 'refunded');

CREATE TABLE shop.customers (
  customer_id uuid PRIMARY KEY,
  country text NOT NULL
);

CREATE TABLE shop.orders (
  order_id bigint PRIMARY KEY,
  customer_id uuid NOT NULL REFERENCES shop.customers,
  state shop.order_state NOT NULL,
  total numeric(12, 2) NOT NULL,
  basket jsonb NOT NULL,
  placed_at timestamp NOT NULL -- Local time of Berlin, without a zone.
);

CREATE INDEX ON shop.orders (customer_id, placed_at);
