import { join } from 'node:path'
import { BINARY, type RunningFabra, startFabra, temporaryFolder } from '../../test/support/binary.ts'
import { type Bench, type Measurement, repeat } from './bench.ts'
import { SHARED_CACHE } from './server.ts'

const FEATURES = `import { entity, feature, source } from "fabra";
export const User = entity("User", { key: "user_id" });
export const events = source("events", { timestamp: "created_at", id: "id",
  columns: { id: "VARCHAR", user_id: "VARCHAR", amount: "DOUBLE", created_at: "TIMESTAMPTZ" } });
export const event_count = feature({ entity: User, refresh: "1h", type: "int",
  sql: "SELECT COUNT(*) FROM events WHERE user_id = $user_id AND created_at > NOW() - INTERVAL '1 hour'" });
export const score = feature({ entity: User, type: "float" });
`
const USERS = 10_000
const SECONDS = 5

/** Data coming in over HTTP, durable before each answer, on the executable. */
export const bench: Bench = async () => {
  const cwd = temporaryFolder()
  await Bun.write(join(cwd, 'features.ts'), FEATURES)
  const server = await startFabra({
    binary: BINARY,
    file: 'features.ts',
    cwd,
    env: { FABRA_CACHE_DIR: SHARED_CACHE, FABRA_LOG_LEVEL: 'error' },
  })
  try {
    return [
      {
        what: 'values pushed, 1,000 rows a request, 4 clients',
        unit: '/s',
        values: await repeat(3, () => pushes(server, 1_000, 4)),
        atLeast: 50_000,
      },
      {
        what: 'values pushed, one row a request, 64 clients',
        unit: '/s',
        values: await repeat(3, () => pushes(server, 1, 64)),
        atLeast: 5_000,
      },
      ...(await events(server)),
    ]
  } finally {
    await server.stop()
  }
}

async function pushes(server: RunningFabra, rowsAtOnce: number, clients: number): Promise<number> {
  let next = 0
  return measured(clients, rowsAtOnce, () => {
    const rows = Array.from({ length: rowsAtOnce }, () => ({ user_id: `u${next++ % (USERS * 10)}`, value: Math.random() }))
    return post(`${server.url}/v1/features/score/values`, { rows })
  })
}

async function events(server: RunningFabra): Promise<Measurement[]> {
  // Only values that were asked for are kept up.
  const everyone = Array.from({ length: USERS }, (_, i) => ({ user_id: `u${i}` }))
  await post(`${server.url}/v1/features`, { features: ['event_count'], rows: everyone })
  let id = 0
  const lags: number[] = []
  let stop = false
  const probing = probe(server, lags, () => stop)
  const rates = await repeat(2, () =>
    measured(4, 1_000, () => {
      const created_at = new Date().toISOString()
      const rows = Array.from({ length: 1_000 }, () => ({ id: `e${id++}`, user_id: `u${id % USERS}`, amount: 1.5, created_at }))
      return post(`${server.url}/v1/sources/events/rows`, { rows })
    }),
  )
  stop = true
  await probing
  return [
    { what: 'events appended, 1,000 rows a request, 4 clients', unit: '/s', values: rates, atLeast: 20_000 },
    { what: '  from an event to its count, one dependent feature', unit: 'ms', values: lags, atMost: 1_000 },
  ]
}

/** How long the events of one user take to be counted, while all others' pour in. */
async function probe(server: RunningFabra, lags: number[], isOver: () => boolean): Promise<void> {
  const count = async () => {
    const response = await fetch(`${server.url}/v1/features/event_count?entity_id=probe`)
    return ((await response.json()) as { value: number }).value
  }
  let expected = await count()
  while (!isOver()) {
    await post(`${server.url}/v1/sources/events/rows`, {
      rows: [{ id: `p${++expected}`, user_id: 'probe', created_at: new Date(Date.now() - 1).toISOString() }],
    })
    const started = performance.now()
    while ((await count()) !== expected) await Bun.sleep(5)
    lags.push(performance.now() - started)
    await Bun.sleep(100)
  }
}

/** @returns rows a second. */
async function measured(clients: number, rowsAtOnce: number, send: () => Promise<void>): Promise<number> {
  const started = performance.now()
  let sent = 0
  const client = async () => {
    while (performance.now() - started < SECONDS * 1000) {
      await send()
      sent += rowsAtOnce
    }
  }
  await Promise.all(Array.from({ length: clients }, client))
  return sent / ((performance.now() - started) / 1000)
}

/** Refused for being too fast, it waits as it is told and sends again. */
async function post(url: string, body: unknown): Promise<void> {
  for (;;) {
    const response = await fetch(url, { method: 'POST', body: JSON.stringify(body) })
    const text = await response.text()
    if (response.ok) return
    if (response.status !== 503) throw new Error(`POST ${url}: ${response.status} ${text}`)
    await Bun.sleep(1000 * Number(response.headers.get('retry-after') ?? 1))
  }
}
