import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import type { OnlineStore, StoredValue } from '../../src/store/online-store.ts'

/** What every online store promises. `factory` gives an empty one each time. */
export function onlineStoreSuite(name: string, factory: () => Promise<OnlineStore>): void {
  describe(`online store: ${name}`, () => {
    let store: OnlineStore
    beforeEach(async () => {
      store = await factory()
    })
    afterEach(() => store.close())
    const read = async (keys: string[], fields: string[]) => store.read('User', keys, fields, undefined)
    const write = (key: string, field: string, value: StoredValue) => store.write([{ entity: 'User', key, field, value }])

    test('a value comes back exactly as it was written', async () => {
      const value = stored({ texts: ['9007199254740993', '"é\\u0000"', 'null'], eventAt: 1_700_000_000_123_456, oldestInputAt: 5 })
      expect(await write('u1', 'spend@1', value)).toEqual([])
      expect(await read(['u1'], ['spend@1'])).toEqual([[value]])
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
      await write('u1', 'a', stored({ texts: ['"new"'], eventAt: 20, token: 1 }))
      const refused = await store.write([
        { entity: 'User', key: 'u1', field: 'a', value: stored({ texts: ['"old"'], eventAt: 10, token: 99 }) },
        { entity: 'User', key: 'u2', field: 'a', value: stored({ texts: ['"other"'], eventAt: 10, token: 100 }) },
      ])
      expect(refused).toEqual([0])
      expect((await read(['u1', 'u2'], ['a'])).map((row) => row[0]?.texts)).toEqual([['"new"'], ['"other"']])
    })

    test('at equal event times the later available wins, then the last accepted', async () => {
      await write('u1', 'a', stored({ texts: ['1'], eventAt: 10, availableAt: 12, token: 5 }))
      expect(await write('u1', 'a', stored({ texts: ['2'], eventAt: 10, availableAt: 11, token: 6 }))).toEqual([0])
      expect(await write('u1', 'a', stored({ texts: ['3'], eventAt: 10, availableAt: 12, token: 4 }))).toEqual([0])
      expect(await write('u1', 'a', stored({ texts: ['4'], eventAt: 10, availableAt: 12, token: 5 }))).toEqual([])
      expect(await write('u1', 'a', stored({ texts: ['5'], eventAt: 10, availableAt: 13, token: 1 }))).toEqual([])
      expect((await read(['u1'], ['a']))[0]?.[0]?.texts).toEqual(['5'])
    })

    test('in whatever order writes arrive, the same value stands at the end', async () => {
      const arbitraryWrite = fc.record({ eventAt: fc.nat(3), availableAt: fc.nat(3), token: fc.integer({ min: 1, max: 1_000_000 }) })
      const writes = fc.uniqueArray(arbitraryWrite, { minLength: 1, maxLength: 8, selector: (one) => one.token })
      let run = 0
      await fc.assert(
        fc.asyncProperty(writes, fc.infiniteStream(fc.nat()), async (list, order) => {
          const key = `k${run++}`
          const shuffled = list.map((one) => ({ one, at: order.next().value ?? 0 })).sort((a, b) => a.at - b.at)
          for (const { one } of shuffled) await write(key, 'a', stored({ ...one, texts: [String(one.token)] }))
          const winner = [...list].sort((a, b) => a.eventAt - b.eventAt || a.availableAt - b.availableAt || a.token - b.token).at(-1)
          expect((await read([key], ['a']))[0]?.[0]?.texts).toEqual([String(winner?.token)])
        }),
        { numRuns: 200 },
      )
    })

    test('a forgotten key is gone, its neighbours are not, and it can be written anew with an older time', async () => {
      await write('u1', 'a', stored({ texts: ['1'], eventAt: 50 }))
      await write('u1', 'b', stored({ texts: ['1'], eventAt: 50 }))
      await write('u2', 'a', stored({ texts: ['2'] }))
      expect(await store.forget('User', 'u1')).toBe(2)
      expect(await store.forget('User', 'u1')).toBe(0)
      expect((await read(['u1', 'u2'], ['a'])).map((row) => row[0]?.texts)).toEqual([undefined, ['2']])
      expect(await write('u1', 'a', stored({ texts: ['3'], eventAt: 40 }))).toEqual([])
    })
  })
}

function stored(value: Partial<StoredValue>): StoredValue {
  return { texts: ['1'], eventAt: 10, availableAt: 10, token: 1, origin: 'computed', oldestInputAt: null, ...value }
}
