import { afterAll, beforeAll, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** As `fabra init` sets a project up, but with the declarations themselves checked too and without any other types. */
const TSCONFIG = {
  compilerOptions: {
    target: 'ESNext',
    lib: ['ESNext'],
    types: [],
    module: 'Preserve',
    moduleResolution: 'bundler',
    moduleDetection: 'force',
    noEmit: true,
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: false,
    paths: { fabra: ['./fabra.d.ts'] },
  },
}

const HEAD = `import { db, entity, feature, featureSet, source, type Context, type Db, type Entity, type Feature } from 'fabra'
const User = entity('User', { key: 'user_id' })
const Account = entity('Account', { key: { account_id: 'int' } })
const Pair = entity('Pair', { key: ['user_id', 'merchant_id'] })
const Typed = entity('Typed', { key: { a: 'int', b: 'uuid' } })
const count = feature({ entity: User, refresh: '5m', type: 'int', sql: 'SELECT 1' })
const spend = feature({ entity: User, refresh: '5m', columns: { total: 'float', best: 'string' }, sql: 'SELECT 1' })
const untyped = feature({ entity: User, refresh: '5m', sql: 'SELECT 1' })
void [db, featureSet, source, Account, Pair, Typed, count, spend, untyped]
export type Uses = [Context, Db, Entity, Feature]
`

const RIGHT: Record<string, string> = {
  'a refresh is a duration, its parts, a cron string or 0':
    "for (const refresh of ['5m', '1.5h', { hours: 1, minutes: 30 }, '0 6 * * *', '*/5 * * * * *', 0] as const) feature({ entity: User, refresh, sql: 'x' })",
  'a query may be written for both dialects': "feature({ entity: User, refresh: '1d', sql: { duckdb: 'x', postgres: 'y' } })",
  'an int is read as a number or null':
    'feature({ entity: User, refresh: 0 }, async (_, { get }) => { const n: number | null = await get(count); return n })',
  'columns are read together as an object':
    'feature({ entity: User, refresh: 0 }, async (_, { get }) => { const all: { total: number | null; best: string | null } | null = await get(spend); return all })',
  'a column is read by name':
    "feature({ entity: User, refresh: 0, type: 'float' }, async (_, { get }) => (await get<number>('spend.total')) ?? 0)",
  'a feature whose query decides the type is read as anything':
    'feature({ entity: User, refresh: 0 }, async (_, { get }) => { const n: number = await get(untyped); return n })',
  'a text key is a string': "feature({ entity: User, refresh: 0, type: 'string' }, (id) => id.toUpperCase())",
  'an int key is a number': "feature({ entity: Account, refresh: 0, type: 'float' }, (id) => id / 2)",
  'a key of several columns is an object':
    "feature({ entity: Pair, refresh: 0, type: 'bool' }, ({ user_id, merchant_id }) => user_id === merchant_id)",
  'a key of several types has each':
    "feature({ entity: Typed, refresh: 0, type: 'string' }, (key) => key.a.toFixed() + key.b.toUpperCase())",
  'inputs have their declared types':
    "feature({ entity: User, refresh: 0, type: 'float', inputs: { amount: 'float', at: 'timestamp' } }, (_, { inputs }) => inputs.amount + inputs.at.length)",
  'what a query gives fits any type':
    "feature({ entity: User, refresh: 0, type: 'bool' }, async (id, { db }) => (await db.fetchval('x', id)) > 3)",
  'rows can be typed':
    "feature({ entity: User, refresh: 0, type: 'float' }, async (id, { db }) => (await db.fetchrow<{ a: number }>('x', id))?.a ?? null)",
  'the imported db is the same': "feature({ entity: User, refresh: 0, type: 'int' }, async (id) => db.fetchval('SELECT 1', id))",
  'a helper takes the parts of the context':
    "const f = (db: Db, c: Context) => db.fetchval<number>('x', c.asOf.getTime()); feature({ entity: User, refresh: 0, type: 'int' }, (_, c) => f(c.db, c))",
  'the signal can be asked and listened to':
    "feature({ entity: User, refresh: 0 }, (_, { signal, log }) => { signal.throwIfAborted(); signal.addEventListener('abort', () => log.info('gone', { a: 1 })); return signal.aborted })",
  'an int may be a bigint, a timestamp a Date, a dict a Map or an interface': `interface Row { a: number }
feature({ entity: User, refresh: 0, type: 'int' }, () => 1n)
feature({ entity: User, refresh: 0, type: 'timestamp' }, (_, { asOf }) => asOf)
feature({ entity: User, refresh: 0, type: 'dict' }, () => new Map([['a', 1]]))
feature({ entity: User, refresh: 0, type: 'dict' }, async (): Promise<Row> => ({ a: 1 }))`,
  'json may be anything but undefined': `interface Row { a: number; b: string[] }
for (const value of ['a', 1, true, null, [1], { a: { b: [] } }]) feature({ entity: User, refresh: 0 }, async () => value)
feature({ entity: User, refresh: 0 }, async (): Promise<Row[] | null> => [{ a: 1, b: [] }])
feature({ entity: User, refresh: 0, type: 'json' }, (): Row => ({ a: 1, b: [] }))`,
  'a function gives several columns':
    "feature({ entity: User, refresh: 0, columns: { a: 'int', b: 'list' } }, async (id) => ({ a: 1, b: [id] }))",
  'a value may be pushed': "feature({ entity: User, type: 'float', max_staleness: '7d', default: 0.5 })",
  'columns may be pushed': "feature({ entity: User, columns: { a: 'int' }, default: { a: 0 } })",
  'a set holds features and names': "featureSet('s', [count, spend, 'spend.total'], { owner: 'risk' })",
  'a source may have any documented option':
    "source('shop.t', { timestamp: 'at', delay: '10m', available: 'a', until: 'u', id: 'i', timezone: 'UTC', file: 'x.csv', columns: { a: 'INT' }, tags: ['x'] })",
}

const WRONG: Record<string, [code: string, message: string]> = {
  'an unknown option': ["feature({ entity: User, refresh: '5m', type: 'int', sql: 'x', refrsh: 1 })", "Did you mean to write 'refresh'?"],
  'an unknown type': [
    "feature({ entity: User, refresh: '5m', type: 'integer', sql: 'x' })",
    `"integer"' is not assignable to type 'ValueType`,
  ],
  'a string for an int': ["feature({ entity: User, refresh: 0, type: 'int' }, () => 'x')", 'is not assignable'],
  'a promise of a string for an int': ["feature({ entity: User, refresh: 0, type: 'int' }, async () => 'x')", 'is not assignable'],
  'nothing returned': ["feature({ entity: User, refresh: 0, type: 'int' }, () => {})", 'is not assignable'],
  'nothing returned for json': ['feature({ entity: User, refresh: 0 }, async () => {})', 'is not assignable'],
  'nothing returned for a dict': ["feature({ entity: User, refresh: 0, type: 'dict' }, async () => {})", 'is not assignable'],
  'an input that is not declared': [
    "feature({ entity: User, refresh: 0, type: 'int' }, (_, { inputs }) => inputs.amount)",
    "'amount' does not exist",
  ],
  'a misspelt input': [
    "feature({ entity: User, refresh: 0, inputs: { amount: 'float' } }, (_, { inputs }) => inputs.amont)",
    "Did you mean 'amount'?",
  ],
  'a query without refresh': ["feature({ entity: User, type: 'int', sql: 'x' })", "'refresh' is missing"],
  'a function without refresh': ["feature({ entity: User, type: 'int' }, () => 1)", "'refresh' is missing"],
  'a refresh with an unknown unit': ["feature({ entity: User, refresh: '5x', sql: 'x' })", `'"5x"' is not assignable to type 'Refresh'`],
  'a refresh without unit': ["feature({ entity: User, refresh: 5, sql: 'x' })", "'5' is not assignable to type 'Refresh'"],
  'an entity by name': ["feature({ entity: 'User', refresh: 0, sql: 'x' })", 'Entity'],
  'no entity': ["feature({ refresh: 0, sql: 'x' })", "'entity' is missing"],
  'the wrong key': ["feature({ entity: Pair, refresh: 0, type: 'int' }, (key) => key.length)", "'length' does not exist"],
  'sql and a function': [
    "feature({ entity: User, refresh: 0, type: 'int', sql: 'x' }, () => 1)",
    "'string' is not assignable to type 'never'",
  ],
  'a refresh with nothing to compute': ["feature({ entity: User, refresh: '1h', type: 'int' })", "'sql' is missing"],
  'no type for pushed values': ['feature({ entity: User })', 'is missing'],
  'a default of the wrong type': ["feature({ entity: User, refresh: 0, type: 'int', sql: 'x', default: 'none' })", 'is not assignable'],
  'a default for no column': ["feature({ entity: User, refresh: 0, columns: { a: 'int' }, sql: 'x', default: { b: 1 } })", 'No overload'],
  'a column not returned': ["feature({ entity: User, refresh: 0, columns: { a: 'int' } }, () => ({ b: 1 }))", 'No overload'],
  'type and columns': ["feature({ entity: User, refresh: 0, columns: { a: 'int' }, type: 'int', sql: 'x' })", 'No overload'],
  'an unknown key type': ["entity('X', { key: { a: 'integer' } })", 'KeySpec'],
  'an entity without key': ["entity('X')", 'Expected 2 arguments'],
  'an unknown option of a source': ["source('t', { timestmp: 'x' })", "Did you mean to write 'timestamp'?"],
  'an entity in a feature set': ["featureSet('s', [User])", 'Feature'],
  'an object as a query parameter': ["feature({ entity: User, refresh: 0 }, (_, { db }) => db.query('x', { a: 1 }))", "'a' does not exist"],
  'get of something else': ['feature({ entity: User, refresh: 0 }, (_, { get }) => get(Pair))', 'No overload'],
  'a column read as another type': [
    'feature({ entity: User, refresh: 0 }, async (_, { get }) => { const s: string | null = await get(count); return s })',
    "'number | null'",
  ],
  'a name that the module does not have': ["import { features } from 'fabra'; void features", 'features'],
}

const slug = (name: string) => name.replaceAll(/\W+/g, '-')
let folder = ''
/** What the checker says, by file. */
const said = new Map<string, string>()

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'fabra-types-'))
  const write = (name: string, text: string) => Bun.write(join(folder, name), text)
  await write('tsconfig.json', JSON.stringify(TSCONFIG))
  await write('fabra.d.ts', await Bun.file(join(import.meta.dir, '../../src/fabra.d.ts')).text())
  for (const [name, code] of Object.entries(RIGHT)) await write(`${slug(name)}.ts`, HEAD + code)
  for (const [name, [code]] of Object.entries(WRONG)) await write(`${slug(name)}.ts`, HEAD + code)
  await write('readme-example.ts', await documentedExample())
  const run = Bun.spawnSync([process.execPath, 'check', '-p', folder], { env: { ...Bun.env, BUN_BE_BUN: '1', NO_COLOR: '1' }, cwd: folder })
  let file = ''
  for (const line of `${run.stdout}\n${run.stderr}`.split('\n')) {
    file = /^(\S+\.ts)\(\d+,\d+\): error/.exec(line)?.[1] ?? (line.startsWith(' ') ? file : '')
    if (file !== '') said.set(file, `${said.get(file) ?? ''}${line}\n`)
  }
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** The examples in the docstrings of fabra.d.ts, as one file. */
async function documentedExample(): Promise<string> {
  const text = await Bun.file(join(import.meta.dir, '../../src/fabra.d.ts')).text()
  const examples = [...text.matchAll(/@example\n((?: \*(?!\/).*\n)+)/g)].map((match) => (match[1] ?? '').replaceAll(/^ \* ?/gm, ''))
  expect(examples.length).toBeGreaterThan(5)
  return `import { entity, feature, featureSet, source } from 'fabra'\n${examples.join('\n')}`
}

test('the declarations are sound by themselves, and their examples are right', () => {
  expect([said.get('fabra.d.ts'), said.get('readme-example.ts')]).toEqual([undefined, undefined])
})

for (const name of Object.keys(RIGHT)) {
  test(`${name}: no type error`, () => {
    expect(said.get(`${slug(name)}.ts`)).toBeUndefined()
  })
}

for (const [name, [, message]] of Object.entries(WRONG)) {
  test(`${name} is a type error`, () => {
    expect(said.get(`${slug(name)}.ts`)).toContain(message)
  })
}
