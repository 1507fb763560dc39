import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { formatTime } from '../../src/definition/time.ts'
import { createMemoryOnlineStore } from '../../src/store/memory/online-store.ts'
import type { HistoryRow } from '../../src/store/ports/offline-store.ts'
import { startPostgres, type TestServer } from '../support/servers.ts'
import { openPostgresTrainingBench, openTrainingBench, pushedRegistry, recorded, type TrainingBench } from '../support/training-bench.ts'

/** FABRA_TEST_RUNS sets the number of cases, of which these have a share: each of them is a whole training set. */
const RUNS = Math.ceil(Number(process.env['FABRA_TEST_RUNS'] ?? 120) / 20)
const POSTGRES_RUNS = Math.ceil(RUNS * 0.6)
const LIMIT_MS = 120_000 + RUNS * 500
/** Whether it fails is all that is asked when FABRA_TEST_SHRINK is 0; else the smallest case that fails is looked for. */
const endOnFailure = process.env['FABRA_TEST_SHRINK'] === '0'

/** Tiny domains, so that ties, equal times and late arrivals are the rule. */
const row = fc.record({
  key: fc.constantFrom('u1', 'u2'),
  eventAt: fc.integer({ min: -2, max: 6 }),
  lag: fc.integer({ min: -1, max: 4 }),
  createdLag: fc.integer({ min: 0, max: 3 }),
  value: fc.constantFrom('value', 'value', 'value', 'null', 'tombstone'),
  origin: fc.constantFrom('pushed' as const, 'computed' as const, 'backfill' as const),
})
/** One feature, with all that was ever recorded of it. */
const past = fc.record({
  rows: fc.array(row, { maxLength: 12 }),
  lookBack: fc.constantFrom(null, 0, 1, 3),
  type: fc.constantFrom('string' as const, 'json' as const),
})
/** A training set costs the same for several features as for one, and each is asked at the labels of all. */
const world = fc.record({
  pasts: fc.array(past, { minLength: 1, maxLength: 4 }),
  labels: fc.array(fc.record({ key: fc.constantFrom('u1', 'u2', 'u3'), t: fc.integer({ min: -3, max: 11 }) }), {
    minLength: 1,
    maxLength: 12,
  }),
  knowledge: fc.constantFrom('serving' as const, 'latest' as const, 'served' as const),
  snapshot: fc.constantFrom(null, null, 2, 5),
  withStatus: fc.boolean(),
})

type World = typeof world extends fc.Arbitrary<infer T> ? T : never
type Past = World['pasts'][number]

const plain = { knowledge: 'serving', snapshot: null, withStatus: true } as const
const steps = [0, 1, 2].map((eventAt) => ({
  key: 'u1' as const,
  eventAt,
  lag: 0,
  createdLag: 0,
  value: 'value' as const,
  origin: 'pushed' as const,
}))
/** A value counts from its very time until that of the next: whatever chance has to say, these are tried. */
const edges = [[0], [1], [2], [-1, 3], [0, 2]].map((times): [World] => [
  { ...plain, pasts: [{ rows: steps, lookBack: null, type: 'string' as const }], labels: times.map((t) => ({ key: 'u1' as const, t })) },
])

/** The rule, written down without SQL and without anything of the system's: look at every row, keep the greatest. */
function expected(
  { rows, lookBack }: Recorded,
  { key, t }: World['labels'][number],
  { knowledge, snapshot }: Pick<World, 'knowledge' | 'snapshot'>,
): string {
  let best: HistoryRow | undefined
  for (const one of rows) {
    if (one.entityKey !== key || one.eventAt > t) continue
    if (snapshot !== null && one.createdAt > snapshot) continue
    if (knowledge === 'served' && one.origin === 'backfill') continue
    const mustHaveArrived = knowledge === 'serving' || (knowledge === 'served' && one.origin !== 'computed')
    if (mustHaveArrived && one.availableAt > t) continue
    if (
      !best ||
      one.eventAt > best.eventAt ||
      (one.eventAt === best.eventAt && (one.availableAt > best.availableAt || (one.availableAt === best.availableAt && one.seq > best.seq)))
    )
      best = one
  }
  if (!best || best.value === null || (lookBack !== null && best.eventAt < t - lookBack)) return 'missing'
  return best.value === 'null' ? 'null' : JSON.parse(best.value)
}

/** Without a status, nothing to see tells what is missing from what is null. */
function visible(value: string, { withStatus }: World): string {
  return value === 'missing' && !withStatus ? 'null' : value
}

let server: TestServer
let benches: TrainingBench[] = []
let bench: TrainingBench
let run = 0
beforeAll(async () => {
  server = await startPostgres()
  const postgres = [await openPostgresTrainingBench(server, Number.POSITIVE_INFINITY), await openPostgresTrainingBench(server, 0)]
  benches = [await openTrainingBench(), await openTrainingBench(undefined, -1), ...postgres]
}, 180_000)
afterAll(async () => {
  await Promise.all(benches.map((one) => one.close()))
  await server[Symbol.asyncDispose]()
})

describe.each([
  ['where keys have few values', 0],
  ['where keys have many', 1],
  ['brought over from PostgreSQL', 2],
  ['looked up in PostgreSQL', 3],
])('recorded values as of a time, %s,', (_which, index) => {
  beforeAll(() => {
    bench = benches[index] as TrainingBench
  })

  test(
    'equal the brute-force oracle on random worlds',
    async () => {
      await fc.assert(
        fc.asyncProperty(world, async (given) => {
          const features = given.pasts.map(history)
          await bench.offline.append(features.flatMap(({ rows }) => rows))
          const got = await answers(features, given)
          expect(got).toEqual(features.map((one) => given.labels.map((label) => visible(expected(one, label, given), given))))
        }),
        { numRuns: edges.length + (index < 2 ? RUNS : POSTGRES_RUNS), endOnFailure, examples: edges },
      )
    },
    LIMIT_MS,
  )

  test(
    'equal what the online store holds when the rows are applied as they arrive',
    async () => {
      await fc.assert(
        fc.asyncProperty(world, async (world_) => {
          const given: World = { ...world_, knowledge: 'serving', snapshot: null, withStatus: true }
          const features = given.pasts.map(history)
          await bench.offline.append(features.flatMap(({ rows }) => rows))
          const got = await answers(features, given)
          for (const [f, one] of features.entries())
            expect(got[f]).toEqual(await Promise.all(given.labels.map((label) => replayed(one, label))))
        }),
        { numRuns: index < 2 ? RUNS : POSTGRES_RUNS, endOnFailure },
      )
    },
    LIMIT_MS,
  )
})

/** Serving at t: every value that has arrived was written, and no value of the future is ever accepted. */
async function replayed({ rows, lookBack }: Recorded, { key, t }: World['labels'][number]): Promise<string> {
  const online = createMemoryOnlineStore()
  const arrived = rows
    .filter((one) => Math.max(one.availableAt, one.eventAt) <= t)
    .sort((a, b) => Math.max(a.availableAt, a.eventAt) - Math.max(b.availableAt, b.eventAt) || a.seq - b.seq)
  for (const one of arrived) {
    const value = {
      texts: one.value === null ? null : [one.value],
      eventAt: one.eventAt,
      availableAt: one.availableAt,
      seq: one.seq,
      origin: one.origin,
      oldestInputAt: null,
    }
    await online.write([{ entity: 'User', key: one.entityKey, field: 'f', value }])
  }
  const stored = (await online.read('User', [key], ['f']))[0]?.[0]
  if (!stored?.texts || (lookBack !== null && t - stored.eventAt > lookBack)) return 'missing'
  return String(JSON.parse(stored.texts[0] ?? 'null'))
}

interface Recorded {
  readonly name: string
  readonly rows: readonly HistoryRow[]
  readonly lookBack: number | null
  readonly type: Past['type']
}

function history({ rows, lookBack, type }: Past): Recorded {
  const name = `w${run++}`
  const recordedRows = rows.map(({ key, eventAt, lag, createdLag, value, origin }, i) =>
    recorded({
      feature: name,
      entityKey: key,
      eventAt,
      availableAt: eventAt + lag,
      createdAt: eventAt + lag + createdLag,
      origin,
      value: value === 'tombstone' ? null : value === 'null' ? 'null' : `"${i}"`,
    }),
  )
  return { name, rows: recordedRows, lookBack, type }
}

/** Of each feature what each label gets. */
async function answers(features: readonly Recorded[], { labels, knowledge, snapshot, withStatus }: World): Promise<string[][]> {
  const { rows } = await bench.train(
    pushedRegistry(Object.fromEntries(features.map(({ name, lookBack, type }) => [name, { type, lookBack, maxStaleness: lookBack }]))),
    labels.map(({ key, t }) => ({ user_id: key, event_timestamp: formatTime(t) })),
    {
      features: features.map(({ name }) => name),
      withStatus,
      latestKnowledge: knowledge === 'latest',
      asServed: knowledge === 'served',
      snapshot,
    },
  )
  return features.map(({ name }) => rows.map((one) => (one[`${name}__status`] === 'missing' ? 'missing' : String(one[name]))))
}
