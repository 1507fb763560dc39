import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { type App, openApp } from '../../src/app/app.ts'
import { readConfig } from '../../src/config/config.ts'
import { type ProjectFolder, projectFolder } from '../support/project-folder.ts'
import { until } from '../support/until.ts'

/** Training sets through the HTTP API, over definitions of every kind; the truth is counted in plain TypeScript. */
const FEATURES = `
import { entity, feature, featureSet, source } from "fabra";
export const User = entity("User", { key: "user_id" });
export const transactions = source("transactions", { timestamp: "created_at", file: "./tx.csv" });
export const plans = source("plans", { file: "./plans.csv" });
export const count_1h = feature({ entity: User, refresh: "5m", type: "int",
  sql: "SELECT COUNT(*) FROM transactions WHERE user_id = $user_id AND created_at > NOW() - INTERVAL '1 hour'" });
export const spend = feature({ entity: User, refresh: "5m", columns: { total: "float", mean: "float" },
  sql: "SELECT COALESCE(SUM(amount), 0) AS total, AVG(amount) AS mean FROM transactions WHERE user_id = $user_id" });
export const last_amount = feature({ entity: User, refresh: "5m", type: "float", default: -1,
  sql: "SELECT amount FROM transactions WHERE user_id = $user_id ORDER BY created_at DESC, amount LIMIT 1" });
export const two_rows = feature({ entity: User, refresh: "5m", type: "float",
  sql: "SELECT amount FROM transactions WHERE user_id = $user_id" });
export const not_a_number = feature({ entity: User, refresh: "5m", type: "float",
  sql: "SELECT CASE WHEN COUNT(*) > 2 THEN CAST('nan' AS DOUBLE PRECISION) ELSE 1 END FROM transactions WHERE user_id = $user_id" });
export const versus = feature({ entity: User, refresh: 0, type: "float", inputs: { amount: "float" } },
  async (user, { get, inputs }) => inputs.amount - ((await get("spend.mean")) ?? 0));
export const seen = feature({ entity: User, refresh: 0, type: "int" },
  async (user, { db }) => db.fetchval("SELECT COUNT(*) FROM transactions WHERE user_id = $1", user));
export const clock = feature({ entity: User, refresh: 0, type: "float" }, async () => Date.now());
export const plan = feature({ entity: User, refresh: "1h", type: "string", sql: "SELECT plan FROM plans WHERE user_id = $user_id" });
export const plan_fn = feature({ entity: User, refresh: 0, type: "string" },
  async (user, { db }) => db.fetchval("SELECT plan FROM plans WHERE user_id = $1", user));
export const scheduled = feature({ entity: User, refresh: "1h", type: "int" }, async () => 1);
export const unrecorded = feature({ entity: User, refresh: "1h", type: "int", history: "off" }, async () => 1);
export const served = feature({ entity: User, refresh: 0, type: "json" }, async (user, { asOf }) => [user, String(asOf)]);
export const refreshed = feature({ entity: User, refresh: "1s", type: "json" }, async (user, { asOf }) => [user, String(asOf)]);
export const hourly = feature({ entity: User, refresh: "0 * * * *", type: "int" }, async () => 1);
export const score = feature({ entity: User, type: "float" });
export const fails = feature({ entity: User, refresh: 0, type: "int" }, async (user) => { if (user === "u2") throw new Error("secret"); return 1; });
export const bundle = featureSet("bundle", [count_1h, spend]);
`
const START = Date.parse('2026-01-01T00:00:00Z')
const EVENTS = Array.from({ length: 200 }, (_, i) => ({
  user: `u${(i * 7) % 5}`,
  at: START + ((i * 7919) % 14_400) * 1000,
  amount: (i % 13) + 0.5,
}))
const LABELS = Array.from({ length: 60 }, (_, i) => ({ user: `u${i % 7}`, at: START + ((i * 104_729) % 18_000) * 1000 }))
const iso = (ms: number) => new Date(ms).toISOString()

/** @param environment Addresses of the stores, as variables. */
export function trainingSuite(where: string, environment: () => Promise<Readonly<Record<string, string>>>): void {
  describe(`training sets ${where}:`, () => {
    let project: ProjectFolder
    let app: App
    beforeAll(async () => {
      project = projectFolder({
        'features.ts': FEATURES,
        'tx.csv': `user_id,amount,created_at\n${EVENTS.map(({ user, at, amount }) => `${user},${amount},${iso(at)}\n`).join('')}`,
        'plans.csv': 'user_id,plan\nu1,gold\n',
      })
      const config = readConfig({ FABRA_LOG_LEVEL: 'silent', ...(await environment()) }, { cwd: project.path, terminal: false })
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

    const csv = (rows = LABELS) => `user_id,event_timestamp,label\n${rows.map(({ user, at }, i) => `${user},${iso(at)},${i}\n`).join('')}`

    async function train(query: string, body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}): Promise<Response> {
      return app.fetch(new Request(`http://localhost/v1/training-sets${query}`, { method: 'POST', body, headers }))
    }

    async function rowsOf(response: Response): Promise<Record<string, unknown>[]> {
      const text = await response.text()
      if (!response.ok) throw new Error(text)
      return text
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as Record<string, unknown>)
    }

    async function errorOf(response: Response): Promise<{ status: number; code: string; message: string; hint?: string }> {
      const { error } = (await response.json()) as { error: { code: string; message: string; hint?: string } }
      return { ...error, status: response.status }
    }

    describe('a training set', () => {
      test('calls a cron value fresh as long as serving does', async () => {
        const served = await app.fetch(new Request('http://localhost/v1/features/hourly?user_id=u1'))
        expect(await served.json()).toMatchObject({ value: 1, status: 'fresh' })
        // Later than all of it was recorded, to the microsecond.
        const now = Date.now() + 1000
        const labels = [now, now + 3_600_000 * 2.5].map((at) => ({ user: 'u1', at }))
        const rows = await rowsOf(await train('?features=hourly&format=jsonl&with_status=true', csv(labels)))
        expect(rows.map(({ hourly, hourly__status }) => [hourly, hourly__status])).toEqual([
          [1, 'fresh'],
          [1, 'stale'],
        ])
      })

      test('has one row per label, in order, each with what could be known at its own time', async () => {
        const rows = await rowsOf(await train('?features=bundle,last_amount,seen,spend&format=jsonl&with_status=true', csv()))
        expect(rows.map((row) => row['label'])).toEqual(LABELS.map((_, i) => i))
        expect(Object.keys(rows[0] ?? {})).toEqual([
          'user_id',
          'event_timestamp',
          'label',
          'count_1h',
          'spend.total',
          'spend.mean',
          'last_amount',
          'seen',
          'count_1h__status',
          'spend__status',
          'last_amount__status',
          'seen__status',
        ])
        for (const [i, { user, at }] of LABELS.entries()) {
          const known = EVENTS.filter((event) => event.user === user && event.at < at)
          const total = known.reduce((sum, event) => sum + event.amount, 0)
          const last = known.toSorted((a, b) => b.at - a.at || a.amount - b.amount)[0]
          expect(rows[i]).toMatchObject({
            user_id: user,
            event_timestamp: iso(at),
            count_1h: known.filter((event) => event.at > at - 3_600_000).length,
            'spend.total': total,
            last_amount: last?.amount ?? -1,
            last_amount__status: last ? 'fresh' : 'default',
            seen: known.length,
          })
          const mean = rows[i]?.['spend.mean']
          if (known.length === 0) expect(mean).toBeNull()
          else expect(Number(mean)).toBeCloseTo(total / known.length, 9)
        }
      })

      test('is the same from CSV, JSON rows, JSON lines and SQL', async () => {
        const few = LABELS.slice(0, 9)
        const objects = few.map(({ user, at }, i) => ({ user_id: user, event_timestamp: iso(at), label: i }))
        const asked = '?features=spend,seen&format=jsonl'
        const fromCsv = await rowsOf(await train(asked, csv(few)))
        const fromLines = await rowsOf(await train(asked, objects.map((row) => `${JSON.stringify(row)}\n`).join('')))
        const fromRows = await rowsOf(await train('', JSON.stringify({ features: ['spend', 'seen'], rows: objects, format: 'jsonl' })))
        const values = objects.map((row) => `('${row.user_id}', '${row.event_timestamp}', ${row.label})`)
        const labels_sql = `SELECT user_id, CAST(t AS TIMESTAMPTZ) AS event_timestamp, label FROM (VALUES ${values.join(', ')}) v(user_id, t, label);`
        const fromSql = await rowsOf(await train('', JSON.stringify({ features: ['spend', 'seen'], labels_sql, format: 'jsonl' })))
        for (const other of [fromLines, fromRows]) expect<unknown>(other).toEqual(fromCsv)
        expect<unknown>(fromSql.map((row) => ({ ...row, event_timestamp: iso(Date.parse(String(row['event_timestamp']))) }))).toEqual(
          fromCsv,
        )
      })

      test('of no rows has the right columns', async () => {
        const empty = await train('', JSON.stringify({ features: ['spend'], rows: [], format: 'csv' }))
        expect(await empty.text()).toBe('user_id,event_timestamp,spend.total,spend.mean\n')
        expect(await (await train('?features=seen&format=csv', 'user_id,event_timestamp\n')).text()).toBe('user_id,event_timestamp,seen\n')
      })

      test('tells how it was made, and the same question has the same bytes', async () => {
        const first = await train('?features=spend,seen&format=csv&deterministic=true', csv(), { 'x-request-id': 'first' })
        const again = await train('?features=spend,seen&format=csv&deterministic=true', csv())
        expect(await first.text()).toBe(await again.text())
        expect(again.headers.get('x-fabra-dataset-hash')).toBe(String(first.headers.get('x-fabra-dataset-hash')))
        const report = (await (await app.fetch(new Request('http://localhost/v1/training-sets/first'))).json()) as Record<string, unknown>
        expect(report).toMatchObject({
          state: 'done',
          progress: 1,
          rows: LABELS.length,
          dataset_hash: first.headers.get('x-fabra-dataset-hash'),
        })
        expect(report['features']).toMatchObject([
          { feature: 'spend', method: 'recompute' },
          { feature: 'seen', method: 'replay' },
        ])
        expect(report['metadata']).toMatchObject({ options: { timestamp: 'event_timestamp', deterministic: true } })
      })

      test('has one hash whatever the format, in the file too, and another where rows stand otherwise', async () => {
        const rows = LABELS.map(({ user, at }) => ({ user_id: user, event_timestamp: iso(at) }))
        const ask = (format: string, given: typeof rows) => train('', JSON.stringify({ features: ['spend', 'seen'], format, rows: given }))
        const hashOf = (made: Response) => String(made.headers.get('x-fabra-dataset-hash'))
        const [parquet, jsonl, turned] = [await ask('parquet', rows), await ask('jsonl', rows), await ask('jsonl', rows.toReversed())]
        const [bytes] = await Promise.all([parquet, jsonl, turned].map((made) => made.bytes()))
        expect(hashOf(parquet)).toMatch(/^[0-9a-f]{64}$/)
        expect(hashOf(jsonl)).toBe(hashOf(parquet))
        expect(hashOf(turned)).not.toBe(hashOf(parquet))
        expect((await describeParquet(bytes ?? new Uint8Array())).metadata).toMatchObject({
          dataset_hash: hashOf(parquet),
          rows: LABELS.length,
        })
      })

      test('keeps texts that look like numbers, empty texts and duplicates as they are', async () => {
        const text = `user_id,event_timestamp,zip,note\nu1,${iso(START)},007,""\nu1,${iso(START)},007,""\nu1,${iso(START)},08,\n`
        expect(await (await train('?features=seen&format=csv', text)).text()).toBe(
          text.replace('note\n', 'note,seen\n').replaceAll('""\n', '"",0\n').replace('08,\n', '08,,0\n'),
        )
        expect((await rowsOf(await train('?features=seen&format=jsonl', text))).map(({ zip, note }) => [zip, note])).toEqual([
          ['007', ''],
          ['007', ''],
          ['08', null],
        ])
      })

      test('gives inputs out of the labels of the same name', async () => {
        const text = `user_id,event_timestamp,amount\nu1,${iso(START)},5.5\nu1,${iso(START + 7_200_000)},5.5\n`
        const rows = await rowsOf(await train('?features=versus,spend.mean&format=jsonl', text))
        expect(rows.map((row) => row['versus'])).toEqual(rows.map((row) => 5.5 - Number(row['spend.mean'] ?? 0)))
      })

      test('gives a function that asks for the current time its row’s time', async () => {
        const rows = await rowsOf(await train('?features=clock&format=jsonl', csv()))
        expect(rows.map((row) => row['clock'])).toEqual(LABELS.map(({ at }) => at))
      })
    })

    describe('labels that pandas wrote', () => {
      const file = (name: string) => Bun.file(join(import.meta.dir, '../fixtures/labels', name))
      test('are read with and without zones, and keep their columns and types', async () => {
        const aware = await train('?features=seen', await file('pandas-aware.parquet').bytes())
        const naive = await train('?features=seen&timezone=UTC', await file('pandas-naive.parquet').bytes())
        const results = await Promise.all([aware, naive].map(async (response) => describeParquet(await response.bytes())))
        const [given] = await Promise.all([file('pandas-naive.parquet').bytes().then(describeParquet)])
        expect(results[1]?.columns).toEqual([...given.columns, ['seen', 'BIGINT']])
        expect(results[1]?.rows.map((row) => row.slice(0, -1))).toEqual(given.rows)
        expect(results[0]?.rows.map((row) => row.at(-1))).toEqual(results[1]?.rows.map((row) => row.at(-1)))
        expect(results[0]?.rows.some((row) => row.at(-1) !== '0')).toBe(true)
        expect(results[1]?.metadata).toMatchObject({ rows: 60, features: [{ feature: 'seen', method: 'replay' }] })
      })

      test('are refused without a zone when none is named', async () => {
        expect(await errorOf(await train('?features=seen', await file('pandas-naive.parquet').bytes()))).toMatchObject({
          code: 'invalid_time',
          status: 422,
        })
      })
    })

    test('ten thousand served values are what as_served says of those times', async () => {
      const served: { feature: string; user_id: string; event_timestamp: string; value: unknown }[] = []
      for (let round = 0; round < 50; round++) {
        const asked = Array.from({ length: 200 }, (_, i) => ({
          feature: i % 2 === 0 ? 'served' : 'refreshed',
          user_id: `s${(round * 31 + i) % 97}`,
        }))
        served.push(
          ...(await Promise.all(
            asked.map(async (one) => {
              const answer = await until('a value', 30_000, async () => {
                // On a busy machine a call may be over its time.
                const response = await app.fetch(new Request(`http://localhost/v1/features/${one.feature}?entity_id=${one.user_id}`))
                const said = (await response.json()) as { value: unknown; event_timestamp: string }
                return response.ok ? said : undefined
              })
              return { ...one, event_timestamp: answer.event_timestamp, value: answer.value }
            }),
          )),
        )
      }
      expect(served).toHaveLength(10_000)
      for (const feature of ['served', 'refreshed']) {
        const labels = served.filter((one) => one.feature === feature)
        const body = labels
          .map(({ user_id, event_timestamp, value }) => `${JSON.stringify({ user_id, event_timestamp, value })}\n`)
          .join('')
        const rows = await rowsOf(await train(`?features=${feature}&as_served=true&format=jsonl`, body))
        expect(new Set(labels.map(({ value }) => JSON.stringify(value))).size).toBeGreaterThan(feature === 'served' ? 90 : 40)
        for (const row of rows) expect(row[feature]).toEqual(row['value'])
      }
    }, 120_000)

    describe('an explanation', () => {
      const features = 'count_1h,spend,seen,versus,score,scheduled,plan,fails'

      test('tells method, way and reason of each feature, of those that are refused too, and runs none', async () => {
        const explained = (await (await train(`?features=${features}&explain=true`, '')).json()) as {
          rows: null
          features: Record<string, unknown>[]
        }
        expect(explained.rows).toBeNull()
        expect(explained.features.map(({ feature, method, why }) => [feature, method, why])).toEqual([
          ['count_1h', 'recompute', 'SQL over sources that say when their rows came to be'],
          ['spend', 'recompute', 'SQL over sources that say when their rows came to be'],
          ['seen', 'replay', 'a realtime function'],
          ['versus', 'replay', 'a function with inputs'],
          ['score', 'history', 'its values are pushed'],
          ['scheduled', null, expect.stringMatching(/scheduled.*nothing has been recorded/)],
          ['plan', null, expect.stringMatching(/plan/)],
          ['fails', 'replay', 'a realtime function'],
        ])
        expect(explained.features.map(({ how }) => how)).toEqual([
          expect.stringMatching(/set-based/),
          expect.stringMatching(/set-based/),
          'the function, row by row',
          'the function, row by row',
          expect.stringMatching(/^as-of join over recorded values/),
          null,
          null,
          'the function, row by row',
        ])
      })

      test('with labels counts them, and refuses those that are wrong', async () => {
        const explained = await (await train('?features=seen&explain=true', csv())).json()
        expect(explained).toMatchObject({ rows: LABELS.length })
        expect(await errorOf(await train('?features=seen&explain=true', 'user_id,event_timestamp\nu1,today\n'))).toMatchObject({
          code: 'invalid_time',
        })
      })

      test('says which method was asked for', async () => {
        const explained = await (await train('?features=seen&explain=true&as_served=true', '')).json()
        expect(explained).toMatchObject({ features: [{ method: 'history', why: 'asked for as it was served' }] })
      })
    })

    describe('nothing is made', () => {
      const at = iso(START + 3_600_000)
      const refused: readonly [what: string, query: string, body: string, code: string, message: RegExp][] = [
        ['of labels without a key', '?features=seen', `user_id,event_timestamp\nu1,${at}\n,${at}\n`, 'invalid_key', /^Row 1 .*user_id/],
        ['of labels without a time', '?features=seen', `user_id,event_timestamp\nu1,${at}\nu1,\n`, 'invalid_time', /^Row 1 /],
        [
          'of times without a zone',
          '?features=seen',
          'user_id,event_timestamp\nu1,2026-01-01T00:00:00\n',
          'invalid_time',
          /^Row 0 .*no time zone/,
        ],
        ['of words as times', '?features=seen&timezone=UTC', 'user_id,event_timestamp\nu1,today\n', 'invalid_time', /^Row 0 .*today/],
        ['of days that are none', '?features=seen', 'user_id,event_timestamp\nu1,2026-02-30T00:00:00Z\n', 'invalid_time', /^Row 0 /],
        ['of years out of range', '?features=seen', 'user_id,event_timestamp\nu1,9999-01-01T00:00:00Z\n', 'invalid_time', /^Row 0 /],
        [
          'of an hour that comes twice',
          '?features=seen&timezone=Europe/Berlin',
          'user_id,event_timestamp\nu1,2025-10-26T02:30:00\n',
          'invalid_time',
          /^Row 0 .*Berlin/,
        ],
        [
          'of an hour that never comes',
          '?features=seen&timezone=Europe/Berlin',
          'user_id,event_timestamp\nu1,2025-03-30T02:30:00\n',
          'invalid_time',
          /^Row 0 .*Berlin/,
        ],
        [
          'of a column called like a feature',
          '?features=spend',
          `user_id,event_timestamp,Spend.Total\nu1,${at},1\n`,
          'column_conflict',
          /Spend\.Total/,
        ],
        ['of two columns of one name', '?features=seen', `user_id,event_timestamp,a,A\nu1,${at},1,2\n`, 'column_conflict', /"A"|"a"/],
        ['of labels that lack an input', '?features=versus', `user_id,event_timestamp\nu1,${at}\n`, 'invalid_labels', /amount/],
        [
          'of an input of another type',
          '?features=versus',
          `user_id,event_timestamp,amount\nu1,${at},much\n`,
          'invalid_input',
          /^Row 0 .*amount/,
        ],
        ['of labels with a broken line', '?features=seen', `user_id,event_timestamp\nu1,${at}\nu1,${at},3\n`, 'invalid_labels', /line 3/],
        ['of nothing', '?features=seen', '', 'invalid_labels', /empty/],
        ['of unknown features', '?features=sen', `user_id,event_timestamp\nu1,${at}\n`, 'unknown_feature', /sen/],
        ['by an unknown option', '?features=seen&fromat=csv', `user_id,event_timestamp\nu1,${at}\n`, 'invalid_input', /fromat/],
        ['by an unknown method', '?features=seen&method=guess', `user_id,event_timestamp\nu1,${at}\n`, 'invalid_input', /guess/],
        ['by SQL that reads files', '?features=seen&labels_sql=SELECT+*+FROM+read_csv(%27/etc/passwd%27)', '', 'invalid_labels', /SQL/],
        ['by SQL that writes', '?features=seen&labels_sql=DROP+TABLE+transactions', '', 'invalid_labels', /SELECT/],
        ['where a function fails', '?features=fails', `user_id,event_timestamp\nu1,${at}\nu2,${at}\n`, 'feature_failed', /^Row 1 .*fails/],
        [
          'where a query gives two rows',
          '?features=two_rows',
          `user_id,event_timestamp\nu9,${at}\nu1,${at}\n`,
          'not_one_row',
          /^Row 1 .*two_rows/,
        ],
        [
          'where a value is not of its type',
          '?features=not_a_number',
          `user_id,event_timestamp\nu9,${at}\nu1,${at}\n`,
          'wrong_type',
          /^Row 1 .*not_a_number/,
        ],
        ['of SQL over a table without a time', '?features=plan', `user_id,event_timestamp\nu1,${at}\n`, 'not_trainable', /plan/],
        [
          'of functions that never recorded and do not replay',
          '?features=scheduled',
          `user_id,event_timestamp\nu1,${at}\n`,
          'not_trainable',
          /scheduled/,
        ],
        ['of functions whose history is off', '?features=unrecorded', `user_id,event_timestamp\nu1,${at}\n`, 'not_trainable', /unrecorded/],
        [
          'of a function over a table without a time',
          '?features=plan_fn',
          `user_id,event_timestamp\nu1,${at}\n`,
          'feature_failed',
          /^Row 0 .*plan_fn/,
        ],
        [
          'as served of values that are never recorded',
          '?features=versus&as_served=true',
          `user_id,event_timestamp,amount\nu1,${at},1\n`,
          'not_trainable',
          /versus/,
        ],
      ]
      test.each(refused)('%s', async (_what, query, body, code, message) => {
        const error = await errorOf(await train(query, body))
        expect(error.code as string).toBe(code)
        expect(error.message).toMatch(message)
        expect(error.message).not.toContain('secret')
        expect(error.message).not.toContain(project.path)
      })

      test('and nothing is left behind', async () => {
        const left = [...new Bun.Glob('**/fabra-training-*/**').scanSync({ cwd: project.path, dot: true })]
        expect(left).toEqual([])
      })
    })

    async function describeParquet(bytes: Uint8Array): Promise<{ columns: unknown[]; rows: unknown[][]; metadata: unknown }> {
      const path = join(project.path, `${crypto.randomUUID()}.parquet`)
      await Bun.write(path, bytes)
      const instance = await DuckDBInstance.create(':memory:')
      const connection = await instance.connect()
      await connection.run("SET TimeZone = 'UTC'")
      const read = async (sql: string) => (await connection.runAndReadAll(sql)).getRowsJson()
      const columns = (await read(`DESCRIBE SELECT * FROM '${path}'`)).map(([name, type]) => [name, type])
      const rows = await read(`SELECT * FROM '${path}'`)
      const metadata = (await read(`SELECT decode(value) FROM parquet_kv_metadata('${path}') WHERE decode(key) = 'fabra'`))[0]?.[0]
      connection.closeSync()
      instance.closeSync()
      return { columns, rows, metadata: metadata === undefined ? null : JSON.parse(String(metadata)) }
    }
  })
}
