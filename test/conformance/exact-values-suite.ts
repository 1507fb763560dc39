import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { type App, openApp } from '../../src/app/app.ts'
import { readConfig } from '../../src/config/config.ts'
import { stringifyExact } from '../../src/definition/exact-json.ts'
import { parseExact } from '../../src/definition/value.ts'
import { PATIENT } from '../support/patience.ts'
import { type ProjectFolder, projectFolder } from '../support/project-folder.ts'

/** Numbers, ids and names through every door of the HTTP API: what comes out is what went in, or it is refused with its place. */
const FEATURES = `
import { entity, feature, source } from "fabra";
export const User = entity("User", { key: "user_id" });
export const Account = entity("Account", { key: { account_id: "int" } });
export const seen = source("seen", { timestamp: "created_at", file: "./seen.jsonl" });
export const measures = source("measures", { columns: { user_id: "VARCHAR", v: "DOUBLE", r: "REAL", big: "DECIMAL(38, 0)", many: "DOUBLE[]" } });
export const visits = feature({ entity: User, refresh: "5m", type: "int", sql: "SELECT COUNT(*) FROM seen WHERE user_id = $user_id" });
export const openings = feature({ entity: Account, refresh: "5m", type: "int", sql: "SELECT COUNT(*) FROM seen WHERE account_id = $account_id" });
export const amounts = feature({ entity: User, refresh: 0, type: "string", inputs: { amount: "json" } },
  async (user, { inputs }) => typeof inputs.amount + " " + String(inputs.amount));
export const score = feature({ entity: User, type: "json" });
export const risk = feature({ entity: User, type: "float" });
`
const SEEN =
  '{"user_id":1.0,"account_id":7.0,"created_at":"2026-01-01T00:00:00Z"}\n{"user_id":1.0,"account_id":8.0,"created_at":"2026-01-02T00:00:00Z"}\n'
const FIXTURES = join(import.meta.dir, '../fixtures/exact')
const T = '2026-01-03T00:00:00Z'

/** @param environment Addresses of the stores, as variables. */
export function exactValuesSuite(where: string, environment: () => Promise<Readonly<Record<string, string>>>): void {
  describe(`exact values ${where}:`, () => {
    let project: ProjectFolder
    let app: App
    beforeAll(async () => {
      project = projectFolder({ 'features.ts': FEATURES, 'seen.jsonl': SEEN })
      const config = readConfig({ ...PATIENT, FABRA_LOG_LEVEL: 'silent', ...(await environment()) }, { cwd: project.path, terminal: false })
      const quiet = () => undefined
      app = await openApp({
        files: [join(project.path, 'features.ts')],
        config,
        log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
        clockOffset: 0,
      })
    }, 180_000)
    afterAll(async () => {
      await app.close()
      project[Symbol.dispose]()
    })

    async function send(path: string, body: string | Uint8Array<ArrayBuffer>, type = 'application/json') {
      const response = await app.fetch(new Request(`http://localhost${path}`, { method: 'POST', body, headers: { 'content-type': type } }))
      const text = await response.text()
      const error = response.ok ? undefined : (parseExact(text) as { error: { code: string; message: string; hint?: string } }).error
      return { status: response.status, text, error }
    }
    const train = (features: string, body: string | Uint8Array<ArrayBuffer>, type: string, format = 'jsonl') =>
      send(`/v1/training-sets?features=${features}&format=${format}`, body, type)
    const trainRows = (rows: string, features = 'visits') =>
      send('/v1/training-sets', `{"features":["${features}"],"format":"jsonl","rows":${rows}}`)
    const lines = (text: string) => text.split('\n').filter(Boolean).map(parseExact) as Record<string, unknown>[]
    const file = async (name: string) => new Uint8Array(await Bun.file(join(FIXTURES, name)).arrayBuffer())
    async function columnTypes(bytes: string): Promise<unknown[][]> {
      const path = join(project.path, `${crypto.randomUUID()}.parquet`)
      await Bun.write(path, Buffer.from(bytes, 'latin1'))
      const engine = await DuckDBInstance.create(':memory:')
      const rows = (
        await (await engine.connect()).runAndReadAll(`SELECT column_name, column_type FROM (DESCRIBE FROM '${path}')`)
      ).getRows()
      engine.closeSync()
      return rows
    }

    describe('a body with what JSON has no words for', () => {
      const doors: [path: string, body: (value: string) => string, at: string][] = [
        [
          '/v1/features',
          (value) => `{"features":["amounts"],\n"rows":[{"user_id":"u1","amount":${value}}]}`,
          'line 2, column 34 (rows[0].amount)',
        ],
        [
          '/v1/features/score/values',
          (value) => `{"rows":[{"user_id":"u1","value":[1,${value}]}]}`,
          'line 1, column 37 (rows[0].value[1])',
        ],
        ['/v1/sources/measures/rows', (value) => `{"rows":[{"user_id":"u1","v":${value}}]}`, 'line 1, column 30 (rows[0].v)'],
        [
          '/v1/training-sets',
          (value) => `{"features":["visits"],"rows":[{"user_id":"1","event_timestamp":"${T}","y":${value}}]}`,
          '(rows[0].y)',
        ],
        ['/v1/features/visits/refresh', (value) => `{"rows":[{"user_id":${value}}]}`, '(rows[0].user_id)'],
      ]
      test.each(doors)('is told of with its place: %s', async (path, body, at) => {
        for (const word of ['NaN', 'Infinity', '-Infinity', 'nan']) {
          const { status, error } = await send(path, body(word))
          expect(status).toBe(422)
          expect(error?.code).toBe('invalid_body')
          expect(error?.message).toStartWith(`The body is not JSON: ${word} is no JSON, at line`)
          expect(error?.message).toContain(at)
          expect(error?.hint).toBe('Send null where nothing is known.')
        }
        for (const number of ['1e400', '-2.5E+999', `${'9'.repeat(400)}.5`]) {
          const { error } = await send(path, body(number))
          expect(error?.message).toContain('is larger than any number can be, at line')
          expect(error?.message).toContain(at)
        }
      })

      test('but a text that says so is a text', async () => {
        const { status } = await send('/v1/features/score/values', '{"rows":[{"user_id":"words","value":{"a":"NaN, 1e400","b":1e-400}}]}')
        expect(status).toBe(200)
      })
    })

    describe('long whole numbers', () => {
      test('in inputs and pushed values keep every digit', async () => {
        const long = '123456789012345678901234567890'
        const asked = await send('/v1/features', `{"features":["amounts"],"rows":[{"user_id":"u1","amount":${long}}]}`)
        expect(asked.text).toContain(`"bigint ${long}"`)
        expect((await send('/v1/features/score/values', `{"rows":[{"user_id":"long","value":{"a":${long}}}]}`)).status).toBe(200)
        const read = await app.fetch(new Request('http://localhost/v1/features/score?entity_id=long'))
        expect(await read.text()).toContain(`"value":{"a":${long}}`)
        const { status, error } = await send(
          '/v1/features/risk/values',
          `{"rows":[{"user_id":"u1","value":1},{"user_id":"u1","value":${long}}]}`,
        )
        expect(status).toBe(422)
        expect(error?.message).toContain(`Row 1: "risk": expected float, got ${long}, which is not exact as a float.`)
      })

      test('in appended events are exact, or refused with row and column', async () => {
        const append = (row: string) => send('/v1/sources/measures/rows', `{"rows":[{"user_id":"ok","v":1},${row}]}`)
        for (const [row, says] of [
          ['{"user_id":"u1","v":9007199254740993}', 'Row 1: column "v": 9007199254740993 is another number in DOUBLE'],
          ['{"user_id":"u1","v":123456789012345678901234567890}', 'Row 1: column "v": 123456789012345678901234567890 is another number'],
          ['{"user_id":"u1","r":16777217}', 'Row 1: column "r": 16777217 is another number in FLOAT'],
          ['{"user_id":"u1","many":[1.5,9007199254740993]}', '9007199254740993 (in [1]) is another number in'],
        ] as const) {
          const { status, error } = await append(row)
          expect(status).toBe(422)
          expect(error?.message).toContain(says)
        }
        expect(
          (await append('{"user_id":"u1","v":9007199254740994,"r":0.1,"big":12345678901234567890123456789012345678,"many":[0.1]}')).status,
        ).toBe(200)
      })

      test('in labels of JSON rows and JSON lines come out as they went in', async () => {
        const numbers = ['18446744073709551615', '9007199254740993', '-123456789012345678901234567890', '9'.repeat(45)]
        for (const number of numbers) {
          const row = `{"user_id":"1","event_timestamp":"${T}","y":${number}}`
          expect((await trainRows(`[${row},${row}]`)).text).toContain(`"y":${number},`)
          expect((await train('visits', `${row}\n`, 'application/x-ndjson')).text).toContain(`"y":${number},`)
        }
        const mixed = await trainRows(
          `[{"user_id":"1","event_timestamp":"${T}","y":9007199254740993},{"user_id":"1","event_timestamp":"${T}","y":0.5}]`,
        )
        expect(lines(mixed.text).map(({ y }) => y)).toEqual([9007199254740993n, 0.5])
        const { error } = await train(
          'visits',
          `{"user_id":"1","event_timestamp":"${T}"}\n{"user_id":"1","event_timestamp":"${T}","y":1e400}\n`,
          'application/x-ndjson',
        )
        expect(error?.message).toBe('Row 1 of the labels (counting from 0): "y" is larger than any number can be.')
      })

      test('in labels of CSV come out as they went in, as numbers where a type holds them', async () => {
        const columns = {
          a: '18446744073709551615',
          b: '1234567890123456789',
          c: '12345678901234567890123456789012345678',
          d: '9'.repeat(45),
          e: '0.5',
        }
        const csv = (e: string) =>
          `user_id,event_timestamp,${Object.keys(columns).join(',')}\n1,${T},${Object.values(columns).join(',')}\n1,${T},1,2,3,4,${e}\n`
        const written = lines((await train('visits', csv('9007199254740993'), 'text/csv')).text)
        expect(written[0]).toMatchObject({
          a: 18446744073709551615n,
          b: 1234567890123456789n,
          c: 12345678901234567890123456789012345678n,
          d: '9'.repeat(45),
          e: '0.5',
        })
        expect(written[1]).toMatchObject({ a: 1, e: '9007199254740993' })
        expect(lines((await train('visits', csv('2'), 'text/csv')).text)[0]).toMatchObject({ e: 0.5 })
        const response = await app.fetch(
          new Request('http://localhost/v1/training-sets?features=visits', {
            method: 'POST',
            body: csv('2'),
            headers: { 'content-type': 'text/csv' },
          }),
        )
        const types = await columnTypes(Buffer.from(await response.arrayBuffer()).toString('latin1'))
        expect(types.slice(2)).toEqual([
          ['a', 'DECIMAL(38,0)'],
          ['b', 'BIGINT'],
          ['c', 'DECIMAL(38,0)'],
          ['d', 'VARCHAR'],
          ['e', 'DOUBLE'],
          ['visits', 'BIGINT'],
        ])
      })

      test('words of other programs in labels of JSON lines are the floats they mean', async () => {
        const label = (y: string) => `{"user_id":"1","event_timestamp":"${T}","y":${y}}`
        const asked = `${[label('NaN'), label('null'), label('1')].join('\n')}\n`
        expect(lines((await train('visits', asked, 'application/x-ndjson')).text).map(({ y }) => y)).toEqual([null, null, 1])
        expect((await train('visits', asked, 'application/x-ndjson', 'csv')).text).toContain(',nan,')
      })

      test('in labels of a query keep every digit', async () => {
        const sql = `SELECT '1' AS user_id, CAST('${T}' AS TIMESTAMPTZ) AS event_timestamp, CAST(18446744073709551615 AS NUMERIC(38, 0)) + SUM(1) AS y FROM seen`
        const { text, error } = await send('/v1/training-sets', JSON.stringify({ features: ['visits'], format: 'jsonl', labels_sql: sql }))
        expect(error).toBeUndefined()
        expect(lines(text)).toMatchObject([{ y: 18446744073709551617n, visits: 2 }])
      })
    })

    describe('ids that became floats', () => {
      const rows = [
        { user_id: '1', visits: 2 },
        { user_id: '2', visits: 0 },
      ]
      const visits = (text: string) => lines(text).map((row) => row['visits'])

      test('are whole ids in the source', async () => {
        for (const [path, value] of [
          ['visits?entity_id=1', 2],
          ['openings?entity_id=7', 1],
        ] as const) {
          expect(await (await app.fetch(new Request(`http://localhost/v1/features/${path}`))).json()).toMatchObject({ value })
        }
      })

      test('are whole ids in labels of every kind, and in rows of a body', async () => {
        expect(visits((await train('visits', await file('float-labels.parquet'), 'application/octet-stream')).text)).toEqual([2, 0, 2])
        for (const format of ['jsonl', 'csv']) {
          const { text } = await train('visits', `user_id,event_timestamp\n1.0,${T}\n2.0,${T}\n`, 'text/csv', format)
          expect(
            format === 'csv'
              ? text
                  .trim()
                  .split('\n')
                  .slice(1)
                  .map((line) => Number(line.split(',').at(-1)))
              : visits(text),
          ).toEqual([2, 0])
        }
        const labels = rows.map(({ user_id }) => `{"user_id":${user_id}.0,"event_timestamp":"${T}"}`)
        expect(visits((await train('visits', labels.join('\n'), 'application/x-ndjson')).text)).toEqual([2, 0])
        expect(visits((await trainRows(`[${labels.join(',')}]`)).text)).toEqual([2, 0])
        // Beside a text, a column of JSON is neither.
        expect(visits((await trainRows(`[${labels[0]},{"user_id":"1","event_timestamp":"${T}"}]`)).text)).toEqual([2, 2])
        expect((await send('/v1/features', '{"features":["visits"],"rows":[{"user_id":1.0}]}')).text).toContain('"values":[2]')
        expect((await send('/v1/features', '{"features":["openings"],"rows":[{"account_id":7.0}]}')).text).toContain('"values":[1]')
      })

      test('are refused by row where one is missing or no whole number', async () => {
        const says = async (asked: Promise<{ error: { message: string } | undefined }>) => (await asked).error?.message ?? ''
        expect(await says(train('visits', await file('missing-labels.parquet'), 'application/octet-stream'))).toContain(
          'Row 1 of the labels (counting from 0): the key column "user_id" of User is empty',
        )
        expect(await says(train('visits', `user_id,event_timestamp\n1.0,${T}\n,${T}\n`, 'text/csv'))).toContain('Row 1 of the labels')
        expect(await says(trainRows(`[{"user_id":1.0,"event_timestamp":"${T}"},{"user_id":2.5,"event_timestamp":"${T}"}]`))).toContain(
          'Row 1 of the labels (counting from 0): the key column "user_id" of User is "2.5"',
        )
        expect(await says(trainRows(`[{"user_id":9007199254740993.5,"event_timestamp":"${T}"}]`))).toContain('Row 0 of the labels')
        expect(await says(send('/v1/features', '{"features":["visits"],"rows":[{"user_id":"1"},{"user_id":2.5}]}'))).toContain(
          '2.5 is not an exact',
        )
      })
    })

    describe('names that differ only in case', () => {
      const label = (more: string) => `{"user_id":"1","event_timestamp":"${T}"${more}}`

      test('are refused in labels, however they come', async () => {
        const two = [label(',"amount":1'), label(',"Amount":2')]
        for (const asked of [train('visits', two.join('\n'), 'application/x-ndjson'), trainRows(`[${two.join(',')}]`)]) {
          const { status, error } = await asked
          expect(status).toBe(422)
          expect(error?.message).toBe('The labels, row 2: two columns are called "amount" and "Amount", which are one name.')
        }
        expect((await train('visits', await file('names-labels.parquet'), 'application/octet-stream')).error?.message).toContain(
          'two columns are called "amount" and "Amount", which are one name',
        )
        expect((await train('visits', label(',"y":1,"y":2'), 'application/x-ndjson')).error?.message).toBe(
          'The labels, line 1: the key "y" is there twice.',
        )
        expect((await train('visits', `user_id,event_timestamp,Y,y\n1,${T},1,2\n`, 'text/csv')).error?.code).toBe('column_conflict')
      })

      test('are kept apart inside of values', async () => {
        const { text } = await trainRows(`[${label(',"m":{"a":1,"A":2}')}]`)
        expect(text).toContain('{"a":1,"A":2}')
        expect((await send('/v1/features/score/values', '{"rows":[{"user_id":"case","value":{"a":1,"A":2}}]}')).status).toBe(200)
        expect(await (await app.fetch(new Request('http://localhost/v1/features/score?entity_id=case'))).text()).toContain('{"a":1,"A":2}')
      })

      test('are no columns of a source, no inputs and no keys', async () => {
        for (const [path, body] of [
          ['/v1/sources/measures/rows', '{"rows":[{"user_id":"u1","v":1,"V":2}]}'],
          ['/v1/features', '{"features":["amounts"],"rows":[{"user_id":"u1","amount":1,"Amount":2}]}'],
          ['/v1/features/score/values', '{"rows":[{"user_id":"u1","value":1,"Value":2}]}'],
        ] as const) {
          expect((await send(path, body)).status).toBe(422)
        }
      })
    })

    test('decimals of more than 38 digits are refused by name in labels', async () => {
      const { status, error } = await train('visits', await file('decimal-labels.parquet'), 'application/octet-stream')
      expect(status).toBe(422)
      expect(error?.message).toContain('column "amount" is a decimal of 40 digits')
      expect(stringifyExact(error)).not.toContain(project.path)
    })
  })
}
