/**
 * The floor to measure against: `bare.ts bun|elysia <port>` answers every request with the same bytes as a served feature,
 * `bare.ts redis <port> <url>` with what it reads from `bare:<port>` each time, `bare.ts rows <port> <url>` with what it read from there once,
 * after it has read the rows of the users in the body as Fabra does, and has not looked into them.
 */
import { Elysia } from 'elysia'
import { Redis } from 'ioredis'
import { BUCKETS, hashKey } from '../../src/store/redis/format/record.ts'
import { openRedis } from '../../src/store/redis/socket/connection.ts'

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
} else if (kind === 'rows') await serveRows()
else if (kind === 'elysia')
  new Elysia().get('/v1/features/:name', ({ params, query }) => answer(params.name, query['entity_id'] ?? '')).listen(where)
else {
  const text = JSON.stringify(answer('transaction_count_1h', 'u1'))
  Bun.serve({ ...where, fetch: () => new Response(text, { headers }) })
}

async function serveRows(): Promise<void> {
  const redis = await openRedis({ url: redisUrl })
  const text = String(await redis.send('GET', `bare:${port}`))
  const fields = Array.from({ length: BUCKETS }, (_, i) => String(i))
  async function answerRows(request: Request): Promise<Response> {
    const body = await request.text()
    const keys = Array.from(body.matchAll(/"user_id":"(\w+)"/g), ([, user = '']) => hashKey('User', user))
    await redis.readHashes(keys, fields, (rows) => rows.length)
    return new Response(text, { headers })
  }
  Bun.serve({ ...where, fetch: (request) => (request.method === 'POST' ? answerRows(request) : new Response(text, { headers })) })
}
