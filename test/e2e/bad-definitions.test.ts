/** Features files that cannot be served: one clear error each, where it is, an exit code, and nothing served. */
import { describe, expect, test } from 'bun:test'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { runFabra, startFabra } from '../support/binary.ts'
import { EVENTS, HEAD, projectFolder } from '../support/project-folder.ts'

const count = (where: string, options = `refresh: '5m', type: 'int'`) =>
  `feature({ entity: User, ${options}, sql: 'SELECT COUNT(*) FROM events WHERE ${where}' })\n`
const GOOD = `${HEAD}export const good = ${count('user_id = $user_id')}`

interface Bad {
  readonly file?: string
  readonly csv?: string | null
  readonly says: readonly string[]
}

const cases: Record<string, Bad> = {
  'a syntax error': { file: `${HEAD}export const a = feature({ entity: User,,\n`, says: ['features.ts:4:', 'cannot be read as code'] },
  'code that throws at load': { file: `${HEAD}throw new Error('boom')\n`, says: ['features.ts:4:', 'boom'] },
  'code that throws null at load': { file: `throw null\n`, says: ['features.ts:1:', 'threw null'] },
  'a file without exports': { file: 'const a = 1\n', says: ['features.ts:1:', 'exports nothing'] },
  'an empty file': { file: '', says: ['features.ts:1:', 'exports nothing'] },
  'a missing package': {
    file: `${GOOD}import { x } from 'no-such-package'\nconsole.log(x)\n`,
    says: ['features.ts:5:', 'no-such-package'],
  },
  'a missing name': {
    file: `import { featur } from 'fabra'\nexport const a = featur\n`,
    says: ['features.ts:1:', 'Did you mean "feature"?'],
  },
  'a missing relative file': {
    file: `import { x } from './no-such-file'\nexport const a = x\n`,
    says: ['features.ts:1:', './no-such-file'],
  },
  'code that ends the process': { file: `${HEAD}process.exit(0)\n`, says: ['features.ts:4:', 'process.exit()'] },
  'two features of one name': {
    file: `${GOOD}export const b = ${count('user_id = $user_id', `name: 'good', refresh: '5m', type: 'int'`)}`,
    says: ['features.ts:5:', 'the name is taken', 'features.ts:4'],
  },
  'an unknown table': {
    file: `${HEAD}export const a = ${count('user_id = $user_id').replace('FROM events', 'FROM evnts')}`,
    says: ['features.ts:4:', 'There is no table "evnts"', 'Did you mean "events"?'],
  },
  'an unknown column': { file: `${HEAD}export const a = ${count('usr_id = $user_id')}`, says: ['features.ts:4:', '"usr_id"'] },
  'a bad duration': {
    file: `${HEAD}export const a = ${count('user_id = $user_id', `refresh: '5x', type: 'int'`)}`,
    says: ['features.ts:4:', '"5x" is not a duration'],
  },
  'a parameter that is no key column': {
    file: `${HEAD}export const a = ${count('user_id = $userid')}`,
    says: ['features.ts:4:', '$userid is no key column', 'Did you mean "$user_id"?'],
  },
  'a CSV with a broken row': { csv: `${EVENTS}3,u1\n`, says: ['features.ts:3:', 'events.csv, line 4', 'it has 2 values'] },
  'a CSV with an unreadable time': { csv: `${EVENTS}3,u1,1,soon\n`, says: ['features.ts:3:', 'events.csv, line 4', '"soon"'] },
  'a CSV without the timestamp column': {
    csv: 'id,user_id,created\n1,u1,2026-01-01 10:00:00\n',
    says: ['features.ts:3:', 'no column "created_at"', 'Did you mean "created"?'],
  },
  'an empty CSV': { csv: '', says: ['features.ts:3:', 'events.csv is empty'] },
  'a missing CSV': { csv: null, says: ['features.ts:3:', 'events.csv does not exist'] },
}

describe('fabra serve refuses', () => {
  for (const [name, { file = GOOD, csv = EVENTS, says }] of Object.entries(cases)) {
    test(name, async () => {
      using project = projectFolder({ 'features.ts': file, ...(csv === null ? {} : { 'events.csv': csv }) })
      const { exitCode, stdout, stderr } = await runFabra(['serve', '--port', '0'], { cwd: project.path })
      expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' })
      for (const words of says) expect(stderr).toContain(words)
      expect(stderr).toContain('error invalid_definition: The definitions have one problem.')
      expect(stderr).not.toMatch(/node_modules|src\/|bunfs|at .*:\d+:\d+\)/)
      const check = await runFabra(['check', '--json'], { cwd: project.path })
      expect(check).toMatchObject({ exitCode: 1, stderr: '' })
      expect(JSON.parse(check.stdout).problems.length).toBeGreaterThan(0)
    })
  }

  test('several mistakes at once, and tells them all', async () => {
    const bad = `export const a = ${count('user_id = $userid')}export const b = ${count('usr_id = $user_id')}`
    using project = projectFolder({ 'features.ts': `${HEAD}${bad}`, 'events.csv': EVENTS })
    const { exitCode, stderr } = await runFabra(['serve', '--port', '0'], { cwd: project.path })
    expect(exitCode).toBe(1)
    expect(stderr).toMatch(/features\.ts:4:[\s\S]*features\.ts:5:[\s\S]*2 problems/)
  })

  test('a file that does not exist, with a near name', async () => {
    using project = projectFolder({ 'features.ts': GOOD })
    const { exitCode, stdout, stderr } = await runFabra(['serve', 'feature.ts'], { cwd: project.path })
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' })
    expect(stderr).toBe('error definition_not_found: The file feature.ts does not exist.\n  Did you mean "features.ts"?\n')
    expect(existsSync(join(project.path, '.fabra'))).toBe(false)
  })

  test('a data folder that is a file, and says how to name another', async () => {
    using project = projectFolder({ 'features.ts': GOOD, 'events.csv': EVENTS, data: '' })
    const env = { FABRA_DATA_DIR: join(project.path, 'data') }
    const { exitCode, stderr } = await runFabra(['serve', '--port', '0'], { cwd: project.path, env })
    expect(exitCode).toBe(1)
    expect(stderr).toContain('error io_failed')
    expect(stderr).toContain('FABRA_DATA_DIR')
  })
})

test('the mended file serves from the same folder', async () => {
  using project = projectFolder({ 'features.ts': `${HEAD}export const good = ${count('usr_id = $user_id')}`, 'events.csv': EVENTS })
  expect((await runFabra(['serve', '--port', '0'], { cwd: project.path })).exitCode).toBe(1)
  project.write({ 'features.ts': GOOD })
  const server = await startFabra({ cwd: project.path, file: 'features.ts' })
  const answer = await fetch(`${server.url}/v1/features/good?entity_id=u1`)
  expect(await answer.json()).toMatchObject({ value: 2, status: 'fresh' })
  expect(await server.stop()).toBe(0)
})
