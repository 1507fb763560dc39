import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { runCommand } from '../support/command.ts'
import { type Served, serveFolder } from '../support/ui-project.ts'

const FEATURES = `import { entity, feature } from "fabra"
export const User = entity("User", { key: "user_id" })
export const Pair = entity("Pair", { key: ["user_id", "shop_id"] })
export const churn = feature({ entity: User, type: "float" })
export const segment = feature({ entity: Pair, type: "string" })
export const anything = feature({ entity: User, type: "json" })
export const spend = feature({ entity: User, columns: { total: "int", tags: "list" } })
`
let cwd = ''

beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'fabra-push-test-'))
  write('features.ts', FEATURES)
})
afterEach(() => rmSync(cwd, { recursive: true, force: true }))

function write(name: string, text: string | Buffer): void {
  writeFileSync(join(cwd, name), text)
}

async function fabra(...args: string[]): Promise<{ exitCode: number; stdout: string; stderr: string }> {
  return runCommand(args, {
    cwd,
    env: { FABRA_LOG_LEVEL: 'silent' },
  })
}

/** Commands ask the server of their folder. Where there is none, as in the first two tests, each opens the store for itself, which takes longer. */
const beside = (): Promise<Served> => serveFolder({ path: cwd, write: () => undefined, [Symbol.dispose]: () => undefined })

const get = async (...args: string[]) => JSON.parse((await fabra('get', ...args, '--json')).stdout)

describe('fabra push', () => {
  test('takes CSV: values of the declared types, several key columns, tombstones, times with and without a zone', async () => {
    write(
      'churn.csv',
      'user_id,value,event_timestamp,delete\nu1,0.5,2026-01-01T00:00:00.123456Z,\nu2,,2026-01-01 00:00:00,false\nu3,,2026-01-01 00:00:00,true\n',
    )
    const refused = await fabra('push', 'churn', 'churn.csv')
    expect(refused).toMatchObject({ exitCode: 2, stdout: '' })
    expect(refused.stderr).toContain('churn.csv, row 2: "2026-01-01 00:00:00" has no time zone. Nothing was pushed.')
    expect(await fabra('push', 'churn', 'churn.csv', '--timezone', 'Europe/Berlin')).toEqual({
      exitCode: 0,
      stdout: 'Pushed 3 rows: 3 new.\n',
      stderr: '',
    })
    expect(await get('churn', 'u1')).toMatchObject({ value: 0.5, event_timestamp: '2026-01-01T00:00:00.123456Z' })
    expect(await get('churn', 'u2')).toMatchObject({ value: null, status: 'fresh', event_timestamp: '2025-12-31T23:00:00Z' })
    expect(await get('churn', 'u3')).toMatchObject({ status: 'missing' })
    expect((await fabra('push', 'churn', 'churn.csv', '--timezone', 'Europe/Berlin', '--json')).stdout).toBe(
      '{"accepted":0,"duplicates":3,"fenced":0}\n',
    )
    write('segment.csv', 'user_id,shop_id,value\nu1,s1,007\n')
    await fabra('push', 'segment', 'segment.csv')
    expect((await get('segment', 'user_id=u1', 'shop_id=s1')).value).toBe('007')
    write('spend.csv', 'user_id,total,tags\nu1,9007199254740993,"[1, ""a""]"\n')
    expect((await fabra('push', 'spend', 'spend.csv')).exitCode).toBe(0)
    expect((await fabra('get', 'spend', 'u1')).stdout).toBe('{"total":9007199254740993,"tags":[1,"a"]}\n')
  })

  test('takes JSON lines and Parquet with values of their own types', async () => {
    write(
      'rows.jsonl',
      '{"user_id":"u1","value":{"total":9007199254740993,"tags":["a"]},"event_timestamp":"2026-01-01T00:00:00Z"}\n\n{"user_id":"u2","value":{"total":1,"tags":null}}',
    )
    expect((await fabra('push', 'spend', 'rows.jsonl')).stdout).toBe('Pushed 2 rows: 2 new.\n')
    const engine = await DuckDBInstance.create(':memory:')
    const connection = await engine.connect()
    await connection.run(`SET TimeZone = 'UTC'; COPY (SELECT 'u' || i AS user_id, i::BIGINT + 9007199254740992 AS total, ['x', 'y'] AS tags, TIMESTAMPTZ '2026-02-01 00:00:00Z' AS event_timestamp
      FROM range(6000) r(i)) TO '${join(cwd, 'rows.parquet')}'`)
    engine.closeSync()
    expect((await fabra('push', 'spend', 'rows.parquet')).stdout).toBe('Pushed 6000 rows: 6000 new.\n')
    expect((await fabra('get', 'spend', 'u5999')).stdout).toBe('{"total":9007199254746991,"tags":["x","y"]}\n')
    expect((await fabra('push', 'spend', 'rows.parquet')).stdout).toBe('Pushed 6000 rows: 0 new, 6000 known already.\n')
  }, 180_000)

  const wrong: [what: string, file: string, text: string | Buffer, says: string][] = [
    ['a file that is not there', 'gone.csv', '', 'The file gone.csv does not exist.'],
    ['a file of an unknown kind', 'rows.xlsx', 'x', 'It is not known how to read'],
    ['CSV in Latin-1', 'rows.csv', Buffer.from('user_id,value\nu1,1\n\xe9,1\n', 'latin1'), 'rows.csv'],
    [
      'JSON in Latin-1',
      'rows.jsonl',
      Buffer.from('{"user_id":"u1","value":1}\n{"user_id":"\xe9","value":1}\n', 'latin1'),
      'line 2 is not UTF-8',
    ],
    ['a broken line of JSON', 'rows.jsonl', '{"user_id":"u1","value":1}\n{"user_id"\n', 'line 2 is not a JSON object'],
    [
      'a column that is unknown',
      'rows.csv',
      'user_id,valeu\nu1,1\n',
      'rows.csv, row 1: unknown column "valeu". Nothing was pushed.\n  Did you mean "value"?',
    ],
    ['a value of another type', 'rows.csv', 'user_id,value\nu1,1\nu2,many\n', 'rows.csv, row 2: "many" is not float. Nothing was pushed.'],
    ['a key that is missing', 'rows.csv', 'user_id,value\n,1\n', 'rows.csv, row 1: The row has no "user_id"'],
    ['an empty file', 'rows.csv', '', 'rows.csv is empty.'],
    ['a line with too many values', 'rows.csv', 'user_id,value\nu1,1,2\n', 'rows.csv'],
  ]
  test('tells of each file that cannot be pushed, and nothing of any is', async () => {
    await using _server = await beside()
    for (const [what, file, text, says] of wrong) {
      if (file !== 'gone.csv') write(file, text)
      const { exitCode, stderr } = await fabra('push', 'churn', file)
      expect({ what, stderr }).toEqual({ what, stderr: expect.stringContaining(says) })
      expect(stderr).not.toContain('    at ')
      expect({ what, exitCode }).toEqual({ what, exitCode: 2 })
    }
    // The id of every row in them but one that has none.
    expect((await get('churn', 'u1')).status).toBe('missing')
  })

  const FIXTURES = join(import.meta.dir, '../fixtures/exact')
  const impossible: readonly (readonly [file: string, says: string])[] = [
    ['nan.parquet', 'row 2: value is NaN.'],
    ['infinity.parquet', 'row 2: value is -Infinity.'],
    ['nan-list.parquet', 'row 2: value[1] is Infinity.'],
    ['nan-struct.parquet', 'row 2: value.a.b is NaN.'],
    ['decimal40.parquet', 'column "amount" is a decimal of 40 digits'],
    ['nested-names.parquet', 'two fields of column "m" are called "a" and "A", which are one name'],
  ]
  test('refuses Parquet with values that cannot be stored, and nothing of it is pushed', async () => {
    await using _server = await beside()
    for (const [file, says] of impossible) {
      const { exitCode, stderr } = await fabra('push', 'anything', join(FIXTURES, file))
      expect({ file, exitCode }).not.toEqual({ file, exitCode: 0 })
      expect({ file, stderr }).toEqual({ file, stderr: expect.stringContaining(says) })
      expect(stderr).toContain('NaN and Infinity cannot be stored'.repeat(file.startsWith('nan') || file.startsWith('inf') ? 1 : 0))
    }
    expect(await get('anything', 'u1')).toMatchObject({ status: 'missing' })
  })

  async function parquet(name: string, select: string): Promise<void> {
    const engine = await DuckDBInstance.create(':memory:')
    await (await engine.connect()).run(`COPY (${select}) TO '${join(cwd, name)}'`)
    engine.closeSync()
  }

  test('takes ids that became floats for the whole ids they were, and refuses others by row', async () => {
    await using _server = await beside()
    await parquet('floats.parquet', 'SELECT 1::DOUBLE AS user_id, 0.5 AS value UNION ALL SELECT 2, 1.5')
    expect((await fabra('push', 'churn', 'floats.parquet')).stdout).toBe('Pushed 2 rows: 2 new.\n')
    expect(await get('churn', '2')).toMatchObject({ value: 1.5 })
    write('floats.csv', 'user_id,value\n3.0,0.5\n4.0,1.5\n')
    expect((await fabra('push', 'churn', 'floats.csv')).stdout).toBe('Pushed 2 rows: 2 new.\n')
    expect(await get('churn', '4')).toMatchObject({ value: 1.5 })
    write('floats.jsonl', '{"user_id":5.0,"value":0.5}\n')
    expect((await fabra('push', 'churn', 'floats.jsonl')).exitCode).toBe(0)
    expect(await get('churn', '5')).toMatchObject({ value: 0.5 })
    write('texts.csv', 'user_id,value\n6.0,0.5\n6.1,1.5\n')
    expect((await fabra('push', 'churn', 'texts.csv')).exitCode).toBe(0)
    expect(await get('churn', '6.0')).toMatchObject({ value: 0.5 })
    for (const [id, says] of [
      ["'nan'::DOUBLE", 'row 2: user_id is NaN.'],
      ['2.5::DOUBLE', 'row 2: User.user_id: 2.5 is not an exact whole number.'],
      ['9007199254740992::DOUBLE', 'row 2: User.user_id: 9007199254740992 is not an exact whole number.'],
      ['NULL::DOUBLE', 'row 2: The row has no "user_id"'],
    ] as const) {
      await parquet('bad.parquet', `SELECT 9::DOUBLE AS user_id, 0.5 AS value UNION ALL SELECT ${id}, 1.5`)
      expect((await fabra('push', 'churn', 'bad.parquet')).stderr).toContain(says)
    }
    expect(await get('churn', '9')).toMatchObject({ status: 'missing' })
  })

  test('keeps every digit of long whole numbers, and refuses what no number is', async () => {
    await using _server = await beside()
    const long = '123456789012345678901234567890'
    await parquet('long.parquet', `SELECT 'p1' AS user_id, 18446744073709551615::UBIGINT AS value`)
    await fabra('push', 'anything', 'long.parquet')
    expect((await fabra('get', 'anything', 'p1')).stdout).toBe('18446744073709551615\n')
    await parquet('floats.parquet', `SELECT 'p2' AS user_id, 123456789012345678901::DOUBLE AS value UNION ALL SELECT 'p3', 1e300`)
    expect((await fabra('push', 'churn', 'floats.parquet')).exitCode).toBe(0)
    expect(await get('churn', 'p2')).toMatchObject({ value: Number('123456789012345678901') })
    write('long.csv', `user_id,value\nc1,${long}\n`)
    await fabra('push', 'anything', 'long.csv')
    expect((await fabra('get', 'anything', 'c1')).stdout).toBe(`${long}\n`)
    write('long.jsonl', `{"user_id":"j1","value":[${long}]}\n`)
    await fabra('push', 'anything', 'long.jsonl')
    expect((await fabra('get', 'anything', 'j1')).stdout).toBe(`[${long}]\n`)
    write('bad.jsonl', '{"user_id":"x1","value":1}\n{"user_id":"x2","value":[1, NaN]}\n')
    expect((await fabra('push', 'anything', 'bad.jsonl')).stderr).toContain(
      'line 2 is not a JSON object: NaN is no JSON, at column 29 (value[1]).',
    )
    write('bad.jsonl', '{"user_id":"x1","value":1e400}\n')
    expect((await fabra('push', 'anything', 'bad.jsonl')).stderr).toContain(
      'line 1 is not a JSON object: 1e400 is larger than any number can be',
    )
    write('bad.jsonl', '{"user_id":"x1","value":{"a":1,"a":2}}\n')
    expect((await fabra('push', 'anything', 'bad.jsonl')).stderr).toContain(
      'line 1 is not a JSON object: The key "a" is there twice, at column 32 (value).',
    )
    for (const value of ['NaN', 'Infinity', '1e400']) {
      write('bad.csv', `user_id,value\nx1,${value}\n`)
      expect((await fabra('push', 'churn', 'bad.csv')).stderr).toContain(`row 1: "${value}" is not float.`)
    }
    expect(await get('anything', 'x1')).toMatchObject({ status: 'missing' })
  })

  test('refuses names that differ only in case', async () => {
    await using _server = await beside()
    write('twice.csv', 'user_id,value,Value\nu1,1,2\n')
    expect((await fabra('push', 'churn', 'twice.csv')).stderr).toContain(
      'line 1: two columns are called "value" and "Value", which are one name.',
    )
    await parquet('one.parquet', `SELECT 'u1' AS user_id, 1 AS "Value"`)
    expect((await fabra('push', 'churn', 'one.parquet')).stderr).toContain('unknown column "Value"')
    const names = join(FIXTURES, 'names.parquet')
    expect((await fabra('push', 'churn', names)).stderr).toContain('two columns are called "amount" and "Amount", which are one name')
    write('twice.jsonl', '{"user_id":"u1","value":1,"Value":2}\n')
    expect((await fabra('push', 'churn', 'twice.jsonl')).stderr).toContain('unknown column "Value"')
  })

  test('tells the nearest name of a feature that is not there', async () => {
    write('rows.csv', 'user_id,value\nu1,1\n')
    const { exitCode, stderr } = await fabra('push', 'chrn', 'rows.csv')
    expect(stderr).toContain('Did you mean "churn"?')
    expect(exitCode).toBe(2)
  })
})
