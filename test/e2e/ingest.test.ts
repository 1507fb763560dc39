/** Data coming in, on the executable: seen within a second, there after kill -9, counted once. `FABRA_TEST_RUNS` sets the number of kills. */
import { describe, expect, test } from 'bun:test'
import { resolve } from 'node:path'
import { builtBinary, type RunningFabra, startFabra } from '../support/binary.ts'
import { projectFolder } from '../support/project-folder.ts'
import { until } from '../support/until.ts'

const KILLS = Number(process.env['FABRA_TEST_RUNS'] ?? 3)
const FRAUD = resolve(import.meta.dir, '../../examples/fraud_detection.ts')
const FEATURES = `import { entity, feature, source } from "fabra";
export const User = entity("User", { key: "user_id" });
export const events = source("events", { timestamp: "created_at", id: "id", file: "./events.csv" });
export const keyed = source("keyed", { timestamp: "created_at", columns: { user_id: "VARCHAR", created_at: "TIMESTAMPTZ" } });
export const seen = feature({ entity: User, refresh: 0, type: "int" }, async (id, { db }) => db.fetchval("SELECT COUNT(*) FROM events WHERE user_id = $1", id));
export const once = feature({ entity: User, refresh: 0, type: "int" }, async (id, { db }) => db.fetchval("SELECT COUNT(*) FROM keyed WHERE user_id = $1", id));
export const kept = feature({ entity: User, refresh: "1h", type: "int", sql: "SELECT COUNT(*) FROM events WHERE user_id = $user_id" });
export const score = feature({ entity: User, type: "int" });
`

async function valueAt(server: RunningFabra, path: string): Promise<unknown> {
  const response = await fetch(`${server.url}/v1/features/${path}`)
  const text = await response.text()
  expect(response.status, text).toBe(200)
  return JSON.parse(text).value
}

async function post(server: RunningFabra, path: string, body: unknown, headers: Record<string, string> = {}) {
  const response = await fetch(`${server.url}${path}`, { method: 'POST', body: JSON.stringify(body), headers })
  return { status: response.status, json: JSON.parse(await response.text()) }
}

describe('the fraud example', () => {
  test('counts a posted payment in the next read of a realtime feature, and soon in a kept one', async () => {
    builtBinary()
    const server = await startFabra({ file: FRAUD })
    try {
      const velocity = Number(await valueAt(server, 'user_velocity_1h?entity_id=u1'))
      const count = Number(await valueAt(server, 'transaction_count_1h?entity_id=u1'))
      const payment = { id: 9_000_001, user_id: 'u1', merchant_id: 'm1', amount: 12.5, created_at: new Date(Date.now() - 1).toISOString() }
      expect(await post(server, '/v1/sources/transactions/rows', { rows: [payment, payment] })).toEqual({
        status: 200,
        json: { accepted: 1, duplicates: 1 },
      })
      expect(await valueAt(server, 'user_velocity_1h?entity_id=u1')).toBe(velocity + 1)
      await until('the count', 5_000, async () =>
        (await valueAt(server, 'transaction_count_1h?entity_id=u1')) === count + 1 ? true : undefined,
      )
    } finally {
      await server.stop()
    }
  }, 120_000)
})

interface Write {
  readonly path: string
  readonly body: unknown
  readonly headers: Record<string, string>
}

/** What the clients know to be durable, and what they do not know about. */
interface Ledger {
  readonly sent: Map<string, Write>
  readonly acknowledged: Set<string>
}

const USERS = 5
/** Writes of earlier rounds that are sent again in one round, about. */
const RESENT = 25
const user = (n: number) => `u${n % USERS}`
/** Distinct times, so that each is a row of its own in history. */
const timeOf = (n: number) => new Date(Date.UTC(2026, 0, 1) + n * 1_000).toISOString()

/** Three kinds of writing, each with its own way of saying "the same again". */
function writeOf(n: number): Write {
  const created_at = timeOf(n)
  const user_id = user(n)
  if (n % 3 === 0)
    return { path: '/v1/features/score/values', body: { rows: [{ user_id, value: n, event_timestamp: created_at }] }, headers: {} }
  if (n % 3 === 1) return { path: '/v1/sources/events/rows', body: { rows: [{ id: `e${n}`, user_id, created_at }] }, headers: {} }
  return { path: '/v1/sources/keyed/rows', body: { rows: [{ user_id, created_at }] }, headers: { 'idempotency-key': `k${n}` } }
}

async function writeUntilKilled(server: RunningFabra, ledger: Ledger, next: () => number): Promise<void> {
  for (;;) {
    const n = next()
    const write = writeOf(n)
    ledger.sent.set(String(n), write)
    try {
      const { status } = await post(server, write.path, write.body, write.headers)
      if (status === 200) ledger.acknowledged.add(String(n))
    } catch {
      return
    }
  }
}

/** Whether each write with these numbers counts exactly once. */
async function expectOnce(server: RunningFabra, written: readonly number[]): Promise<void> {
  for (let u = 0; u < USERS; u++) {
    const own = (kind: number) => written.filter((n) => n % 3 === kind && user(n) === `u${u}`)
    expect(await valueAt(server, `seen?entity_id=u${u}`)).toBe(own(1).length)
    expect(await valueAt(server, `once?entity_id=u${u}`)).toBe(own(2).length)
    const { history } = (await (await fetch(`${server.url}/v1/features/score/history?entity_id=u${u}&limit=10000`)).json()) as {
      history: readonly { value: number }[]
    }
    expect(history.map((row) => row.value)).toEqual(own(0).toSorted((a, b) => b - a))
    expect(await valueAt(server, `score?entity_id=u${u}`)).toBe(own(0).length === 0 ? null : Math.max(...own(0)))
  }
}

describe('kill -9 at a random moment', () => {
  test(
    'loses nothing that was acknowledged, and what is sent again counts once',
    async () => {
      using project = projectFolder({ 'features.ts': FEATURES, 'events.csv': 'id,user_id,created_at\nx,x,2026-01-01T00:00:00Z\n' })
      const ledger: Ledger = { sent: new Map(), acknowledged: new Set() }
      let n = 0
      for (let kill = 0; kill < KILLS; kill++) {
        const server = await startFabra({ file: 'features.ts', cwd: project.path })
        // A value is kept from the start, so that events must reach it after the kill too.
        for (let u = 0; u < USERS; u++) await valueAt(server, `kept?entity_id=u${u}`)
        const before = n
        const writers = Array.from({ length: 8 }, () => writeUntilKilled(server, ledger, () => n++))
        const known = ledger.acknowledged.size
        await until('some acknowledged writes', 60_000, async () => (ledger.acknowledged.size > known + 12 ? true : undefined))
        await Bun.sleep(Math.random() * 300)
        await server.kill()
        await Promise.all(writers)
        const again = await startFabra({ file: 'features.ts', cwd: project.path })
        try {
          // What was not acknowledged is sent again, as clients do; so is a part of what was: all of this round, and some of all others.
          const rest = Math.max(1, Math.floor(before / RESENT))
          for (const [id, write] of ledger.sent) {
            if (ledger.acknowledged.has(id) && Number(id) < before && Number(id) % rest !== kill % rest) continue
            const { status, json } = await post(again, write.path, write.body, write.headers)
            expect(status).toBe(200)
            if (ledger.acknowledged.has(id)) expect(json).toMatchObject({ accepted: 0, duplicates: 1 })
            ledger.acknowledged.add(id)
          }
          await expectOnce(again, [...ledger.sent.keys()].map(Number))
          for (let u = 0; u < USERS; u++) {
            const wanted = await valueAt(again, `seen?entity_id=u${u}`)
            await until(`the kept count of u${u}`, 10_000, async () =>
              (await valueAt(again, `kept?entity_id=u${u}`)) === wanted ? true : undefined,
            )
          }
        } finally {
          await again.kill()
        }
        if (KILLS > 10) console.error(`kill ${kill + 1} of ${KILLS}: ${ledger.acknowledged.size} writes acknowledged, each there once`)
      }
      expect(ledger.acknowledged.size).toBeGreaterThan(KILLS * 10)
    },
    60_000 + KILLS * 20_000,
  )
})

describe('deleting a key', () => {
  test('while it is refreshed, pushed and posted leaves nothing of it, and is remembered by the next process', async () => {
    using project = projectFolder({ 'features.ts': FEATURES, 'events.csv': 'id,user_id,created_at\nx,u1,2026-01-01T00:00:00Z\n' })
    const server = await startFabra({ file: 'features.ts', cwd: project.path })
    const before = new Date(Date.now() - 60_000).toISOString()
    const older = {
      rows: [
        { user_id: 'u1', value: 7, event_timestamp: before },
        { user_id: 'u2', value: 7, event_timestamp: before },
      ],
    }
    await post(server, '/v1/features/score/values', older)
    await valueAt(server, 'kept?entity_id=u1')
    const racing = Array.from({ length: 20 }, () => [
      post(server, '/v1/features/kept/refresh', {}),
      post(server, '/v1/features/score/values', older),
    ]).flat()
    const deleted = await fetch(`${server.url}/v1/entities/User/u1`, { method: 'DELETE' })
    const receipt = (await deleted.json()) as Record<string, unknown>
    expect(receipt).toMatchObject({ entity: { user_id: 'u1' }, sources_untouched: ['events', 'keyed'] })
    await Promise.all(racing)
    const expectGone = async (on: RunningFabra) => {
      expect((await post(on, '/v1/features/score/values', older)).json).toEqual({ accepted: 0, duplicates: 1, fenced: 1 })
      expect(await valueAt(on, 'score?entity_id=u1')).toBe(null)
      for (const name of ['score', 'kept']) {
        const { history } = (await (await fetch(`${on.url}/v1/features/${name}/history?entity_id=u1`)).json()) as { history: unknown[] }
        expect({ name, history }).toEqual({ name, history: [] })
      }
      expect(await valueAt(on, 'score?entity_id=u2')).toBe(7)
    }
    await expectGone(server)
    await server.kill()
    const again = await startFabra({ file: 'features.ts', cwd: project.path })
    try {
      await expectGone(again)
    } finally {
      await again.stop()
    }
  }, 120_000)
})
