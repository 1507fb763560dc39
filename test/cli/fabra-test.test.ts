import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runCommand } from '../support/command.ts'
import { pythonSettings } from '../support/python.ts'

const LIMIT_MS = 120_000
const TYPESCRIPT = `import { entity, feature, source } from "fabra"
export const User = entity("User", { key: "user_id" })
export const payments = source("payments", { timestamp: "paid_at", file: "./data/payments.csv" })
export const spent_1h = feature({ entity: User, refresh: "5m", type: "float",
  sql: "SELECT SUM(amount) FROM payments WHERE user_id = $user_id AND paid_at > NOW() - INTERVAL '1 hour'" })
export const ratio = feature({ entity: User, refresh: 0, type: "json", inputs: { amount: "float" } },
  async (id, { get, inputs }) => ({ ratio: inputs.amount / ((await get<number>("spent_1h")) ?? 1), year: new Date().getFullYear() }))
`
const PYTHON = `from datetime import timedelta
from fabra import db, entity, feature, source
@entity
class User:
    user_id: str
source("payments", timestamp="paid_at")
@feature(entity=User, refresh=timedelta(minutes=5))
def count_1h(user_id: str) -> int:
    return db.query("SELECT COUNT(*) FROM payments WHERE user_id = %s AND paid_at > NOW() - INTERVAL '1 hour'", user_id)
`
const ROWS = [
  { user_id: 'u1', amount: 10, paid_at: '2020-01-02T00:30:00Z' },
  { user_id: 'u1', amount: 20, paid_at: '2020-01-02T00:40:00Z' },
  { user_id: 'u1', amount: 40, paid_at: '2020-01-02T01:40:00Z' },
]
const AT = '2020-01-02T01:00Z'
let cwd = ''

beforeAll(async () => {
  cwd = mkdtempSync(join(tmpdir(), 'fabra-test-test-'))
  mkdirSync(join(cwd, 'data'))
  await write('data/payments.csv', 'user_id,amount,paid_at\nu1,1000,2020-01-02T00:50:00Z\n')
  // Tests are the same whoever's settings lie there.
  await write('.env', 'FABRA_PORT=none\n')
  await write('features.ts', TYPESCRIPT)
  await write('features.py', PYTHON)
})
afterAll(() => rmSync(cwd, { recursive: true, force: true }))

describe('fabra test', () => {
  test(
    'takes the given rows for those of sources, at a time that stands still, in both languages',
    async () => {
      await golden('ts.golden.json', 'features.ts', [
        { feature: 'spent_1h', key: 'u1', value: 30 },
        { feature: 'spent_1h', key: 'u1', given: {}, value: null },
        { feature: 'spent_1h', key: { user_id: 'u1' }, at: '2020-01-02T02:00Z', value: 40 },
        { feature: 'ratio', key: ['u1'], inputs: { amount: 60 }, value: { year: 2020, ratio: 2 } },
      ])
      await golden('py.golden.jsonl', 'features.py', [{ feature: 'count_1h', key: 'u1', value: 2 }])
      await writeShown()
      const tested = await fabra('test')
      expect(tested.stderr).toStartWith('warn: feature "ratio" asks for the current time')
      expect(tested.stdout).toContain('passed  ts.golden.json case 4  ratio of ["u1"] at 2020-01-02T01:00Z\n')
      expect(tested.stdout).toEndWith('7 cases: 7 passed, 0 failed\n')
      expect(tested).toMatchObject({ exitCode: 0 })
    },
    LIMIT_MS,
  )

  test(
    'tells what was expected and what came, and what is wrong with a case; --update writes what came',
    async () => {
      await golden('bad.golden.json', 'features.ts', [
        { feature: 'spent_1h', key: 'u1', value: 31 },
        { feature: 'spent_1', key: 'u1' },
        { feature: 'spent_1h', key: { userid: 'u1' } },
        { feature: 'spent_1h', key: 'u1', given: { payment: [] } },
        { feature: 'spent_1h', key: 'u1', given: { payments: [{ ...ROWS[0], amout: 1 }] } },
        { feature: 'ratio', key: 'u1', inputs: { amount: 'many' } },
        { feature: 'spent_1h', key: 'u1', at: 'noon' },
      ])
      const tested = await fabra('test', 'bad.golden.json')
      expect(tested).toMatchObject({ exitCode: 1, stderr: '' })
      expect(tested.stdout).toContain('bad.golden.json case 1  spent_1h of "u1" at 2020-01-02T01:00Z\n    expected 31\n    came     30\n')
      expect([...tested.stdout.matchAll(/Did you mean "[^"]+"/g)].map(([found]) => found)).toEqual(
        ['spent_1h', 'user_id', 'payments', 'amount'].map((name) => `Did you mean "${name}"`),
      )
      expect(tested.stdout).toContain('Row 0: "payments" has no column "amout".')
      expect(tested.stdout).toContain('The input "amount"')
      expect(tested.stdout).toContain('invalid_time: "noon" is not a time')
      const updated = await fabra('test', 'bad.golden.json', '--update')
      expect(updated.stdout).toEndWith('7 cases: 0 passed, 6 failed, 1 updated\n')
      const written = await Bun.file(join(cwd, 'bad.golden.json')).json()
      expect(written.cases[0]).toEqual({ feature: 'spent_1h', key: 'u1', value: 30 })
      expect(written.given).toEqual({ payments: ROWS })
    },
    LIMIT_MS,
  )

  test('refuses what is no golden file, and tells where one is wrong', async () => {
    expect((await fabra('test', 'features.ts')).stderr).toContain('features.ts is no golden file')
    await write('odd.golden.json', JSON.stringify({ file: 'features.ts', cases: [{ feature: 'spent_1h', key: 'u1', at: AT, vlaue: 1 }] }))
    expect((await fabra('test', 'odd.golden.json')).stderr).toContain(
      'odd.golden.json case 1: "vlaue" is not known.\n  Did you mean "value"?',
    )
    await write('odd.golden.json', '{ "cases": [{}')
    expect((await fabra('test', 'odd.golden.json')).stderr).toContain('odd.golden.json: it is no JSON')
  })
})

async function golden(name: string, file: string, cases: readonly object[]): Promise<void> {
  const head = { file, at: AT, given: { payments: ROWS } }
  const text = name.endsWith('l') ? [head, ...cases].map((one) => JSON.stringify(one)).join('\n') : JSON.stringify({ ...head, cases })
  await write(name, text)
}

/** The golden file of the page about testing, over the example that it is about. */
async function writeShown(): Promise<void> {
  const project = join(import.meta.dir, '../..')
  const [, text = ''] = /^```json\n([\s\S]*?)^```/m.exec(await Bun.file(join(project, 'docs/testing.md')).text()) ?? []
  await write('shown/features.golden.json', text)
  await write('shown/features.ts', await Bun.file(join(project, 'examples/basic_features.ts')).text())
  await write('shown/data/transactions.csv', await Bun.file(join(project, 'examples/data/transactions.csv')).text())
}

async function write(name: string, text: string): Promise<void> {
  await Bun.write(join(cwd, name), text)
}

async function fabra(...args: string[]): Promise<{ exitCode: number; stdout: string; stderr: string }> {
  return runCommand(args, {
    cwd,
    env: pythonSettings().env,
  })
}
