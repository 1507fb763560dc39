/** The folder of laptop mode's DuckDB file: where it is, who may use it, what is wrong with it. With PostgreSQL there is none. */
import { expect, test } from 'bun:test'
import { chmodSync, existsSync, mkdirSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { runFabra, startFabra } from '../support/binary.ts'
import { EVENTS, get, HEAD, PLAIN, projectFolder, VISITS } from '../support/project-folder.ts'

test('a second process is told which process holds it; commands ask that one', async () => {
  using project = projectFolder(PLAIN)
  const server = await startFabra({ cwd: project.path, file: 'features.ts' })
  const second = await runFabra(['serve', '--port', '0'], { cwd: project.path })
  expect(second).toMatchObject({ exitCode: 1, stdout: '' })
  expect(second.stderr).toContain('error data_dir_locked')
  expect(second.stderr).toContain(String(server.pid))
  expect(await runFabra(['get', 'visits', 'u1'], { cwd: project.path })).toMatchObject({ exitCode: 0, stdout: '2\n' })
  const named = await runFabra(['get', 'visits', 'u1', '-f', join(project.path, 'features.ts')], { cwd: project.path })
  expect(named).toMatchObject({ exitCode: 0, stdout: '2\n' })
  expect(named.stderr).toContain(`The server at ${server.url} answers`)
  project.write({ 'other.ts': HEAD + VISITS })
  const other = await runFabra(['get', 'visits', 'u1', '-f', 'other.ts'], { cwd: project.path })
  expect([other.exitCode, other.stderr.includes('error data_dir_locked')]).toEqual([1, true])
  expect(await server.stop()).toBe(0)
})

test('it is in the current folder, wherever the definitions lie', async () => {
  using project = projectFolder({ 'shop/features.ts': HEAD + VISITS, 'shop/events.csv': EVENTS, 'here/.keep': '' })
  expect(await get(join(project.path, 'here'), ['visits', 'u1', '-f', '../shop/features.ts'])).toBe('2')
  expect(existsSync(join(project.path, 'here/.fabra/fabra.duckdb'))).toBe(true)
  expect(readdirSync(join(project.path, 'shop')).sort()).toEqual(['events.csv', 'features.ts'])
})

test('FABRA_DATA_DIR takes the data elsewhere, and its folder is made', async () => {
  using project = projectFolder(PLAIN)
  const data = join(dirname(project.path), 'data/of/shop')
  // Where the test's user may write everywhere this shows the same: nothing is written beside the features.
  chmodSync(project.path, 0o555)
  expect(await get(project.path, ['visits', 'u1'], { FABRA_DATA_DIR: data })).toBe('2')
  expect(readdirSync(project.path).sort()).toEqual(['events.csv', 'features.ts'])
  expect(existsSync(join(data, 'fabra.duckdb'))).toBe(true)
  chmodSync(project.path, 0o755)
})

test('a damaged database is named, with what to do, and is left as it is', async () => {
  using project = projectFolder(PLAIN)
  mkdirSync(join(project.path, '.fabra'))
  project.write({ '.fabra/fabra.duckdb': 'not a database' })
  const { exitCode, stderr } = await runFabra(['serve', '--port', '0'], { cwd: project.path })
  expect(exitCode).toBe(1)
  expect(stderr).toMatch(/error data_file_corrupt: The database .*fabra\.duckdb is damaged/)
  expect(stderr).toContain('fabra doctor --repair')
  expect(await Bun.file(join(project.path, '.fabra/fabra.duckdb')).text()).toBe('not a database')
})
