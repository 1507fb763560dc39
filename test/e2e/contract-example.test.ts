/** The example of the product's contract, word for word (test/fixtures/contract), at a time when its data says something. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { cpSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type RunningFabra, runFabra, startFabra, temporaryFolder } from '../support/binary.ts'

const NOW = '2026-01-02T03:04:05Z'
let cwd = ''
let server: RunningFabra

beforeAll(async () => {
  cwd = temporaryFolder()
  cpSync(join(import.meta.dir, '../fixtures/contract'), cwd, { recursive: true })
  renameSync(join(cwd, 'features.ts.txt'), join(cwd, 'features.ts'))
  server = await startFabra({ cwd, file: 'features.ts', args: ['--clock', NOW] })
})
afterAll(async () => {
  await server.stop()
  rmSync(cwd, { recursive: true, force: true })
})

async function ask(path: string): Promise<Record<string, unknown>> {
  const response = await fetch(`${server.url}/v1/${path}`)
  expect(response.status).toBe(200)
  return (await response.json()) as Record<string, unknown>
}

test('fabra check finds nothing in it', async () => {
  expect(await runFabra(['check'], { cwd })).toMatchObject({
    ...{ exitCode: 0, stderr: '' },
    stdout: expect.stringMatching(/\n6 features, 1 source, no problems\n$/),
  })
})

// The transactions of u1 in the last hour are three; in the last 30 days 20 + 40 + 30 + 50 + 60.
const values: [path: string, value: unknown, status?: string][] = [
  ['transaction_count_1h?entity_id=u1', 3],
  ['transaction_count_1h?user_id=u2', 1],
  ['transaction_count_1h?entity_id=nobody', 0],
  ['spend?entity_id=u1', { total_30d: 200, avg_30d: 40 }],
  ['spend.total_30d?entity_id=u1', 200],
  ['spend.avg_30d?entity_id=nobody', null],
  ['user_velocity_1h?entity_id=u1', 3],
  ['amount_vs_usual?entity_id=u1&amount=85', 2.125],
  ['amount_vs_usual?entity_id=nobody&amount=85', 85],
  ['user_segment?entity_id=u1', 'regular'],
  ['churn_score?entity_id=u1', null, 'missing'],
]
for (const [path, value, status = 'fresh'] of values) {
  test(`${path} is ${JSON.stringify(value)}`, async () => {
    expect(await ask(`features/${path}`)).toMatchObject({ value, status })
  })
}

test('its feature set answers for several keys in the order asked', async () => {
  const body = { feature_set: 'fraud_v1', rows: [{ user_id: 'u2' }, { user_id: 'u1' }, { user_id: 'u2' }] }
  const response = await fetch(`${server.url}/v1/features`, { method: 'POST', body: JSON.stringify(body) })
  const { features, results } = (await response.json()) as { features: string[]; results: { entity: unknown; values: unknown[] }[] }
  expect(features).toEqual(['transaction_count_1h', 'spend.total_30d', 'spend.avg_30d', 'user_velocity_1h'])
  expect(results.map(({ entity, values }) => ({ entity, values }))).toEqual([
    { entity: { user_id: 'u2' }, values: [1, 10, 10, 1] },
    { entity: { user_id: 'u1' }, values: [3, 200, 40, 3] },
    { entity: { user_id: 'u2' }, values: [1, 10, 10, 1] },
  ])
})
