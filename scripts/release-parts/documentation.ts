import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** README and the pages that it leads to, by their paths. */
export function documentation(project: string): Readonly<Record<string, string>> {
  const pages = readdirSync(join(project, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.md'))
    .sort()
    .map((file) => `docs/${file}`)
  return Object.fromEntries(['README.md', 'CHANGELOG.md', ...pages].map((path) => [path, readFileSync(join(project, path), 'utf8')]))
}
