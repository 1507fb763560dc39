/**
 * The examples in Python are those in TypeScript: the same keys and the same rows of labels get the same answers, served and trained.
 * `FABRA_TWIN_ROWS=1000` asks for more of them; `scripts/test --production` asks over PostgreSQL and Redis.
 */
import { afterAll, describe, expect, test } from 'bun:test'
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type App, openApp } from '../../src/app/app.ts'
import { readConfig } from '../../src/config/config.ts'
import { silentLogger } from '../../src/observability/logger.ts'
import { EXAMPLES } from '../examples/oracle.ts'
import { PATIENT } from '../support/patience.ts'
import { productionAddresses } from '../support/production-mode.ts'

const ROWS = Number(process.env['FABRA_TWIN_ROWS'] ?? 100)
const SEED = Number(process.env['FABRA_TWIN_SEED'] ?? 20_260_101)
/** After it nothing comes or goes in any window of any feature for a quarter of an hour, so it does not matter who is asked first. */
const QUIET: Readonly<Record<string, string>> = {
  basic_features: '2027-05-10T07:38:10Z',
  fraud_detection: '2027-05-10T07:38:10Z',
  recommendations: '2027-03-08T03:00:00Z',
  personalization: '2027-04-16T00:46:30Z',
}
const LANGUAGES = ['ts', 'py'] as const
const DAY = 86_400_000

type Row = Readonly<Record<string, string | number>>
type Answers = readonly Readonly<Record<string, unknown>>[]

interface Twin {
  readonly app: App
  read(features: readonly string[], rows: readonly Row[]): Promise<Answers>
  methods(features: readonly string[]): Promise<Readonly<Record<string, string | null>>>
  train(features: readonly string[], labels: readonly Row[]): Promise<Answers>
}

const folders: string[] = []
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

async function open(example: string, language: (typeof LANGUAGES)[number], now: number): Promise<Twin> {
  const folder = mkdtempSync(join(tmpdir(), 'fabra-twin-'))
  folders.push(folder)
  const file = `${example}.${language}`
  copyFileSync(join(EXAMPLES, file), join(folder, file))
  copyData(join(folder, 'data'), now)
  const { PATH, HOME } = process.env
  const env = { PATH, HOME, ...PATIENT, FABRA_DATA_DIR: join(folder, '.fabra'), ...(await productionAddresses(folder)) }
  const app = await openApp({
    files: [join(folder, file)],
    config: readConfig(env, { cwd: folder, terminal: false }),
    log: silentLogger,
    clockOffset: (now - Date.now()) * 1000,
  })
  const post = async (path: string, body?: string) => {
    const response = await app.fetch(
      new Request(`http://localhost${path}`, {
        method: 'POST',
        ...(body === undefined ? {} : { body, headers: { 'content-type': 'application/x-ndjson' } }),
      }),
    )
    const text = await response.text()
    if (!response.ok) throw new Error(`${file}: ${text}`)
    return text
  }
  const jsonLines = (rows: readonly Row[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join('')
  return {
    app,
    async read(features, rows) {
      const { results } = JSON.parse(await post('/v1/features', JSON.stringify({ features, rows }))) as { results: Answers }
      return results.map(({ entity, values, statuses, errors }) => ({ entity, values, statuses, errors }))
    },
    async methods(features) {
      const explained = JSON.parse(await post(`/v1/training-sets?features=${features}&explain=true`)) as {
        features: { feature: string; method: string | null }[]
      }
      return Object.fromEntries(explained.features.map(({ feature, method }) => [feature, method]))
    },
    async train(features, labels) {
      const text = await post(`/v1/training-sets?features=${features}&format=jsonl`, jsonLines(labels))
      return text
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line))
    },
  }
}

/** On a machine that is busy a function may miss its second, and its default or its error is served: then both are asked again. */
async function inTime(ask: () => Promise<readonly Answers[]>): Promise<readonly unknown[]> {
  for (let attempts = 1; ; attempts++) {
    const answers = await ask()
    const [ts, py] = answers.map((rows) => JSON.stringify(rows.map(({ statuses, errors }) => ({ statuses, errors }))))
    if (ts === py || attempts === 10) return answers.map(rounded)
  }
}

/** Of the payments, which go on for years, those of the time that is asked about. */
function copyData(folder: string, now: number): void {
  mkdirSync(folder)
  for (const name of ['page_views.parquet', 'purchases.jsonl']) copyFileSync(join(EXAMPLES, 'data', name), join(folder, name))
  const [head = '', ...lines] = readFileSync(join(EXAMPLES, 'data/transactions.csv'), 'utf8').trim().split('\n')
  const [from, to] = [now - 160 * DAY, now + DAY].map((time) => new Date(time).toISOString()) as [string, string]
  const near = lines.filter((line) => {
    const at = line.slice(line.lastIndexOf(',') + 1)
    return at > from && at < to
  })
  writeFileSync(join(folder, 'transactions.csv'), `${[head, ...near].join('\n')}\n`)
}

function randomly(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31
    return Math.floor((state / 2 ** 31) * below)
  }
}

/** What is said of each feature, but for how it is computed and the words about it. */
function promises({ serving }: App) {
  const { entities, features, featureSets } = serving().registry
  return {
    entities: [...entities.values()].map(({ name, key }) => ({ name, key })),
    features: [...features.values()].map(({ name, entity, columns, refresh, maxStaleness, inputs, defaults, keepWarm }) => {
      return { name, entity, columns, refresh, maxStaleness, inputs, defaults, keepWarm }
    }),
    featureSets: [...featureSets.values()].map(({ name, features: members }) => ({ name, features: members })),
  }
}

/** Sums of floats differ in the last digits with the order in which rows are read. */
function rounded(value: unknown): unknown {
  if (typeof value === 'number' && !Number.isInteger(value)) return Number(value.toPrecision(12))
  if (Array.isArray(value)) return value.map(rounded)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, rounded(part)]))
}

for (const [example, quiet] of Object.entries(QUIET)) {
  describe(`${example}:`, () => {
    test('the same answers in TypeScript and in Python', async () => {
      const now = Date.parse(quiet)
      const twins = [await open(example, 'ts', now), await open(example, 'py', now)] as const
      try {
        const [ts, py] = twins
        const random = randomly(SEED)
        expect(promises(py.app)).toEqual(promises(ts.app))
        const { entities, features: all } = ts.app.serving().registry
        for (const entity of entities.values()) {
          const prefix = entity.name.charAt(0).toLowerCase()
          const own = [...all.values()].filter((feature) => feature.entity === entity.name)
          const features = own.map(({ name }) => name)
          const rows = Array.from({ length: ROWS }, () => ({
            [entity.key[0]?.name ?? '']: `${prefix}${random(60)}`,
            ...(own.some(({ inputs }) => 'amount' in inputs) ? { amount: random(100_000) / 100 } : {}),
          }))
          const answers = await inTime(async () => [await ts.read(features, rows), await py.read(features, rows)])
          expect(answers[1]).toEqual(answers[0])

          const methods = [await ts.methods(features), await py.methods(features)] as const
          const recomputed = features.filter((name) => methods.every((one) => one[name] === 'recompute' || one[name] === 'replay'))
          const past = rows.map((row) => ({ ...row, event_timestamp: new Date(now - random(120 * DAY)).toISOString() }))
          // What is only recorded is asked for after it was served; before, there is nothing.
          const recorded = features.filter((name) => methods.every((one) => one[name] !== null))
          const after = rows
            .slice(0, Math.ceil(ROWS / 5))
            .map((row) => ({ ...row, event_timestamp: new Date(now + 14 * 60_000).toISOString() }))
          expect(recomputed.length).toBeGreaterThan(0)
          for (const [names, labels] of [
            [recomputed, past],
            [recorded, after],
          ] as const) {
            const sets = [await ts.train(names, labels), await py.train(names, labels)].map(rounded)
            expect(sets[1]).toEqual(sets[0])
          }
        }
      } finally {
        for (const { app } of twins) await app.close()
      }
    }, 600_000)
  })
}
