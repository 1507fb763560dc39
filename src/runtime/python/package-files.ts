import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/**
 * The package that workers import, by the names of its files. Read from the sources; in the executable this module's place is taken by one that
 * holds the files (scripts/python-plugin.ts).
 */
export function packageFiles(): Readonly<Record<string, string>> {
  const folder = fileURLToPath(new URL('../../python/fabra/', import.meta.url))
  // The client, too: a features file may hold a program that asks a server. What tests features is for other processes.
  const all = ['', 'client/'].flatMap((inner) => readdirSync(`${folder}${inner}`).map((name) => `${inner}${name}`))
  const names = all.filter((name) => /\.(?:py|pyi|typed)$/.test(name))
  return Object.fromEntries(names.sort().map((name) => [name, readFileSync(`${folder}${name}`, 'utf8')]))
}
