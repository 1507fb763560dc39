import { join } from 'node:path'
import { freePort } from '../../test/support/ports.ts'
import type { Bench } from './bench.ts'
import { interleaved, openLoop, peak, pinServer, quantile } from './load.ts'
import { FIRST_READ, read, serveExample } from './server.ts'

const RUNS = 5
const SECONDS = 3
/** The example's stored features, ten times over: fifty values a row. */
const FIFTY = Array.from({ length: 25 }, () => ['spend.total_30d', 'spend.avg_30d']).flat()
const HUNDRED_ROWS = Array.from({ length: 100 }, (_, i) => ({ user_id: `u${(i % 50) + 1}` }))

/** Stored features from memory, one server core and one load core, beside a bare handler and a bare Elysia route in turns. */
export const bench: Bench = async () => {
  const bares = await Promise.all((['bun', 'elysia'] as const).map(startBare))
  const server = await serveExample()
  try {
    pinServer(server.pid)
    await read(server, FIRST_READ)
    const path = `${server.url}${FIRST_READ}`
    const batch = { url: `${server.url}/v1/features`, body: JSON.stringify({ features: FIFTY, rows: HUNDRED_ROWS }) }
    peak({ url: path }, 2)
    const targets = [...bares.map((bare) => bare.url), path].map((url) => () => peak({ url }, SECONDS))
    const [bun = [], elysia = [], fabra = []] = await interleaved(RUNS, targets)
    const latencies = await openLoop({ url: path }, Math.round(median(fabra) / 2), 5)
    const batches = await openLoop(batch, 20, 5)
    return [
      { what: 'bare Bun.serve handler', unit: '/s', values: bun },
      { what: 'bare Elysia route', unit: '/s', values: elysia },
      { what: 'one stored feature from memory', unit: '/s', values: fabra, atLeast: 25_000 },
      { what: '  beside bare Bun.serve', unit: '×', values: fabra.map((value, i) => value / (bun[i] ?? 1)), atLeast: 0.6 },
      { what: '  beside bare Elysia', unit: '×', values: fabra.map((value, i) => value / (elysia[i] ?? 1)), atLeast: 0.85 },
      { what: '  p99 at half its peak, open loop', unit: 'ms', values: [quantile(latencies, 0.99)], atMost: 5 },
      { what: '100 rows × 50 values, p50', unit: 'ms', values: [quantile(batches, 0.5)], atMost: 10 },
    ]
  } finally {
    await server.stop()
    for (const bare of bares) bare.stop()
  }
}

async function startBare(kind: 'bun' | 'elysia'): Promise<{ readonly url: string; stop(): void }> {
  const port = await freePort()
  const child = Bun.spawn([process.execPath, join(import.meta.dir, 'bare.ts'), kind, String(port)], {
    env: { ...process.env, NODE_ENV: 'production' },
  })
  pinServer(child.pid)
  const url = `http://127.0.0.1:${port}${FIRST_READ}`
  for (let attempt = 0; attempt < 200; attempt++) {
    if (
      await fetch(url).then(
        (response) => response.ok,
        () => false,
      )
    )
      break
    await Bun.sleep(25)
  }
  return { url, stop: () => child.kill() }
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}
