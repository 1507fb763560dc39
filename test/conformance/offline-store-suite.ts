import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import type { HistoryRow, OfflineStore } from '../../src/store/ports/offline-store.ts'

/** What every offline store promises. `factory` gives an empty one each time. */
export function offlineStoreSuite(name: string, factory: () => Promise<OfflineStore>): void {
  describe(`offline store: ${name}`, () => {
    let store: OfflineStore
    beforeEach(async () => {
      store = await factory()
    })
    afterEach(() => store.close())
    const latest = async (before = 1e15, limit = 1000) => {
      const rows: HistoryRow[] = []
      for await (const batch of store.latest('spend', 'f1', { before, limit })) rows.push(...batch)
      return rows
    }
    const history = (facts: Partial<Parameters<OfflineStore['history']>[0]> = {}) =>
      store.history({ feature: 'spend', fingerprint: 'f1', entityKey: 'u1', from: null, to: null, limit: 100, ...facts })

    test('a row comes back exactly as it was appended', async () => {
      const rows = [
        row({
          value: '{"a":9007199254740993,"b":"é \\"x\\""}',
          eventAt: 1_700_000_000_123_456,
          availableAt: -1,
          createdAt: 1_700_000_000_999_999,
          seq: 9_007_199_254_740_990,
          origin: 'backfill',
        }),
        row({ entityKey: 'a%3Ab:c', value: 'null' }),
        row({ entityKey: "it's", value: null, origin: 'pushed' }),
      ]
      await store.append(rows)
      for (const one of rows) expect(await history({ entityKey: one.entityKey })).toEqual([one])
    })

    test('an empty store answers with nothing', async () => {
      await store.append([])
      expect(await latest()).toEqual([])
      expect(await history()).toEqual([])
      expect(await store.lastSeq()).toBe(0)
      expect(await store.latestOf('spend', 'f1', ['u1'])).toEqual([undefined])
      expect(await store.latestOf('spend', 'f1', [])).toEqual([])
    })

    test('versions and features side by side never mix', async () => {
      await store.append([row({ fingerprint: 'f2' }), row({ feature: 'other' }), row({ value: '"mine"' })])
      expect((await latest()).map((one) => one.value)).toEqual(['"mine"'])
      expect((await history()).map((one) => one.value)).toEqual(['"mine"'])
    })

    test('the newest row is the greatest by event time, then availability, then seq', async () => {
      const order = fc.record({ eventAt: fc.nat(2), availableAt: fc.nat(2) })
      let run = 0
      await fc.assert(
        fc.asyncProperty(fc.array(order, { minLength: 1, maxLength: 10 }), fc.nat(3), async (list, before) => {
          const entityKey = `k${run++}`
          const rows = list.map((one, seq) => row({ ...one, entityKey, seq: seq + 1 }))
          await store.append(rows)
          const newest = (some: HistoryRow[]) =>
            some.sort((a, b) => a.eventAt - b.eventAt || a.availableAt - b.availableAt || a.seq - b.seq).at(-1)
          expect(await store.latestOf('spend', 'f1', [entityKey])).toEqual([newest([...rows])])
          const seen = (await latest(before)).find((one) => one.entityKey === entityKey)
          expect(seen).toEqual(newest(rows.filter((one) => one.availableAt <= before)))
        }),
        { numRuns: 40 },
      )
    })

    test('latest gives each key once, newest keys first, at most as many as asked', async () => {
      await store.append(Array.from({ length: 5000 }, (_, i) => row({ entityKey: `u${i % 2500}`, eventAt: i, seq: i + 1 })))
      const rows = await latest(1e15, 2400)
      expect(rows.map((one) => one.eventAt)).toEqual(Array.from({ length: 2400 }, (_, i) => 4999 - i))
    })

    test('latest of many versions is that of each, and other versions are told', async () => {
      const versions = [...'abc'].map((feature) => ({ feature, fingerprint: 'f1' }))
      await store.append([
        row({ feature: 'a', entityKey: 'é x', eventAt: 1, value: null }),
        row({ feature: 'a', entityKey: 'u2', eventAt: 2, value: '"\\u0000"', seq: 2 }),
        row({ feature: 'a', fingerprint: 'f0', seq: 3 }),
        ...Array.from({ length: 5_000 }, (_, i) => row({ feature: 'b', entityKey: `u${i}`, eventAt: i, seq: 10 + i })),
        row({ feature: 'd', fingerprint: 'f0', seq: 4 }),
      ])
      const of = async (options: { before: number; limit: number }) => (await Array.fromAsync(store.latestOfAll(versions, options))).flat()
      const alone = await Promise.all(
        versions.map(async ({ feature }) => (await Array.fromAsync(store.latest(feature, 'f1', { before: 1e15, limit: 4_500 }))).flat()),
      )
      const found = await of({ before: 1e15, limit: 4_500 })
      expect(found).toEqual(alone.flat())
      expect(found.length).toBe(4_502)
      expect(found.slice(0, 2)).toMatchObject([
        { entityKey: 'u2', value: '"\\u0000"', eventAt: 2, seq: 2 },
        { entityKey: 'é x', value: null, origin: found[0]?.origin as string },
      ])
      const others = await store.haveOtherVersions(versions)
      expect([others.has('a'), others.has('d')]).toEqual([true, false])
    })

    test('of each feature of a key the newest rows are told, however many happened at once', async () => {
      const names = ['spend', 'count', 'other']
      const rows = Array.from({ length: 90 }, (_, i) =>
        row({ feature: names[i % 3] ?? '', eventAt: Math.floor(i / 12), availableAt: (i * 7) % 5, seq: i + 1 }),
      )
      await store.append([...rows, row({ feature: 'spend', fingerprint: 'f2', eventAt: 9 }), row({ entityKey: 'u2', eventAt: 9 })])
      const newest = (feature: string, to: number) =>
        rows
          .filter((one) => one.feature === feature && one.eventAt <= to)
          .sort((a, b) => b.eventAt - a.eventAt || b.availableAt - a.availableAt || b.seq - a.seq)
      for (const [to, limit] of [
        [5, 3],
        [9, 6],
        [9, 500],
      ] as const) {
        const features = ['spend', 'count'].map((feature) => ({ feature, fingerprint: 'f1' }))
        const found = await store.historyOfKey({ features, entityKey: 'u1', to, limit })
        for (const { feature } of features)
          expect(found.filter((one) => one.feature === feature)).toEqual(newest(feature, to).slice(0, limit))
        expect(found.some(({ feature }) => feature === 'other')).toBe(false)
      }
    })

    test('latest can be left early', async () => {
      const first = Array.from({ length: 50_000 }, (_, i) =>
        row({ entityKey: `u${i}`, eventAt: (i * 7) % 10, value: String(i), seq: i + 1 }),
      )
      await store.append(first)
      for await (const batch of store.latest('spend', 'f1', { before: 1e15, limit: 50_000 })) {
        expect(batch.length).toBeGreaterThan(0)
        break
      }
      expect(await store.lastSeq()).toBe(50_000)
      // Of so many, those who do not need an order are given lots.
      await store.append(Array.from({ length: 1_000 }, (_, i) => row({ entityKey: `u${i}`, eventAt: 11, seq: 50_001 + i, value: null })))
      const versions = [{ feature: 'spend', fingerprint: 'f1' }]
      const count: number[] = []
      const options = { before: 1e15, limit: 100_000, inAnyOrder: true, onCount: (keys: number) => void count.push(keys) }
      const found = new Map<string, HistoryRow>()
      let times = 0
      for await (const batch of store.latestOfAll(versions, options))
        for (const one of batch) {
          found.set(one.entityKey, one)
          times++
        }
      expect([times, found.size]).toEqual([50_000, 50_000])
      expect(found.get('u999')).toEqual(row({ entityKey: 'u999', eventAt: 11, seq: 51_000, value: null }))
      // Each column of a row is of that row.
      expect(first.slice(1_000).filter((one) => !Bun.deepEquals(found.get(one.entityKey), one))).toEqual([])
      expect(count.every((keys) => keys > 45_000 && keys < 55_000)).toBe(true)
      for await (const batch of store.latestOfAll(versions, options)) {
        expect(batch.length).toBeGreaterThan(0)
        break
      }
      expect([await store.isLongerThan(50_999), await store.isLongerThan(51_000)]).toEqual([true, false])
    })

    test('keysSince gives each key of a feature once, of any version, newest first', async () => {
      await store.append([
        row({ entityKey: 'old', eventAt: 10 }),
        row({ entityKey: 'a', eventAt: 20, fingerprint: 'f0' }),
        row({ entityKey: 'b', eventAt: 30 }),
        row({ entityKey: 'a', eventAt: 40, seq: 2 }),
        row({ entityKey: 'c', eventAt: 50, feature: 'other' }),
      ])
      expect(await store.keysSince('spend', 20, 10)).toEqual(['a', 'b'])
      expect(await store.keysSince('spend', 20, 1)).toEqual(['a'])
    })

    test('latestOf answers in the order asked, duplicates kept', async () => {
      await store.append([row({ entityKey: 'a', value: '1' }), row({ entityKey: 'b', value: '2' })])
      const found = await store.latestOf('spend', 'f1', ['b', 'none', 'a', 'b'])
      expect(found.map((one) => one?.value)).toEqual(['2', undefined, '1', '2'])
    })

    test('latestOfEach gives each version its own keys, in the order asked, and the newest row of each', async () => {
      await store.append([
        row({ entityKey: 'a', value: '1', eventAt: 10, seq: 1 }),
        row({ entityKey: 'a', value: '2', eventAt: 20, seq: 2 }),
        row({ entityKey: 'b', value: '3' }),
        row({ entityKey: 'a', value: '4', feature: 'other' }),
        row({ entityKey: 'b', value: '5', fingerprint: 'f2', eventAt: 99 }),
      ])
      const wanted = [
        { feature: 'spend', fingerprint: 'f1', keys: ['b', 'none', 'a', 'b'] },
        { feature: 'other', fingerprint: 'f1', keys: ['b', 'a'] },
        { feature: 'spend', fingerprint: 'f2', keys: [] },
        { feature: 'unknown', fingerprint: 'f1', keys: ['a'] },
      ]
      const found = await store.latestOfEach(wanted)
      expect(found.map((rows) => rows.map((one) => one?.value))).toEqual([['3', undefined, '2', '3'], [undefined, '4'], [], [undefined]])
      expect(await store.latestOfEach([])).toEqual([])
    })

    test('history is newest first, both bounds belong to it, and the limit holds', async () => {
      await store.append([10, 30, 20, 40].map((eventAt, i) => row({ eventAt, seq: i + 1 })))
      expect((await history()).map((one) => one.eventAt)).toEqual([40, 30, 20, 10])
      expect((await history({ from: 20, to: 30 })).map((one) => one.eventAt)).toEqual([30, 20])
      expect((await history({ limit: 1 })).map((one) => one.eventAt)).toEqual([40])
    })

    test('history as it was known at a time has no row that arrived later, however many there are', async () => {
      await store.append([row({ eventAt: 10, availableAt: 15 })])
      await store.append(Array.from({ length: 20 }, (_, i) => row({ eventAt: 11 + i, availableAt: 50, seq: 2 + i })))
      expect((await history({ availableBy: 49, limit: 1 })).map((one) => one.eventAt)).toEqual([10])
      expect((await history({ availableBy: 50, limit: 1 })).map((one) => one.eventAt)).toEqual([30])
      expect(await history({ availableBy: 14 })).toEqual([])
      expect((await history({ from: 12, to: 20, availableBy: 50, limit: 1 })).map((one) => one.eventAt)).toEqual([20])
    })

    test('a forgotten key has no history; other keys and features keep theirs', async () => {
      await store.append([row({}), row({ seq: 2 }), row({ entityKey: 'u2' }), row({ feature: 'other' })])
      expect(await store.forget(['spend', 'unknown'], { entity: 'User', entityKey: 'u1', at: 1 })).toBe(2)
      expect(await store.forget(['spend'], { entity: 'User', entityKey: 'u1', at: 2 })).toBe(0)
      expect(await store.forget([], { entity: 'User', entityKey: 'u1', at: 3 })).toBe(0)
      expect(await history()).toEqual([])
      expect((await history({ entityKey: 'u2' })).length).toBe(1)
      expect((await history({ feature: 'other' })).length).toBe(1)
    })

    test('of a key forgotten several times the last fence counts', async () => {
      expect(await store.erasures()).toEqual([])
      await store.forget(['spend'], { entity: 'User', entityKey: 'u1', at: 7 })
      await store.forget([], { entity: 'User', entityKey: 'u1', at: 9 })
      await store.forget([], { entity: 'Pair', entityKey: 'u1', at: 3 })
      const erasures = (await store.erasures()).toSorted((a, b) => a.at - b.at)
      expect(erasures).toEqual([
        { entity: 'Pair', entityKey: 'u1', at: 3 },
        { entity: 'User', entityKey: 'u1', at: 9 },
      ])
    })

    test('who owes values to the online store is told, with the last time they said so, until it is forgotten', async () => {
      expect(await store.pendingNotes()).toEqual([])
      await store.notePending('a', 7)
      await store.notePending('b', 3)
      await store.notePending('a', 9)
      expect(await store.pendingNotes()).toEqual([
        { writer: 'a', at: 9 },
        { writer: 'b', at: 3 },
      ])
      await store.forgetPendingNotes(['a', 'unknown'])
      await store.forgetPendingNotes([])
      expect(await store.pendingNotes()).toEqual([{ writer: 'b', at: 3 }])
      await store.notePending('b', 5)
      await store.forgetPendingNotes(['b'], 5)
      expect(await store.pendingNotes()).toEqual([{ writer: 'b', at: 5 }])
      await store.forgetPendingNotes(['b'], 6)
      expect(await store.pendingNotes()).toEqual([])
    })

    test('at one event time the row accepted last is found, and none of a moment beside it', async () => {
      await store.append([
        row({ eventAt: 10, value: '1' }),
        row({ eventAt: 10, seq: 2, value: '2' }),
        row({ eventAt: 11, seq: 3, value: '3' }),
      ])
      const points = [
        { entityKey: 'u1', eventAt: 10 },
        { entityKey: 'u1', eventAt: 12 },
        { entityKey: 'u2', eventAt: 10 },
        { entityKey: 'u1', eventAt: 11 },
        { entityKey: 'u1', eventAt: 10 },
      ]
      expect((await store.rowsAt('spend', 'f1', points)).map((one) => one?.value)).toEqual(['2', undefined, undefined, '3', '2'])
      expect((await store.rowsAt('spend', 'f2', points)).filter((one) => one !== undefined)).toEqual([])
      expect(await store.rowsAt('spend', 'f1', [])).toEqual([])
    })

    test('a large batch comes back exactly as it was appended', async () => {
      const odd = ['"a\\u0000b"', 'null', null, '""', '9007199254740993', '"\u{1F600} \n"', '{"a":[1,2]}']
      const rows = Array.from({ length: 700 }, (_, i) =>
        row({
          entityKey: `k${i} ä,"`,
          value: odd[i % odd.length] ?? null,
          eventAt: -1_000_000 + i,
          availableAt: 1_767_323_045_123_456,
          seq: 2 * i + 1,
        }),
      )
      const other = Array.from({ length: 300 }, (_, i) => row({ feature: 'other', origin: 'pushed', entityKey: `k${i}`, seq: 2000 + i }))
      // Accepted at another time each.
      const single = Array.from({ length: 300 }, (_, i) => row({ feature: 'single', entityKey: `k${i}`, createdAt: i, seq: 3000 + i }))
      await store.append(rows)
      await store.append([...other, ...single])
      expect(await store.latestOf('single', 'f1', ['k0', 'k299'])).toEqual([single[0], single[299]])
      const found = await store.latestOf(
        'spend',
        'f1',
        rows.map((one) => one.entityKey),
      )
      expect(found).toEqual(rows)
      expect(await store.latestOf('other', 'f1', ['k0', 'k299'])).toEqual([other[0], other[299]])
    })

    test('a large batch of many writes comes back exactly: odd keys and values, tombstones, versions and times', async () => {
      const odd = ['a', 'é😀', "'; --", '\\n', '\t', ' ', '"', '\u001f', 'u:1%2', 'line\nend', '\r\n']
      const values = [null, 'null', '""', '"a\\nb"', '9007199254740993', '{"a":[1,"x\\u0000"]}']
      const rows = Array.from({ length: 3_000 }, (_, i) =>
        row({
          entityKey: `${odd[i % odd.length]}${i}`,
          fingerprint: i % 3 === 0 ? 'f1' : 'f2',
          value: values[i % values.length] ?? null,
          eventAt: 1_700_000_000_000_000 + i,
          availableAt: 1_700_000_000_000_001 + Math.floor(i / 500),
          createdAt: -1,
          seq: 7 * i + 1,
          origin: i < 1_500 ? 'computed' : 'pushed',
        }),
      )
      await store.append(rows)
      for (const wanted of rows.filter((_, i) => i % 37 === 0)) {
        const { feature, fingerprint, entityKey } = wanted
        expect(await store.history({ feature, fingerprint, entityKey, from: null, to: null, limit: 5 })).toEqual([wanted])
      }
    })

    test('batches appended at once all arrive whole', async () => {
      await Promise.all(
        Array.from({ length: 20 }, (_, i) =>
          store.append(Array.from({ length: 100 }, (_, j) => row({ entityKey: `u${i}`, seq: i * 100 + j + 1 }))),
        ),
      )
      expect((await latest()).length).toBe(20)
      expect(await store.lastSeq()).toBe(2000)
    })
  })
}

export function row(facts: Partial<HistoryRow>): HistoryRow {
  return {
    feature: 'spend',
    fingerprint: 'f1',
    entityKey: 'u1',
    value: '1',
    eventAt: 10,
    availableAt: 10,
    createdAt: 10,
    seq: 1,
    origin: 'computed',
    ...facts,
  }
}
