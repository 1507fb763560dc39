import { join } from 'node:path'
import { startFabra } from '../../test/support/binary.ts'
import { freePort } from '../../test/support/ports.ts'
import { askRedis, startRedis, type TestServer } from '../../test/support/servers.ts'
import { until } from '../../test/support/until.ts'
import type { Bench, Measurement } from './bench.ts'
import { FEAST_VERSION, startFeast } from './feast.ts'
import { DEFINITIONS, NAMES, pushAll } from './fifty-features.ts'
import { interleaved, openLoop, peak, pinServer, quantile } from './load.ts'
import { SHARED_CACHE, temporaryFolder } from './server.ts'

const RUNS = 3
const SECONDS = 3
const STEADY_RUNS = 5
/** At a steady rate code is compiled anew for some seconds, on the servers' one core: uncounted, for both. */
const WARM_UP_SECONDS = 10
/** Requests per second of the open loop. */
const RATE = 10_000
const USERS = Array.from({ length: 100 }, (_, i) => ({ user_id: `u${i}` }))
/** With fifty values each, more than a process keeps decoded. */
const MANY_USERS = 10_000

/** Fifty stored features of a hundred users through Redis: server on one core, load and Redis on the other, beside a bare handler in turns. */
export const bench: Bench = async () => {
  const file = join(temporaryFolder(), 'features.ts')
  await Bun.write(file, DEFINITIONS)
  await using redis = await startRedis()
  const server = await startFabra({ file, env: { FABRA_CACHE_DIR: SHARED_CACHE, FABRA_REDIS_URL: redis.url } })
  try {
    await pushAll(server.url, MANY_USERS)
    pinServer(server.pid)
    const one = { url: `${server.url}/v1/features/${NAMES[0]}?entity_id=u1` }
    const fifty = { url: `${server.url}/v1/features`, body: JSON.stringify({ features: NAMES, rows: [{ user_id: 'u1' }] }) }
    const anyFifty = { url: fifty.url, body: JSON.stringify({ features: NAMES, rows: [{ user_id: 'u{any}' }] }), any: MANY_USERS }
    const batch = { url: fifty.url, body: JSON.stringify({ features: NAMES, rows: USERS }) }
    await using bareOne = await startBare(redis, await answerOf(one))
    await using bareFifty = await startBare(redis, await answerOf(fifty))
    await using bareRow = await startBare(redis, await answerOf(fifty), 'rows')
    await using bareRows = await startBare(redis, await answerOf(batch), 'rows')
    peak(one, 2)
    peak(fifty, 1)
    const targets = [{ ...one, url: bareOne.url }, one, { ...fifty, url: bareFifty.url }, fifty]
    const [barely = [], ones = [], barely50 = [], fifties = []] = await interleaved(
      RUNS,
      targets.map((target) => () => peak(target, SECONDS)),
    )
    const steadily = [{ url: bareOne.url }, one]
    for (const target of steadily) await openLoop(target, RATE, WARM_UP_SECONDS)
    const [barelySteady = [], steady = []] = await interleaved(
      STEADY_RUNS,
      steadily.map((target) => async () => quantile(await openLoop(target, RATE, SECONDS), 0.99)),
    )
    const [barelyRows = [], batches = []] = await interleaved(
      RUNS,
      [{ ...batch, url: bareRows.url }, batch].map((target) => async () => quantile(await openLoop(target, 20, SECONDS), 0.5)),
    )
    const [barelyAny = [], anyFifties = []] = await interleaved(
      RUNS,
      [{ ...anyFifty, url: bareRow.url }, anyFifty].map((target) => () => peak(target, SECONDS)),
    )
    return [
      { what: 'bare Bun.serve + ioredis, the same bytes', unit: '/s', values: barely },
      { what: 'one stored feature from Redis', unit: '/s', values: ones, atLeast: 20_000 },
      { what: '  beside the bare handler', unit: '×', values: ones.map((value, i) => value / (barely[i] ?? 1)), atLeast: 0.7 },
      { what: "  bare handler's p99 at 10,000/s, open loop", unit: 'ms', values: barelySteady },
      { what: '  p99 at 10,000/s, open loop', unit: 'ms', values: steady, atMost: 5 },
      { what: 'bare Bun.serve + ioredis, the same bytes as fifty', unit: '/s', values: barely50 },
      { what: 'fifty stored features from Redis', unit: '/s', values: fifties, atLeast: 10_000 },
      { what: '  beside the bare handler', unit: '×', values: fifties.map((value, i) => value / (barely50[i] ?? 1)), atLeast: 0.7 },
      { what: 'rows read from Redis but not looked into, the same bytes as fifty', unit: '/s', values: barelyAny },
      { what: `fifty features, another of ${MANY_USERS} users each time`, unit: '/s', values: anyFifties, atLeast: 10_000 },
      { what: '  beside rows not looked into', unit: '×', values: anyFifties.map((value, i) => value / (barelyAny[i] ?? 1)), atLeast: 0.4 },
      { what: '100 rows read from Redis but not looked into, the same bytes, p50', unit: 'ms', values: barelyRows },
      { what: '100 rows × 50 features from Redis, p50', unit: 'ms', values: batches, atMost: 10 },
      ...(await feast(redis, { one: ones, fifty: fifties })),
    ]
  } finally {
    await server.stop()
  }
}

/** Feast's Python server over the same Redis, with the same load. */
async function feast(
  redis: TestServer,
  ours: { readonly one: readonly number[]; readonly fifty: readonly number[] },
): Promise<Measurement[]> {
  const server = await startFeast({ redis: `127.0.0.1:${redis.port}`, features: NAMES, users: USERS.length })
  if (typeof server === 'string') return [{ what: `Feast: not measured, ${server}`, unit: '/s', values: [Number.NaN] }]
  await using target = server
  peak(target.one, 1)
  const one = peak(target.one, SECONDS)
  const fifty = peak(target.fifty, SECONDS)
  const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
  return [
    { what: `Feast ${FEAST_VERSION}'s Python server: one feature from the same Redis`, unit: '/s', values: [one] },
    { what: '  Fabra beside it', unit: '×', values: [median(ours.one) / one] },
    { what: `Feast ${FEAST_VERSION}'s Python server: fifty features from the same Redis`, unit: '/s', values: [fifty] },
    { what: '  Fabra beside it', unit: '×', values: [median(ours.fifty) / fifty] },
  ]
}

async function answerOf({ url, body }: { readonly url: string; readonly body?: string }): Promise<string> {
  const init = body === undefined ? {} : { method: 'POST', body, headers: { 'content-type': 'application/json' } }
  const response = await fetch(url, init)
  const text = await response.text()
  if (!response.ok || /"(missing|error|default)"/.test(text)) throw new Error(`${url}: ${response.status} ${text.slice(0, 400)}`)
  return text
}

/** Answers every request with a text: `redis`, that it reads from Redis each time; `rows`, after it has read the rows asked for. */
async function startBare(
  redis: TestServer,
  answer: string,
  kind: 'redis' | 'rows' = 'redis',
): Promise<AsyncDisposable & { readonly url: string }> {
  const port = await freePort()
  await askRedis(redis, 'SET', `bare:${port}`, answer)
  const child = Bun.spawn([process.execPath, join(import.meta.dir, 'bare.ts'), kind, String(port), redis.url], {
    env: { ...process.env, NODE_ENV: 'production' },
  })
  pinServer(child.pid)
  const url = `http://127.0.0.1:${port}`
  const answers = () =>
    fetch(url)
      .then((response) => (response.ok ? true : undefined))
      .catch(() => undefined)
  await until('the bare handler', 10_000, answers)
  return {
    url,
    async [Symbol.asyncDispose]() {
      child.kill()
      await child.exited
    },
  }
}
