import { expect, setDefaultTimeout, test } from 'bun:test'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { temporaryFolder } from './support/binary.ts'

setDefaultTimeout(180_000)

const SCRIPT = join(import.meta.dir, '../scripts/run-tests.ts')
const PASSING = "import { expect, test } from 'bun:test'\ntest('one', () => expect(1).toBe(1))\ntest('two', () => expect(2).toBe(2))\n"
const FAILING = "import { expect, test } from 'bun:test'\ntest('no', () => expect(1).toBe(2))\n"

/** What the script says of these test files: its last line, and its exit code. */
function verdict(files: Readonly<Record<string, string>>): { lastLine: string | undefined; exitCode: number } {
  const folder = temporaryFolder()
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  const paths = Object.keys(files).map((name) => join(folder, name))
  const result = Bun.spawnSync([process.execPath, SCRIPT, ...paths])
  rmSync(folder, { recursive: true, force: true })
  return { lastLine: result.stdout.toString().trimEnd().split('\n').at(-1), exitCode: result.exitCode }
}

test('a run of the tests ends with a line that counts what passed and what failed', () => {
  expect(verdict({ 'a.test.ts': PASSING })).toEqual({ lastLine: '2 passed, 0 failed', exitCode: 0 })
  expect(verdict({ 'a.test.ts': PASSING, 'b.test.ts': FAILING })).toEqual({ lastLine: '2 passed, 1 failed', exitCode: 1 })
})

test('a test file that cannot be loaded is a failure', () => {
  const broken = "import './nothing-here.ts'\n"
  expect(verdict({ 'a.test.ts': PASSING, 'b.test.ts': broken })).toEqual({ lastLine: '2 passed, 1 failed', exitCode: 1 })
})

test('a run that dies, and one in which no test runs, is a failure', () => {
  const dying = "import { test } from 'bun:test'\ntest('ends', () => process.exit(0))\n"
  expect(verdict({ 'a.test.ts': dying })).toEqual({ lastLine: '0 passed, 1 failed', exitCode: 1 })
  expect(verdict({ 'a.test.ts': 'export {}\n' })).toEqual({ lastLine: '0 passed, 1 failed', exitCode: 1 })
})
