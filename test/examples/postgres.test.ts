import { afterAll, beforeAll, expect, test } from 'bun:test'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SQL } from 'bun'
import { type RunningFabra, runFabra, startFabra, temporaryFolder } from '../support/binary.ts'
import { startPostgres, type TestServer } from '../support/servers.ts'
import { EXAMPLES, get, START_LIMIT_MS } from './oracle.ts'

const FOLDER = join(EXAMPLES, 'postgres')
const FILE = join(FOLDER, 'features.ts')
const [FIRST, SECOND, THIRD] = [
  ...['0f8f2a4e-3c1d-4b7a-9a55-6d2c1e0b7a01', '5b1e9c70-8a44-4f0e-b1c2-7e3d4f5a6b02', 'c2d3e4f5-0617-4829-9abc-def012345603'],
] as const

let server: TestServer
let fabra: RunningFabra
let checked: Awaited<ReturnType<typeof runFabra>>

beforeAll(async () => {
  server = await startPostgres()
  const sql = new SQL(server.url, { max: 1 })
  for (const name of ['schema.sql', 'rows.sql']) await sql.unsafe(readFileSync(join(FOLDER, name), 'utf8'))
  await sql.close()
  checked = await runFabra(['check', FILE, '--against', server.url])
  // Half an hour before the last order of the first customer, in the summer time that had begun that night.
  fabra = await startFabra({ file: FILE, args: ['--clock', '2026-03-29T11:00:00Z'], env: address() })
}, START_LIMIT_MS)

afterAll(async () => {
  await fabra?.stop()
  await server?.[Symbol.asyncDispose]()
})

const address = () => ({ FABRA_POSTGRES_URL: server.url })

test('passes the check before anything of Fabra is in the database', () => {
  expect(checked).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/\n6 features, 2 sources, no problems\n$/) })
})

test('keys are uuids however they are written, money is exact, and times are those of Berlin', async () => {
  expect((await get(fabra, 'spend', FIRST)).value).toEqual({ total_30d: 120.1, order_count_30d: 1 })
  expect((await get(fabra, 'spend', FIRST.toUpperCase())).value).toEqual({ total_30d: 120.1, order_count_30d: 1 })
  // 01:59:59 was the last second of winter time.
  expect((await get(fabra, 'minutes_since_order', SECOND)).value).toBeCloseTo(600, 0)
  expect((await get(fabra, 'minutes_since_order', FIRST)).value).toBeCloseTo(30, 0)
})

test('an enum is a text and jsonb is what it holds', async () => {
  expect((await get(fabra, 'last_order_state', FIRST)).value).toBe('refunded')
  expect((await get(fabra, 'last_basket', FIRST)).value).toEqual({ lines: [{ sku: 'cup', n: 1 }] })
  expect((await get(fabra, 'cups_ordered', FIRST)).value).toBe(5)
  expect((await get(fabra, 'country', SECOND)).value).toBe('FR')
})

test('who has not ordered has the defaults, and what is no uuid is refused', async () => {
  expect(await get(fabra, 'last_order_state', THIRD)).toMatchObject({ value: 'none', status: 'default' })
  expect(await get(fabra, 'last_basket', THIRD)).toMatchObject({ value: { lines: [] }, status: 'default' })
  expect((await get(fabra, 'spend', THIRD)).value).toEqual({ total_30d: 0, order_count_30d: 0 })
  const refused = await fetch(`${fabra.url}/v1/features/spend?entity_id=u1`)
  expect(refused.status).toBe(422)
})

test('the line to paste shows a customer of the table', () => {
  expect(fabra.stdout()).toContain(`/v1/features/spend?entity_id=${FIRST}'`)
})

test('trains as of the time of each label', async () => {
  const folder = temporaryFolder()
  const labels = [
    [FIRST, '2026-03-28T07:30:00Z'],
    [FIRST, '2026-03-29T10:45:00Z'],
    [SECOND, '2026-03-29T00:59:59Z'],
    [SECOND, '2026-03-29T01:00:00Z'],
    [THIRD, '2026-03-29T11:00:00Z'],
  ]
  writeFileSync(join(folder, 'labels.csv'), `customer_id,event_timestamp\n${labels.map((row) => row.join(',')).join('\n')}\n`)
  const trained = await runFabra(['train', 'labels.csv', '--features', 'checkout_v1', '-o', 'train.jsonl', '-f', FILE], {
    cwd: folder,
    env: address(),
  })
  expect(trained).toMatchObject({ exitCode: 0 })
  const rows = readFileSync(join(folder, 'train.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  rmSync(folder, { recursive: true })
  expect(rows.map((row) => [row['spend.total_30d'], row['last_order_state'], row['cups_ordered'], row['country']])).toEqual([
    [19.9, 'paid', 0, 'DE'],
    [120.1, 'refunded', 5, 'DE'],
    [0, 'none', 0, 'FR'],
    [9.99, 'paid', 0, 'FR'],
    [0, 'none', 0, 'DE'],
  ])
})
