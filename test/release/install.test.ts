/** install.sh, with a small stand-in for the executable: what it takes, what it refuses, what it leaves. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { tarGz } from '../../src/cli/tar.ts'
import { temporaryFolder } from '../support/binary.ts'

const SCRIPT = join(import.meta.dir, '../../install.sh')
const SYSTEM = `${process.platform}-${process.arch}`
const NAME = `fabra-v1.2.3-${SYSTEM}.tar.gz`

let folder = ''
let release = ''
beforeEach(() => {
  folder = temporaryFolder()
  release = join(folder, 'release')
  mkdirSync(release)
  publish('#!/bin/sh\necho 1.2.3\n')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

function publish(program: string): void {
  const archive = tarGz([{ name: 'fabra', data: new TextEncoder().encode(program), mode: 0o755 }])
  writeFileSync(join(release, NAME), archive)
  writeFileSync(join(release, 'SHA256SUMS'), `${new Bun.CryptoHasher('sha256').update(archive).digest('hex')}  ${NAME}\n`)
}

async function install(env: Record<string, string> = {}, script = SCRIPT) {
  const child = Bun.spawn(['sh', script], {
    env: { HOME: folder, PATH: process.env['PATH'] ?? '', TMPDIR: folder, FABRA_RELEASE: release, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [exitCode, stderr] = await Promise.all([child.exited, child.stderr.text()])
  return { exitCode, stderr }
}

const installed = () => join(folder, '.local/bin/fabra')
/** The release, and nothing that was left behind. */
const left = () => readdirSync(folder).sort()

describe('install.sh', () => {
  test('installs from a server what SHA256SUMS names, for this user, and says how to reach it', async () => {
    using server = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      fetch: (request) => new Response(Bun.file(join(release, new URL(request.url).pathname))),
    })
    const { exitCode, stderr } = await install({ FABRA_RELEASE: `http://127.0.0.1:${server.port}/` })
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: expect.stringContaining('installed fabra 1.2.3 in') })
    expect(stderr).toContain('add it to your PATH')
    expect(Bun.spawnSync([installed()]).stdout.toString()).toBe('1.2.3\n')
    expect(left()).toEqual(['.local', 'release'])
  })

  test('replaces an older one, and writes elsewhere when asked', async () => {
    await install()
    publish('#!/bin/sh\necho 1.2.4\n')
    expect((await install({ FABRA_INSTALL_DIR: join(folder, '.local/bin') })).stderr).toContain('installed fabra 1.2.4')
    expect(readdirSync(join(folder, '.local/bin'))).toEqual(['fabra'])
  })

  test('refuses a wrong checksum and leaves what was there', async () => {
    await install()
    writeFileSync(join(release, NAME), 'something else')
    const { exitCode, stderr } = await install()
    expect(exitCode).toBe(1)
    expect(stderr).toContain('is not what SHA256SUMS says')
    expect(Bun.spawnSync([installed()]).stdout.toString()).toBe('1.2.3\n')
    expect(left()).toEqual(['.local', 'release'])
  })

  test('says what is missing: this system, the address, a folder that can be written', async () => {
    writeFileSync(join(release, 'SHA256SUMS'), `${'0'.repeat(64)}  fabra-v1.2.3-plan9-mips.tar.gz\n`)
    expect(await install()).toMatchObject({ exitCode: 1, stderr: expect.stringContaining(`SHA256SUMS names no archive for ${SYSTEM}.`) })
    expect(await install({ FABRA_RELEASE: '' })).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('FABRA_RELEASE is not set') })
    expect(await install({ FABRA_RELEASE: '/nowhere' })).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('cannot read /nowhere/SHA256SUMS'),
    })
    publish('#!/bin/sh\necho 1.2.3\n')
    writeFileSync(join(folder, 'file'), '')
    expect(await install({ FABRA_INSTALL_DIR: join(folder, 'file') })).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('Set FABRA_INSTALL_DIR'),
    })
    expect(existsSync(installed())).toBe(false)
  })

  test('does nothing when the download of the script itself broke off', async () => {
    const text = readFileSync(SCRIPT, 'utf8')
    const half = join(folder, 'half.sh')
    writeFileSync(half, text.slice(0, text.indexOf('mkdir -p "$to"')))
    chmodSync(half, 0o755)
    await install({}, half)
    expect(existsSync(installed())).toBe(false)
  })
})
