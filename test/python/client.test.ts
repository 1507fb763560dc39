import { afterAll, beforeAll, expect, test } from 'bun:test'
import { copyFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { errorCodes } from '../../src/errors.ts'
import { BINARY, type RunningFabra, runFabra, startFabra, temporaryFolder } from '../support/binary.ts'
import { MYPY_SETTINGS, PYTHON_SOURCES, pythonTool, runTool } from '../support/python.ts'

const PROJECT = join(import.meta.dir, '../..')
const LIMIT_MS = 300_000

let cwd: string
let fabra: RunningFabra
beforeAll(async () => {
  cwd = temporaryFolder()
  copyFileSync(join(import.meta.dir, 'client_features.ts.txt'), join(cwd, 'features.ts'))
  fabra = await startFabra({ file: 'features.ts', cwd })
}, LIMIT_MS)
afterAll(async () => {
  await fabra?.stop()
  rmSync(cwd, { recursive: true, force: true })
})

function run(script: string, env: Readonly<Record<string, string>>): Promise<string> {
  const common = { PYTHONPATH: PYTHON_SOURCES, PYTHONDONTWRITEBYTECODE: '1', FABRA: BINARY }
  return runTool([pythonTool('python'), join(import.meta.dir, script)], { cwd, env: { ...common, ...env } })
}

/** What unittest says of each test, and of all. */
function failures(printed: string): string {
  return /^0\n[\s\S]*\nRan \d+ tests?[\s\S]*\nOK\n/.test(printed) ? '' : printed
}

test(
  'odd values go through pushes, reads, DataFrames and training sets and come back as they were; errors have classes',
  async () => {
    expect(failures(await run('client_test.py', { FABRA_URL: fabra.url }))).toBe('')
  },
  LIMIT_MS,
)

test(
  'whatever happens to the server or before it, a call ends in time with an error that says what to do',
  async () => {
    const folder = temporaryFolder()
    copyFileSync(join(import.meta.dir, 'client_features.ts.txt'), join(folder, 'features.ts'))
    const key = (text: string, scopes: string) => `${new Bun.CryptoHasher('sha256').update(text).digest('hex')}:${scopes}`
    const keys = `${key('reader-key-of-the-test', 'read')},${key('writer-key-of-the-test', 'read+write')}`
    const doomed = await startFabra({ file: 'features.ts', cwd: folder, env: { FABRA_API_KEYS: keys } })
    try {
      expect(failures(await run('client_failures_test.py', { FABRA_URL: doomed.url, FABRA_PID: String(doomed.pid) }))).toBe('')
    } finally {
      await doomed.kill()
      rmSync(folder, { recursive: true, force: true })
    }
  },
  LIMIT_MS,
)

test(
  'the client and fabra.testing are clean to a strict type checker, and so is what uses the client; with generated types a wrong name is not',
  async () => {
    // Where a mistake that is marked as one were none, the mark would be the mistake.
    writeFileSync(join(cwd, 'mypy.ini'), MYPY_SETTINGS)
    const options = [
      '--strict',
      '--config-file',
      join(cwd, 'mypy.ini'),
      '--python-version',
      '3.10',
      '--cache-dir',
      join(import.meta.dir, '../../.bun/mypy'),
    ]
    expect(await runFabra(['types', '--python', '-o', 'fabra_types.py'], { cwd })).toMatchObject({ exitCode: 0 })
    const programs = ['client_typed.py', 'client_generated.py'].map((name) => join(import.meta.dir, name))
    // One run for both packages: most of it is reading what they import.
    const files = ['client', 'testing'].flatMap((part) => {
      const folder = join(PYTHON_SOURCES, 'fabra', part)
      return [...new Bun.Glob('*.py').scanSync(folder)].map((name) => join(folder, name))
    })
    const words = [pythonTool('mypy'), ...options, ...programs, join(cwd, 'fabra_types.py'), ...files]
    expect(await runTool(words, { env: { MYPYPATH: `${PYTHON_SOURCES}:${cwd}` } })).toStartWith('0\n')
    expect(await pyright()).toBe('0\n0 errors, 0 warnings, 0 informations\n')
  },
  LIMIT_MS,
)

/** The same programs as editors see them. */
async function pyright(): Promise<string> {
  const include = ['client_typed.py', 'client_generated.py', 'fabra_types.py']
  for (const name of include.slice(0, 2)) copyFileSync(join(import.meta.dir, name), join(cwd, name))
  const environment = { venvPath: join(PROJECT, '.bun'), venv: 'python', extraPaths: [PYTHON_SOURCES], pythonVersion: '3.10' }
  const config = { include, ...environment, reportUnnecessaryTypeIgnoreComment: 'error' }
  writeFileSync(join(cwd, 'pyrightconfig.json'), JSON.stringify(config))
  return runTool(['node', join(PROJECT, 'node_modules/pyright/index.js'), '-p', cwd], { env: { NODE_NO_WARNINGS: '1' } })
}

/** Codes of the process and the command line, which no request is answered with. */
const NOT_ANSWERED = [
  'invalid_definition',
  'definition_not_found',
  'invalid_source',
  'bad_usage',
  'port_in_use',
  'data_dir_locked',
  'data_file_corrupt',
  'invalid_config',
  'file_exists',
  'io_failed',
  'out_of_memory',
]

test('each code that a request may be answered with has a class', async () => {
  const list =
    'from fabra import client; print(*sorted({getattr(client, name).CODE for name in client.__all__ if hasattr(getattr(client, name), "CODE")}))'
  const known = (await runTool([pythonTool('python'), '-c', list], { env: { PYTHONPATH: PYTHON_SOURCES } })).slice(2).trim().split(' ')
  expect(errorCodes.filter((code) => !NOT_ANSWERED.includes(code) && !known.includes(code))).toEqual([])
})
