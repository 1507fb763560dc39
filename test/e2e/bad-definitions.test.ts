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
  readonly files: Readonly<Record<string, string>>
  readonly says: readonly string[]
}

const file = (text: string, ...says: string[]): Bad => ({ files: { 'features.ts': text, 'events.csv': EVENTS }, says })

/** Nothing of such a file can be read: one start each. */
const unreadable: Record<string, Bad> = {
  'a syntax error': file(`${HEAD}export const a = feature({ entity: User,,\n`, 'features.ts:4:', 'cannot be read as code'),
  'code that throws at load': file(`${HEAD}throw new Error('boom')\n`, 'features.ts:4:', 'boom'),
  'code that throws null at load': file(`throw null\n`, 'features.ts:1:', 'threw null'),
  'a file without exports': file('const a = 1\n', 'features.ts:1:', 'exports nothing'),
  'an empty file': file('', 'features.ts:1:', 'exports nothing'),
  'a missing package': file(`${GOOD}import { x } from 'no-such-package'\nconsole.log(x)\n`, 'features.ts:5:', 'no-such-package'),
  'a missing name': file(`import { featur } from 'fabra'\nexport const a = featur\n`, 'features.ts:1:', 'Did you mean "feature"?'),
  'a missing relative file': file(`import { x } from './no-such-file'\nexport const a = x\n`, 'features.ts:1:', './no-such-file'),
  'code that ends the process': file(`${HEAD}process.exit(0)\n`, 'features.ts:4:', 'process.exit()'),
}

/** Mistakes of definitions, a line each from the fifth on; all are told at once. */
const definitions: readonly (readonly [line: string, says: RegExp])[] = [
  [count('user_id = $user_id', `name: 'good', refresh: '5m', type: 'int'`), /the name is taken.*features\.ts:4/],
  [count('user_id = $user_id').replace('FROM events', 'FROM evnts'), /There is no table "evnts"[\s\S]*?Did you mean "events"\?/],
  [count('usr_id = $user_id'), /"usr_id"/],
  [count('user_id = $user_id', `refresh: '5x', type: 'int'`), /"5x" is not a duration/],
  [count('user_id = $userid'), /\$userid is no key column[\s\S]*?Did you mean "\$user_id"\?/],
]

/** Contents of a source's file; null: there is none. */
const sources: readonly (readonly [csv: string | null, says: RegExp])[] = [
  [`${EVENTS}3,u1\n`, /0\.csv, line 4.*it has 2 values/],
  [`${EVENTS}3,u1,1,soon\n`, /1\.csv, line 4.*"soon"/],
  ['id,user_id,created\n1,u1,2026-01-01 10:00:00\n', /no column "created_at"[\s\S]*?Did you mean "created"\?/],
  ['', /3\.csv is empty/],
  [null, /4\.csv does not exist/],
]

/** @returns what serve said, which is the same as check says. */
async function refused(folder: string, problems: number): Promise<string> {
  const { exitCode, stdout, stderr } = await runFabra(['serve', '--port', '0'], { cwd: folder })
  expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' })
  expect(stderr).toContain(`error invalid_definition: The definitions have ${problems === 1 ? 'one problem' : `${problems} problems`}.`)
  expect(stderr).not.toMatch(/node_modules|src\/|bunfs|at .*:\d+:\d+\)/)
  return stderr
}

async function isRefusedByCheck(folder: string, problems: number): Promise<void> {
  const check = await runFabra(['check', '--json'], { cwd: folder })
  expect(check).toMatchObject({ exitCode: 1, stderr: '' })
  expect(JSON.parse(check.stdout).problems).toHaveLength(problems)
}

describe('fabra serve refuses', () => {
  for (const [name, { files, says }] of Object.entries(unreadable)) {
    test(name, async () => {
      using project = projectFolder(files)
      const stderr = await refused(project.path, 1)
      for (const one of says) expect(stderr).toContain(one)
      if (['a syntax error', 'code that ends the process'].includes(name)) await isRefusedByCheck(project.path, 1)
    })
  }

  test('mistakes of definitions, and tells them all, each with its line', async () => {
    const lines = definitions.map(([line], i) => `export const f${i} = ${line}`)
    using project = projectFolder({ 'features.ts': GOOD + lines.join(''), 'events.csv': EVENTS })
    const stderr = await refused(project.path, definitions.length)
    for (const [i, [, says]] of definitions.entries()) expect(stderr).toMatch(new RegExp(`features\\.ts:${5 + i}:.*${says.source}`))
    await isRefusedByCheck(project.path, definitions.length)
  })

  test('files of sources that cannot be loaded, and tells of all, each with the line of its definition', async () => {
    const lines = sources.map((_, i) => `export const s${i} = source('s${i}', { timestamp: 'created_at', file: './${i}.csv' })\n`)
    const written = sources.flatMap(([csv], i) => (csv === null ? [] : [[`${i}.csv`, csv]]))
    using project = projectFolder({ 'features.ts': GOOD + lines.join(''), 'events.csv': EVENTS, ...Object.fromEntries(written) })
    const stderr = await refused(project.path, sources.length)
    for (const [i, [, says]] of sources.entries()) expect(stderr).toMatch(new RegExp(`features\\.ts:${5 + i}:.*${says.source}`))
    await isRefusedByCheck(project.path, sources.length)
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
