/** Every example runs in laptop mode and in production mode, over the same data at the same time, and gives the same answers. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { type App, openApp } from '../../src/app/app.ts'
import { readConfig } from '../../src/config/config.ts'
import { parseTime } from '../../src/definition/time.ts'
import type { EntityPage } from '../../src/http/wire.ts'
import { silentLogger } from '../../src/observability/logger.ts'
import { temporaryFolder } from '../support/binary.ts'
import { PATIENT, PATIENT_REDIS } from '../support/patience.ts'
import { type ProductionServers, startProduction } from '../support/production.ts'
import { until } from '../support/until.ts'

const EXAMPLES = join(import.meta.dir, '../../examples')
const LIMIT_MS = 120_000

/** Inputs are what functions ask for: further columns of requests and of labels. */
type Keys = readonly [column: string, values: readonly string[], inputs?: Readonly<Record<string, number>>]

interface Example {
  readonly file: string
  readonly present: string
  readonly keys: Readonly<Record<string, Keys>>
  /** Only these rows of its file: three million are the same question, asked longer. */
  readonly slice?: { readonly file: string; readonly where: string }
}

const users = ['u1', 'u2', 'u9', 'u17', 'u44', 'u99', 'nobody']
const examples: readonly Example[] = [
  { file: 'basic_features.ts', present: '2026-12-24T18:00:00Z', keys: { User: ['user_id', users, { amount: 250 }] } },
  {
    file: 'fraud_detection.ts',
    present: '2026-12-24T18:00:00Z',
    keys: { User: ['user_id', users, { amount: 1000 }], Merchant: ['merchant_id', ['m1', 'm2', 'm7', 'm30']] },
  },
  { file: 'recommendations.ts', present: '2026-12-24T18:00:00Z', keys: { User: ['user_id', users] } },
  { file: 'personalization.ts', present: '2026-12-24T18:00:00Z', keys: { User: ['user_id', users] } },
  {
    file: 'flights.ts',
    present: '2001-03-15T12:00:00Z',
    keys: { Airport: ['origin', ['ATL', 'ORD', 'LAX', 'JFK', 'ANC', 'XXX']] },
    slice: {
      file: '../node_modules/vega-datasets/data/flights-3m.parquet',
      // Those asked for, and one that is not.
      where: "date BETWEEN '2001-03-07' AND '2001-03-16' AND origin IN ('ATL', 'ORD', 'LAX', 'JFK', 'ANC', 'DFW')",
    },
  },
]

let servers: ProductionServers
beforeAll(async () => {
  servers = await startProduction()
}, LIMIT_MS)
afterAll(async () => {
  await servers[Symbol.asyncDispose]()
})

for (const example of examples) {
  describe(example.file, () => {
    const folders = [temporaryFolder(), temporaryFolder()]
    let laptop: App
    let production: App
    beforeAll(async () => {
      const file = example.slice ? await sliced(example.file, example.slice, folders[0] ?? '') : join(EXAMPLES, example.file)
      const open = async (folder: string | undefined, env: Readonly<Record<string, string>>) => {
        const config = readConfig({ ...PATIENT, FABRA_DATA_DIR: join(folder ?? '', '.fabra'), ...env }, { cwd: EXAMPLES, terminal: false })
        const clockOffset = parseTime(example.present) - Date.now() * 1000
        return openApp({ files: [file], config, log: silentLogger, clockOffset, redisTimes: PATIENT_REDIS })
      }
      laptop = await open(folders[0], {})
      production = await open(folders[1], await servers.fresh())
    }, LIMIT_MS)
    afterAll(async () => {
      await laptop?.close()
      await production?.close()
      for (const folder of folders) rmSync(folder, { recursive: true, force: true })
    })

    test('serves the same values', async () => {
      for (const [entity, [column, values, inputs]] of Object.entries(example.keys)) {
        const features = await featuresOf(laptop, entity)
        expect(features.length).toBeGreaterThan(0)
        const body = { features, rows: values.map((value) => ({ [column]: value, ...inputs })) }
        // Time runs on between the two: what differs once is asked again.
        const ask = async () => [await batch(laptop, body), await batch(production, body)]
        let [first, second] = await ask()
        for (let again = 0; again < 3 && !Bun.deepEquals(rounded(first), rounded(second)); again++) [first, second] = await ask()
        expect(rounded(second)).toEqual(rounded(first) ?? null)
      }
    })

    test('makes the same training set', async () => {
      for (const [entity, [column, values, inputs]] of Object.entries(example.keys)) {
        const features = (await featuresOf(laptop, entity)).filter((name) => name !== 'churn_score')
        const at = (hours: number) => new Date(Date.parse(example.present) - hours * 3_600_000).toISOString()
        const rows = values.flatMap((value, v) =>
          [0, 0.1, 5, 25, 200, 5000].map((hours, h) => ({
            [column]: value,
            event_timestamp: at(hours),
            ...inputs,
            label: v * 10 + h,
          })),
        )
        const body = { features, rows, format: 'csv' }
        const [first, second] = [await trainingSet(laptop, body), await trainingSet(production, body)]
        expect(first.split('\n').length).toBe(rows.length + 2)
        expect(cells(second)).toEqual(cells(first))
      }
    })

    // The page's time slider; of the flights ORD as of 2001-03-15T12:00Z.
    test('tells of the past of one key what its training set has', async () => {
      for (const [entity, [column, [, key = '']]] of Object.entries(example.keys)) {
        for (const app of [laptop, production]) {
          const past = await pastOf(app, `/v1/entities/${entity}/${key}?as_of=${example.present}`)
          expect(past.size).toBeGreaterThan(0)
          const rows = [{ [column]: key, event_timestamp: example.present }]
          const row = JSON.parse(await trainingSet(app, { features: [...past.keys()], rows, format: 'jsonl' })) as Record<string, unknown>
          const flat = [...past].flatMap(([name, value]) =>
            isRecord(value) && !(name in row) ? Object.entries(value).map(([part, one]) => [`${name}.${part}`, one]) : [[name, value]],
          )
          expect(rounded({ [column]: key, event_timestamp: row['event_timestamp'], ...Object.fromEntries(flat) })).toEqual(
            rounded(row) ?? null,
          )
        }
      }
    })
  })
}

/** Sums of floats depend on their order, in one engine too: floats agree to nine digits and more. Everything else is equal. */
function rounded(value: unknown): unknown {
  if (typeof value === 'number') return Number.isInteger(value) ? value : Number(value.toPrecision(10))
  if (Array.isArray(value)) return value.map(rounded)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, rounded(member)]))
}

function cells(csv: string): unknown[][] {
  return csv.split('\n').map((line) => line.split(',').map((cell) => (/^-?\d+\.\d+$/.test(cell) ? rounded(Number(cell)) : cell)))
}

/** The example over a part of its data. @returns path of the definitions. */
async function sliced(name: string, { file, where }: { readonly file: string; readonly where: string }, folder: string): Promise<string> {
  const part = join(folder, 'part.parquet')
  const instance = await DuckDBInstance.create(':memory:')
  const connection = await instance.connect()
  await connection.run(`COPY (SELECT * FROM '${join(EXAMPLES, file)}' WHERE ${where}) TO '${part}'`)
  connection.closeSync()
  instance.closeSync()
  const text = await Bun.file(join(EXAMPLES, name)).text()
  if (!text.includes(file)) throw new Error(`${name} does not name ${file}.`)
  writeFileSync(join(folder, name), text.replace(file, part))
  return join(folder, name)
}

async function featuresOf(app: App, entity: string): Promise<string[]> {
  const { features } = (await (await app.fetch(new Request('http://localhost/v1/features'))).json()) as {
    features: readonly { readonly name: string; readonly entity: string }[]
  }
  return features.filter((feature) => feature.entity === entity).map(({ name }) => name)
}

/** Values of all features that need no inputs, asked for until all of them are computed. */
async function pastOf(app: App, path: string): Promise<ReadonlyMap<string, unknown>> {
  const page = await until('the past of the key', LIMIT_MS, async () => {
    const answer = (await (await app.fetch(new Request(`http://localhost${path}`))).json()) as EntityPage
    return answer.pending === 0 ? answer : undefined
  })
  const trainable = page.features.filter((feature) => feature.needs_inputs === undefined && feature.error?.code !== 'not_trainable')
  expect(trainable.flatMap(({ feature, error }) => (error ? [feature, error] : []))).toEqual([])
  return new Map(trainable.map(({ feature, value }) => [feature, value]))
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

async function batch(app: App, body: object): Promise<unknown> {
  const answer = await post(app, '/v1/features', body)
  const { results, errors } = (await answer.json()) as { results: readonly { values: unknown; statuses: unknown }[]; errors?: unknown }
  return { results: results.map(({ values, statuses }) => ({ values, statuses })), errors }
}

async function trainingSet(app: App, body: object): Promise<string> {
  const answer = await post(app, '/v1/training-sets', body)
  const text = await answer.text()
  expect({ status: answer.status, text: answer.ok ? '' : text }).toEqual({ status: 200, text: '' })
  return text
}

function post(app: App, path: string, body: object): Promise<Response> {
  const headers = { 'content-type': 'application/json' }
  return app.fetch(new Request(`http://localhost${path}`, { method: 'POST', body: JSON.stringify(body), headers }))
}
