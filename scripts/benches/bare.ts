/** The floor to measure against: `bare.ts bun|elysia <port>` answers every request with the same bytes as a served feature. */
import { Elysia } from 'elysia'

const [kind, port] = process.argv.slice(2)
const answer = (name: string, id: string) => ({
  feature: name,
  entity: { user_id: id },
  value: 4,
  status: 'fresh',
  served_from: 'online',
  freshness_ms: 9_600,
  event_timestamp: '2026-01-02T03:04:05.123456Z',
})
const where = { hostname: '127.0.0.1', port: Number(port) }
if (kind === 'elysia')
  new Elysia().get('/v1/features/:name', ({ params, query }) => answer(params.name, query['entity_id'] ?? '')).listen(where)
else {
  const text = JSON.stringify(answer('transaction_count_1h', 'u1'))
  Bun.serve({ ...where, fetch: () => new Response(text, { headers: { 'content-type': 'application/json' } }) })
}
