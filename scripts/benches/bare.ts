/**
 * The floor to measure against: `bare.ts bun|elysia <port>` answers every request with the same bytes as a served feature,
 * `bare.ts redis <port> <url>` with what it reads from `bare:<port>` each time.
 */
import { Elysia } from 'elysia'
import { Redis } from 'ioredis'

const [kind, port, redisUrl = ''] = process.argv.slice(2)
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
const headers = { 'content-type': 'application/json' }
if (kind === 'redis') {
  const redis = new Redis(redisUrl)
  const key = `bare:${port}`
  Bun.serve({ ...where, fetch: async () => new Response(await redis.get(key), { headers }) })
} else if (kind === 'elysia')
  new Elysia().get('/v1/features/:name', ({ params, query }) => answer(params.name, query['entity_id'] ?? '')).listen(where)
else {
  const text = JSON.stringify(answer('transaction_count_1h', 'u1'))
  Bun.serve({ ...where, fetch: () => new Response(text, { headers }) })
}
