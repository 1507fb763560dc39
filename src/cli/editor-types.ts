import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
// A link to src/fabra.d.ts: under its own name it would be taken for types to check, not for a text to carry.
import editorTypes from './templates/fabra.d.ts.txt' with { type: 'text' }

/** Where a project's tsconfig.json looks for the types of "fabra". */
export const EDITOR_TYPES = '.fabra/fabra.d.ts'

/** The types of "fabra" as this executable has them. */
export function editorTypesText(): string {
  return editorTypes
}

/**
 * Writes `<folder>/.fabra/fabra.d.ts` unless it is there and current.
 * @returns whether it wrote.
 */
export function writeEditorTypes(folder: string): boolean {
  const path = join(folder, EDITOR_TYPES)
  if (readIfThere(path) === editorTypes) return false
  // Data comes here, too: nobody else looks into it.
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const scratch = `${path}.${process.pid}`
  writeFileSync(scratch, editorTypes)
  renameSync(scratch, path)
  return true
}

/**
 * Brings the types back for a project whose tsconfig.json asks for them: `.fabra` is not committed, so a fresh clone lacks them.
 * Folders of other kinds are left alone, and a folder that cannot be written is no reason to fail.
 * @param file A definitions file of the project; the nearest tsconfig.json at or above it counts.
 */
export function restoreEditorTypes(file: string): void {
  const tsconfig = nearestTsconfig(file)
  if (!tsconfig?.text.includes(EDITOR_TYPES)) return
  try {
    writeEditorTypes(dirname(tsconfig.path))
  } catch {
    // Types only help the editor; `fabra check` brings its own.
  }
}

export function nearestTsconfig(file: string): { path: string; text: string } | undefined {
  for (let folder = dirname(resolve(file)); ; folder = dirname(folder)) {
    const path = join(folder, 'tsconfig.json')
    const text = readIfThere(path)
    if (text !== undefined) return { path, text }
    if (dirname(folder) === folder) return undefined
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
