import { statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, isAbsolute } from 'node:path'
import { draftOf } from '../definition/draft.ts'
import type { Problem } from '../definition/model.ts'
import type { SentDraft, SentExport } from '../definition/sent-drafts.ts'
import type { Definitions, Exported, GuestFunction } from './definitions-port.ts'
import { createDocReader } from './doc-comments.ts'
import { createFunctionCode } from './function-code.ts'
import { fileProblem, loadProblems, missingFile } from './load-problem.ts'
import { isPackagePath, readModules } from './module-graph.ts'

export interface LoadedFiles {
  readonly drafts: readonly SentDraft[]
  readonly exported: readonly SentExport[] | null
  readonly problems: readonly Problem[]
  /** By the ids of their drafts. */
  readonly functions: ReadonlyMap<number, GuestFunction>
  /** The user's objects, by the same. */
  readonly objects: ReadonlyMap<number, unknown>
  readonly files: readonly string[]
}

/** Imports the user's files into this thread and packs what they export. Never rejects: what goes wrong is a problem. */
export async function loadFiles(paths: readonly string[], definitions: Definitions): Promise<LoadedFiles> {
  const cache = createRequire(import.meta.url).cache
  const before = new Set(Object.keys(cache))
  const problems: Problem[] = []
  const exported: Exported[] = []
  const fabraExports = [...Object.keys(definitions.exports), 'db']
  for (const file of new Set(paths)) {
    const unusable = checkFile(file)
    if (unusable) problems.push(unusable)
    else {
      try {
        const namespace = (await import(file)) as Record<string, unknown>
        for (const [name, value] of Object.entries(namespace)) exported.push({ name, value, file })
      } catch (error) {
        problems.push(...loadProblems(error, file, fabraExports))
      }
    }
  }
  const imported = Object.keys(cache).filter((path) => !before.has(path) && isAbsolute(path) && !isPackagePath(path))
  const modules = readModules(paths)
  const files = [...new Set([...paths, ...modules.keys(), ...imported])]
  const failed = { drafts: [], exported: [], functions: new Map(), objects: new Map(), files }
  if (problems.length > 0) return { ...failed, problems }
  if (exported.length === 0) return { ...failed, problems: paths.slice(0, 1).map(exportsNothing) }
  try {
    const docOf = createDocReader(modules)
    const documented = exported.map((one) => ({ ...one, doc: lacksDescription(one.value) ? docOf(one.file, one.name) : null }))
    const { sent, functions, objects } = definitions.pack(documented, createFunctionCode(exported, files))
    return { ...sent, problems, functions, objects, files }
  } catch (error) {
    return { ...failed, problems: paths.slice(0, 1).flatMap((file) => loadProblems(error, file, fabraExports)) }
  }
}

function lacksDescription(value: unknown): boolean {
  return draftOf(value)?.description === null
}

function checkFile(file: string): Problem | undefined {
  const stat = statSync(file, { throwIfNoEntry: false })
  if (stat === undefined) return missingFile(file)
  if (stat.isDirectory()) {
    return {
      location: null,
      subject: `file ${JSON.stringify(basename(file))}`,
      message: 'it is a folder.',
      hint: 'Name the file in it that defines your features.',
    }
  }
  if (/\.(?:[cm]?[jt]s|[jt]sx)$/.test(file)) return undefined
  if (file.endsWith('.ipynb'))
    return fileProblem(file, 'it is a notebook.', `Make a file of it: jupyter nbconvert --to script ${basename(file)}`)
  return fileProblem(
    file,
    'it is not a TypeScript, JavaScript or Python file.',
    'Definitions are written in a .ts, .mts, .js, .mjs or .py file.',
  )
}

function exportsNothing(file: string): Problem {
  return fileProblem(
    file,
    'it exports nothing, so it defines no features.',
    'Write "export" before each definition: export const my_feature = feature({ … }).',
  )
}
