import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { formatTime } from '../../src/definition/time.ts'
import type { HistoryRow } from '../../src/store/ports/offline-store.ts'
import { startPostgres, type TestServer } from '../support/servers.ts'
import { openPostgresTrainingBench, openTrainingBench, pushedRegistry, recorded, type TrainingBench } from '../support/training-bench.ts'

/**
 * The cases of a point-in-time join, one line each. Times are seconds; look-back is 10 s unless said. The rule has no delay of history: a delay
 * is what `available_at` is made of (a backfilled row is available at its event time plus the delay), so cases 14 and 15 say it that way.
 */
type Row = readonly [eventAt: number, availableAt: number, value: string | null, facts?: Partial<HistoryRow>]
interface Case {
  readonly what: string
  readonly history: readonly Row[]
  readonly at: readonly number[]
  readonly expect: readonly string[]
  readonly lookBack?: number | null
  readonly latestKnowledge?: boolean
  readonly snapshot?: number
}

const US = 0.000001
const A = '"A"'
const B = '"B"'
const TOMBSTONE = null

const CASES: readonly Case[] = [
  { what: '1 a value of the very time is visible', history: [[5, 5, A]], at: [5], expect: ['A'] },
  { what: '2 one microsecond before it is not', history: [[5, 5, A]], at: [5 - US], expect: ['missing'] },
  { what: '3 an age of exactly the look-back counts', history: [[5, 5, A]], at: [15], expect: ['A'] },
  { what: '4 one microsecond more does not', history: [[5, 5, A]], at: [15 + US], expect: ['missing'] },
  {
    what: '5 the newest wins',
    history: [
      [5, 5, A],
      [7, 7, B],
    ],
    at: [8],
    expect: ['B'],
  },
  {
    what: '6 an older event that arrives later never wins',
    history: [
      [7, 7, B],
      [5, 8, A],
    ],
    at: [9],
    expect: ['B'],
  },
  { what: '7 what has not arrived is not there', history: [[5, 9, A]], at: [8, 9], expect: ['missing', 'A'] },
  { what: '7 with the latest knowledge it is', history: [[5, 9, A]], at: [8], expect: ['A'], latestKnowledge: true },
  {
    what: '8 a correction counts from its arrival',
    history: [
      [5, 5, A],
      [5, 9, B],
    ],
    at: [8, 9],
    expect: ['A', 'B'],
  },
  {
    what: '9 of equal times the last accepted wins',
    history: [
      [5, 5, A],
      [5, 5, B],
    ],
    at: [6],
    expect: ['B'],
  },
  { what: '10 null is a value', history: [[5, 5, 'null']], at: [6], expect: ['null'] },
  {
    what: '11 null is newer than the value before it',
    history: [
      [4, 4, A],
      [5, 5, 'null'],
    ],
    at: [6],
    expect: ['null'],
  },
  {
    what: '12 a tombstone is missing',
    history: [
      [4, 4, A],
      [5, 5, TOMBSTONE],
    ],
    at: [6],
    expect: ['missing'],
  },
  {
    what: '13 a correction of a tombstone',
    history: [
      [4, 4, A],
      [5, 5, TOMBSTONE],
      [5, 6, B],
    ],
    at: [5, 6],
    expect: ['missing', 'B'],
  },
  { what: '14 a delay holds a value back', history: [[5, 7, A]], at: [7 - US, 7], expect: ['missing', 'A'] },
  {
    what: '15 the look-back counts from the event, not from its arrival',
    history: [[5, 7, A]],
    at: [15, 15 + US],
    expect: ['A', 'missing'],
  },
  { what: '16 without a look-back, and before 1970', history: [[-1_000_000, -1_000_000, A]], at: [0], expect: ['A'], lookBack: null },
  { what: '17 a row asked for three times is answered three times', history: [[5, 5, A]], at: [6, 6, 6], expect: ['A', 'A', 'A'] },
  { what: '18 nothing recorded at all', history: [], at: [6], expect: ['missing'] },
  {
    what: '22 the hour that comes twice',
    history: [
      [1_761_438_600, 1_761_438_600, A],
      [1_761_442_200, 1_761_442_200, B],
    ],
    at: [1_761_438_600, 1_761_442_199, 1_761_442_200],
    expect: ['A', 'A', 'B'],
    lookBack: null,
  },
  { what: '23 microseconds', history: [[0.123456, 0.123456, A]], at: [0.123456, 0.123455], expect: ['A', 'missing'] },
  {
    what: '26 another version is another feature',
    history: [[5, 5, A, { fingerprint: 'ffffffffffffffff' }]],
    at: [6],
    expect: ['missing'],
  },
  {
    what: '27 a row written after the snapshot does not exist',
    history: [
      [5, 5, A],
      [6, 6, B, { createdAt: 50e6 }],
    ],
    at: [8],
    expect: ['A'],
    snapshot: 20,
  },
  {
    what: '28 a backfilled row is known from its time and delay',
    history: [[5, 6, A, { createdAt: 99e6, origin: 'backfill' }]],
    at: [5.5, 6],
    expect: ['missing', 'A'],
  },
  {
    what: '28 but not to a snapshot before it',
    history: [[5, 6, A, { createdAt: 99e6, origin: 'backfill' }]],
    at: [6],
    expect: ['missing'],
    snapshot: 50,
  },
  {
    what: 'an older event that arrives between two labels',
    history: [
      [2, 2, A],
      [1, 4, B],
    ],
    at: [1, 2, 3, 5],
    expect: ['missing', 'A', 'A', 'A'],
  },
  {
    what: 'an older event that arrives before the first label, as the last of all',
    history: [
      [10, 10, A],
      [5, 12, B],
    ],
    at: [20],
    expect: ['A'],
    lookBack: null,
  },
  {
    what: 'a tombstone that arrives late hides what it hides from then on',
    history: [
      [4, 4, A],
      [5, 8, TOMBSTONE],
    ],
    at: [7, 8],
    expect: ['A', 'missing'],
  },
  {
    what: 'an old row may be too old though a dominated one is not',
    history: [
      [6, 6, A],
      [5, 9, B],
    ],
    at: [16, 17],
    expect: ['A', 'missing'],
  },
]

const PLACES: readonly [place: string, index: number][] = [
  ['on the laptop', 1],
  ['brought over from PostgreSQL', 2],
  ['looked up in PostgreSQL', 3],
]

let server: TestServer
let benches: TrainingBench[] = []
beforeAll(async () => {
  server = await startPostgres()
  const postgres = [await openPostgresTrainingBench(server, Number.POSITIVE_INFINITY), await openPostgresTrainingBench(server, 0)]
  benches = [await openTrainingBench(1), await openTrainingBench(4), ...postgres]
}, 180_000)
afterAll(async () => {
  await Promise.all(benches.map((bench) => bench.close()))
  await server[Symbol.asyncDispose]()
})

/** What cases may ask differently; those that ask alike are one training set, in which each has a key of its own. */
const askedBy = ({ lookBack = 10, latestKnowledge = false, snapshot }: Case) => ({
  lookBack: lookBack === null ? null : micros(lookBack),
  latestKnowledge,
  snapshot: snapshot === undefined ? null : micros(snapshot),
})
const groups = Map.groupBy(CASES, (one) => JSON.stringify(askedBy(one)))
const keyOf = (one: Case) => `case ${CASES.indexOf(one)}`

/** Of each case what its labels get. */
async function answersOf(bench: TrainingBench, cases: readonly Case[], asked: ReturnType<typeof askedBy>): Promise<Map<Case, string[]>> {
  const { lookBack, ...options } = asked
  const labels = cases.flatMap((one) => one.at.map((t) => ({ user_id: keyOf(one), event_timestamp: formatTime(micros(t)) })))
  const { rows } = await bench.train(pushedRegistry({ f: { lookBack } }), labels, { features: ['f'], withStatus: true, ...options })
  expect(rows.map((row) => row['user_id'])).toEqual(labels.map(({ user_id }) => user_id))
  const of = (one: Case) => rows.filter((row) => row['user_id'] === keyOf(one))
  return new Map(cases.map((one) => [one, of(one).map((row) => (row['f__status'] === 'missing' ? 'missing' : String(row['f'])))] as const))
}

describe.each([
  ['on one thread', 0],
  ['on four threads', 1],
  ['brought over from PostgreSQL', 2],
  ['looked up in PostgreSQL', 3],
])('%s', (_threads, index) => {
  const answers = new Map<Case, string[]>()
  beforeAll(async () => {
    const bench = benches[index] as TrainingBench
    const rows = CASES.flatMap((one) =>
      one.history.map(([eventAt, availableAt, value, facts]) =>
        recorded({
          entityKey: keyOf(one),
          value,
          eventAt: micros(eventAt),
          availableAt: micros(availableAt),
          createdAt: 0,
          ...facts,
        }),
      ),
    )
    await bench.offline.append(rows)
    for (const cases of groups.values()) {
      const [first] = cases
      if (first) for (const [one, got] of await answersOf(bench, cases, askedBy(first))) answers.set(one, got)
    }
  }, 180_000)

  test.each(CASES.map((one) => [one.what, one] as const))('%s', (_what, one) => {
    expect(answers.get(one)).toEqual([...one.expect])
  })
})

test.each(PLACES)('19 keys that look alike are not the same key, %s', async (_place, index) => {
  const bench = benches[index] as TrainingBench
  const keys = ['a:b', 'a', 'b:c', 'A', 'a ', '\u00e9', 'e\u0301', '1', '11', "it's", 'a%3Ab', '"', '😀']
  await bench.offline.append(keys.map((key, i) => recorded({ entityKey: key, feature: 'k', value: `"${i}"`, eventAt: 1 })))
  const { rows } = await bench.train(
    pushedRegistry({ k: {} }),
    keys.map((user_id) => ({ user_id, event_timestamp: '1970-01-01T00:00:01Z' })),
    { features: ['k'] },
  )
  expect(rows.map((row) => row['k'])).toEqual(keys.map((_, i) => String(i)))
  expect(rows.map((row) => row['user_id'])).toEqual(keys)
})

test.each(PLACES)('19 parts of a composite key never run into each other, %s', async (_place, index) => {
  const bench = benches[index] as TrainingBench
  const registry = pushedRegistry({ pair: {} }, { user_id: 'string', merchant_id: 'string' })
  await bench.offline.append([
    recorded({ feature: 'pair', entityKey: 'a%3Ab:c', value: '"first"', eventAt: 1 }),
    recorded({ feature: 'pair', entityKey: 'a:b%3Ac', value: '"second"', eventAt: 1 }),
  ])
  const event_timestamp = '1970-01-01T00:00:01Z'
  const labels = [
    { user_id: 'a:b', merchant_id: 'c', event_timestamp },
    { user_id: 'a', merchant_id: 'b:c', event_timestamp },
  ]
  expect((await bench.train(registry, labels, { features: ['pair'] })).rows.map((row) => row['pair'])).toEqual(['first', 'second'])
})

test.each(PLACES)('19 integer and uuid keys are exact, whatever they are written as, %s', async (_place, index) => {
  const bench = benches[index] as TrainingBench
  const event_timestamp = '1970-01-01T00:00:01Z'
  await bench.offline.append([
    recorded({ feature: 'i', entityKey: '9007199254740993', value: '"odd"', eventAt: 1 }),
    recorded({ feature: 'i', entityKey: '9007199254740992', value: '"even"', eventAt: 1 }),
    recorded({ feature: 'u', entityKey: '0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f0', value: '"uuid"', eventAt: 1 }),
  ])
  const ints = [9007199254740993n, 9007199254740992n, '+009007199254740993'].map((user_id) => ({ user_id, event_timestamp }))
  for (const labels of [ints.slice(0, 2), ints.slice(2)]) {
    const { rows } = await bench.train(pushedRegistry({ i: {} }, { user_id: 'int' }), labels, { features: ['i'] })
    expect(rows.map((row) => row['i'])).toEqual(labels.length === 1 ? ['odd'] : ['odd', 'even'])
    expect(rows.map((row) => row['user_id'])).toEqual(labels.map((row) => row['user_id']))
  }
  const uuids = ['0B1C2D3E4F5061728394A5B6C7D8E9F0', '0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f0'].map((user_id) => ({
    user_id,
    event_timestamp,
  }))
  expect(
    (await bench.train(pushedRegistry({ u: {} }, { user_id: 'uuid' }), uuids, { features: ['u'] })).rows.map((row) => row['u']),
  ).toEqual(['uuid', 'uuid'])
})

test.each(PLACES)('25 features of one set have their own look-back, default and version, %s', async (_place, index) => {
  const bench = benches[index] as TrainingBench
  await bench.offline.append([
    recorded({ feature: 'short', entityKey: 'm', value: '1', eventAt: 5e6 }),
    recorded({ feature: 'long', entityKey: 'm', value: '2', eventAt: 5e6 }),
    recorded({ feature: 'wide', entityKey: 'm', value: '{"a":9007199254740993,"b":"x","c":null}', eventAt: 5e6 }),
  ])
  const registry = pushedRegistry({
    short: { type: 'int', lookBack: 1e6, defaults: ['-1'] },
    long: { type: 'int', lookBack: 10e6, defaults: ['-1'] },
    wide: {
      columns: [
        { name: 'a', type: 'int' },
        { name: 'b', type: 'string' },
        { name: 'c', type: 'float' },
      ],
    },
  })
  const wide = await bench.train(registry, [{ user_id: 'm', event_timestamp: formatTime(10e6) }], {
    features: ['wide.b', 'wide', 'wide.a'],
  })
  expect(wide.rows).toEqual([
    { user_id: 'm', event_timestamp: '1970-01-01T00:00:10Z', 'wide.b': 'x', 'wide.a': 9007199254740993n, 'wide.c': null },
  ])
  const { rows } = await bench.train(registry, [{ user_id: 'm', event_timestamp: formatTime(10e6) }], {
    features: ['short', 'long'],
    withStatus: true,
    withEventTimestamp: true,
  })
  expect(rows).toEqual([
    {
      user_id: 'm',
      event_timestamp: '1970-01-01T00:00:10Z',
      short: -1,
      long: 2,
      short__status: 'default',
      short__event_timestamp: null,
      long__status: 'fresh',
      long__event_timestamp: '1970-01-01T00:00:05Z',
    },
  ])
})

test.each(PLACES)('30 values come out bit by bit as they were recorded, %s', async (_place, index) => {
  const bench = benches[index] as TrainingBench
  const values: Record<string, [type: 'int' | 'float' | 'string' | 'bool' | 'timestamp' | 'json' | 'list', text: string, out: unknown]> = {
    v1: ['int', '9007199254740993', 9007199254740993n],
    v2: ['int', '-9223372036854775808', -9223372036854775808n],
    v3: ['float', '1e-320', 1e-320],
    v4: ['float', '0.1', 0.1],
    v5: ['float', '1.7976931348623157e+308', 1.7976931348623157e308],
    v6: ['string', '"é \\"x\\" \\n \\u0001 null"', 'é "x" \n \u0001 null'],
    v7: ['string', '"null"', 'null'],
    v8: ['bool', 'false', false],
    v9: ['timestamp', '"2026-01-02T03:04:05.123456Z"', '2026-01-02T03:04:05.123456Z'],
    v10: ['json', '{"a":[1,2,null],"b":"x"}', { a: [1, 2, null], b: 'x' }],
    v11: ['list', '[]', []],
    v12: ['string', '""', ''],
  }
  await bench.offline.append(Object.entries(values).map(([feature, [, value]]) => recorded({ feature, entityKey: 'v', value, eventAt: 1 })))
  const registry = pushedRegistry(Object.fromEntries(Object.entries(values).map(([name, [type]]) => [name, { type }])))
  const { rows } = await bench.train(registry, [{ user_id: 'v', event_timestamp: '1970-01-01T00:00:01Z' }], {
    features: Object.keys(values),
  })
  for (const [name, [, , out]] of Object.entries(values)) expect({ name, value: rows[0]?.[name] }).toEqual({ name, value: out })
})

test.each(PLACES)(
  '31 a key with tens of thousands of versions is right, and its labels are not compared with each of them, %s',
  async (_place, index) => {
    const bench = benches[index] as TrainingBench
    const versions = 50_000
    await bench.offline.append(
      Array.from({ length: versions }, (_, i) => recorded({ feature: 'hot', entityKey: 'hot', value: String(i), eventAt: i * 10 })),
      { timeoutMs: 60_000 },
    )
    // Each with each they would be half a billion pairs.
    const labels = Array.from({ length: 10_000 }, (_, i) => ({
      user_id: 'hot',
      event_timestamp: formatTime(((i * 7919) % versions) * 10 + 9),
    }))
    const { rows } = await bench.train(pushedRegistry({ hot: { type: 'int' } }), labels, { features: ['hot'] })
    expect(rows.map((row) => row['hot'])).toEqual(labels.map((_, i) => (i * 7919) % versions))
  },
  180_000,
)

function micros(seconds: number): number {
  return Math.round(seconds * 1e6)
}
