/** The import table: who in src may know whom. The first pattern that fits a file names its room. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'

export const ROOMS: readonly [room: string, files: RegExp][] = [
  ['foundation', /^(errors|clock)\.ts$|^collections\//],
  ['definition', /^definition\//],
  ['ports', /^(store\/ports\/|compute\/(executor|reader|db|function-runner)\.ts$)/],
  ['recording', /^store\/recording\//],
  ['store/memory', /^store\/memory\//],
  ['store/redis', /^store\/redis\//],
  ['store/duckdb', /^store\/duckdb\//],
  ['store/postgres', /^store\/postgres\//],
  ['auth', /^auth\//],
  ['config', /^config\//],
  ['compute', /^compute\//],
  ['runtime', /^runtime\//],
  ['serving', /^serving\//],
  ['refresh', /^refresh\//],
  ['training', /^training\//],
  ['ingest', /^ingest\//],
  ['wire', /^http\/wire(\/|\.ts$)/],
  ['http', /^http\//],
  ['ui', /^ui\//],
  ['observability', /^observability\//],
  ['deploy', /^deploy\//],
  ['cli', /^cli\//],
  ['app', /^app\//],
  ['client', /^client\//],
  ['testing', /^testing\//],
  ['public', /^fabra(-client|-test)?\.d\.ts$/],
  ['main', /^main\.ts$/],
]

const STORES = ['store/memory', 'store/redis', 'store/duckdb', 'store/postgres']
const JOBS = ['serving', 'refresh', 'training', 'ingest']
const STORE_NEEDS = ['ports', 'recording', 'definition']
const JOB_NEEDS = ['compute', 'ports', 'recording', 'definition', 'observability']

/** Besides its own room and the foundation. `docs/architecture.md` shows the same table. */
export const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  foundation: [],
  definition: [],
  ports: ['definition'],
  recording: ['ports', 'definition'],
  'store/memory': STORE_NEEDS,
  'store/redis': STORE_NEEDS,
  'store/duckdb': STORE_NEEDS,
  'store/postgres': STORE_NEEDS,
  auth: ['ports'],
  config: ['auth', 'ports', 'definition'],
  compute: ['definition', 'ports'],
  runtime: ['definition', 'ports', 'public'],
  serving: JOB_NEEDS,
  refresh: JOB_NEEDS,
  training: JOB_NEEDS,
  ingest: JOB_NEEDS,
  wire: [],
  // History is read from its port: there is no job in between.
  http: [...JOBS, 'wire', 'ports', 'definition', 'auth', 'observability'],
  // It runs in browsers: of the server it knows what answers look like.
  ui: ['wire'],
  observability: [],
  deploy: [],
  app: [...STORES, ...JOBS, 'recording', 'definition', 'ports', 'compute', 'runtime', 'http', 'wire', 'auth', 'observability', 'config'],
  cli: ['app', 'auth', 'config', 'deploy', 'definition', 'observability'],
  client: [],
  testing: [],
  public: [],
  main: ['cli', 'config', 'runtime'],
}

/** Each package outside of Fabra has one room. */
export const PACKAGES: readonly [name: RegExp, room: string][] = [
  // Reads functions for their fingerprints.
  [/^acorn$/, 'runtime'],
  [/^@duckdb\//, 'store/duckdb'],
  [/^apache-arrow$/, 'store/duckdb'],
  [/^lz4js$/, 'store/duckdb'],
  [/^ioredis$/, 'store/redis'],
  [/^rate-limiter-flexible$/, 'store/redis'],
  [/^postgres$/, 'store/postgres'],
  [/^libpg-query\//, 'store/postgres'],
  [/^(elysia|@elysiajs\/.+)$/, 'http'],
  [/^(ignore|@balena\/dockerignore)$/, 'cli'],
  [/^(preact|@preact\/signals|uplot|@dagrejs\/dagre)(\/|$)/, 'ui'],
  [/^@opentelemetry\//, 'observability'],
  [/^commander$/, 'cli'],
  [/^croner$/, 'refresh'],
  [/^(yaml|smol-toml)$/, 'deploy'],
  [/^diff$/, 'cli'],
]

/** Words in code (not in comments) that only one file may use. */
const OWNED_WORDS: readonly [word: string, pattern: RegExp, owner: string][] = [
  [
    'process.env',
    /\bprocess\s*\.\s*env\b|\bprocess\s*\[|\bBun\s*\.\s*env\b|\{[^{}=]*\benv\b[^{}=]*\}\s*=\s*(process|Bun)\b/,
    'config/config.ts',
  ],
  ['process.exit', /\bprocess\s*\.\s*exit\b(?!Code)/, 'main.ts'],
]

const PURE_ROOMS = ['foundation', 'definition']
const INPUT_AND_OUTPUT = /^(bun$|bun:|node:(fs|net|http|https|child_process|worker_threads|dgram|tls|dns|process)\b)/
const LINE_LIMIT = 300
const FUNCTION_LIMIT = 60
/** A factory that returns an object of methods is measured by its methods; it may be so long itself. */
const FACTORY_LIMIT = 120

/** @returns a sentence for each breach of the table under `root`, a folder laid out as src; none is the good answer. */
export function architectureViolations(root: string): string[] {
  const texts = new Map(sourceFiles(root).map((file) => [file, readFileSync(join(root, file), 'utf8')]))
  const single = [...texts].flatMap(([file, text]) => {
    const lines = text.split('\n').length - 1
    return [
      ...(lines > LINE_LIMIT ? [`${file} has ${lines} lines; the limit is ${LINE_LIMIT}. Is there a wall missing?`] : []),
      ...longFunctions(file, text),
      ...importViolations(file, text),
      ...wordViolations(file, text),
    ]
  })
  return [...single, ...circles(texts)]
}

/** Types count too: a file that needs another one for a type alone cannot be read without it. */
function circles(texts: ReadonlyMap<string, string>): string[] {
  const needs = new Map(
    [...texts].map(([file, text]) => {
      const targets = importsOf(file, text).filter((specifier) => specifier.startsWith('.'))
      return [file, targets.map((specifier) => normalize(join(dirname(file), specifier)))]
    }),
  )
  const found: string[] = []
  const done = new Set<string>()
  const walk = (file: string, path: readonly string[]): void => {
    const start = path.indexOf(file)
    if (start >= 0) found.push(`A circle of imports: ${[...path.slice(start), file].join(' → ')}`)
    if (start >= 0 || done.has(file)) return
    for (const target of needs.get(file) ?? []) walk(target, [...path, file])
    done.add(file)
  }
  for (const file of texts.keys()) walk(file, [])
  return found
}

/** The formatter puts the end of a function where its first line begins, so that indentation alone tells where it ends. */
function longFunctions(file: string, text: string): string[] {
  const lines = text.split('\n')
  return lines.flatMap((line, from) => {
    if (!BEGINS_FUNCTION.test(line) || STATEMENT.test(line)) return []
    const indent = /^ */.exec(line)?.[0] ?? ''
    const end = new RegExp(`^${indent}}[,;)]*$`)
    const length = lines.slice(from).findIndex((other, i) => i > 0 && end.test(other)) + 1
    const isFactory = lines.slice(from, from + length).some((other) => RETURNS_METHODS.test(other.trim()))
    const limit = isFactory ? FACTORY_LIMIT : FUNCTION_LIMIT
    return length > limit ? [`${file}:${from + 1} is a function of ${length} lines; the limit is ${limit}.`] : []
  })
}

/** Its last line before the body: `function f(…): T {`, `name(…) {`, `const f = (…) => {`, or `}): T {` behind parameters of several lines. */
const BEGINS_FUNCTION =
  /^\s*(?:export )?(?:default )?(?:async )?function\b|^\s*(?:(?:static|private|protected|async|get|set) )*[\w#]+\([^=]*\{$|=> \{$/
/** An object of methods, written out or by their names alone. */
const RETURNS_METHODS = /^(return (\w+ )?\{|return Object\.freeze\(\{|return \{ (\w+, )*\w+ \})$/
const STATEMENT = /^\s*(?:if|for|while|switch|catch|with|else)\b/

/** Declaration files are left out: they are text for the user's editor. */
export function sourceFiles(root: string): string[] {
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
  if (targetRoom === room || (targetRoom === 'foundation' && room !== 'ui') || MAY_IMPORT[room]?.includes(targetRoom)) return undefined
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

export function roomOf(file: string): string | undefined {
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
        .map((found) => found.path)
        // Of JSX the scanner names React, whatever it is compiled to.
        .filter((path) => path !== 'react' || /['"]react['"]/.test(text)),
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
    tsconfig: JSON.stringify({ compilerOptions: { verbatimModuleSyntax: true, jsx: 'react-jsx', jsxImportSource: 'preact' } }),
  })
}
