/** `fabra train` killed in the middle, and run again. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { builtBinary, type RunningFabra, runFabra, startFabra, temporaryFolder } from '../support/binary.ts'
import { until } from '../support/until.ts'

/** A part is kept after three seconds, when a thousand calls are done: that takes longer, and the rest takes a while. */
const ROWS = 1_500
const CALL_MS = 450
/** Of notes of calls, a number a line: behind some 1,250 of them a run that is to be killed waits for that. */
const LAST_BYTES = 5_300
/** A run that is not to be killed need not be slow. */
const AT_ONCE = { FABRA_TEST_CALL_MS: '0' }
const FEATURES = `
import { appendFileSync, statSync } from "node:fs";
import { entity, feature, source } from "fabra";
export const User = entity("User", { key: "user_id" });
export const transactions = source("transactions", { timestamp: "created_at", file: "./tx.csv" });
export const seen = feature({ entity: User, refresh: "5m", type: "int",
  sql: "SELECT COUNT(*) FROM transactions WHERE user_id = $user_id" });
export const slow = feature({ entity: User, refresh: 0, type: "int", inputs: { row: "int" } }, async (user, { inputs }) => {
  const calls = process.env.FABRA_TEST_CALLS ?? "calls";
  appendFileSync(calls, inputs.row + "\\n");
  const isLast = process.env.FABRA_TEST_CALL_MS === undefined && statSync(calls).size > ${LAST_BYTES};
  await new Promise((resolve) => setTimeout(resolve, isLast ? 600_000 : Number(process.env.FABRA_TEST_CALL_MS ?? ${CALL_MS})));
  return inputs.row;
});
`
const COMMAND = ['train', 'labels.csv', '--features', 'seen,slow', '-o', 'train.csv', '--json']
const LIMIT_MS = 120_000
/** With PostgreSQL nothing is kept. */
const LAPTOP = { FABRA_POSTGRES_URL: undefined, FABRA_REDIS_URL: undefined }

let cwd: string
beforeAll(() => {
  cwd = temporaryFolder()
  writeFileSync(join(cwd, 'features.ts'), FEATURES)
  writeFileSync(join(cwd, 'tx.csv'), 'user_id,created_at\nu1,2026-01-01T00:10:00Z\nu2,2026-01-01T00:30:00Z\n')
  const rows = Array.from({ length: ROWS }, (_, i) => `u${i % 5},2026-01-01T${String(i % 24).padStart(2, '0')}:20:00Z,${i}\n`)
  writeFileSync(join(cwd, 'labels.csv'), `user_id,event_timestamp,row\n${rows.join('')}`)
})
afterAll(() => rmSync(cwd, { recursive: true, force: true }))

const calls = (name: string) => {
  try {
    return readFileSync(join(cwd, name), 'utf8').split('\n').slice(0, -1).map(Number)
  } catch {
    return []
  }
}
const keptParts = () => {
  const folder = join(cwd, '.fabra', 'training')
  try {
    return readdirSync(folder).flatMap((set) => readdirSync(join(folder, set)).filter((name) => name.endsWith('.parquet')))
  } catch {
    return []
  }
}

/** Until something is kept that the process is then killed after. */
async function killed(callsFile: string): Promise<void> {
  await using child = Bun.spawn([builtBinary(), ...COMMAND], {
    cwd,
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], FABRA_TEST_CALLS: callsFile, NO_COLOR: '1' },
    stdio: ['ignore', 'ignore', 'ignore'],
  })
  await until('a kept part', 60_000, async () => {
    if (child.exitCode !== null) throw new Error(`It ended with ${child.exitCode} before it was killed.`)
    return keptParts().length > 0 ? true : undefined
  })
  child.kill('SIGKILL')
  await child.exited
}

interface TrainReport {
  readonly resumed: number
  readonly dataset_hash: string
}

async function trained(callsFile: string, args: readonly string[] = []): Promise<TrainReport> {
  const made = await runFabra([...COMMAND, ...args], {
    cwd,
    env: { ...LAPTOP, ...AT_ONCE, FABRA_TEST_CALLS: callsFile },
    timeoutMs: 60_000,
  })
  expect(made).toMatchObject({ exitCode: 0 })
  return JSON.parse(made.stdout) as TrainReport
}

let whole: TrainReport
test(
  'a set that was killed goes on where it was, calls no function twice for what was kept, and is the same set',
  async () => {
    whole = await trained('calls-whole')
    const text = await Bun.file(join(cwd, 'train.csv')).text()
    await killed('calls-killed')
    const resumed = await trained('calls-resumed')
    expect(resumed.resumed).toBeGreaterThan(100)
    // What is not called again had been called before the kill.
    const before = new Set(calls('calls-killed'))
    const left = new Set(calls('calls-resumed'))
    expect(Array.from({ length: ROWS }, (_, i) => i).filter((i) => !left.has(i) && !before.has(i))).toEqual([])
    // The query's values may have been kept, too.
    expect([ROWS - resumed.resumed, 2 * ROWS - resumed.resumed]).toContain(left.size)
    expect(resumed.dataset_hash).toBe(whole.dataset_hash)
    expect(await Bun.file(join(cwd, 'train.csv')).text()).toBe(text)
    expect(keptParts()).toEqual([])
  },
  LIMIT_MS,
)

let fabra: RunningFabra | undefined
test(
  'a row that a source was given in between is in the set: nothing is taken over; nor is a key, once it is forgotten',
  async () => {
    await killed('calls-source')
    fabra = await startFabra({ file: 'features.ts', cwd, env: { ...LAPTOP, ...AT_ONCE, FABRA_TEST_CALLS: 'calls-server' } })
    try {
      await fetch(`${fabra.url}/v1/sources/transactions/rows`, {
        method: 'POST',
        body: '{"rows":[{"user_id":"u1","created_at":"2026-01-01T00:05:00Z"}]}',
      })
      const other = await trained('calls-unused')
      expect(new Set(calls('calls-server')).size).toBe(ROWS)
      expect({ resumed: other.resumed, same: other.dataset_hash === whole.dataset_hash }).toEqual({ resumed: 0, same: false })
      await fabra.stop()
      await killed('calls-forgotten')
      fabra = await startFabra({ file: 'features.ts', cwd, env: LAPTOP })
      expect(await (await fetch(`${fabra.url}/v1/entities/User/u1`, { method: 'DELETE' })).json()).toMatchObject({ history_rows: 0 })
      expect(keptParts()).toEqual([])
    } finally {
      await fabra.stop()
    }
  },
  LIMIT_MS,
)
