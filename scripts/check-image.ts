/**
 * Shows the image at work: built from what `fabra deploy docker` writes, run as the user it names on a read-only root, with its own health check,
 * PostgreSQL and Redis, and stopped under load. Where the base cannot be fetched a stand-in is made of the Debian packages that it consists of.
 * The container is a mount namespace with a changed root: no engine is needed, the network is the machine's.
 */
import { chmodSync, chownSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SQL } from 'bun'
import { BINARY, temporaryFolder } from '../test/support/binary.ts'
import { keepAliveLoad } from '../test/support/keep-alive-load.ts'
import { freePort } from '../test/support/ports.ts'
import { startPostgres, startRedis } from '../test/support/servers.ts'
import { until } from '../test/support/until.ts'

const BASE = 'gcr.io/distroless/cc-debian12:nonroot'
const PACKAGES = ['libc6', 'libstdc++6', 'libgcc-s1', 'ca-certificates', 'tzdata', 'netbase']
const NOBODY = 65_532
const FEATURES = `import { entity, feature, source } from 'fabra'
import { twice } from './lib/twice.ts'
export const User = entity('User', { key: 'user_id' })
export const events = source('events', { timestamp: 'created_at' })
export const visits = feature({ entity: User, refresh: '5m', type: 'int', sql: 'SELECT COUNT(*) FROM events WHERE user_id = $user_id' })
export const double = feature({ entity: User, refresh: 0, type: 'int' }, async (_, { get }) => twice((await get(visits)) ?? 0))
`

const work = temporaryFolder()
const storage = ['--storage-driver', 'vfs', '--root', join(work, 'storage'), '--runroot', join(work, 'run')]
const startedAt = performance.now()
await using redis = await startRedis()
await using postgres = await startPostgres()
try {
  await check()
  console.log('The image works.')
} finally {
  Bun.spawnSync(['buildah', ...storage, 'umount', '--all'])
  rmSync(work, { recursive: true, force: true })
}

async function check(): Promise<void> {
  const project = writeProject()
  const environment = { FABRA_POSTGRES_URL: postgres.url, FABRA_REDIS_URL: redis.url }
  command([BINARY, 'deploy', 'docker', '--name', 'checked'], { cwd: project })
  makeBase()
  buildah('bud', '--isolation', 'chroot', '--format', 'docker', '--pull-never', '--tag', 'checked', project)
  say('built the image')
  const root = buildah('mount', buildah('from', '--pull-never', 'checked'))
  const { config } = (JSON.parse(buildah('inspect', '--type', 'image', 'checked')) as { Docker: { config: ImageConfig } }).Docker
  await fillDatabase()
  const { key } = JSON.parse(command([BINARY, 'keys', 'create', '--name', 'check', '--json'], { cwd: project, env: environment })) as {
    key: string
  }
  const port = await freePort()
  const container = await start(root, config, { ...environment, PORT: String(port) })
  const url = `http://127.0.0.1:${port}`
  try {
    await until('the health check of the image', 60_000, async () =>
      container.run(config.Healthcheck.Test.slice(1)) === 0 ? true : undefined,
    )
    say(`its HEALTHCHECK succeeds: ${config.Healthcheck.Test.slice(1).join(' ')}`)
    container.expectHarmless()
    say(`it runs as ${config.User} on a read-only root`)
    const headers = { authorization: `Bearer ${key}` }
    for (const [feature, value] of [
      ['visits', 3],
      ['double', 6],
    ]) {
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

interface ImageConfig {
  readonly User: string
  readonly Env: readonly string[]
  readonly Entrypoint: readonly string[]
  readonly Cmd: readonly string[]
  readonly WorkingDir: string
  readonly Healthcheck: { readonly Test: readonly string[] }
}

function writeProject(): string {
  const project = join(work, 'project')
  mkdirSync(join(project, 'lib'), { recursive: true })
  writeFileSync(join(project, 'features.ts'), FEATURES)
  writeFileSync(join(project, 'lib/twice.ts'), 'export const twice = (n: number) => n * 2\n')
  return project
}

async function fillDatabase(): Promise<void> {
  const sql = new SQL(postgres.url, { max: 1 })
  await sql`CREATE TABLE events (user_id text NOT NULL, created_at timestamptz NOT NULL)`
  await sql`INSERT INTO events SELECT 'u1', now() - interval '1 hour' FROM generate_series(1, 3)`
  await sql.close()
}

/** The base itself, or the packages it is made of with the same user, home and temporary folder. */
function makeBase(): void {
  const pulled = Bun.spawnSync(['buildah', ...storage, 'pull', '--quiet', BASE], { timeout: 120_000 })
  if (pulled.exitCode === 0) {
    say(`pulled ${BASE}`)
    return
  }
  const [debs, root] = [join(work, 'debs'), join(work, 'base')]
  for (const folder of [debs, join(root, 'etc'), join(root, 'home/nonroot'), join(root, 'tmp'), join(root, 'proc'), join(root, 'dev')])
    mkdirSync(folder, { recursive: true })
  // Package files are fetched by a user of their own, who must be able to write here.
  chmodSync(work, 0o755)
  chmodSync(debs, 0o777)
  command(['apt-get', 'download', '--quiet', ...PACKAGES], { cwd: debs })
  for (const name of new Bun.Glob('*.deb').scanSync(debs)) command(['dpkg', '--extract', join(debs, name), root])
  writeFileSync(
    join(root, 'etc/passwd'),
    `root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:${NOBODY}:${NOBODY}:nonroot:/home/nonroot:/sbin/nologin\n`,
  )
  chownSync(join(root, 'home/nonroot'), NOBODY, NOBODY)
  chmodSync(join(root, 'tmp'), 0o1777)
  const container = buildah('from', 'scratch')
  buildah('copy', '--quiet', container, root, '/')
  // Copying makes everything root's.
  const mounted = buildah('mount', container)
  chownSync(join(mounted, 'home/nonroot'), NOBODY, NOBODY)
  chmodSync(join(mounted, 'tmp'), 0o1777)
  buildah('umount', container)
  buildah('config', '--user', String(NOBODY), '--env', 'HOME=/home/nonroot', '--env', 'PATH=/usr/local/bin:/usr/bin:/bin', container)
  buildah('commit', '--quiet', container, BASE)
  say(`${BASE} cannot be fetched here: a stand-in of ${PACKAGES.join(', ')}`)
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
  await until('two thousand answers', 60_000, async () => (load.answered > 2_000 ? true : undefined))
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
