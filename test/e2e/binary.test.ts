import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { copyFileSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import packageJson from '../../package.json'
import { builtBinary, type RunningFabra, runFabra, startFabra, temporaryFolder } from '../support/binary.ts'
import { until } from '../support/until.ts'

// It may have to be built first.
setDefaultTimeout(180_000)

/** The executable alone, as somebody has it who downloaded it: no sources, no node_modules, no cache. */
let downloads = ''
let binary = ''
let env: Record<string, string> = {}

beforeAll(() => {
  downloads = temporaryFolder()
  binary = join(downloads, 'fabra')
  copyFileSync(builtBinary(), binary)
  env = { HOME: downloads, FABRA_CACHE_DIR: join(downloads, 'cache') }
})
afterAll(() => rmSync(downloads, { recursive: true, force: true }))

test('the executable knows its version', async () => {
  expect(await runFabra(['version'], { binary, env, cwd: downloads })).toMatchObject({ exitCode: 0, stdout: `${packageJson.version}\n` })
})

test('a bunfig.toml or .env that lies in the current folder changes nothing', async () => {
  const cwd = join(downloads, 'trap')
  mkdirSync(cwd)
  writeFileSync(join(cwd, 'trap.ts'), "console.log('trapped')")
  writeFileSync(join(cwd, 'bunfig.toml'), 'preload = ["./trap.ts"]')
  writeFileSync(join(cwd, '.env'), 'FABRA_PORT=none')
  expect(await runFabra(['version'], { binary, env, cwd })).toMatchObject({ exitCode: 0, stdout: `${packageJson.version}\n` })
})

describe('a project begun with fabra init', () => {
  let cwd = ''
  let server: RunningFabra

  beforeAll(async () => {
    const made = await runFabra(['init', 'shop'], { binary, env, cwd: downloads })
    if (made.exitCode !== 0) throw new Error(made.stdout + made.stderr)
    cwd = join(downloads, 'shop')
    server = await startFabra({ binary, env, cwd, file: 'features.ts' })
  })
  afterAll(() => server.kill())

  const printedLine = (running: RunningFabra) => {
    const line = /^ *(curl .+)$/m.exec(running.stdout())?.[1]
    if (line === undefined) throw new Error(`There is no curl line in:\n${running.stdout()}`)
    return line
  }

  /** Runs the line that `fabra serve` printed, as a user pastes it. */
  function paste(running: RunningFabra): {
    value: unknown
    status: string
    served_from: string
    freshness_ms: number
    event_timestamp: string
  } {
    return JSON.parse(Bun.spawnSync(['sh', '-c', printedLine(running).replace('curl', 'curl -sS')]).stdout.toString())
  }

  test('answers the printed curl with a computed value, and then from the online store', () => {
    const first = paste(server)
    expect(first).toMatchObject({ status: 'fresh', served_from: 'computed' })
    expect(Number(first.value)).toBeGreaterThan(0)
    const second = paste(server)
    const third = paste(server)
    expect(second).toMatchObject({ value: first.value, status: 'fresh', served_from: 'online' })
    expect(third.freshness_ms).toBeGreaterThan(second.freshness_ms)
  })

  test('still answers with a value that says something in 30 days', async () => {
    const inAMonth = new Date(Date.now() + 30 * 86_400_000).toISOString()
    const later = await startFabra({ binary, env, cwd, file: 'features.ts', args: ['--clock', inAMonth] })
    const answer = paste(later)
    expect(await later.stop()).toBe(0)
    expect(answer).toMatchObject({ status: 'fresh', served_from: 'computed' })
    expect(Number(answer.value)).toBeGreaterThan(0)
  })

  test('listens on the address it was given and on nothing else', () => {
    expect(listeningAddresses(server.pid)).toEqual([`127.0.0.1:${server.port}`])
  })

  test('a port in use is an error that names it, and the running server goes on', async () => {
    const folder = temporaryFolder()
    const args = ['serve', join(cwd, 'features.ts'), '--port', String(server.port)]
    const second = await runFabra(args, { binary, env: { ...env, FABRA_DATA_DIR: folder }, cwd })
    rmSync(folder, { recursive: true, force: true })
    expect(second.exitCode).toBe(1)
    expect(second.stderr).toContain(String(server.port))
    expect((await fetch(`${server.url}/health`)).status).toBe(200)
  })

  test('a second server on the same data folder names the process that holds it', async () => {
    const second = await runFabra(['serve', 'features.ts', '--port', '0'], { binary, env, cwd })
    expect(second.exitCode).toBe(1)
    expect(second.stderr).toContain(String(server.pid))
    expect((await fetch(`${server.url}/health`)).status).toBe(200)
  })

  test('killed and started again, serves its values from history without computing them', async () => {
    const before = paste(server)
    const [, path, query] = /'([^'?]+)[?]([^']+)'/.exec(printedLine(server)) ?? []
    await until('the value in history', 5_000, async () => {
      const { history } = (await (await fetch(`${path}/history?${query}`)).json()) as { history: readonly { value: unknown }[] }
      return history.some(({ value }) => Bun.deepEquals(value, before.value)) ? true : undefined
    })
    await server.kill()
    server = await startFabra({ binary, env, cwd, file: 'features.ts', port: server.port })
    expect(paste(server)).toMatchObject({ value: before.value, served_from: 'online' })
  })

  test('SIGTERM ends it with exit code 0', async () => {
    expect(await server.stop()).toBe(0)
  })
})

/** What the process listens on, by the kernel's own tables. */
function listeningAddresses(pid: number): string[] {
  const sockets = new Set(readdirSync(`/proc/${pid}/fd`).flatMap((fd) => socketInode(`/proc/${pid}/fd/${fd}`)))
  const tables = ['tcp', 'tcp6'].flatMap((table) => readFileSync(`/proc/${pid}/net/${table}`, 'utf8').split('\n').slice(1))
  return tables.flatMap((line) => {
    const [, local, , state, , , , , , inode] = line.trim().split(/\s+/)
    const isListening = state === '0A' && inode !== undefined && sockets.has(inode)
    return isListening && local !== undefined ? [readableAddress(local)] : []
  })
}

function socketInode(path: string): string[] {
  try {
    const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(path))?.[1]
    return inode === undefined ? [] : [inode]
  } catch {
    // Closed since it was listed.
    return []
  }
}

/** The kernel writes an IPv4 address as one little-endian number. */
function readableAddress(local: string): string {
  const [address = '', port = ''] = local.split(':')
  const bytes = address.match(/../g)?.map((byte) => Number.parseInt(byte, 16)) ?? []
  return `${bytes.length === 4 ? bytes.reverse().join('.') : `[${address}]`}:${Number.parseInt(port, 16)}`
}
