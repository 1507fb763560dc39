/**
 * Type-checks definitions with the checker that the executable carries (TypeScript 7), so that nobody has to install one. The user's
 * own tsconfig.json counts where there is one; a file that lies alone is checked too.
 */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, isAbsolute, join, resolve } from 'node:path'
import type { Problem } from '../definition/model.ts'
import { importsJsonAsText, isImportOfData } from './data-imports.ts'
import { editorTypesText, nearestTsconfig } from './editor-types.ts'

/**
 * @param files Absolute paths. What they import is checked with them, except what lies in node_modules.
 * @returns what is wrong, in the order of the checker.
 */
export async function typeCheck(files: readonly string[]): Promise<Problem[]> {
  if (files.length === 0) return []
  const folder = mkdtempSync(join(tmpdir(), 'fabra-check-'))
  try {
    writeFileSync(join(folder, 'fabra.d.ts'), editorTypesText())
    const projects = Map.groupBy(files, (file) => nearestTsconfig(file)?.path)
    const problems: Problem[] = []
    for (const [tsconfig, members] of projects) {
      const project = join(folder, 'tsconfig.json')
      writeFileSync(project, JSON.stringify(projectFor(members, tsconfig, join(folder, 'fabra.d.ts'))))
      problems.push(...(await runChecker(project, folder)))
    }
    return problems
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function projectFor(files: readonly string[], tsconfig: string | undefined, types: string) {
  const folders = ancestors(dirname(files[0] ?? '/'))
  const typeRoots = folders.flatMap((folder) => [join(folder, 'node_modules/@types'), join(folder, 'node_modules')]).filter(existsSync)
  const shared = {
    paths: { ...(tsconfig === undefined ? {} : userPaths(tsconfig)), fabra: [types] },
    // This project lies in a temporary folder: the user's type packages have to be pointed at.
    typeRoots,
    noEmit: true,
    allowImportingTsExtensions: true,
    // Files are run as these say, whatever is made of them elsewhere.
    module: 'Preserve',
    moduleResolution: 'bundler',
    allowJs: true,
    // A JSON file that is imported as a text is no object.
    resolveJsonModule: !importsJsonAsText(files),
    composite: false,
    incremental: false,
    skipLibCheck: true,
    // A matter of taste, not of definitions that work.
    noUnusedLocals: false,
    noUnusedParameters: false,
  }
  if (tsconfig !== undefined) return { extends: tsconfig, compilerOptions: shared, files, include: [] }
  const alone = {
    target: 'ESNext',
    lib: ['ESNext', 'DOM'],
    types: ['bun', 'node'].filter((name) => typeRoots.some((root) => root.endsWith('@types') && existsSync(join(root, name)))).slice(0, 1),
    moduleDetection: 'force',
    strict: true,
  }
  return { compilerOptions: { ...alone, ...shared }, files }
}

/** The path mappings of a tsconfig.json as absolute ones: ours replace them, so they have to be carried over. */
function userPaths(tsconfig: string): Record<string, string[]> {
  const found: Record<string, string[]> = {}
  const paths = compilerOptionsOf(tsconfig)?.['paths']
  if (typeof paths !== 'object' || paths === null) return found
  for (const [pattern, targets] of Object.entries(paths)) {
    if (Array.isArray(targets)) found[pattern] = targets.map((target) => resolve(dirname(tsconfig), String(target)))
  }
  return found
}

function compilerOptionsOf(tsconfig: string): Record<string, unknown> | undefined {
  try {
    const config = Bun.JSONC.parse(nearestTsconfig(tsconfig)?.text ?? '')
    if (typeof config !== 'object' || config === null || !('compilerOptions' in config)) return undefined
    return config.compilerOptions as Record<string, unknown>
  } catch {
    // The checker itself says what is wrong with it.
    return undefined
  }
}

async function runChecker(project: string, cwd: string): Promise<Problem[]> {
  const child = Bun.spawn([process.execPath, 'check', '--no-script', '--no-pretty', '--all', '-p', project], {
    cwd,
    // Nothing is inherited: some variables change the form of the report.
    env: { BUN_BE_BUN: '1', NO_COLOR: '1' },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [report, talk, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited])
  const problems = readReport(report, cwd)
  if (code !== 0 && problems.length === 0 && !/Found \d+ error/.test(talk)) {
    const reason = [...report.split('\n'), ...talk.split('\n')].find((line) => line.trim() !== '') ?? `exit code ${code}`
    problems.push({ location: null, subject: 'types', message: `The type checker failed: ${reason}`, hint: 'Run fabra check again.' })
  }
  return problems
}

/** Reads `file(line,column): error TS1234: text`, whose text may go on in indented lines. */
function readReport(report: string, cwd: string): Problem[] {
  const problems: Problem[] = []
  for (const line of report.split('\n')) {
    const [, file, row, column, code, message] = /^(.+?)\((\d+),(\d+)\): error (TS\d+): (.*)$/.exec(line) ?? []
    const last = problems.at(-1)
    if (file !== undefined && code !== undefined && message !== undefined) {
      const path = isAbsolute(file) ? file : resolve(cwd, file)
      problems.push({
        location: { file: path, line: Number(row), column: Number(column) },
        subject: code,
        message,
        hint: hintFor(code, message),
      })
    } else if (line.startsWith('  ') && last !== undefined) {
      problems[problems.length - 1] = { ...last, message: `${last.message}\n${line.trimEnd()}` }
    } else {
      // A problem without a file, of a compiler option for example.
      const [, bareCode, text] = /^error (TS\d+): (.*)$/.exec(line) ?? []
      if (bareCode !== undefined && text !== undefined)
        problems.push({ location: null, subject: bareCode, message: text, hint: hintFor(bareCode, text) })
    }
  }
  return problems
    .filter((problem) => !isOnlyUntyped(problem) && !isImportOfData(problem))
    .map(condensed)
    .filter(({ location }) => location === null || !(location.file.includes('/node_modules/') || location.file.startsWith(cwd)))
}

/**
 * A module or a global of the runtime without type declarations: it works, and the loader says so when it does not. Imports of missing files and
 * packages are told by the loader too, with better words.
 */
function isOnlyUntyped({ subject, message }: Problem): boolean {
  return (
    ['TS7016', 'TS2591', 'TS2580', 'TS2584', 'TS2867', 'TS2868'].includes(subject) ||
    /Cannot find module '(node:|bun[:'])|does not exist on type 'ImportMeta'/.test(message)
  )
}

/** The checker explains from the outside in; what helps is the outermost line and the innermost, and of "no overload matches" only that. */
function condensed(problem: Problem): Problem {
  const message = problem.message.replace(/ Do you need to install type definitions.*/, '')
  const [first = '', ...inner] = message.split('\n').map((line) => line.trim())
  const last = inner.at(-1)
  if (last === undefined) return { ...problem, message }
  return { ...problem, message: problem.subject === 'TS2769' ? last : `${first} ${last}` }
}

function hintFor(code: string, message: string): string {
  const missing = /Cannot find module '([^']+)'/.exec(message)?.[1]
  if (missing?.startsWith('.')) return 'Correct the path of the import.'
  if (missing?.startsWith('bun') || /Cannot find name '(node:.*|process|Bun|Buffer|require)'/.test(message)) {
    return 'Install the types, "npm install -D @types/bun", and list "bun" under "types" in tsconfig.json.'
  }
  if (missing !== undefined) return `Install it: npm install ${missing}`
  if (code === 'TS2305') return 'Correct the name; "fabra" exports entity, source, feature, featureSet and db.'
  return ''
}

function ancestors(folder: string): string[] {
  const above = dirname(folder)
  return above === folder ? [folder] : [folder, ...ancestors(above)]
}
