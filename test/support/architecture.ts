/** The import table: who in src may know whom. The first pattern that fits a file names its room. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'

const ROOMS: readonly [room: string, files: RegExp][] = [
  ['foundation', /^(errors|clock|pace|large-map|key-index|long-list|columns)\.ts$/],
  ['definition', /^definition\//],
  ['ports', /^(store\/[\w-]+\.ts|compute\/(executor|reader|db|function-runner)\.ts)$/],
  ['store/memory', /^store\/memory\//],
  ['store/redis', /^store\/redis\//],
  ['store/duckdb', /^store\/duckdb\//],
  ['store/postgres', /^store\/postgres\//],
  ['compute', /^compute\//],
  ['runtime', /^runtime\//],
  ['serving', /^serving\//],
  ['refresh', /^refresh\//],
  ['training', /^training\//],
  ['ingest', /^ingest\//],
  ['http', /^http\//],
  ['observability', /^observability\//],
  ['deploy', /^deploy\//],
  ['ui', /^ui\//],
  ['cli', /^cli\//],
  ['config', /^config(-\w+)?\.ts$/],
  ['app', /^(api-key|app|doctor(-\w+)?|early-runtime|project(-\w+)?|rewarm|sample-key|stores(-\w+)?|version)\.ts$/],
  ['public', /^(index|fabra\.d)\.ts$/],
  ['main', /^main\.ts$/],
]

const STORES = ['store/memory', 'store/redis', 'store/duckdb', 'store/postgres']
const JOBS = ['serving', 'refresh', 'training', 'ingest']
const JOB_NEEDS = ['compute', 'ports', 'definition', 'observability']

/** Besides its own room and the foundation. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  foundation: [],
  definition: [],
  ports: ['definition'],
  'store/memory': ['ports', 'definition'],
  'store/redis': ['ports', 'definition'],
  'store/duckdb': ['ports', 'definition'],
  'store/postgres': ['ports', 'definition'],
  compute: ['definition', 'ports'],
  runtime: ['definition', 'ports'],
  serving: JOB_NEEDS,
  refresh: JOB_NEEDS,
  training: JOB_NEEDS,
  ingest: JOB_NEEDS,
  // History is read from its port: there is no job in between.
  http: [...JOBS, 'ports', 'definition', 'observability'],
  observability: [],
  deploy: [],
  ui: [],
  config: ['definition', 'ports'],
  app: [...STORES, ...JOBS, 'definition', 'ports', 'compute', 'runtime', 'http', 'observability', 'config', 'ui'],
  cli: ['app', 'config', 'deploy', 'definition', 'observability'],
  public: ['definition', 'runtime'],
  main: ['cli', 'config'],
}

/** Each package outside of Fabra has one room. */
const PACKAGES: readonly [name: RegExp, room: string][] = [
  // Reads functions for their fingerprints.
  [/^acorn$/, 'runtime'],
  [/^@duckdb\//, 'store/duckdb'],
  [/^apache-arrow$/, 'store/duckdb'],
  [/^lz4js$/, 'store/duckdb'],
  [/^ioredis$/, 'store/redis'],
  [/^postgres$/, 'store/postgres'],
  [/^libpg-query\//, 'store/postgres'],
  [/^(elysia|@elysiajs\/.+)$/, 'http'],
  [/^swagger-ui-dist\//, 'http'],
  [/^commander$/, 'cli'],
  [/^croner$/, 'refresh'],
  [/^(yaml|smol-toml)$/, 'deploy'],
  [/^diff$/, 'cli'],
]

/** Words in code (not in comments) that only one file may use. */
const OWNED_WORDS: readonly [word: string, pattern: RegExp, owner: string][] = [
  ['process.env', /\bprocess\s*\.\s*env\b|\bprocess\s*\[|\bBun\s*\.\s*env\b|\{[^{}=]*\benv\b[^{}=]*\}\s*=\s*(process|Bun)\b/, 'config.ts'],
  ['process.exit', /\bprocess\s*\.\s*exit\b(?!Code)/, 'main.ts'],
]

const PURE_ROOMS = ['foundation', 'definition']
const INPUT_AND_OUTPUT = /^(bun$|bun:|node:(fs|net|http|https|child_process|worker_threads|dgram|tls|dns|process)\b)/
const LINE_LIMIT = 400

/** @returns a sentence for each breach of the table under `root`, a folder laid out as src; none is the good answer. */
export function architectureViolations(root: string): string[] {
  return sourceFiles(root).flatMap((file) => {
    const text = readFileSync(join(root, file), 'utf8')
    const lines = text.split('\n').length - 1
    return [
      ...(lines > LINE_LIMIT ? [`${file} has ${lines} lines; the limit is ${LINE_LIMIT}. Is there a wall missing?`] : []),
      ...importViolations(file, text),
      ...wordViolations(file, text),
    ]
  })
}

/** Declaration files are left out: they are text for the user's editor. */
function sourceFiles(root: string): string[] {
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.tsx?$/.test(file) && !file.endsWith('.d.ts'))
    .sort()
}

function importViolations(file: string, text: string): string[] {
  const room = roomOf(file)
  if (room === undefined) return [`${file} is in no room of the import table.`]
  return importsOf(file, text).flatMap((specifier) => {
    const reason = specifier.startsWith('.') ? refuseFile(file, room, specifier) : refusePackage(room, specifier)
    return reason === undefined ? [] : [`${file} imports "${specifier}": ${reason}`]
  })
}

function refuseFile(file: string, room: string, specifier: string): string | undefined {
  const target = normalize(join(dirname(file), specifier))
  if (target.startsWith('..')) return relative('..', target) === 'package.json' ? undefined : 'outside of src'
  const targetRoom = /\.tsx?$/.test(target) ? roomOf(target) : roomOf(`${dirname(target)}/asset.ts`)
  if (targetRoom === undefined) return 'the target is in no room of the import table'
  if (targetRoom === room || targetRoom === 'foundation' || MAY_IMPORT[room]?.includes(targetRoom)) return undefined
  return `${room} may not import ${targetRoom}`
}

function refusePackage(room: string, specifier: string): string | undefined {
  if (/^(bun$|bun:|node:)/.test(specifier)) {
    if (specifier === 'node:process') return 'the process is the global of that name'
    return PURE_ROOMS.includes(room) && INPUT_AND_OUTPUT.test(specifier) ? `${room} does no input and output` : undefined
  }
  const owner = PACKAGES.find(([name]) => name.test(specifier))?.[1]
  if (owner === undefined) return 'the package has no room in the import table'
  return owner === room ? undefined : `only ${owner} may import it`
}

function roomOf(file: string): string | undefined {
  return ROOMS.find(([, files]) => files.test(file))?.[0]
}

/** Type imports count too, so they are made plain before Bun's own parser reads them; it alone knows strings and comments. */
function importsOf(file: string, text: string): string[] {
  const plain = text
    .replace(/\bimport\s+type\b(?=\s*[\w{*])/g, 'import')
    .replace(/\bexport\s+type\b(?=\s*[{*])/g, 'export')
    .replace(/([{,]\s*)type\s+(?=\w)/g, '$1')
  // Types named in place are gone before the parser lists imports, so they are looked for in the text, without its comments.
  const uncommented = text.replace(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*$/gm, '')
  const inTypePositions = [...uncommented.matchAll(/\bimport\(\s*['"]([^'"]+)['"]\s*\)/g)].map((match) => match[1] ?? '')
  return [
    ...new Set([
      ...transpiler(file)
        .scanImports(plain)
        .map((found) => found.path),
      ...inTypePositions,
    ]),
  ]
}

function wordViolations(file: string, text: string): string[] {
  // Without comments and types, which the parser drops, and without what is only said in strings.
  const code = transpiler(file)
    .transformSync(text)
    .replace(/"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'/g, '""')
  return OWNED_WORDS.filter(([, pattern, owner]) => file !== owner && pattern.test(code)).map(
    ([word, , owner]) => `${file} uses ${word}; only ${owner} may.`,
  )
}

function transpiler(file: string): Bun.Transpiler {
  return new Bun.Transpiler({
    loader: file.endsWith('x') ? 'tsx' : 'ts',
    trimUnusedImports: false,
    tsconfig: JSON.stringify({ compilerOptions: { verbatimModuleSyntax: true } }),
  })
}
