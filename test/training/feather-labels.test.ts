import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { type App, openApp } from '../../src/app/app.ts'
import { readConfig } from '../../src/config/config.ts'
import { parseExact } from '../../src/definition/value.ts'
import { PATIENT_REDIS } from '../support/patience.ts'
import { type ProjectFolder, projectFolder } from '../support/project-folder.ts'

const FIXTURES = join(import.meta.dir, '../fixtures/labels')
const FEATURES = `
import { entity, feature, source } from "fabra";
export const User = entity("User", { key: "user_id" });
export const seen = source("seen", { timestamp: "created_at", file: "./seen.csv" });
export const visits = feature({ entity: User, refresh: "5m", type: "int", sql: "SELECT COUNT(*) FROM seen WHERE user_id = $user_id" });
`

let project: ProjectFolder
let app: App
beforeAll(async () => {
  project = projectFolder({
    'features.ts': FEATURES,
    'seen.csv': 'user_id,created_at\nu1,2026-01-01\nu1,2026-01-03T12:00:00Z\nü😀,2026-01-01\n',
  })
  const config = readConfig({ FABRA_LOG_LEVEL: 'silent' }, { cwd: project.path, terminal: false })
  const quiet = () => undefined
  const log = { debug: quiet, info: quiet, warn: quiet, error: quiet }
  app = await openApp({ files: [join(project.path, 'features.ts')], config, log, clockOffset: 0, redisTimes: PATIENT_REDIS })
}, 180_000)
afterAll(async () => {
  await app.close()
  project[Symbol.dispose]()
})

async function train(file: string | Uint8Array<ArrayBuffer>, format = 'jsonl', type = 'application/octet-stream') {
  const body = typeof file === 'string' ? new Uint8Array(await Bun.file(join(FIXTURES, file)).arrayBuffer()) : file
  const request = new Request(`http://localhost/v1/training-sets?features=visits&format=${format}`, {
    method: 'POST',
    body,
    headers: { 'content-type': type },
  })
  const response = await app.fetch(request)
  const bytes = new Uint8Array(await response.arrayBuffer())
  const text = Buffer.from(bytes).toString('utf8')
  return { status: response.status, bytes, text, rows: response.ok && format === 'jsonl' ? text.trim().split('\n').map(parseExact) : [] }
}

describe('labels in Feather', () => {
  test.each(['pandas-lz4', 'pandas-zstd', 'pandas-plain'])('of pandas, %s, come out as they went in', async (name) => {
    const { rows, text } = await train(`${name}.feather`)
    expect(text).toContain('"count":9007199254740993')
    expect(rows).toEqual([
      {
        user_id: 'u1',
        event_timestamp: '2026-01-02T02:04:05.123456Z',
        naive: expect.stringContaining('2026-01-02T03:04:05.123456'),
        segment: 'a',
        label: true,
        weight: 0.1,
        count: 9007199254740993n,
        visits: 1,
      },
      {
        user_id: 'ü😀',
        event_timestamp: '2026-01-02T23:00:00Z',
        naive: expect.stringContaining('2026-01-03T00:00:00'),
        segment: null,
        label: false,
        weight: null,
        count: null,
        visits: 1,
      },
      {
        user_id: 'u1',
        event_timestamp: '2026-01-03T23:00:00Z',
        naive: expect.stringContaining('2026-01-04T00:00:00'),
        segment: 'b',
        label: true,
        weight: 1e300,
        count: -5,
        visits: 2,
      },
    ])
  })

  test.each(['types.feather', 'stream.arrows'])('of every type, %s, keep it', async (name) => {
    const { bytes, status, text } = await train(name, 'parquet')
    expect({ status, text: status === 200 ? '' : text }).toEqual({ status: 200, text: '' })
    const path = join(project.path, `${name}.parquet`)
    await Bun.write(path, bytes)
    const engine = await DuckDBInstance.create(':memory:')
    const connection = await engine.connect()
    await connection.run("SET TimeZone = 'UTC'")
    const types = (await connection.runAndReadAll(`SELECT column_name, column_type FROM (DESCRIBE FROM '${path}')`)).getRows()
    const rows = (await connection.runAndReadAll(`SELECT COLUMNS(*)::VARCHAR FROM '${path}'`)).getRowObjects()
    engine.closeSync()
    expect(rows).toEqual([
      {
        user_id: 'u1',
        event_timestamp: '2026-01-02 03:04:05+00',
        i8: '-128',
        u64: '18446744073709551615',
        half: '1.5',
        single: '0.1',
        amount: '-1.05',
        day: '2026-01-02',
        day_ms: '2026-01-02',
        clock: '10:30:00.123456',
        ms: '2026-01-02 03:04:05.123',
        list: '[1,null,9007199254740993]',
        deep: '{"a":"x","b":[true]}',
        nothing: null,
        visits: '1',
      },
      {
        user_id: 'u2',
        event_timestamp: '2026-01-02 03:04:06+00',
        i8: null,
        u64: '0',
        half: '-0.25',
        single: null,
        amount: '123456789012345678901234567890123456.78',
        day: '1969-12-31',
        day_ms: null,
        clock: null,
        ms: '1969-12-31 23:59:59.999',
        list: '[]',
        deep: null,
        nothing: null,
        visits: '0',
      },
    ])
    expect(Object.fromEntries(types)).toMatchObject({
      i8: 'TINYINT',
      u64: 'UBIGINT',
      single: 'FLOAT',
      amount: 'DECIMAL(38,2)',
      day: 'DATE',
    })
  })

  test.each<[string, () => Promise<string | Uint8Array<ArrayBuffer>>, string]>([
    ['a decimal of 40 digits', async () => 'decimal40.feather', 'amount'],
    ['a file that is cut short', async () => (await Bun.file(join(FIXTURES, 'types.feather')).bytes()).slice(0, 1_000), 'cannot be read'],
    ['Feather of version 1', async () => new Uint8Array(Buffer.from('FEA1xxxxxxxxFEA1')), 'Feather of version 1'],
  ])('%s is refused in words', async (_, file, words) => {
    const { status, text } = await train(await file())
    expect(status).toBe(422)
    expect(text).toContain(words)
    expect(text).not.toContain(project.path)
  })
})
