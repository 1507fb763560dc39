import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import type { OnlineStore, StoredValue } from '../../src/store/ports/online-store.ts'

/** What every online store promises. `factory` gives an empty one each time. */
export function onlineStoreSuite(name: string, factory: () => Promise<OnlineStore>): void {
  describe(`online store: ${name}`, () => {
    let store: OnlineStore
    beforeEach(async () => {
      store = await factory()
    })
    afterEach(() => store.close())
    const read = async (keys: string[], fields: string[]) => store.read('User', keys, fields, undefined)
    const write = async (key: string, field: string, value: StoredValue) =>
      (await store.write([{ entity: 'User', key, field, value }])).refused

    test('a value comes back exactly as it was written', async () => {
      const value = stored({ texts: ['9007199254740993', '"é\\u0000"', 'null'], eventAt: 1_700_000_000_123_456, oldestInputAt: 5 })
      expect(await write('u1', 'spend@1', value)).toEqual([])
      expect(await read(['u1'], ['spend@1'])).toEqual([[value]])
      const replacing = stored({ ...value, texts: null, seq: 2, origin: 'backfill', oldestInputAt: null })
      expect(await write('u1', 'spend@1', replacing)).toEqual([])
      expect(await read(['u1'], ['spend@1'])).toEqual([[replacing]])
    })

    test('slots come in the order asked, duplicates kept, unknown ones undefined', async () => {
      await write('u2', 'b', stored({ texts: ['2'] }))
      await write('u1', 'a', stored({ texts: ['1'] }))
      const rows = await read(['u1', 'nobody', 'u2', 'u1'], ['b', 'a', 'none', 'b'])
      expect(rows.map((row) => row.map((value) => value?.texts?.[0]))).toEqual([
        [undefined, '1', undefined, undefined],
        [undefined, undefined, undefined, undefined],
        ['2', undefined, undefined, '2'],
        [undefined, '1', undefined, undefined],
      ])
    })

    test('known to be missing is different from never written', async () => {
      await write('u1', 'a', stored({ texts: null }))
      expect((await read(['u1', 'u2'], ['a'])).map((row) => row[0]?.texts)).toEqual([null, undefined])
    })

    test('entities do not see each other', async () => {
      await write('1', 'a', stored({ texts: ['1'] }))
      expect(await store.read('Shop', ['1'], ['a'], undefined)).toEqual([[undefined]])
    })

    test.each(['a:b', 'a%3Ab', '__proto__', 'constructor', 'ü', "it's", '{x}', ' ', 'x'.repeat(1024)])(
      'the key %p is a key like any other',
      async (key) => {
        expect(await read([key], ['a'])).toEqual([[undefined]])
        await write(key, 'a', stored({ texts: ['1'] }))
        expect((await read([key], ['a']))[0]?.[0]?.texts).toEqual(['1'])
      },
    )

    test('an older event never replaces a newer one, and the refusal is told', async () => {
      await write('u1', 'a', stored({ texts: ['"new"'], eventAt: 20, seq: 1 }))
      const outcome = await store.write([
        { entity: 'User', key: 'u1', field: 'a', value: stored({ texts: ['"old"'], eventAt: 10, seq: 99 }) },
        { entity: 'User', key: 'u2', field: 'a', value: stored({ texts: ['"other"'], eventAt: 10, seq: 100 }) },
      ])
      expect(outcome).toEqual({ refused: [0], erasures: [], replacedForeign: [], winner: [] })
      expect((await read(['u1', 'u2'], ['a'])).map((row) => row[0]?.texts)).toEqual([['"new"'], ['"other"']])
    })

    test('at equal event times the later available wins, then the last accepted', async () => {
      await write('u1', 'a', stored({ texts: ['1'], eventAt: 10, availableAt: 12, seq: 5 }))
      expect(await write('u1', 'a', stored({ texts: ['2'], eventAt: 10, availableAt: 11, seq: 6 }))).toEqual([0])
      expect(await write('u1', 'a', stored({ texts: ['3'], eventAt: 10, availableAt: 12, seq: 4 }))).toEqual([0])
      expect(await write('u1', 'a', stored({ texts: ['4'], eventAt: 10, availableAt: 12, seq: 5 }))).toEqual([])
      expect(await write('u1', 'a', stored({ texts: ['5'], eventAt: 10, availableAt: 13, seq: 1 }))).toEqual([])
      expect((await read(['u1'], ['a']))[0]?.[0]?.texts).toEqual(['5'])
    })

    test('whoever asks is told of values of another origin: those replaced, and those that are newer', async () => {
      const row = (key: string, origin: StoredValue['origin'], eventAt: number) => {
        return {
          entity: 'User',
          key,
          field: 'a',
          value: stored({ texts: [`${eventAt}`], origin, eventAt }),
          after: 'other_origin' as const,
        }
      }
      const outcomeOf = async (...rows: ReturnType<typeof row>[]) => {
        const { refused, replacedForeign, winner } = await store.write(rows)
        return { refused, replacedForeign, winner: winner.map(({ index, value }) => [index, value.origin, value.texts]) }
      }
      const none = { refused: [], replacedForeign: [], winner: [] }
      expect(await outcomeOf(row('u1', 'computed', 10), row('u2', 'pushed', 10), row('u3', 'pushed', 10))).toEqual(none)
      expect(
        await outcomeOf(row('u1', 'computed', 20), row('u2', 'computed', 20), row('u3', 'computed', 5), row('u4', 'computed', 5)),
      ).toEqual({
        refused: [2],
        replacedForeign: [1],
        winner: [[2, 'pushed', ['10']]],
      })
      expect(await outcomeOf(row('u1', 'pushed', 15), row('u2', 'pushed', 25), row('u3', 'pushed', 5))).toEqual({
        refused: [0, 2],
        replacedForeign: [1],
        winner: [[0, 'computed', ['20']]],
      })
    })

    test('an empty one is not filled, and knows when it was', async () => {
      expect(await store.filled(['a@1', 'b@1'])).toEqual([false, false])
      await store.markFilled('a@1')
      expect(await store.filled(['b@1', 'a@1'])).toEqual([false, true])
    })

    test('in whatever order writes arrive, the same value stands at the end', async () => {
      const arbitraryWrite = fc.record({ eventAt: fc.nat(3), availableAt: fc.nat(3), seq: fc.integer({ min: 1, max: 1_000_000 }) })
      const writes = fc.uniqueArray(arbitraryWrite, { minLength: 1, maxLength: 8, selector: (one) => one.seq })
      let run = 0
      await fc.assert(
        fc.asyncProperty(writes, fc.infiniteStream(fc.nat()), async (list, order) => {
          const key = `k${run++}`
          const shuffled = list.map((one) => ({ one, at: order.next().value ?? 0 })).sort((a, b) => a.at - b.at)
          for (const { one } of shuffled) await write(key, 'a', stored({ ...one, texts: [String(one.seq)] }))
          const winner = [...list].sort((a, b) => a.eventAt - b.eventAt || a.availableAt - b.availableAt || a.seq - b.seq).at(-1)
          expect((await read([key], ['a']))[0]?.[0]?.texts).toEqual([String(winner?.seq)])
        }),
        { numRuns: 200 },
      )
    })

    test('a forgotten key is gone, its neighbours are not, and it can be written anew with an older time than it had', async () => {
      await write('u1', 'a', stored({ texts: ['1'], eventAt: 50 }))
      await write('u1', 'b', stored({ texts: ['1'], eventAt: 50 }))
      await write('u2', 'a', stored({ texts: ['2'] }))
      expect(await store.forget({ entity: 'User', entityKey: 'u1', at: 30 })).toBe(2)
      expect(await store.forget({ entity: 'User', entityKey: 'u1', at: 30 })).toBe(0)
      expect((await read(['u1', 'u2'], ['a'])).map((row) => row[0]?.texts)).toEqual([undefined, ['2']])
      expect(await write('u1', 'a', stored({ texts: ['3'], eventAt: 40 }))).toEqual([])
    })

    test('of a forgotten key only events later than its fence are stored, and whoever writes others is told of the fence', async () => {
      await store.forget({ entity: 'User', entityKey: 'u1', at: 1_700_000_000_123_456 })
      await store.forget({ entity: 'User', entityKey: 'u1', at: 30 })
      const row = (key: string, eventAt: number) => ({
        entity: 'User',
        key,
        field: 'a',
        value: stored({ texts: [String(eventAt)], eventAt }),
      })
      expect(await store.write([row('u2', 10), row('u1', 1_700_000_000_123_456)])).toEqual({
        refused: [1],
        erasures: [{ entity: 'User', entityKey: 'u1', at: 1_700_000_000_123_456 }],
        replacedForeign: [],
        winner: [],
      })
      expect(await read(['u1'], ['a'])).toEqual([[undefined]])
      expect(await write('u1', 'a', stored({ texts: ['"later"'], eventAt: 1_700_000_000_123_457 }))).toEqual([])
      expect(await store.forget({ entity: 'User', entityKey: 'u1', at: 40 })).toBe(1)
      expect(await write('u1', 'a', stored({ eventAt: 1_700_000_000_123_456 }))).toEqual([0])
    })

    test('fences that are put back keep out what came before them, take away what came meanwhile, and leave what is later', async () => {
      await write('u1', 'a', stored({ texts: ['"old"'], eventAt: 10 }))
      await write('u1', 'b', stored({ texts: ['"at the fence"'], eventAt: 30 }))
      await write('u1', 'c', stored({ texts: ['"later"', 'null'], eventAt: 31 }))
      await write('u2', 'a', stored({ texts: ['2'], eventAt: 10 }))
      const erasures = Array.from({ length: 120 }, (_, i) => ({ entity: 'User', entityKey: `v${i}`, at: 1_700_000_000_123_456 }))
      await store.addErasures([{ entity: 'User', entityKey: 'u1', at: 30 }, ...erasures])
      await store.addErasures([{ entity: 'User', entityKey: 'u1', at: 20 }])
      expect((await read(['u1', 'u2'], ['a', 'b', 'c'])).map((row) => row.map((value) => value?.texts))).toEqual([
        [undefined, undefined, ['"later"', 'null']],
        [['2'], undefined, undefined],
      ])
      expect(await write('u1', 'a', stored({ eventAt: 30 }))).toEqual([0])
      expect(await write('u1', 'a', stored({ eventAt: 31 }))).toEqual([])
      expect(await write('v119', 'a', stored({ eventAt: 1_700_000_000_123_456 }))).toEqual([0])
      await store.addErasures([])
    })

    test('many writes at once are each judged alone, and of many keys each is found', async () => {
      const keys = Array.from({ length: 1_234 }, (_, i) => `u${i}`)
      const rows = (eventAt: number) =>
        keys.map((key, i) => ({ entity: 'User', key, field: `f${i % 20}@1`, value: stored({ texts: [String(i)], eventAt }) }))
      await store.write(rows(10))
      const older = rows(9).map((row, i) => (i % 7 === 3 ? { ...row, value: stored({ eventAt: 11, texts: ['"new"'] }) } : row))
      const { refused } = await store.write(older)
      expect(refused).toEqual(keys.map((_, i) => i).filter((i) => i % 7 !== 3))
      const found = await read(
        keys,
        Array.from({ length: 20 }, (_, f) => `f${f}@1`),
      )
      expect(found.map((row, i) => row[i % 20]?.texts?.[0])).toEqual(keys.map((_, i) => (i % 7 === 3 ? '"new"' : String(i))))
      expect(found.every((row) => row.filter((value) => value !== undefined).length === 1)).toBe(true)
    })

    test('a value that is replaced leaves those beside it as they were', async () => {
      const fields = Array.from({ length: 30 }, (_, i) => `f${i}@1`)
      const texts = fields.map((_, i) => String(i))
      for (const [i, field] of fields.entries()) await write('u1', field, stored({ texts: [String(i)], eventAt: 10 }))
      for (const [i, field] of fields.entries()) {
        texts[i] = `"again ${i}"`
        await write('u1', field, stored({ texts: [`"again ${i}"`], eventAt: 11 }))
        expect((await read(['u1'], fields))[0]?.map((value) => value?.texts?.[0])).toEqual(texts)
      }
    })

    test('reads at once are each answered with their own keys and fields', async () => {
      const keys = Array.from({ length: 40 }, (_, i) => `k${i}`)
      const fields = ['a@1', 'b@1', 'c@1']
      const text = (key: string, field: string) => `"${key} ${field}"`
      await store.write(
        keys.flatMap((key) => fields.map((field) => ({ entity: 'User', key, field, value: stored({ texts: [text(key, field)] }) }))),
      )
      const asked = keys.map((key, i) => ({ keys: keys.slice(i, i + 1 + (i % 3)).concat(key), fields: fields.slice(i % 3) }))
      const found = await Promise.all(asked.map((one) => read(one.keys, one.fields)))
      const texts = found.map((rows) => rows.map((row) => row.map((value) => value?.texts?.[0])))
      expect(texts).toEqual(asked.map((one) => one.keys.map((key) => one.fields.map((field) => text(key, field)))))
    })

    test('versions of a feature live side by side, and names that begin alike do not mix', async () => {
      const fields = ['spend@1', 'spend@12', 'spend_2@1', 'spend@', 'pend@1']
      for (const [i, field] of fields.entries()) await write('u1', field, stored({ texts: [String(i), `"spend@1"`], eventAt: 10 + i }))
      for (const [i, field] of fields.entries()) await write('u1', field, stored({ texts: [`${i}0`, `"spend@1"`], eventAt: 20 + i }))
      expect((await read(['u1'], fields)).map((row) => row.map((value) => value?.texts?.[0]))).toEqual([['00', '10', '20', '30', '40']])
    })

    test('values of all sizes and signs come back', async () => {
      const large = stored({
        texts: [JSON.stringify('ü'.repeat(32_000)), '{"a":[1,"\\u001e"]}', '""'],
        eventAt: -1,
        availableAt: 0,
        oldestInputAt: -5,
      })
      await write('u1', 'a', large)
      await write('u1', 'b', stored({ texts: null, eventAt: -8_000_000_000_000_000, oldestInputAt: 3, origin: 'pushed' }))
      await write('u1', 'a', { ...large, eventAt: 1, origin: 'backfill' })
      expect(await read(['u1'], ['a', 'b'])).toEqual([
        [
          { ...large, eventAt: 1, origin: 'backfill' },
          stored({ texts: null, eventAt: -8_000_000_000_000_000, oldestInputAt: 3, origin: 'pushed' }),
        ],
      ])
    })
  })
}

function stored(value: Partial<StoredValue>): StoredValue {
  return { texts: ['1'], eventAt: 10, availableAt: 10, seq: 1, origin: 'computed', oldestInputAt: null, ...value }
}
