import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { typeCheck } from '../../src/cli/type-check.ts'

const EXAMPLES = join(import.meta.dir, '../../examples')
let folder = ''

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fabra-types-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

describe('type checking', () => {
  test('finds nothing wrong with an example, in its place or alone in a folder without tsconfig.json', async () => {
    const example = join(EXAMPLES, 'basic_features.ts')
    cpSync(example, join(folder, 'alone.ts'))
    expect(await typeCheck([example, join(folder, 'alone.ts')])).toEqual([])
  })

  test('leaves matters of taste to the linter: an unused parameter is no problem, whatever tsconfig.json says', async () => {
    write(
      'tsconfig.json',
      '{ "compilerOptions": { "noUnusedLocals": true, "noUnusedParameters": true, "composite": true, "declaration": true } }',
    )
    cpSync(join(EXAMPLES, 'basic_features.ts'), join(folder, 'features.ts'))
    expect(await typeCheck([join(folder, 'features.ts')])).toEqual([])
  })

  test('names file, line and column of every problem, in imported files too', async () => {
    write('other.ts', 'export const y: number = "s"; export const x = 1')
    const file = write('features.ts', [
      'import { entity, feature, nope } from "fabra"',
      'import { x } from "./other"',
      'import missing from "missing-package"',
      'export const User = entity("User", { key: "user_id" })',
      'export const late = feature({ entity: User, refresh: "5 minutes", type: "int", sql: "SELECT 1" })',
      'export const text = feature({ entity: User, refresh: 0, type: "int" }, async () => "x")',
      'console.log(x, nope, missing)',
    ])
    const problems = await typeCheck([file])
    expect(problems.map(({ location: place }) => `${place?.file.slice(folder.length + 1)}:${place?.line}`)).toEqual([
      'features.ts:1',
      'features.ts:3',
      'features.ts:5',
      'features.ts:6',
      'other.ts:1',
    ])
    expect(problems[1]?.hint).toContain('missing-package')
    expect(problems[2]?.message).toBe(`Type '"5 minutes"' is not assignable to type 'Refresh'.`)
    expect(problems[3]?.message).toContain("is not assignable to type 'number")
  })

  test("keeps the path mappings and packages of the project's own tsconfig.json", async () => {
    write('node_modules/@types/thing/index.d.ts', 'declare const thing: string')
    write('lib/limits.ts', 'export const limit = 10')
    write(
      'tsconfig.json',
      '{ // A comment.\n "compilerOptions": { "types": ["thing"], "module": "Preserve", "paths": { "#lib/*": ["./lib/*"] } } }',
    )
    const file = write('features.ts', 'import { limit } from "#lib/limits"\nexport const n: number = limit + thing.length')
    expect(await typeCheck([file])).toEqual([])
  })

  test('a syntax error and a broken tsconfig.json are told with their places', async () => {
    const file = write('features.ts', 'export const a = {\n')
    expect((await typeCheck([file]))[0]?.location).toMatchObject({ file, line: 2 })
    write('features.ts', 'export const a = 1')
    const tsconfig = write('tsconfig.json', '{ "compilerOptions": { "strict": "perhaps" } }')
    expect((await typeCheck([file]))[0]?.location).toMatchObject({ file: tsconfig, line: 1 })
  })

  test('defaults of objects and lists are what they are', async () => {
    const file = write('features.ts', [
      'import { entity, feature } from "fabra"',
      'interface Profile { readonly a: number }',
      'const profile: Profile = { a: 1 }',
      'export const User = entity("User", { key: "user_id" })',
      'export const a = feature({ entity: User, type: "json", default: { a: 1 } })',
      'export const b = feature({ entity: User, type: "dict", default: { a: { b: [1] } } })',
      'export const c = feature({ entity: User, type: "list", default: [{ a: 1 }] })',
      'export const d = feature({ entity: User, refresh: "5m", type: "dict", default: { a: 1 }, sql: "SELECT 1" })',
      'export const e = feature({ entity: User, refresh: "5m", default: { a: 1 }, sql: "SELECT 1" })',
      'export const f = feature({ entity: User, refresh: 0, default: { a: 1 } }, async () => ({ b: 2 }))',
      'export const g = feature({ entity: User, refresh: 0, columns: { x: "json", y: "dict" }, default: { x: { a: 1 }, y: profile } }, () => ({ x: 1, y: {} }))',
      'export const h = feature({ entity: User, type: "json", default: "text" })',
      'export const i = feature({ entity: User, type: "json", default: null })',
      'export const wrong = feature({ entity: User, type: "dict", default: 5 })',
      'export const wrong_too = feature({ entity: User, type: "int", default: { a: 1 } })',
      'export const lost = feature({ entity: User, refresh: 0, type: "dict" }, async () => async () => ({}))',
    ])
    expect((await typeCheck([file])).map(({ location: place }) => place?.line)).toEqual([14, 15])
  })

  test('whatever the runtime reads may be imported, and a file that is not there may not', async () => {
    write('q.sql', 'SELECT 1')
    write('q.json', '{"a":1}')
    write('lib/d.yaml', 'a: 1')
    for (const name of ['t.txt', 'c.toml', 'j.jsonc', 'odd.extension']) write(name, '')
    write('text.ts', 'import t from "./q.json" with { type: "text" }; export const shared = t.trim()')
    const lines = [
      'import sql from "./q.sql" with { type: "text" }',
      'import yaml from "./lib/d.yaml"',
      'import txt from "./t.txt"',
      'import toml from "./c.toml"',
      'import jsonc from "./j.jsonc"',
      'import odd from "./odd.extension" with { type: "text" }',
      'export const here: string = import.meta.dirname + import.meta.filename + import.meta.dir + import.meta.path',
      'export const all = [sql.trim(), yaml.a, txt.length, toml, jsonc, odd]',
    ]
    const file = write('features.ts', ['import { shared } from "./text.ts"', ...lines, 'export const n: string = shared'])
    expect(await typeCheck([file])).toEqual([])
    // Elsewhere JSON has its own types, and what is missing is told.
    const other = write('other.ts', [
      'import data from "./q.json"',
      'import gone from "./gone.sql" with { type: "text" }',
      'export const s: string = data.a',
      'gone',
    ])
    expect((await typeCheck([other])).map(({ location: place }) => place?.line)).toEqual([2, 3])
    write('tsconfig.json', '{ "compilerOptions": { "module": "CommonJS", "target": "ES2022", "lib": ["ES2022"], "types": [] } }')
    expect(await typeCheck([file])).toEqual([])
  })

  test('problems of packages are not the problem', async () => {
    write('node_modules/sloppy/package.json', '{"name":"sloppy","main":"index.ts"}')
    write('node_modules/sloppy/index.ts', 'export const a: number = "x"')
    const file = write('features.ts', 'import { a } from "sloppy"\nexport const b: number = a')
    expect(await typeCheck([file])).toEqual([])
  })
})

function write(name: string, text: string | readonly string[]): string {
  const path = join(folder, name)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, typeof text === 'string' ? text : text.join('\n'))
  return path
}
