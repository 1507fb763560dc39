import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runCommand } from '../support/command.ts'

const LIMIT_MS = 180_000
const GOOD = `import { entity, feature, source } from "fabra"
export const User = entity("User", { key: "user_id" })
export const transactions = source("transactions", { timestamp: "created_at", file: "./transactions.csv" })
`
let cwd = ''

beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'fabra-check-test-'))
  writeFileSync(join(cwd, 'transactions.csv'), 'user_id,amount,created_at\nu1,2.5,2026-01-02T03:04:05Z\n')
})
afterEach(() => rmSync(cwd, { recursive: true, force: true }))

describe('fabra check', () => {
  test(
    'says how much it found when nothing is wrong and what is recorded of it, and leaves no trace',
    async () => {
      const n = 'feature({ entity: User, refresh: "5m", type: "int", sql: "SELECT COUNT(*) FROM transactions WHERE user_id = $user_id" })'
      const now = `export const now = feature({ entity: User, refresh: "5m", history: "all", type: "int" }, () => 1)`
      write('features.ts', `${GOOD}export const n = ${n}\n${now}`)
      const paragraphs = [
        'FEATURE  HISTORY\nn        recorded as it changes: the source "transactions" does not say when its rows arrived (available)',
        '2 features, 1 source, no problems\n',
      ]
      expect(await fabra('check')).toEqual({ exitCode: 0, stdout: paragraphs.join('\n\n'), stderr: '' })
      expect(readdirSync(cwd).sort()).toEqual(['features.ts', 'transactions.csv'])
    },
    LIMIT_MS,
  )

  test(
    'keeps to the width of a terminal, with every word, and to a line each where there is none',
    async () => {
      const n = 'feature({ entity: User, refresh: "5m", type: "int", sql: "SELECT COUNT(*) FROM transactions WHERE user_id = $user_id" })'
      const good = `${GOOD}export const a_feature_with_quite_a_long_name = ${n}`
      for (const code of [good, good.replace('FROM transactions', 'FROM transactions_that_are_nowhere_to_be_found')]) {
        write('features.ts', code)
        const { stdout: plain } = await fabra('check')
        const { stdout } = await runCommand(['check'], { cwd, env: {}, stdoutIsTerminal: true })
        expect(Math.max(...plain.split('\n').map((line) => line.length))).toBeGreaterThan(80)
        for (const line of stdout.split('\n')) expect(Bun.stringWidth(line)).toBeLessThanOrEqual(80)
        const words = (text: string) => text.split(/\s+/).toSorted()
        expect(words(stdout)).toEqual(words(plain))
      }
    },
    LIMIT_MS,
  )

  test(
    'tells once of ids that became floats, and refuses those that are none',
    async () => {
      const n = 'feature({ entity: User, refresh: "5m", type: "int", sql: "SELECT COUNT(*) FROM transactions WHERE user_id = $user_id" })'
      write('features.ts', `${GOOD}export const n = ${n}\nexport const m = ${n}`)
      write('transactions.csv', `user_id,created_at\n${'1.0,2026-01-02T03:04:05Z\n'.repeat(20)}`)
      const checked = await fabra('check')
      expect(checked.exitCode).toBe(0)
      expect(checked.stdout.match(/1\.0 is read as the id 1/g)).toHaveLength(1)
      expect(checked.stdout).toMatch(/^warning features\.ts:3:\d+\s+source "transactions": Column "user_id" is a key/)
      expect(checked.stdout).toEndWith('2 features, 1 source, no problems, 1 warning\n')
      write('transactions.csv', 'user_id,created_at\n1.0,2026-01-02T03:04:05Z\n,2026-01-02T03:04:05Z\n')
      const refused = await fabra('check')
      expect(refused.exitCode).toBe(1)
      expect(refused.stdout).toContain('line 3: column "user_id" is empty.')
      expect(refused.stdout).toContain('astype("Int64")')
    },
    LIMIT_MS,
  )

  test(
    'tells every problem at once, with its place and how to mend it',
    async () => {
      write(
        'features.ts',
        [
          `${GOOD}export const late = feature({ entity: User, refresh: "5 minuts", type: "int", sql: "SELECT 1" })`,
          'export const Bad = feature({ entity: User, refresh: "5m", type: "int", sql: "SELECT 1" })',
          'export const text: number = "x"',
        ].join('\n'),
      )
      const { exitCode, stdout } = await fabra('check')
      expect(exitCode).toBe(1)
      const places = stdout.match(/^features\.ts:\d+:\d+/gm)?.map((place) => place.split(':')[1])
      expect(places).toEqual(['4', '5', '6'])
      expect(stdout).toContain('"5 minuts" is not a duration')
      expect(stdout).toEndWith('\n\n3 problems\n')
    },
    LIMIT_MS,
  )

  test(
    'looks into the SQL: an unknown table and a parameter that is no key column',
    async () => {
      write(
        'features.ts',
        `${GOOD}export const n = feature({ entity: User, refresh: "5m", type: "int", sql: "SELECT COUNT(*) FROM transaction WHERE user_id = $user" })`,
      )
      const { exitCode, stdout } = await fabra('check')
      expect(exitCode).toBe(1)
      expect(stdout).toContain('transaction')
      expect(stdout).toContain('$user_id')
    },
    LIMIT_MS,
  )

  test(
    'looks into the files of sources',
    async () => {
      writeFileSync(join(cwd, 'transactions.csv'), 'user_id,amount\nu1,2.5\n')
      write(
        'features.ts',
        `${GOOD}export const n = feature({ entity: User, refresh: "5m", type: "int", sql: "SELECT COUNT(*) FROM transactions WHERE user_id = $user_id" })`,
      )
      const { exitCode, stdout } = await fabra('check')
      expect(exitCode).toBe(1)
      expect(stdout).toMatch(/^features\.ts:3:\d+ {2}source "transactions": .*created_at/)
    },
    LIMIT_MS,
  )

  test(
    'with --json gives the same for machines',
    async () => {
      write('a.ts', `${GOOD}export const late = feature({ entity: User, refresh: "5x", type: "int", sql: "SELECT 1" })`)
      const { exitCode, stdout } = await fabra('check', 'a.ts', '--json')
      expect(exitCode).toBe(1)
      expect(JSON.parse(stdout).problems).toEqual([
        {
          file: join(cwd, 'a.ts'),
          line: 4,
          column: expect.any(Number),
          subject: 'feature "late"',
          message: expect.stringContaining('5x'),
          hint: expect.any(String),
        },
      ])
    },
    LIMIT_MS,
  )

  test(
    'tells a slip of the pen, a folder and a text file once each',
    async () => {
      write('slip.ts', 'export const a = {')
      mkdirSync(join(cwd, 'folder'))
      write('notes.txt', 'no code')
      for (const name of ['slip.ts', 'folder', 'notes.txt']) {
        const { exitCode, stdout } = await fabra('check', name)
        expect({ name, exitCode, stdout }).toEqual({ name, exitCode: 1, stdout: expect.stringMatching(/\n\n1 problem\n$/) })
      }
    },
    LIMIT_MS,
  )

  test('a file that does not exist is misuse', async () => {
    write('features.ts', GOOD)
    const { exitCode, stderr } = await fabra('check', 'feature.ts')
    expect(exitCode).toBe(2)
    expect(stderr).toContain('Did you mean "features.ts"?')
  })

  test(
    'brings back the editor types of a project that was cloned',
    async () => {
      expect((await fabra('init', 'shop')).exitCode).toBe(0)
      rmSync(join(cwd, 'shop/.fabra'), { recursive: true })
      const { exitCode, stdout } = await fabra('check', 'shop/features.ts')
      expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: expect.stringMatching(/\n5 features, 1 source, no problems\n$/) })
      expect(existsSync(join(cwd, 'shop/.fabra/fabra.d.ts'))).toBe(true)
    },
    LIMIT_MS,
  )
})

function write(name: string, text: string): void {
  writeFileSync(join(cwd, name), text)
}

async function fabra(...args: string[]): Promise<{ exitCode: number; stdout: string; stderr: string }> {
  return runCommand(args, {
    cwd,
    env: {},
  })
}
