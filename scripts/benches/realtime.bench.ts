import { rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { startFabra } from '../../test/support/binary.ts'
import type { Bench, Measurement } from './bench.ts'
import { peak, pinServer, quantile } from './load.ts'
import { read, SHARED_CACHE, temporaryFolder } from './server.ts'

const FLIGHTS = resolve(import.meta.dir, '../../examples/flights.ts')
const AIRPORTS =
  'ATL DFW ORD LAX PHX DEN DTW STL IAH MSP LAS SFO EWR PHL CLT BOS PIT SEA LGA CVG MCO BWI DCA MIA SAN SLC TPA CLE PDX OAK'.split(' ')
const WARM_UP = 50
const ONE_AT_A_TIME = 600
const AT_ONCE = 16
const CONCURRENT = 1_600

const FUNCTION = `
import { entity, feature } from 'fabra'
export const User = entity('User', { key: 'user_id' })
export const name_length = feature({ entity: User, refresh: 0, type: 'int' }, (userId) => userId.length)
`

/** Realtime features, computed in each request: one SQL feature over three million flights, and one TypeScript function. */
export const bench: Bench = async () => [...(await measureSql()), ...(await measureFunction())]

async function measureSql(): Promise<Measurement[]> {
  const server = await startFabra({ file: FLIGHTS, args: ['--clock', '2001-03-15T12:00:00Z'], env: { FABRA_CACHE_DIR: SHARED_CACHE } })
  try {
    let asked = 0
    const ask = async () => {
      const airport = AIRPORTS[asked++ % AIRPORTS.length]
      const startedAt = performance.now()
      await read(server, `/v1/features/departures_1h?entity_id=${airport}`)
      return performance.now() - startedAt
    }
    for (let i = 0; i < WARM_UP; i++) await ask()
    const alone: number[] = []
    for (let i = 0; i < ONE_AT_A_TIME; i++) alone.push(await ask())
    const together: number[] = []
    const asker = async () => {
      for (let i = 0; i < CONCURRENT / AT_ONCE; i++) together.push(await ask())
    }
    await Promise.all(Array.from({ length: AT_ONCE }, asker))
    alone.sort((a, b) => a - b)
    together.sort((a, b) => a - b)
    return [
      { what: 'realtime SQL over 3,000,000 flights, p50', unit: 'ms', values: [quantile(alone, 0.5)], atMost: 10 },
      { what: '  p99', unit: 'ms', values: [quantile(alone, 0.99)] },
      { what: `  ${AT_ONCE} at a time, p50`, unit: 'ms', values: [quantile(together, 0.5)] },
      { what: '  p99', unit: 'ms', values: [quantile(together, 0.99)] },
    ]
  } finally {
    await server.stop()
  }
}

async function measureFunction(): Promise<Measurement[]> {
  const folder = temporaryFolder()
  try {
    writeFileSync(join(folder, 'features.ts'), FUNCTION)
    const server = await startFabra({ file: 'features.ts', cwd: folder, env: { FABRA_CACHE_DIR: SHARED_CACHE } })
    try {
      const path = '/v1/features/name_length?entity_id=u1'
      await read(server, path)
      pinServer(server.pid)
      const target = { url: `${server.url}${path}` }
      peak(target, 2)
      const values = Array.from({ length: 3 }, () => peak(target, 3))
      return [{ what: 'realtime function, 64 connections, one core', unit: '/s', values, atLeast: 10_000 }]
    } finally {
      await server.stop()
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
