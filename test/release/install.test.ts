/** install.sh, with a small stand-in for the executable: what it takes, what it refuses, what it leaves. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { tarGz } from '../../src/cli/deploy/tar.ts'
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

/** A folder with what a plain system has, but for some programs. */
function pathWithout(...missing: string[]): string {
  const programs = join(folder, 'programs')
  rmSync(programs, { recursive: true, force: true })
  mkdirSync(programs)
  const wanted = [
    'sh',
    'uname',
    'curl',
    'wget',
    'tar',
    'gzip',
    'sha256sum',
    'shasum',
    'cut',
    'grep',
    'head',
    'tail',
    'mktemp',
    'rm',
    'mkdir',
    'cp',
    'chmod',
    'mv',
  ]
  for (const name of wanted.filter((one) => !missing.includes(one))) {
    const found = Bun.which(name)
    if (found) symlinkSync(found, join(programs, name))
  }
  return programs
}

function serve(answer: (path: string) => Response) {
  return Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: (request) => answer(join(release, new URL(request.url).pathname)) })
}

/** Hangs up in the middle of the archive, each time. */
function serveHalf() {
  const sums = readFileSync(join(release, 'SHA256SUMS'))
  const listener = Bun.listen({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      data(socket, request) {
        const body = request.toString().includes('SHA256SUMS') ? sums : Buffer.from('half')
        const length = request.toString().includes('SHA256SUMS') ? sums.length : 1000
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\nConnection: close\r\n\r\n${body}`)
        socket.end()
      },
    },
  })
  return { url: `http://127.0.0.1:${listener.port}`, [Symbol.dispose]: () => listener.stop(true) }
}

describe('install.sh', () => {
  test('installs from a server what SHA256SUMS names, for this user, and says how to reach it', async () => {
    using server = serve((path) => new Response(Bun.file(path)))
    const { exitCode, stderr } = await install({ FABRA_RELEASE: `${server.url}` })
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: expect.stringContaining('installed fabra 1.2.3 in') })
    expect(stderr).toContain('add it to your PATH')
    expect(Bun.spawnSync([installed()]).stdout.toString()).toBe('1.2.3\n')
    expect(left()).toEqual(['.local', 'release'])
  })

  test('takes wget where there is no curl, and names both where there is neither', async () => {
    using server = serve((path) => new Response(Bun.file(path)))
    const from = { FABRA_RELEASE: `${server.url}` }
    expect(await install({ ...from, PATH: pathWithout('curl', 'wget') })).toEqual({
      exitCode: 1,
      stderr: 'install: neither curl nor wget is here. Install one of them.\n',
    })
    expect(await install({ ...from, PATH: pathWithout('curl') })).toMatchObject({ exitCode: 0 })
    expect(Bun.spawnSync([installed()]).stdout.toString()).toBe('1.2.3\n')
  })

  test.each(['curl', 'wget'])('says in one line what could not be downloaded with %s, and leaves nothing', async (program) => {
    const PATH = pathWithout(program === 'curl' ? 'wget' : 'curl')
    using empty = serve(() => new Response('no', { status: 404 }))
    expect(await install({ PATH, FABRA_RELEASE: `${empty.url}` })).toEqual({
      exitCode: 1,
      stderr: expect.stringMatching(/^install: cannot download http:\S+\/SHA256SUMS: .*404.*\n$/),
    })
    using broken = serveHalf()
    expect(await install({ PATH, FABRA_RELEASE: broken.url })).toEqual({
      exitCode: 1,
      stderr: expect.stringMatching(
        /^install: downloading .*\ninstall: (cannot download http:\S+: .+|.* is not what SHA256SUMS says .*)\n$/,
      ),
    })
    expect(left()).toEqual(['programs', 'release'])
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
    expect(existsSync(installed())).toBe(false)
  })

  test('says in one line that a folder cannot be written', async () => {
    writeFileSync(join(folder, 'file'), '')
    // Unlike permissions, these stop root as well.
    for (const [place, says] of [
      [join(folder, 'file'), 'cannot make'],
      ['/proc/nowhere', 'cannot make'],
      ['/proc', 'cannot write to'],
    ] as const) {
      expect(await install({ FABRA_INSTALL_DIR: place })).toEqual({
        exitCode: 1,
        stderr: `install: downloading ${NAME}\ninstall: ${says} ${place}. Set FABRA_INSTALL_DIR to a folder of yours.\n`,
      })
    }
    expect(left()).toEqual(['file', 'release'])
  })

  test('leaves the old one where the new one does not run', async () => {
    await install()
    publish('#!/bin/sh\nexit 1\n')
    expect(await install()).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('does not run here') })
    expect(Bun.spawnSync([installed()]).stdout.toString()).toBe('1.2.3\n')
    expect(readdirSync(join(folder, '.local/bin'))).toEqual(['fabra'])
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
