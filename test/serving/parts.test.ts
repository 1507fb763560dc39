import { afterEach, describe, expect, test } from 'bun:test'
import { type Bench, openBench, type WrittenBench } from '../support/bench.ts'
import { fail, NO_ROW } from '../support/programmable-executor.ts'
import { until } from '../support/until.ts'

let bench: Bench
afterEach(() => bench.close())
const open = async (written: WrittenBench) => {
  bench = await openBench(written)
  return bench
}
const byFunction = { kind: 'function' as const }

describe('get(): features built on features', () => {
  test('is the value that would be served, and the answer tells the age of the oldest part', async () => {
    const { clock, read, programme } = await open({ features: { part: {}, whole: { ...byFunction, refresh: 0 } } })
    programme.set('part', () => 20)
    programme.set('whole', async (call) => Number(await call.get('part')) + 1)
    const partAt = clock.now()
    await read('part')
    clock.advance('2m')
    expect(await read('whole')).toMatchObject({ value: 21, eventAt: clock.now(), oldestInputAt: partAt, ageMs: 0 })
    expect(programme.count('part')).toBe(1)
  })

  test('a value that is stored tells the age of its oldest part as well, fresh and stale', async () => {
    const { clock, read, programme } = await open({ features: { part: {}, whole: { ...byFunction, refresh: '5m' } } })
    programme.set('whole', (call) => call.get('part'))
    const partAt = clock.now()
    await read('part')
    clock.advance('2m')
    await read('whole')
    expect(await read('whole')).toMatchObject({ status: 'fresh', servedFrom: 'online', oldestInputAt: partAt })
    clock.advance('10m')
    expect(await read('whole')).toMatchObject({ status: 'stale', servedFrom: 'online', oldestInputAt: partAt })
  })

  test('the oldest part shows through several levels', async () => {
    const { clock, read, programme } = await open({
      features: { a: {}, b: { ...byFunction, refresh: 0 }, c: { ...byFunction, refresh: 0 } },
    })
    programme.set('b', (call) => call.get('a'))
    programme.set('c', (call) => call.get('b'))
    const at = clock.now()
    await read('a')
    clock.advance('3m')
    expect(await read('c')).toMatchObject({ value: 1, oldestInputAt: at })
  })

  test('is null when the part is missing, its default when it has one, and throws when it fails', async () => {
    const { read, programme } = await open({
      features: { gone: {}, usual: { default: 7 }, broken: {}, whole: { ...byFunction, refresh: 0 } },
    })
    programme.set('gone', () => NO_ROW)
    programme.set('usual', () => NO_ROW)
    programme.set('broken', fail)
    programme.set('whole', async (call) => [await call.get('gone'), await call.get('usual')])
    expect(await read('whole')).toMatchObject({ value: [null, 7], oldestInputAt: null })
    programme.set('whole', (call) => call.get('broken'))
    expect(await read('whole', 'u2')).toMatchObject({ status: 'error', error: { code: 'feature_failed' } })
  })

  test('gives all columns of a feature, or one', async () => {
    const { read, programme } = await open({
      features: { spend: { columns: { total: 'float', avg: 'float' } }, whole: { ...byFunction, refresh: 0 } },
    })
    programme.set('spend', () => ({ total: 10, avg: 2.5 }))
    programme.set('whole', async (call) => [await call.get('spend'), await call.get('spend.avg')])
    expect(await read('whole')).toMatchObject({ value: [{ total: 10, avg: 2.5 }, 2.5] })
  })

  test('ten thousand derived values of one key ask for their part once', async () => {
    const { read, programme } = await open({ features: { part: {}, whole: { ...byFunction, refresh: 0 } } })
    programme.set('whole', (call) => call.get('part'))
    const release = Promise.withResolvers<number>()
    programme.set('part', () => release.promise)
    const reads = Promise.all(Array.from({ length: 1_000 }, () => read('whole')))
    await until('one of them to ask', 5_000, async () => (programme.count('part') === 1 ? true : undefined))
    // Nor has one found nothing stored that asks for it only after it was computed.
    await bench.settle()
    release.resolve(1)
    expect((await reads).filter(({ value }) => value !== 1)).toEqual([])
    expect(programme.count('part')).toBe(1)
  })

  test('reads a part of another entity when the key has all of its columns', async () => {
    const { read, programme } = await open({
      entities: { User: { user_id: 'string' }, Pair: { merchant_id: 'int', user_id: 'string' } },
      features: { part: { entity: 'User' }, whole: { ...byFunction, entity: 'Pair', refresh: 0 } },
    })
    programme.set('part', (call) => call.key)
    programme.set('whole', (call) => call.get('part'))
    expect(await read('whole', { merchant_id: 7, user_id: 'a:b' })).toMatchObject({ value: 'a:b' })
  })

  test('says which column is lacking when it has not', async () => {
    const { read, programme } = await open({
      entities: { User: { user_id: 'string' }, Pair: { merchant_id: 'int', user_id: 'string' } },
      features: { part: { entity: 'Pair' }, whole: { ...byFunction, refresh: 0 } },
    })
    programme.set('whole', (call) => call.get('part'))
    const { error } = await read('whole')
    expect(error?.message).toBe('get("part") in "whole": Pair is keyed by merchant_id, which User does not have.')
  })

  test('refuses a part with inputs, and says which', async () => {
    const { read, programme } = await open({
      features: { part: { ...byFunction, refresh: 0, inputs: { amount: 'int' } }, whole: { ...byFunction, refresh: 0 } },
    })
    programme.set('whole', (call) => call.get('part'))
    expect((await read('whole')).error?.message).toBe(
      'get("part") in "whole": that feature needs the input amount, which only a request has.',
    )
  })

  test('an unknown part is named, with the nearest known one', async () => {
    const { read, programme } = await open({ features: { spend: {}, whole: { ...byFunction, refresh: 0 } } })
    programme.set('whole', (call) => call.get('spendd'))
    expect((await read('whole')).error).toMatchObject({ code: 'unknown_feature', hint: 'Did you mean "spend"?' })
  })
})

describe('features that ask for each other', () => {
  const cycle = async (refresh: 0 | string) => {
    const opened = await open({
      features: {
        a: { ...byFunction, refresh, timeout: '5s' },
        b: { ...byFunction, refresh, timeout: '5s' },
        c: { ...byFunction, refresh, timeout: '5s' },
      },
    })
    opened.programme.set('a', (call) => call.get('b'))
    opened.programme.set('b', (call) => call.get('c'))
    opened.programme.set('c', (call) => call.get('a'))
    return opened
  }

  test.each([0, '5m'] as const)('are told as a cycle that names them (refresh %p)', async (refresh) => {
    const { read } = await cycle(refresh)
    expect((await read('b')).error).toMatchObject({
      code: 'feature_failed',
      message: 'Features ask for each other in a cycle: b → c → a → b.',
    })
  })

  test.each([0, '5m'] as const)('do not wait for each other for ever when read at once (refresh %p)', async (refresh) => {
    const { readRows } = await cycle(refresh)
    const [row] = await readRows(['a', 'b', 'c'], [{ user_id: 'u1' }])
    for (const one of row ?? []) {
      expect(one.status).toBe('error')
      expect(one.error?.message).toContain('in a cycle')
    }
  })

  test('a feature that asks for itself is a cycle of one', async () => {
    const { read, programme } = await open({ features: { a: byFunction } })
    programme.set('a', (call) => call.get('a'))
    expect((await read('a')).error?.message).toBe('Features ask for each other in a cycle: a → a.')
  })
})

describe('rows of several entities', () => {
  test('each feature is read with its own entity’s columns of the row', async () => {
    const { readRows, programme } = await open({
      entities: { User: { user_id: 'string' }, Merchant: { merchant_id: 'int' }, Pair: { user_id: 'string', merchant_id: 'int' } },
      features: { u: { entity: 'User' }, m: { entity: 'Merchant' }, p: { entity: 'Pair' } },
    })
    for (const name of ['u', 'm', 'p']) programme.set(name, (call) => call.key)
    const read = () =>
      readRows(
        ['p', 'm', 'u'],
        [
          { user_id: 'a:b', merchant_id: 7 },
          { user_id: '%', merchant_id: 9007199254740993n },
        ],
      )
    for (const from of ['computed', 'online']) {
      const rows = await read()
      expect(rows.map((row) => row.map((one) => one.value))).toEqual([
        ['a%3Ab:7', '7', 'a:b'],
        ['%25:9007199254740993', '9007199254740993', '%'],
      ])
      expect(rows.flat().every((one) => one.servedFrom === from)).toBe(true)
    }
  })

  test('keys of several columns never collide', async () => {
    const { readRows, programme } = await open({
      entities: { Pair: { one: 'string', two: 'string' } },
      features: { p: { entity: 'Pair' } },
    })
    programme.set('p', (call) => call.key)
    const rows = await readRows(
      ['p'],
      [
        { one: 'a:b', two: 'c' },
        { one: 'a', two: 'b:c' },
        { one: 'a%3Ab', two: 'c' },
      ],
    )
    expect(new Set(rows.map(([one]) => one?.value)).size).toBe(3)
  })
})
