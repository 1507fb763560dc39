import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { entity } from '../../src/definition/entity.ts'
import { feature } from '../../src/definition/feature.ts'
import { featureSet } from '../../src/definition/feature-set.ts'
import type { Feature, Problem } from '../../src/definition/model.ts'
import { buildRegistry } from '../../src/definition/registry.ts'
import { source } from '../../src/definition/source.ts'
import { fabraExports } from '../../src/runtime/fabra-module.ts'

const User = entity('User', { key: 'user_id' })
const sql = 'SELECT 1'
const one = () => 1

/** Problems of one definition, exported as `it`. */
function problemsOf(value: unknown): Problem[] {
  return buildRegistry([{ name: 'it', value, file: import.meta.path }], String).problems
}

function built(options: object, compute?: unknown): Feature {
  const { registry, problems } = buildRegistry(
    [{ name: 'it', value: feature({ entity: User, ...options }, compute), file: import.meta.path }],
    String,
  )
  expect(problems).toEqual([])
  const it = registry.features.get('it')
  if (!it) throw new Error('no feature was built')
  return it
}

const WRONG: [string, () => unknown, string, string][] = [
  [
    'an unknown option',
    () => feature({ entity: User, refresh: '5m', type: 'int', sql, refrsh: 1 }),
    'there is no option "refrsh".',
    'Did you mean "refresh"?',
  ],
  [
    'an option in camel case',
    () => feature({ entity: User, type: 'int', maxStaleness: '1d' }),
    'there is no option "maxStaleness".',
    'Did you mean "max_staleness"?',
  ],
  [
    'the beginning of an option',
    () => feature({ entity: User, type: 'int', max_stale: '1d' }),
    'there is no option "max_stale".',
    'Did you mean "max_staleness"?',
  ],
  [
    'an option by another name',
    () => feature({ entity: User, type: 'int', ttl: '1d' }),
    'there is no option "ttl".',
    'Did you mean "max_staleness"?',
  ],
  [
    'history that is gone at once',
    () => feature({ entity: User, type: 'int', keep: '5h' }),
    'keep "5h" is too short: history is kept for a day at least.',
    'Write keep: "400d".',
  ],
  [
    'history that is gone before it is looked back at',
    () => feature({ entity: User, type: 'int', keep: { days: 30 }, look_back: '90d' }),
    'keep { days: 30 } is shorter than its look_back "90d": values would be gone while they still count.',
    'Write keep: "90d" or longer, or a shorter look_back.',
  ],
  [
    'history that is gone while it is served',
    () => feature({ entity: User, refresh: '1h', type: 'int', sql, keep: '1w', max_staleness: '8d' }),
    'keep "1w" is shorter than its max_staleness "8d": values would be gone while they still count.',
    'Write keep: "8d" or longer, or a shorter max_staleness.',
  ],
  [
    'history that is kept for no time that there is',
    () => feature({ entity: User, type: 'int', keep: 'forever' }),
    'keep "forever" is not a duration.',
    'Write "30s"',
  ],
  [
    'keep by another name',
    () => feature({ entity: User, type: 'int', retention: '1d' }),
    'there is no option "retention".',
    'Did you mean "keep"?',
  ],
  [
    'no refresh',
    () => feature({ entity: User, type: 'int', sql }),
    'refresh is missing.',
    'Write "5m", "1h", { minutes: 5 }, a cron string, or 0 for realtime.',
  ],
  [
    'a bad refresh',
    () => feature({ entity: User, refresh: '5x', type: 'int', sql }),
    'refresh "5x" is not a duration.',
    'Write "5m", "1h"',
  ],
  [
    'a refresh without unit',
    () => feature({ entity: User, refresh: 300, type: 'int', sql }),
    'refresh 300 has no unit.',
    'Write "300s" for seconds',
  ],
  [
    'a refresh below a second',
    () => feature({ entity: User, refresh: '200ms', type: 'int', sql }),
    'refresh "200ms" is less than a second (200ms).',
    'Write at least "1s", or 0',
  ],
  [
    'a negative refresh',
    () => feature({ entity: User, refresh: { minutes: -5 }, type: 'int', sql }),
    'refresh { minutes: -5 } is negative.',
    'Write "5m"',
  ],
  [
    'a cron string of four fields',
    () => feature({ entity: User, refresh: '* * * *', type: 'int', sql }),
    'refresh "* * * *" is not a duration.',
    'a cron string',
  ],
  [
    'the name of no cron string',
    () => feature({ entity: User, refresh: '@dayly', type: 'int', sql }),
    'refresh "@dayly" is not the name of a cron string.',
    'Did you mean "@daily"?',
  ],
  [
    'a time that is none',
    () => feature({ entity: User, refresh: '@reboot', type: 'int', sql }),
    'refresh "@reboot" is not the name of a cron string.',
    '@daily',
  ],
  [
    'a duration in the words of cron',
    () => feature({ entity: User, refresh: '@every 5m', type: 'int', sql }),
    'refresh "@every 5m" is not the name of a cron string.',
    'Write "5m".',
  ],
  [
    'an unknown type',
    () => feature({ entity: User, refresh: 0, type: 'integer', sql }),
    'type "integer" is not known.',
    'Did you mean "int"?',
  ],
  ['no entity', () => feature({ refresh: 0, type: 'int', sql }), 'entity is missing.', 'entity: User'],
  [
    'an entity by its name',
    () => feature({ entity: 'User', refresh: 0, type: 'int', sql }),
    'entity must be an entity, got the text "User".',
    'Give the object: entity: User.',
  ],
  [
    'a source as entity',
    () => feature({ entity: source('t'), refresh: 0, type: 'int', sql }),
    'entity must be an entity, got the source "t".',
    'entity: User',
  ],
  ['sql and a function', () => feature({ entity: User, refresh: 0, type: 'int', sql }, one), 'it has both sql and a function.', 'Keep one'],
  [
    'type and columns',
    () => feature({ entity: User, refresh: 0, type: 'int', columns: { a: 'int' }, sql }),
    'it has both type and columns.',
    'Leave type out',
  ],
  ['empty columns', () => feature({ entity: User, refresh: 0, columns: {}, sql }), 'columns is empty.', 'columns: {'],
  [
    'a column of unknown type',
    () => feature({ entity: User, refresh: 0, columns: { a: 'intt' }, sql }),
    'column "a" has the type "intt".',
    'Did you mean "int"?',
  ],
  [
    'a column with a bad name',
    () => feature({ entity: User, refresh: 0, columns: { 'a b': 'int' }, sql }),
    '"a b" cannot be a column\'s name.',
    '"a_b"',
  ],
  [
    'a reserved column',
    () => feature({ entity: User, refresh: 0, columns: { value: 'int' }, sql }),
    '"value" cannot be a column\'s name',
    'Reserved are',
  ],
  ['empty sql', () => feature({ entity: User, refresh: 0, sql: ' ' }), 'sql is empty.', 'SELECT'],
  [
    'sql for one dialect',
    () => feature({ entity: User, refresh: 0, sql: { duckdb: 'SELECT 1' } }),
    'sql must be a text, got { duckdb: "SELECT 1" }.',
    'postgres',
  ],
  [
    'something else than a function',
    () => feature({ entity: User, refresh: 0 }, 'SELECT 1'),
    'feature() takes a function after the options, got "SELECT 1".',
    'async (key',
  ],
  ['no options', () => feature(undefined), 'feature() needs an object of options, got undefined.', 'Write feature({'],
  [
    'refresh of a pushed feature',
    () => feature({ entity: User, refresh: '5m', type: 'int' }),
    'it has refresh, but neither sql nor a function.',
    'pushed',
  ],
  ['neither query nor type', () => feature({ entity: User }), 'it has neither sql, nor a function, nor a type.', 'pushed values a type'],
  [
    'a timeout of a pushed feature',
    () => feature({ entity: User, type: 'int', timeout: '1s' }),
    'timeout means nothing without sql or a function.',
    'Leave it out',
  ],
  [
    'inputs of sql',
    () => feature({ entity: User, refresh: 0, type: 'int', sql, inputs: { amount: 'float' } }),
    'inputs are for functions; sql cannot use them.',
    'function',
  ],
  [
    'inputs with a refresh',
    () => feature({ entity: User, refresh: '5m', inputs: { amount: 'float' } }, one),
    'it has inputs, so it can only be computed in a request.',
    'refresh: 0',
  ],
  [
    'an input that is a key column',
    () => feature({ entity: User, refresh: 0, inputs: { user_id: 'int' } }, one),
    'the input "user_id" is a key column of User.',
    'Rename',
  ],
  [
    'a reserved input',
    () => feature({ entity: User, refresh: 0, inputs: { max_age: 'int' } }, one),
    '"max_age" cannot be an input\'s name',
    'Reserved are',
  ],
  [
    'a default of the wrong type',
    () => feature({ entity: User, refresh: 0, type: 'int', default: 'none' }, one),
    'default: expected int, got the string "none".',
    'whole number',
  ],
  [
    'a default that misses a column',
    () => feature({ entity: User, refresh: 0, columns: { a: 'int', b: 'int' }, sql, default: { a: 1 } }),
    'default has no "b".',
    'Write default: { a: …, b: … }',
  ],
  [
    'a default for no column',
    () => feature({ entity: User, refresh: 0, columns: { a: 'int' }, sql, default: { a: 1, c: 1 } }),
    'default has "c", which is no column.',
    'The columns are a.',
  ],
  [
    'one default for many columns',
    () => feature({ entity: User, refresh: 0, columns: { a: 'int' }, sql, default: 1 }),
    'default must be an object with every column, got 1.',
    'Write default',
  ],
  ['a timeout of nothing', () => feature({ entity: User, refresh: 0, timeout: '0s' }, one), 'timeout "0s" is too short.', 'Write'],
  [
    'an unknown history',
    () => feature({ entity: User, type: 'int', history: 'none' }),
    'history "none" is not known.',
    'changes, all, off',
  ],
  [
    'a version that is a number',
    () => feature({ entity: User, type: 'int', version: 3 }),
    'version must be a text, got 3.',
    'Write version: "…"',
  ],
  [
    'a fingerprint that is none',
    () => feature({ entity: User, type: 'int', same_as: 'v1' }),
    'same_as "v1" is not a fingerprint.',
    'sixteen hex digits',
  ],
  [
    'a bad name',
    () => feature({ entity: User, type: 'int', name: 'ChurnScore' }),
    '"ChurnScore" cannot be a feature\'s name.',
    'name: "churn_score"',
  ],
  [
    'a reserved name',
    () => feature({ entity: User, type: 'int', name: 'entity_id' }),
    'the name has its own meaning in requests.',
    'Reserved are',
  ],
  [
    'the name of a key column',
    () => feature({ entity: User, type: 'int', name: 'user_id' }),
    'its name is a key column of User',
    'Rename the feature.',
  ],
  ['an entity without key', () => entity('User'), 'key is missing.', 'key: "user_id"'],
  [
    'an entity without name',
    () => entity({ key: 'user_id' }),
    'entity() needs a name first, got { key: "user_id" }.',
    'Write entity("User"',
  ],
  ['an entity with a bad name', () => entity('a user', { key: 'user_id' }), '"a user" cannot be an entity\'s name.', 'letters'],
  ['a key of no columns', () => entity('User', { key: [] }), 'key [] does not name columns.', 'key: "user_id"'],
  ['a key with a hole', () => entity('User', { key: new Array(1) }), 'key [] does not name columns.', 'key: "user_id"'],
  ['tags with a hole', () => entity('User', { key: 'id', tags: new Array(1) }), 'tags must be a list of texts', 'Write tags'],
  ['a key column twice', () => entity('User', { key: ['a', 'A'] }), 'key names the column "A" twice.', 'once'],
  [
    'a key type that is none',
    () => entity('User', { key: { a: 'bigint' } }),
    'key column "a" has the type "bigint".',
    'Did you mean "int"?',
  ],
  ['a reserved key column', () => entity('User', { key: 'entity_id' }), '"entity_id" cannot be a key column', 'Reserved are'],
  ['a key column that is no name', () => entity('User', { key: 'user id' }), '"user id" cannot be a key column.', 'letters'],
  ['a source with an unknown option', () => source('t', { timestmp: 'x' }), 'there is no option "timestmp".', 'Did you mean "timestamp"?'],
  ['a source without name', () => source(undefined), "source() needs the table's name first", 'Write source('],
  ['a source whose name is a query', () => source('SELECT 1'), '"SELECT 1" cannot be a table\'s name.', '"shop.orders"'],
  ['a source with a bad delay', () => source('t', { timestamp: 'x', delay: '5x' }), 'delay "5x" is not a duration.', 'Write'],
  ['a delay without timestamp', () => source('t', { delay: '5m' }), 'delay needs a timestamp.', 'timestamp: "created_at"'],
  [
    'a static source with a timestamp',
    () => source('t', { timestamp: 'x', static: true }),
    'it is static and has a timestamp.',
    'Leave one',
  ],
  [
    'a time zone that is none',
    () => source('t', { timestamp: 'x', timezone: 'Mars/Olympus' }),
    'timezone "Mars/Olympus" is not known.',
    'IANA',
  ],
  [
    'a timestamp that columns lacks',
    () => source('t', { timestamp: 'at', columns: { id: 'INT' } }),
    'timestamp names the column "at", which columns does not have.',
    'Add it',
  ],
  ['a column without SQL type', () => source('t', { columns: { id: 1 } }), 'column "id" has the type 1.', 'SQL type'],
  [
    'a feature set without list',
    () => featureSet('s', 'spend'),
    'featureSet() needs a list of features, got "spend".',
    'Write featureSet(',
  ],
  ['an empty feature set', () => featureSet('s', []), 'it has no features.', 'Write featureSet('],
  ['a feature set with a bad name', () => featureSet('Fraud v1', []), '"Fraud v1" cannot be a feature set\'s name.', '"fraud_v1"'],
]

for (const [what, make, message, hint] of WRONG) {
  test(`${what} is told with its place and what to do`, () => {
    const problem = problemsOf(make()).find((one) => one.message.startsWith(message))
    expect(problem?.message ?? problemsOf(make())).toStartWith(message)
    expect(problem?.hint).toContain(hint)
    expect(problem?.location?.file).toBe(import.meta.path)
    expect(problem?.location?.line).toBeGreaterThan(25)
  })
}

test('all that is wrong with a definition is told at once', () => {
  expect(problemsOf(feature({ entity: 'x', refresh: '5x', type: 'y', sql: '', z: 1 }))).toHaveLength(5)
})

test('without options only that is told', () => {
  expect(problemsOf(feature([1], 'x')).map((problem) => problem.message)).toEqual(['feature() needs an object of options, got [1].'])
})

test('whatever is passed, nothing throws where the author calls', () => {
  for (const odd of [
    undefined,
    null,
    0,
    '',
    [],
    {},
    () => 1,
    Symbol('x'),
    1n,
    new Map(),
    Number.NaN,
    { entity: null, uses: {}, default: Symbol('y') },
  ]) {
    for (const second of [undefined, null, odd]) {
      expect(problemsOf(feature(odd, second)).length).toBeGreaterThan(0)
      expect(problemsOf(entity(odd, second)).length).toBeGreaterThan(0)
      expect(problemsOf(source(odd, second)).length).toBeGreaterThan(0)
      expect(problemsOf(featureSet(odd, second)).length).toBeGreaterThan(0)
    }
  }
})

test('any value at all for any option is told, never thrown', () => {
  const anything = fc.anything({ withBigInt: true, withDate: true, withMap: true, withNullPrototype: true, withSparseArray: true })
  const names = [
    'entity',
    'name',
    'type',
    'columns',
    'default',
    'refresh',
    'sql',
    'uses',
    'inputs',
    'timeout',
    'key',
    'delay',
    'file',
    'tags',
    'timezone',
  ]
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom(...names), anything), anything, (options, other) => {
      const made = [
        feature(options),
        feature(options, other),
        entity('User', options),
        source('t', options),
        featureSet('s', other, options),
      ]
      for (const value of made) for (const problem of problemsOf(value)) expect(problem.message).toBeString()
    }),
    { numRuns: 100 },
  )
})

test('what a feature file may import is what the declarations say', () => {
  expect(fabraExports).toEqual({ entity, source, feature, featureSet })
})

test('a definition says where it stands, line and column', () => {
  const { registry } = buildRegistry([{ name: 'it', value: feature({ entity: User, type: 'int' }), file: 'x' }], String)
  const text = new Error().stack?.split('\n')[1] ?? ''
  const line = Number(/:(\d+):\d+/.exec(text)?.[1])
  expect(registry.features.get('it')?.location).toEqual({ file: import.meta.path, line: line - 1, column: expect.any(Number) })
})

test.each([
  [0, { kind: 'realtime' }],
  ['0s', { kind: 'realtime' }],
  ['1s', { kind: 'interval', every: 1_000_000 }],
  ['5m', { kind: 'interval', every: 300_000_000 }],
  [{ minutes: 5 }, { kind: 'interval', every: 300_000_000 }],
  ['0 6 * * *', { kind: 'cron', pattern: '0 6 * * *' }],
  ['*/10 * * * * *', { kind: 'cron', pattern: '*/10 * * * * *' }],
  ['@hourly', { kind: 'cron', pattern: '0 * * * *' }],
  ['@daily', { kind: 'cron', pattern: '0 0 * * *' }],
  [' @Midnight ', { kind: 'cron', pattern: '0 0 * * *' }],
  ['@weekly', { kind: 'cron', pattern: '0 0 * * 0' }],
  ['@monthly', { kind: 'cron', pattern: '0 0 1 * *' }],
  ['@yearly', { kind: 'cron', pattern: '0 0 1 1 *' }],
  ['@annually', { kind: 'cron', pattern: '0 0 1 1 *' }],
])('refresh %p is understood', (refresh, expected) => {
  expect(built({ refresh, type: 'int', sql }).refresh).toEqual(expected as Feature['refresh'])
})

test('a definition holds what was written, and documented defaults for the rest', () => {
  expect(built({ refresh: '5m', sql })).toMatchObject({
    entity: 'User',
    computation: { kind: 'sql', sql },
    columns: [{ name: null, type: null }],
    maxStaleness: null,
    lookBack: null,
    defaults: null,
    timeout: null,
    keepWarm: null,
    keep: null,
    history: 'auto',
    historyUnsaid: true,
    inputs: {},
    uses: [],
    replay: false,
    version: null,
    sameAs: null,
  })
  expect(built({ refresh: 0, inputs: { amount: 'float' } }, one)).toMatchObject({
    computation: { kind: 'function' },
    columns: [{ name: null, type: 'json' }],
    inputs: { amount: 'float' },
  })
  expect(built({ refresh: '5m', sql, history: 'auto' })).not.toHaveProperty('historyUnsaid')
  expect(built({ type: 'float', max_staleness: '7d', keep: '7d' }).keep).toBe(604_800_000_000)
  expect(built({ type: 'float', max_staleness: '7d', default: 0.5 })).toMatchObject({
    computation: { kind: 'pushed' },
    refresh: null,
    maxStaleness: 604_800_000_000,
    lookBack: 604_800_000_000,
    defaults: ['0.5'],
  })
  expect(built({ refresh: '1h', columns: { a: 'int', b: 'string' }, sql, default: { b: 'x', a: null } }).defaults).toEqual(['null', '"x"'])
  expect(built({ refresh: '1h', columns: { a: 'int', b: 'string' }, sql, default: null }).defaults).toEqual(['null', 'null'])
})

test('definitions cannot be changed after they are made', () => {
  expect(Object.isFrozen(feature({ entity: User, type: 'int' }))).toBe(true)
  expect(Object.isFrozen(User)).toBe(true)
})
