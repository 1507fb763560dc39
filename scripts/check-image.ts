/**
 * Shows the image at work: built from what `fabra deploy docker` writes, run as the user it names on a read-only root, with its own health check,
 * PostgreSQL and Redis, and stopped under load. Where a base cannot be fetched a stand-in is made of the Debian packages that it consists of.
 * The container is a mount namespace with a changed root: no engine is needed, the network is the machine's.
 */
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { SQL } from 'bun'
import packageJson from '../package.json'
import { tarGz } from '../src/cli/deploy/tar.ts'
import { BINARY, temporaryFolder } from '../test/support/binary.ts'
import { keepAliveLoad } from '../test/support/keep-alive-load.ts'
import { freePort } from '../test/support/ports.ts'
import { startPostgres, startRedis } from '../test/support/servers.ts'
import { until } from '../test/support/until.ts'
import { type Base, debian, distroless, provideBase, python } from './image-parts/stand-in.ts'

const NOBODY = 65_532
const FEATURES = `import { entity, feature, source } from 'fabra'
import { twice } from './lib/twice.ts'
export const User = entity('User', { key: 'user_id' })
export const events = source('events', { timestamp: 'created_at' })
export const visits = feature({ entity: User, refresh: '5m', type: 'int', sql: 'SELECT COUNT(*) FROM events WHERE user_id = $user_id' })
export const double = feature({ entity: User, refresh: 0, type: 'int' }, async (_, { get }) => twice((await get(visits)) ?? 0))
`

/** The requirement of our own name is one that no index can meet: it must not be asked for. */
const PYTHON_FILES = {
  'features.py': `from fabra import db, entity, feature, get, source
from lib.twice import twice

@entity
class User:
    user_id: str

source("events", timestamp="created_at")

@feature(entity=User, refresh="5m")
def visits(user_id: str) -> int:
    return db.query("SELECT COUNT(*) FROM events WHERE user_id = %s", user_id)

@feature(entity=User, refresh=0)
async def double(user_id: str) -> int:
    return twice(await get(visits) or 0)
`,
  'lib/twice.py': 'def twice(n): return n * 2\n',
  'requirements.txt': 'fabra-ai[ui] == 999.0 \\\n    --hash=sha256:00\n',
}
/** The stand-in for the base is made of it. */
const PYTHON_OF_THE_BASE = { FABRA_PYTHON: '/usr/bin/python3' }

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  /** Makes stand-ins of all bases, and asks no registry. */
  options: { offline: { type: 'boolean', default: false } },
})
const isWanted = (part: string) => positionals.length === 0 || positionals.includes(part)

const work = temporaryFolder()
const storage = storageIn(work)
const place = { buildah, work, offline: flags.offline }
const startedAt = performance.now()
const provided = new Set<Base>()
await using redis = await startRedis()
await using postgres = await startPostgres()
try {
  if (isWanted('typescript')) {
    const twice = 'export const twice = (n: number) => n * 2\n'
    await check({ tag: 'checked', base: distroless, files: { 'features.ts': FEATURES, 'lib/twice.ts': twice } })
  }
  if (isWanted('python')) await check({ tag: 'python', base: python, files: PYTHON_FILES })
  if (isWanted('release')) await checkRelease()
  console.log('The image works.')
} finally {
  Bun.spawnSync(['buildah', ...storage, 'umount', '--all'])
  rmSync(work, { recursive: true, force: true })
}

/** Layers over each other where the kernel can do that; else each is a copy of all below it. */
function storageIn(folder: string): string[] {
  const rest = ['--root', join(folder, 'storage'), '--runroot', join(folder, 'run')]
  const overlay = ['--storage-driver', 'overlay', ...rest]
  return Bun.spawnSync(['buildah', ...overlay, 'info']).exitCode === 0 ? overlay : ['--storage-driver', 'vfs', ...rest]
}

interface Checked {
  readonly tag: string
  readonly base: Base
  readonly files: Readonly<Record<string, string>>
}

/** Builds the image of a project, and uses it. */
async function check({ tag, base, files }: Checked): Promise<void> {
  const project = join(work, tag)
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(project, path)), { recursive: true })
    writeFileSync(join(project, path), text)
  }
  const stores = { FABRA_POSTGRES_URL: await databaseOf(tag), FABRA_REDIS_URL: redis.url }
  command([BINARY, 'deploy', 'docker', '--name', tag], { cwd: project, env: PYTHON_OF_THE_BASE })
  provide(base)
  build(tag, project)
  say(`built the image "${tag}"`)
  const root = buildah('mount', buildah('from', '--pull-never', tag))
  const { config } = (JSON.parse(buildah('inspect', '--type', 'image', tag)) as { Docker: { config: ImageConfig } }).Docker
  const { key } = JSON.parse(command([BINARY, 'keys', 'create', '--name', 'check', '--json'], { cwd: project, env: stores })) as {
    key: string
  }
  const port = await freePort()
  const container = await start(root, config, { ...stores, PORT: String(port) })
  const url = `http://127.0.0.1:${port}`
  try {
    await until('the health check of the image', 60_000, async () =>
      container.run(config.Healthcheck.Test.slice(1)) === 0 ? true : undefined,
    )
    say(`its HEALTHCHECK succeeds: ${config.Healthcheck.Test.slice(1).join(' ')}`)
    container.expectHarmless()
    say(`it runs as ${config.User} on a read-only root`)
    const headers = { authorization: `Bearer ${key}` }
    for (const [feature, value] of Object.entries({ visits: 3, double: 6 })) {
      const answer = (await (await fetch(`${url}/v1/features/${feature}?entity_id=u1`, { headers })).json()) as { value?: unknown }
      if (answer.value !== value) throw new Error(`${feature} is ${JSON.stringify(answer)}, not ${value}.\n${container.printed()}`)
      say(`serves ${JSON.stringify(answer)}`)
    }
    await stopUnderLoad(`${url}/v1/features/visits?entity_id=u1`, headers, container)
  } catch (error) {
    console.error(container.printed())
    throw error
  } finally {
    container.kill()
  }
}

/** The executable that the image takes from a release itself, in a stage of its own. */
async function checkRelease(): Promise<void> {
  const project = join(work, 'release')
  mkdirSync(project)
  writeFileSync(join(project, 'features.ts'), "export { one } from './one.ts'\n")
  writeFileSync(
    join(project, 'one.ts'),
    "import { entity, feature } from 'fabra'\nexport const one = feature({ entity: entity('User', { key: 'id' }), refresh: 0 }, () => 1)\n",
  )
  // Stands for the executable, which is thousands of times as large and runs in the image of the project: a program that takes any arguments.
  const executable = readFileSync('/bin/true')
  const archive = tarGz([{ name: 'fabra', data: executable, mode: 0o755 }])
  let sum = new Bun.CryptoHasher('sha256').update(archive).digest('hex')
  const name = `fabra-v${packageJson.version}-linux-${process.arch}.tar.gz`
  using server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch: (request) => new Response(request.url.endsWith('SHA256SUMS') ? `${sum}  ${name}\n` : Buffer.from(archive)),
  })
  const deploy = async (...more: string[]) => {
    const words = [BINARY, 'deploy', 'docker', '--name', 'released', '--release', `http://127.0.0.1:${server.port}`, ...more]
    const child = Bun.spawn(words, { cwd: project, stdio: ['ignore', 'ignore', 'pipe'] })
    if ((await child.exited) !== 0) throw new Error(await child.stderr.text())
  }
  const builds = async (tag: string) => {
    const words = [
      'buildah',
      ...storage,
      'bud',
      '--isolation',
      'chroot',
      '--format',
      'docker',
      '--pull-never',
      '--quiet',
      '--tag',
      tag,
      project,
    ]
    const child = Bun.spawn(words, { stdio: ['ignore', 'ignore', 'pipe'] })
    return { exitCode: await child.exited, stderr: await child.stderr.text() }
  }
  await deploy()
  for (const base of [distroless, debian]) provide(base)
  const built = await builds('released')
  if (built.exitCode !== 0) throw new Error(built.stderr)
  const inImage = join(buildah('mount', buildah('from', '--pull-never', 'released')), 'usr/local/bin/fabra')
  const { mode } = statSync(inImage)
  if (!readFileSync(inImage).equals(executable) || (mode & 0o555) !== 0o555)
    throw new Error(`The image of the release has another executable, of mode ${mode.toString(8)}.`)
  sum = '0'.repeat(64)
  await deploy('--force')
  const refused = await builds('refused')
  if (refused.exitCode === 0 || !/checksum/i.test(refused.stderr))
    throw new Error(`An archive of another checksum was taken: ${refused.stderr}`)
  say(`built the image with the executable of a release; one with another checksum is refused`)
}

function provide(base: Base): void {
  if (!provided.has(base)) say(provideBase(base, place))
  provided.add(base)
}

function build(tag: string, project: string): void {
  buildah('bud', '--isolation', 'chroot', '--format', 'docker', '--pull-never', '--quiet', '--tag', tag, project)
}

interface ImageConfig {
  readonly User: string
  readonly Env: readonly string[]
  readonly Entrypoint: readonly string[]
  readonly Cmd: readonly string[]
  readonly WorkingDir: string
  readonly Healthcheck: { readonly Test: readonly string[] }
}

async function databaseOf(name: string): Promise<string> {
  const admin = new SQL(postgres.url, { max: 1 })
  await admin.unsafe(`CREATE DATABASE ${name}`)
  await admin.close()
  const url = postgres.url.replace(/\/[^/]*$/, `/${name}`)
  const sql = new SQL(url, { max: 1 })
  await sql`CREATE TABLE events (user_id text NOT NULL, created_at timestamptz NOT NULL)`
  await sql`INSERT INTO events SELECT 'u1', now() - interval '1 hour' FROM generate_series(1, 3)`
  await sql.close()
  return url
}

interface Container {
  /** Another command of the image beside it. @returns its exit code. */
  run(command: readonly string[]): number
  /** @throws Error unless it is not root and cannot write. */
  expectHarmless(): void
  terminate(): Promise<number>
  printed(): string
  kill(): void
}

async function start(root: string, config: ImageConfig, environment: Readonly<Record<string, string>>): Promise<Container> {
  const env = Object.fromEntries([
    ...config.Env.map((pair) => pair.split(/=(.*)/s).slice(0, 2) as [string, string]),
    ...Object.entries(environment),
  ])
  const inside = ['unshare', `--root=${root}`, `--wd=${config.WorkingDir}`, `--setgid=${NOBODY}`, `--setuid=${NOBODY}`, '--']
  // Only /tmp can be written. The links of Bun's own embedded files need /proc.
  const mounts = `mount --make-rprivate / && mount --bind ${root} ${root} && mount -t tmpfs -o mode=1777,noexec tmpfs ${root}/tmp && mount --rbind /proc ${root}/proc && mount --rbind /dev ${root}/dev && mount -o remount,ro,bind ${root} && exec "$@"`
  const path = process.env['PATH'] ?? ''
  const child = Bun.spawn(['unshare', '--mount', 'sh', '-c', mounts, 'sh', ...inside, ...config.Entrypoint, ...config.Cmd], {
    env: { ...env, PATH: path },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let printed = ''
  const read = async (stream: ReadableStream<Uint8Array>) => {
    for await (const chunk of stream) printed += new TextDecoder().decode(chunk)
  }
  void read(child.stdout)
  void read(child.stderr)
  return {
    run: (words) =>
      Bun.spawnSync(['nsenter', `--mount=/proc/${child.pid}/ns/mnt`, ...inside, ...words], { env: { ...env, PATH: path }, timeout: 10_000 })
        .exitCode,
    expectHarmless() {
      const status = command(['cat', `/proc/${child.pid}/status`])
      if (!status.includes(`Uid:\t${NOBODY}\t${NOBODY}\t${NOBODY}`)) throw new Error(`It is not ${NOBODY}: ${/Uid:.*/.exec(status)?.[0]}`)
      const mount = command(['cat', `/proc/${child.pid}/mountinfo`])
        .split('\n')
        .find((line) => line.split(' ')[4] === '/')
      if (!mount?.split(' ')[5]?.split(',').includes('ro')) throw new Error(`Its root can be written: ${mount}`)
    },
    async terminate() {
      child.kill('SIGTERM')
      return child.exited
    },
    printed: () => printed,
    kill: () => child.kill('SIGKILL'),
  }
}

async function stopUnderLoad(url: string, headers: Readonly<Record<string, string>>, container: Container): Promise<void> {
  const load = keepAliveLoad(url, 16, headers)
  await until('five hundred answers', 60_000, async () => (load.answered > 500 ? true : undefined))
  const answeredBefore = load.answered
  const at = performance.now()
  const exitCode = await container.terminate()
  const seconds = ((performance.now() - at) / 1000).toFixed(1)
  await load.ended
  if (exitCode !== 0 || load.lost > 0) throw new Error(`SIGTERM under load: exit code ${exitCode}, ${load.lost} requests lost.`)
  say(
    `SIGTERM under load of 16 clients: ended with 0 after ${seconds} s, ${load.answered - answeredBefore} more answers, 0 of ${load.answered} requests lost`,
  )
}

function buildah(...words: readonly string[]): string {
  return command(['buildah', ...storage, ...words])
}

function command(
  words: readonly string[],
  options: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> } = {},
): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync([...words], { cwd: options.cwd, env: { ...process.env, ...options.env } })
  if (exitCode !== 0) throw new Error(`${words.join(' ')} ended with ${exitCode}.\n${stdout}${stderr}`)
  return stdout.toString().trim()
}

function say(text: string): void {
  console.log(`${((performance.now() - startedAt) / 1000).toFixed(1).padStart(5)} s  ${text}`)
}
