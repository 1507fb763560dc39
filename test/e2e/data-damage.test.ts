/** A data file that is not what it was, met by the executable: every command says the same, a repair makes it usable, a kill is no damage. */
import { expect, test } from 'bun:test'
import { chmodSync, chownSync, cpSync, mkdirSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { builtBinary, type RunningFabra, runFabra, startFabra, temporaryFolder } from '../support/binary.ts'
import { bytesOf, flip } from '../support/data-files.ts'
import { EVENTS, HEAD, type ProjectFolder, projectFolder, VISITS } from '../support/project-folder.ts'
import { until } from '../support/until.ts'

const SCORE = `export const score = feature({ entity: User, type: 'int', max_staleness: '30d' })\n`
const FILES = {
  'features.ts': HEAD + VISITS + SCORE,
  'events.csv': EVENTS,
  'labels.csv': 'user_id,event_timestamp\nu1,2026-01-02T00:00:00Z\n',
}
const LIMIT_MS = 120_000

async function push(server: RunningFabra, user: string, value: number): Promise<boolean> {
  const body = JSON.stringify({ rows: [{ user_id: user, value }] })
  const response = await fetch(`${server.url}/v1/features/score/values`, { method: 'POST', body }).catch(() => undefined)
  return response?.status === 200
}

async function score(server: RunningFabra, user: string): Promise<unknown> {
  const response = await fetch(`${server.url}/v1/features/score?entity_id=${user}`)
  return ((await response.json()) as { value: unknown }).value
}

const markOf = (project: ProjectFolder) =>
  Bun.file(join(project.path, '.fabra/fabra.duckdb.mark')).json() as Promise<{ rows: { history: number } | null }>

/** A server that has taken pushes, all of them marked, and was killed. @returns its file. */
async function killedServer(project: ProjectFolder, pushes: number): Promise<string> {
  const server = await startFabra({ cwd: project.path, file: 'features.ts' })
  for (let i = 1; i <= pushes; i++) expect(await push(server, `u${i}`, i)).toBe(true)
  await until('the mark', 10_000, async () => (((await markOf(project)).rows?.history ?? 0) >= pushes ? true : undefined))
  await server.kill()
  return join(project.path, '.fabra/fabra.duckdb')
}

test(
  'a server that is killed again and again under pushes starts each time, with all that it acknowledged',
  async () => {
    using project = projectFolder(FILES)
    const acknowledged = new Map<string, number>()
    let value = 0
    for (let round = 0; round < 3; round++) {
      const server = await startFabra({ cwd: project.path, file: 'features.ts' })
      for (const [user, last] of acknowledged) expect(Number(await score(server, user))).toBeGreaterThanOrEqual(last)
      let running = true
      const pushing = Array.from({ length: 6 }, async (_, writer) => {
        while (running) {
          const [user, mine] = [`u${writer}-${value % 7}`, ++value]
          if (await push(server, user, mine)) acknowledged.set(user, mine)
        }
      })
      // At another moment each time: between two marks, and just behind one.
      const target = value + 40 + round * 37 + Math.floor(Math.random() * 37)
      await until('pushes', 20_000, async () => (value >= target ? true : undefined))
      await server.kill()
      running = false
      await Promise.all(pushing)
    }
    const { exitCode, stdout } = await runFabra(['doctor', '--json'], { cwd: project.path })
    expect(exitCode).toBe(0)
    expect(stdout).toContain('can be read to its last row')
  },
  LIMIT_MS,
)

test(
  'every command that needs the file refuses a damaged one alike, and changes nothing',
  async () => {
    using project = projectFolder(FILES)
    const file = await killedServer(project, 20)
    truncateSync(`${file}.wal`, Math.floor(statSync(`${file}.wal`).size / 2))
    const before = bytesOf(file)
    for (const args of [
      ['serve', '--port', '0'],
      ['get', 'visits', 'u1'],
      ['train', 'labels.csv', '--features', 'visits', '-o', 'out.csv'],
      ['refresh', 'visits'],
      ['runs'],
      ['push', 'score', 'labels.csv'],
    ]) {
      const { exitCode, stdout, stderr } = await runFabra(args, { cwd: project.path })
      expect([args[0], exitCode, stdout]).toEqual([args[0], 1, ''])
      expect(stderr).toMatch(/error data_file_corrupt: The database .*what was acknowledged is missing.*20 rows of history/)
      expect(stderr).toContain('fabra doctor --repair')
      expect(bytesOf(file)).toEqual(before)
    }
    const doctor = await runFabra(['doctor', '--json'], { cwd: project.path })
    expect([doctor.exitCode, doctor.stdout.includes('what was acknowledged is missing')]).toEqual([1, true])
    expect(bytesOf(file)).toEqual(before)
  },
  LIMIT_MS,
)

test(
  'doctor --repair moves the file aside, keeps what can be read, says what is lost; the server starts again',
  async () => {
    using project = projectFolder(FILES)
    const file = await killedServer(project, 20)
    flip(`${file}.wal`, Math.floor(statSync(`${file}.wal`).size / 2))
    const refused = await runFabra(['serve', '--port', '0'], { cwd: project.path })
    // Where the byte falls on a length, the log ends there for the engine, and the mark tells.
    expect(refused.stderr).toMatch(/its write-ahead log \(\.wal\) cannot be read back|what was acknowledged is missing in it/)
    const before = bytesOf(file)

    const { exitCode, stdout } = await runFabra(['doctor', '--repair'], { cwd: project.path })
    expect(exitCode).toBe(0)
    const kept = Number(/It holds (\d+) rows of history/.exec(stdout)?.[1])
    expect(kept).toBeGreaterThan(0)
    expect(kept).toBeLessThan(20)
    expect(stdout).toContain(`${20 - kept} of 20 rows of history`)
    const aside = readdirSync(join(project.path, '.fabra')).find((name) => /damaged-\w+$/.test(name))
    expect(bytesOf(join(project.path, '.fabra', aside ?? ''))).toEqual(before)

    const server = await startFabra({ cwd: project.path, file: 'features.ts' })
    expect(await score(server, `u${kept}`)).toBe(kept)
    expect(await score(server, 'u20')).toBeNull()
    expect(await server.stop()).toBe(0)
    const again = await runFabra(['doctor', '--repair'], { cwd: project.path })
    expect([again.exitCode, again.stdout.includes('nothing to repair')]).toEqual([0, true])
  },
  LIMIT_MS,
)

test(
  'doctor --repair beside a running server is refused',
  async () => {
    using project = projectFolder(FILES)
    const server = await startFabra({ cwd: project.path, file: 'features.ts' })
    const { exitCode, stderr } = await runFabra(['doctor', '--repair'], { cwd: project.path })
    expect([exitCode, stderr.includes('data_dir_locked'), stderr.includes(String(server.pid))]).toEqual([1, true, true])
    expect((await runFabra(['doctor'], { cwd: project.path })).stdout).toContain(`in use by process ${server.pid}`)
    expect((await runFabra(['doctor', '--repair', 'features.ts'], { cwd: project.path })).exitCode).toBe(2)
    expect(await server.stop()).toBe(0)
  },
  LIMIT_MS,
)

test(
  'a source whose table is damaged is loaded again from its file after the repair',
  async () => {
    const rows = Array.from({ length: 60_000 }, (_, i) => `${i},u${i % 1000},${Math.random()},2026-01-01 10:00:00`)
    using project = projectFolder({ ...FILES, 'events.csv': `id,user_id,amount,created_at\n${rows.join('\n')}\n` })
    const count = () => runFabra(['get', 'visits', 'u7'], { cwd: project.path })
    expect((await count()).stdout).toBe('60\n')
    const file = join(project.path, '.fabra/fabra.duckdb')
    const size = statSync(file).size
    for (let at = 12_288 + 262_144 + 5_000; at < size - 2 * 262_144; at += 262_144) flip(file, at)
    const hurt = await count()
    expect([hurt.exitCode, hurt.stderr.includes('data_file_corrupt')]).toEqual([1, true])
    const repair = await runFabra(['doctor', '--repair'], { cwd: project.path })
    expect(repair.exitCode).toBe(0)
    expect((await count()).stdout).toBe('60\n')
  },
  LIMIT_MS,
)

const isRoot = process.getuid?.() === 0
/** Root may read everything. */
const AS_NOBODY = isRoot ? ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'] : []

test(
  'a file that may not be read or written is named as that',
  async () => {
    using project = projectFolder(FILES)
    await runFabra(['get', 'visits', 'u1'], { cwd: project.path })
    const data = join(temporaryFolder(), 'data')
    try {
      cpSync(join(project.path, '.fabra'), data, { recursive: true })
      if (isRoot)
        for (const path of [join(data, '..'), data, ...readdirSync(data).map((name) => join(data, name))]) chownSync(path, 65_534, 65_534)
      for (const mode of [0o400, 0o000]) {
        chmodSync(join(data, 'fabra.duckdb'), mode)
        const { exitCode, stderr } = await asNobody(data, project.path)
        expect([exitCode, stderr]).toEqual([1, expect.stringMatching(/error io_failed: .*this user may not read and write it/)])
      }
    } finally {
      rmSync(join(data, '..'), { recursive: true, force: true })
    }
  },
  LIMIT_MS,
)

async function asNobody(data: string, cwd: string): Promise<{ exitCode: number; stderr: string }> {
  chmodSync(join(cwd, '..'), 0o755)
  const child = Bun.spawn([...AS_NOBODY, builtBinary(), 'get', 'visits', 'u1'], {
    cwd,
    env: { PATH: process.env['PATH'], HOME: join(data, '..'), FABRA_DATA_DIR: data, NO_COLOR: '1' },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const [exitCode, stderr] = await Promise.all([child.exited, child.stderr.text()])
  return { exitCode, stderr }
}

for (const size of ['64k', '700k', '3m']) {
  test(
    `a disk of ${size} that is full is named as that, and no source or definition is blamed`,
    async () => {
      const rows = Array.from({ length: 60_000 }, (_, i) => `${i},u${crypto.randomUUID()},${Math.random()},2026-01-01 10:00:00`)
      using project = projectFolder({ ...FILES, 'events.csv': `id,user_id,amount,created_at\n${rows.join('\n')}\n` })
      mkdirSync(join(project.path, 'small'))
      writeFileSync(
        join(project.path, 'run.sh'),
        `mount -t tmpfs -o size=${size} tmpfs small && FABRA_DATA_DIR=small exec "$1" get visits u1\n`,
      )
      const child = Bun.spawn(['unshare', '--map-root-user', '--mount', 'sh', 'run.sh', builtBinary()], {
        cwd: project.path,
        env: { PATH: process.env['PATH'], HOME: process.env['HOME'], NO_COLOR: '1' },
        stdio: ['ignore', 'ignore', 'pipe'],
      })
      const [exitCode, stderr] = await Promise.all([child.exited, child.stderr.text()])
      expect(exitCode).toBe(1)
      expect(stderr).toMatch(/error io_failed: .*(disk is full|disk of the data folder .* is full)/)
      expect(stderr).toContain('Make room')
    },
    LIMIT_MS,
  )
}
