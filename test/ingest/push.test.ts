import { afterAll, describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { entityKey } from '../../src/definition/entity-key.ts'
import type { HistoryRow } from '../../src/store/ports/offline-store.ts'
import { type Bench, type BenchStores, openBench, openBenchStores, type WrittenBench } from '../support/bench.ts'

const RUNS = Number(process.env['FABRA_TEST_RUNS'] ?? 40)
const START = Date.parse('2026-01-02T03:00:00Z') * 1000
const stores = await openBenchStores()
let benches = 0

afterAll(() => stores.close())

interface PushBench extends AsyncDisposable {
  readonly bench: Bench
  push(rows: readonly unknown[], feature?: string): Promise<{ accepted: number; duplicates: number; fenced: number }>
  /** Rows of one key as history tells them, oldest first. */
  history(key?: string, feature?: string): Promise<{ value: unknown; at: number }[]>
  forget(key: string): Promise<{ online: number; history: number; sources: readonly string[] }>
}

/** One history for all: opening one takes longer than most tests. Fingerprints keep them apart. */
async function open(features?: WrittenBench['features'], shared: BenchStores = stores): Promise<PushBench> {
  await shared.emptyOnline()
  const own = features ?? { score: { kind: 'pushed', type: 'int' } }
  const marked = Object.entries(own).map(
    ([name, feature]) => [name, { ...feature, fingerprint: `${benches++}`.padStart(16, '0') }] as const,
  )
  const bench = await openBench({ features: Object.fromEntries(marked) }, shared)
  const featureOf = (name: string) => {
    const feature = bench.registry.features.get(name)
    if (!feature) throw new Error(`No feature ${name}.`)
    return feature
  }
  return {
    bench,
    push: (rows, feature = 'score') => bench.ingest().push(featureOf(feature), rows),
    async history(key = 'u1', feature = 'score') {
      const { name, fingerprint } = featureOf(feature)
      const rows = await bench.parts().offline.history({ feature: name, fingerprint, entityKey: key, from: null, to: null, limit: 10_000 })
      return rows
        .toReversed()
        .map((row: HistoryRow) => ({ value: row.value === null ? undefined : JSON.parse(row.value), at: row.eventAt }))
    },
    forget(key) {
      const user = bench.registry.entities.get('User')
      if (!user) throw new Error('No User.')
      return bench.ingest().forget(user, entityKey(user, [key]))
    },
    [Symbol.asyncDispose]: () => bench.close(),
  }
}

const time = (seconds: number) => new Date(START / 1000 + seconds * 1000).toISOString()
const row = (user_id: string, value: unknown, at: number) => ({ user_id, value, event_timestamp: time(at) })

describe('a pushed value', () => {
  test('is served at once, is in history when the push is answered, and survives a restart', async () => {
    await using pushed = await open()
    expect(await pushed.push([row('u1', 7, 10), row('u2', 8, 10)])).toEqual({ accepted: 2, duplicates: 0, fenced: 0 })
    expect(await pushed.history()).toEqual([{ value: 7, at: START + 10e6 }])
    expect(await pushed.bench.read('score')).toMatchObject({ value: 7, status: 'fresh', servedFrom: 'online', eventAt: START + 10e6 })
    await pushed.bench.restart()
    expect(await pushed.bench.read('score', 'u2')).toMatchObject({ value: 8, servedFrom: 'online' })
    expect(await pushed.push([row('u2', 8, 10)])).toEqual({ accepted: 0, duplicates: 1, fenced: 0 })
  })

  test('without an event timestamp is true from now on', async () => {
    await using pushed = await open()
    await pushed.push([{ user_id: 'u1', value: 1 }])
    expect((await pushed.bench.read('score')).eventAt).toBe(pushed.bench.clock.now())
  })

  test('that is older than the one served goes to history and is not served', async () => {
    await using pushed = await open()
    await pushed.push([row('u1', 2, 20)])
    expect(await pushed.push([row('u1', 1, 10)])).toEqual({ accepted: 1, duplicates: 0, fenced: 0 })
    expect((await pushed.bench.read('score')).value).toBe(2)
    expect((await pushed.history()).map((one) => one.value)).toEqual([1, 2])
  })

  test('of the same time as another replaces it: the last accepted wins, online and in history, also when the clock steps back', async () => {
    await using pushed = await open()
    await pushed.push([row('u1', 1, 10)])
    pushed.bench.clock.advance(-1_000_000)
    await pushed.push([row('u1', 2, 10)])
    expect((await pushed.bench.read('score')).value).toBe(2)
    expect((await pushed.history()).map((one) => one.value)).toEqual([1, 2])
    await pushed.push([row('u1', 1, 10)])
    expect((await pushed.bench.read('score')).value).toBe(1)
    expect((await pushed.history()).at(-1)?.value).toBe(1)
    // An older time may be corrected too.
    await pushed.push([row('u1', 9, 20), row('u1', 3, 10), row('u1', 4, 10)])
    expect((await pushed.bench.read('score')).value).toBe(9)
    expect((await pushed.history()).map((one) => one.value)).toEqual([1, 2, 1, 3, 4, 9])
  })

  test('deleted by a tombstone is missing, for the default to stand in; a value of a later time brings it back', async () => {
    await using pushed = await open({ score: { kind: 'pushed', type: 'int', default: 5 } })
    await pushed.push([row('u1', 1, 10)])
    const tombstone = { user_id: 'u1', delete: true, event_timestamp: time(20) }
    expect(await pushed.push([tombstone])).toEqual({ accepted: 1, duplicates: 0, fenced: 0 })
    expect(await pushed.push([tombstone])).toEqual({ accepted: 0, duplicates: 1, fenced: 0 })
    expect(await pushed.bench.read('score')).toMatchObject({ value: 5, status: 'default' })
    await pushed.push([row('u1', 2, 15)])
    expect(await pushed.bench.read('score')).toMatchObject({ value: 5, status: 'default' })
    await pushed.push([row('u1', null, 30)])
    expect(await pushed.bench.read('score')).toMatchObject({ value: null, status: 'fresh' })
    expect((await pushed.history()).map((one) => one.value)).toEqual([1, 2, undefined, null])
  })

  test('of a computed feature lives until the next computation', async () => {
    await using pushed = await open({ score: { refresh: '5m' } })
    const { bench } = pushed
    bench.programme.set('score', () => 1)
    await pushed.push([{ user_id: 'u1', value: 50 }])
    expect((await bench.read('score')).value).toBe(50)
    bench.clock.advance('6m')
    expect(await bench.read('score')).toMatchObject({ value: 50, status: 'stale' })
    await bench.idle()
    expect((await bench.read('score')).value).toBe(1)
  })

  test('keeps its key in use: the next refresh computes it', async () => {
    await using pushed = await open({ score: { refresh: '5m' } })
    await pushed.push([{ user_id: 'u9', value: 50 }])
    const feature = pushed.bench.registry.features.get('score')
    const inUse = feature && (await pushed.bench.parts().activeKeys.of(feature))
    // Other keys of the feature may be in use: of tests before, where the store is shared.
    expect(Array.from(inUse ?? [], (key) => key.encoded)).toContain('u9')
  })

  test('changes what is built on its feature', async () => {
    await using pushed = await open({ score: { kind: 'pushed', type: 'int' }, double: { kind: 'function', refresh: '1d' } })
    const { bench } = pushed
    const double = bench.registry.features.get('double')
    if (double) Object.assign(double, { uses: ['score'] })
    bench.programme.set('double', async ({ get }) => 2 * Number(await get('score')))
    await pushed.push([row('u1', 1, 10)])
    expect((await bench.read('double')).value).toBe(2)
    await pushed.push([row('u1', 4, 20)])
    await bench.ingest().idle()
    expect(await bench.read('double')).toMatchObject({ value: 8, servedFrom: 'online' })
  })
})

describe('a push is refused whole when', () => {
  const columns = { total: 'int', mean: 'float' } as const
  const wrong: [what: string, feature: string, row: unknown, code: string, says: RegExp][] = [
    ['a row is no object', 'score', 7, 'invalid_body', /^Row 1: it is not an object/],
    ['a key column is missing', 'score', { value: 1 }, 'invalid_key', /^Row 1: The row has no "user_id"/],
    ['a key is empty', 'score', { user_id: '', value: 1 }, 'invalid_key', /^Row 1: .*cannot be empty/],
    ['a field is unknown', 'score', { user_id: 'u1', value: 1, event_time: 1 }, 'invalid_body', /^Row 1: unknown field "event_time"/],
    ['there is no value', 'score', { user_id: 'u1' }, 'invalid_body', /^Row 1: it has no "value"/],
    ['the value has another type', 'score', { user_id: 'u1', value: '1' }, 'invalid_value', /^Row 1: "score": expected int/],
    ['the value is not exact', 'score', { user_id: 'u1', value: 1.5 }, 'invalid_value', /^Row 1: "score": expected int, got 1.5/],
    ['a row has a value and a tombstone', 'score', { user_id: 'u1', value: 1, delete: true }, 'invalid_body', /^Row 1: it has both/],
    ['delete is no boolean', 'score', { user_id: 'u1', delete: 'yes' }, 'invalid_body', /^Row 1: "delete" is not true or false/],
    [
      'a time has no zone',
      'score',
      { user_id: 'u1', value: 1, event_timestamp: '2026-01-01 10:00:00' },
      'invalid_time',
      /^Row 1: .*no time zone/,
    ],
    [
      'a time is a number',
      'score',
      { user_id: 'u1', value: 1, event_timestamp: 12 },
      'invalid_time',
      /^Row 1: event_timestamp is not a text/,
    ],
    [
      'a time is null',
      'score',
      { user_id: 'u1', value: 1, event_timestamp: null },
      'invalid_time',
      /^Row 1: event_timestamp is not a text/,
    ],
    ['columns are no object', 'spend', { user_id: 'u1', value: 1 }, 'invalid_value', /^Row 1: the value of "spend" is not an object/],
    ['a column is missing', 'spend', { user_id: 'u1', value: { total: 1 } }, 'invalid_value', /^Row 1: the column "mean" is missing/],
    [
      'a column is unknown',
      'spend',
      { user_id: 'u1', value: { total: 1, mean: 1, sum: 1 } },
      'invalid_value',
      /^Row 1: "spend" has no column "sum"/,
    ],
    [
      'a column has another type',
      'spend',
      { user_id: 'u1', value: { total: 'a', mean: 1 } },
      'invalid_value',
      /^Row 1: "spend.total": expected int/,
    ],
  ]
  test.each(wrong)('%s', async (_what, feature, bad, code, says) => {
    await using pushed = await open({ score: { kind: 'pushed', type: 'int' }, spend: { kind: 'pushed', columns } })
    const good = { user_id: 'u1', value: feature === 'spend' ? { total: 1, mean: 1.5 } : 1 }
    const refused = pushed.push([good, bad, good], feature)
    expect(refused).rejects.toMatchObject({ code, message: expect.stringMatching(says) })
    await refused.catch(() => undefined)
    expect(await pushed.history('u1', feature)).toEqual([])
    expect((await pushed.bench.read(feature)).status).toBe('missing')
  })

  test('an event is more than five minutes ahead, and not a microsecond sooner', async () => {
    await using pushed = await open()
    const at = (micros: number) => [{ user_id: 'u1', value: 1, event_timestamp: `2026-01-02T03:09:05.${String(micros).padStart(6, '0')}Z` }]
    pushed.bench.clock.set('2026-01-02T03:04:05Z')
    expect(pushed.push(at(1))).rejects.toMatchObject({ code: 'invalid_time' })
    expect(await pushed.push(at(0))).toMatchObject({ accepted: 1 })
  })
})

/** Key, second and value of a push. */
type Push = readonly [key: string, at: number, value: number | null]
const aPush: fc.Arbitrary<Push> = fc.tuple(
  fc.constantFrom('u1', 'u2', 'u3'),
  fc.integer({ min: 0, max: 9 }),
  fc.option(fc.integer({ min: 0, max: 3 }), { nil: null }),
)
/** Undefined: a tombstone. */
const rowOf = ([key, at, value]: Push) => (value === 3 ? { user_id: key, delete: true, event_timestamp: time(at) } : row(key, value, at))
const valueAfter = ([, , value]: Push) => (value === 3 ? undefined : value)

describe('whatever way pushes come', () => {
  test('in any order, in any batches, at once and repeated, they end in the same state online and in history', async () => {
    const property = fc.asyncProperty(
      fc.uniqueArray(aPush, { minLength: 1, maxLength: 12, selector: ([key, at]) => `${key} ${at}` }),
      fc.infiniteStream(fc.nat()),
      async (pushes, random) => {
        await using pushed = await open()
        const next = (below: number) => (random.next().value ?? 0) % below
        const sent = [...pushes, ...pushes.filter(() => next(2) === 0)]
        for (let i = sent.length - 1; i > 0; i--) {
          const j = next(i + 1)
          ;[sent[i], sent[j]] = [sent[j] as Push, sent[i] as Push]
        }
        const calls: Promise<{ accepted: number; duplicates: number }>[] = []
        while (sent.length > 0) {
          const call = pushed.push(sent.splice(0, 1 + next(4)).map(rowOf))
          calls.push(call)
          // Some wait for their answer, some are on their way together.
          if (next(2) === 0) await call
        }
        const receipts = await Promise.all(calls)
        expect(receipts.reduce((sum, one) => sum + one.accepted, 0)).toBe(pushes.length)
        for (const key of ['u1', 'u2', 'u3']) {
          const own = pushes.filter(([of]) => of === key).toSorted(([, a], [, b]) => a - b)
          expect(await pushed.history(key)).toEqual(own.map((push) => ({ value: valueAfter(push), at: START + push[1] * 1e6 })))
          expect((await pushed.bench.read('score', key)).value).toBe(own.length === 0 ? undefined : valueAfter(own.at(-1) as Push))
        }
      },
    )
    await fc.assert(property, { numRuns: RUNS })
  }, 600_000)

  test('of equal times the last accepted counts, across batches, repeats and restarts', async () => {
    const property = fc.asyncProperty(
      fc.array(fc.array(aPush, { minLength: 1, maxLength: 4 }), { maxLength: 8 }),
      fc.nat(7),
      async (batches, restartAt) => {
        await using pushed = await open()
        const state = new Map<string, Push>()
        const rows = new Map<string, number>()
        for (const [i, batch] of batches.entries()) {
          if (i === restartAt) await pushed.bench.restart()
          await pushed.push(batch.map(rowOf))
          for (const push of batch) {
            const at = `${push[0]} ${push[1]}`
            const known = state.get(at)
            if (!known || known[2] !== push[2]) rows.set(push[0], (rows.get(push[0]) ?? 0) + 1)
            state.set(at, push)
          }
        }
        for (const key of ['u1', 'u2', 'u3']) {
          const newest = [...state.values()]
            .filter(([of]) => of === key)
            .toSorted(([, a], [, b]) => a - b)
            .at(-1)
          expect((await pushed.bench.read('score', key)).value).toBe(newest === undefined ? undefined : valueAfter(newest))
          const history = await pushed.history(key)
          expect(history.length).toBe(rows.get(key) ?? 0)
          expect(history.at(-1)?.value).toBe(newest === undefined ? undefined : valueAfter(newest))
        }
      },
    )
    await fc.assert(property, { numRuns: RUNS })
  }, 600_000)

  test('between refreshes in any order, an older event never replaces a newer one', async () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('push' as const), back: fc.integer({ min: -3, max: 20 }), value: fc.integer({ min: 100, max: 103 }) }),
      fc.record({ kind: fc.constant('refresh' as const), takes: fc.nat(3) }),
      fc.record({ kind: fc.constant('land' as const) }),
      fc.record({ kind: fc.constant('wait' as const), seconds: fc.integer({ min: 1, max: 5 }) }),
      fc.record({ kind: fc.constant('restart' as const) }),
    )
    const property = fc.asyncProperty(fc.array(step, { maxLength: 20 }), async (steps) => {
      await using pushed = await open({ score: { refresh: '5m', type: 'int' } })
      const { bench } = pushed
      const landing: (() => void)[] = []
      let computed = 0
      const expected: { at: number; value: number }[] = []
      bench.programme.set('score', async ({ asOf }) => {
        const value = computed++
        await new Promise<void>((resolve) => landing.push(resolve))
        expected.push({ at: asOf, value })
        return value
      })
      const feature = () => bench.registry.features.get('score')
      const runs: Promise<unknown>[] = []
      /** Results land in the reverse of the order in which they began. Over a network a run may not have begun to compute yet. */
      const settle = async () => {
        let isWaiting = true
        const all = Promise.all(runs.splice(0)).finally(() => {
          isWaiting = false
        })
        while (isWaiting) {
          while (landing.length > 0) landing.pop()?.()
          await Bun.sleep(0)
        }
        await all
      }
      let last = Number.NEGATIVE_INFINITY
      const check = async () => {
        const user = bench.registry.entities.get('User')
        const [[stored] = []] = (await bench.parts().online.read('User', ['u1'], [`score@${feature()?.fingerprint}`])) ?? []
        if (!user || !stored) return
        expect(stored.eventAt).toBeGreaterThanOrEqual(last)
        last = stored.eventAt
        const newest = expected.toSorted((a, b) => a.at - b.at).at(-1)
        expect(stored.eventAt).toBe(newest?.at ?? 0)
      }
      const key = entityKey(
        bench.registry.entities.get('User') ?? { name: '', key: [], keys: null, description: null, owner: null, tags: [], location: null },
        ['u1'],
      )
      for (const one of steps) {
        const current = feature()
        if (!current) throw new Error('No feature.')
        if (one.kind === 'wait') bench.clock.advance(one.seconds * 1_000_000)
        else if (one.kind === 'push') {
          const at = bench.clock.now() - one.back * 1_000_000
          await bench.ingest().push(current, [{ user_id: 'u1', value: one.value, event_timestamp: new Date(at / 1000).toISOString() }])
          expected.push({ at, value: one.value })
        } else if (one.kind === 'refresh') runs.push(bench.version().refresher.run(current, [key], { reason: 'request', before: null }))
        else {
          await settle()
          if (one.kind === 'restart') await bench.restart()
        }
        await Bun.sleep(0)
        await check()
      }
      await settle()
      await check()
    })
    await fc.assert(property, { numRuns: RUNS })
  }, 600_000)
})

/** Erasures are kept by entity, so they would reach into other tests. */
const openAlone = async (features?: WrittenBench['features']) => {
  const own = await openBenchStores()
  const pushed = await open(features, own)
  return {
    ...pushed,
    async [Symbol.asyncDispose]() {
      await pushed[Symbol.asyncDispose]()
      await own.close()
    },
  }
}

describe('a forgotten key', () => {
  test('has no value and no history; other keys and later events are not touched', async () => {
    await using pushed = await openAlone()
    await pushed.push([row('u1', 1, 10), row('u1', 2, 20), row('u2', 3, 10)])
    expect(await pushed.forget('u1')).toMatchObject({ online: 1, history: 2, sources: [] })
    expect((await pushed.bench.read('score')).status).toBe('missing')
    expect(await pushed.history()).toEqual([])
    expect((await pushed.bench.read('score', 'u2')).value).toBe(3)
    expect(await pushed.push([row('u1', 9, 30), row('u2', 4, 30)])).toEqual({ accepted: 1, duplicates: 0, fenced: 1 })
    expect((await pushed.bench.read('score')).status).toBe('missing')
    await pushed.bench.restart()
    expect(await pushed.push([row('u1', 9, 40)])).toEqual({ accepted: 0, duplicates: 0, fenced: 1 })
    pushed.bench.clock.advance('1m')
    await pushed.push([{ user_id: 'u1', value: 6 }])
    expect((await pushed.bench.read('score')).value).toBe(6)
    expect((await pushed.history()).map((one) => one.value)).toEqual([6])
  })

  test('does not come back with a computation that was under way, nor with a push that waited', async () => {
    await using pushed = await openAlone({ score: { refresh: '5m', type: 'int' }, other: { kind: 'pushed', type: 'int' } })
    const { bench } = pushed
    const gate = Promise.withResolvers<void>()
    bench.programme.set('score', async () => {
      await gate.promise
      return 1
    })
    await pushed.push([row('u1', 1, 10)], 'other')
    const feature = bench.registry.features.get('score')
    const user = bench.registry.entities.get('User')
    if (!feature || !user) throw new Error('No feature.')
    const run = bench.version().refresher.run(feature, [entityKey(user, ['u1'])], { reason: 'request', before: null })
    await Bun.sleep(1)
    const older = pushed.push([row('u1', 2, 5)], 'other')
    const [receipt] = await Promise.all([pushed.forget('u1'), older])
    expect(receipt.online).toBe(1)
    gate.resolve()
    await run
    expect(await pushed.history('u1', 'other')).toEqual([])
    expect(await pushed.history('u1', 'score')).toEqual([])
    expect(await bench.parts().online.read('User', ['u1'], [`score@${feature.fingerprint}`])).toEqual([[undefined]])
    expect((await bench.parts().activeKeys.of(feature)).length).toBe(0)
  })

  test('is written again even when its next value is the one it had', async () => {
    await using pushed = await openAlone({ score: { refresh: '5m', type: 'int' } })
    const { bench } = pushed
    bench.programme.set('score', () => 1)
    await bench.read('score')
    await pushed.forget('u1')
    bench.clock.advance('1s')
    await bench.read('score')
    await bench.parts().recorder.flush()
    expect((await pushed.history()).map((one) => one.value)).toEqual([1])
  })
})
