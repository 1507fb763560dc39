/** `fabra deploy` and `fabra setup` as people meet them, in this process: what they write, what they refuse. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { platforms } from '../../src/deploy/platforms.ts'
import { temporaryFolder } from '../support/binary.ts'
import { runCommand } from '../support/command.ts'
import { deployOptions, platformOf } from './options.ts'

let folder = ''
beforeEach(() => {
  folder = temporaryFolder()
  writeFileSync(join(folder, 'features.ts'), FEATURES)
  writeFileSync(join(folder, 'linux'), elf(62))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const FEATURES = `import { entity, feature } from 'fabra'
export const User = entity('User', { key: 'user_id' })
export const one = feature({ entity: User, refresh: 0, type: 'int' }, () => 1)
`

/** The head of a program for Linux: 62 is x64, 183 arm64. */
function elf(machine: number): Uint8Array {
  const bytes = new Uint8Array(100)
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1])
  bytes[18] = machine
  return bytes
}

async function fabra(args: readonly string[], env: Record<string, string> = {}, { cwd = folder } = {}) {
  return runCommand(args, {
    cwd,
    env,
  })
}

const deploy = (...args: string[]) => fabra(['deploy', ...args, '--executable', 'linux'])
const read = (name: string) => readFileSync(join(folder, name), 'utf8')
const names = () => readdirSync(folder).sort()

describe('fabra deploy', () => {
  test.each(platforms.map((platform) => platform.name))('%s writes files and says what to run next, an API key among it', async (name) => {
    const { exitCode, stdout } = await deploy(name, '--name', 'my-features')
    expect(exitCode).toBe(0)
    expect(stdout).toContain('fabra keys create')
    expect(stdout).not.toMatch(/<[^ ].*?>|YOUR[-_ ]|CHANGE_?ME|TODO/)
    const { files } = platformOf(name).plan(deployOptions(platformOf(name)))
    for (const { path } of files) expect(existsSync(join(folder, path))).toBe(true)
  })

  test.each(platforms.map((platform) => platform.name))('%s takes its name from package.json, else from the folder', async (name) => {
    const own = join(folder, 'Fraud Features_2')
    mkdirSync(own)
    writeFileSync(join(own, 'features.ts'), FEATURES)
    const look = () => fabra(['deploy', name, '--dry-run'], {}, { cwd: own })
    const byFolder = await look()
    expect(byFolder.exitCode).toBe(0)
    expect(byFolder.stderr).toContain('Named "fraud-features-2", after the folder')
    expect(byFolder.stdout).toContain('fraud-features-2')
    writeFileSync(join(own, 'package.json'), '{"name":"@acme/Churn.Models"}')
    expect((await look()).stderr).toContain('Named "churn-models", after package.json')
    writeFileSync(join(own, 'package.json'), 'no JSON')
    expect((await look()).stderr).toContain('Named "fraud-features-2"')
  })

  test('asks for a name where none can be had', async () => {
    const own = join(folder, '取引')
    mkdirSync(own)
    writeFileSync(join(own, 'features.ts'), FEATURES)
    const { exitCode, stderr } = await fabra(['deploy', 'render'], {}, { cwd: own })
    expect(exitCode).toBe(2)
    expect(stderr).toContain('--name <name>')
  })

  test('says that a platform is unknown before anything else', async () => {
    const empty = join(folder, 'empty')
    mkdirSync(empty)
    const { exitCode, stderr } = await fabra(['deploy', 'rendr', '--replicas', 'x'], {}, { cwd: empty })
    expect(exitCode).toBe(2)
    expect(stderr).toContain('"rendr" is no platform.')
    expect(stderr).toContain('Did you mean "render"?')
  })

  test('serves several platforms from one folder', async () => {
    for (const { name } of platforms.filter((one) => one.name !== 'ecs'))
      expect((await deploy(name, '--name', 'my-features')).exitCode).toBe(0)
  })

  test('packs the executable so that the image finds it, the same bytes each time', async () => {
    await deploy('fly', '--name', 'a')
    const archive = readFileSync(join(folder, 'fabra-linux-x64.tar.gz'))
    const files = await new Bun.Archive(archive).files()
    expect([...files.keys()]).toEqual(['fabra'])
    expect(Buffer.from((await files.get('fabra')?.bytes()) ?? []).equals(elf(62))).toBe(true)
    await deploy('fly', '--name', 'a', '--output', 'elsewhere')
    expect(readFileSync(join(folder, 'elsewhere/fabra-linux-x64.tar.gz')).equals(archive)).toBe(true)
  })

  test('does nothing the second time', async () => {
    await deploy('fly', '--name', 'a')
    const { exitCode, stdout } = await deploy('fly', '--name', 'a')
    expect(exitCode).toBe(0)
    expect(stdout).toContain('Unchanged:')
    expect(stdout).not.toMatch(/Written:|Kept:|was kept/)
  })

  test('makes the output folder a whole one to build in', async () => {
    mkdirSync(join(folder, 'lib'))
    writeFileSync(join(folder, 'lib/money.ts'), 'export {}')
    writeFileSync(join(folder, 'lib/notebook.ipynb'), '{}')
    const features = `import './lib/money.ts'\n${FEATURES}`
    writeFileSync(join(folder, 'features.ts'), features)
    writeFileSync(join(folder, 'lib/.env'), 'SECRET=1')
    writeFileSync(join(folder, 'server.key'), 'secret')
    await deploy('fly', '--name', 'a', '--output', 'out/fly')
    expect(readFileSync(join(folder, 'out/fly/features.ts'), 'utf8')).toBe(features)
    expect(existsSync(join(folder, 'out/fly/lib/money.ts'))).toBe(true)
    for (const path of ['lib/.env', 'lib/notebook.ipynb', 'server.key', 'linux'])
      expect(existsSync(join(folder, 'out/fly', path))).toBe(false)
    expect(readFileSync(join(folder, 'out/fly/Dockerfile'), 'utf8')).not.toContain('server.key')
    await deploy('fly', '--name', 'a', '--output', 'other')
    await deploy('fly', '--name', 'a')
    expect(read('Dockerfile')).not.toContain('other')
  })

  test('keeps a .dockerignore of your own', async () => {
    writeFileSync(join(folder, '.dockerignore'), 'mine')
    const { stdout } = await deploy('fly', '--name', 'a')
    expect(stdout).toContain('Kept:')
    expect(stdout).not.toContain('Your .dockerignore keeps')
    expect(read('.dockerignore')).toBe('mine')
    writeFileSync(join(folder, '.dockerignore'), '*.gz')
    expect((await deploy('fly', '--name', 'a')).stdout).toContain('Your .dockerignore keeps fabra-linux-x64.tar.gz')
  })

  test('knows its place in a git repository, and what installs packages there', async () => {
    mkdirSync(join(folder, '.git'))
    mkdirSync(join(folder, 'sub'))
    writeFileSync(join(folder, 'sub/features.ts'), FEATURES)
    writeFileSync(join(folder, 'sub/bun.lock'), '')
    const inside = { cwd: join(folder, 'sub') }
    const note = 'fabra-linux-x64.tar.gz is too large for git: add it to .gitignore.'
    const fly = () => fabra(['deploy', 'fly', '--name', 'a', '--executable', '../linux'], {}, inside)
    expect((await fly()).stdout).toContain(note)
    writeFileSync(join(folder, '.gitignore'), '*.gz\n')
    expect((await fly()).stdout).not.toContain(note)
    const { stdout } = await fabra(['deploy', 'render', '--name', 'a', '--dry-run'], {}, inside)
    expect(stdout).toContain('dockerContext: ./sub\n')
    expect(stdout).toContain('its Blueprint Path is sub/render.yaml')
    expect((await fabra(['deploy', 'railway', '--name', 'a', '--dry-run'], {}, inside)).stdout).toContain('bun add --dev railway@3')
  })

  test('takes a region in the words of any platform', async () => {
    const { stdout } = await deploy('ecs', '--name', 'ab', '--region', 'IAD')
    expect(stdout).toContain('us-east-1')
    expect(stdout).toContain('"IAD" is us-east-1 on AWS ECS.')
  })

  test('installs the packages that definitions import by the lock file that is there', async () => {
    writeFileSync(join(folder, 'package.json'), '{"dependencies":{"dayjs":"1.11.13","fabra":"0.1.0"}}')
    expect(await deploy('fly', '--name', 'a')).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('no lock file') })
    writeFileSync(join(folder, 'package-lock.json'), '{}')
    await deploy('fly', '--name', 'a')
    expect(read('Dockerfile')).toContain('RUN ["npm", "ci", "--omit=dev"]')
  })

  test('--dry-run prints every file and writes none', async () => {
    const { exitCode, stdout } = await fabra(['deploy', 'docker', '--name', 'a', '--dry-run'])
    expect(exitCode).toBe(0)
    for (const name of ['Dockerfile', '.dockerignore', 'compose.yaml', '.env']) expect(stdout).toContain(`==> ${name} <==`)
    expect(stdout).toContain('POSTGRES_PASSWORD=(generated)')
    expect(names()).toEqual(['features.ts', 'linux'])
  })

  test('--diff shows what --force would change, and --force changes it', async () => {
    await deploy('fly', '--name', 'a')
    writeFileSync(join(folder, 'fly.toml'), read('fly.toml').replace('1gb', '2gb'))
    const { stdout } = await fabra(['deploy', 'fly', '--name', 'a', '--diff'])
    expect(stdout).toContain('-memory = "2gb"\n+memory = "1gb"')
    expect(read('fly.toml')).toContain('2gb')
    expect(await deploy('fly', '--name', 'a', '--force')).toMatchObject({
      exitCode: 0,
      stdout: expect.stringContaining('Replaced:\n  fly.toml'),
    })
    expect(read('fly.toml')).toContain('1gb')
  })

  test('--json tells files and commands', async () => {
    const { stdout } = await deploy('fly', '--name', 'a', '--json')
    const report = JSON.parse(stdout) as { files: { path: string; state: string }[]; next: { command: string }[] }
    expect(report.files).toContainEqual({ path: 'fly.toml', state: 'written' })
    expect(report.next.map((step) => step.command)).toContain('fabra keys create --name a --operator')
  })
})

describe('fabra deploy writes nothing and says why for', () => {
  const refusals: [what: string, args: string[], says: string][] = [
    ['a name with a quote', ['fly', '--name', 'a"b'], '--name "a"b" is no name on Fly.io.'],
    ['a name with a line break', ['render', '--name', 'a\nb: c'], 'is no name on Render.'],
    ['a name that ends with a hyphen', ['ecs', '--name', 'a-'], 'is no name on AWS ECS.'],
    ['a name with two hyphens in a row', ['ecs', '--name', 'a--b'], 'is no name on AWS ECS.'],
    ['a name that is too short', ['ecs', '--name', 'a'], 'Use 2 to 32 lower-case letters'],
    ['an empty name', ['docker', '--name', ''], 'is no name on Docker Compose.'],
    ['a name that is too long', ['cloudrun', '--name', 'a'.repeat(50)], 'is no name on Cloud Run.'],
    ['a region nobody has', ['fly', '--region', 'mars', '--name', 'a'], 'Fly.io has no region "mars".'],
    ['a region the platform has not', ['render', '--region', 'nrt', '--name', 'a'], 'Render has no region "nrt".'],
    ['a region where there are none', ['docker', '--region', 'iad', '--name', 'a'], 'Docker Compose has no regions.'],
    ['a platform nobody knows', ['heroku', '--name', 'a'], '"heroku" is no platform.'],
    ['no replicas', ['fly', '--name', 'a', '--replicas', '0'], '--replicas "0" is not possible on Fly.io.'],
    ['half a replica', ['fly', '--name', 'a', '--replicas', '1.5'], '--replicas "1.5" is not possible on Fly.io.'],
    ['a wrong account', ['ecs', '--name', 'ab', '--account', '12'], '--account "12" is no id of that kind.'],
    ['a project where none is known', ['fly', '--name', 'a', '--project', 'acme-prod'], '--project is for cloudrun, not fly.'],
    ['a features file that is not there', ['fly', '--name', 'a', '-f', 'x.ts'], 'The file x.ts does not exist.'],
    ['an unknown path to include', ['fly', '--name', 'a', '--include', 'nowhere'], '--include names nowhere, which is no file'],
    ['a path to include from elsewhere', ['fly', '--name', 'a', '--include', '../x'], '--include names ../x, which is not below'],
    ['a features file outside of the folder', ['fly', '--name', 'a', '-f', '/etc/hostname'], '/etc/hostname is not in'],
  ]
  test.each(refusals)('%s', async (_what, args, says) => {
    const { exitCode, stdout, stderr } = await deploy(...args)
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' })
    expect(stderr).toContain(says)
    expect(names()).toEqual(['features.ts', 'linux'])
  })

  test('a file that is there: all of them are named', async () => {
    writeFileSync(join(folder, 'fly.toml'), 'mine')
    mkdirSync(join(folder, 'Dockerfile'))
    const { exitCode, stderr } = await deploy('fly', '--name', 'a')
    expect(exitCode).toBe(1)
    expect(stderr).toContain('already has Dockerfile, fly.toml with other contents. Nothing was written.')
    expect(names()).toEqual(['Dockerfile', 'features.ts', 'fly.toml', 'linux'])
  })

  test('a link that points nowhere', async () => {
    symlinkSync('/nowhere', join(folder, 'fly.toml'))
    expect(await deploy('fly', '--name', 'a')).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('already has fly.toml') })
    expect(names()).toEqual(['features.ts', 'fly.toml', 'linux'])
  })

  test('a folder that cannot be written', async () => {
    // Unlike permissions, this stops root as well.
    writeFileSync(join(folder, 'file'), '')
    for (const output of ['file', 'file/below', '/proc/nowhere']) {
      const { exitCode, stderr } = await deploy('fly', '--name', 'a', '--output', output)
      expect({ output, exitCode }).toEqual({ output, exitCode: 1 })
      expect(stderr).toContain('Nothing was left behind.')
      if (output.startsWith('file')) expect(stderr.trim().split('\n')).toHaveLength(2)
    }
    expect(names()).toEqual(['features.ts', 'file', 'linux'])
  })

  test('a failure halfway: what was replaced is back', async () => {
    await deploy('railway', '--name', 'a')
    writeFileSync(join(folder, 'Dockerfile'), 'mine')
    // The last file has no place: its folder is a file now.
    rmSync(join(folder, '.railway'), { recursive: true })
    writeFileSync(join(folder, '.railway'), '')
    const before = names()
    expect(await deploy('railway', '--name', 'a', '--force')).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('Nothing was left behind.'),
    })
    expect({ names: names(), dockerfile: read('Dockerfile') }).toEqual({ names: before, dockerfile: 'mine' })
  })

  test('an import of what does not go into the image, which --check tells among the others', async () => {
    for (const name of ['app', 'shared', 'node_modules/ms']) mkdirSync(join(folder, name), { recursive: true })
    writeFileSync(join(folder, 'node_modules/ms/index.js'), 'export default 1')
    writeFileSync(
      join(folder, 'shared/money.ts'),
      "import ms from 'ms'\nimport { join } from 'node:path'\nexport const cents = [ms, join]\n",
    )
    writeFileSync(join(folder, 'app/features.ts'), `import { cents } from '../shared/money.ts'\n${FEATURES}export const x = cents\n`)
    const inside = { cwd: join(folder, 'app') }
    const message = 'features.ts imports "../shared/money.ts", which is not among the files of'
    expect(await fabra(['deploy', 'fly', '--name', 'a', '--dry-run'], {}, inside)).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining(message),
    })
    expect((await fabra(['deploy', 'fly', '--name', 'a', '--check'], {}, inside)).stdout).toContain(message)
    expect(await deploy('fly', '--name', 'a', '-f', 'app/features.ts')).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('shared/money.ts imports "ms", which package.json does not name'),
    })
    writeFileSync(join(folder, 'package.json'), '{"dependencies":{"ms":"2.1.3"}}')
    writeFileSync(join(folder, 'bun.lock'), '')
    expect(await deploy('fly', '--name', 'a', '-f', 'app/features.ts')).toMatchObject({ exitCode: 0 })
    expect(read('Dockerfile')).toContain('CMD ["serve", "app/features.ts"]')
  })

  test('an executable of another system or processor', async () => {
    expect(await fabra(['deploy', 'fly', '--name', 'a', '--executable', 'features.ts'])).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('features.ts is no executable for Linux'),
    })
    writeFileSync(join(folder, 'linux'), elf(183))
    expect(await deploy('fly', '--name', 'a')).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('Fly.io runs x64, and the executable is for arm64.'),
    })
    expect(await deploy('ecs', '--name', 'ab')).toMatchObject({ exitCode: 0 })
    expect(read('task-definition.json')).toContain('ARM64')
  })
})

describe('fabra deploy --release', () => {
  const SUM = 'ab'.repeat(32)
  const SUMS = `${SUM}  fabra-v1.2.3-linux-x64.tar.gz\n${'cd'.repeat(32)}  fabra-v1.2.3-linux-arm64.tar.gz\n`

  /** Of a release, what is asked here: the checksums, and whether the archive is there. */
  function publish(sums: () => string, archive: () => number = () => 200) {
    const asked: string[] = []
    const server = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      fetch(request) {
        asked.push(`${request.method} ${new URL(request.url).pathname}`)
        return request.url.endsWith('SHA256SUMS') ? new Response(sums()) : new Response(null, { status: archive() })
      },
    })
    return { url: `http://127.0.0.1:${server.port}/v1`, asked, [Symbol.dispose]: () => void server.stop(true) }
  }

  test('leaves the executable where it is: the image takes it by its checksum, and nothing of it is written here', async () => {
    using release = publish(() => SUMS)
    const { exitCode, stdout } = await fabra(['deploy', 'render', '--name', 'a', '--release', `${release.url}/`])
    expect(exitCode).toBe(0)
    expect(names()).toEqual(['.dockerignore', 'Dockerfile', 'features.ts', 'linux', 'render.yaml'])
    expect(read('Dockerfile')).toContain(`ADD ["${release.url}/fabra-v1.2.3-linux-x64.tar.gz", "/tmp/fabra.tar.gz"]`)
    expect(read('Dockerfile')).toContain(`echo '${SUM}  /tmp/fabra.tar.gz' | sha256sum --check`)
    expect(release.asked).toEqual(['GET /v1/SHA256SUMS', 'HEAD /v1/fabra-v1.2.3-linux-x64.tar.gz'])
    expect(stdout).toContain('git add --force render.yaml Dockerfile .dockerignore features.ts && git commit')
    expect(stdout).not.toMatch(/lfs|fabra-linux/)
  })

  test('needs no flag where package.json tells the address; --executable goes before it', async () => {
    using release = publish(() => SUMS)
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ fabra: { release: release.url } }))
    for (const platform of ['fly', 'ecs', 'docker']) await fabra(['deploy', platform, '--name', 'ab', '--dry-run'])
    expect(release.asked).toHaveLength(6)
    expect(await fabra(['deploy', 'fly', '--name', 'a'])).toMatchObject({ exitCode: 0 })
    expect(names()).not.toContain('fabra-linux-x64.tar.gz')
    await deploy('fly', '--name', 'a', '--force')
    expect(names()).toContain('fabra-linux-x64.tar.gz')
    writeFileSync(join(folder, 'package.json'), '{"fabra":{"release":7}}')
    expect(await fabra(['deploy', 'fly', '--name', 'a'])).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('"fabra.release"') })
  })

  test('writes nothing where the release is not there, or not whole', async () => {
    let sums = SUMS
    let status = 404
    using release = publish(
      () => sums,
      () => status,
    )
    const from = (address = release.url) => fabra(['deploy', 'fly', '--name', 'a', '--release', address])
    expect(await from()).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('linux-x64.tar.gz answered 404') })
    status = 200
    sums = ''
    expect(await from()).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('names no archive for linux-x64') })
    sums = SUMS.replace('ab', 'xy')
    expect(await from()).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('names no archive for linux-x64') })
    expect(await from('ftp://x')).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('no address of a release') })
    expect(await from('http://127.0.0.1:1')).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('cannot be reached') })
    expect(names()).toEqual(['features.ts', 'linux'])
  })

  test('without one, Render is given the executable by Git LFS and not by git', async () => {
    const { stdout } = await deploy('render', '--name', 'a')
    expect(stdout).toContain('git lfs track fabra-linux-x64.tar.gz')
    expect(stdout).toContain('git add --force render.yaml Dockerfile .dockerignore features.ts && git commit')
  })
})

describe('fabra deploy --check', () => {
  const KEYS = `${'0'.repeat(64)}:read`
  const ENV = { FABRA_POSTGRES_URL: 'postgres://127.0.0.1:1/x', FABRA_REDIS_URL: 'redis://x', FABRA_API_KEYS: KEYS }

  test('a database that is named and cannot be reached fails, and nothing is written', async () => {
    expect(await fabra(['deploy', 'fly', '--name', 'a', '--check'], ENV)).toMatchObject({
      exitCode: 1,
      stdout: expect.stringMatching(/^definitions: PostgreSQL: The database cannot be used.*\n.*\n\n1 problem\n$/),
    })
    expect(names()).toEqual(['features.ts', 'linux'])
  })

  test('finds missing secrets, settings that no server starts with, a broken file and a source that cannot be read', async () => {
    writeFileSync(join(folder, '.env'), `FABRA_API_KEYS=${KEYS}\n`)
    writeFileSync(join(folder, 'rows.csv'), 'user_id,made_at\nu1,2026-01-01T00:00:00Z\n')
    writeFileSync(
      join(folder, 'features.ts'),
      `${FEATURES}import { source } from 'fabra'\nexport const rows = source('rows', { timestamp: 'created_at', file: './rows.csv' })\n`,
    )
    const { exitCode, stdout } = await fabra(['deploy', 'fly', '--name', 'a', '--check'])
    expect(exitCode).toBe(1)
    expect(stdout).toContain('FABRA_POSTGRES_URL: is set neither here nor in .env')
    expect(stdout).not.toContain('FABRA_API_KEYS:')
    expect(stdout).toContain('features.ts:5:21  source "rows": ')
    expect((await fabra(['deploy', 'fly', '--name', 'a', '--check'], { FABRA_PORT: 'x' })).stdout).toContain('environment: FABRA_PORT="x"')
    writeFileSync(join(folder, 'features.ts'), `${FEATURES}export const x = \n`)
    expect((await fabra(['deploy', 'fly', '--name', 'a', '--check'], ENV)).stdout).toContain('features.ts')
  })
})

describe('fabra setup', () => {
  const environment = (path = '.env') => parseEnv(read(path)) as Readonly<Record<string, string>>

  test('writes a stack with passwords that nobody else can read', async () => {
    const { exitCode, stdout } = await fabra(['setup', 'stack'])
    expect(exitCode).toBe(0)
    expect(statSync(join(folder, 'stack/.env')).mode & 0o777).toBe(0o600)
    const env = environment('stack/.env')
    // None begins with a sign that a command would take for a flag.
    expect(env['POSTGRES_PASSWORD']).toMatch(/^[0-9a-f]{48}$/)
    expect(env['POSTGRES_PASSWORD']).not.toBe(env['REDIS_PASSWORD'])
    expect(new URL(env['FABRA_POSTGRES_URL'] ?? '').password).toBe(env['POSTGRES_PASSWORD'] ?? '')
    expect(new URL(env['FABRA_REDIS_URL'] ?? '').password).toBe(env['REDIS_PASSWORD'] ?? '')
    expect(stdout).not.toContain(env['POSTGRES_PASSWORD'])
  })

  test('does nothing the second time, whatever was added to .env', async () => {
    await fabra(['setup'])
    const before = `${read('.env')}FABRA_API_KEYS=abc:read\n`
    writeFileSync(join(folder, '.env'), before)
    // Limits of alerts are the user's to set.
    writeFileSync(join(folder, 'monitoring/alerts.yaml'), 'groups: []\n')
    expect(await fabra(['setup'])).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('Everything is there already.') })
    expect(read('.env')).toBe(before)
    expect(read('monitoring/alerts.yaml')).toBe('groups: []\n')
  })

  test('never replaces passwords or other lines, not even with --force', async () => {
    writeFileSync(join(folder, '.env'), "MINE=1\nPOSTGRES_PASSWORD='old/one'\n")
    expect(await fabra(['setup'])).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('already has .env') })
    expect(await fabra(['setup', '--force'])).toMatchObject({ exitCode: 0 })
    const first = environment()
    expect(first).toMatchObject({ MINE: '1', POSTGRES_PASSWORD: 'old/one' })
    expect(first['FABRA_POSTGRES_URL']).toBe('postgres://fabra:old%2Fone@127.0.0.1:5432/fabra')
    const ports = ['setup', '--postgres-port', '15432', '--redis-port', '16379']
    expect(await fabra(ports)).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('already has compose.yaml, .env') })
    expect(environment()).toEqual(first)
    expect(await fabra([...ports, '--force'])).toMatchObject({ exitCode: 0 })
    expect(environment()).toEqual({
      ...first,
      FABRA_POSTGRES_URL: 'postgres://fabra:old%2Fone@127.0.0.1:15432/fabra',
      FABRA_REDIS_URL: `redis://:${first['REDIS_PASSWORD']}@127.0.0.1:16379`,
    })
    expect(statSync(join(folder, '.env')).mode & 0o777).toBe(0o600)
    expect(await fabra(['setup', '--redis-port', '99999'])).toMatchObject({ exitCode: 2 })
  })
})
