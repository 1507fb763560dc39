import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { architectureViolations } from './support/architecture.ts'
import { temporaryFolder } from './support/binary.ts'

test('src keeps to the import table', () => {
  expect(architectureViolations(join(import.meta.dir, '../src'))).toEqual([])
})

describe('the check of the import table goes red when', () => {
  let root = ''
  beforeAll(() => {
    root = temporaryFolder()
  })
  afterAll(() => rmSync(root, { recursive: true, force: true }))

  const breaches: [what: string, file: string, text: string][] = [
    ['definition imports a store', 'definition/a.ts', "import { x } from '../store/ports/online-store.ts'"],
    ['definition does input and output', 'definition/a.ts', "import { readFileSync } from 'node:fs'"],
    ['one job imports another', 'serving/a.ts', "import { x } from '../refresh/b.ts'"],
    ['a job imports an adapter, for a type alone', 'training/a.ts', "import type { X } from '../store/duckdb/b.ts'"],
    ['a type is imported among values', 'ingest/a.ts', "import { type X } from '../http/b.ts'"],
    ['a type is named in place', 'compute/a.ts', "type X = import('../serving/b.ts').X"],
    ['a type is exported again', 'compute/a.ts', "export type { X } from '../serving/b.ts'"],
    ['a module is loaded late', 'serving/a.ts', "await import('../app/app.ts')"],
    ['one technology imports another', 'store/redis/a.ts', "import { x } from '../memory/b.ts'"],
    ['a driver leaves its room', 'serving/a.ts', "import { Redis } from 'ioredis'"],
    ['elysia leaves http', 'app/app.ts', "import { Elysia } from 'elysia'"],
    ['the page imports code of the server', 'ui/a.ts', "import { FabraError } from '../errors.ts'"],
    ['a package has no room', 'compute/a.ts', "import leftPad from 'left-pad'"],
    ['a port imports what is recorded', 'store/ports/a.ts', "import { x } from '../recording/b.ts'"],
    ['a file lies in no room', 'utils/a.ts', 'export const x = 1'],
    ['the environment is read elsewhere', 'store/duckdb/a.ts', 'export const x = process.env.HOME'],
    ['the environment is read through Bun', 'cli/a.ts', "export const x = Bun.env['HOME']"],
    ['the environment is taken apart', 'cli/a.ts', 'export const { env } = process'],
    ['the process ends elsewhere', 'cli/a.ts', 'process.exit(1)'],
    ['a file grows too long', 'compute/a.ts', '\n'.repeat(301)],
    ['a function grows too long', 'compute/a.ts', `export function long(): void {\n${'  step()\n'.repeat(60)}}`],
    [
      'a method grows too long',
      'compute/a.ts',
      `export class Long {\n  async take(a: number): Promise<void> {\n${'    step()\n'.repeat(60)}  }\n}`,
    ],
    ['a function in a variable grows too long', 'compute/a.ts', `export const long = async ({ a }: X) => {\n${'  step()\n'.repeat(60)}}`],
    ['a factory grows too long', 'compute/a.ts', `export function create() {\n${'  step()\n'.repeat(120)}  return {\n  }\n}`],
    ['a file imports itself through another', 'compute/a.ts', "import type { X } from './a.ts'"],
  ]
  test.each(breaches)('%s', (_what, file, text) => {
    expect(violationsOf(root, file, text)).toHaveLength(1)
  })

  test('and stays green for what is allowed, and for words in comments and strings', () => {
    const text = [
      "import { FabraError } from '../errors.ts'",
      "import type { Feature } from '../definition/model.ts'",
      "import { x } from '../compute/sql/sql-executor.ts'",
      "// process.exit(1) and process.env, import y from 'left-pad', import('left-pad')",
      "export const example = `import { z } from 'left-pad'`",
      'process.exitCode = 1',
      "export const hint = 'process.exit() is refused'",
    ]
    expect(violationsOf(root, 'serving/a.ts', text.join('\n'))).toEqual([])
  })
})

function violationsOf(root: string, file: string, text: string): string[] {
  const path = join(root, file)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
  const violations = architectureViolations(root)
  rmSync(path)
  return violations
}
