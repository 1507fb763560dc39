import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { Command } from 'commander'
import { checkProject } from '../../src/app/checked-definitions.ts'
import { initCommand } from '../../src/cli/commands/init.ts'
import { editorTypesText, restoreEditorTypes, writeEditorTypes } from '../../src/cli/editor-types.ts'
import { pythonSettingsOf } from '../../src/config/python-settings.ts'
import { FabraError } from '../../src/errors.ts'

const NOW = Date.UTC(2026, 10, 22, 3, 4, 5) * 1000
let cwd = ''

beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'fabra-init-'))
})
afterEach(() => rmSync(cwd, { recursive: true, force: true }))

describe('fabra init', () => {
  test('writes a project into a new folder and says what to run next', async () => {
    const { stdout } = await init(['shop'])
    expect(tree(join(cwd, 'shop'))).toEqual(['.fabra/fabra.d.ts', '.gitignore', 'data/transactions.csv', 'features.ts', 'tsconfig.json'])
    // Data comes there, too.
    expect(statSync(join(cwd, 'shop/.fabra')).mode & 0o077).toBe(0)
    expect(stdout).toContain('cd shop\n  fabra serve features.ts')
  })

  test('in Python, writes features that serve as they are', async () => {
    const { stdout } = await init(['shop', '--python'])
    expect(tree(join(cwd, 'shop'))).toEqual(['.gitignore', 'data/transactions.csv', 'features.py'])
    expect(readFileSync(join(cwd, 'shop/.gitignore'), 'utf8')).toContain('__pycache__/')
    expect(stdout).toContain('cd shop\n  fabra serve features.py')
    const place = { kind: 'duckdb', dataFile: join(cwd, 'none.duckdb') } as const
    const { registry, problems, warnings } = await checkProject([join(cwd, 'shop/features.py')], place, pythonSettingsOf(process.env))
    expect({ problems, warnings }).toEqual({ problems: [], warnings: [] })
    expect([...registry.features.values()].map(({ description }) => description?.split('.')[0])).toEqual([
      'Number of transactions in the last hour',
      'What the user usually spends, an hour old at most',
      'A function with `refresh=0`: computed in every request, always up to date',
      'A feature made of another feature and of something only the request knows: ?entity_id=u1&amount=250',
      'Neither query nor function: pushed from outside, a nightly model score for example',
    ])
  })

  test('without an argument uses the current folder', async () => {
    const { stdout } = await init([])
    expect(tree(cwd)).toContain('features.ts')
    expect(stdout).not.toContain('cd ')
  })

  test('takes an existing empty folder, a nested new one and one with a space', async () => {
    mkdirSync(join(cwd, 'empty'))
    await init(['empty'])
    await init(['a/b/c'])
    const { stdout } = await init(['my shop'])
    expect(tree(cwd).filter((file) => file.endsWith('features.ts'))).toEqual([
      'a/b/c/features.ts',
      'empty/features.ts',
      'my shop/features.ts',
    ])
    expect(stdout).toContain("cd 'my shop'")
  })

  test('never overwrites: names every file in the way and writes nothing', async () => {
    writeFileSync(join(cwd, 'features.ts'), 'mine')
    mkdirSync(join(cwd, 'data'))
    symlinkSync('/nowhere', join(cwd, 'data', 'transactions.csv'))
    const error = await refusal([])
    expect(error.code).toBe('file_exists')
    expect(error.message).toContain('features.ts, data/transactions.csv')
    expect(tree(cwd)).toEqual(['data/transactions.csv', 'features.ts'])
    expect(readFileSync(join(cwd, 'features.ts'), 'utf8')).toBe('mine')
  })

  test('a project that is there already keeps its own settings, and is told what to add to them', async () => {
    writeFileSync(join(cwd, '.gitignore'), 'node_modules/')
    writeFileSync(join(cwd, 'tsconfig.json'), '{}')
    const { stdout } = await init([])
    expect(readFileSync(join(cwd, '.gitignore'), 'utf8')).toBe('node_modules/')
    expect(readFileSync(join(cwd, 'tsconfig.json'), 'utf8')).toBe('{}')
    expect(tree(cwd)).toContain('features.ts')
    expect(stdout).toContain('Add a line ".fabra/"')
    expect(stdout).toContain('"paths": { "fabra": ["./.fabra/fabra.d.ts"] }')
  })

  test('refuses a file in place of the folder', async () => {
    writeFileSync(join(cwd, 'shop'), 'mine')
    expect((await refusal(['shop'])).code).toBe('file_exists')
  })

  test('leaves nothing behind when it fails half-way', async () => {
    writeFileSync(join(cwd, 'data'), 'a file where the folder should be')
    const error = await refusal([])
    expect(error.code).toBe('io_failed')
    expect(tree(cwd)).toEqual(['data'])
  })

  test('a second init in the same folder changes nothing', async () => {
    await init(['shop'])
    const before = readFileSync(join(cwd, 'shop/data/transactions.csv'), 'utf8')
    expect((await refusal(['shop'])).code).toBe('file_exists')
    expect(readFileSync(join(cwd, 'shop/data/transactions.csv'), 'utf8')).toBe(before)
  })

  test('with --json prints what it wrote', async () => {
    const { stdout } = await init(['shop'], { json: true })
    expect(JSON.parse(stdout)).toEqual({
      directory: join(cwd, 'shop'),
      files: ['features.ts', 'data/transactions.csv', 'tsconfig.json', '.gitignore', '.fabra/fabra.d.ts'],
      kept: [],
      next: ['cd shop', 'fabra serve features.ts'],
    })
  })
})

test('in the sample data u1 has a transaction in every hour from now until ten weeks later', async () => {
  await init([])
  const connection = await (await DuckDBInstance.create(':memory:')).connect()
  const reader = await connection.runAndReadAll(`
    WITH hours AS (SELECT UNNEST(RANGE(TIMESTAMPTZ '2026-11-22 03:04:05Z', TIMESTAMPTZ '2027-01-30 00:00:00Z', INTERVAL '7 minutes')) AS t),
    u1 AS (SELECT * FROM read_csv('${cwd}/data/transactions.csv') WHERE user_id = 'u1')
    SELECT COUNT(*)::INT AS hours, MIN(n)::INT AS least
    FROM (SELECT t, (SELECT COUNT(*) FROM u1 WHERE created_at < t AND created_at > t - INTERVAL '1 hour') AS n FROM hours)`)
  const [row] = reader.getRowObjects()
  expect(Number(row?.hours)).toBeGreaterThan(10_000)
  expect(Number(row?.least)).toBeGreaterThanOrEqual(2)
})

describe('the editor types', () => {
  test('come back when they are missing or outdated, and are left alone when current', async () => {
    await init([])
    const types = join(cwd, '.fabra/fabra.d.ts')
    rmSync(join(cwd, '.fabra'), { recursive: true })
    restoreEditorTypes(join(cwd, 'features.ts'))
    expect(readFileSync(types, 'utf8')).toBe(editorTypesText())
    writeFileSync(types, '// old')
    expect(writeEditorTypes(cwd)).toBe(true)
    expect(readFileSync(types, 'utf8')).toBe(editorTypesText())
    expect(writeEditorTypes(cwd)).toBe(false)
  })

  test('are not put into a folder that does not ask for them', () => {
    writeFileSync(join(cwd, 'features.ts'), '')
    writeFileSync(join(cwd, 'tsconfig.json'), '{}')
    restoreEditorTypes(join(cwd, 'features.ts'))
    expect(tree(cwd)).toEqual(['features.ts', 'tsconfig.json'])
  })

  test('a folder that cannot take them is no error', () => {
    writeFileSync(join(cwd, 'tsconfig.json'), '{"compilerOptions":{"paths":{"fabra":["./.fabra/fabra.d.ts"]}}}')
    writeFileSync(join(cwd, '.fabra'), 'a file in the way')
    expect(() => restoreEditorTypes(join(cwd, 'features.ts'))).not.toThrow()
  })
})

async function init(args: readonly string[], { json = false } = {}): Promise<{ stdout: string }> {
  let stdout = ''
  const program = new Command().exitOverride()
  initCommand(program, {
    stdout: (text) => {
      stdout += text
    },
    stderr: () => {},
    json,
    color: false,
    cwd,
    clock: { now: () => NOW },
    setExitCode: () => {},
  })
  await program.parseAsync(['init', ...args], { from: 'user' })
  return { stdout }
}

async function refusal(args: readonly string[]): Promise<FabraError> {
  try {
    await init(args)
  } catch (error) {
    if (error instanceof FabraError) return error
    throw error
  }
  throw new Error('init did not refuse')
}

/** Every file under a folder, sorted. */
function tree(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort()
}
