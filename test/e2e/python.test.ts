/** The lines that people were promised, word for word, served by the executable alone on a machine that has python3. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type RunningFabra, runFabra, startFabra, temporaryFolder } from '../support/binary.ts'
import { until } from '../support/until.ts'

const PROMISED = `from datetime import timedelta
from fabra import FeatureStore, entity, feature, source, db

store = FeatureStore()

@entity(store)
class User:
    user_id: str

source("transactions", timestamp="created_at", file="data/transactions.csv")

@feature(entity=User, refresh=timedelta(minutes=5))
def transaction_count_1h(user_id: str) -> int:
    return db.query(
        "SELECT COUNT(*) FROM transactions "
        "WHERE user_id = %s AND created_at > NOW() - INTERVAL '1 hour'",
        user_id
    )

@feature(entity=User, refresh=timedelta(seconds=0))  # realtime
async def user_velocity_1h(user_id: str) -> int:
    """Number of transactions in last hour."""
    return await db.fetchval(
        "SELECT COUNT(*) FROM transactions "
        "WHERE user_id = $1 AND created_at > NOW() - INTERVAL '1 hour'",
        user_id
    )
`

const LIMIT_MS = 120_000
const WAIT_MS = 60_000
const folder = temporaryFolder()
const startedAt = Date.now()
const minutesAgo = (minutes: number) => new Date(startedAt - minutes * 60_000).toISOString()
let server: RunningFabra

interface Answer {
  readonly value: unknown
  readonly served_from: string
  readonly freshness_ms: number
  readonly event_timestamp: string
  readonly error?: { readonly code: string; readonly message: string; readonly hint: string }
}

const write = (name: string, text: string) => writeFileSync(join(folder, name), text)
const get = async (feature: string, key = 'u1') => {
  const response = await fetch(`${server.url}/v1/features/${feature}?entity_id=${key}`)
  return (await response.json()) as Answer
}

beforeAll(async () => {
  mkdirSync(join(folder, 'data'))
  // Ten rows: of u1 three in the last hour, and one of two hours ago.
  const rows = ['u1,5', 'u1,20', 'u1,40', 'u1,120', 'u2,10', 'u2,90', 'u3,1', 'u3,2', 'u3,3', 'u3,4'].map((row, i) => {
    const [user, minutes] = row.split(',')
    return `${user},${10 + i}.5,${minutesAgo(Number(minutes))}`
  })
  write('data/transactions.csv', `user_id,amount,created_at\n${rows.join('\n')}\n`)
  write('features.py', PROMISED)
  server = await startFabra({ file: 'features.py', cwd: folder, args: ['--watch'] })
}, LIMIT_MS)

afterAll(async () => {
  await server.stop()
  rmSync(folder, { recursive: true, force: true })
}, LIMIT_MS)

test(
  'the promised functions serve, refresh and train',
  async () => {
    expect(await get('transaction_count_1h')).toMatchObject({ value: 3, served_from: 'computed' })
    expect(await get('user_velocity_1h')).toMatchObject({ value: 3, served_from: 'computed' })
    expect(await get('transaction_count_1h')).toMatchObject({ value: 3, served_from: 'online' })

    const listed = await runFabra(['list'], { cwd: folder })
    expect(listed.stdout).toMatch(/user_velocity_1h +User +int +function +realtime +changes +Number of transactions in last hour\./)

    const before = await get('transaction_count_1h')
    const refreshed = await runFabra(['refresh', 'transaction_count_1h'], { cwd: folder })
    expect([refreshed.exitCode, refreshed.stderr]).toEqual([0, ''])
    expect((await get('transaction_count_1h')).event_timestamp > before.event_timestamp).toBe(true)

    // u1 at the present, and half an hour ago: then one of two hours ago was out of the hour, one of 40 minutes ago was in it.
    write('labels.csv', `user_id,event_timestamp\nu1,${new Date().toISOString()}\nu1,${minutesAgo(30)}\n`)
    const args = ['train', 'labels.csv', '--features', 'user_velocity_1h,transaction_count_1h', '-o', 'set.csv']
    const trained = await runFabra(args, { cwd: folder })
    expect([trained.exitCode, trained.stderr.includes('error')]).toEqual([0, false])
    const [head, ...rows] = (await Bun.file(join(folder, 'set.csv')).text()).trim().split('\n')
    expect(head).toBe('user_id,event_timestamp,user_velocity_1h,transaction_count_1h')
    // Both run again as of each time.
    expect(rows.map((row) => row.split(',').slice(2).join())).toEqual(['3,3', '1,1'])
  },
  LIMIT_MS,
)

test(
  'an edit is served within the moment, in modules that are imported, too; one with a fault is named and changes nothing',
  async () => {
    write('rates.py', 'RATE = 2\n')
    write(
      'features.py',
      `${PROMISED}
from rates import RATE

@feature(entity=User, refresh="1s")
def rated(user_id: str) -> float:
    print("computing", user_id)
    return transaction_rate(user_id) * RATE

@feature(entity=User, refresh=0, batch=True)
def crowd(user_ids: list[str]) -> list[int]:
    return [len(user_ids)] * len(user_ids)

@feature(entity=User, refresh="1h")
def torn(user_id: str) -> int:
    text = user_id
    return deep(text)

def deep(text):
    return int(text)

def transaction_rate(user_id):
    return db.fetchval("SELECT AVG(amount) FROM transactions WHERE user_id = ?", user_id)
`,
    )
    const rated = (wanted: number) => until('the edit', WAIT_MS, async () => ((await get('rated')).value === wanted ? true : undefined))
    await rated(24)
    // Where it fails is the line that threw, and not the one that its definition begins with.
    await fetch(`${server.url}/v1/features/torn/refresh`, { method: 'POST', body: '{"rows":[{"user_id":"u1"}]}' })
    const { runs } = (await (await fetch(`${server.url}/v1/runs?feature=torn`)).json()) as { runs: { file: string; line: number }[] }
    const lines = (await Bun.file(join(folder, 'features.py')).text()).split('\n')
    expect([runs[0]?.file, lines[(runs[0]?.line ?? 0) - 1]?.trim()]).toEqual(['features.py', 'return int(text)'])
    // It is refreshed by itself, each second, once it was read.
    const first = await get('rated')
    const later = await until('a refresh', WAIT_MS, async () => {
      const answer = await get('rated')
      return answer.event_timestamp > first.event_timestamp && answer.served_from === 'online' ? answer : undefined
    })
    expect(later.value).toBe(24)
    // What it prints goes to the log, with its name.
    await until('what it prints', WAIT_MS, async () => (server.stderr().includes('computing u1') ? true : undefined))

    // Who asks for several keys at once, and label rows of one time, call a function for many keys once.
    const asked = { features: ['crowd'], rows: ['u1', 'u2', 'u3'].map((user_id) => ({ user_id })) }
    const many = await fetch(`${server.url}/v1/features`, { method: 'POST', body: JSON.stringify(asked) })
    const { results } = (await many.json()) as { results: readonly { readonly values: readonly unknown[] }[] }
    expect(results.map(({ values }) => values)).toEqual([[3], [3], [3]])
    const time = new Date().toISOString()
    write('crowd.csv', `user_id,event_timestamp\nu1,${time}\nu2,${time}\nu3,${minutesAgo(5)}\n`)
    await runFabra(['train', 'crowd.csv', '--features', 'crowd', '-o', 'crowd-set.csv'], { cwd: folder })
    expect((await Bun.file(join(folder, 'crowd-set.csv')).text()).match(/\d+$/gm)).toEqual(['2', '2', '1'])

    write('rates.py', 'RATE = 3\n')
    await rated(36)

    // A module that goes away and comes again, as with a change of branches, and one whose folder does.
    rmSync(join(folder, 'rates.py'))
    await until('the gap', WAIT_MS, async () =>
      server.stderr().includes('the package "rates", which is not installed') ? true : undefined,
    )
    write('rates.py', 'from parts.rate import RATE\n')
    await until('the next', WAIT_MS, async () =>
      server.stderr().includes('the package "parts", which is not installed') ? true : undefined,
    )
    mkdirSync(join(folder, 'new'))
    write('new/rate.py', 'RATE = 4\n')
    renameSync(join(folder, 'new'), join(folder, 'parts'))
    await rated(48)
    mkdirSync(join(folder, 'new'))
    write('new/rate.py', 'RATE = 3\n')
    renameSync(join(folder, 'parts'), join(folder, 'old'))
    renameSync(join(folder, 'new'), join(folder, 'parts'))
    await rated(36)
    write('parts/rate.py', 'RATE = 5\n')
    await rated(60)
    write('rates.py', 'RATE = 3\n')
    await rated(36)

    write('rates.py', 'RATE = = 3\n')
    await until('the report', WAIT_MS, async () =>
      server.stderr().includes('The last good definitions go on serving.') ? true : undefined,
    )
    await until('its place', WAIT_MS, async () => (server.stderr().includes('rates.py:1') ? true : undefined))
    expect((await get('rated')).value).toBe(36)
  },
  LIMIT_MS,
)
