import { expect, test } from 'bun:test'
import { dirname, join } from 'node:path'
import { entity } from '../../src/definition/entity.ts'
import { feature } from '../../src/definition/feature.ts'
import { featureSet } from '../../src/definition/feature-set.ts'
import { type BuiltRegistry, buildRegistry, nameOf, resolveRefs } from '../../src/definition/registry.ts'
import { source } from '../../src/definition/source.ts'
import { FabraError } from '../../src/errors.ts'

const file = import.meta.path
const sql = 'SELECT 1'

function build(exports: Record<string, unknown>): BuiltRegistry {
  return buildRegistry(
    Object.entries(exports).map(([name, value]) => ({ name, value, file })),
    String,
  )
}

function shop() {
  const User = entity('User', { key: 'user_id' })
  const count = feature({ entity: User, refresh: '5m', type: 'int', sql })
  const spend = feature({ entity: User, refresh: '5m', columns: { total_30d: 'float', avg_30d: 'float' }, sql })
  const twice = feature({ entity: User, refresh: 0, type: 'int', uses: [count, 'spend.avg_30d'] }, () => 2)
  const transactions = source('transactions', { timestamp: 'created_at', file: './data/t.csv' })
  const fraud_v1 = featureSet('fraud_v1', [count, spend, 'spend.avg_30d', twice])
  return { User, count, spend, twice, transactions, fraud_v1 }
}

test('what is exported is found under its export name, in the order it was written', () => {
  // As a module namespace does, by the alphabet.
  const { registry, problems, functions } = build(Object.fromEntries(Object.entries(shop()).sort()))
  expect(problems).toEqual([])
  expect([...registry.entities.keys()]).toEqual(['User'])
  expect([...registry.features.keys()]).toEqual(['count', 'spend', 'twice'])
  expect(registry.features.get('twice')?.uses).toEqual(['count', 'spend'])
  expect(registry.featureSets.get('fraud_v1')?.features).toEqual(['count', 'spend', 'spend.avg_30d', 'twice'])
  expect(functions.get('twice')?.('u1', {})).toBe(2)
  expect([...functions.keys()]).toEqual(['twice'])
})

test('a source file is looked for beside the file that names it', () => {
  expect(build(shop()).registry.sources.get('transactions')?.file).toBe(join(dirname(file), 'data/t.csv'))
})

test('the registry is plain data and can be sent to another thread', () => {
  const { registry } = build(shop())
  expect(structuredClone(registry)).toEqual(registry)
})

test('a feature knows its name once it is in a registry', () => {
  const { count } = shop()
  expect(nameOf(count)).toBeUndefined()
  build({ count })
  expect(nameOf(count)).toBe('count')
  expect(nameOf('count')).toBeUndefined()
})

test('exports that are no definitions are left alone', () => {
  const answersAll: unknown = new Proxy(() => 1, { get: () => answersAll })
  const throwsAlways = new Proxy(
    {},
    {
      get() {
        throw new Error('not connected')
      },
    },
  )
  const { problems, registry } = build({
    ...shop(),
    answersAll,
    throwsAlways,
    limit: 3,
    helper: () => 1,
    table: { kind: 'feature' },
    nothing: null,
  })
  expect(problems).toEqual([])
  expect(registry.features.size).toBe(3)
})

test('an entity that is not exported is taken along', () => {
  const { User, ...rest } = shop()
  expect(User.name).toBe('User')
  const { problems, registry } = build(rest)
  expect(problems).toEqual([])
  expect(registry.entities.get('User')?.key).toEqual([{ name: 'user_id', type: 'string' }])
})

test('one object exported twice is one feature', () => {
  const all = shop()
  const { problems, registry } = buildRegistry(
    [
      { name: 'default', value: all.twice, file },
      ...Object.entries(all).map(([name, value]) => ({ name, value, file })),
      { name: 'count', value: all.count, file: '/other.ts' },
      { name: 'again', value: all.spend, file },
    ],
    String,
  )
  expect(problems).toEqual([])
  expect([...registry.features.keys()]).toEqual(['count', 'spend', 'twice'])
})

test('a name that is taken is told with both places', () => {
  const { User, count } = shop()
  const other = feature({ name: 'count', entity: User, type: 'int' })
  const { problems } = build({ User, count, other })
  expect(problems).toHaveLength(1)
  expect(problems[0]?.subject).toBe('feature "count"')
  expect(problems[0]?.message).toMatch(/^the name is taken: it is defined at .*registry\.test\.ts:\d+ too\.$/)
  expect(problems[0]?.message).not.toContain(`:${problems[0]?.location?.line} `)
})

test('entities, sources and feature sets cannot share a name either, tables in no letter case', () => {
  const { User, count } = shop()
  const { problems } = build({
    User,
    count,
    Other: entity('User', { key: 'id' }),
    a: source('t'),
    b: source('T'),
    c: featureSet('count', [count]),
  })
  expect(problems.map((problem) => problem.subject)).toEqual(['entity "User"', 'source "T"', 'feature set "count"'])
})

test('a file that exports nothing of ours is a problem', () => {
  expect(build({}).problems[0]).toMatchObject({ location: null, message: 'nothing is exported.' })
  expect(build({ limit: 3 }).problems[0]).toMatchObject({
    location: { file, line: 1, column: 1 },
    message: 'nothing that is exported is a feature.',
  })
})

test('an export name that is no feature name is told with one that is', () => {
  const { User } = shop()
  const { problems } = build({
    transactionCount1h: feature({ entity: User, type: 'int' }),
    default: feature({ entity: User, type: 'int' }),
    max_age: feature({ entity: User, type: 'int' }),
  })
  expect(problems.map((problem) => problem.hint)).toEqual([
    expect.stringContaining('name: "transaction_count1h"'),
    expect.stringContaining('give it a name'),
    expect.stringContaining('Choose another name'),
  ])
})

test('a feature set names features that exist and are exported', () => {
  const { User, spend, count } = shop()
  const hidden = feature({ entity: User, type: 'int' })
  const set = featureSet('set', [hidden, 'spnd', 'spend.avg_3d', 'count.x', User, undefined, 7, 'count', count])
  const { problems, registry } = build({ User, spend, count, set })
  expect(problems.map((problem) => `${problem.message} ${problem.hint}`)).toEqual([
    expect.stringMatching(/^it names a feature \(.*registry\.test\.ts:\d+\) that is not exported\. Write "export"/),
    'it names "spnd". No feature "spnd". Did you mean "spend"?',
    'it names "spend.avg_3d". spend has no column "avg_3d". Did you mean "spend.avg_30d"?',
    'it names "count.x". count has no column "x": it is a single value. Ask for "count".',
    'it names the entity "User", which is no feature. Name features.',
    'it names something undefined. Define a feature above the place where it is named.',
    'it names 7, which is no feature. Give features, or names such as "spend.avg_30d".',
    'it names "count" twice. Name it once.',
  ])
  expect(registry.featureSets.get('set')?.features).toEqual(['count'])
})

test('a circle of uses is named once, as a whole', () => {
  const { User } = shop()
  const made = (uses: string[]) => feature({ entity: User, refresh: 0, uses }, () => 1)
  const { problems } = build({ a: made(['b']), b: made(['c']), c: made(['a']), d: made(['a']), own: made(['own']) })
  expect(problems.map((problem) => problem.message)).toEqual([
    'uses goes round in a circle: a → b → c → a.',
    'uses goes round in a circle: own → own.',
  ])
})

test('a feature is made of features of its own entity', () => {
  const { User, count } = shop()
  const Shop = entity('Shop', { key: 'shop_id' })
  const busy = feature({ entity: Shop, refresh: 0, uses: [count, 'nope'] }, () => 1)
  expect(build({ User, count, busy }).problems.map((problem) => problem.message)).toEqual([
    'uses: "count" describes User, not Shop.',
    'uses: it names "nope". No feature "nope".',
  ])
})

test('a part that changes makes a new version of the whole, whatever stands first', () => {
  const { User } = shop()
  const prints = ['SELECT 1', 'SELECT 2'].map((text) => {
    const whole = feature({ entity: User, refresh: 0, uses: ['part'] }, () => 1)
    const part = feature({ entity: User, refresh: 0, type: 'int', sql: text })
    const apart = feature({ entity: User, refresh: 0 }, () => 1)
    const { registry, problems } = build({ whole, part, apart })
    expect(problems).toEqual([])
    return [...registry.features.values()].map((one) => one.fingerprint)
  })
  const [before, after] = prints
  expect(before?.[0]).not.toBe(after?.[0])
  expect(before?.[1]).not.toBe(after?.[1])
  expect(before?.[2]).toBe(after?.[2] ?? '')
})

test('a version keeps the fingerprint while the code changes, and the code is still told from other code', () => {
  const { User } = shop()
  const [before, after] = ['SELECT 1', 'SELECT 2'].map((sql) => {
    const versioned = feature({ entity: User, refresh: '1h', type: 'int', version: '3', sql })
    const plain = feature({ entity: User, refresh: '1h', type: 'int', sql })
    return [...build({ versioned, plain }).registry.features.values()]
  })
  expect(after?.[0]?.fingerprint).toBe(before?.[0]?.fingerprint ?? '')
  expect(after?.[0]?.codeFingerprint).not.toBe(before?.[0]?.codeFingerprint)
  expect(after?.[1]?.codeFingerprint).toBe(after?.[1]?.fingerprint ?? '')
})

test('names are resolved to columns in the order asked for, sets and wholes to all of theirs', () => {
  const { registry } = build(shop())
  const names = (asked: string[]) => resolveRefs(registry, asked).map((ref) => `${ref.name}#${ref.column}`)
  expect(names(['spend', 'count', 'spend.avg_30d', 'count'])).toEqual([
    'spend.total_30d#0',
    'spend.avg_30d#1',
    'count#0',
    'spend.avg_30d#1',
    'count#0',
  ])
  expect(names(['fraud_v1'])).toEqual(['count#0', 'spend.total_30d#0', 'spend.avg_30d#1', 'spend.avg_30d#1', 'twice#0'])
  expect(names([])).toEqual([])
})

test.each([
  ['coutn', 'No feature "coutn".', 'Did you mean "count"?'],
  ['spend.avg_3d', 'spend has no column "avg_3d".', 'Did you mean "spend.avg_30d"?'],
  ['spend.median', 'spend has no column "median".', 'Known: spend.total_30d, spend.avg_30d.'],
  ['spend.', 'spend has no column "".', 'Known: spend.total_30d, spend.avg_30d.'],
  ['count.total', 'count has no column "total": it is a single value.', 'Ask for "count".'],
  ['spnd.avg_30d', 'No feature "spnd.avg_30d".', 'Did you mean "spend.avg_30d"?'],
  ['', 'No feature "".', ''],
  ['__proto__', 'No feature "__proto__".', ''],
  ['constructor.name', 'No feature "constructor.name".', ''],
])('%p is unknown, and something near is offered', (name, message, hint) => {
  const { registry } = build(shop())
  try {
    resolveRefs(registry, [name])
    throw new Error('it resolved')
  } catch (error) {
    if (!(error instanceof FabraError)) throw error
    expect(error.code).toBe('unknown_feature')
    expect(error.message).toBe(message)
    expect(error.hint).toContain(hint)
  }
})
