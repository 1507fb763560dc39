import { afterAll, beforeAll, expect, test } from 'bun:test'
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { tableFromIPC } from 'apache-arrow'
import { type RunningFabra, runFabra, startFabra, temporaryFolder } from '../support/binary.ts'

const START_LIMIT_MS = 60_000
const FEATURES = `
import { entity, feature, source } from "fabra";
export const User = entity("User", { key: "user_id" });
export const transactions = source("transactions", { timestamp: "created_at", file: "./tx.csv" });
export const count_1h = feature({ entity: User, refresh: "5m", type: "int",
  sql: "SELECT COUNT(*) FROM transactions WHERE user_id = $user_id AND created_at > NOW() - INTERVAL '1 hour'" });
export const doubled = feature({ entity: User, refresh: 0, type: "int" }, async (user, { get }) => 2 * (await get("count_1h")));
export const fails = feature({ entity: User, refresh: 0, type: "int" }, async (user) => { if (user === "u2") throw new Error("no"); return 1; });
`
const LABELS = 'user_id,event_timestamp,label\nu1,2026-01-01T01:00:00Z,1\nu2,2026-01-01T01:00:00Z,0\nu1,2026-01-01T00:30:00Z,1\n'
const TRAINED =
  'user_id,event_timestamp,label,count_1h,doubled\nu1,2026-01-01T01:00:00Z,1,2,4\nu2,2026-01-01T01:00:00Z,0,1,2\nu1,2026-01-01T00:30:00Z,1,1,2\n'

let cwd: string
let fabra: RunningFabra
beforeAll(async () => {
  cwd = temporaryFolder()
  writeFileSync(join(cwd, 'features.ts'), FEATURES)
  writeFileSync(
    join(cwd, 'tx.csv'),
    'user_id,created_at\nu1,2026-01-01T00:10:00Z\nu1,2026-01-01T00:30:00Z\nu2,2026-01-01T00:40:00Z\nu2,2026-01-01T01:00:00Z\n',
  )
  writeFileSync(join(cwd, 'labels.csv'), LABELS)
  fabra = await startFabra({ file: 'features.ts', cwd })
}, START_LIMIT_MS)
afterAll(async () => {
  await fabra?.stop()
  rmSync(cwd, { recursive: true, force: true })
})

test('one curl is enough: labels as the body, the training set as the answer', async () => {
  const response = await fetch(`${fabra.url}/v1/training-sets?features=count_1h,doubled&format=csv`, { method: 'POST', body: LABELS })
  expect({ status: response.status, text: await response.text() }).toEqual({ status: 200, text: TRAINED })
})

test('while a server holds the data folder, the command asks it, and the files are where the command was run', async () => {
  const made = await runFabra(['train', 'labels.csv', '--features', 'count_1h,doubled', '-o', 'train.csv', '--explain'], { cwd })
  expect(made).toMatchObject({ exitCode: 0, stdout: `${join(cwd, 'train.csv')}\n` })
  expect(made.stderr).toMatch(/count_1h +recompute[\s\S]*doubled +replay/)
  expect(await Bun.file(join(cwd, 'train.csv')).text()).toBe(TRAINED)
  expect(await Bun.file(join(cwd, 'train.csv.metadata.json')).json()).toMatchObject({
    rows: 3,
    features: [{ feature: 'count_1h' }, { feature: 'doubled' }],
  })
})

test('a file goes through all formats and comes back the same', async () => {
  const sql = "SELECT 'u1' AS user_id, TIMESTAMPTZ '2026-01-01T01:00:00Z' AS event_timestamp, 1 AS label"
  for (const [labels, features, output] of [
    [['--labels-sql', sql], 'fails', 'a.parquet'],
    [['a.parquet'], 'doubled', 'b.jsonl'],
    [['b.jsonl'], 'count_1h', 'c.csv'],
  ] as const) {
    expect(await runFabra(['train', ...labels, '--features', features, '-o', output, '--json'], { cwd })).toMatchObject({ exitCode: 0 })
  }
  expect(await Bun.file(join(cwd, 'b.jsonl')).text()).toBe(
    '{"user_id":"u1","event_timestamp":"2026-01-01T01:00:00Z","label":1,"fails":1,"doubled":4}\n',
  )
  expect(await Bun.file(join(cwd, 'c.csv')).text()).toBe(
    'user_id,event_timestamp,label,fails,doubled,count_1h\nu1,2026-01-01T01:00:00Z,1,1,4,2\n',
  )
})

test('the executable writes Arrow files, for a request and for the command', async () => {
  const response = await fetch(`${fabra.url}/v1/training-sets?features=count_1h&format=arrow`, { method: 'POST', body: LABELS })
  expect(response.headers.get('content-type')).toBe('application/vnd.apache.arrow.file')
  expect(await runFabra(['train', 'labels.csv', '--features', 'count_1h', '-o', 'train.arrow'], { cwd })).toMatchObject({ exitCode: 0 })
  for (const file of [await response.bytes(), await Bun.file(join(cwd, 'train.arrow')).bytes()]) {
    expect(tableFromIPC(file).getChild('count_1h')?.toArray()).toEqual(new BigInt64Array([2n, 1n, 1n]))
  }
  expect(existsSync(join(cwd, 'train.arrow.metadata.json'))).toBe(false)
})

test('without an output the command tells what it would do, and does nothing', async () => {
  const before = readdirSync(cwd)
  const explained = await runFabra(['train', '--features', 'count_1h,fails', '--explain'], { cwd })
  expect(explained).toMatchObject({ exitCode: 0, stderr: '' })
  expect(explained.stdout).toMatch(
    /count_1h +recompute +\S.*SQL over sources[^\n]*\nfails +replay +the function, row by row +a realtime function/,
  )
  expect(readdirSync(cwd)).toEqual(before)
})

test('a failing row is named, nothing is written, and what was there stays', async () => {
  writeFileSync(join(cwd, 'kept.csv'), 'mine\n')
  const failed = await runFabra(['train', 'labels.csv', '--features', 'fails', '-o', 'kept.csv'], { cwd })
  expect(failed).toMatchObject({ exitCode: 1, stdout: '' })
  expect(failed.stderr).toContain('Row 1 of the labels')
  expect(await Bun.file(join(cwd, 'kept.csv')).text()).toBe('mine\n')
  expect(readdirSync(cwd).filter((name) => name.includes('kept'))).toEqual(['kept.csv'])
  expect(existsSync(join(cwd, 'kept.csv.metadata.json'))).toBe(false)
})

test('files that are no labels are told what they are', async () => {
  const foreign: readonly (readonly [string | Uint8Array, string])[] = [
    [Bun.gzipSync(LABELS), 'compressed (gzip)'],
    [Bun.zstdCompressSync(LABELS), 'compressed (zstd)'],
    [Buffer.from('PK\u0003\u0004…', 'latin1'), 'a zip or Excel file'],
    [Buffer.from(`\uFEFF${LABELS}`, 'utf16le'), 'text in UTF-16'],
    [new Uint8Array([1, 2, 3, 0, 4]), 'neither Parquet nor text'],
    ['[{"user_id":"u1","event_timestamp":"2026-01-01T01:00:00Z"}]', 'one JSON list'],
  ]
  for (const [body, what] of foreign) {
    const response = await fetch(`${fabra.url}/v1/training-sets?features=count_1h`, { method: 'POST', body })
    expect({ what, status: response.status, answer: await response.json() }).toMatchObject({
      status: 422,
      answer: { error: { code: 'invalid_labels', message: `The labels are ${what}.` } },
    })
  }
})

test('labels are never overwritten by their own training set, whatever they are called', async () => {
  writeFileSync(join(cwd, 'own.csv'), LABELS)
  symlinkSync(join(cwd, 'own.csv'), join(cwd, 'link.csv'))
  const spellings: readonly (readonly [labels: string, output: string])[] = [
    ['own.csv', 'own.csv'],
    ['own.csv', `./../${basename(cwd)}/own.csv`],
    ['own.csv', 'link.csv'],
    ['link.csv', 'own.csv'],
  ]
  for (const [labels, output] of spellings) {
    const refused = await runFabra(['train', labels, '--features', 'count_1h', '-o', output], { cwd })
    expect(refused).toMatchObject({ exitCode: 2, stdout: '' })
    expect(refused.stderr).toContain(`The labels would be overwritten: ${labels} and `)
  }
  renameSync(join(cwd, 'own.csv'), join(cwd, 'own.csv.metadata.json'))
  const beside = await runFabra(['train', 'own.csv.metadata.json', '--features', 'count_1h', '-o', 'own.csv'], { cwd })
  expect(beside.stderr).toContain('The labels would be overwritten: own.csv.metadata.json and ')
  expect(await Bun.file(join(cwd, 'own.csv.metadata.json')).text()).toBe(LABELS)
})

test('what cannot be written to or read from is told before any work', async () => {
  mkdirSync(join(cwd, 'folder.csv'))
  const train = async (labels: string, output: string) =>
    (await runFabra(['train', labels, '--features', 'count_1h', '-o', output], { cwd })).stderr
  expect(await train('folder.csv', 'x.csv')).toContain('folder.csv is a folder.')
  expect(await train('labels.csv', 'folder.csv')).toContain('folder.csv is a folder.')
  expect(await train('labels.csv', 'nowhere/x.csv')).toContain('There is no folder')
  expect(await train('/dev/null', 'x.csv')).toContain('/dev/null is no ordinary file.')
})
