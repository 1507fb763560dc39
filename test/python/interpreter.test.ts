/** Which interpreter runs a project's Python files, and what is said where none can. */
import { afterAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { chmodSync, mkdirSync, readdirSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { candidates } from '../../src/runtime/python/candidates.ts'
import { findInterpreter } from '../../src/runtime/python/interpreter.ts'
import { packageFiles } from '../../src/runtime/python/package-files.ts'
import { unpackPackage } from '../../src/runtime/python/unpack.ts'
import { loadOnce } from '../runtime/project.ts'
import { temporaryFolder } from '../support/binary.ts'
import { pythonSettings } from '../support/python.ts'

setDefaultTimeout(120_000)

const root = realpathSync(temporaryFolder())
afterAll(() => rmSync(root, { recursive: true, force: true }))

/** Where `python3` of this machine really is: it may be a shim itself. */
const real = Bun.spawnSync(['python3', '-c', 'import sys; print(sys.executable)']).stdout.toString().trim()
let lastNumber = 0

/** A project with a features file two folders down. */
function project() {
  const folder = join(root, `project-${++lastNumber}`)
  const file = join(folder, 'app', 'features', 'features.py')
  mkdirSync(dirname(file), { recursive: true })
  return { folder, file }
}

function program(path: string, text: string): string {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, `#!/bin/sh\n${text}\n`)
  chmodSync(path, 0o755)
  return path
}

/** Passes on what it is given, as the shims of version managers do; one that has something to say. */
const shim = (path: string) => program(path, `echo welcome\nexec ${real} "$@"`)
const unpacked = unpackPackage(packageFiles(), [join(root, 'cache')])
const find = (file: string, env: Record<string, string>) => findInterpreter({ env, file, executable: '/opt/fabra' }, unpacked)
const refusal = async (file: string, env: Record<string, string>) => {
  const error = await find(file, env).then(
    (found) => ({ message: `found ${found.path}`, hint: '' }),
    (thrown: { message: string; hint: string }) => thrown,
  )
  return `${error.message} ${error.hint}`.replaceAll(root, '')
}

test('candidates come in the order in which people mean them', () => {
  const { folder, file } = project()
  shim(join(folder, '.venv/bin/python'))
  shim(join(folder, 'bin/python3'))
  shim(join(folder, 'path/python'))
  const env = { FABRA_PYTHON: '/a/python', VIRTUAL_ENV: '/b', CONDA_PREFIX: '/c', PATH: join(folder, 'path') }
  const pathsOf = (more: object, executable = join(folder, 'bin/fabra')) =>
    candidates({ env: { ...env, ...more }, file, executable }).map((one) => one.path.replace(`${folder}/`, ''))
  const all = ['/a/python', '/b/bin/python', '.venv/bin/python', '/c/bin/python', 'bin/python3', 'path/python']
  expect(pathsOf({})).toEqual(all)
  expect(pathsOf({ UV_PROJECT_ENVIRONMENT: '/u' })[2]).toBe('/u/bin/python')
  // The tool's own environment holds nothing of the user's.
  expect(pathsOf({}, join(folder, 'bin/../pipx/venvs/fabra/bin/fabra'))).not.toContain('bin/python3')
})

test('what a shim stands for is started, not the shim', async () => {
  const { folder, file } = project()
  const path = shim(join(folder, 'shims/python3'))
  const found = await find(file, { PATH: dirname(path) })
  expect(found.version).toMatch(/^3\.\d+\.\d+$/)
  expect(found.path).not.toBe(path)
})

test('an environment above the file is used, and its packages with it', async () => {
  const { folder, file } = project()
  Bun.spawnSync([real, '-m', 'venv', '--without-pip', join(folder, '.venv')])
  expect((await find(file, { PATH: process.env['PATH'] ?? '' })).path).toBe(join(folder, '.venv/bin/python'))
})

describe('what cannot be used is named, with what to do:', () => {
  test('no interpreter at all', async () => {
    const said = await refusal(project().file, { PATH: join(root, 'empty') })
    expect(said).toContain('no Python interpreter was found. Tried: FABRA_PYTHON, VIRTUAL_ENV')
    expect(said).toContain('python3 -m venv .venv')
  })

  test('one that is too old, one that does not work, and one that is not there', async () => {
    const { folder, file } = project()
    const old = program(join(folder, 'old/python3'), `echo hello; echo @fabra 3.8.18 ${folder}/old/python3`)
    expect(await refusal(file, { PATH: dirname(old) })).toContain('python3 on PATH) is Python 3.8.18: 3.9 or newer is needed')
    const broken = program(join(folder, 'broken'), 'echo no module named encodings >&2; exit 1')
    expect(await refusal(file, { FABRA_PYTHON: broken })).toContain('(FABRA_PYTHON) does not work: no module named encodings')
    const other = program(join(folder, 'other'), 'echo "cannot open $2" | tr "\\n" " " >&2; exit 1')
    expect((await refusal(file, { FABRA_PYTHON: other })).length).toBeLessThan(500)
    expect(await refusal(file, { VIRTUAL_ENV: join(folder, 'gone'), PATH: dirname(real) })).toContain(
      'gone/bin/python (VIRTUAL_ENV) does not exist. Make the environment again',
    )
  })

  test('an environment whose interpreter was removed', async () => {
    const { folder, file } = project()
    mkdirSync(join(folder, '.venv/bin'), { recursive: true })
    symlinkSync('/opt/gone/bin/python3', join(folder, '.venv/bin/python'))
    writeFileSync(join(folder, '.venv/pyvenv.cfg'), 'home = /opt/gone/bin\nversion = 3.11.7\n')
    const said = await refusal(file, { PATH: process.env['PATH'] ?? '' })
    expect(said).toContain('points to an interpreter that is gone (it was in /opt/gone/bin)')
    expect(said).toContain('&& python3 -m venv')
  })

  test('as a problem of the file that needs it', async () => {
    const python = pythonSettings({ env: { FABRA_PYTHON: '/nowhere/python3' } })
    const { problems } = await loadOnce({ 'features.py': 'import fabra\n' }, { entry: ['features.py'], python })
    expect(problems).toEqual([{ at: 'features.py:1', says: expect.stringContaining('/nowhere/python3 (FABRA_PYTHON) does not exist') }])
  })
})

describe('the package', () => {
  test('is unpacked once by several processes that start together, and compiled for each version', async () => {
    const cache = join(root, 'together')
    const module = join(import.meta.dir, '../../src/runtime/python')
    const code = `import { unpackPackage } from '${module}/unpack.ts'; import { packageFiles } from '${module}/package-files.ts'
      console.log(unpackPackage(packageFiles(), [process.argv[1]]))`
    const started = Array.from({ length: 3 }, () => Bun.spawn([process.execPath, '-e', code, cache], { stdout: 'pipe' }))
    const folders = await Promise.all(started.map(async (one) => (await one.stdout.text()).trim()))
    expect(new Set(folders).size).toBe(1)
    const folder = join(folders[0] ?? '', 'fabra')
    expect(
      readdirSync(folder, { recursive: true })
        .filter((name) => name !== 'client')
        .sort(),
    ).toEqual(Object.keys(packageFiles()).sort())
    await findInterpreter(
      { env: { PATH: dirname(real), PYTHONDONTWRITEBYTECODE: '1' }, file: project().file, executable: '' },
      dirname(folder),
    )
    expect(readdirSync(join(folder, '__pycache__')).some((name) => name.startsWith('_worker.cpython-3'))).toBe(true)
  })

  test('is not put where others could write', () => {
    const open = join(root, 'open')
    mkdirSync(open)
    const folder = unpackPackage({ 'a.py': '' }, [open])
    chmodSync(folder, 0o777)
    expect(() => unpackPackage({ 'a.py': '' }, [open])).toThrow('can be written by other users')
  })
})
