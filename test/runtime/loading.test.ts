import { describe, expect, test } from 'bun:test'
import { HEAD, loadOnce } from './project.ts'

const FN = `export const f = feature({ entity: User, refresh: 0, type: 'int' }, () => 1)\n`

describe('a features file', () => {
  test('may import its own files, JSON and packages, and await at the top level', async () => {
    const { problems, registry, files } = await loadOnce({
      'features.ts': `${HEAD}import { one } from './lib/one'\nimport limits from './limits.json'\nimport { two } from 'tiny'
        const late = await Promise.resolve(3)
        export const f = feature({ entity: User, refresh: 0, type: 'int' }, () => one + two + limits.max + late)\n`,
      'lib/one.ts': `import { deep } from './deep.ts'\nexport const one: number = deep\n`,
      'lib/deep.ts': `export const deep = 1\n`,
      'limits.json': '{"max": 5}',
      'package.json': '{"name":"user"}',
      'node_modules/tiny/package.json': '{"name":"tiny","main":"index.js"}',
      'node_modules/tiny/index.js': 'export const two = 2',
    })
    expect(problems).toEqual([])
    expect([...registry.features.keys()]).toEqual(['f'])
    expect(files).toEqual(['features.ts', 'lib/deep.ts', 'lib/one.ts', 'limits.json'])
  })

  test('may be several files, with definitions that refer to each other', async () => {
    const { problems, registry } = await loadOnce(
      {
        'a.ts': HEAD,
        'b.ts': `import { feature } from 'fabra'\nimport { User } from './a.ts'\n${FN}`,
      },
      { entry: ['a.ts', 'b.ts'] },
    )
    expect(problems).toEqual([])
    expect([...registry.features.keys()]).toEqual(['f'])
  })
})

describe('a file that does not load says what, where and how to mend it', () => {
  const cases: [name: string, files: Record<string, string>, at: string | null, ...says: string[]][] = [
    ['it does not exist', { 'feature.ts': '' }, null, 'does not exist', 'Did you mean "feature.ts"?'],
    ['a syntax error', { 'features.ts': `${HEAD}\nexport const x = feature({{ })\n` }, 'features.ts:4', 'cannot be read as code'],
    [
      'a syntax error in an imported file',
      { 'features.ts': `import './other.ts'\n${HEAD}${FN}`, 'other.ts': '\n\nconst = 3\n' },
      'other.ts:3',
      'cannot be read as code',
    ],
    ['it throws', { 'features.ts': `${HEAD}\nthrow new Error('no such host')\n` }, 'features.ts:4', 'threw Error: no such host'],
    [
      'it throws in an imported file',
      { 'features.ts': `${HEAD}import { go } from './other.ts'\ngo()\n${FN}`, 'other.ts': 'export function go() {\n  return null.x\n}\n' },
      'other.ts:2',
      'TypeError',
    ],
    [
      'it throws later, behind an await',
      { 'features.ts': `${HEAD}await Promise.resolve()\nthrow new Error('late')\n` },
      'features.ts:4',
      'late',
    ],
    ['it throws what is no error', { 'features.ts': `${HEAD}throw 'text'\n` }, 'features.ts:1', 'threw', 'text'],
    [
      'a missing package',
      { 'features.ts': `${HEAD}\nimport dayjs from 'dayjs/plugin/utc'\nconsole.log(dayjs)\n` },
      'features.ts:4',
      'the package "dayjs", which is not installed',
      'npm install dayjs',
      'bun add dayjs',
    ],
    [
      'a missing scoped package in an imported file',
      { 'features.ts': `import './other.ts'\n${HEAD}${FN}`, 'other.ts': `import { x } from '@acme/kit'\nconsole.log(x)\n` },
      'other.ts:1',
      'the package "@acme/kit"',
    ],
    [
      'a missing file',
      { 'features.ts': `${HEAD}import { a } from './helper'\nconsole.log(a)\n`, 'helpers.ts': 'export const a = 1' },
      'features.ts:3',
      'imports "./helper", and there is no such file',
      'Did you mean "./helpers"?',
    ],
    [
      'a name that "fabra" does not export',
      { 'features.ts': `\nimport {\n  entity,\n  featur,\n} from 'fabra'\nexport const U = entity('U', { key: 'u' })\nfeatur()\n` },
      'features.ts:4',
      'imports "featur" from "fabra"',
      'Did you mean "feature"?',
    ],
    [
      'a name that its own file does not export',
      { 'features.ts': `${HEAD}import { windw } from './lib.ts'\nconsole.log(windw)\n`, 'lib.ts': 'export const window = 1\n' },
      'features.ts:3',
      'imports "windw" from "lib.ts"',
      'Did you mean "window"?',
    ],
    [
      'a default that is not exported',
      { 'features.ts': `${HEAD}import lib from './lib.ts'\nconsole.log(lib)\n`, 'lib.ts': 'export const a = 1\n' },
      'features.ts:3',
      'imports "default" from "lib.ts"',
    ],
    [
      'it exports nothing',
      { 'features.ts': `import { entity } from 'fabra'\nconst U = entity('U', { key: 'u' })\nconsole.log(U)\n` },
      'features.ts:1',
      'exports nothing',
    ],
    ['it is empty', { 'features.ts': '' }, 'features.ts:1', 'exports nothing'],
    ['it exports no feature', { 'features.ts': HEAD }, 'features.ts:1', 'exports no feature'],
    ['it ends the process', { 'features.ts': `${HEAD}process.exit(3)\n` }, 'features.ts:3', 'process.exit() was called'],
  ]
  for (const [name, files, at, ...says] of cases) {
    test(name, async () => {
      const { problems } = await loadOnce(files)
      expect(problems).toHaveLength(1)
      expect(problems[0]?.at ?? null).toBe(at)
      for (const words of says) expect(problems[0]?.says).toContain(words)
    })
  }

  test('all files that do not load are told at once', async () => {
    const { problems } = await loadOnce({ 'a.ts': 'const = 1', 'b.ts': `throw new Error('b')` }, { entry: ['a.ts', 'b.ts', 'c.ts'] })
    expect(problems).toHaveLength(3)
  })

  test('all imports that lead nowhere are told at once', async () => {
    const { problems } = await loadOnce({
      'features.ts': `${HEAD}import a from './nope'\nimport b from 'nopkg'\nimport './x.ts'\nconsole.log(a, b)`,
      'x.ts': `import 'y'`,
    })
    expect(problems.map((one) => one.at)).toEqual(['features.ts:3', 'features.ts:4', 'x.ts:1'])
  })

  test('top-level code that never ends is given up', async () => {
    const endless = await loadOnce({ 'features.ts': `${HEAD}while (true) {}\n` }, { loadTimeoutMs: 500 })
    expect(endless.problems[0]?.says).toContain('did not finish within 0.5 s')
    const hanging = await loadOnce({ 'features.ts': `${HEAD}await new Promise(() => {})\n` }, { loadTimeoutMs: 500 })
    expect(hanging.problems[0]?.says).toContain('did not finish within 0.5 s')
  })

  test('the files to watch hold those that could not be loaded', async () => {
    const { files } = await loadOnce({
      'features.ts': `${HEAD}import './broken.ts'\n`,
      'broken.ts': `import './deeper.ts'\nconst = 1`,
      'deeper.ts': 'export {}',
    })
    expect(files).toEqual(['broken.ts', 'deeper.ts', 'features.ts'])
  })

  test('a package.json "fabra" in node_modules does not replace ours', async () => {
    const { problems } = await loadOnce({
      'features.ts': HEAD + FN,
      'node_modules/fabra/package.json': '{"name":"fabra","main":"index.js"}',
      'node_modules/fabra/index.js': 'throw new Error("wrong one")',
    })
    expect(problems).toEqual([])
  })
})
