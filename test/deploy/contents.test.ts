/** What goes into an image: what the definitions need, and nothing that lies beside them. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type ProjectContents, projectContents } from '../../src/cli/deploy/project-contents.ts'
import { temporaryFolder } from '../support/binary.ts'
import { runCommand } from '../support/command.ts'

let folder = ''
beforeEach(() => {
  folder = temporaryFolder()
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

function write(files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), text)
  }
}

interface ContentsOptions {
  readonly include?: readonly string[]
  readonly sources?: readonly (readonly string[])[]
}

function contents({ include = [], sources = [] }: ContentsOptions = {}): ProjectContents {
  return projectContents({
    folder,
    apart: folder,
    definitions: [join(folder, 'features.ts')],
    sources: sources.map((files) => ({ name: 'events', files: files.map((file) => join(folder, file)) })),
    include,
    python: null,
  })
}

const copied = (asked: ContentsOptions = {}) => contents(asked).copied.map((file) => file.path)
const strays = (asked: ContentsOptions = {}) => contents(asked).strays.map((stray) => `${stray.message} ${stray.hint}`)

describe('into an image go', () => {
  test('the definitions and all that they import, as code or as text, and nothing that lies beside it', () => {
    write({
      'features.ts': `import { a } from './lib/a'
        import type { T } from './types.ts'
        import sql from './q.sql' with { type: 'text' }
        import limits from './limits.yaml'
        const later = () => import('./lib/later.ts')
        const old = require('./old.cjs')
        export { b } from './deep'`,
      'lib/a.ts': "import '../shared/b.js'\nexport const a = 1",
      'lib/later.ts': '',
      'lib/train.ipynb': '',
      'shared/b.ts': '',
      'deep/index.ts': 'export const b = 1',
      'deep/model.bin': '',
      'old.cjs': '',
      'types.ts': '',
      'q.sql': '',
      'limits.yaml': '',
      'unused.ts': '',
      'features.test.ts': '',
    })
    expect(copied()).toEqual(
      ['deep/index.ts', 'features.ts', 'lib/a.ts', 'lib/later.ts', 'limits.yaml', 'old.cjs', 'q.sql', 'shared/b.ts'].sort(),
    )
    expect(strays()).toEqual([])
  })

  test('what decides how imports are found, and what installs packages', () => {
    write({
      'features.ts': "import { x } from '@/x'\nimport { y } from '#y'",
      'src/x.ts': 'export const x = 1',
      'src/y.ts': 'export const y = 1',
      'tsconfig.json': '{ "extends": "./config/base", "compilerOptions": { "paths": { "@/*": ["./src/*"] } } }',
      'config/base.json': '{}',
      'config/other.json': '{}',
      'src/package.json': '{}',
      'package.json': '{ "imports": { "#y": "./src/y.ts" } }',
      'bun.lock': '',
      'yarn.lock': '',
    })
    expect(copied()).toEqual(
      [
        'bun.lock',
        'config/base.json',
        'features.ts',
        'package.json',
        'src/package.json',
        'src/x.ts',
        'src/y.ts',
        'tsconfig.json',
        'yarn.lock',
      ].sort(),
    )
  })

  test('the files of sources: one, a list, a folder, a pattern', () => {
    write({
      'features.ts': '',
      'one.csv': '',
      'a.parquet': '',
      'events/year=2026/1.csv': '',
      'events/year=2026/.part.crc': '',
      'more/x.csv.gz': '',
      'more/x.txt': '',
      'other.csv': '',
    })
    const sources = [['one.csv'], ['a.parquet', 'more/*.csv.gz'], ['events']]
    expect(copied({ sources })).toEqual(['a.parquet', 'events/year=2026/1.csv', 'features.ts', 'more/x.csv.gz', 'one.csv'])
  })

  // biome-ignore-start lint/suspicious/noTemplateCurlyInString: the texts are code.
  const names: [what: string, code: string, also: string[]][] = [
    ['by a path', "readFileSync('./models/churn.json')", ['models/churn.json']],
    ['by a path from where the server runs', 'Bun.file("models/churn.json")', ['models/churn.json']],
    ['by a URL', 'new URL("./models/churn.json", import.meta.url)', ['models/churn.json']],
    ['in words that are joined', "join(import.meta.dirname, 'models', 'v2', 'a.bin')", ['models/v2/a.bin']],
    ['in words that lead up and down again', "resolve(import.meta.dir, '.', 'models', 'churn.json')", ['models/churn.json']],
    ['behind the name of a folder', 'readFileSync(`${import.meta.dirname}/models/churn.json`)', ['models/churn.json']],
    ['added to the name of a folder', "readFileSync(import.meta.dirname + '/models/churn.json')", ['models/churn.json']],
    ['in part', 'readFileSync(`./models/${name}.json`)', ['models/churn.json', 'models/de.json']],
    ['in part, in words', "join(root, 'models', `${country}.json`)", ['models/churn.json', 'models/de.json']],
    ['as a folder', "readdirSync('./models/v2')", ['models/v2/a.bin', 'models/v2/b.bin']],
    ['as a folder with a slash', "readdirSync('models/')", ['models/churn.json', 'models/de.json', 'models/v2/a.bin', 'models/v2/b.bin']],
    ['behind a comment and a pattern that have apostrophes', "// don't\n /'/.test(f('models/churn.json')) // isn't", ['models/churn.json']],
    ['in letters of anywhere', "f('./データ/ü.json')", ['データ/ü.json']],
    ['as code that runs elsewhere, with its imports', "new Worker('./w.ts')", ['lib/z.ts', 'w.ts']],
    ['with signs of patterns in its name', "f('./pages/[id].json')", ['pages/[id].json']],
  ]
  test.each(names)('files that code names %s', (_how, code, also) => {
    write({
      'features.ts': code,
      'models/churn.json': '',
      'models/de.json': '',
      'models/v2/a.bin': '',
      'models/v2/b.bin': '',
      'pages/[id].json': '',
      'データ/ü.json': '',
      'churn.txt': '',
      'w.ts': "import './lib/z.ts'",
      'lib/z.ts': '',
    })
    expect(copied()).toEqual([...also, 'features.ts'].sort())
  })

  const words: [what: string, code: string][] = [
    ['a word that is also a folder', "feature({ owner: 'models', tags: ['data'] })"],
    ['a cron string', "'*/5 * * * *'"],
    ['a pattern of everything', "'**/*'"],
    ['a template that may be anything', '`${a}/${b}` + `${a}.json`'],
    ['the folder itself', "readdirSync('.') + readdirSync('./') + import.meta.dirname + '/'"],
    ['an address', "fetch('https://models/churn.json')"],
    ['a path of the web', "'/models'"],
    ['the folder above', "join('..')"],
    ['a comment', "/** see `models/churn.json` */ // or 'data/rows.csv'"],
    ['an import of types', "import type { T } from './other.json'"],
  ]
  // biome-ignore-end lint/suspicious/noTemplateCurlyInString: see above.
  test.each(words)('no files for %s', (_what, code) => {
    write({ 'features.ts': code, 'models/churn.json': '', 'data/rows.csv': '', 'other.json': '' })
    expect(copied()).toEqual(['features.ts'])
  })

  test('what code that is imported names, seen from its own folder and from that of the project', () => {
    write({
      'features.ts': "import './lib/a.ts'",
      'lib/a.ts': "f('./near.json', '../far.json')",
      'lib/near.json': '',
      'far.json': '',
      'near.json': '',
    })
    // The folder that the server runs in counts as well.
    expect(copied()).toEqual(['far.json', 'features.ts', 'lib/a.ts', 'lib/near.json', 'near.json'])
  })

  test('what is asked for: files, folders and patterns, with what code among it imports', () => {
    write({
      'features.ts': '',
      'a/1.bin': '',
      'a/b/2.bin': '',
      'c/3.bin': '',
      'c/3.txt': '',
      'd/x.ts': "import '../e.ts'",
      'e.ts': '',
      'f.txt': '',
    })
    expect(copied({ include: ['a', 'c/*.bin', 'd/x.ts'] })).toEqual(['a/1.bin', 'a/b/2.bin', 'c/3.bin', 'd/x.ts', 'e.ts', 'features.ts'])
    expect(copied({ include: ['.'] })).toHaveLength(8)
  })

  test('files through links within the project, by the path that leads to them', () => {
    write({ 'features.ts': "import './lib/a.ts'\nf('data.json')", 'real/a.ts': "import './b.ts'", 'real/b.ts': '', 'rows.json': '' })
    symlinkSync('real', join(folder, 'lib'))
    symlinkSync('rows.json', join(folder, 'data.json'))
    expect(copied()).toEqual(['data.json', 'features.ts', 'lib/a.ts', 'lib/b.ts'])
  })
})

describe('never into an image', () => {
  test.each([
    '.env',
    'lib/.env',
    '.aws/credentials',
    'server.key',
    'cert.PEM',
    'id_rsa',
    'secrets.json',
    'prod.env',
    'credentials.json',
    'service-account-1.json',
    'fabra.duckdb',
    'node_modules/m/x.txt',
  ])('goes %s, named or asked for', (path) => {
    write({ 'features.ts': `f('${path}', './${path}')`, [path]: 'x', 'ok/a.txt': '' })
    expect(copied()).toEqual(['features.ts'])
    expect(copied({ include: ['.'] })).toEqual(['features.ts', 'ok/a.txt'])
    expect(copied({ include: [path] })).toEqual(['features.ts'])
    expect(strays({ include: [path] })[0]).toContain(`--include names ${path}, which`)
  })

  test('goes a secret by another name, or what lies elsewhere', () => {
    write({ 'features.ts': "f('./settings.json', './hosts.txt')", '.env': '' })
    symlinkSync('.env', join(folder, 'settings.json'))
    symlinkSync('/etc/hostname', join(folder, 'hosts.txt'))
    expect(copied()).toEqual(['features.ts'])
    expect(contents().notes.map((note) => note.message)).toEqual([
      'features.ts names settings.json, which is hidden, and nothing hidden goes into an image.',
      'features.ts names hosts.txt, which is a link to /etc/hostname, not below '.concat(folder, '.'),
    ])
  })
})

describe('.gitignore', () => {
  test('keeps files out that code names, says so, and gives way to --include', () => {
    write({ 'features.ts': "f('models/a.bin')", 'models/a.bin': '', 'models/b.bin': '', 'models/c.tmp': '', '.gitignore': 'models/\n' })
    expect(copied()).toEqual(['features.ts'])
    expect(contents().notes).toEqual([
      { message: 'features.ts names models/a.bin, which .gitignore names.', hint: '--include models/a.bin copies it all the same.' },
    ])
    expect(copied({ include: ['models/a.bin'] })).toEqual(['features.ts', 'models/a.bin'])
    expect(contents({ include: ['models/a.bin'] }).notes).toEqual([])
    expect(copied({ include: ['models'] })).toHaveLength(4)
    write({ '.gitignore': '*.tmp\n' })
    expect(copied({ include: ['models'] })).toEqual(['features.ts', 'models/a.bin', 'models/b.bin'])
  })

  test('stops a deployment where nothing goes without the file, unless it is asked for', () => {
    write({ 'features.ts': "import './gen/schema.ts'", 'gen/schema.ts': '', 'rows.csv': '', '.gitignore': '/gen\n*.csv\n', 'bun.lock': '' })
    const sources = [['rows.csv']]
    expect(strays({ sources })).toEqual([
      'features.ts imports gen/schema.ts, which .gitignore names. --include gen/schema.ts copies it all the same.',
      'source "events" reads rows.csv, which .gitignore names. --include rows.csv copies it all the same.',
    ])
    const asked = { sources, include: ['gen/schema.ts', 'rows.csv'] }
    expect(strays(asked)).toEqual([])
    expect(copied(asked)).toEqual(['bun.lock', 'features.ts', 'gen/schema.ts', 'rows.csv'])
    write({ '.gitignore': '*.lock' })
    expect(copied({ sources })).toContain('bun.lock')
  })

  test('is read as git does, in folders below and above', () => {
    const top = folder
    write({
      '.git/info/exclude': 'x/\n',
      '.gitignore': '*.bin\n!keep.bin\n/app/deep/\n',
      'app/.gitignore': '!own.bin\n',
      'app/sub/.gitignore': '/no.txt\n',
      // Too late: git does not look into the folder.
      'app/deep/.gitignore': '!keep.bin\n',
      'app/deep/er/.gitignore': '!keep.bin\n',
    })
    const paths = ['a.bin', 'keep.bin', 'own.bin', 'deep/keep.bin', 'deep/er/keep.bin', 'sub/no.txt', 'sub/yes.txt', 'x/y.txt', 'sub/x.bin']
    folder = join(top, 'app')
    write({ 'features.ts': paths.map((path) => `f('./${path}')`).join('\n'), ...Object.fromEntries(paths.map((path) => [path, ''])) })
    const git = Bun.spawnSync(['git', '-c', 'init.defaultBranch=main', 'init', '--quiet', top])
    expect(git.exitCode).toBe(0)
    write({ '../.git/info/exclude': 'x/\n' })
    const ignored = Bun.spawnSync(['git', 'check-ignore', '--no-index', ...paths], { cwd: folder })
      .stdout.toString()
      .trim()
      .split('\n')
    expect(ignored.length).toBeGreaterThan(2)
    expect(copied()).toEqual(['features.ts', ...paths.filter((path) => !ignored.includes(path))].sort())
    folder = top
  })
})

describe('.dockerignore', () => {
  test('is read as Docker does: from the top, and taking back what it left out', () => {
    write({
      'features.ts': "import './lib/a.ts'\nf('data/x.json', 'data/deep/x.txt')",
      'lib/a.ts': '',
      'data/x.json': '',
      'data/deep/x.txt': '',
      '.dockerignore': '*\n!features.ts\n!lib/*.ts\n!data\ndata/**/*.txt\n',
    })
    expect(copied()).toEqual(['data/x.json', 'features.ts', 'lib/a.ts'])
    write({ '.dockerignore': 'a.ts\n' })
    expect(copied()).toEqual(['data/deep/x.txt', 'data/x.json', 'features.ts', 'lib/a.ts'])
    write({ '.dockerignore': 'lib\n' })
    expect(strays()).toEqual(['features.ts imports lib/a.ts, which .dockerignore keeps out of the image. Take it out of .dockerignore.'])
    expect(strays({ include: ['lib/a.ts'] })).toHaveLength(1)
  })
})

describe('the list', () => {
  test('of what is left out has everything else with its size, but what nobody expects', () => {
    write({ 'features.ts': '', 'data/big.csv': 'x'.repeat(5_000), 'n.ipynb': 'xx', '.env': 'S', 'node_modules/m/i.js': '', Dockerfile: '' })
    expect([...contents().excluded].sort((a, b) => a.bytes - b.bytes)).toEqual([
      { path: 'n.ipynb', bytes: 2 },
      { path: 'data/big.csv', bytes: 5_000 },
    ])
  })

  test('of what is copied names files one by one, and folders only where they are large and whole', () => {
    const many = (at: string) => Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`${at}/p=${i}/part.csv`, '']))
    write({ 'features.ts': "import './lib/a.ts'", 'lib/a.ts': '', ...many('events'), ...many('mixed'), 'mixed/p=1/.hidden': '' })
    const { files, folders } = contents({ sources: [['events'], ['mixed']] }).entries
    expect(folders).toEqual(['events'])
    expect(files).toHaveLength(32)
    const others = Object.fromEntries(Array.from({ length: 120 }, (_, i) => [`m${i}/a.txt`, '']))
    write({ ...others, ...Object.fromEntries(Object.keys(others).map((path) => [path.replace('a.txt', 'b.bin'), ''])) })
    expect(() => contents({ include: ['m*/a.txt'] })).toThrow('folders beside others that do not')
  })
})

describe('fabra deploy --check', () => {
  const HEAD =
    "import { entity, feature, source } from 'fabra'\nimport { readFileSync } from 'node:fs'\nexport const User = entity('User', { key: 'user_id' })\n"
  const ENV = { FABRA_REDIS_URL: 'redis://x', FABRA_API_KEYS: `${'0'.repeat(64)}:read` }

  const check = (...args: string[]) => docker('--check', ...args)
  const docker = (...args: string[]) => runCommand(['deploy', 'docker', '--name', 'a', ...args], { cwd: folder, env: ENV })
  const copies = () => readdirSync(tmpdir()).filter((name) => name.startsWith('fabra-deploy-'))

  const reads: [how: string, code: string][] = [
    ['readFileSync', "() => readFileSync(['mod', 'el.json'].join(''), 'utf8').length"],
    ['Bun.file', "async () => (await Bun.file(['mod', 'el.json'].join('')).json()).length"],
    ['a path from import.meta', "() => readFileSync(import.meta.dirname + ['/mod', 'el.json'].join(''), 'utf8').length"],
    ['a path of the current folder', "() => readFileSync(process.cwd() + ['/mod', 'el.json'].join(''), 'utf8').length"],
    ['import()', "async () => (await import(['./mod', 'el.json'].join(''))).default.length"],
    [
      'what comes after the database',
      "async (id, { db, get }) => { await db.fetchval('SELECT 1 FROM nowhere'); await get('one'); return readFileSync(['mod', 'el.json'].join('')).length }",
    ],
  ]
  test.each(reads)('names a function that does not find its file in the image: %s', async (_how, code) => {
    write({
      'features.ts': `${HEAD}export const one = feature({ entity: User, refresh: 0, type: 'int' }, () => 1)\nexport const two = feature({ entity: User, refresh: '5m', type: 'int' }, ${code})\n`,
      'model.json': '[]',
    })
    const before = copies()
    const { exitCode, stdout } = await check()
    expect(exitCode).toBe(1)
    expect(stdout).toMatch(/feature "two": its function does not find a file in the image: .*model\.json.*\(features\.ts:\d+\)/)
    expect(stdout).toEndWith('\n1 problem, 1 warning\n')
    expect(stdout).not.toContain(tmpdir())
    expect(await check('--include', 'model.json')).toMatchObject({ exitCode: 0 })
    expect(copies()).toEqual(before)
  })

  test('takes nothing else that a function says for a fault of the deployment', async () => {
    write({
      'features.ts': `${HEAD}
const f = (name: string, code: (id: unknown, c: { db: { fetchval(sql: string, ...p: unknown[]): Promise<unknown> }, get(name: string): Promise<unknown>, inputs: { amount: number } }) => unknown) =>
  feature({ entity: User, refresh: 0, name, inputs: { amount: 'float' } }, code)
export const a = f('a', () => { throw new Error('no such user') })
export const b = f('b', (_, { db }) => db.fetchval('SELECT total FROM nowhere WHERE id = $1', 1))
export const c = f('c', async (_, { get }) => ((await get('a')) as { x: number }).x)
export const d = f('d', () => fetch('http://127.0.0.1:1/'))
export const e = f('e', () => process.env['NOT_SET_AT_ALL']?.length ?? undefinedName())
export const g = f('g', (_, { inputs }) => inputs.amount.toFixed(2))
declare function undefinedName(): number
`,
    })
    const { exitCode, stdout } = await check()
    expect({ exitCode, stdout }).toEqual({
      exitCode: 0,
      stdout: expect.stringContaining('Nothing was found that would fail on Docker Compose.\n'),
    })
    expect(stdout).not.toContain('feature "')
  })

  test('tells where definitions are wrong by their own paths, and of files of this machine alone', async () => {
    const elsewhere = temporaryFolder()
    writeFileSync(join(elsewhere, 'model.bin'), '')
    write({ 'features.ts': `${HEAD}export const one = feature({ entity: User, type: 'int' }, () => '${elsewhere}/model.bin'.length)\n` })
    const { exitCode, stdout } = await check()
    rmSync(elsewhere, { recursive: true })
    expect(exitCode).toBe(1)
    expect(stdout).toContain('definitions: features.ts:4')
    expect(stdout).toContain(`image: features.ts names ${elsewhere}/model.bin`)
    expect(stdout).not.toContain('fabra-deploy-')
  })

  test('takes along the files of sources however their names are made up, as the server reads them', async () => {
    write({
      'features.ts': `${HEAD}const root = ['da', 'ta'].join('')
export const a = source('a', { timestamp: 'at', file: [root + '/a.csv', root + '/b.csv'] })
export const b = source('b', { timestamp: 'at', file: root + '/parts' })
export const c = source('c', { timestamp: 'at', file: root + '/c-*.csv' })
export const one = feature({ entity: User, refresh: 0 }, () => 1)\n`,
      ...Object.fromEntries(
        ['a.csv', 'b.csv', 'd.csv', 'c-1.csv', 'c-2.csv', 'parts/year=2026/1.csv', 'parts/_SUCCESS', 'parts/README'].map((path) => [
          `data/${path}`,
          'at,user_id\n2026-01-01T00:00:00Z,u1\n',
        ]),
      ),
    })
    const { stdout } = await docker('--dry-run', '--json')
    const { image } = JSON.parse(stdout) as {
      image: { copied: { path: string; why: string }[]; left_out: { path: string; why: string }[] }
    }
    expect(image.copied.map(({ path, why }) => `${path}: ${why}`)).toEqual([
      'data/a.csv: rows of a',
      'data/b.csv: rows of a',
      'data/c-1.csv: rows of c',
      'data/c-2.csv: rows of c',
      'data/parts/year=2026/1.csv: rows of b',
      'features.ts: definitions',
    ])
    expect(image.left_out.map(({ path }) => path).sort()).toEqual(['data/d.csv', 'data/parts/README', 'data/parts/_SUCCESS'])
    expect(await check()).toMatchObject({ exitCode: 0 })
  })

  test('loads the rows of sources and the packages that are installed from where the image has them', async () => {
    write({
      'features.ts': `${HEAD}import ms from 'ms'\nexport const events = source('events', { timestamp: 'created_at', file: ['events', '.csv'].join('') })
export const n = feature({ entity: User, refresh: '5m', type: 'int', sql: 'SELECT COUNT(*) FROM events WHERE user_id = $user_id' })
export const m = feature({ entity: User, refresh: 0, type: 'int' }, () => ms)\n`,
      'events.csv': 'user_id,created_at\nu1,2026-01-01T00:00:00Z\n',
      'node_modules/ms/index.js': 'export default 1',
      'package.json': '{"dependencies":{"ms":"2.1.3"}}',
      'bun.lock': '',
    })
    expect(await check()).toMatchObject({ exitCode: 0 })
    write({ '.gitignore': '*.csv' })
    const { exitCode, stdout } = await check()
    expect(exitCode).toBe(1)
    expect(stdout).toStartWith(
      'image: source "events" reads events.csv, which .gitignore names.\n    --include events.csv copies it all the same.\n',
    )
    expect(stdout).toEndWith('\n1 problem, 1 warning\n')
    expect(existsSync(join(folder, 'events.csv'))).toBe(true)
  })
})
