/** Imports of files that are no code: the runtime reads them (as a text, as data), and the type checker knows nothing of them. */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, isAbsolute } from 'node:path'
import type { Problem } from '../definition/model.ts'

const CODE = /\.(?:[cm]?[jt]s|[jt]sx)$/
const JSON_AS_TEXT = /\.json["']\s*(?:,\s*\{\s*)?(?:with|assert)\s*:?\s*\{\s*["']?type["']?\s*:\s*["'](?:text|file)["']/

/** A module that the checker does not find, and that is a file all the same. */
export function isImportOfData({ location, message }: Problem): boolean {
  const specifier = /^Cannot find module '([^']+)'/.exec(message)?.[1]
  if (specifier === undefined || location === null) return false
  const path = resolved(specifier, location.file)
  return path !== undefined && !CODE.test(path)
}

/** Whether one of these files, or one that they import, takes a JSON file for a text. */
export function importsJsonAsText(files: readonly string[]): boolean {
  const seen = new Set<string>()
  const waiting = [...files]
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (seen.has(file) || !CODE.test(file) || !existsSync(file)) continue
    seen.add(file)
    const text = readFileSync(file, 'utf8')
    if (JSON_AS_TEXT.test(text)) return true
    for (const [, specifier = ''] of text.matchAll(/\b(?:from|import|require\()\s*\(?["']([^"'\n]+)["']/g)) {
      const path = resolved(specifier, file)
      if (path !== undefined && !path.includes('/node_modules/')) waiting.push(path)
    }
  }
  return false
}

function resolved(specifier: string, importer: string): string | undefined {
  try {
    const path = Bun.resolveSync(specifier, dirname(importer))
    return isAbsolute(path) ? path : undefined
  } catch {
    return undefined
  }
}
