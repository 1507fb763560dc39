/** The command line as people and scripts meet it. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { readdirSync, rmSync } from 'node:fs'
import { builtBinary, runFabra, temporaryFolder } from '../support/binary.ts'
import { runCommand } from '../support/command.ts'
import { EVENTS, HEAD, type ProjectFolder, projectFolder } from '../support/project-folder.ts'

const FILES = {
  'features.ts': `${HEAD}
export const Pair = entity('Pair', { key: ['user_id', 'merchant_id'] })
export const visits = feature({ entity: User, refresh: '5m', type: 'int', sql: 'SELECT COUNT(*) FROM events WHERE user_id = $user_id' })
export const pair = feature({ entity: Pair, refresh: '5m', type: 'json' }, (key) => key)
export const ratio = feature({ entity: User, refresh: 0, type: 'float', inputs: { amount: 'float' } }, (key, { inputs }) => inputs.amount)
export const broken = feature({ entity: User, refresh: 0, type: 'int' }, () => { throw new Error('secret') })
`,
  'events.csv': EVENTS,
}

const COMMANDS = [
  'init',
  'serve',
  'check',
  'list',
  'get',
  'refresh',
  'runs',
  'version',
  'deploy',
  'setup',
  'healthcheck',
  'completion',
  'push',
  'train',
  'keys',
  'migrate',
  'doctor',
  'export',
  'backup',
  'restore',
]

test('what only talks loads no engine: nothing is unpacked into the home of the user', async () => {
  const home = temporaryFolder()
  for (const args of [['version'], ['--help'], ['migrate', '--help'], ['deploy', 'heroku', '--name', 'a'], ['completion', 'bash']])
    await runFabra(args, { env: { HOME: home, XDG_CACHE_HOME: undefined } })
  expect(readdirSync(home)).toEqual([])
  rmSync(home, { recursive: true })
})

describe('help', () => {
  for (const args of [
    ['--help'],
    ['help'],
    [],
    ...COMMANDS.flatMap((name) => [
      [name, '--help'],
      ['help', name],
    ]),
  ]) {
    // What the executable adds, three show.
    const isWhole = args.length < 2
    test(`fabra ${args.join(' ')} fits 80 columns`, async () => {
      const { exitCode, stdout, stderr } = isWhole ? await runFabra(args) : await runCommand(args, { cwd: '/', env: {} })
      expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
      expect(stdout).toStartWith('Usage: fabra')
      for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(80)
    })
  }
})

describe('a mistake is exit code 2, one error with a hint, and JSON on stdout with --json:', () => {
  const mistakes: [args: string[], says: string, hint: string][] = [
    [['sevre'], 'Unknown command "sevre"', 'Did you mean serve?'],
    [['help', 'sevre'], 'Unknown command "sevre"', 'Did you mean "serve"?'],
    [['serve', '--prot', '80'], 'Unknown option "--prot"', 'Did you mean --port?'],
    [['serve', '--port', 'abc'], '--port "abc" is not a port', 'whole number'],
    [['serve', '--port', '70000'], '--port "70000" is not a port', '65535'],
    [['serve', '--clock', 'yesterday'], '--clock "yesterday" is not a time', 'RFC 3339'],
    [['serve', '--clock', '2026-01-01T00:00:00'], 'is not a time', 'zone'],
    [['get'], 'Missing required argument "feature"', 'fabra get --help'],
    [['get', 'visits'], 'Missing required argument "key"', 'fabra get --help'],
    [['get', 'visits', 'u1', 'u2'], 'The key of "visits" is the column user_id; 2 ids are given: "u1", "u2".', 'get visits user_id=u1'],
    [
      ['get', 'pair', 'u1', 'm9'],
      'is the columns user_id, merchant_id; 2 ids are given: "u1", "m9".',
      'get pair user_id=u1 merchant_id=m9',
    ],
    [['get', 'visits', 'user_id=u1', 'user_id=u2'], 'user_id is given twice', 'column=value'],
    [['get', 'vists', 'u1'], 'No feature "vists"', 'Did you mean "visits"?'],
    [['get', 'pair', 'u1'], 'entity_id', 'merchant_id'],
    [['get', 'ratio', 'u1'], 'amount', 'amount'],
    [['get', 'visits', 'u1', '--max-age', 'soon'], 'max_age', '30s'],
    [['refresh', 'ratio'], 'cannot be refreshed', 'read it'],
    [['version', 'more'], 'Too many arguments', 'fabra version --help'],
    [['list', 'feature.ts'], 'feature.ts does not exist', 'Did you mean "features.ts"?'],
    [['serve', 'feature.ts'], 'feature.ts does not exist', 'Did you mean "features.ts"?'],
    [['check', 'no/such.ts'], 'does not exist', 'folder'],
  ]
  // One folder for all: none of them changes anything in it.
  let project: ProjectFolder
  beforeAll(() => {
    project = projectFolder(FILES)
  })
  afterAll(() => project[Symbol.dispose]())

  /** What is wrong with a name, a key or an input shows when the definitions are loaded, which costs: of these, some are asked twice. */
  const loading = mistakes.filter(([[command], says]) => /^(get|refresh)$/.test(command ?? '') && !says.startsWith('Missing'))
  const isAskedTwice = (mistake: (typeof mistakes)[number]) => !loading.includes(mistake) || loading.indexOf(mistake) % 4 === 0
  for (const mistake of mistakes) {
    const [args, says, hint] = mistake
    test(`fabra ${args.join(' ')}`, async () => {
      const { exitCode, stdout, stderr } = await runFabra(args, { cwd: project.path })
      expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' })
      expect(stderr).toMatch(/^error [a-z_]+: .+\n {2}.+\n$/)
      expect(stderr).toContain(says)
      expect(stderr).toContain(hint)
      if (!isAskedTwice(mistake)) return
      const machine = await runFabra([...args, '--json'], { cwd: project.path })
      expect(machine.exitCode).toBe(2)
      const { error } = JSON.parse(machine.stdout)
      expect(stderr).toBe(`error ${error.code}: ${error.message}\n  ${error.hint}\n`)
    })
  }
})

test('wrong variables of the environment are all named at once', async () => {
  using project = projectFolder(FILES)
  const env = { FABRA_PORT: 'x', FABRA_LOG_LEVEL: 'loud', FABRA_ENV: 'prod' }
  const { exitCode, stderr } = await runFabra(['serve'], { cwd: project.path, env })
  expect(exitCode).toBe(2)
  for (const name of Object.keys(env)) expect(stderr).toContain(name)
})

describe('results are on stdout, talk is on stderr:', () => {
  test('fabra get', async () => {
    using project = projectFolder(FILES)
    const cwd = project.path
    const got = await runFabra(['get', 'visits', 'u1'], { cwd })
    expect(got).toMatchObject({ exitCode: 0, stdout: '2\n' })
    expect(got.stderr).toMatch(/^fresh, computed, \d+ ms old\n$/)
    expect((await runFabra(['get', 'pair', 'user_id=u1', 'merchant_id=m'], { cwd })).stdout).toBe('{"user_id":"u1","merchant_id":"m"}\n')
    expect((await runFabra(['get', 'ratio', 'u1', 'amount=2.5'], { cwd })).stdout).toBe('2.5\n')
    expect(JSON.parse((await runFabra(['get', 'visits', 'u1', '--json'], { cwd })).stdout)).toMatchObject({
      value: 2,
      served_from: 'online',
    })
    const failed = await runFabra(['get', 'broken', 'u1', '--json'], { cwd })
    expect(failed.exitCode).toBe(1)
    expect(JSON.parse(failed.stdout)).toMatchObject({ error: { code: 'feature_failed' } })
  })

  test('fabra list, refresh, runs, check and version, also as JSON and without colour', async () => {
    using project = projectFolder(FILES)
    for (const args of [['list'], ['refresh', 'visits'], ['runs'], ['check'], ['version']]) {
      const plain = await runFabra(args, { cwd: project.path, env: { NO_COLOR: undefined } })
      expect({ args, exitCode: plain.exitCode, stderr: plain.stderr }).toEqual({ args, exitCode: 0, stderr: '' })
      expect(plain.stdout).not.toContain('\u001b')
      const json = await runFabra([...args, '--json'], { cwd: project.path })
      expect(() => JSON.parse(json.stdout)).not.toThrow()
    }
  })
})

test('a reader that goes away is no error, a full disk is one', async () => {
  using project = projectFolder(FILES)
  const shell = async (line: string) => {
    const child = Bun.spawn(['bash', '-c', line, 'bash', builtBinary()], { cwd: project.path, stdio: ['ignore', 'pipe', 'pipe'] })
    const [exitCode, stderr] = await Promise.all([child.exited, child.stderr.text()])
    return { exitCode, stderr }
  }
  expect(await shell('set -o pipefail; "$1" list | head -c 1 > /dev/null')).toEqual({ exitCode: 0, stderr: '' })
  const full = await shell('"$1" list > /dev/full')
  expect(full.exitCode).toBe(1)
  expect(full.stderr).toStartWith('error io_failed: The result could not be written')
})
