import { afterAll, afterEach, beforeAll, beforeEach, expect, setDefaultTimeout, test } from 'bun:test'
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { PluginBuilder } from 'bun'
import { embedDuckdb } from '../../../scripts/duckdb-plugin.ts'
import type { NativeFile, NativeLibrary } from '../../../src/store/duckdb/native/library.ts'
import { temporaryFolder } from '../../support/binary.ts'

// Each test unpacks 70 MB.
setDefaultTimeout(180_000)

const PROJECT = join(import.meta.dir, '../../..')
const UNPACKED = ['duckdb.node', 'libduckdb.so']

let embedded = ''
let library: NativeLibrary
let folder = ''
let unpacked = ''

beforeAll(() => {
  embedded = temporaryFolder()
  const embed = (name: string): NativeFile => {
    const bytes = readFileSync(join(PROJECT, 'node_modules/@duckdb', `node-bindings-${process.platform}-${process.arch}`, name))
    const path = join(embedded, `${name}.zst`)
    writeFileSync(path, Bun.zstdCompressSync(bytes, { level: 1 }))
    return { name, path, size: bytes.length }
  }
  library = { fingerprint: '0123456789abcdef', addon: embed('duckdb.node'), libraries: [embed('libduckdb.so')] }
})
afterAll(() => rmSync(embedded, { recursive: true, force: true }))

beforeEach(() => {
  folder = temporaryFolder()
  unpacked = join(folder, 'native-0123456789abcdef')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

function start(folders: readonly string[], what: NativeLibrary = library) {
  const script = join(PROJECT, 'test/support/load-native.ts')
  return Bun.spawn([process.execPath, script, JSON.stringify(what), ...folders], { stdio: ['ignore', 'pipe', 'pipe'] })
}

async function load(folders: readonly string[], what: NativeLibrary = library): Promise<string> {
  const child = start(folders, what)
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited])
  return `${stdout}${stderr}`.trim()
}

test('the library is unpacked at the first start and found by the second', async () => {
  expect(await load([folder])).toMatch(/^v1\./)
  const first = UNPACKED.map((name) => statSync(join(unpacked, name)).ino)
  expect(await load([folder])).toMatch(/^v1\./)
  expect(UNPACKED.map((name) => statSync(join(unpacked, name)).ino)).toEqual(first)
  expect(readdirSync(unpacked).sort()).toEqual(UNPACKED)
})

test('a file that was cut short is unpacked again', async () => {
  await load([folder])
  chmodSync(join(unpacked, 'libduckdb.so'), 0o700)
  truncateSync(join(unpacked, 'libduckdb.so'), 1000)
  expect(await load([folder])).toMatch(/^v1\./)
  expect(statSync(join(unpacked, 'libduckdb.so')).size).toBe(library.libraries[0]?.size ?? 0)
})

test('a folder that others can write to is not trusted; the next one is taken', async () => {
  mkdirSync(unpacked)
  chmodSync(unpacked, 0o777)
  const next = join(folder, 'next')
  expect(await load([folder, next])).toMatch(/^v1\./)
  expect(readdirSync(unpacked)).toEqual([])
  expect(readdirSync(join(next, 'native-0123456789abcdef')).sort()).toEqual(UNPACKED)
})

test('where no folder will do, the library is loaded from memory', async () => {
  writeFileSync(join(folder, 'file'), '')
  expect(await load([join(folder, 'file')])).toMatch(/^v1\./)
  expect(readdirSync(folder)).toEqual(['file'])
})

test('where nothing will do, every place that was tried is named, and what to do', async () => {
  const broken = { ...library, addon: { ...library.addon, size: 1 } }
  const message = await load([folder], broken)
  expect(message).toContain(`${folder}: duckdb.node has ${library.addon.size} bytes instead of 1`)
  expect(message).toContain('memory: duckdb.node has')
  expect(message).toContain('Set FABRA_CACHE_DIR')
})

test('many first starts at once unpack once and leave nothing behind', async () => {
  const answers = await Promise.all(Array.from({ length: 6 }, () => load([folder])))
  expect(answers.every((answer) => answer.startsWith('v1.'))).toBe(true)
  expect(readdirSync(unpacked).sort()).toEqual(UNPACKED)
})

test('a process killed while it unpacked does not stop the next one, and its drafts go', async () => {
  const dead = Bun.spawn(['true'])
  await dead.exited
  mkdirSync(unpacked, { recursive: true, mode: 0o700 })
  writeFileSync(join(unpacked, '.lock'), String(dead.pid))
  writeFileSync(join(unpacked, `.libduckdb.so.${dead.pid}.cut`), 'half')
  expect(await load([folder])).toMatch(/^v1\./)
  expect(readdirSync(unpacked).sort()).toEqual(UNPACKED)
})

test('the executable asks nobody but the configuration where to unpack', () => {
  const loaders: (() => { readonly contents: string })[] = []
  const build = { onResolve() {}, onLoad: (_: unknown, load: () => { readonly contents: string }) => void loaders.push(load) }
  const bindings = join(PROJECT, 'node_modules/@duckdb', `node-bindings-${process.platform}-${process.arch}`)
  void embedDuckdb({ folder: bindings, level: 9 }).setup(build as unknown as PluginBuilder)
  const contents = loaders.map((load) => load().contents).join('')
  expect(contents).toContain('unpackFolders()')
  expect(contents).not.toMatch(/\benv\b/)
})
