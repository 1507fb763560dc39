// Features over tables that a PostgreSQL has already: keys are uuids, money is numeric, times have no zone.
//
//   psql "$FABRA_POSTGRES_URL" -f schema.sql -f rows.sql
//   fabra check features.ts
//   fabra serve features.ts --clock 2026-03-29T11:00:00Z
import { entity, feature, featureSet, source } from 'fabra'

/** Somebody who orders. */
export const Customer = entity('Customer', { key: { customer_id: 'uuid' }, keys: 'SELECT customer_id FROM shop.customers' })

/** What was ordered; `placed_at` is local time of Berlin. */
export const orders = source('shop.orders', { timestamp: 'placed_at', timezone: 'Europe/Berlin', id: 'order_id' })

/** Who there is: taken as never changing. */
export const customers = source('shop.customers', { static: true })

/** What was paid for in the last 30 days: numeric, so nothing is rounded on the way. */
export const spend = feature({
  entity: Customer,
  refresh: '5m',
  columns: { total_30d: 'float', order_count_30d: 'int' },
  sql: `SELECT COALESCE(SUM(total), 0) AS total_30d, COUNT(*) AS order_count_30d FROM shop.orders
        WHERE customer_id = $customer_id AND state = 'paid' AND placed_at > NOW() - INTERVAL '30 days'`,
})

/** How the last order stands. */
export const last_order_state = feature({
  entity: Customer,
  refresh: '1m',
  type: 'string',
  default: 'none',
  sql: `SELECT state FROM shop.orders WHERE customer_id = $customer_id ORDER BY placed_at DESC, order_id DESC LIMIT 1`,
})

/** The last basket, as it was stored. */
export const last_basket = feature({
  entity: Customer,
  refresh: '1m',
  type: 'dict',
  default: { lines: [] },
  sql: `SELECT basket FROM shop.orders WHERE customer_id = $customer_id ORDER BY placed_at DESC, order_id DESC LIMIT 1`,
})

/** Pieces of one article, out of jsonb, in a query that only PostgreSQL understands. */
export const cups_ordered = feature({
  entity: Customer,
  refresh: '5m',
  type: 'int',
  sql: `SELECT COALESCE(SUM((line->>'n')::int), 0) FROM shop.orders, jsonb_array_elements(basket->'lines') AS line
        WHERE customer_id = $customer_id AND line @> '{"sku": "cup"}'`,
})

/** Where the customer lives. */
export const country = feature({
  entity: Customer,
  refresh: '1d',
  type: 'string',
  sql: `SELECT country FROM shop.customers WHERE customer_id = $customer_id`,
})

/** A function over the same tables. */
export const minutes_since_order = feature({ entity: Customer, refresh: 0, type: 'float' }, async (customerId, { db, asOf }) => {
  const last = await db.fetchval<string | null>('SELECT MAX(placed_at) FROM shop.orders WHERE customer_id = $1', customerId)
  return last === null ? null : (asOf.getTime() - Date.parse(last)) / 60_000
})

export const checkout_v1 = featureSet('checkout_v1', [spend, last_order_state, cups_ordered, country])
