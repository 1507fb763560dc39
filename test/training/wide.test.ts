import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { parseTime } from '../../src/definition/time.ts'
import { openDatabase } from '../../src/store/duckdb/connection/database.ts'
import { createDuckdbOfflineStore } from '../../src/store/duckdb/history/offline-store.ts'
import { createDuckdbTrainingStore } from '../../src/store/duckdb/training/training-store.ts'
import { startPostgres, type TestServer } from '../support/servers.ts'
import {
  executorOf,
  openPostgresTrainingBench,
  openTrainingBench,
  pushedRegistry,
  recorded,
  type TrainingBench,
  trainingBenchOf,
} from '../support/training-bench.ts'

const DAY = '2026-01-01T00:00:00Z'
const LATER = '2026-01-02T00:00:00Z'

let server: TestServer
beforeAll(async () => {
  server = await startPostgres()
}, 180_000)
afterAll(() => server[Symbol.asyncDispose]())

const ENGINES: readonly [string, number, () => Promise<TrainingBench>][] = [
  ['DuckDB', 130, () => openTrainingBench()],
  ['PostgreSQL, rows brought over', 120, () => openPostgresTrainingBench(server, 1e9)],
  ['PostgreSQL, rows looked up', 120, () => openPostgresTrainingBench(server, 0)],
]

for (const [where, count, open] of ENGINES) {
  test(`${count} features with recorded values are trained, each with its own (${where})`, async () => {
    const bench = await open()
    try {
      const names = Array.from({ length: count }, (_, i) => `f${i}`)
      const of = (i: number) => ({ type: 'int' as const, ...(i % 3 === 0 ? { defaults: ['-1'] } : {}) })
      const registry = pushedRegistry(Object.fromEntries(names.map((name, i) => [name, of(i)])))
      const at = parseTime(DAY)
      const keyed = (i: number) =>
        recorded({ feature: `f${i}`, fingerprint: fingerprintOf(i), entityKey: 'u1', value: String(i), eventAt: at })
      const fingerprintOf = (i: number) => registry.features.get(`f${i}`)?.fingerprint ?? ''
      // Those that end with 7 were never pushed.
      await bench.offline.append(names.flatMap((_, i) => (i % 10 === 7 ? [] : [keyed(i)])))
      const labels = ['u1', 'u2', 'u1'].map((user_id, n) => ({ user_id, event_timestamp: LATER, n }))
      const { rows } = await bench.train(registry, labels, { features: names, withStatus: true })
      expect(rows.map(({ user_id, n }) => [user_id, n])).toEqual(labels.map(({ user_id, n }) => [user_id, n]))
      for (const [i, name] of names.entries()) {
        const nothing = i % 3 === 0 ? -1 : null
        const known = i % 10 === 7 ? nothing : i
        expect([name, ...rows.map((row) => row[name])]).toEqual([name, known, nothing, known])
        const word = i % 3 === 0 ? 'default' : 'missing'
        expect(rows.map((row) => row[`${name}__status`])).toEqual([i % 10 === 7 ? word : 'fresh', word, i % 10 === 7 ? word : 'fresh'])
      }
    } finally {
      await bench.close()
    }
  }, 180_000)
}

describe('on the laptop,', () => {
  let bench: TrainingBench
  let folder: string
  beforeAll(async () => {
    bench = await openTrainingBench()
    folder = await mkdtemp(join(tmpdir(), 'fabra-wide-'))
  })
  afterAll(async () => {
    await bench.close()
    await rm(folder, { recursive: true, force: true })
  })

  const replayed = (count: number) => {
    const names = Array.from({ length: count }, (_, i) => `g${i}`)
    const computation = { kind: 'function' as const, file: 'features.ts', line: 1 }
    const registry = pushedRegistry(
      Object.fromEntries(names.map((name) => [name, { type: 'float', computation: computation as never, replay: true }])),
    )
    return { names, registry }
  }

  test('a wide set has the values and the order of narrow ones, whatever the format', async () => {
    const { names, registry } = replayed(24)
    const executor = executorOf(({ key }, feature) => {
      const value = Number(key.encoded) * 1000 + Number(feature.name.slice(1))
      return value % 7 === 0 ? { kind: 'missing' } : { kind: 'value', texts: [String(value)], oldestInputAt: null }
    })
    const labels = Array.from({ length: 600 }, (_, i) => ({ user_id: String((i * 7919) % 600), event_timestamp: LATER, i }))
    const hashes = new Set<string | null>()
    for (const format of ['jsonl', 'parquet', 'csv', 'arrow'] as const) {
      const { rows, report } = await bench.train(registry, labels, { features: names, format, parts: { executor } })
      hashes.add(report.datasetHash)
      if (format !== 'jsonl') continue
      expect(rows.map(({ i }) => i)).toEqual(labels.map(({ i }) => i))
      const wrong = rows.flatMap((row) =>
        names.filter((name) => {
          const value = Number(row['user_id']) * 1000 + Number(name.slice(1))
          return row[name] !== (value % 7 === 0 ? null : value)
        }),
      )
      expect(wrong).toEqual([])
    }
    expect(hashes.size).toBe(1)
  }, 180_000)

  const WIDE = 1_200
  /** Of the formats whose columns come with their types, fewer prove the same. */
  const LESS_WIDE = 500
  const columns = Array.from({ length: WIDE }, (_, i) => `c${i}`)
  const cellOf = (row: number, i: number) => [row * 10 + i, row + i + 0.5, i % 2 === row % 2, `t${row},${i}`][i % 4]
  const rowsOf = (width: number) =>
    [0, 1, 2].map((row) => ({
      user_id: `u${row}`,
      event_timestamp: LATER,
      ...Object.fromEntries(columns.slice(0, width).map((name, i) => [name, row === 1 && i % 5 === 0 ? null : cellOf(row, i)])),
    }))
  const wideRows = rowsOf(WIDE)
  const lessWide = rowsOf(LESS_WIDE)
  const asCsv = () => {
    const cell = (value: unknown) => (value === null ? '' : typeof value === 'string' && value.includes(',') ? `"${value}"` : String(value))
    const lines = wideRows.map((row) => Object.values(row).map(cell).join(','))
    return `${Object.keys(wideRows[0] ?? {}).join(',')}\n${lines.join('\n')}\n`
  }
  const asParquet = async () => {
    const path = join(folder, 'wide.parquet')
    await Bun.write(join(folder, 'wide.jsonl'), lessWide.map((row) => `${JSON.stringify(row)}\n`).join(''))
    const connection = await (await DuckDBInstance.create(':memory:')).connect()
    await connection.run(
      `COPY (FROM read_json('${folder}/wide.jsonl', map_inference_threshold = -1, columns = {user_id: 'VARCHAR', event_timestamp: 'VARCHAR', ${columns
        .slice(0, LESS_WIDE)
        .map((name, i) => `${name}: '${['BIGINT', 'DOUBLE', 'BOOLEAN', 'VARCHAR'][i % 4]}'`)
        .join(', ')}})) TO '${path}' (FORMAT parquet)`,
    )
    connection.closeSync()
    return path
  }

  for (const [format, given, labels] of [
    ['CSV', wideRows, asCsv],
    ['JSON', lessWide, () => lessWide],
    ['Parquet', lessWide, asParquet],
  ] as const) {
    test(`labels of ${given === wideRows ? WIDE : LESS_WIDE} columns keep every value and its type (${format})`, async () => {
      const { rows } = await bench.train(pushedRegistry({ f: {} }), await labels(), { features: ['f'] })
      expect(rows).toEqual(given.map((row) => ({ ...row, f: null })))
    }, 180_000)
  }

  test('of two columns with one name among thousands, the name is told', async () => {
    const labels = `user_id,event_timestamp,${columns.join(',')},C77\nu1,${LATER},${columns.map(() => '1').join(',')},2\n`
    await expect(bench.train(pushedRegistry({ f: {} }), labels, { features: ['f'] })).rejects.toThrow('two columns "C77"')
  })

  test('what does not fit into its memory says so, and names the setting', async () => {
    const database = await openDatabase({ file: ':memory:' })
    const store = createDuckdbTrainingStore(database, { memory: 3 * 1024 * 1024 })
    const small = trainingBenchOf(store, createDuckdbOfflineStore(database), () => database.close())
    try {
      const asked = small.train(pushedRegistry({ f: {} }), wideRows, { features: ['f'] })
      const error = await asked.then(
        () => undefined,
        (reason: unknown) => reason,
      )
      expect(error).toMatchObject({ code: 'out_of_memory', message: 'The training set does not fit into the 3MiB it may take.' })
      expect((error as { hint?: string }).hint).toContain('FABRA_TRAINING_MEMORY (now 3MiB)')
    } finally {
      await small.close()
    }
  })
})
