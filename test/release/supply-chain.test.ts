/** What is inside of the executable, what is known of it, and that installing runs nothing. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { version as duckdbVersion } from '@duckdb/node-api'
import packageJson from '../../package.json'
import { billOfMaterials, bundledDependencies, lockedHashes } from '../../scripts/release-parts/dependencies.ts'
import { PYTHON_DISTRIBUTION } from '../../src/deploy/python-name.ts'
import { temporaryFolder } from '../support/binary.ts'

const PROJECT = join(import.meta.dir, '../..')

interface Component {
  readonly name: string
  readonly version: string
  readonly purl: string
  readonly hashes?: readonly { readonly alg: string; readonly content: string }[]
  readonly licenses: readonly object[]
}

let folder = ''
beforeAll(() => {
  folder = temporaryFolder()
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('the bill of materials', () => {
  let components: readonly Component[]
  let text = ''
  beforeAll(async () => {
    text = billOfMaterials(await bundledDependencies(), packageJson.version)
    const bom = JSON.parse(text) as { bomFormat: string; specVersion: string; components: readonly Component[] }
    expect([bom.bomFormat, bom.specVersion]).toEqual(['CycloneDX', '1.6'])
    components = bom.components
  })

  test('names every package that the sources import, in the version of the lock file and with its checksum', () => {
    const imported = new Set(
      readdirSync(join(PROJECT, 'src'), { recursive: true, encoding: 'utf8' })
        .filter((file) => /\.tsx?$/.test(file) && !file.endsWith('.d.ts'))
        .flatMap((file) => [
          ...readFileSync(join(PROJECT, 'src', file), 'utf8').matchAll(/^(?!import type).*(?:from |import\()'(@?[a-z][^'.]*)'/gm),
        ])
        .flatMap(([line, name = '']) => (/^import \{ type [^,]*\} from/.test(line) ? [] : (/^(?:@[^/]+\/)?[^/]+/.exec(name)?.[0] ?? [])))
        .filter((name) => Object.hasOwn(packageJson.dependencies, name)),
    )
    expect(imported.size).toBeGreaterThan(20)
    const named = components.map(({ name }) => name)
    expect([...imported].filter((name) => !named.includes(name))).toEqual([])
    const locked = lockedHashes()
    const registry = components.filter(({ name, purl }) => purl.startsWith('pkg:npm/') && name !== 'bun')
    expect(registry.filter(({ name, version, hashes }) => hashes?.[0]?.content !== locked.get(`${name}@${version}`))).toEqual([])
    expect(registry.every(({ hashes }) => hashes?.[0]?.content.length === 128)).toBe(true)
    expect(components.every(({ licenses }) => licenses.length === 1)).toBe(true)
  })

  test("names DuckDB's libraries and the engine in them, Bun, and the package that Python imports", () => {
    const versions = new Map(components.map(({ name, version, purl }) => [name.startsWith(PYTHON_DISTRIBUTION) ? purl : name, version]))
    for (const system of ['linux-x64', 'linux-arm64', 'darwin-x64', 'darwin-arm64'])
      expect(versions.get(`@duckdb/node-bindings-${system}`)).toBe(packageJson.dependencies['@duckdb/node-api'])
    expect(`v${versions.get('duckdb')}`).toBe(duckdbVersion())
    expect(versions.get('bun')).toBe(Bun.version)
    expect(versions.get(`pkg:pypi/${PYTHON_DISTRIBUTION}@${packageJson.version}`)).toBe(packageJson.version)
  })

  test('names nothing that only builds or tests need, and is the same each time', async () => {
    const named = components.map(({ name }) => name)
    expect(Object.keys(packageJson.devDependencies).filter((name) => named.includes(name))).toEqual([])
    expect(named.filter((name) => /^(typescript|@types\/|@scarf\/)/.test(name))).toEqual([])
    expect(new Set(named).size).toBe(named.length)
    expect(billOfMaterials(await bundledDependencies(), packageJson.version)).toBe(text)
  })
})

test('versions are exact, and installing runs no script of a package', () => {
  for (const version of Object.values({ ...packageJson.dependencies, ...packageJson.devDependencies }))
    expect(version).toMatch(/^\d+\.\d+\.\d+(-[\w.]+)?$/)
  expect(packageJson.trustedDependencies).toEqual([])
  const project = join(folder, 'project')
  const wicked = join(folder, 'wicked')
  for (const path of [project, wicked]) mkdirSync(path)
  copyFileSync(join(PROJECT, 'bunfig.toml'), join(project, 'bunfig.toml'))
  writeFileSync(
    join(wicked, 'package.json'),
    '{"name":"wicked","version":"1.0.0","scripts":{"postinstall":"echo ran > ran","preinstall":"echo ran > ran"}}',
  )
  const install = (trusted: readonly string[]) => {
    rmSync(join(project, 'node_modules'), { recursive: true, force: true })
    const scripts = { preinstall: 'echo ran > ran', postinstall: 'echo ran > ran' }
    const manifest = { private: true, scripts, dependencies: { wicked: 'file:../wicked' }, trustedDependencies: trusted }
    writeFileSync(join(project, 'package.json'), JSON.stringify(manifest))
    const { exitCode, stderr } = Bun.spawnSync([process.execPath, 'install'], { cwd: project })
    expect([exitCode, stderr.toString()]).toEqual([0, expect.any(String)])
    expect(existsSync(join(project, 'node_modules/wicked/package.json'))).toBe(true)
    return existsSync(join(project, 'node_modules/wicked/ran')) || existsSync(join(project, 'ran'))
  }
  expect(install([])).toBe(false)
  // Somebody who trusts a package by mistake is not punished for it.
  expect(install(['wicked'])).toBe(false)
  rmSync(join(project, 'bunfig.toml'))
  expect(install(['wicked'])).toBe(true)
})

describe('asking what is known to be unsafe', () => {
  /** @param answer Of the registry. */
  async function audit(answer: () => Response) {
    using server = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: answer })
    const child = Bun.spawn([process.execPath, join(PROJECT, 'scripts/audit.ts')], {
      env: { PATH: process.env['PATH'], HOME: folder, BUN_CONFIG_REGISTRY: server.url.href },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const [exitCode, stdout] = await Promise.all([child.exited, child.stdout.text()])
    return { exitCode, stdout }
  }
  const advisory = (severity: string) => ({
    id: 1,
    url: 'https://example.com/advisory',
    title: 'It breaks.',
    severity,
    vulnerable_versions: '<99.0.0',
    cwe: [],
    cvss: { score: 9, vectorString: null },
  })

  test('fails for what is unsafe, and for nothing else; where nobody answers it says that nothing was checked', async () => {
    const unsafe = await audit(() => Response.json({ elysia: [advisory('critical')] }))
    expect(unsafe).toMatchObject({ exitCode: 1, stdout: expect.stringContaining('It breaks.') })
    expect(await audit(() => Response.json({ elysia: [advisory('low')] }))).toMatchObject({ exitCode: 0 })
    expect((await audit(() => Response.json({}))).stdout).toContain('nothing that is installed is known to be unsafe')
    const away = await audit(() => new Response(null, { status: 405 }))
    expect([away.exitCode, away.stdout]).toEqual([0, expect.stringContaining('NOT CHECKED')])
  })
})
