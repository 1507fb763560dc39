import { describe, expect, test } from 'bun:test'
import { type Files, HEAD, loadOnce } from './project.ts'

const DEFINITION = (code: string) => `export const f = feature({ entity: User, refresh: '5m', type: 'json' }, ${code})\n`

const BASE: Files = {
  'features.ts': `${HEAD}import { scale } from './lib/scale.ts'
import * as names from './names.ts'
import limits from './limits.json'
enum Level { Low = 1, High = 2 }
const WINDOW = 60 * 60
const unrelated = 1
function helper(x: number): number { return x * WINDOW + Level.High }
export const g = feature({ entity: User, refresh: 0, type: 'int' }, () => unrelated)
${DEFINITION(`async (id: string, { db, get }: any) => {
  const rows = await db.query("SELECT 1 FROM transactions WHERE user_id = $1", id)
  return helper(rows.length) + scale(limits.max) + names.short.length + ((await get(g)) ?? 0)
}`)}`,
  'lib/scale.ts': `import { factor } from './factor.ts'\nexport const scale = (x: number) => x * factor\nexport const other = 1\n`,
  'lib/factor.ts': 'export const factor = 2\n',
  'names.ts': `export const short = 'a'\n`,
  'limits.json': '{ "max": 5 }',
}

async function fingerprint(files: Files, name = 'f'): Promise<string> {
  const { registry, problems } = await loadOnce(files)
  expect(problems).toEqual([])
  return registry.features.get(name)?.fingerprint ?? ''
}

function edited(file: string, from: string, to: string): Files {
  const text = BASE[file] ?? ''
  expect(text).toContain(from)
  return { ...BASE, [file]: text.replace(from, to) }
}

describe('the fingerprint of a function stays the same', () => {
  const cases: [what: string, files: () => Files][] = [
    ['in another folder', () => BASE],
    ['with comments and another layout', () => edited('features.ts', 'return helper(', '// why\n  /* how */ return   helper(\n')],
    [
      'with other quotes and semicolons',
      () =>
        edited(
          'features.ts',
          '"SELECT 1 FROM transactions WHERE user_id = $1", id)',
          `'SELECT 1 FROM transactions WHERE user_id = $1', id);`,
        ),
    ],
    ['with other types', () => edited('features.ts', '(x: number): number', '(x: number | any)')],
    ['with a constant written otherwise', () => edited('features.ts', '60 * 60', '3600')],
    ['when another feature of the file changes', () => edited('features.ts', '() => unrelated', '() => unrelated + 1')],
    ['when something else of the file changes', () => edited('features.ts', 'const unrelated = 1', 'const unrelated = 2')],
    [
      'when the order of definitions changes',
      () =>
        edited(
          'features.ts',
          'const unrelated = 1\n',
          '\n\n\nexport const more = feature({ entity: User, type: "int" })\nconst unrelated = 1\n',
        ),
    ],
    ['when an unused part of an imported file changes', () => edited('lib/scale.ts', 'other = 1', 'other = 2')],
    ['when a comment of an imported file changes', () => edited('lib/factor.ts', 'export', '// two\nexport')],
    ['when JSON is laid out otherwise', () => edited('limits.json', '{ "max": 5 }', '{\n"max":5}\n')],
    ['when options that do not change values do', () => edited('features.ts', "refresh: '5m'", "refresh: '10m'")],
  ]
  for (const [what, files] of cases) {
    test(what, async () => {
      expect(await fingerprint(files())).toBe(await fingerprint(BASE))
    })
  }
})

describe('the fingerprint of a function changes', () => {
  const cases: [what: string, files: () => Files][] = [
    ['with its code', () => edited('features.ts', 'helper(rows.length)', 'helper(rows.length + 1)')],
    ['with its SQL', () => edited('features.ts', 'SELECT 1 FROM', 'SELECT 2 FROM')],
    ['with a function it calls', () => edited('features.ts', 'return x * WINDOW', 'return x + WINDOW')],
    ['with a constant that a function it calls uses', () => edited('features.ts', '60 * 60', '60 * 61')],
    ['with an enum', () => edited('features.ts', 'High = 2', 'High = 3')],
    ['with an imported file', () => edited('lib/scale.ts', 'x * factor', 'x + factor')],
    ['with a file that an imported file imports', () => edited('lib/factor.ts', 'factor = 2', 'factor = 3')],
    ['with a file imported whole', () => edited('names.ts', `'a'`, `'b'`)],
    ['with JSON', () => edited('limits.json', '5', '6')],
    ['with a statement that changes what it uses', () => edited('features.ts', 'const unrelated', 'limits.max = 9\nconst unrelated')],
    [
      'with a file imported for what it does',
      () => edited('features.ts', 'const unrelated', `import './names.ts'\nglobalThis.x = 1\nconst unrelated`),
    ],
    ['with its type', () => edited('features.ts', "type: 'json'", "type: 'float'")],
  ]
  for (const [what, files] of cases) {
    test(what, async () => {
      expect(await fingerprint(files())).not.toBe(await fingerprint(BASE))
    })
  }
})

test('a function made elsewhere is followed', async () => {
  const files = (body: string, argument: string): Files => ({
    'features.ts': `${HEAD}import { compute, make } from './make.ts'\nexport const a = feature({ entity: User, refresh: 0 }, compute)\nexport const b = make(User, ${argument})\nexport * from './more.ts'\n`,
    'make.ts': `import { feature } from 'fabra'\nexport const compute = () => ${body}\nexport const make = (entity: any, n: number) => feature({ entity, refresh: 0 }, () => n + compute())\n`,
    'more.ts': `import { entity, feature } from 'fabra'\nconst Shop = entity('Shop', { key: 'shop' })\nexport { Shop }\nconst c = feature({ entity: Shop, refresh: 0 }, () => 7)\nexport { c as renamed }\n`,
  })
  for (const name of ['a', 'b']) {
    expect(await fingerprint(files('1', '1'), name)).toBe(await fingerprint(files('/* x */ 1', '1'), name))
    expect(await fingerprint(files('1', '1'), name)).not.toBe(await fingerprint(files('2', '1'), name))
  }
  expect(await fingerprint(files('1', '1'), 'b')).not.toBe(await fingerprint(files('1', '2'), 'b'))
  expect(await fingerprint(files('1', '1'), 'renamed')).toBe(await fingerprint(files('2', '1'), 'renamed'))
})

test('code that refers to itself or in circles is read once', async () => {
  const files: Files = {
    'features.ts': `${HEAD}import { odd } from './odd.ts'\nconst loop = (n: number): number => (n > 0 ? loop(n - 1) : 0)\n${DEFINITION('() => loop(3) + (odd(3) ? 1 : 0)')}`,
    'odd.ts': `import { even } from './even.ts'\nexport const odd = (n: number): boolean => n > 0 && even(n - 1)\n`,
    'even.ts': `import { odd } from './odd.ts'\nexport const even = (n: number): boolean => n === 0 || odd(n - 1)\n`,
  }
  expect(await fingerprint(files)).toMatch(/^[0-9a-f]{16}$/)
})
