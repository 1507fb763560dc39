import { describe, expect, test } from 'bun:test'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { spreadFiles } from '../../src/cli/file-option.ts'
import { runCommand } from '../support/command.ts'
import { PLAIN, type ProjectFolder, projectFolder } from '../support/project-folder.ts'

/** What `keys list` shows of FABRA_API_KEYS tells whose settings counted. */
const key = (digit: string) => `${digit.repeat(64)}:read`
const listed = async (project: ProjectFolder, env: Record<string, string | undefined> = {}) => {
  const { stdout, stderr } = await fabra(project, ['keys', 'list', '--json'], { env })
  return { ids: JSON.parse(stdout).keys.map(({ id }: { id: string }) => id[0]), stderr }
}
const FAR = 'FABRA_POSTGRES_URL=postgres://u:hidden@db.example.com/app\n'

describe('.env', () => {
  test('is read, and what was taken is told by name and never by value', async () => {
    using project = projectFolder({
      '.env': `# Ours.\r\nexport FABRA_API_KEYS="${key('a')}"\r\nFABRA_REDIS_URL=\r\nDATABASE_URL=mysql://x\r\n`,
    })
    expect(await listed(project)).toEqual({ ids: ['a'], stderr: 'Settings from .env: FABRA_API_KEYS.\n' })
  })

  test('the environment wins, also with an empty value', async () => {
    using project = projectFolder({ '.env': `\uFEFFFABRA_API_KEYS=${key('a')}\n` })
    expect(await listed(project, { FABRA_API_KEYS: key('b') })).toEqual({ ids: ['b'], stderr: '' })
    expect(await listed(project, { FABRA_API_KEYS: '' })).toEqual({ ids: [], stderr: '' })
    expect(await listed(project, { FABRA_API_KEYS: undefined })).toMatchObject({ ids: ['a'] })
  })

  test('nothing but variables of Fabra configures Fabra', async () => {
    using project = projectFolder({
      '.env': `FABRA_ENV=production\nDATABASE_URL=postgres://127.0.0.1:1/x\nFABRA_POSTGRES_URI=x\nFABRA_API_KEY=secret\n`,
    })
    const { stderr } = await fabra(project, ['migrate'])
    expect(stderr).toContain('There is no PostgreSQL to migrate')
    expect(stderr).toContain('Settings from .env: FABRA_ENV.\n')
    expect(stderr).toContain('.env has FABRA_POSTGRES_URI, which Fabra does not know. Did you mean "FABRA_POSTGRES_URL"?')
    expect(stderr).not.toContain('FABRA_API_KEY,')
  })

  test('that beside the first definitions file counts, else that of the current folder', async () => {
    using project = projectFolder({
      ...Object.fromEntries(Object.entries(PLAIN).map(([name, text]) => [`shop/${name}`, text])),
      '.env': 'FABRA_PORT=here',
      'shop/.env': 'FABRA_PORT=beside',
      'other/features.ts': PLAIN['features.ts'],
    })
    for (const [args, which] of [
      [['check', 'shop/features.ts'], 'beside'],
      [['check', 'shop/features.ts', 'other/features.ts'], 'beside'],
      [['get', 'visits', 'u1', '-f', 'shop/features.ts'], 'beside'],
      [['serve', join(project.path, 'shop/features.ts')], 'beside'],
      [['doctor', 'shop/features.ts'], 'beside'],
      [['check', 'other/features.ts'], 'here'],
      [['list'], 'here'],
      [['healthcheck'], 'here'],
    ] as const) {
      const { stderr } = await fabra(project, args)
      expect({ args, stderr }).toEqual({ args, stderr: expect.stringContaining(`FABRA_PORT="${which}"`) })
    }
  })

  test('a folder of that name is none, and commands that make a project read none', async () => {
    using project = projectFolder(PLAIN)
    mkdirSync(join(project.path, '.env'))
    expect(await listed(project)).toEqual({ ids: [], stderr: '' })
    using other = projectFolder({ '.env': 'FABRA_PORT=1\n' })
    expect(await fabra(other, ['version'])).toMatchObject({ exitCode: 0, stderr: '' })
    expect(await fabra(other, ['init', 'new'])).toMatchObject({ exitCode: 0, stderr: '' })
  })
})

describe('a database off this machine that .env names', () => {
  const WRITING = [
    ['get', 'visits', 'u1'],
    ['list'],
    ['push', 'score', 'events.csv'],
    ['refresh', 'visits'],
    ['serve'],
    ['migrate'],
    ['keys', 'create'],
    ['keys', 'revoke', 'abc'],
  ] as const

  test('is written to by no command without --yes where nobody can be asked', async () => {
    using project = projectFolder({ ...PLAIN, '.env': FAR })
    for (const args of WRITING) {
      const { exitCode, stderr } = await fabra(project, args)
      expect({ args, exitCode, stderr }).toEqual({
        args,
        exitCode: 2,
        stderr: expect.stringContaining('FABRA_POSTGRES_URL (db.example.com)'),
      })
      expect(stderr).toContain('--yes')
      expect(stderr).not.toContain('hidden')
    }
  })

  test('--yes goes there, and so does a yes; a no does nothing', async () => {
    using project = projectFolder({
      ...PLAIN,
      '.env': FAR.replace('db.example.com', '192.0.2.1:1').replace('/app', '/app?connect_timeout=0.2'),
    })
    const reached = { exitCode: 1, stderr: expect.stringContaining('store_unavailable') }
    expect(await fabra(project, ['migrate', '--yes'])).toMatchObject(reached)
    const asked: string[] = []
    const answering = (answer: string) => async (question: string) => {
      asked.push(question)
      return answer
    }
    expect(await fabra(project, ['migrate'], { ask: answering('Yes') })).toMatchObject(reached)
    for (const answer of ['', 'n', 'yesterday'])
      expect(await fabra(project, ['migrate'], { ask: answering(answer) })).toMatchObject({
        exitCode: 2,
        stderr: expect.stringContaining('Nothing was done'),
      })
    expect(asked).toHaveLength(4)
    expect(asked[0]).toContain('FABRA_POSTGRES_URL (192.0.2.1)')
  })

  test('is not asked about where the environment names it, where it is here, or where nothing is written', async () => {
    using project = projectFolder({ ...PLAIN, '.env': FAR.replace('db.example.com', '127.0.0.1:1') })
    const reached = { exitCode: 1, stderr: expect.stringContaining('store_unavailable') }
    expect(await fabra(project, ['migrate'])).toMatchObject(reached)
    project.write({ '.env': 'FABRA_POSTGRES_URL=postgres:///app?host=/nowhere/at/all\n' })
    expect(await fabra(project, ['migrate'])).toMatchObject(reached)
    project.write({ '.env': FAR })
    expect(
      await fabra(project, ['migrate'], { env: { FABRA_POSTGRES_URL: 'postgres://192.0.2.1:1/x?connect_timeout=0.2' } }),
    ).toMatchObject(reached)
    const { stdout } = await fabra(project, ['check'])
    expect(stdout).toContain('The database cannot be used')
  })

  test('counts for Redis and for one of several hosts, too', async () => {
    using project = projectFolder({ ...PLAIN, '.env': 'FABRA_REDIS_URL=redis+cluster://localhost:1,cache.example.com:2\n' })
    expect((await fabra(project, ['refresh', 'visits'])).stderr).toContain('FABRA_REDIS_URL (cache.example.com)')
  })
})

test.each([
  ['get -f features.ts cnt u1', 'get -f features.ts cnt u1'],
  ['get --file a.ts b.py cnt u1', 'get --file a.ts --file b.py cnt u1'],
  ['get cnt u1 -f a.ts b.mts --json', 'get cnt u1 -f a.ts --file b.mts --json'],
  ['train -f a.ts -f b.ts labels.csv', 'train -f a.ts -f b.ts labels.csv'],
  ['push -f odd-name score data.csv', 'push -f odd-name score data.csv'],
  ['push -f a.ts -- b.ts', 'push -f a.ts -- b.ts'],
])('%s is read as %s', (given, meant) => {
  expect(spreadFiles(given.split(' ')).join(' ')).toBe(meant)
})

test('no command takes its own words for files', async () => {
  using project = projectFolder(PLAIN)
  expect(await fabra(project, ['get', '-f', 'features.ts', 'visits', 'u1'])).toMatchObject({ exitCode: 0, stdout: '2\n' })
  expect(await fabra(project, ['refresh', '-f', 'features.ts', 'visits'])).toMatchObject({ exitCode: 0 })
  expect((await fabra(project, ['push', '-f', 'features.ts', 'visits', 'gone.csv'])).stderr).toContain('gone.csv')
})

interface How {
  readonly env?: Record<string, string | undefined>
  readonly ask?: (question: string) => Promise<string>
}

async function fabra(project: ProjectFolder, args: readonly string[], { env = {}, ask }: How = {}) {
  return runCommand(args, {
    cwd: project.path,
    env,
    ...(ask ? { ask } : {}),
  })
}
